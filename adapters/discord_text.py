"""Text for Discord, pure: escaping what must not act, and cutting long text where it may be cut.

Lengths are UTF-16 code units, the strictest way in which Discord may count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import regex

from adapters.port import Span

ZERO = "\u200b"
_INVISIBLE = "[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
_MASS = re.compile(
    rf"(?P<at>[@＠﹫])(?={_INVISIBLE}[@＠﹫]*{_INVISIBLE}(?:"
    rf"{_INVISIBLE.join('everyone')}|{_INVISIBLE.join('here')}))",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"([\\*_~|`\[\]<])")
_LINE_START = re.compile(r"(?m)^([ \t]*)(#|-|\+|>)")
_URL = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
_NAMED = re.compile(r"(?i)^\s*(?:[a-z][a-z0-9+.-]*:|www\.)|[a-z0-9-]+\.[a-z]{2,}(?:/|$|\s)")
_UNSAFE_IN_URL = str.maketrans({"`": "%60", "|": "%7C", "\\": "%5C", "<": "%3C", ">": "%3E", " ": "%20"})
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*\s*$")
_MARKS = (("b", "**"), ("i", "*"), ("s", "~~"))


def units(text: str) -> int:
    """How long Discord may find `text`."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def no_mass_mention(text: str) -> str:
    """`@everyone` and `@here`, in every disguise, cut by a zero-width space."""
    return _MASS.sub(lambda m: m["at"] + ZERO, text)


def escape(text: str, *, line_start: bool = True) -> str:
    """`text` as Discord shows it literally: no markdown, no mention, no masked link. Bare links stay links."""
    out, at = [], 0
    for match in _URL.finditer(text):
        out.append(_SPECIAL.sub(r"\\\1", no_mass_mention(text[at : match.start()])))
        out.append(bare_url(match[0]))
        at = match.end()
    out.append(_SPECIAL.sub(r"\\\1", no_mass_mention(text[at:])))
    escaped = "".join(out)
    return _LINE_START.sub(r"\1\\\2", escaped) if line_start else escaped


def bare_url(url: str) -> str:
    """`url` in running text: characters that markdown would act on are percent-encoded."""
    return _MASS.sub("%40", url.translate(_UNSAFE_IN_URL))


def clip(text: str, limit: int) -> str:
    """At most `limit` units, cut between graphemes, with an ellipsis where something is missing."""
    if units(text) <= limit:
        return text
    out, size = [], 0
    for cluster in graphemes(text):
        size += units(cluster)
        if size > limit - 1:
            break
        out.append(cluster)
    return "".join(out).rstrip() + "…"


def graphemes(text: str) -> list[str]:
    """What a reader sees as one character each."""
    return list(regex.findall(r"\X", text))


def pieces(text: str, limit: int) -> Iterator[str]:
    """`text` in runs of at most `limit` units; a grapheme is cut only when it alone is longer."""
    run: list[str] = []
    size = 0
    for cluster in graphemes(text):
        for bit in (cluster,) if units(cluster) <= limit else cluster:
            if size + units(bit) > limit:
                yield "".join(run)
                run, size = [], 0
            run.append(bit)
            size += units(bit)
    if run:
        yield "".join(run)


def words(text: str) -> list[str]:
    """Words with the white space that follows them; joined, they are `text` again."""
    return re.findall(r"\S+[^\S\n]*|[^\S\n]+", text)


def styled(span: Span, text: str) -> str:
    """`text` with the span's style; white space at the ends stays outside, or the marks would not work."""
    core = text.strip()
    if not core:
        return text
    left, right = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    if "code" in span.style:
        ticks = "``" if "`" in core else "`"
        pad = " " if "`" in core else ""
        return f"{left}{ticks}{pad}{no_mass_mention(core).replace('``', f'`{ZERO}`')}{pad}{ticks}{right}"
    shown = escape(core, line_start=False)
    for style, mark in _MARKS:
        if style in span.style:
            shown = f"{mark}{shown}{mark}"
    return f"{left}{shown}{right}"


def link(span: Span) -> str:
    """A masked link; one whose text looks like another address shows its target instead."""
    url = bare_url((span.url or "").strip()).replace(")", "%29").replace("(", "%28")
    text = span.text.strip() or url
    scheme = url.partition(":")[0].lower()
    if text in {url, span.url} and scheme in {"http", "https"}:
        return url
    if scheme not in {"http", "https"}:
        return f"{escape(text)} ({escape(url)})"
    if _NAMED.search(text) or "\n" in text:
        return f"{escape(text)} ({url})"
    return f"[{styled(Span(text, span.style - {'code'}), text)}](<{url}>)"


def mention(span: Span) -> str:
    """The one ping there is: a role from the configuration, or `user:<id>`; and `channel:<id>`, which calls nobody."""
    kind, _, ident = (span.mention or "").rpartition(":")
    if kind == "channel":
        return f"<#{ident}>" if ident.isascii() and ident.isdigit() else escape(span.text)
    digits = re.sub(r"\D", "", ident)
    if not digits:  # a name instead of an id: shown, and nobody is called
        return escape(span.text)
    return f"<@{digits}>" if kind == "user" else f"<@&{digits}>"


