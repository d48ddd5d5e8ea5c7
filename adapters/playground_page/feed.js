// One pane's messages: threads under the message that they hang on, with a place to reply.

import { byId, make } from "./dom.js";
import { body, byline, emoji, face, gist } from "./content.js";
import { act, store } from "./store.js";
import { confirmed, openForm } from "./forms.js";

const SHOWN_REPLIES = 6;

/** What a thread is about, in a few words; `reader` needs not be told their own name. */
export function subject(root, reader = "") {
  const message = store.messages.get(root);
  if (!message) return "an earlier conversation";
  const own = message.author.id === reader && message.text;
  const words = message.title || (own ? message.text : gist(message));
  return words.length > 60 ? `${words.slice(0, 58).trimEnd()}…` : words;
}

export class Feed {
  /** `pane`: "customer" or "desk"; `seat`: { user, channel }, who looks at which channel. */
  constructor(pane, { empty, onWhy, onTarget, hides }) {
    this.pane = pane;
    this.node = byId(`feed-${pane}`);
    this.seat = { user: "", channel: "" };
    this.empty = empty;
    this.onWhy = onWhy;
    this.onTarget = onTarget;
    this.targets = new Map();
    this.hides = hides;
    this.boxes = new Map();
    this.unfolded = new Set();
  }

  sit(seat) {
    Object.assign(this.seat, seat);
    this.draw();
  }

  get isDirect() {
    return this.seat.channel.startsWith("dm-");
  }

  /** A direct conversation is one thread; elsewhere a message at top level begins its own. */
  rootOf(message) {
    return this.isDirect ? "-" : (message.thread ?? message.id);
  }

  shows(message) {
    if (message.channel !== this.seat.channel || this.hides(message)) return false;
    if (message.private_to && message.private_to !== this.seat.user) return false;
    return !message.deleted || this.replies(message.id).length > 0;
  }

  replies(root) {
    return [...store.messages.values()].filter((m) => m.thread === root && !m.deleted && this.shows(m));
  }

  /** Draw everything anew: another person, another channel, a fresh start. */
  draw() {
    this.boxes.clear();
    this.node.replaceChildren();
    for (const message of store.messages.values()) if (this.shows(message)) this.place(message);
    this.drawEmpty();
    this.markTarget();
    this.node.scrollTop = this.node.scrollHeight;
  }

  drawEmpty() {
    this.node.querySelector(":scope > .empty")?.remove();
    const words = this.empty(this);
    if (words) this.node.append(words);
  }

  /** One message is new or changed. */
  update(message) {
    const near = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 120;
    const known = this.node.querySelector(`[data-message="${CSS.escape(message.id)}"]`);
    if (!this.shows(message)) {
      this.drop(message.id);
      return;
    }
    this.place(message);
    const mine = message.author.id === this.seat.user || message.private_to === this.seat.user; // said or asked for
    if (!known && (near || mine)) this.reveal(message.id);
    if (!known && message.author.id !== this.seat.user) byId("said").textContent = gist(message);
    this.drawEmpty();
    this.markTarget();
  }

  drop(id) {
    const box = this.boxes.get(id);
    if (box && !this.replies(id).length) {
      box.node.remove();
      this.boxes.delete(id);
    } else {
      this.node.querySelector(`[data-message="${CSS.escape(id)}"]`)?.remove();
    }
    this.drawEmpty();
    this.markTarget();
  }

