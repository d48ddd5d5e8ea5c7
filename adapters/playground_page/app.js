// The page: who sits where, what is shown, and the keys.

import { byId, make, avatar, refreshMoments } from "./dom.js";
import { blocks } from "./content.js";
import { act, connect, on, store } from "./store.js";
import { Feed, send, sendOnEnter, subject } from "./feed.js";
import { openForm, upload } from "./forms.js";
import { addTrace, drawWhy, showWhy } from "./why.js";

const COMMANDS = ["status", "search refund", "reload", "review", "gaps", "report"];
const results = new Map(); // key of a command given in the pane -> where its result goes
const spoken = [];

// --- the two feeds -------------------------------------------------------------------------------------

function customerEmpty(feed) {
  const { user, channel } = feed.seat;
  const here = [...store.messages.values()].filter((m) => m.channel === channel);
  if (here.some((m) => m.author.id === user)) return null;
  const person = store.people.get(user);
  if (!person || person.desk) return here.length ? null : make("div", { class: "empty" }, make("p", { text: "Nobody has written here yet." }));
  const home = channel === store.channels[0] || feed.isDirect;
  const words = home
    ? `Ask ${store.title} anything that its team has written down. It says so when it does not know, and fetches a person when one is needed.`
    : `Here the bot listens only when it is called: begin with @${store.title}.`;
  return make("div", { class: "empty" },
    make("p", { class: "empty-title", text: `Hello ${person.name}` }), make("p", { text: words }),
    make("div", { class: "starters", role: "group", "aria-label": "Questions to begin with" },
      ...store.suggestions.map((text) => make("button", {
        type: "button", text,
        onclick: () => say(home ? text : `@${store.title} ${text}`),
      }))));
}

function deskEmpty(feed) {
  const here = [...store.messages.values()].some((m) => m.channel === feed.seat.channel && feed.shows(m));
  return here ? null : make("div", { class: "empty" },
    make("p", { class: "empty-title", text: "No tickets yet" }),
    make("p", { text: "When the bot hands a conversation over, its card appears here with everything that an agent needs to begin." }));
}

async function say(text) {
  const box = byId("customer-text");
  box.value = text;
  feeds.customer.target = null;
  box.form.requestSubmit();
  box.focus();
}

const inPane = (message) => message.interaction !== "" && results.has(message.interaction);

const feeds = {
  customer: new Feed("customer", { empty: customerEmpty, onWhy: (m) => { show("why"); showWhy(m); }, onTarget: drawTarget, hides: inPane }),
  desk: new Feed("desk", { empty: deskEmpty, onWhy: () => {}, onTarget: drawTarget, hides: inPane }),
};

/** Say above the message box which conversation it goes into. */
function drawTarget(feed) {
  const { target } = feed;
  const node = byId(`composer-${feed.pane}`).querySelector(".target");
  node.hidden = !target;
  if (target && node.dataset.root !== target) {
    const words = feed.pane === "customer" ? "New conversation" : "Out of the thread";
    node.replaceChildren(
      make("span", { class: "target-words", text: `Replying in “${subject(target, feed.seat.user)}”` }),
      make("button", { type: "button", class: "quiet", text: words, onclick: () => { feed.target = null; byId(`${feed.pane}-text`).focus(); } }));
  }
  node.dataset.root = target ?? "";
}

// --- who sits where ------------------------------------------------------------------------------------

function drawSeats() {
  const everybody = [...store.people.values()];
  const customers = everybody.filter((p) => !p.desk);
  const desk = everybody.filter((p) => p.desk);
  drawWho("customer", [...customers, ...desk], customers[0] ?? desk[0]);
  drawWho("desk", desk, desk[0]);
}

/** Each team has its own desk where a route names one; with one desk there is nothing to choose. */
function drawDesks() {
  const feed = feeds.desk;
  const several = store.desks.length > 1;
  byId("desk-name").textContent = `#${feed.seat.channel}`;
  byId("desk-name").hidden = several;
  byId("desks").hidden = !several;
  byId("desks").replaceChildren(...store.desks.map((name) => make("button", {
    type: "button", "aria-pressed": feed.seat.channel === name, text: `#${name}`,
    onclick: () => {
      feed.sit({ channel: name });
      drawDesks();
    },
  })));
}

