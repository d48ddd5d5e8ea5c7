// What the page knows, kept up to date by the server's stream; and how the page tells the server what people do.

export const store = {
  title: "Firstline",
  channels: [],
  staffChannel: "",
  desks: [],
  people: new Map(),
  messages: new Map(),
  threads: new Map(),
  traces: [],
  working: new Set(),
  suggestions: [],
};

const listeners = new Map();

export function on(kind, listener) {
  listeners.set(kind, [...(listeners.get(kind) ?? []), listener]);
}

function tell(kind, value) {
  for (const listener of listeners.get(kind) ?? []) listener(value);
}

const apply = {
  snapshot(whole) {
    store.title = whole.title;
    store.channels = whole.channels;
    store.staffChannel = whole.staff_channel;
    store.desks = whole.desks;
    store.people = new Map(whole.people.map((p) => [p.id, p]));
    store.messages = new Map(whole.messages.map((m) => [m.id, m]));
    store.threads = new Map(whole.threads.map((t) => [t.id, t]));
    store.traces = whole.traces;
    store.working = new Set(whole.working);
    store.suggestions = whole.suggestions;
  },
  message(message) {
    message.fresh = !store.messages.has(message.id);
    store.messages.set(message.id, message);
  },
  removed({ id }) {
    store.messages.delete(id);
  },
  thread(thread) {
    store.threads.set(thread.id, thread);
  },
  trace(trace) {
    store.traces.push(trace);
    if (store.traces.length > 200) store.traces.shift();
  },
  command() {},
  working({ conversation, on: busy }) {
    store.working[busy ? "add" : "delete"](conversation);
  },
};

/** Connect, and stay connected: the browser comes back by itself and names the last update that it saw. */
export function connect() {
  const source = new EventSource("/playground/events");
  for (const [kind, change] of Object.entries(apply)) {
    source.addEventListener(kind, (event) => {
      const value = JSON.parse(event.data);
      change(value);
      tell(kind, value);
    });
  }
  source.addEventListener("open", () => tell("link", "connected"));
  source.addEventListener("error", () => {
    tell("link", "lost");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

/** Do something as somebody. Resolves to the server's answer; rejects with a sentence for the person. */
export async function act(name, body) {
  let response;
  try {
    response = await fetch(`/playground/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Firstline": "playground" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The bot cannot be reached, so nothing was sent. Try again in a moment.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(sentence(answer.error ?? `the bot answered with status ${response.status}`));
  return answer;
}

function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
