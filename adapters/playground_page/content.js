// A message's content as document nodes: text that people wrote, and the blocks that the bot sends.

import { link, make, moment, avatar, spoken } from "./dom.js";

const EMOJI = {
  eyes: "👀", white_check_mark: "✅", heavy_check_mark: "✔️", warning: "⚠️", x: "❌", thumbsup: "👍", "+1": "👍",
  thumbsdown: "👎", "-1": "👎", heart: "❤️", hourglass: "⏳", hourglass_flowing_sand: "⏳", lock: "🔒", raised_hand: "✋",
  speech_balloon: "💬", tada: "🎉", pencil2: "✏️", no_entry: "⛔", ticket: "🎫", rotating_light: "🚨", bell: "🔔",
};

export const emoji = (name) => EMOJI[name] ?? (/^[\w+-]+$/.test(name) ? `:${name}:` : name);

function span({ text, style, url, ping }) {
  let node = url ? link(url, text) : document.createDocumentFragment();
  if (!url) node.append(...(style.includes("code") ? [text] : spoken(text)));
  if (style.includes("code")) node = make("code", {}, node);
  if (style.includes("s")) node = make("s", {}, node);
  if (style.includes("i")) node = make("em", {}, node);
  if (style.includes("b")) node = make("strong", {}, node);
  return ping ? make("span", { class: "ping" }, node) : node;
}

const line = (spans) => spans.map(span);

function lines(items) {
  return items.flatMap((item, index) => (index ? [make("br"), ...line(item)] : line(item)));
}

function fields(items) {
  const list = make("dl", { class: "fields" });
  for (let index = 0; index + 1 < items.length; index += 2) {
    list.append(make("div", {}, make("dt", {}, ...line(items[index])), make("dd", {}, ...line(items[index + 1]))));
  }
  return list;
}

/** A line of its own that is all bold heads what follows it, on every platform. */
const isHeading = (items) => items.length === 1 && items[0].length > 0 && items[0].every(({ style }) => style.includes("b"));

const BLOCKS = {
  para: (items) => make("p", { class: isHeading(items) && "heading" }, ...lines(items)),
  heading: (items) => make("p", { class: "heading" }, ...lines(items)),
  bullets: (items) => make("ul", {}, ...items.map((item) => make("li", {}, ...line(item)))),
  numbers: (items) => make("ol", {}, ...items.map((item) => make("li", {}, ...line(item)))),
  code: (items) => make("pre", { tabindex: "0", "aria-label": "Code" }, make("code", {}, ...lines(items))),
  quote: (items) => make("blockquote", {}, ...lines(items)),
  fields,
  divider: () => make("hr"),
  note: (items) => make("p", { class: "note" }, ...lines(items)),
};

export function blocks(list) {
  return list.map(({ type, items }) => (BLOCKS[type] ?? BLOCKS.para)(items));
}

/** Everything in a message below its author's name. */
export function body(message) {
  const inside = make("div", { class: "body" });
  if (message.title || message.status) {
    inside.append(
      make("div", { class: "card-head" },
        message.title ? make("p", { class: "card-title", text: message.title }) : null,
        message.status ? make("span", { class: "chip status", text: message.status }) : null),
    );
  }
  if (message.text) inside.append(make("p", { class: "spoken" }, ...spoken(message.text)));
  inside.append(...blocks(message.blocks));
  for (const file of message.files) inside.append(attachment(file));
  if (message.footer) inside.append(make("p", { class: "footer", text: message.footer }));
  return inside;
}

function attachment(file) {
  const size = file.size ? ` (${Math.max(1, Math.round(file.size / 1000))} kB)` : "";
  const name = `${file.name}${size}`;
  if (!file.here) return make("p", { class: "file", text: name });
  const to = `/playground/file/${encodeURIComponent(file.id)}`;
  return make("p", { class: "file" }, make("a", { href: to, download: file.name, text: name }));
}

const TAGS = { bot: "bot", agent: "desk", relayed: "person", customer: "" };

/** Who said it and when. */
export function byline(message) {
  const { name, kind } = message.author;
  return make("p", { class: "byline" },
    make("span", { class: "name", text: name }),
    TAGS[kind] ? make("span", { class: `chip ${kind}`, text: TAGS[kind] }) : null,
    moment(message.at),
    message.edited ? make("span", { class: "hint", text: "edited" }) : null,
    message.private_to ? make("span", { class: "chip only", text: "only you see this" }) : null);
}

export const face = (message) => avatar(message.author.name, message.author.kind);

/** The message in one breath, for people who listen. */
export function gist(message) {
  const words = [message.title, message.text, ...message.blocks.flatMap((b) => b.items.map((i) => i.map((s) => s.text).join("")))];
  return `${message.author.name}: ${words.filter(Boolean).join(". ").slice(0, 180)}`;
}
