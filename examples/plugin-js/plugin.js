// Messages over Acme: text in, text out, delivery reports. It computes and does nothing
// else; what it may say is the contract in wit/plugin.wit.
//
// Acme is made up, so that this plugin has something to show. Replace its webhook and its one call by those of your
// vendor, and the cases with them.

import { failure, header, json, ofResponse, post, provider, setting, textOnly, vendorText } from "./kit.js";

// Longest text that Acme takes, characters.
const TEXT_CHARS_MAX = 1000;
// Where Acme's API is, unless the channel's settings name another place.
const API = "https://api.acme.example";
// Header with the HMAC-SHA256 of the body, hex.
const SIGNATURE = "x-acme-signature";

const manifest = {
  id: "acme",
  name: "Acme",
  version: "0.1.0",
  publisher: "Acme",
  docsUrl: null,
  license: null,
  settings: [
    setting("address", "Number", "phone", "Yours at Acme, with its country code.", { required: true }),
    setting("token", "API token", "secret", "On Acme's page Settings, API.", { required: true }),
    setting("signing_key", "Signing key", "secret", "On the same page, Webhooks.", { required: true }),
    setting("base_url", "API address", "egress-url", "Empty: Acme's own."),
  ],
  kinds: [{ kind: "sms", label: "SMS", capabilities: { ...textOnly(TEXT_CHARS_MAX, "characters"), deliveryReports: "delivered" } }],
  origins: [API],
  extras: [],
};

function authenticate(_context, request) {
  const tag = unhex(header(request.headers, SIGNATURE));
  if (!tag) return { tag: "reject", val: "the header x-acme-signature is missing or is no hexadecimal number" };
  const proof = { algorithm: "sha256", key: "signing_key", message: request.body, tag };
  const reply = { status: 204, headers: [], body: new Uint8Array() };
  return { tag: "accept", val: { proofs: [{ tag: "hmac", val: proof }], reply } };
}

function parse(context, request) {
  const batch = json(request.body);
  if (!Array.isArray(batch?.events)) {
    throw failure("bad-response", "the webhook is not JSON with a list `events`");
  }
  // One bad item must not take its neighbours with it.
  return batch.events.map((item, place) => event(context, item) ?? unreadable(place));
}

function* send(context, message) {
  if (message.content.tag !== "text") throw failure("unsupported", "Acme sends text only");
  const text = message.content.val;
  if ([...text].length > TEXT_CHARS_MAX) {
    throw failure("content-too-long", `the text is longer than ${TEXT_CHARS_MAX} characters; shorten or split it`);
  }
  const base = (JSON.parse(context.settings).base_url || API).replace(/\/+$/, "");
  const body = { from: context.address, to: message.to.address, text, report_to: message.statusUrl };
  const call = post(`${base}/v1/messages`, "token", body);
  const response = yield call;
  if (response.status < 200 || response.status > 299) throw ofResponse(call, response);
  const taken = json(response.body);
  // Acme has it: an answer that cannot be read must not lead to a second message.
  if (typeof taken?.id !== "string") {
    throw failure("bad-response", "the vendor's answer could not be read", { effect: "performed" });
  }
  return { messageIds: [taken.id], acceptedAt: null, extras: [] };
}

function event(context, item) {
  const at = (ms) => Math.min(ms, context.now);
  const has = (...names) => names.every((name) => typeof item?.[name] === "string");
  const isTime = (ms) => Number.isSafeInteger(ms) && ms >= 0;
  if (item?.type === "message" && has("id", "from", "to", "text") && isTime(item.sent_at_ms)) {
    const message = {
      id: item.id,
      contact: party(item.from, typeof item.name === "string" ? item.name : null),
      to: item.to,
      sentAt: at(item.sent_at_ms),
      replyTo: null,
      groupId: null,
      author: null,
      echo: false,
      windowClosesAt: null,
      content: { tag: "text", val: item.text },
      extras: [],
    };
    return { dedupeKey: item.id, body: { tag: "message", val: message } };
  }
  if (item?.type === "report" && has("id", "to", "state") && isTime(item.at_ms)) {
    const status = {
      messageId: item.id,
      contact: party(item.to, null),
      to: context.address,
      at: at(item.at_ms),
      delivery: delivery(item.state, item.reason),
      effectId: null,
      windowClosesAt: null,
      extras: [],
    };
    return { dedupeKey: `${item.id}:${item.state}`, body: { tag: "status", val: status } };
  }
  return null;
}

function unreadable(place) {
  return { dedupeKey: `unreadable:${place}`, body: { tag: "unreadable", val: "an item has fields missing or of another type" } };
}

function delivery(state, reason) {
  if (state === "sent" || state === "delivered") return { tag: state };
  if (state !== "failed") return { tag: "other", val: state };
  const vendorMessage = typeof reason === "string" ? vendorText(reason) : null;
  return { tag: "failed", val: failure("recipient-unreachable", "Acme could not deliver the message", { vendorMessage }) };
}

const party = (number, name) => ({
  address: number, phone: number, scopedId: null, username: null, displayName: name || null, extras: [],
});

function unhex(text) {
  if (!/^[0-9a-f]{64}$/i.test(text ?? "")) return null;
  return new Uint8Array(text.match(/../g).map((pair) => parseInt(pair, 16)));
}

export const { descriptor, webhook, sender } = provider({ manifest, authenticate, parse, send });
