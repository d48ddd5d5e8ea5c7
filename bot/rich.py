"""Approved text (Markdown) as blocks: what every platform can draw. HTML, images and scripts become plain words.

Only for text that the team approved. What people write in a chat is plain text and never comes through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.port import Block, Doc, Span, Style

DEPTH_MAX = 8
_SAFE_LINK = re.compile(r"(?:https?://|mailto:)\S+\Z", re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,2000}>")
_parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_STYLE: dict[str, Style] = {"strong": "b", "em": "i", "s": "s"}

Line = tuple[Span, ...]
Kind = Literal["para", "heading", "bullets", "numbers", "code", "quote"]


@lru_cache(maxsize=512)
def rich(text: str) -> Doc:
    """Markdown as blocks. The same text gives the same blocks; nothing that can be read is lost."""
    blocks = tuple(_blocks(_parser.parse(text), 0))
    return blocks or (Block("para", ((Span(text.strip()),),)),)


def _blocks(tokens: Sequence[Token], depth: int) -> Iterator[Block]:
    i = 0
    while i < len(tokens):
        token, end = tokens[i], _end(tokens, i)
        inside = tokens[i + 1 : end]
        match token.type:
            case "heading_open":
                yield from _written("heading", inside)
            case "paragraph_open":
                yield from _written("para", inside)
            case "bullet_list_open":
                yield from _list("bullets", inside, depth)
            case "ordered_list_open":
                yield from _list("numbers", inside, depth)
            case "fence" | "code_block":
                yield Block("code", tuple((Span(line),) for line in token.content.rstrip("\n").split("\n")))
            case "blockquote_open" if depth < DEPTH_MAX:
                items = [line for b in _blocks(inside, depth + 1) for line in b.items]
                if items:
                    yield Block("quote", tuple(items))
            case "hr":
                yield Block("divider")
            case "table_open":
                yield Block("bullets", tuple(_rows(inside)))
            case "html_block":
                words = _TAG.sub(" ", token.content).strip()
                if words:
                    yield Block("para", ((Span(" ".join(words.split())),),))
            case "inline":
                yield from _written("para", [token])
            case _:
                pass
        i = end + 1


def _end(tokens: Sequence[Token], start: int) -> int:
    """Where the element that opens at `start` closes."""
    if tokens[start].nesting != 1:
        return start
    level = 0
    for i in range(start, len(tokens)):
        level += tokens[i].nesting
        if level == 0:
            return i
    return len(tokens) - 1


def _written(kind: Kind, inside: Sequence[Token]) -> Iterator[Block]:
    lines = [line for token in inside if token.type == "inline" for line in _lines(token)]
    if kind == "heading":
        lines = [tuple(span for line in lines for span in line)]
    if any(span.text.strip() for line in lines for span in line):
        yield Block(kind, tuple(lines))


def _list(kind: Kind, inside: Sequence[Token], depth: int) -> Iterator[Block]:
    """A list; lists inside it follow as indented items, code and quotes as their own blocks."""
    items: list[Line] = []
    own: list[Block] = []
    i = 0
    while i < len(inside):
        end = _end(inside, i)
        if inside[i].type == "list_item_open" and depth < DEPTH_MAX:
            blocks = list(_blocks(inside[i + 1 : end], depth + 1))
            words = [b for b in blocks if b.type in ("para", "heading")]
            items.append(tuple(_joined([line for b in words for line in b.items])))
            for nested in (b for b in blocks if b.type in ("bullets", "numbers")):
                items.extend((Span("– "), *item) for item in nested.items)
            own.extend(b for b in blocks if b.type in ("code", "quote"))
        i = end + 1
    kept = tuple(item for item in items if item)
    if kept:
        yield Block(kind, kept)
    yield from own


def _joined(lines: list[Line]) -> Iterator[Span]:
    for n, line in enumerate(lines):
        if n:
            yield Span(" ")
        yield from line


def _rows(inside: Sequence[Token]) -> Iterator[Line]:
    """A table's rows, cells set apart; the header is bold."""
    row: list[Span] = []
    head = False
    for token in inside:
        if token.type == "thead_open":
            head = True
        elif token.type == "thead_close":
            head = False
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row:
            yield tuple(row)
        elif token.type == "inline":
            if row:
                row.append(Span(" · "))
            for line in _lines(token):
                row.extend(Span(s.text, s.style | {"b"} if head else s.style, s.url) for s in line)


def _lines(inline: Token) -> list[Line]:
    """The lines of one run of text, with its styles and links."""
    lines: list[list[Span]] = [[]]
    styles: list[Style] = []
    links: list[str] = []
    for token in inline.children or ():
        name = token.type.rpartition("_")[0]
        if token.type in ("softbreak", "hardbreak"):
            lines.append([])
        elif token.type == "link_open":
            links.append(str(token.attrGet("href") or ""))
        elif token.type == "link_close":
            links.pop()
        elif name in _STYLE and token.nesting == 1:
            styles.append(_STYLE[name])
        elif name in _STYLE and token.nesting == -1:
            styles.remove(_STYLE[name])
        else:
            words = _words(token)
            if words:
                look = frozenset((*styles, "code")) if token.type == "code_inline" else frozenset(styles)
                url = links[-1] if links and _SAFE_LINK.match(links[-1]) else None
                lines[-1].append(Span(words, look, url))
    return [tuple(line) for line in lines if line]


def _words(token: Token) -> str:
    if token.type == "html_inline":
        return ""
    if token.type == "image":
        return token.content or ""
    return token.content
