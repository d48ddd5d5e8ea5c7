"""Slack's modals, pure: Form in, view out."""

from __future__ import annotations

import json
import re

from adapters.port import Form, FormErrors, FormInput, Place
from adapters.slack_format import ACTION_PREFIX
from adapters.slack_text import Json, clip, escape, mrkdwn, plain_text

TITLE_MAX = 24
METADATA_MAX = 3000
NOTICE_MAX = 500


def view(form: Form, place: Place | None = None) -> Json:
    """A modal. Its metadata keeps the form's opaque context and the place where it was asked for, nothing else."""
    where = (
        {"channel": place.channel, "thread": place.thread, "kind": place.kind} if place is not None else {}
    )
    metadata = json.dumps({"context": form.context, **where}, separators=(",", ":"))
    if len(metadata) > METADATA_MAX:
        raise ValueError("a form's context must be a short opaque id")
    return {
        "type": "modal",
        "callback_id": f"{ACTION_PREFIX}:{form.id}",
        "private_metadata": metadata,
        "title": plain_text(form.title, TITLE_MAX),
        "submit": plain_text(form.submit or "Send", TITLE_MAX),
        "close": plain_text("Cancel", TITLE_MAX),
        "blocks": [_input(item) for item in form.inputs],
    }


def _input(item: FormInput) -> Json:
    block: Json = {
        "type": "input",
        "block_id": item.id,
        "label": plain_text(item.label, 2000),
        "optional": not item.required,
        "element": _element(item),
    }
    if item.hint:
        block["hint"] = plain_text(item.hint, 2000)
    return block


def _element(item: FormInput) -> Json:
    element: Json = {"action_id": item.id}
    match item.kind:
        case "line" | "text":
            element |= {
                "type": "plain_text_input",
                "multiline": item.kind == "text",
                "max_length": min(item.max, 3000),
            }
            if item.value:
                element["initial_value"] = clip(item.value, min(item.max, 3000))
        case "email":
            element["type"] = "email_text_input"
            if item.value:
                element["initial_value"] = item.value
        case "date":
            element["type"] = "datepicker"
            if re.fullmatch(r"\d{4}-\d\d-\d\d", item.value):
                element["initial_date"] = item.value
        case "file":
            element |= {"type": "file_input", "max_files": 5}
        case "choice":
            options = [{"text": plain_text(label, 75), "value": value} for value, label in item.choices[:100]]
            element |= {"type": "static_select", "options": options}
            chosen = [option for option in options if option["value"] == item.value]
            if chosen:
                element["initial_option"] = chosen[0]
    return element


def notice_view(title: str, text: str) -> Json:
    """A modal that only says something."""
    return {
        "type": "modal",
        "title": plain_text(title, TITLE_MAX),
        "close": plain_text("Close", TITLE_MAX),
        "blocks": [{"type": "section", "text": mrkdwn(clip(escape(text), NOTICE_MAX))}],
    }


def late_view(outcome: Form | FormErrors | None, place: Place, title: str, saved: str) -> Json:
    """What a modal changes into when the answer came after its acknowledgement: the next form, the same one with
    what was typed and the reasons above it, or the word that it is saved."""
    if isinstance(outcome, Form):
        return view(outcome, place)
    if outcome is None:
        return notice_view(title, saved)
    reasons = "\n".join(outcome.errors.values())
    if outcome.form is None:
        return notice_view(title, reasons)
    again = view(outcome.form, place)
    return {**again, "blocks": [*notice_view(title, reasons)["blocks"], *again["blocks"]]}


def error_response(refused: FormErrors, shown: Json) -> Json:
    """The acknowledgement that keeps the modal open and marks the inputs; Slack refuses names of unknown blocks."""
    known = [str(block["block_id"]) for block in shown.get("blocks") or () if block.get("type") == "input"]
    errors: dict[str, str] = {}
    for name, why in refused.errors.items():
        where = name if name in known or not known else known[0]
        errors[where] = f"{errors[where]} {why}" if where in errors else why
    return {"response_action": "errors", "errors": errors}
