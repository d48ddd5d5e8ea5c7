"""What Slack accepts as Block Kit and as a view, from the documented limits. Anything else is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

PLAIN = {"type", "text", "emoji"}
MRKDWN = {"type", "text", "verbatim"}
BLOCK_KEYS = {
    "section": {"text", "fields", "accessory", "expand"},
    "header": {"text"},
    "divider": set(),
    "context": {"elements"},
    "actions": {"elements"},
    "input": {"label", "element", "hint", "optional", "dispatch_action"},
    "image": {"image_url", "alt_text", "title", "slack_file"},
    "markdown": {"text"},
}
SURFACES = {
    "message": (50, {"section", "header", "divider", "context", "actions", "image", "markdown", "input"}),
    "modal": (100, {"section", "header", "divider", "context", "actions", "image", "input"}),
    "home": (100, {"section", "header", "divider", "context", "actions", "image", "input"}),
}
ELEMENT_KEYS = {
    "button": {"text", "value", "url", "style", "confirm", "accessibility_label"},
    "static_select": {"placeholder", "options", "initial_option", "confirm", "focus_on_load"},
    "overflow": {"options", "confirm"},
    "plain_text_input": {
        "multiline", "initial_value", "min_length", "max_length", "placeholder", "focus_on_load",
        "dispatch_action_config",
    },
    "email_text_input": {"initial_value", "placeholder", "focus_on_load", "dispatch_action_config"},
    "datepicker": {"initial_date", "placeholder", "confirm", "focus_on_load"},
    "file_input": {"filetypes", "max_files"},
}  # fmt: skip
INTERACTIVE = {"button", "static_select", "overflow", "datepicker"}
INPUTS = {"plain_text_input", "email_text_input", "datepicker", "file_input", "static_select"}
BLOCKS_TEXT_MAX = 13_000


class Invalid(Exception):
    """A refusal; the text is what Slack says in response_metadata.messages."""


def _need(holds: object, why: str) -> None:
    if not holds:
        raise Invalid(why)


def _text(value: object, kinds: tuple[str, ...], limit: int, where: str) -> None:
    _need(isinstance(value, Mapping), f"{where}: must be a text object")
    assert isinstance(value, Mapping)
    kind = value.get("type")
    _need(kind in kinds, f"{where}: text type {kind!r} is not allowed here")
    _need(set(value) <= (PLAIN if kind == "plain_text" else MRKDWN), f"{where}: invalid additional property")
    text = value.get("text")
    _need(isinstance(text, str) and text.strip(), f"{where}: must be more than 0 characters")
    _need(len(str(text)) <= limit, f"{where}: must be less than {limit + 1} characters")


def _identifier(value: object, where: str) -> None:
    _need(isinstance(value, str) and 0 < len(value) <= 255, f"{where}: must be 1 to 255 characters")


def _confirm(value: Json, where: str) -> None:
    _need(
        set(value) <= {"title", "text", "confirm", "deny", "style"}, f"{where}: invalid additional property"
    )
    _text(value.get("title"), ("plain_text",), 100, f"{where}/title")
    _text(value.get("text"), ("plain_text", "mrkdwn"), 300, f"{where}/text")
    _text(value.get("confirm"), ("plain_text",), 30, f"{where}/confirm")
    _text(value.get("deny"), ("plain_text",), 30, f"{where}/deny")


def _options(options: object, where: str) -> None:
    _need(isinstance(options, list) and 0 < len(options) <= 100, f"{where}: 1 to 100 options")
    assert isinstance(options, list)
    for option in options:
        _need(set(option) <= {"text", "value", "description", "url"}, f"{where}: invalid additional property")
        _text(option.get("text"), ("plain_text",), 75, f"{where}/text")
        _need(0 < len(str(option.get("value", ""))) <= 150, f"{where}: value must be 1 to 150 characters")


def _element(element: Json, allowed: set[str], where: str) -> None:
    kind = element.get("type")
    _need(kind in allowed, f"{where}: unsupported element {kind!r}")
    keys = ELEMENT_KEYS[str(kind)] | {"type", "action_id"}
    _need(set(element) <= keys, f"{where}: invalid additional property: {sorted(set(element) - keys)}")
    if "action_id" in element:
        _identifier(element["action_id"], f"{where}/action_id")
    match kind:
        case "button":
            _text(element.get("text"), ("plain_text",), 75, f"{where}/text")
            _need(len(element.get("value", "")) <= 2000, f"{where}/value: too long")
            _need(len(element.get("url", "")) <= 3000, f"{where}/url: too long")
            _need(element.get("style") in {None, "primary", "danger"}, f"{where}/style: unknown")
            if "confirm" in element:
                _confirm(element["confirm"], f"{where}/confirm")
        case "static_select" | "overflow":
            _options(element.get("options"), f"{where}/options")
            chosen = element.get("initial_option")
            _need(
                chosen is None or chosen in element["options"], f"{where}/initial_option: must be an option"
            )
        case "plain_text_input":
            limit = element.get("max_length", 3000)
            _need(0 < limit <= 3000, f"{where}/max_length: 1 to 3000")
            _need(
                len(element.get("initial_value", "")) <= limit,
                f"{where}/initial_value: longer than max_length",
            )
        case "datepicker":
            day = element.get("initial_date")
            _need(day is None or re.fullmatch(r"\d{4}-\d\d-\d\d", day), f"{where}/initial_date: YYYY-MM-DD")
        case "file_input":
            _need(1 <= element.get("max_files", 10) <= 10, f"{where}/max_files: 1 to 10")


def _unique_actions(elements: list[Json], where: str) -> None:
    ids = [element["action_id"] for element in elements if "action_id" in element]
    _need(len(ids) == len(set(ids)), f"{where}: action_id already exists")


def _block(block: Json, surface: str, where: str) -> None:
    kind = block.get("type")
    _need(kind in SURFACES[surface][1], f"{where}: unsupported block {kind!r}")
    keys = BLOCK_KEYS[str(kind)] | {"type", "block_id"}
    _need(set(block) <= keys, f"{where}: invalid additional property: {sorted(set(block) - keys)}")
    if "block_id" in block:
        _identifier(block["block_id"], f"{where}/block_id")
    match kind:
        case "section":
            _need("text" in block or block.get("fields"), f"{where}: needs text or fields")
            if "text" in block:
                _text(block["text"], ("plain_text", "mrkdwn"), 3000, f"{where}/text")
            _need(len(block.get("fields", ())) <= 10, f"{where}/fields: at most 10")
            for field in block.get("fields", ()):
                _text(field, ("plain_text", "mrkdwn"), 2000, f"{where}/fields")
        case "header":
            _text(block.get("text"), ("plain_text",), 150, f"{where}/text")
        case "context":
            _need(0 < len(block.get("elements", ())) <= 10, f"{where}/elements: 1 to 10")
            for element in block["elements"]:
                if element.get("type") != "image":
                    _text(element, ("plain_text", "mrkdwn"), 3000, f"{where}/elements")
        case "actions":
            _need(0 < len(block.get("elements", ())) <= 25, f"{where}/elements: 1 to 25")
            for element in block["elements"]:
                _element(element, INTERACTIVE, f"{where}/elements")
            _unique_actions(list(block["elements"]), where)
        case "input":
            _text(block.get("label"), ("plain_text",), 2000, f"{where}/label")
            _element(block.get("element", {}), INPUTS, f"{where}/element")
            if "hint" in block:
                _text(block["hint"], ("plain_text",), 2000, f"{where}/hint")


def texts(value: Any) -> Iterator[str]:
    """Every string that a person would read in blocks."""
    if isinstance(value, Mapping):
        if value.get("type") in {"plain_text", "mrkdwn"} and isinstance(value.get("text"), str):
            yield value["text"]
            return
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def check_blocks(blocks: object, surface: str = "message") -> None:
    """Raise Invalid when Slack would refuse these blocks on that surface."""
    _need(isinstance(blocks, list), "/blocks: must be an array")
    assert isinstance(blocks, list)
    most, _ = SURFACES[surface]
    _need(len(blocks) <= most, f"/blocks: no more than {most} items allowed")
    for number, block in enumerate(blocks):
        _need(isinstance(block, Mapping), f"/blocks/{number}: must be an object")
        _block(block, surface, f"/blocks/{number}")
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    _need(len(ids) == len(set(ids)), "/blocks: block_id already exists")


def too_long(blocks: list[Json]) -> bool:
    """The undocumented limit on all words of a message's blocks together."""
    return sum(len(text) for text in texts(blocks)) > BLOCKS_TEXT_MAX


