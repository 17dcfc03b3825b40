// What a plugin in JavaScript is written with: the contract's records with their defaults, failures by HTTP status, and
// operations as generators. There is no clock, chance, network or file in here; what is not caught becomes a failure.

import log from "pointsman:plugin/log@1.0.0";

// Longest text of a vendor that is passed on, characters; the rest is cut.
const VENDOR_TEXT_CHARS_MAX = 300;

export const harmless = (call) => call.idempotent || call.method === "GET" || call.method === "HEAD";

/** A failure without effect that is not worth repeating; override what is otherwise. */
export const failure = (kind, message, more = {}) => ({
  kind: { tag: kind },
  retry: { tag: "never" },
  effect: "not-performed",
  message,
  vendorCode: null,
  vendorMessage: null,
  httpStatus: null,
  extras: [],
  ...more,
});

const byOwner = { retry: { tag: "after-owner-acts" } };
const later = (ms) => ({ retry: { tag: "after", val: ms } });

/** What an HTTP status alone means, when the vendor says nothing better. */
export function ofResponse(call, response) {
  const { status } = response;
  const more = { httpStatus: status };
  if (status === 401) return failure("auth-failed", "the vendor does not accept the credentials; enter them again", { ...more, ...byOwner });
  if (status === 402) return failure("quota-exhausted", "the vendor wants the account to be paid first", { ...more, ...byOwner });
  if (status === 403) return failure("permission-denied", "the vendor does not allow this account to do that", { ...more, ...byOwner });
  if (status === 404 || status === 410) return failure("not-found", "the vendor does not know what was asked for", more);
  if (status === 408 || status === 425) return failure("vendor-unavailable", "the vendor wants the request again", { ...more, ...later(0) });
  if (status === 413) return failure("content-too-long", "the request is too large for the vendor", more);
  if (status === 429) return failure("rate-limited", "the vendor asks to go slower", { ...more, ...later(retryAfterMs(response)) });
  if (status >= 400 && status < 500) return failure("content-rejected", "the vendor refused the request", more);
  if (status >= 500 && harmless(call)) return failure("vendor-unavailable", "the vendor is not available now", { ...more, ...later(0) });
  if (status >= 500) {
    return failure("vendor-unavailable", "the vendor had an error of its own; whether it acted is not known", { ...more, effect: "unknown" });
  }
  return failure("bad-response", "the vendor answered with an unexpected status", { ...more, effect: harmless(call) ? "not-performed" : "unknown" });
}

function unanswered(call, answer) {
  if (answer.tag === "not-sent") return failure("vendor-unavailable", "the vendor cannot be reached", later(0));
  if (answer.tag === "refused") return failure("permission-denied", answer.val, byOwner);
  if (harmless(call)) return failure("vendor-unavailable", "the vendor is not available now", later(0));
  const message = "the connection broke before the vendor answered; whether it acted is not known";
  return failure("vendor-unavailable", message, { effect: "unknown" });
}

/** Words of a vendor, cut, on one line and without phone numbers. */
export const vendorText = (words) =>
  [...words].slice(0, VENDOR_TEXT_CHARS_MAX).join("").replace(/[0-9]{7,}/g, "…").replace(/\p{Cc}/gu, " ").trim();

export const header = (headers, name) => headers.find((it) => it.name.toLowerCase() === name)?.value ?? null;

function retryAfterMs(response) {
  const seconds = Number(header(response.headers, "retry-after"));
  return Number.isInteger(seconds) && seconds >= 0 ? seconds * 1000 : 0;
}

/** Bytes as text; throws where they are no UTF-8. */
export function text(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += "%" + byte.toString(16).padStart(2, "0");
  return decodeURIComponent(escaped);
}

/** JSON bytes as a value; null where they are none. */
export function json(bytes) {
  try {
    return JSON.parse(text(bytes));
  } catch {
    return null;
  }
}

/** A POST of JSON; the secret with this name goes into the header `Authorization`. */
export const post = (url, secret, body) => ({
  method: "POST",
  url,
  query: [],
  auth: { tag: "bearer", val: { tag: "secret", val: secret } },
  headers: [],
  body: { tag: "json", val: { text: JSON.stringify(body), secrets: [], blobs: [] } },
  sink: "plugin",
  idempotent: false,
  timeoutMs: null,
  extras: [],
});

export const setting = (name, label, kind, help, more = {}) => ({
  name, label, help, kind: { tag: kind }, required: false, defaultJson: null, pattern: null, example: null, sentTo: null,
  extras: [], ...more,
});

/** Text and nothing else; override what the vendor can do. */
export const textOnly = (textMax, textUnit) => ({
  textMax, textUnit, attachmentsMax: 0, media: [], window: { tag: "none" }, firstMessageNeedsTemplate: false,
  templates: false, buttonsMax: 0, listRowsMax: 0, reactions: false, replies: false, readReceipts: false,
  typing: false, deliveryReports: "none", echoes: false, idempotentSend: false, messagesPerSecond: 0, unsignedWebhooks: false, beta: false,
  extras: [],
});

/** The exports of a provider. `send` is a generator: it yields calls and gets the vendor's responses. */
export function provider({ manifest, validate, authenticate, parse, send }) {
  let running = null;
  let last = null;

  function step(input) {
    try {
      const { done, value } = running.next(input);
      if (done) return { tag: "done", val: value };
      last = value;
      return { tag: "call", val: value };
    } catch (thrown) {
      return { tag: "failed", val: asFailure(thrown, last) };
    }
  }

  return {
    descriptor: { describe: () => manifest, validate: validate ?? (() => []) },
    webhook: {
      authenticate(context, request) {
        try {
          return authenticate(context, request);
        } catch (thrown) {
          log.write("error", `authenticate: ${thrown?.name}`);
          return { tag: "reject", val: "the webhook cannot be read" };
        }
      },
      parse(context, request) {
        try {
          return parse(context, request);
        } catch (thrown) {
          throw asFailure(thrown, null);
        }
      },
    },
    sender: {
      send(context, message) {
        running = send(context, message);
        last = null;
        return step();
      },
      resume(answer) {
        if (answer.tag === "response") return step(answer.val);
        return { tag: "failed", val: unanswered(last, answer) };
      },
    },
  };
}

/** What was thrown on purpose is a failure; anything else is a mistake, told without its words: they may quote a contact. */
function asFailure(thrown, call) {
  if (thrown?.kind?.tag) return thrown;
  log.write("error", `${thrown?.name} ${thrown?.stack?.split("\n")[0] ?? ""}`);
  const effect = call && !harmless(call) ? "unknown" : "not-performed";
  return failure("internal", "the plugin has a mistake; send its log to its author", { effect });
}