  reveal(id) {
    this.node.querySelector(`[data-message="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "nearest" });
  }

  place(message) {
    const box = this.box(this.rootOf(message));
    const drawn = this.message(message);
    const old = box.list.querySelector(`:scope > [data-message="${CSS.escape(message.id)}"]`);
    if (old) {
      const focused = old.contains(document.activeElement) ? document.activeElement.dataset.button : null;
      old.replaceWith(drawn);
      if (focused) (drawn.querySelector(`[data-button="${CSS.escape(focused)}"]`) ?? drawn).focus();
    } else {
      const later = [...box.list.children].find((c) => Number(c.dataset.message) > Number(message.id));
      box.list.insertBefore(drawn, later ?? null);
    }
    this.fold(box);
  }

  box(root) {
    let box = this.boxes.get(root);
    if (box) return box;
    const list = make("ol", { class: "messages" });
    const busy = make("p", { class: "busy", hidden: true },
      make("span", { class: "dots", "aria-hidden": "true" }), `${store.title} is working on it`);
    const mark = make("p", { class: "thread-mark", hidden: true });
    const more = make("button", { type: "button", class: "quiet more-replies", hidden: true });
    const reply = this.isDirect || store.messages.get(root)?.private_to ? null : make("button", {
      type: "button", class: "quiet reply", text: "Reply", "aria-label": `Reply to ${subject(root)}`,
      onclick: () => { this.target = root; byId(`${this.pane}-text`).focus(); },
    });
    const node = make("article", { class: `thread${this.isDirect ? " direct" : ""}`, "aria-label": "Conversation" },
      mark, more, list, busy, reply);
    box = { root, node, list, busy, mark, more };
    more.addEventListener("click", () => {
      this.unfolded.add(root);
      this.fold(box);
      list.querySelector("[data-message]")?.focus();
    });
    this.boxes.set(root, box);
    const later = [...this.boxes.values()].find((b) => b !== box && b.node.isConnected && Number(b.root) > Number(root));
    this.node.insertBefore(node, later?.node ?? this.node.querySelector(":scope > .empty"));
    this.markThread(box);
    this.work(box);
    return box;
  }

  /** Show the first message and the last few; a button brings the rest. */
  fold(box) {
    const all = [...box.list.children];
    const hidden = this.unfolded.has(box.root) || this.isDirect ? 0 : Math.max(0, all.length - 1 - SHOWN_REPLIES);
    all.forEach((item, index) => { item.hidden = index > 0 && index <= hidden; });
    box.more.hidden = hidden === 0;
    box.more.textContent = `Show ${hidden} earlier ${hidden === 1 ? "reply" : "replies"}`;
    box.node.classList.toggle("has-replies", all.length > 1);
  }

  markThread(box) {
    const thread = store.threads.get(box.root);
    const marks = thread ? [thread.solved && "Solved", thread.locked && "Locked", thread.archived && "Archived", ...thread.tags] : [];
    const words = marks.filter(Boolean);
    box.mark.hidden = words.length === 0;
    box.mark.replaceChildren(...words.map((text) => make("span", { class: `chip ${text === "Solved" ? "good" : ""}`, text })));
  }

  threadChanged(thread) {
    const box = this.boxes.get(thread.id);
    if (box) this.markThread(box);
    this.markTarget();
  }

  work(box) {
    box.busy.hidden = !store.working.has(`playground:playground:${this.seat.channel}:${box.root}`);
  }

  workChanged() {
    for (const box of this.boxes.values()) this.work(box);
  }

  message(message) {
    const mine = message.author.id !== "" && message.author.id === this.seat.user;
    const kind = [message.author.kind, message.private_to && "private", message.title && "card", message.urgent && "urgent"];
    const item = make("li", {
      class: `message ${kind.filter(Boolean).join(" ")}`, "data-message": message.id, id: this.pane === "customer" ? `m-${message.id}` : `d-${message.id}`, tabindex: "-1",
    });
    if (message.deleted) {
      item.append(face(message), make("div", { class: "stack" }, byline(message), make("p", { class: "hint", text: "deleted by its author" })));
      return item;
    }
    const head = byline(message);
    if (message.author.kind === "bot" && this.pane === "customer" && !message.private_to) {
      head.append(make("button", { type: "button", class: "why", text: "why?", "aria-label": "Why this answer?", onclick: () => this.onWhy(message) }));
    }
    const stack = make("div", { class: "stack" }, head, body(message), this.buttons(message), this.reactions(message));
    item.append(face(message), stack, this.tools(message, mine, stack) ?? "");
    return item;
  }

  buttons(message) {
    if (!message.buttons.length) return null;
    return make("div", { class: "buttons", role: "group", "aria-label": "Actions" },
      ...message.buttons.map((button) => make("button", {
        type: "button", class: `act ${button.style}`, "data-button": button.index, text: button.label,
        onclick: (event) => this.press(message, button, event.currentTarget),
      })));
  }

  async press(message, button, node) {
    if (button.confirm && !(await confirmed(button.confirm, button.label))) return;
    node.setAttribute("aria-busy", "true");
    try {
      const { user } = this.seat;
      const { form } = await act("press", { user, message: message.id, button: button.index });
      if (form) openForm(form, user);
    } catch (error) {
      this.complain(message.id, error.message);
    } finally {
      node.removeAttribute("aria-busy");
    }
  }

  complain(id, words) {
    const stack = this.node.querySelector(`[data-message="${CSS.escape(id)}"] .stack`);
    stack?.querySelector(".problem")?.remove();
    stack?.append(make("p", { class: "problem", role: "alert", text: words }));
  }

  reactions(message) {
    if (!message.reactions.length) return null;
    return make("p", { class: "reactions" }, ...message.reactions.map((r) => make("button", {
      type: "button", class: r.ids.includes(this.seat.user) ? "mine" : "", title: r.who.join(", "),
      "aria-pressed": r.ids.includes(this.seat.user), "aria-label": `${r.emoji}, ${r.who.length}: ${r.who.join(", ")}`,
      text: `${emoji(r.emoji)} ${r.who.length}`,
      onclick: () => this.try(message, "react", { emoji: r.emoji, on: !r.ids.includes(this.seat.user) }),
    })));
  }

  tools(message, mine, stack) {
    const tool = (text, run) => make("button", { type: "button", class: "quiet", text, onclick: run });
    const inside = [];
    if (!message.private_to) inside.push(tool("Thumbs up", () => this.try(message, "react", { emoji: "+1" })));
    if (mine) {
      inside.push(tool("Edit", () => this.edit(message, stack)));
      inside.push(tool("Delete", async () => {
        if (await confirmed("Delete this message for everybody?", "Delete")) this.try(message, "delete", {});
      }));
    }
    if (message.author.kind === "customer" && this.pane === "customer") {
      inside.push(tool(`Ask ${store.title}`, () => this.choose(message, "help")));
      inside.push(tool("Hand to a person", () => this.choose(message, "escalate")));
    }
    if (!inside.length) return null;
    const more = make("details", { class: "tools" },
      make("summary", { "aria-label": `More about the message of ${message.author.name}`, title: "More" }), make("div", {}, ...inside));
    more.addEventListener("click", (event) => { if (event.target.closest("button")) more.open = false; });
    more.addEventListener("focusout", (event) => { if (!more.contains(event.relatedTarget)) more.open = false; });
    more.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && more.open) { more.open = false; more.firstElementChild.focus(); }
    });
    return more;
  }

  async try(message, name, extra) {
    try {
      return await act(name, { user: this.seat.user, message: message.id, ...extra });
    } catch (error) {
      this.complain(message.id, error.message);
      return {};
    }
  }

  async choose(message, verb) {
    const { form } = await this.try(message, "menu", { verb });
    if (form) openForm(form, this.seat.user);
  }

  edit(message, stack) {
    const text = make("textarea", { name: "text", rows: "3", maxlength: "8000", "aria-label": "Edit the message" });
    text.value = message.text;
    const form = make("form", { class: "editing" }, text,
      make("div", { class: "actions" },
        make("button", { type: "button", class: "quiet", text: "Cancel", onclick: () => this.place(store.messages.get(message.id)) }),
        make("button", { type: "submit", class: "primary", text: "Save" })));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await this.try(message, "edit", { text: text.value });
      const now = store.messages.get(message.id);
      if (now) this.place(now);
    });
    sendOnEnter(text);
    text.addEventListener("keydown", (event) => { if (event.key === "Escape") this.place(store.messages.get(message.id)); });
    stack.querySelector(".body").replaceWith(form);
    text.focus();
  }

  /** Where this person's next message goes: the thread that was chosen, or a new one. */
  get target() {
    if (this.isDirect) return null;
    const chosen = this.targets.get(`${this.seat.user} ${this.seat.channel}`);
    if (chosen !== undefined) return this.boxes.has(chosen) ? chosen : null;
    return this.pane === "customer" ? this.ownThread() : null;
  }

  set target(root) {
    this.targets.set(`${this.seat.user} ${this.seat.channel}`, root);
    this.markTarget();
  }

  /** A customer's newest conversation here goes on until it is solved. */
  ownThread() {
    if (store.people.get(this.seat.user)?.desk) return null;
    const own = [...this.boxes.keys()].filter((root) => store.messages.get(root)?.author.id === this.seat.user);
    const newest = own.sort((a, b) => Number(a) - Number(b)).at(-1);
    return newest && !store.threads.get(newest)?.solved ? newest : null;
  }

  markTarget() {
    const { target } = this;
    for (const box of this.boxes.values()) box.node.classList.toggle("current", box.root === target);
    this.onTarget(this);
  }
}

/** Send what is in the form's text; resolves to the new message's id. On failure the text stays and the reason shows. */
export async function send(form, problem, { user, channel, thread = null, files = [] }) {
  const text = form.querySelector("textarea");
  const words = text.value.trim();
  problem.hidden = true;
  if ((!words && !files.length) || form.dataset.sending) return null;
  form.dataset.sending = "yes";
  text.value = "";
  text.rows = 1;
  try {
    if (/^\/firstline\b/i.test(words)) {
      const { form: asked } = await act("command", { user, text: words, channel });
      if (asked) openForm(asked, user);
      return "";
    }
    return (await act("say", { user, text: words, channel, thread, files })).id;
  } catch (error) {
    text.value = words;
    problem.textContent = error.message;
    problem.hidden = false;
    return null;
  } finally {
    delete form.dataset.sending;
  }
}

/** Enter sends, Shift+Enter begins a new line, and the box grows with what is typed. */
export function sendOnEnter(text) {
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      text.form.requestSubmit();
    }
  });
  text.addEventListener("input", () => { text.rows = Math.min(8, Math.max(1, text.value.split("\n").length)); });
}