VIEW_KEYS = {
    "modal": {
        "type", "title", "submit", "close", "blocks", "private_metadata", "callback_id", "clear_on_close",
        "notify_on_close", "external_id",
    },
    "home": {"type", "blocks", "private_metadata", "callback_id", "external_id"},
}  # fmt: skip


def check_view(view: object) -> None:
    """Raise Invalid when Slack would refuse to open or publish this view."""
    _need(isinstance(view, Mapping), "/view: must be an object")
    assert isinstance(view, Mapping)
    kind = view.get("type")
    _need(kind in VIEW_KEYS, f"/view/type: unknown {kind!r}")
    keys = VIEW_KEYS[str(kind)]
    _need(set(view) <= keys, f"/view: invalid additional property: {sorted(set(view) - keys)}")
    _need(len(view.get("private_metadata", "")) <= 3000, "/view/private_metadata: too long")
    _need(len(view.get("callback_id", "")) <= 255, "/view/callback_id: too long")
    check_blocks(view.get("blocks"), str(kind))
    if kind == "modal":
        _text(view.get("title"), ("plain_text",), 24, "/view/title")
        for name in ("submit", "close"):
            if name in view:
                _text(view[name], ("plain_text",), 24, f"/view/{name}")
        needs_submit = any(block.get("type") == "input" for block in view["blocks"])
        _need(not needs_submit or "submit" in view, "/view/submit: required with input blocks")