def atoms(line: Sequence[Span], limit: int) -> list[str]:
    """One line as pieces that may be separated but not cut, each valid markdown by itself."""
    out: list[str] = []
    for span in line:
        if span.mention:
            out.append(mention(span))
            continue
        if span.url:
            whole = link(span)
            out.extend([whole] if units(whole) <= limit else _long(f"{span.text} ({span.url})", span, limit))
            continue
        out.extend(_spoken(span, limit))
    for index in range(1, len(out)):
        # Two runs that meet mark to mark would merge into one longer mark.
        if out[index - 1] and out[index][:1] in {"*", "~", "`"} and out[index - 1][-1] == out[index][0]:
            out[index] = ZERO + out[index]
    if out:
        out[0] = _LINE_START.sub(r"\1\\\2", out[0])
    return out


def _spoken(span: Span, limit: int) -> Iterator[str]:
    """A span's text: as one styled run where it is short, else word by word."""
    if span.style:
        whole = styled(span, span.text)
        if units(whole) <= min(limit, 240):
            yield whole
            return
    for word in words(span.text):
        shown = styled(span, word)
        if units(shown) <= limit:
            yield shown
        else:
            yield from _long(word, span, limit)


def _long(text: str, span: Span, limit: int) -> Iterator[str]:
    """A word longer than a message, cut between graphemes; escaping at worst triples its length."""
    plain = Span(text, span.style)
    for bit in pieces(text, max(1, limit // 3 - 8)):
        # No link survives such a cut, so the pieces are escaped as plain text.
        yield styled(plain, bit.replace("://", f":{ZERO}//"))


@dataclass(slots=True)
class Pages:
    """Fills pages of at most `limit` units. What cannot stay together is cut at the best place there is."""

    limit: int
    first_limit: int = 0  # a shorter first page (a prefix, an embed's title and fields); 0: the same
    done: list[str] = field(default_factory=list)
    page: str = ""

    def room(self) -> int:
        limit = self.first_limit if self.first_limit and not self.done else self.limit
        return limit - units(self.page)

    def turn(self) -> None:
        if self.page.strip():
            self.done.append(self.page.rstrip())
        elif self.first_limit and not self.done:
            self.done.append("")
        self.page = ""

    def finish(self) -> list[str]:
        self.turn()
        return self.done

    def gap(self, text: str) -> None:
        """The space between two blocks; none at the top of a page."""
        if self.page:
            if self.room() <= len(text):
                self.turn()
            else:
                self.page += text

    def keep_together(self, size: int) -> None:
        """Start a new page for a block that fits there but not here, if this one is at least half full."""
        if self.room() < size <= self.limit and units(self.page) * 2 >= self.limit:
            self.turn()

    def line(self, parts: Sequence[str], first: str = "", following: str = "") -> None:
        """One line of pieces; where it must be cut, after a sentence if one ends in the second half."""
        if self.page and not self.page.endswith("\n"):
            self.page += "\n"
        if self.room() < units(first):  # also where nothing follows that would turn the page: an empty item
            self.turn()
        self.page += first
        self._fill(parts, first, following)

    def continue_line(self, parts: Sequence[str]) -> None:
        """Go on in the line that the page ends with."""
        self._fill(parts, "", "")

    def _fill(self, parts: Sequence[str], prefix: str, following: str) -> None:
        begun, sentence = len(self.page), 0
        for part in parts:
            if units(part) > self.room():
                begun_here, tail = self._cut(begun, prefix, sentence)
                prefix, sentence = following if begun_here else prefix, 0
                self.page = prefix + tail
                begun = len(prefix)
                if tail and units(part) > self.room():
                    self.turn()
                    self.page = prefix
            self.page += part
            if _SENTENCE_END.search(part):
                sentence = len(self.page)

    def _cut(self, begun: int, prefix: str, sentence: int) -> tuple[bool, str]:
        """Turn the page inside a line: (did the line begin on the old page, what moves to the new one)."""
        tail = ""
        if sentence > begun and sentence * 2 >= len(self.page):
            self.page, tail = self.page[:sentence], self.page[sentence:].lstrip()
        begun_here = bool(self.page[begun:].strip())
        if not begun_here:
            self.page = self.page[: begun - len(prefix)]
        self.turn()
        return begun_here, tail

    def code(self, lines: Iterable[str]) -> None:
        """A fence; closed at the end of a page and opened again on the next."""
        fence, closing = "```\n", "\n```"
        if self.page and not self.page.endswith("\n"):
            self.page += "\n"
        if self.room() < 40:  # noqa: PLR2004 - a fence around nothing helps nobody
            self.turn()
        self.page += fence
        for number, raw in enumerate(lines):
            safe = no_mass_mention(raw).replace("```", f"`{ZERO}`{ZERO}`")
            for index, bit in enumerate(pieces(safe, self.limit - 20) if safe else [""]):
                if units(bit) + len(closing) + 1 > self.room():
                    self.page += closing
                    self.turn()
                    self.page = fence
                elif number or index:
                    self.page += "\n"
                self.page += bit
        self.page += closing
