"""From our words to Discord's, pure: Content to messages, Form to a modal. Discord's limits live here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.discord_text import ZERO, Pages, atoms, clip, escape, mention, no_mass_mention, pieces, units
from adapters.port import Block, Button, Content, Form, FormErrors, FormInput, Rejected, Span

CONTENT, DESCRIPTION, EMBED, FIELDS = 2000, 4096, 6000, 25
TITLE, AUTHOR, FOOTER, FIELD_NAME, FIELD_VALUE = 256, 256, 2048, 256, 1024
ROWS, PER_ROW, LABEL, CUSTOM_ID = 5, 5, 80, 100
OPTIONS, OPTION, PLACEHOLDER, INPUT = 25, 100, 100, 4000
MODAL_TITLE, INPUT_LABEL, INPUT_HINT, INPUTS = 45, 45, 100, 5
THREAD_NAME = 100

SUPPRESS_EMBEDS, EPHEMERAL = 1 << 2, 1 << 6
ROW, BUTTON, SELECT, TEXT_INPUT, LABELLED, FILE_UPLOAD = 1, 2, 3, 4, 18, 19
PREFIX, CONFIRM = "fl1", "fl1c"
URGENT, CALM = 0xD83A3A, 0x3B6EA8

_STYLES = {"default": 2, "primary": 1, "danger": 4}
_CUT = 40  # what continuation prefixes and escapes may add to a piece
Payload = dict[str, Any]


def nonce(key: str, part: int) -> str:
    """Discord's idempotency key: at most 25 characters, the same for the same part of the same message."""
    digest = hashlib.sha256(f"{key}#{part}".encode()).digest()[:15]
    return base64.b32encode(digest).decode()


# --- messages ----------------------------------------------------------------------------------------------


def render(content: Content, prefix: str = "") -> list[Payload]:
    """Messages that together say all of `content`; nothing at all for empty content.

    Text: buttons on the last message. A card (`title`): one embed with the buttons, so that the message
    that is edited later carries them; what does not fit follows in further embeds.
    """
    if content.title:
        return _card(content, prefix)
    pages = Pages(CONTENT)
    if prefix:
        pages.page = prefix
    for index, block in enumerate(_text_blocks(content)):
        _draw(pages, block, first=index == 0, inline=bool(prefix))
    texts = pages.finish()
    rows = components(content.buttons)
    if not texts and rows:
        texts = [ZERO]
    parts = [_message({"content": text, "flags": SUPPRESS_EMBEDS}, content) for text in texts]
    if parts and rows:
        parts[-1]["components"] = rows
    return parts


def render_one(content: Content, prefix: str = "") -> Payload:
    """One message, for edits: what does not fit is shortened, visibly; the buttons stay."""
    parts = render(content, prefix)
    if not parts:
        parts = [_message({"content": ZERO, "flags": SUPPRESS_EMBEDS}, content)]
    only: Payload = {"content": "", "embeds": [], "components": components(content.buttons)}
    only |= parts[0]
    if len(parts) > 1:
        if only["embeds"]:
            embed: Payload = dict(only["embeds"][0])
            embed["description"] = clip(f"{embed.get('description', '')}\n…", DESCRIPTION)
            only["embeds"] = [embed]
        else:
            only["content"] = clip(only["content"], CONTENT - 2) + "\n…"
    return only


def speaker(name: str, role: str) -> str:
    """What marks a person's message that the bot carries."""
    return f"**{escape(clip(name.replace(chr(10), ' '), 80))}** ({escape(role)}): " if name else ""


def _pings(content: Content) -> list[str]:
    """Whom this message calls."""
    named = [mention(span) for block in content.body for item in block.items for span in item if span.mention]
    return [name for name in named if name.startswith("<@")]


def allowed_mentions(content: Content) -> Payload:
    """Nobody is pinged but the ids that the configuration named in `Span.mention`."""
    named = _pings(content)
    roles = sorted({name[3:-1] for name in named if name.startswith("<@&")})
    users = sorted({name[2:-1] for name in named if not name.startswith("<@&")})
    listed = {key: ids for key, ids in (("roles", roles), ("users", users)) if ids}
    return {"parse": [], "replied_user": False} | listed


def _message(payload: Payload, content: Content) -> Payload:
    return payload | {"allowed_mentions": allowed_mentions(content)}


def _text_blocks(content: Content) -> Iterator[Block]:
    if content.status:
        yield Block("para", ((Span(content.status, frozenset({"b"})),),))
    yield from content.body
    if content.footer:
        yield Block("note", ((Span(content.footer),),))


