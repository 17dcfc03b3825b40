// A model server for browser stories: OpenAI's chat completions and its list of models. It says what the story put on
// its lips, and remembers what it was asked.
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const API_KEY = 'stories-model-key-0123456789'
export const MODEL = 'stand-in-1'

type Asked = { messages: { role: string; content: string }[] } & Record<string, unknown>

export class Model {
  /** What it drafts or answers. */
  text = 'We open at nine.'
  /** It would rather have a person, for this reason. */
  handsOver: string | null = null
  /** It has an outage. */
  isDown = false
  readonly asked: Asked[] = []
  #http: HttpServer

  private constructor() {
    this.#http = createServer((request, response) => {
      let body = ''
      request.on('data', (piece) => (body += piece))
      request.on('end', () => {
        const isOurs = request.headers.authorization === `Bearer ${API_KEY}`
        const [status, answer] = this.isDown
          ? [503, { error: { message: 'overloaded' } }]
          : isOurs
            ? this.#answer(request.url ?? '', body ? JSON.parse(body) : {})
            : [401, { error: { message: 'Incorrect API key provided.', code: 'invalid_api_key' } }]
        response.writeHead(status as number, { 'content-type': 'application/json' })
        response.end(JSON.stringify(answer))
      })
    })
  }

  static async start(): Promise<Model> {
    const it = new Model()
    await new Promise<void>((done) => it.#http.listen(0, '127.0.0.1', done))
    return it
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1`
  }

  end(): void {
    this.#http.close()
    this.#http.closeAllConnections()
  }

  /** What the form of a new assistant is filled with. */
  form(): Record<string, string> {
    return { 'Base URL': this.url, Model: 'to be chosen', 'API key': API_KEY }
  }

  /** The body that adds an assistant which asks this server. */
  assistant(name: string): object {
    return {
      plugin: 'openai',
      name,
      settings: { base_url: this.url, model: MODEL },
      secrets: { api_key: API_KEY },
      allow_private_egress: true,
      instructions: 'You work for a bicycle shop.'
    }
  }

  #answer(path: string, body: Asked): [number, unknown] {
    if (path.endsWith('/models')) return [200, { object: 'list', data: [{ id: MODEL, object: 'model' }] }]
    this.asked.push(body)
    const wantsInsights = JSON.stringify(body.response_format ?? {}).includes('sentiment')
    const content = wantsInsights
      ? { sentiment: 'negative', score: -0.7, summary: 'The customer waits for a refund.', language: 'es' }
      : this.handsOver
        ? { action: 'handoff', text: '', reason: 'asked_for_person', note: this.handsOver, confidence: 0.9 }
        : { action: 'reply', text: this.text, reason: 'none', note: '', confidence: 0.9 }
    const message = { role: 'assistant', content: JSON.stringify(content), refusal: null }
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    const usage = { prompt_tokens: 420, completion_tokens: 31, total_tokens: 451 }
    return [200, { id: 'chatcmpl-1', object: 'chat.completion', created: 1_767_225_700, model: MODEL, choices, usage }]
  }
}
