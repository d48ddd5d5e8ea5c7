// Small words for making document nodes. Every text goes in as text; nothing is ever parsed as markup.

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-")) node.setAttribute(name, String(value)); // "false" says something here
    else if (value === null || value === undefined || value === false) continue;
    else if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** A link that can only be followed to a web page or a mail address; anything else stays text. */
export function link(url, text) {
  let scheme = "";
  try {
    scheme = new URL(url).protocol;
  } catch {
    return document.createTextNode(text);
  }
  if (!["http:", "https:", "mailto:"].includes(scheme)) return document.createTextNode(text);
  return make("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow", text });
}

/** What a person wrote, with the web addresses in it made into links. */
export function spoken(text) {
  const parts = text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/);
  return parts.map((part, index) => (index % 2 ? link(part, part) : document.createTextNode(part)));
}

/** A number for a name, so that the same person always has the same colour. */
export function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return sum % 6;
}

export function avatar(name, kind = "customer") {
  const initials = kind === "bot" ? "" : [...name.trim()].slice(0, 1).join("").toUpperCase() || "?";
  return make("span", { class: `avatar ${kind} hue${hue(name)}`, "aria-hidden": "true", text: initials });
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [4.35, "week"], [12, "month"]];

export function ago(seconds) {
  if (seconds < 45) return "just now";
  let value = seconds;
  for (const [size, unit] of STEPS) {
    if (value < size) return `${Math.round(value)} ${unit}${Math.round(value) === 1 ? "" : "s"} ago`;
    value /= size;
  }
  return `${Math.round(value)} years ago`;
}

export function moment(at) {
  const when = new Date(at * 1000);
  return make("time", { datetime: when.toISOString(), title: when.toLocaleString(), text: ago(Date.now() / 1000 - at) });
}

export function refreshMoments() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time")) {
    const words = ago((now - Date.parse(node.dateTime)) / 1000);
    if (node.textContent !== words) node.textContent = words;
  }
}
