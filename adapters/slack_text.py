"""Text for Slack, pure: escaping, measuring, cutting without loss.

Nothing that a person, a file or a model wrote can become markup here: every text is escaped, and only a
`Span.url` with a harmless scheme or a `Span.mention` from the configuration is ever put between `<` and `>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import regex

from adapters.port import Span

CUT = "…"
SAFE_URL = re.compile(r"(?:https?://|mailto:)[^\s<>|]+\Z", re.IGNORECASE)
MENTIONABLE = re.compile(r"[UWSCG][A-Z0-9]{2,}\Z")
MENTION_SIGNS = {
    "S": "!subteam^",
    "C": "#",
    "G": "#",
}  # people: @; a channel's name is shown and pings nobody
GRAPHEME = regex.compile(r"\X")
STYLES = (("code", "`"), ("b", "*"), ("i", "_"), ("s", "~"))

Line = tuple[Span, ...]
Json = dict[str, Any]


def escape(text: str) -> str:
    """The three characters that Slack reads as markup, made harmless."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def size(text: str) -> int:
    """How long Slack may count `text`: in UTF-16 units, the stricter way."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def clip(text: str, limit: int) -> str:
    """At most `limit` units, cut between graphemes, with an ellipsis when something is missing."""
    if size(text) <= limit:
        return text
    return text[: _cut(text, limit - 1, cost=size)].rstrip() + CUT


def plain_text(text: str, limit: int, *, emoji: bool = False) -> Json:
    """A text object without markup. `<!`, `<@` and `<#` are disarmed even though Slack does not read them here."""
    harmless = re.sub(r"<(?=[!@#])", "‹", " ".join(text.split())) or CUT
    return {"type": "plain_text", "text": clip(harmless, limit), "emoji": emoji}


def mrkdwn(text: str) -> Json:
    """A text object with our own markup. `verbatim`: Slack must not look for names and links in it by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def span_mrkdwn(span: Span) -> str:
    named = (span.mention or "").removeprefix("channel:").removeprefix("user:")
    if MENTIONABLE.match(named):
        return f"<{MENTION_SIGNS.get(named[0], '@')}{named}>"
    if span.url is not None and SAFE_URL.match(span.url):
        label = escape(" ".join(span.text.replace("|", " ").split())) or escape(span.url)
        return f"<{escape(span.url)}|{label}>"
    styled = escape(span.text)
    core = styled.strip()
    if not core:
        return styled
    lead, tail = styled[: styled.index(core[0])], styled[len(styled.rstrip()) :]
    for name, mark in STYLES:
        if name in span.style and mark not in core:
            core = f"{mark}{core}{mark}"
    return f"{lead}{core}{tail}"


def line_mrkdwn(line: Line) -> str:
    return "".join(span_mrkdwn(span) for span in line)


def line_plain(line: Line) -> str:
    return "".join(span.text for span in line)


def _escaped_size(text: str) -> int:
    return size(escape(text))


def _cut(text: str, budget: int, cost: Callable[[str], int] = _escaped_size) -> int:
    """Where to cut `text` so that the first piece costs at most `budget`: after a sentence, a word, a grapheme."""
    spent = end = word = sentence = 0
    last = ""
    for match in GRAPHEME.finditer(text):
        grapheme = match.group()
        spent += cost(grapheme)
        if spent > budget:
            break
        end = match.end()
        if grapheme.isspace():
            word = end
            sentence = end if last in {".", "!", "?", "。"} or grapheme == "\n" else sentence
        last = grapheme
    else:
        return len(text)
    if end == 0:  # one grapheme larger than the budget: nothing better than code points is left
        while end < len(text) and cost(text[: end + 1]) <= budget:
            end += 1
        return max(end, 1)
    return sentence if sentence * 2 >= end else word or end


# --- splitting without loss ----------------------------------------------------------------------------


def physical(lines: Iterable[Line]) -> Iterator[Line]:
    """The same lines, with every line break inside a span made a line of its own."""
    for line in lines:
        current: list[Span] = []
        for span in line:
            if span.mention is not None or "\n" not in span.text or span.url is not None:
                current.append(span)
                continue
            first, *rest = span.text.split("\n")
            current.append(_with_text(span, first))
            for text in rest:
                yield tuple(current)
                current = [_with_text(span, text)]
        yield tuple(current)


def _with_text(span: Span, text: str) -> Span:
    return Span(text, span.style, span.url, span.mention)


def _fits_alone(span: Span, limit: int) -> Span:
    """A link too long for one block is shown as text, which can be cut; anything else stays what it is."""
    if (span.url is None and span.mention is None) or size(span_mrkdwn(span)) <= limit:
        return span
    return Span(f"{span.text} ({span.url})" if span.url else span.text)


def split_lines(lines: Iterable[Line], limit: int, per_line: int = 1) -> list[list[Line]]:
    """Cut into chunks of at most `limit` rendered units, never inside an entity, a link or a grapheme.

    A line that fits into one chunk is not cut. `per_line` is what each line costs beside its words.
    """
    chunks: list[list[Line]] = [[]]
    room = limit
    for line in physical(lines):
        cost = size(line_mrkdwn(line)) + per_line
        if cost > room and chunks[-1]:
            chunks.append([])
            room = limit
        if cost <= room:
            chunks[-1].append(line)
            room -= cost
            continue
        pieces = _cut_line(line, limit - per_line)
        chunks[-1].append(pieces[0])
        chunks.extend([piece] for piece in pieces[1:])
        room = limit - size(line_mrkdwn(pieces[-1])) - per_line
    return [chunk for chunk in chunks if chunk]


def _cut_line(line: Line, limit: int) -> list[Line]:
    pieces: list[list[Span]] = [[]]
    room = limit
    for original in line:
        span = _fits_alone(original, limit)
        overhead = 2 * len(span.style)
        while True:
            cost = size(span_mrkdwn(span))
            if cost <= room:
                pieces[-1].append(span)
                room -= cost
                break
            atomic = span.url is not None or span.mention is not None
            if not atomic and room > overhead + 40:  # not worth a cut for fewer characters than that
                end = _cut(span.text, room - overhead)
                pieces[-1].append(_with_text(span, span.text[:end]))
                span = _with_text(span, span.text[end:])
            pieces.append([])
            room = limit
    return [tuple(piece) for piece in pieces if piece]
