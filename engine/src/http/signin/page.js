// The sign-in page: takes a one-time token from the address, or asks for a password.
"use strict";
const at = (id) => document.getElementById(id);
let token = new URLSearchParams(location.hash.slice(1)).get("token");
let csrf = null;

function say(text, isProblem = false) {
  at("status").textContent = text;
  at("status").className = isProblem ? "problem" : "";
}

async function call(method, path, body) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (csrf) headers["x-csrf-token"] = csrf;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return { ok: response.ok, status: response.status, json: text ? JSON.parse(text) : null };
}

function ask(isOwner) {
  at("heading").textContent = isOwner ? "Create the owner" : "Sign in";
  at("intro").hidden = !isOwner;
  at("name-field").hidden = !isOwner;
  at("name").required = isOwner;
  at("password-help").hidden = !isOwner;
  at("password").autocomplete = isOwner ? "new-password" : "current-password";
  at("form").hidden = false;
  at("done").hidden = true;
  (isOwner ? at("name") : at("email")).focus();
}

function welcome(user, role) {
  // A used token has no business in the address bar or the history.
  history.replaceState(null, "", "/signin");
  token = null;
  at("who").textContent = user ? `${user.name} (${user.email})` : "an API key";
  at("role").textContent = role;
  at("tenant-field").hidden = true;
  at("form").hidden = true;
  at("done").hidden = false;
  say("");
}

async function signIn(body) {
  const answer = await call("POST", "/api/v1/signin", body);
  if (answer.ok) {
    csrf = answer.json.csrf;
    welcome(answer.json.user, answer.json.user.role);
  } else if (answer.json?.code === "owner_details_required") {
    ask(true);
  } else if (answer.json?.code === "which_tenant") {
    at("tenant").replaceChildren(...answer.json.tenants.map((it) => new Option(it.name ?? it.id, it.id)));
    at("tenant-field").hidden = false;
    at("tenant").focus();
    say("You belong to several organisations. Choose one.");
  } else {
    const fields = (answer.json?.errors ?? []).map((e) => `${e.pointer.slice(1)} ${e.message}`).join("; ");
    say(fields || answer.json?.detail || "Signing in failed.", true);
    if (answer.status === 401 && token) token = null;
    if (at("form").hidden) ask(false);
  }
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { email: at("email").value, password: at("password").value };
  if (!at("tenant-field").hidden) body.tenant = at("tenant").value;
  if (token) Object.assign(body, { token, name: at("name").value });
  signIn(body).catch(() => say("The server cannot be reached.", true));
});

at("out").addEventListener("click", async () => {
  await call("POST", "/api/v1/signout");
  csrf = null;
  say("Signed out.");
  ask(false);
});

async function start() {
  if (token) return signIn({ token });
  const me = await call("GET", "/api/v1/me");
  if (me.ok) {
    csrf = me.json.csrf;
    welcome(me.json.user, me.json.role);
  } else {
    ask(false);
  }
}
start().catch(() => say("The server cannot be reached.", true));
