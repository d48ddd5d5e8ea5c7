"""Discord's documented limits for messages, components and modals; what breaks one is refused with 50035."""

from __future__ import annotations

from typing import Any

from tests.discord_server.world import Raw, Refused

CHILDREN_OF_ROW = {2, 3, 5, 6, 7, 8}
IN_LABEL = {3, 4, 5, 6, 7, 8, 19, 21, 22, 23}


def units(text: str) -> int:
    """UTF-16 code units, the strictest count."""
    return len(text.encode("utf-16-le")) // 2


class Form:
    """Collects what is wrong, by path, as Discord's `errors` object does."""

    def __init__(self) -> None:
        self.errors: Raw = {}

    def text(self, where: str, value: Any, most: int, least: int = 0) -> None:
        if not isinstance(value, str):
            self.bad(where, "STRING_TYPE_CONVERT")
        elif not least <= units(value) <= most:
            self.bad(where, f"BASE_TYPE_BAD_LENGTH {units(value)} not in {least}..{most}")

    def bad(self, where: str, why: str) -> None:
        self.errors[where] = {"_errors": [{"code": why.split(maxsplit=1)[0], "message": why}]}

    def done(self) -> None:
        if self.errors:
            raise Refused(400, 50035, "Invalid Form Body", self.errors)


def check_message(body: Raw, *, files: int = 0, edit: bool = False) -> None:
    """A message payload, for creating or editing."""
    form = Form()
    content, embeds = body.get("content") or "", body.get("embeds") or []
    form.text("content", content, 2000)
    if nonce := body.get("nonce"):
        form.text("nonce", str(nonce), 25)
    if len(embeds) > 10:
        form.bad("embeds", "BASE_TYPE_MAX_LENGTH 10")
    if sum(_embed(form, f"embeds.{i}", embed) for i, embed in enumerate(embeds)) > 6000:
        form.bad("embeds", "MAX_EMBED_SIZE_EXCEEDED 6000")
    check_rows(form, body.get("components") or [])
    flags = int(body.get("flags") or 0)
    if flags & ~((1 << 2) | (1 << 6) | (1 << 12) | (1 << 15)):
        form.bad("flags", "UNKNOWN_FLAG")
    _mentions(form, body.get("allowed_mentions"))
    form.done()
    if not (content.strip() or embeds or files or edit):
        raise Refused(400, 50006, "Cannot send an empty message")


def _embed(form: Form, where: str, embed: Raw) -> int:
    total = 0
    for key, most in (("title", 256), ("description", 4096)):
        if key in embed:
            form.text(f"{where}.{key}", embed[key], most)
            total += units(embed[key])
    for key, inner, most in (("footer", "text", 2048), ("author", "name", 256)):
        if key in embed:
            form.text(f"{where}.{key}.{inner}", embed[key].get(inner), most, 1)
            total += units(embed[key].get(inner) or "")
    fields = embed.get("fields") or []
    if len(fields) > 25:
        form.bad(f"{where}.fields", "BASE_TYPE_MAX_LENGTH 25")
    for index, field in enumerate(fields):
        form.text(f"{where}.fields.{index}.name", field.get("name"), 256, 1)
        form.text(f"{where}.fields.{index}.value", field.get("value"), 1024, 1)
        total += units(field.get("name") or "") + units(field.get("value") or "")
    return total


