// Puts the chat on any website:
//   <script src="…/chat/KEY/embed.js" async data-label="Chat with us" data-color="#2456d6" data-side="right"></script>
// A button in the corner opens the chat page in a frame. Everything lives in a
// shadow tree, so neither the website's styles nor ours reach the other.
"use strict";

(() => {
  const script = document.currentScript;
  if (!script || document.querySelector("pointsman-chat")) return;
  const page = new URL(script.src, location.href);
  page.pathname = page.pathname.replace(/\/embed\.js$/, "");
  page.search = "";
  page.hash = "";

  const data = script.dataset;
  const label = data.label || "Chat";
  const closeLabel = data.closeLabel || "Close chat";
  const color = /^#[0-9a-f]{6}$/i.test(data.color || "") ? data.color : "#2456d6";
  const side = data.side === "left" ? "left" : "right";
  const zIndex = /^\d{1,10}$/.test(data.zIndex || "") ? data.zIndex : "2147483000";
  if (data.color) page.searchParams.set("accent", color);

  const channels = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const ink = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2] > 0.18 ? "#000" : "#fff";

  const CSS = `
    :host { all: initial; }
    .open {
      position: fixed; z-index: ${zIndex};
      ${side}: max(20px, env(safe-area-inset-${side})); bottom: max(20px, env(safe-area-inset-bottom));
      width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%;
      background: ${color}; color: ${ink}; cursor: pointer;
      box-shadow: 0 6px 20px rgb(0 0 0 / 24%), 0 1px 3px rgb(0 0 0 / 18%);
      display: grid; place-items: center; transition: transform 0.15s;
    }
    .open:hover { transform: scale(1.05); }
    .open:focus-visible { outline: 3px solid ${color}; outline-offset: 3px; }
    .badge {
      position: absolute; top: -4px; ${side === "right" ? "left" : "right"}: -4px;
      min-width: 22px; height: 22px; padding: 0 6px; box-sizing: border-box; border-radius: 11px;
      background: #c62828; color: #fff; font: 700 13px/22px system-ui, sans-serif; text-align: center;
    }
    .frame {
      position: fixed; z-index: ${zIndex};
      ${side}: max(20px, env(safe-area-inset-${side})); bottom: calc(max(20px, env(safe-area-inset-bottom)) + 76px);
      width: min(400px, calc(100vw - 40px)); height: min(640px, calc(100dvh - 120px));
      border: 0; border-radius: 18px; overflow: hidden; background: Canvas; color-scheme: light dark;
      box-shadow: 0 16px 48px rgb(0 0 0 / 28%), 0 2px 8px rgb(0 0 0 / 14%);
    }
    .shut { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    [hidden] { display: none !important; }
    @media (max-width: 480px) {
      .frame { inset: 0; width: 100vw; height: 100dvh; border-radius: 0; }
      .open[aria-expanded="true"] { display: none; }
    }
    @media (prefers-reduced-motion: reduce) { .open { transition: none; } .open:hover { transform: none; } }
    @media print { .open, .frame { display: none; } }
  `;

  const host = document.createElement("pointsman-chat");
  const shadow = host.attachShadow({ mode: "closed" });
  // A sheet made by script is allowed where the website's own policy forbids inline styles.
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    shadow.adoptedStyleSheets = [sheet];
  } catch {
    const style = document.createElement("style");
    style.textContent = CSS;
    shadow.append(style);
  }

  const svg = (path) => {
    const NS = "http://www.w3.org/2000/svg";
    const image = document.createElementNS(NS, "svg");
    image.setAttribute("viewBox", "0 0 24 24");
    image.setAttribute("width", "28");
    image.setAttribute("height", "28");
    image.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(NS, "path");
    shape.setAttribute("d", path.d);
    shape.setAttribute("fill", path.line ? "none" : "currentColor");
    if (path.line) {
      shape.setAttribute("stroke", "currentColor");
      shape.setAttribute("stroke-width", "2");
      shape.setAttribute("stroke-linecap", "round");
      shape.setAttribute("stroke-linejoin", "round");
    }
    image.append(shape);
    return image;
  };
  const bubble = svg({ d: "M12 3.5c-4.97 0-9 3.36-9 7.5 0 2.3 1.24 4.36 3.2 5.73-.1 1.13-.5 2.2-1.2 3.1-.2.26 0 .65.33.6 1.86-.24 3.4-.9 4.56-1.67.68.13 1.39.2 2.11.2 4.97 0 9-3.36 9-7.5s-4.03-7.96-9-7.96z" });
  const chevron = svg({ d: "M6 9l6 6 6-6", line: true });

  const button = document.createElement("button");
  button.type = "button";
  button.className = "open";
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-haspopup", "dialog");
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.hidden = true;
  const spoken = document.createElement("span");
  spoken.className = "shut";
  spoken.setAttribute("role", "status");
  button.append(bubble, badge);
  shadow.append(button, spoken);

  let frame = null;
  let ready = false;
  let isOpen = false;
  let unread = 0;

  function tell(type) {
    if (frame && ready) frame.contentWindow.postMessage({ type }, page.origin);
  }

  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.className = "frame";
    frame.title = label;
    frame.hidden = true;
    frame.src = page.href;
    shadow.append(frame);
  }

  function show() {
    button.setAttribute("aria-expanded", String(isOpen));
    const name = isOpen ? closeLabel : unread ? `${label} (${unread})` : label;
    button.setAttribute("aria-label", name);
    button.title = isOpen ? closeLabel : label;
    button.replaceChildren(isOpen ? chevron : bubble, badge);
    badge.hidden = isOpen || unread === 0;
    badge.textContent = unread > 99 ? "99+" : String(unread);
    if (frame) frame.hidden = !isOpen;
  }

  function open() {
    load();
    isOpen = true;
    unread = 0;
    spoken.textContent = "";
    show();
    tell("pointsman:opened");
    frame.focus();
  }

  function close() {
    if (!isOpen) return;
    isOpen = false;
    show();
    tell("pointsman:closed");
    button.focus();
  }

  button.addEventListener("click", () => (isOpen ? close() : open()));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen && !event.defaultPrevented) close();
  });
  window.addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== page.origin || !event.data) return;
    switch (event.data.type) {
      case "pointsman:ready":
        ready = true;
        tell(isOpen ? "pointsman:opened" : "pointsman:closed");
        break;
      case "pointsman:close":
        close();
        break;
      case "pointsman:unread":
        unread = isOpen ? 0 : Math.max(0, Number(event.data.count) || 0);
        if (unread) spoken.textContent = `${label}: ${unread}`;
        show();
        break;
    }
  });

  // Somebody who chatted before is told of answers without opening the chat first.
  const remembered = `pointsman.opened.${page.pathname}`;
  const remember = () => { try { localStorage.setItem(remembered, "1"); } catch { /* not worth a word */ } };
  button.addEventListener("click", remember, { once: true });
  let chattedBefore = false;
  try { chattedBefore = localStorage.getItem(remembered) === "1"; } catch { /* then not */ }

  function begin() {
    show();
    document.body.append(host);
    if (chattedBefore) load();
    if (data.open === "true") open();
  }
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
})();