def _draw(pages: Pages, block: Block, *, first: bool, inline: bool) -> None:
    """One block onto the pages. `inline`: the first paragraph continues the line that is there already."""
    limit = pages.limit - _CUT
    if block.type == "code":
        text = "\n".join("".join(span.text for span in item) for item in block.items)
        pages.gap("\n" if first else "\n\n")
        pages.keep_together(units(text) + 8)
        pages.code(text.split("\n"))
        return
    lines = list(_lines(block, limit))
    if not (first and inline and block.type == "para"):
        pages.gap("\n" if first else "\n\n")
    pages.keep_together(sum(units("".join(parts)) + units(start) + 1 for parts, start, _ in lines))
    for index, (parts, start, following) in enumerate(lines):
        if first and inline and block.type == "para" and index == 0:
            pages.continue_line(parts)
        else:
            pages.line(parts, start, following)


def _lines(block: Block, limit: int) -> Iterator[tuple[list[str], str, str]]:
    """The block's lines as (pieces, prefix, prefix where the line goes on overleaf)."""
    if block.type == "divider":
        yield ["───────────"], "", ""
        return
    if block.type == "fields":
        for label, value in _pairs(block):
            bold = tuple(Span(span.text, span.style | {"b"}) for span in label)
            for index, piece in enumerate(_split_lines(value)):
                lead = (*bold, Span(": ")) if index == 0 else ()
                yield atoms((*lead, *piece), limit), "", ""
        return
    for number, item in enumerate(block.items, 1):
        for index, piece in enumerate(_split_lines(item)):
            start, following = _prefix(block, number, again=index > 0)
            yield atoms(piece, limit), start, following


def _prefix(block: Block, number: int, *, again: bool) -> tuple[str, str]:
    match block.type:
        case "heading":
            return "### ", "### "
        case "bullets":
            return ("  " if again else "- "), "  "
        case "numbers":
            return ("   " if again else f"{number}. "), "   "
        case "quote":
            return "> ", "> "
        case "note":
            return "-# ", "-# "
        case _:
            return "", ""


