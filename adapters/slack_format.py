"""Slack's outgoing messages, pure: Content in, Block Kit out, always within Slack's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapters.port import Block, Button, Content, Doc, Span
from adapters.slack_text import (
    CUT,
    Json,
    Line,
    line_mrkdwn,
    line_plain,
    mrkdwn,
    physical,
    plain_text,
    size,
    span_mrkdwn,
    split_lines,
)

# Slack allows 3,000 characters per section, 50 blocks per message, about 13,000 characters in all blocks
# together, and cuts `text` in chat.update at 4,000. We stay below each, counted after escaping.
SECTION_MAX = 2900
NOTE_MAX = 1900
FIELD_MAX = 1900
FIELDS_PER_BLOCK = 10
HEADER_MAX = 150
MESSAGE_MAX = 10_000
TEXT_MAX = 3800
BLOCKS_MAX = 44  # leaves room for the buttons and the footer
HOME_BLOCKS_MAX = 95
BUTTONS_PER_BLOCK = 25
BUTTON_TEXT_MAX = 75

ACTION_PREFIX = "fl1"


@dataclass(frozen=True, slots=True)
class Part:
    """One message: `text` is what notifications show, `blocks` what people see."""

    text: str
    blocks: list[Json]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One block and the same words as mrkdwn."""

    text: str
    block: Json


# --- blocks ----------------------------------------------------------------------------------------------


def _section(text: str) -> _Chunk:
    return _Chunk(text, {"type": "section", "text": mrkdwn(text)})


def _note(text: str) -> _Chunk:
    return _Chunk(text, {"type": "context", "elements": [mrkdwn(text)]})


def _sections(
    lines: Iterable[Line],
    prefix: str = "",
    make: Callable[[str], _Chunk] = _section,
    limit: int = SECTION_MAX,
) -> Iterator[_Chunk]:
    for chunk in split_lines(lines, limit, 1 + len(prefix)):
        text = "\n".join(prefix + line_mrkdwn(line) for line in chunk)
        if text.strip():
            yield make(text)


def _code(lines: Iterable[Line]) -> Iterator[_Chunk]:
    """Fenced; cut code is fenced again. Three backticks inside would end the fence, so they get a hair space."""
    plain = [(Span(line_plain(line).replace("```", "`\u200b`\u200b`")),) for line in lines]
    for chunk in split_lines(plain, SECTION_MAX - 8):
        yield _section("```\n" + "\n".join(line_mrkdwn(line) for line in chunk) + "\n```")


def _heading(text: str) -> Iterator[_Chunk]:
    words = " ".join(text.split())
    if not words:
        return
    if size(words) <= HEADER_MAX:
        bold = span_mrkdwn(Span(words, frozenset({"b"})))
        yield _Chunk(bold, {"type": "header", "text": plain_text(words, HEADER_MAX)})
    else:
        yield from _sections([(Span(words, frozenset({"b"})),)])


def _fields(items: Sequence[Line]) -> Iterator[_Chunk]:
    """Pairs of label and value: two columns where they fit, paragraphs where one is long."""
    pairs = [(items[i], items[i + 1] if i + 1 < len(items) else ()) for i in range(0, len(items), 2)]
    cells = [f"{_bold(label)}\n{line_mrkdwn(value) or CUT}" for label, value in pairs]
    if any(
        size(cell) > FIELD_MAX or "\n" in line_plain(value)
        for cell, (_, value) in zip(cells, pairs, strict=True)
    ):
        for label, value in pairs:
            yield from _sections([(Span(f"{line_plain(label)}: ", frozenset({"b"})), *value)])
        return
    row: list[tuple[str, str]] = []
    for cell, (label, value) in zip(cells, pairs, strict=True):
        words = f"{_bold(label)} {line_mrkdwn(value)}"
        if row and (
            len(row) == FIELDS_PER_BLOCK or sum(size(text) for _, text in row) + size(words) > SECTION_MAX
        ):
            yield _field_row(row)
            row = []
        row.append((cell, words))
    if row:
        yield _field_row(row)


def _bold(line: Line) -> str:
    return span_mrkdwn(Span(line_plain(line), frozenset({"b"})))


def _field_row(row: Sequence[tuple[str, str]]) -> _Chunk:
    block = {"type": "section", "fields": [mrkdwn(cell) for cell, _ in row]}
    return _Chunk("\n".join(words for _, words in row), block)


def _listed(block: Block) -> Iterator[Line]:
    for number, item in enumerate(block.items, 1):
        yield (Span("• " if block.type == "bullets" else f"{number}. "), *item)