function drawWho(pane, people, first) {
  const feed = feeds[pane];
  if (!people.some((p) => p.id === feed.seat.user)) feed.seat.user = first?.id ?? "";
  const choices = people.map((person) => make("label", { class: person.desk ? "person desk" : "person", title: person.admin ? `${person.name}, admin` : person.name },
    make("input", {
      type: "radio", name: `who-${pane}`, value: person.id, checked: person.id === feed.seat.user,
      onchange: () => seat(pane, person.id),
    }),
    avatar(person.name, person.desk ? "agent" : "customer"), make("span", { class: "person-name", text: person.name })));
  byId(`who-${pane}`).replaceChildren(byId(`who-${pane}`).querySelector("legend"), ...choices);
}

function seat(pane, user) {
  const { channel } = feeds[pane].seat;
  feeds[pane].sit({ user, channel: pane === "customer" && channel.startsWith("dm-") ? `dm-${user}` : channel });
  drawWords();
}

function drawChannels() {
  const feed = feeds.customer;
  const known = [...store.channels, "dm"];
  if (!feed.seat.channel) feed.seat.channel = store.channels[0] ?? "dm";
  byId("channels").replaceChildren(...known.map((name) => {
    const here = name === "dm" ? feed.isDirect : feed.seat.channel === name;
    return make("button", {
      type: "button", "aria-pressed": here, text: name === "dm" ? "Direct" : `#${name}`,
      onclick: () => {
        feed.sit({ channel: name === "dm" ? `dm-${feed.seat.user}` : name });
        drawChannels();
        drawWords();
      },
    });
  }));
}

function drawWords() {
  const name = (pane) => store.people.get(feeds[pane].seat.user)?.name ?? "nobody";
  const where = feeds.customer.isDirect ? store.title : `#${feeds.customer.seat.channel}`;
  byId("customer-text").placeholder = `Message ${where} as ${name("customer")}`;
  byId("desk-text").placeholder = `Note to the desk as ${name("desk")}`;
  byId("admin-as").textContent = `as ${name("desk")}`;
  byId("brand").textContent = store.title;
}

// --- composers -----------------------------------------------------------------------------------------

for (const pane of ["customer", "desk"]) {
  const form = byId(`composer-${pane}`);
  const [text, attached, problem] = ["textarea", ".attached", ".problem"].map((s) => form.querySelector(s));
  let files = [];
  const showAttached = () => {
    attached.hidden = files.length === 0;
    attached.textContent = files.map((f) => f.name).join(", ");
  };
  sendOnEnter(text);
  text.addEventListener("keydown", (event) => { if (event.key === "Escape" && !text.value) feeds[pane].target = null; });
  form.querySelector('input[type="file"]').addEventListener("change", async (event) => {
    try {
      for (const file of event.target.files) files.push(await upload(file));
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    event.target.value = "";
    showAttached();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const feed = feeds[pane];
    const thread = feed.target;
    const id = await send(form, problem, { ...feed.seat, thread, files: files.map((f) => f.id) });
    if (id === null) return;
    files = [];
    showAttached();
    if (pane === "customer" && id && !thread && !store.people.get(feed.seat.user)?.desk) feed.target = id;
  });
}

// --- admin commands ------------------------------------------------------------------------------------

async function run(text) {
  const { user } = feeds.desk.seat;
  try {
    const { form } = await act("command", { user, text, pane: true });
    if (form) openForm(form, user);
  } catch (error) {
    note(make("p", { class: "problem", text: error.message }));
  }
}

function note(...words) {
  byId("results").append(make("div", { class: "result" }, ...words));
  while (byId("results").children.length > 40) byId("results").firstElementChild.remove();
  byId("results").lastElementChild.scrollIntoView({ block: "nearest" });
  return byId("results").lastElementChild;
}

/** A command was given in this pane, here or on another page: make room for what comes of it. */
function asked({ key, user, text, opened }) {
  if (results.has(key)) return came(key, `opened the form “${opened}”`);
  results.set(key, note(
    make("p", { class: "asked" }, make("code", { text: `/firstline ${text}` }), make("span", { class: "hint", text: ` ${store.people.get(user)?.name ?? ""}` })),
    make("p", { class: "hint waiting", text: "working…" })));
  if (opened) came(key, `opened the form “${opened}”`);
}

/** What came of a command that has no result of its own to show. */
function came(key, words) {
  const waiting = results.get(key)?.querySelector(".waiting");
  if (waiting) waiting.textContent = words;
}

/** Such a command shows in its decision; the others' results arrive as messages. */
function decided(trace) {
  if (trace.kind !== "command") came(trace.key, trace.why);
}

function drawResults(commands) {
  results.clear();
  byId("results").replaceChildren();
  commands.forEach(asked);
  store.traces.forEach(decided);
  for (const message of store.messages.values()) if (inPane(message)) result(message);
}

function result(message) {
  const out = results.get(message.interaction);
  out.querySelector(".waiting")?.remove();
  out.append(make("div", { class: "body" }, message.title ? make("p", { class: "card-title", text: message.title }) : null, ...blocks(message.blocks)));
  out.scrollIntoView({ block: "nearest" });
}

const commandText = byId("command-text");
byId("command").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = commandText.value.trim().replace(/^\/?firstline\s*/i, "") || commandText.placeholder;
  commandText.value = "";
  spoken.push(text);
  run(text);
});
commandText.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  const at = spoken.lastIndexOf(commandText.value) < 0 ? spoken.length : spoken.lastIndexOf(commandText.value);
  commandText.value = spoken[at + (event.key === "ArrowUp" ? -1 : 1)] ?? commandText.value;
  event.preventDefault();
});
byId("command-chips").replaceChildren(...COMMANDS.map((text) => make("button", { type: "button", class: "quiet", text, onclick: () => run(text) })));