def _mentions(form: Form, allowed: Any) -> None:
    if allowed is None:
        return
    if set(allowed.get("parse", [])) - {"roles", "users", "everyone"}:
        form.bad("allowed_mentions.parse", "BASE_TYPE_CHOICES")
    for kind in ("roles", "users"):
        if kind in allowed.get("parse", []) and allowed.get(kind):
            form.bad(f"allowed_mentions.{kind}", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE")
        if len(allowed.get(kind, [])) > 100:
            form.bad(f"allowed_mentions.{kind}", "BASE_TYPE_MAX_LENGTH 100")


def check_rows(form: Form, rows: list[Raw]) -> None:
    """Action rows of a message: five rows, five buttons each or one select."""
    if len(rows) > 5:
        form.bad("components", "BASE_TYPE_MAX_LENGTH 5")
    seen: set[str] = set()
    for r, row in enumerate(rows):
        where = f"components.{r}"
        if row.get("type") != 1:
            form.bad(where, f"UNION_TYPE_CHOICES component type {row.get('type')}")
            continue
        inner = row.get("components") or []
        if not 1 <= len(inner) <= 5 or (len(inner) > 1 and any(c.get("type") != 2 for c in inner)):
            form.bad(where, "COMPONENT_LAYOUT_WIDTH_EXCEEDED")
        for c, item in enumerate(inner):
            _item(form, f"{where}.components.{c}", item, seen)


def _item(form: Form, where: str, item: Raw, seen: set[str]) -> None:
    kind = item.get("type")
    if kind not in CHILDREN_OF_ROW:
        form.bad(where, f"UNION_TYPE_CHOICES component type {kind}")
        return
    if kind == 2 and item.get("style") == 5:
        form.text(f"{where}.url", item.get("url"), 512, 1)
        return
    _custom_id(form, where, item, seen)
    if kind == 2:
        if item.get("style") not in {1, 2, 3, 4}:
            form.bad(f"{where}.style", "BASE_TYPE_CHOICES")
        form.text(f"{where}.label", item.get("label"), 80, 1)
    if kind == 3:
        _select(form, where, item)


def _custom_id(form: Form, where: str, item: Raw, seen: set[str]) -> None:
    form.text(f"{where}.custom_id", item.get("custom_id"), 100, 1)
    if item.get("custom_id") in seen:
        form.bad(f"{where}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED")
    seen.add(str(item.get("custom_id")))


def _select(form: Form, where: str, item: Raw) -> None:
    options = item.get("options") or []
    if not 1 <= len(options) <= 25:
        form.bad(f"{where}.options", "BASE_TYPE_BAD_LENGTH 1..25")
    form.text(f"{where}.placeholder", item.get("placeholder", ""), 150)
    values = [o.get("value") for o in options]
    if len(set(values)) != len(values):
        form.bad(f"{where}.options", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED")
    for index, option in enumerate(options):
        form.text(f"{where}.options.{index}.label", option.get("label"), 100, 1)
        form.text(f"{where}.options.{index}.value", option.get("value"), 100, 1)
        form.text(f"{where}.options.{index}.description", option.get("description", ""), 100)


def check_modal(data: Raw) -> None:
    """A modal: title, id, one to five labels (or rows with one text input each)."""
    form = Form()
    form.text("title", data.get("title"), 45, 1)
    form.text("custom_id", data.get("custom_id"), 100, 1)
    tops = data.get("components") or []
    if not 1 <= len(tops) <= 5:
        form.bad("components", "BASE_TYPE_BAD_LENGTH 1..5")
    seen: set[str] = set()
    for index, top in enumerate(tops):
        where = f"components.{index}"
        if top.get("type") == 18:
            form.text(f"{where}.label", top.get("label"), 45, 1)
            form.text(f"{where}.description", top.get("description", ""), 100)
            _modal_input(form, f"{where}.component", top.get("component") or {}, seen)
        elif top.get("type") == 1 and len(top.get("components") or []) == 1:
            _modal_input(form, f"{where}.components.0", top["components"][0], seen, labelled=False)
        else:
            form.bad(where, f"UNION_TYPE_CHOICES component type {top.get('type')}")
    form.done()


def _modal_input(form: Form, where: str, item: Raw, seen: set[str], *, labelled: bool = True) -> None:
    kind = item.get("type")
    if kind not in (IN_LABEL if labelled else {4}):
        form.bad(where, f"UNION_TYPE_CHOICES component type {kind}")
        return
    _custom_id(form, where, item, seen)
    if kind == 4:
        if item.get("style") not in {1, 2}:
            form.bad(f"{where}.style", "BASE_TYPE_CHOICES")
        most = int(item.get("max_length", 4000))
        if not 1 <= most <= 4000:
            form.bad(f"{where}.max_length", "NUMBER_TYPE_MAX 4000")
        form.text(f"{where}.value", item.get("value", ""), most)
        form.text(f"{where}.placeholder", item.get("placeholder", ""), 100)
        if not labelled:
            form.text(f"{where}.label", item.get("label"), 45, 1)
    if kind == 3:
        _select(form, where, item)
    if kind == 19 and not 0 <= int(item.get("min_values", 1)) <= int(item.get("max_values", 1)) <= 10:
        form.bad(f"{where}.max_values", "NUMBER_TYPE_MAX 10")


def check_choices(choices: list[Raw]) -> None:
    form = Form()
    if len(choices) > 25:
        form.bad("choices", "BASE_TYPE_MAX_LENGTH 25")
    for index, choice in enumerate(choices):
        form.text(f"choices.{index}.name", choice.get("name"), 100, 1)
        form.text(f"choices.{index}.value", choice.get("value"), 100)
    form.done()


def check_commands(commands: list[Raw]) -> None:
    """Names, descriptions, counts, and the 8,000 characters that one command may have."""
    form = Form()
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        if sum(1 for c in commands if c.get("type", 1) == kind) > most:
            form.bad("commands", f"BASE_TYPE_MAX_LENGTH {most}")
    for index, command in enumerate(commands):
        form.text(f"{index}.name", command.get("name"), 32, 1)
        if command.get("type", 1) == 1:
            if _command_level(form, f"{index}", command) > 8000:
                form.bad(f"{index}", "APPLICATION_COMMAND_TOO_LARGE")
        elif command.get("description"):
            form.bad(f"{index}.description", "APPLICATION_COMMAND_DESCRIPTION_NOT_ALLOWED")
    form.done()


def _command_level(form: Form, where: str, item: Raw) -> int:
    name, description = str(item.get("name")), item.get("description")
    form.text(f"{where}.name", name, 32, 1)
    form.text(f"{where}.description", description, 100, 1)
    if name != name.lower() or not name.replace("-", "").replace("_", "").isalnum():
        form.bad(f"{where}.name", "APPLICATION_COMMAND_INVALID_NAME")
    options = item.get("options") or []
    if len(options) > 25:
        form.bad(f"{where}.options", "BASE_TYPE_MAX_LENGTH 25")
    required = [bool(o.get("required")) for o in options]
    if required != sorted(required, reverse=True):
        form.bad(f"{where}.options", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID")
    if len(item.get("choices") or []) > 25:
        form.bad(f"{where}.choices", "BASE_TYPE_MAX_LENGTH 25")
    size = units(name) + units(str(description or ""))
    size += sum(units(str(c["name"])) + units(str(c["value"])) for c in item.get("choices") or [])
    return size + sum(_command_level(form, f"{where}.options.{i}", o) for i, o in enumerate(options))
