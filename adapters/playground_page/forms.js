// Forms that the bot opens, and questions before something that cannot be undone: both as modal dialogs.

import { byId, make } from "./dom.js";
import { act } from "./store.js";

const FIELD = {
  line: () => make("input", { type: "text" }),
  text: () => make("textarea", { rows: "4" }),
  email: () => make("input", { type: "email", autocomplete: "off" }),
  date: () => make("input", { type: "date" }),
  file: () => make("input", { type: "file" }),
  // Nothing is chosen in advance: a first choice that nobody made would be counted as one.
  choice: ({ choices, required }) => make("select", {},
    make("option", { value: "", text: required ? "Choose…" : "No choice" }),
    ...choices.map(({ value, label }) => make("option", { value, text: label }))),
};

function row(input, view) {
  const id = `${view}-${input.id}`;
  const field = (FIELD[input.kind] ?? FIELD.line)(input);
  field.id = id;
  field.name = input.id;
  if (input.kind !== "choice" && input.kind !== "file") field.maxLength = input.max;
  if (input.kind !== "file" && input.value) field.value = input.value;
  if (input.required) field.setAttribute("aria-required", "true");
  field.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  return make("div", { class: "row" },
    make("label", { for: id }, input.label, input.required ? null : make("span", { class: "hint", text: " optional" })),
    field,
    make("p", { class: "hint", id: `${id}-hint`, text: input.hint }),
    make("p", { class: "problem", id: `${id}-error`, hidden: true }));
}

/** Show a form to somebody until it is accepted or closed. */
export function openForm(form, user) {
  const dialog = byId("form-dialog");
  const general = make("p", { class: "problem", role: "alert", hidden: true });
  const submit = make("button", { type: "submit", class: "primary", text: form.submit });
  const fields = make("form", { novalidate: true, autocomplete: "off" },
    make("h2", { id: "form-title", text: form.title }),
    ...form.inputs.map((input) => row(input, form.view)),
    general,
    make("div", { class: "actions" }, make("button", { type: "button", class: "quiet", text: "Cancel", onclick: () => dialog.close() }), submit));
  let accepted = false;
  fields.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.getAttribute("aria-busy")) return;
    submit.setAttribute("aria-busy", "true");
    general.hidden = true;
    const open = form.inputs.filter((i) => i.kind === "choice" && i.required && !fields.elements[i.id].value);
    if (open.length) {
      showErrors(fields, form, Object.fromEntries(open.map((i) => [i.id, "Please choose one."])), general);
      submit.removeAttribute("aria-busy");
      return;
    }
    try {
      const answer = await act("submit", { user, view: form.view, ...(await filled(fields, form)) });
      if (answer.errors) {
        showErrors(fields, form, answer.errors, general);
      } else {
        accepted = true;
        dialog.close();
        if (answer.form) openForm(answer.form, user);
      }
    } catch (error) {
      general.textContent = error.message;
      general.hidden = false;
    } finally {
      submit.removeAttribute("aria-busy");
    }
  });
  dialog.onclose = () => { if (!accepted) act("dismiss", { user, view: form.view }).catch(() => {}); };
  dialog.replaceChildren(fields);
  if (!dialog.open) dialog.showModal();
  fields.querySelector("input, textarea, select")?.focus();
}

async function filled(fields, form) {
  const values = {};
  const files = [];
  for (const { id, kind } of form.inputs) {
    const field = fields.elements[id];
    if (kind === "file") {
      for (const file of field.files) files.push((await upload(file)).id);
      values[id] = [...field.files].map((file) => file.name).join(", ");
    } else {
      values[id] = field.value;
    }
  }
  return { values, files };
}

function showErrors(fields, form, errors, general) {
  let first = null;
  const unplaced = { ...errors };
  for (const { id } of form.inputs) {
    const field = fields.elements[id];
    const problem = byId(`${form.view}-${id}-error`);
    problem.hidden = !errors[id];
    problem.textContent = errors[id] ?? "";
    field.setAttribute("aria-invalid", String(Boolean(errors[id])));
    if (errors[id]) first ??= field;
    delete unplaced[id];
  }
  general.textContent = Object.values(unplaced).join(" ");
  general.hidden = !general.textContent;
  first?.focus();
}

/** Whether the person really means it. */
export function confirmed(words, label) {
  const dialog = byId("confirm-dialog");
  return new Promise((resolve) => {
    let answer = false;
    const yes = make("button", { type: "button", class: "primary", text: label, onclick: () => { answer = true; dialog.close(); } });
    dialog.onclose = () => resolve(answer);
    dialog.replaceChildren(
      make("p", { id: "confirm-words", text: words }),
      make("div", { class: "actions" }, make("button", { type: "button", class: "quiet", text: "Cancel", onclick: () => dialog.close() }), yes));
    dialog.showModal();
    yes.focus();
  });
}

/** Hand a file to the server; resolves to what it is called there. */
export async function upload(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  return act("upload", { name: file.name, mime: file.type || null, content: btoa(text) });
}