// --- panes, keys, dialogs ------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[data-pane]")];

function show(pane) {
  const wasHidden = byId(`pane-${pane}`).offsetParent === null;
  document.body.dataset.view = pane;
  const node = feeds[pane]?.node ?? byId("results"); // where the newest stands at the end
  if (wasHidden) node.scrollTop = node.scrollHeight;
  for (const tab of tabs) {
    tab.setAttribute("aria-pressed", String(tab.dataset.pane === pane));
    if (tab.dataset.pane === pane) count(tab, 0);
  }
}

function count(tab, number) {
  const badge = tab.querySelector(".count");
  badge.hidden = number === 0;
  badge.textContent = number || "";
}

/** Something happened in a pane that cannot be seen right now. */
function hint(pane) {
  if (byId(`pane-${pane}`).offsetParent !== null) return;
  const tab = tabs.find((t) => t.dataset.pane === pane);
  count(tab, Number(tab.querySelector(".count").textContent) + 1);
}

for (const tab of tabs) tab.addEventListener("click", () => show(tab.dataset.pane));

const go = (pane, field) => { show(pane); byId(field).focus(); };
const KEYS = {
  "/": () => go("customer", "customer-text"),
  d: () => go("desk", "desk-text"),
  c: () => go("why", "command-text"),
  1: () => go("customer", "feed-customer"),
  2: () => go("desk", "feed-desk"),
  3: () => go("why", "feed-why"),
  "?": () => byId("keys-dialog").showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("show-keys").addEventListener("click", () => byId("keys-dialog").showModal());
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// --- the stream ----------------------------------------------------------------------------------------

on("snapshot", (whole) => {
  drawSeats();
  drawChannels();
  drawResults(whole.commands);
  feeds.customer.draw();
  feeds.desk.sit({ channel: store.desks.includes(feeds.desk.seat.channel) ? feeds.desk.seat.channel : store.staffChannel });
  drawDesks();
  drawWhy();
  drawWords();
  if (location.hash.startsWith("#m-")) document.querySelector(`#${CSS.escape(location.hash.slice(1))}`)?.focus();
});
on("message", (message) => {
  if (inPane(message)) return result(message);
  for (const [pane, feed] of Object.entries(feeds)) {
    feed.update(message);
    if (message.fresh && feed.shows(message)) hint(pane);
  }
});
on("command", asked);
on("removed", ({ id }) => { for (const feed of Object.values(feeds)) feed.drop(id); });
on("thread", (thread) => { for (const feed of Object.values(feeds)) feed.threadChanged(thread); });
on("working", () => feeds.customer.workChanged());
on("trace", (trace) => {
  addTrace(trace);
  decided(trace);
  hint("why");
});
on("link", (state) => {
  byId("lost").hidden = state === "connected";
  byId("link").dataset.state = state;
  byId("link-words").textContent = state === "connected" ? "connected" : "reconnecting";
});

show("customer");
setInterval(refreshMoments, 20_000);
connect();
