// Renders /api/openapi.json: endpoints in groups, their parameters and schemas, and a form to try each.
"use strict";
const METHODS = ["get", "post", "patch", "put", "delete"];
let api = null;
let csrf = null;

/** An element with attributes and children; texts are never read as HTML. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function resolve(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, schema: api.components.schemas[name] ?? {} } : { name: null, schema: schema ?? {} };
}

/** A type in words: `string`, `array of UserView`, … */
function typeOf(given) {
  const { name, schema } = resolve(given);
  if (name) return name;
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.map(typeOf).filter((word) => word !== "null").join(" or ");
  const words = [].concat(schema.type ?? "any").filter((word) => word !== "null");
  const word = words[0] === "array" ? `array of ${typeOf(schema.items)}` : words.join(" or ");
  return schema.format ? `${word} (${schema.format})` : word;
}

/** All properties, also those of the parts of an `allOf`. */
function properties(given) {
  const { schema } = resolve(given);
  const all = { properties: {}, required: [] };
  for (const part of [schema, ...(schema.allOf ?? []).map((p) => resolve(p).schema)]) {
    Object.assign(all.properties, part.properties ?? {});
    all.required.push(...(part.required ?? []));
  }
  return all;
}

/** A made-up value, to begin a body with. */
function example(given, depth = 0) {
  const { schema } = resolve(given);
  if (schema.example !== undefined) return schema.example;
  if (schema.oneOf) return example(schema.oneOf.find((s) => s.type !== "null") ?? {}, depth + 1);
  const type = [].concat(schema.type ?? "object").find((word) => word !== "null");
  if (type === "array") return [];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return false;
  if (type === "string") return "";
  if (depth > 2) return {};
  const { properties: known, required } = properties(schema);
  const names = required.length ? required : depth === 0 ? Object.keys(known).slice(0, 1) : [];
  return Object.fromEntries(names.filter((n) => known[n]).map((n) => [n, example(known[n], depth + 1)]));
}

function fields(schema, caption) {
  const { properties: known, required } = properties(schema);
  if (!Object.keys(known).length) return null;
  const rows = Object.entries(known).map(([name, field]) => {
    const inner = resolve(field).schema;
    return el("tr", {},
      el("th", { scope: "row" }, el("code", {}, name), required.includes(name) ? " *" : ""),
      el("td", {}, typeLink(field)),
      el("td", {}, field.description ?? inner.description ?? ""));
  });
  return el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {},
    el("th", { scope: "col" }, "Field"), el("th", { scope: "col" }, "Type"), el("th", { scope: "col" }, "Meaning"))),
  el("tbody", {}, ...rows));
}

function typeLink(field) {
  const inner = field.items ?? (field.oneOf ?? []).find((s) => s.$ref) ?? field;
  const { name } = resolve(inner);
  return name ? el("a", { href: `#schema-${name}` }, typeOf(field)) : typeOf(field);
}

function tryForm(method, path, operation, id) {
  const parameters = (operation.parameters ?? []).map((p) => {
    const input = el("input", { id: `${id}-${p.name}`, name: p.name, required: p.required });
    return { p, input, row: el("p", {}, el("label", { for: input.id }, `${p.name}${p.required ? " *" : ""}`), input,
      el("small", {}, p.description ?? "")) };
  });
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  const body = schema && el("textarea", { id: `${id}-body`, spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(schema), null, 2);
  const status = el("p", { role: "status" });
  const output = el("pre", { hidden: true, tabindex: "0", "aria-label": "Answer" });
  const send = async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const { p, input } of parameters) {
      if (p.in === "path") url = url.replace(`{${p.name}}`, encodeURIComponent(input.value));
      else if (p.in === "query" && input.value) query.set(p.name, input.value);
    }
    if ([...query].length) url += `?${query}`;
    status.textContent = "Waiting…";
    status.className = "";
    try {
      const answer = await call(method, url, body?.value);
      status.textContent = `${answer.status} ${answer.statusText}`;
      status.className = answer.ok ? "good" : "problem";
      output.textContent = pretty(await answer.text());
      output.hidden = !output.textContent;
    } catch {
      status.textContent = "The server cannot be reached.";
      status.className = "problem";
    }
  };
  return el("form", { onsubmit: send }, el("h4", {}, "Try it"), ...parameters.map((p) => p.row),
    body && el("p", {}, el("label", { for: body.id }, "Body"), body), el("p", {}, el("button", {}, `Send ${method.toUpperCase()}`)), status, output);
}

async function call(method, url, body) {
  const key = document.getElementById("key").value.trim();
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (key) headers.authorization = `Bearer ${key}`;
  else if (method !== "get") {
    csrf ??= (await (await fetch("/api/v1/me")).json()).csrf ?? null;
    if (csrf) headers["x-csrf-token"] = csrf;
  }
  return fetch(url, { method: method.toUpperCase(), headers, body: body || undefined });
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function endpoint(method, path, operation) {
  const id = operation.operationId;
  const inside = el("div", {});
  const node = el("details", { id, class: "endpoint" }, el("summary", {}, el("span", { class: "method" }, method.toUpperCase()),
    el("code", {}, path), ` ${operation.summary ?? ""}`), inside);
  // Built when opened: most endpoints of a visit are never looked at.
  node.addEventListener("toggle", () => {
    if (!node.open || inside.childNodes.length) return;
    const schema = operation.requestBody?.content?.["application/json"]?.schema;
    const parts = [operation.description && el("p", {}, operation.description), schema && fields(schema, "Body")];
    for (const [code, answer] of Object.entries(operation.responses ?? {})) {
      if (code === "default") continue;
      const content = answer.content?.["application/json"]?.schema;
      parts.push(el("p", {}, `Answers ${code}${content ? `: ${typeOf(content)}` : ", without a body"}`), content && fields(content, "Answer"));
    }
    inside.append(...parts.filter(Boolean), tryForm(method, path, operation, id));
  });
  return node;
}

function render() {
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((m) => item[m])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([method, path, item[method]]);
    }
  }
  const content = document.getElementById("content");
  const index = document.getElementById("index");
  content.replaceChildren();
  for (const [tag, list] of [...groups].sort()) {
    content.append(el("section", { "aria-label": tag }, el("h2", {}, tag), ...list.map((e) => endpoint(...e))));
    index.append(el("strong", {}, tag), el("ul", {}, ...list.map(([method, path, operation]) =>
      el("li", { "data-text": `${method} ${path} ${operation.summary} ${tag}`.toLowerCase() },
        el("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path.replace("/api/v1", "")}`)))));
  }
  const schemas = Object.entries(api.components?.schemas ?? {}).map(([name, schema]) =>
    el("details", { id: `schema-${name}` }, el("summary", {}, name), el("div", {},
      el("p", {}, schema.description ?? ""), fields(schema, name) ?? el("pre", {}, JSON.stringify(schema, null, 2)))));
  content.append(el("section", { "aria-label": "Schemas" }, el("h2", {}, "Schemas"), ...schemas));
  document.getElementById("about").textContent = api.info.description ?? "";
}

/** Opens what the address points at. */
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus();
  }
}

document.getElementById("credential").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const item of document.querySelectorAll("#index li")) {
    item.hidden = !words.every((word) => item.dataset.text.includes(word));
  }
});
addEventListener("hashchange", follow);

fetch("/api/openapi.json").then((answer) => answer.json()).then((document) => {
  api = document;
  render();
  follow();
}).catch(() => {
  document.getElementById("content").replaceChildren(el("p", { class: "problem", role: "alert" }, "The document could not be loaded; reload the page."));
});