def _split_lines(item: Sequence[Span]) -> list[tuple[Span, ...]]:
    """An item's lines: a span may hold line breaks, and each line needs its prefix."""
    lines: list[list[Span]] = [[]]
    for span in item:
        if span.url or span.mention:
            lines[-1].append(span)
            continue
        for index, text in enumerate(span.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")):
            if index:
                lines.append([])
            if text:
                lines[-1].append(Span(text, span.style))
    return [tuple(line) for line in lines]


def _pairs(block: Block) -> list[tuple[tuple[Span, ...], tuple[Span, ...]]]:
    items = block.items if len(block.items) % 2 == 0 else (*block.items, ())
    return list(zip(items[::2], items[1::2], strict=True))


# --- cards -------------------------------------------------------------------------------------------------


def _card(content: Content, prefix: str) -> list[Payload]:
    embed: Payload = {"title": escape_clip(content.title, TITLE), "color": URGENT if content.urgent else CALM}
    if content.status:
        embed["author"] = {"name": clip(no_mass_mention(content.status), AUTHOR)}
    if content.footer:
        embed["footer"] = {"text": clip(no_mass_mention(content.footer), FOOTER // 2)}
    spent = units(embed["title"]) + sum(
        units(v) for k in ("author", "footer") for v in embed.get(k, {}).values()
    )
    fields, body = _embed_fields(content.body, EMBED - spent - 1000)
    spent += sum(units(field["name"]) + units(field["value"]) for field in fields)
    pages = Pages(DESCRIPTION, first_limit=min(DESCRIPTION, EMBED - spent))
    for index, block in enumerate(body):
        _draw(pages, block, first=index == 0, inline=False)
    texts = pages.finish() or [""]
    if texts[0]:
        embed["description"] = texts[0]
    if fields:
        embed["fields"] = fields
    pings = _pings(content)
    top: Payload = {"embeds": [embed]}
    if prefix or pings:
        # A mention inside an embed notifies nobody.
        top["content"] = (prefix + " ".join(dict.fromkeys(pings))).strip()
    parts = [_message(top, content)]
    parts += [
        _message({"embeds": [{"description": text, "color": embed["color"]}]}, Content())
        for text in texts[1:]
    ]
    rows = components(content.buttons)
    if rows:
        parts[0]["components"] = rows
    return parts


def _embed_fields(body: Sequence[Block], budget: int) -> tuple[list[Payload], list[Block]]:
    """Pairs that fit become the embed's fields; everything else stays text, in its place."""
    fields: list[Payload] = []
    rest: list[Block] = []
    for block in body:
        if block.type != "fields":
            rest.append(block)
            continue
        left: list[tuple[Span, ...]] = []
        for label, value in _pairs(block):
            name = escape("".join(span.text for span in label)).strip() or ZERO
            pages = Pages(FIELD_VALUE)
            for piece in _split_lines(value):
                pages.line(atoms(piece, FIELD_VALUE - _CUT))
            shown = pages.finish() or [ZERO]
            size = units(name) + units(shown[0])
            if len(shown) > 1 or units(name) > FIELD_NAME or len(fields) == FIELDS or size > budget:
                left += [label, value]
                continue
            budget -= size
            fields.append({"name": name, "value": shown[0], "inline": units(shown[0]) <= 40})  # noqa: PLR2004
        if left:
            rest.append(Block("fields", tuple(left)))
    return fields, rest


def escape_clip(text: str, limit: int) -> str:
    """`text` escaped and within `limit`; shortened before it is escaped, so that no escape is cut in two."""
    size = limit
    while units(shown := escape(clip(text, size))) > limit:
        size = max(1, size - (units(shown) - limit))
    return shown


# --- buttons -----------------------------------------------------------------------------------------------


def custom_id(verb: str, arg: str, *, confirm: bool = False) -> str:
    """A stateless id; survives restarts because everything that it means is in it."""
    ident = f"{CONFIRM if confirm else PREFIX}:{verb}:{arg}"
    if len(ident) > CUSTOM_ID:
        raise Rejected(
            f"the id of the button {verb!r} is {len(ident)} characters long, {CUSTOM_ID} are possible"
        )
    return ident


def components(buttons: Sequence[Button]) -> list[Payload]:
    """Rows of at most five buttons."""
    if len(buttons) > ROWS * PER_ROW:
        raise Rejected(f"{len(buttons)} buttons on one message, {ROWS * PER_ROW} are possible")
    drawn = [button(b) for b in buttons]
    return [{"type": ROW, "components": drawn[i : i + PER_ROW]} for i in range(0, len(drawn), PER_ROW)]


def button(b: Button, *, confirmed: bool = False) -> Payload:
    return {
        "type": BUTTON,
        "style": _STYLES[b.style],
        "label": clip(b.label, LABEL) or ZERO,
        "custom_id": custom_id(b.verb, b.arg, confirm=bool(b.confirm) and not confirmed),
    }


# --- forms -------------------------------------------------------------------------------------------------


def modal(form: Form) -> Payload:
    """The form as a modal; its id holds all that the submission needs."""
    if len(form.inputs) > INPUTS:
        raise Rejected(f"{len(form.inputs)} inputs in one form, {INPUTS} are possible")
    return {
        "custom_id": custom_id(form.id, form.context),
        "title": clip(form.title, MODAL_TITLE),
        "components": [_labelled(item) for item in form.inputs],
    }


def _labelled(item: FormInput) -> Payload:
    label: Payload = {"type": LABELLED, "label": clip(item.label, INPUT_LABEL), "component": _input(item)}
    if item.hint and item.kind in {"choice", "file"}:
        label["description"] = clip(item.hint, INPUT_HINT)
    return label


def _input(item: FormInput) -> Payload:
    shared: Payload = {"custom_id": item.id[:CUSTOM_ID], "required": item.required}
    if item.kind == "choice":
        options: list[Payload] = [
            {"value": value[:OPTION], "label": clip(label, OPTION)} for value, label in item.choices[:OPTIONS]
        ]
        for option in options:
            if option["value"] == item.value:
                option["default"] = True
        least = 1 if item.required else 0
        return shared | {"type": SELECT, "options": options, "min_values": least, "max_values": 1}
    if item.kind == "file":
        return shared | {"type": FILE_UPLOAD, "min_values": 1 if item.required else 0, "max_values": 10}
    most = max(1, min(item.max, INPUT))
    drawn = shared | {"type": TEXT_INPUT, "style": 2 if item.kind == "text" else 1, "max_length": most}
    if item.value:
        drawn["value"] = next(pieces(item.value, most))
    if item.hint:
        drawn["placeholder"] = clip(item.hint, PLACEHOLDER)
    return drawn


def errors_text(refused: FormErrors, heading: str) -> str:
    """Why the form was refused, one line per input, with the labels that the person saw."""
    labels: Mapping[str, str] = {i.id: i.label for i in refused.form.inputs} if refused.form else {}
    lines = [f"- **{escape(labels.get(key, key))}**: {escape(why)}" for key, why in refused.errors.items()]
    return clip("\n".join([escape(heading), *lines]), CONTENT)


def thread_name(title: str) -> str:
    """A thread's name: one line, at most 100, never empty."""
    return clip(no_mass_mention(" ".join(title.split())), THREAD_NAME) or "Question"
