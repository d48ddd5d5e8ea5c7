"""Words wrapped at a terminal's width, without ever breaking one: an address stays whole to be clicked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

_ITEM = re.compile(r"\s*(?:[-*•>]|\d{1,3}[.)])? *")  # what a line begins with: its indent, and a list's mark
_COLUMN = re.compile(r"\s*\S.*?\s{3,}(?=\S)")  # a name and what is said about it, beside each other
_BUTTONS = re.compile(r" {2,}(?=\[\d+\] )")
CODE = " " * 6  # so deep stands what is to be copied as it is; a terminal shows that it is one line
LEAST = 12  # columns that the words of a continued line have at least


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, none wider than `width` but code and a word that alone is; continued under where its words
    began."""
    return [part for line in text.split("\n") for part in _lines(line, width)]


def _lines(line: str, width: int) -> Iterator[str]:
    if cell_len(line) <= width or line.startswith(CODE):
        yield line
        return
    begin = _begin(line, width)
    hang = " " * cell_len(begin)
    row = begin
    empty = True
    for piece, gap in _pieces(line[len(begin) :], width - len(hang)):
        if not empty and cell_len(row + gap + piece) > width:
            yield row
            row, empty = hang, True
        row += piece if empty else gap + piece
        empty = False
    yield row


def _begin(line: str, width: int) -> str:
    """What stands before the words, under which a continued line stays empty."""
    column = _COLUMN.match(line)
    item = _ITEM.match(line)
    for begin in (column and column[0], item and item[0]):
        if begin is not None and cell_len(begin) <= width - LEAST:
            return begin
    return ""


def _pieces(words: str, room: int) -> Iterator[tuple[str, str]]:
    """What is kept together, and the gap before it: words, and buttons that fit into a line."""
    for at, button in enumerate(_BUTTONS.split(words)):
        before = "  " if at else ""
        if (at or button != words) and cell_len(button) <= room:
            yield button, before
            continue
        for number, word in enumerate(button.split(" ")):
            yield word, " " if number else before
