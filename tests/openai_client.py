"""Has OpenAI's own client talk to the stand-in model server, which prints both arguments:

    openai_client.py BASE_URL KEY

The client checks every answer against its types; what it cannot read ends this with an error.
"""

import sys

import openai
from pydantic import BaseModel


class Answer(BaseModel):
    """What the `openai` plugin asks for."""

    action: str
    text: str
    reason: str
    note: str
    confidence: float


def client(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=True)


def main(url: str, key: str) -> None:
    ours = client(url, key)
    model = ours.models.list().data[0].id
    question = [
        {"role": "system", "content": "You work for a bicycle shop."},
        {"role": "user", "content": "When do you open?"},
    ]
    plain = ours.chat.completions.create(model=model, messages=question, max_completion_tokens=50)
    assert plain.choices[0].finish_reason == "stop" and plain.choices[0].message.content, plain
    assert plain.usage.total_tokens == plain.usage.prompt_tokens + plain.usage.completion_tokens, plain
    formed = ours.chat.completions.parse(model=model, messages=question, response_format=Answer)
    assert formed.choices[0].message.parsed.action == "reply", formed
    for wrong, refusal in [
        (lambda: client(url, "sk-other").models.list(), openai.AuthenticationError),
        (lambda: ours.chat.completions.create(model=model, messages=question, stream=True), openai.BadRequestError),
    ]:
        try:
            wrong()
        except refusal as error:
            assert error.type == "invalid_request_error" and error.code, error
        else:
            raise AssertionError(f"{refusal.__name__} was expected")
    print(f"openai {openai.__version__}: {model} answers as it should")


main(*sys.argv[1:])
