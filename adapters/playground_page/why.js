// The why pane: each decision in words, grouped by conversation, newest first; and what it rests on, unfolded.

import { byId, make, moment } from "./dom.js";
import { store } from "./store.js";

const groups = new Map();
const pane = () => byId("feed-why");

export function drawWhy() {
  groups.clear();
  pane().replaceChildren();
  if (!store.traces.length) pane().append(emptyWords());
  for (const trace of store.traces) addTrace(trace);
}

const emptyWords = () => make("div", { class: "empty" },
  make("p", { class: "empty-title", text: "Nothing decided yet" }),
  make("p", { text: "Ask something as a customer. Every decision appears here with its reason, its evidence and its confidence, in words." }));

export function addTrace(trace) {
  pane().querySelector(":scope > .empty")?.remove();
  const group = groupOf(trace.conversation);
  group.list.prepend(decision(trace));
  while (group.list.children.length > 60) group.list.lastElementChild.remove();
  group.head.replaceChildren(...headWords(trace));
  const busy = group.node.contains(document.activeElement) && document.activeElement !== document.body;
  if (pane().firstElementChild !== group.node && !busy) pane().prepend(group.node);
}

function groupOf(conversation) {
  let group = groups.get(conversation);
  if (!group) {
    const head = make("h2", { class: "group-head" });
    const list = make("ol", { class: "decisions" });
    group = { head, list, node: make("section", { class: "group" }, head, list) };
    groups.set(conversation, group);
    pane().prepend(group.node);
  }
  return group;
}

function headWords(trace) {
  const [, , channel = "", root = ""] = trace.place.split(":");
  const direct = channel.startsWith("dm-");
  const author = store.messages.get(root)?.author;
  const who = trace.customer || (direct ? store.people.get(channel.slice(3))?.name : author?.kind === "bot" ? "" : author?.name);
  const where = direct ? "direct message" : channel ? `#${channel}` : "";
  const words = [make("span", { text: [who, where].filter(Boolean).join(", ") || "the process itself" })];
  const { ticket, phase } = trace;
  if (ticket) words.push(make("span", { class: "chip", text: [ticket.id, ticket.priority, ticket.state, ticket.assignee].filter(Boolean).join(" · ") }));
  if (phase && trace.kind !== "command") words.push(make("span", { class: "hint", text: phase }));
  return words;
}

function decision(trace) {
  const summary = make("summary", {},
    make("span", { class: `chip ${trace.tone}`, text: trace.label }),
    make("span", { class: "reason", text: trace.why }),
    moment(trace.at),
    trace.confidence === null ? null : bar(trace.confidence, trace.threshold));
  const inside = make("div", { class: "inside" });
  if (trace.confidence !== null) inside.append(meter(trace));
  if (trace.evidence.length) inside.append(make("h3", { text: "What it found" }), make("ol", { class: "evidence" }, ...trace.evidence.map(evidence)));
  if (trace.search.length) inside.append(make("ul", { class: "search-why" }, ...trace.search.map((text) => make("li", { text }))));
  if (trace.fired.length) inside.append(make("h3", { text: "What fired" }), rules(trace.fired));
  if (trace.rules.length) inside.append(make("h3", { text: "What it checked" }), rules(trace.rules));
  inside.append(facts(trace));
  return make("li", { "data-trace": trace.number, tabindex: "-1" },
    make("details", {}, summary, inside));
}

/** A bar with the line for answering on it. It repeats the number beside it, so it is hidden from listeners. */
function bar(value, threshold) {
  const fill = make("span", { class: threshold !== null && value < threshold ? "fill below" : "fill" });
  fill.style.setProperty("--share", value);
  const whole = make("span", { class: "bar", "aria-hidden": "true" }, fill);
  if (threshold !== null) {
    const line = make("span", { class: "line", title: "the line for answering" });
    line.style.setProperty("--share", threshold);
    whole.append(line);
  }
  return whole;
}

/** Never a certainty that nobody has. */
function percent(value) {
  if (value > 0.994) return "over 99 %";
  return value < 0.006 ? "under 1 %" : `${Math.round(value * 100)} %`;
}

function meter(trace) {
  return make("p", { class: "meter" },
    make("strong", { text: `Confidence ${percent(trace.confidence)}` }), ". ", trace.verdict);
}

function evidence(entry) {
  return make("li", {},
    make("div", { class: "evidence-head" },
      make("span", { class: "evidence-title", text: entry.title }),
      entry.confidence === null ? null : make("span", { class: "figure", text: percent(entry.confidence) })),
    entry.confidence === null ? null : bar(entry.confidence, null),
    make("p", { class: "hint", text: [entry.topic, entry.score && `score ${entry.score}`, ...entry.parts.map(([name, value]) => `${name} ${value}`)].filter(Boolean).join(" · ") }));
}

function rules(list) {
  return make("dl", { class: "rules" }, ...list.map(([rule, finding]) =>
    make("div", {}, make("dt", { text: rule }), make("dd", { text: finding || "nothing" }))));
}

function facts(trace) {
  const parts = [
    trace.event && `event: ${trace.event}`,
    trace.snapshot && `knowledge ${trace.snapshot.slice(0, 12)}`,
    ...trace.timings.map(([step, words]) => `${step} ${words}`),
  ];
  return make("p", { class: "hint facts", text: parts.filter(Boolean).join(" · ") });
}

/** Unfold the decision behind a message: the newest of its conversation that is not younger than it. */
export function showWhy(message) {
  const place = `playground:playground:${message.channel}:${message.channel.startsWith("dm-") ? "-" : message.thread ?? message.id}`;
  const customer = store.messages.get(message.thread)?.author.name ?? store.people.get(message.channel.slice(3))?.name;
  const silent = new Set(["relay", "ignore", "note"]);
  const here = (t) => (t.place ? t.place === place : t.customer === customer) && t.at <= message.at + 0.5;
  const all = store.traces.filter(here);
  const trace = all.filter((t) => !silent.has(t.kind)).at(-1) ?? all.at(-1);
  const item = trace && pane().querySelector(`[data-trace="${trace.number}"]`);
  if (!item) return false;
  item.querySelector("details").open = true;
  item.scrollIntoView({ block: "start" });
  item.querySelector("summary").focus();
  return true;
}
