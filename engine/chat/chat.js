// The chat page: shows the thread, sends what is written, and keeps both right
// while the network comes and goes. What is written waits in local storage until
// the server has it; every message has an id of ours, so sending twice is once.
"use strict";

(() => {
  const TEXT_CHARS_MAX = 4096;
  const COUNT_FROM = 3800;
  const BACKOFF_MS_MAX = 30000;
  const SEND_MS_MAX = 20000;
  const GROUP_MS = 5 * 60 * 1000;
  const OUTBOX_MAX = 50;

  const WORDS = {
    en: {
      label: "Your message", placeholder: "Write a message", send: "Send", close: "Minimise chat",
      hint: "Enter sends, Shift + Enter starts a new line", empty: "Hello! How can we help?",
      online: "Connected", connecting: "Connecting…", reconnecting: "Reconnecting…", offline: "You are offline",
      gone: "This chat is not available right now",
      sending: "Sending…", waiting: "Will be sent when you are back online", sent: "Sent", failed: "Not sent", again: "Try again",
      you: "You", automatic: "Automatic reply", earlier: "Show earlier messages", latest: "New messages ↓",
      today: "Today", yesterday: "Yesterday", left: "characters left", over: "characters too many",
      media: "Attachment (cannot be shown here)", location: "Location", other: "This message cannot be shown here",
      busy: "Too many messages at once; sending again shortly",
    },
    es: {
      label: "Tu mensaje", placeholder: "Escribe un mensaje", send: "Enviar", close: "Minimizar el chat",
      hint: "Intro envía, Mayús + Intro hace una línea nueva", empty: "¡Hola! ¿En qué podemos ayudarte?",
      online: "Conectado", connecting: "Conectando…", reconnecting: "Reconectando…", offline: "No tienes conexión",
      gone: "Este chat no está disponible ahora",
      sending: "Enviando…", waiting: "Se enviará cuando vuelva la conexión", sent: "Enviado", failed: "No enviado", again: "Reintentar",
      you: "Tú", automatic: "Respuesta automática", earlier: "Ver mensajes anteriores", latest: "Mensajes nuevos ↓",
      today: "Hoy", yesterday: "Ayer", left: "caracteres restantes", over: "caracteres de más",
      media: "Archivo adjunto (no se puede mostrar aquí)", location: "Ubicación", other: "Este mensaje no se puede mostrar aquí",
      busy: "Demasiados mensajes a la vez; se reintentará enseguida",
    },
    de: {
      label: "Deine Nachricht", placeholder: "Nachricht schreiben", send: "Senden", close: "Chat verkleinern",
      hint: "Eingabe sendet, Umschalt + Eingabe beginnt eine neue Zeile", empty: "Hallo! Wie können wir helfen?",
      online: "Verbunden", connecting: "Verbinden…", reconnecting: "Erneut verbinden…", offline: "Du bist offline",
      gone: "Dieser Chat ist gerade nicht verfügbar",
      sending: "Wird gesendet…", waiting: "Wird gesendet, sobald du online bist", sent: "Gesendet", failed: "Nicht gesendet", again: "Erneut versuchen",
      you: "Du", automatic: "Automatische Antwort", earlier: "Frühere Nachrichten zeigen", latest: "Neue Nachrichten ↓",
      today: "Heute", yesterday: "Gestern", left: "Zeichen übrig", over: "Zeichen zu viel",
      media: "Anhang (kann hier nicht gezeigt werden)", location: "Standort", other: "Diese Nachricht kann hier nicht gezeigt werden",
      busy: "Zu viele Nachrichten auf einmal; gleich wird erneut gesendet",
    },
  };

  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const chat = document.querySelector(".chat");
  const ui = {
    state: $("state"), scroll: $("scroll"), log: $("log"), empty: $("empty"), greeting: $("greeting"),
    earlier: $("earlier"), latest: $("latest"), form: $("form"), text: $("text"), send: $("send"),
    said: $("said"), count: $("count"), hint: $("hint"), label: $("text-label"), close: $("close"),
  };
  const base = `${location.pathname.replace(/\/+$/, "")}/`;
  const framed = window.parent !== window;

  // Words ------------------------------------------------------------------------------------------------------
  const wanted = [root.lang, ...(navigator.languages || [])].filter(Boolean).map((tag) => tag.slice(0, 2).toLowerCase());
  const language = wanted.find((tag) => WORDS[tag]) || "en";
  const words = WORDS[language];
  root.lang = root.lang || language;
  const clock = new Intl.DateTimeFormat(root.lang, { hour: "numeric", minute: "2-digit" });
  const calendar = new Intl.DateTimeFormat(root.lang, { weekday: "long", day: "numeric", month: "long" });

  ui.label.textContent = words.label;
  ui.text.placeholder = words.placeholder;
  ui.hint.textContent = words.hint;
  ui.greeting.textContent = chat.dataset.greeting || words.empty;
  ui.earlier.textContent = words.earlier;
  ui.latest.textContent = words.latest;
  for (const [button, word] of [[ui.send, words.send], [ui.close, words.close]]) {
    button.setAttribute("aria-label", word);
    button.title = word;
  }
  paint(root.dataset.accent || new URLSearchParams(location.search).get("accent") || "");

  /** Takes a website's own colour, with black or white on it, whichever can be read. */
  function paint(accent) {
    const hex = /^#?([0-9a-f]{6})$/i.exec(accent);
    if (!hex) return;
    const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex[1].slice(at, at + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    root.style.setProperty("--accent", `#${hex[1]}`);
    root.style.setProperty("--on-accent", light > 0.18 ? "#000" : "#fff");
  }

  // What outlives a reload -------------------------------------------------------------------------------------
  // A browser may refuse storage in a frame; the chat then lives as long as the page.
  const memory = new Map();
  const place = (name) => `pointsman.${chat.dataset.key}.${name}`;
  const keep = {
    get(name) {
      try { return JSON.parse(localStorage.getItem(place(name))); } catch { return memory.get(name) ?? null; }
    },
    set(name, value) {
      memory.set(name, value);
      try { localStorage.setItem(place(name), JSON.stringify(value)); } catch { /* memory has it */ }
    },
  };

  let session = keep.get("session");
  let outbox = keep.get("outbox") || [];
  const saveOutbox = () => keep.set("outbox", outbox);

  // The server -------------------------------------------------------------------------------------------------
  class Refused extends Error {
    constructor(status, problem, retryAfter) {
      super((problem && problem.detail) || `status ${status}`);
      this.status = status;
      this.retryAfter = retryAfter;
    }
  }

  async function call(path, options = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), SEND_MS_MAX);
    try {
      const headers = { ...(options.body ? { "content-type": "application/json" } : {}) };
      if (session) headers["x-pointsman-visitor"] = session.token;
      const response = await fetch(base + path, { ...options, headers, signal: stop.signal, credentials: "omit" });
      const body = await response.json().catch(() => null);
      if (!response.ok) throw new Refused(response.status, body, Number(response.headers.get("retry-after")) || 0);
      return body;
    } finally {
      clearTimeout(timer);
    }
  }

  async function ensureSession() {
    if (session) return;
    session = await call("session", { method: "POST" });
    keep.set("session", session);
  }

  /** Our token is no longer taken: the channel's key was replaced. Begin anew; what was not sent is kept. */
  function forgetSession() {
    session = null;
    keep.set("session", null);
    disconnect();
  }

  // The thread -------------------------------------------------------------------------------------------------
  const shown = new Map(); // server id, or our own id until the server has it → entry
  let entries = [];

  /** Adds or completes an entry; answers whether it is a new one. */
  function put(message) {
    const own = message.client_id && shown.get(`own:${message.client_id}`);
    const known = shown.get(message.id) || own;
    if (known) {
      Object.assign(known, message, { time: Date.parse(message.at) });
      if (message.direction === "inbound") known.state = "sent";
      shown.set(message.id, known);
      return false;
    }
    const entry = { ...message, time: Date.parse(message.at) };
    if (entry.direction === "inbound") entry.state = "sent";
    shown.set(message.id, entry);
    if (message.client_id) shown.set(`own:${message.client_id}`, entry);
    entries.push(entry);
    return true;
  }

  function putOwn(item) {
    const entry = {
      client_id: item.id, direction: "inbound", from: { kind: "visitor" }, choices: [], kind: item.choice ? "choice" : "text",
      text: item.choice ? item.choice.title : item.text, at: item.at, time: Date.parse(item.at), state: item.failed ? "failed" : "sending",
      reply: item.choice && item.choice.id,
    };
    shown.set(`own:${item.id}`, entry);
    entries.push(entry);
  }

  function order(a, b) {
    if (a.id && b.id) return a.order[0] - b.order[0] || a.order[1] - b.order[1] || (a.id < b.id ? -1 : 1);
    // What the server has not placed yet comes last; the two clocks may differ.
    return (a.id ? 0 : 1) - (b.id ? 0 : 1) || a.time - b.time;
  }

  const el = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  let drawn = new Map();

  /** Brings the list in line with the entries. What is read out is said in a place of its own. */
  function render({ quiet = false } = {}) {
    const atEnd = isAtEnd();
    entries.sort(order);
    const next = new Map();
    let before = null;
    let cursor = ui.log.firstElementChild;
    entries.forEach((entry, at) => {
      const after = entries[at + 1];
      const day = dayOf(entry);
      const isFirst = !before || !together(before, entry);
      const isLast = !after || !together(entry, after);
      const picked = after && after.direction === "inbound" ? entries.slice(at + 1).find((it) => it.direction === "inbound") : null;
      const key = entry.client_id ? `own:${entry.client_id}` : entry.id;
      const look = JSON.stringify([entry.text, entry.state, entry.waits, isFirst, isLast, !before || dayOf(before) !== day ? day : "", picked && picked.text]);
      let node = drawn.get(key);
      if (!node || node.dataset.look !== look) {
        const fresh = draw(entry, { day: !before || dayOf(before) !== day ? day : null, isFirst, isLast, picked });
        fresh.dataset.look = look;
        if (node) {
          const focus = node.contains(document.activeElement);
          node.replaceWith(fresh);
          if (node === cursor) cursor = fresh;
          if (focus) ui.text.focus({ preventScroll: true });
        } else if (!quiet) {
          fresh.classList.add("new");
        }
        node = fresh;
      }
      if (node === cursor) cursor = cursor.nextElementSibling;
      else ui.log.insertBefore(node, cursor);
      next.set(key, node);
      before = entry;
    });
    for (const [key, node] of drawn) if (!next.has(key)) node.remove();
    drawn = next;
    ui.empty.hidden = entries.length > 0;
    if (atEnd || quiet) toEnd(quiet);
  }

  const together = (a, b) =>
    a.direction === b.direction && a.from.kind === b.from.kind && a.from.name === b.from.name &&
    dayOf(a) === dayOf(b) && b.time - a.time < GROUP_MS;

  const dayOf = (entry) => new Date(entry.time).toDateString();

  function dayName(entry) {
    const days = Math.round((new Date(new Date().toDateString()) - new Date(dayOf(entry))) / 864e5);
    return days === 0 ? words.today : days === 1 ? words.yesterday : calendar.format(entry.time);
  }

  function draw(entry, { day, isFirst, isLast, picked }) {
    const mine = entry.direction === "inbound";
    const item = el("li", ["", mine && "mine", isFirst && "first", isLast && "last", mine && entry.state].filter(Boolean).join(" "));
    if (day) item.append(el("span", "day", dayName(entry)));
    if (mine) item.append(el("span", "hidden", `${words.you}: `));
    else if (isFirst) item.append(el("span", "from", entry.from.name || (entry.from.kind === "automatic" ? words.automatic : "")));
    item.append(bubble(entry));
    if (entry.choices && entry.choices.length) item.append(choices(entry, picked));
    item.append(meta(entry, mine));
    return item;
  }

  function bubble(entry) {
    if (entry.text) {
      const node = el("div", "bubble");
      node.append(...linked(entry.text));
      return node;
    }
    return el("div", "bubble note", words[entry.kind] || words.other);
  }

  /** Text with its web addresses as links; everything stays text. */
  function linked(text) {
    const parts = [];
    let at = 0;
    for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
      parts.push(text.slice(at, found.index));
      const link = el("a", "", found[0]);
      link.href = found[0];
      link.target = "_blank";
      link.rel = "noopener noreferrer nofollow";
      parts.push(link);
      at = found.index + found[0].length;
    }
    parts.push(text.slice(at));
    return parts;
  }

  function choices(entry, picked) {
    const row = el("div", "choices");
    for (const choice of entry.choices) {
      const button = el("button", "choice", choice.title);
      button.type = "button";
      button.disabled = Boolean(picked);
      if (picked && picked.text === choice.title) {
        button.classList.add("picked");
        button.setAttribute("aria-pressed", "true");
      }
      button.addEventListener("click", () => {
        ui.text.focus({ preventScroll: true });
        write({ choice });
      });
      row.append(button);
    }
    return row;
  }

  function meta(entry, mine) {
    const node = el("div", "meta");
    const time = el("time", "", clock.format(entry.time));
    time.dateTime = new Date(entry.time).toISOString();
    if (!mine) node.append(time);
    else if (entry.state === "failed") {
      const again = el("button", "again", words.again);
      again.type = "button";
      again.addEventListener("click", () => retry(entry));
      node.append(el("span", "", words.failed), again);
    } else if (entry.state === "sending") node.append(el("span", "", navigator.onLine === false ? words.waiting : words.sending));
    else node.append(time, el("span", "", `· ${words.sent}`));
    return node;
  }

  // Scrolling --------------------------------------------------------------------------------------------------
  const isAtEnd = () => ui.scroll.scrollHeight - ui.scroll.scrollTop - ui.scroll.clientHeight < 60;

  function toEnd(atOnce) {
    ui.scroll.classList.toggle("smooth", !atOnce);
    ui.scroll.scrollTop = ui.scroll.scrollHeight;
    ui.latest.hidden = true;
  }

  ui.scroll.addEventListener("scroll", () => { if (isAtEnd()) ui.latest.hidden = true; }, { passive: true });
  ui.latest.addEventListener("click", () => { toEnd(false); ui.text.focus({ preventScroll: true }); });
  new ResizeObserver(() => { if (ui.latest.hidden) toEnd(true); }).observe(ui.scroll);

  // Writing ----------------------------------------------------------------------------------------------------
  const length = (text) => [...text].length;

  function measure() {
    ui.text.style.height = "auto";
    ui.text.style.height = `${ui.text.scrollHeight}px`;
    const used = length(ui.text.value);
    const left = TEXT_CHARS_MAX - used;
    ui.count.textContent = used < COUNT_FROM ? "" : left >= 0 ? `${left} ${words.left}` : `${-left} ${words.over}`;
    ui.count.classList.toggle("over", left < 0);
    ui.send.disabled = !ui.text.value.trim() || left < 0;
  }

  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return Date.now().toString(36) + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function write(what) {
    if (outbox.length >= OUTBOX_MAX) return;
    const item = { id: newId(), at: new Date().toISOString(), ...what };
    outbox.push(item);
    saveOutbox();
    putOwn(item);
    render();
    toEnd(false);
    flush();
  }

  function retry(entry) {
    const item = outbox.find((it) => it.id === entry.client_id);
    if (!item) return;
    delete item.failed;
    entry.state = "sending";
    saveOutbox();
    render();
    flush();
  }

  let flushing = false;
  let flushTimer = 0;

  /** Sends what waits, in order, one at a time. */
  async function flush() {
    clearTimeout(flushTimer);
    if (flushing) return;
    flushing = true;
    let pause = 0;
    try {
      for (let item; (item = outbox.find((it) => !it.failed)); ) {
        pause = await deliver(item);
        if (pause) break;
      }
    } finally {
      flushing = false;
    }
    if (pause) flushTimer = setTimeout(flush, pause);
  }

  /** Sends one message; answers how long to wait before the next try, 0 when it is settled. */
  async function deliver(item) {
    const entry = shown.get(`own:${item.id}`);
    try {
      await ensureSession();
      const body = item.choice ? { id: item.id, choice: item.choice } : { id: item.id, text: item.text };
      await call("messages", { method: "POST", body: JSON.stringify(body) });
      outbox = outbox.filter((it) => it !== item);
      saveOutbox();
      entry.state = "sent";
      render();
      connect();
      return 0;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        forgetSession();
        return 500;
      }
      const isFinal = error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429 && error.status !== 408;
      item.tries = (item.tries || 0) + 1;
      if (isFinal || (!(error instanceof Refused) && navigator.onLine !== false && item.tries >= 6)) {
        item.failed = true;
        entry.state = "failed";
        ui.said.textContent = words.failed;
        saveOutbox();
        render();
        return 0;
      }
      render();
      const retryAfter = error instanceof Refused ? error.retryAfter * 1000 : 0;
      return Math.max(retryAfter, backoff(item.tries));
    }
  }

  const backoff = (tries) => {
    const ceiling = Math.min(BACKOFF_MS_MAX, 1000 * 2 ** Math.min(tries, 8));
    return ceiling / 2 + Math.random() * (ceiling / 2);
  };

  ui.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = ui.text.value.trim();
    if (!text || length(text) > TEXT_CHARS_MAX) return;
    ui.text.value = "";
    keep.set("draft", "");
    measure();
    ui.text.focus({ preventScroll: true });
    write({ text });
  });

  ui.text.addEventListener("keydown", (event) => {
    // While an input method composes, Enter belongs to it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      if (!ui.send.disabled) ui.form.requestSubmit();
    }
  });

  let draftTimer = 0;
  ui.text.addEventListener("input", () => {
    measure();
    clearTimeout(draftTimer);
    draftTimer = setTimeout(() => keep.set("draft", ui.text.value), 300);
  });

  // Listening --------------------------------------------------------------------------------------------------
  let source = null;
  let lost = 0;
  let listenTimer = 0;

  function setState(state, text) {
    ui.state.dataset.state = state;
    if (ui.state.textContent !== text) ui.state.textContent = text;
  }

  /** Opens the stream once there is something to listen for, and reads what was missed in between. */
  function connect() {
    if (source || !session || entries.length === 0) return;
    clearTimeout(listenTimer);
    const stream = new EventSource(`${base}stream?token=${encodeURIComponent(session.token)}`);
    source = stream;
    stream.addEventListener("open", async () => {
      lost = 0;
      setState("online", words.online);
      // The stream begins now; whatever came before it is in the history.
      await catchUp().catch(() => {});
      flush();
    });
    stream.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (put(message)) arrived([message]);
      else render();
    });
    stream.addEventListener("received", (event) => {
      const message = JSON.parse(event.data);
      outbox = outbox.filter((item) => item.id !== message.client_id);
      saveOutbox();
      put(message);
      render();
    });
    stream.addEventListener("error", () => {
      if (source !== stream) return;
      // The browser would come back by itself after a broken connection but not after a refusal; we treat both alike.
      disconnect();
      lost += 1;
      const offline = navigator.onLine === false;
      setState(offline ? "offline" : "waiting", offline ? words.offline : words.reconnecting);
      listenTimer = setTimeout(relisten, backoff(lost - 1));
    });
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  async function relisten() {
    try {
      await catchUp();
      connect();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        forgetSession();
        setState("online", "");
        return;
      }
      lost += 1;
      listenTimer = setTimeout(relisten, backoff(lost));
    }
  }

  /** Reads what the history has and we have not. The last messages are read again: a late one may lie between them. */
  async function catchUp() {
    if (!session) return;
    const page = await call("messages");
    const news = page.items.filter((message) => put(message) && message.direction === "outbound");
    if (news.length) arrived(news);
    else render();
  }

  let unread = 0;

  /** Something came: show it, say it, and tell that it is there. */
  function arrived(news) {
    ui.said.textContent = news.map((it) => `${it.from.name || words.automatic}: ${it.text || words[it.kind] || words.other}`).join("\n");
    const wasAtEnd = isAtEnd();
    render();
    if (!wasAtEnd) ui.latest.hidden = false;
    if (framed && !isOpen) {
      unread += news.length;
      tellParent({ type: "pointsman:unread", count: unread });
    }
  }

  ui.earlier.addEventListener("click", async () => {
    const first = entries.find((entry) => entry.id);
    if (!first) return;
    ui.earlier.disabled = true;
    try {
      const page = await call(`messages?before=${encodeURIComponent(first.id)}`);
      const height = ui.scroll.scrollHeight;
      page.items.forEach(put);
      render();
      ui.scroll.classList.remove("smooth");
      ui.scroll.scrollTop += ui.scroll.scrollHeight - height;
      ui.earlier.hidden = !page.more;
    } catch { /* the button stays */ } finally {
      ui.earlier.disabled = false;
    }
  });

  // The frame on somebody's website ----------------------------------------------------------------------------
  let isOpen = !framed;
  // Only "open" and a number are told, so whoever frames us may know.
  const tellParent = (message) => window.parent.postMessage(message, "*");

  if (framed) {
    ui.close.hidden = false;
    ui.close.addEventListener("click", () => tellParent({ type: "pointsman:close" }));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) tellParent({ type: "pointsman:close" });
    });
    window.addEventListener("message", (event) => {
      if (event.source !== window.parent || !event.data) return;
      if (event.data.type === "pointsman:opened") {
        isOpen = true;
        unread = 0;
        tellParent({ type: "pointsman:unread", count: 0 });
        toEnd(true);
        ui.text.focus({ preventScroll: true });
      } else if (event.data.type === "pointsman:closed") {
        isOpen = false;
      }
    });
  }

  // Another tab of the same visitor may have sent what waits here, or begun the session.
  window.addEventListener("storage", (event) => {
    if (event.key === place("session") && event.newValue && !session) {
      session = keep.get("session");
      relisten();
    }
  });
  window.addEventListener("online", () => {
    setState("waiting", words.reconnecting);
    lost = 0;
    clearTimeout(listenTimer);
    disconnect();
    if (session) relisten();
    else setState("online", "");
    flush();
  });
  window.addEventListener("offline", () => {
    setState("offline", words.offline);
    render();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && session && !source) {
      clearTimeout(listenTimer);
      relisten();
    }
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => { if (event.persisted && session) relisten(); });

  // Begin ------------------------------------------------------------------------------------------------------
  async function begin() {
    ui.text.value = keep.get("draft") || "";
    measure();
    outbox.forEach(putOwn);
    render({ quiet: true });
    if (session) {
      setState("waiting", words.connecting);
      try {
        const page = await call("messages");
        page.items.forEach(put);
        ui.earlier.hidden = !page.more;
        render({ quiet: true });
        if (entries.length === 0) setState("online", "");
        connect();
      } catch (error) {
        if (error instanceof Refused && error.status === 401) forgetSession();
        else if (error instanceof Refused && error.status === 404) return setState("offline", words.gone);
        else {
          lost = 1;
          setState("waiting", words.reconnecting);
          listenTimer = setTimeout(relisten, backoff(1));
        }
      }
    }
    flush();
    if (framed) tellParent({ type: "pointsman:ready" });
    else if (matchMedia("(hover: hover)").matches) ui.text.focus({ preventScroll: true });
  }

  begin();
})();