def _chunks(doc: Doc) -> Iterator[_Chunk]:
    for block in doc:
        match block.type:
            case "para":
                yield from _sections(block.items)
            case "heading":
                yield from _heading(" ".join(line_plain(item) for item in block.items))
            case "bullets" | "numbers":
                yield from _sections(_listed(block))
            case "code":
                yield from _code(physical(block.items))
            case "quote":
                yield from _sections(block.items, prefix="> ")
            case "fields":
                yield from _fields(block.items)
            case "note":
                yield from _sections(block.items, make=_note, limit=NOTE_MAX)
            case "divider":
                yield _Chunk("", {"type": "divider"})


def _actions(buttons: Sequence[Button]) -> Iterator[_Chunk]:
    seen: dict[str, int] = {}
    elements = []
    for button in buttons:
        seen[button.verb] = count = seen.get(button.verb, 0) + 1
        element: Json = {
            "type": "button",
            # Slack wants ids that are unique within the block: the second `rate` button becomes `fl1:rate:2`.
            "action_id": f"{ACTION_PREFIX}:{button.verb}" + (f":{count}" if count > 1 else ""),
            "text": plain_text(button.label, BUTTON_TEXT_MAX, emoji=True),
            "value": button.arg,
        }
        if button.style != "default":
            element["style"] = button.style
        if button.confirm:
            element["confirm"] = {
                "title": plain_text("Are you sure?", 100),
                "text": plain_text(button.confirm, 300),
                "confirm": plain_text("Yes", 30),
                "deny": plain_text("Cancel", 30),
            }
        elements.append(element)
    for start in range(0, len(elements), BUTTONS_PER_BLOCK):
        yield _Chunk("", {"type": "actions", "elements": elements[start : start + BUTTONS_PER_BLOCK]})


# --- messages ------------------------------------------------------------------------------------------


def is_empty(content: Content) -> bool:
    return not (content.body or content.title or content.status or content.footer or content.buttons)


def _signed(content: Content, speaking_as: str) -> Doc:
    """The body, with the name of the person who speaks above it: nobody takes a person for the bot."""
    if not speaking_as:
        return content.body
    name = Span(" ".join(speaking_as.split()), frozenset({"b"}))
    return (Block("para", ((name, Span(" (support):")),)), *content.body)


def _all_chunks(content: Content, speaking_as: str) -> tuple[list[_Chunk], list[_Chunk]]:
    top = [*_heading(content.title)]
    if content.status:
        top += _sections([(Span(content.status),)], make=_note, limit=NOTE_MAX)
    foot = [*_sections([(Span(content.footer),)], make=_note, limit=NOTE_MAX)] if content.footer else []
    return top + list(_chunks(_signed(content, speaking_as))), foot + list(_actions(content.buttons))


def render(content: Content, speaking_as: str = "") -> list[Part]:
    """The messages that `content` needs, in order; buttons and footer are on the last one.

    A card (content with a title) is always one message, because it will be edited as one.
    """
    if content.title:
        return [render_one(content, speaking_as)]
    body, last = _all_chunks(content, speaking_as)
    groups: list[list[_Chunk]] = [[]]
    used = 0
    for chunk in body:
        if groups[-1] and (used + size(chunk.text) > MESSAGE_MAX or len(groups[-1]) >= BLOCKS_MAX):
            groups.append([])
            used = 0
        groups[-1].append(chunk)
        used += size(chunk.text) + 1
    groups[-1].extend(last)
    return [_part(group) for group in groups]


def render_one(content: Content, speaking_as: str = "") -> Part:
    """One message, whatever it takes: what does not fit is left out at the end and marked with an ellipsis."""
    body, last = _all_chunks(content, speaking_as)
    kept: list[_Chunk] = []
    used = 0
    for chunk in body:
        used += size(chunk.text) + 1
        if used > MESSAGE_MAX or len(kept) >= BLOCKS_MAX - 1:
            kept.append(_note(CUT))
            break
        kept.append(chunk)
    return _part(kept + last)


def _part(chunks: Sequence[_Chunk]) -> Part:
    text = "\n".join(chunk.text for chunk in chunks if chunk.text)
    return Part(_fallback(text) or CUT, [chunk.block for chunk in chunks])


def _fallback(text: str) -> str:
    """`text` cut to what chat.update accepts, between lines where possible so that no markup is torn."""
    if size(text) <= TEXT_MAX:
        return text
    lines: list[str] = []
    used = 0
    for line in text.split("\n"):
        used += size(line) + 1
        if used > TEXT_MAX - 8:
            break
        lines.append(line)
    kept = "\n".join(lines)
    return kept + ("\n```" if kept.count("```") % 2 else "") + f"\n{CUT}"


def home_view(content: Content) -> Json:
    """The home tab of one person."""
    body, last = _all_chunks(content, "")
    return {"type": "home", "blocks": [chunk.block for chunk in (body[:HOME_BLOCKS_MAX] + last)[:100]]}
