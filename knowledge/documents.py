"""Documents: Markdown, text, CSV, HTML, PDF and DOCX -> sections under their headings, or topics for a CSV."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

from rapidfuzz import fuzz, process

from knowledge.passage import Section, Topic
from knowledge.topics import KEYS, Source, make_topic, slug

CSV_NAMES = {"question": "questions", "q": "questions", "questions": "questions", "frage": "questions"}
CSV_ANSWERS = {"answer", "a", "response", "antwort", "text"}
_BLANK = re.compile(r"\n{3,}")


def document(source: Source, sections: list[Section], title: str = "") -> Topic | None:
    """A whole document as one topic of several sections."""
    kept = tuple(section for section in sections if section.text.strip())
    if not kept:
        source.complain(1, "no text found in this file")
        return None
    return Topic(
        id=source.default_id,
        title=title or next((one.heading for one in kept if one.heading), "") or _name(source),
        path=source.path,
        sections=kept,
        kind="document",
        category=source.default_category,
        language=source.language,
    )


def _name(source: Source) -> str:
    return source.default_id.rsplit("/", 1)[-1].replace("-", " ").replace("_", " ").capitalize()


def markdown_sections(text: str) -> tuple[str, list[Section]]:
    """The first top heading as title, and the text under each heading with the headings above it."""
    from markdown_it import MarkdownIt

    lines = text.lstrip("\ufeff").split("\n")
    tokens = MarkdownIt("commonmark").parse("\n".join(lines))
    marks = [
        (token.map[0], token.map[1], int(token.tag[1:]), tokens[index + 1].content.strip())
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.map and token.level == 0
    ]
    sections = [Section("", "\n".join(lines[: marks[0][0] if marks else len(lines)]).strip(), 1)]
    above: list[tuple[int, str]] = []
    title = ""
    for position, (begin, after, depth, heading) in enumerate(marks):
        end = marks[position + 1][0] if position + 1 < len(marks) else len(lines)
        above = [one for one in above if one[0] < depth] + [(depth, heading)]
        if depth == 1 and not title:
            title = heading
        path = " › ".join(name for level, name in above if not (level == 1 and name == title)) or heading
        sections.append(Section(path, "\n".join(lines[after:end]).strip(), begin + 1))
    return title, sections


def text_sections(text: str) -> list[Section]:
    return [Section("", _BLANK.sub("\n\n", text.lstrip("\ufeff")).strip(), 1)]


def html_sections(data: bytes) -> tuple[str, list[Section]]:
    """The visible text of a page, cut at its headings; scripts, navigation and hidden parts left out."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "lxml")
    for node in soup(["script", "style", "noscript", "template", "nav", "svg", "form", "iframe"]):
        node.decompose()
    for node in soup.select("[hidden], [aria-hidden=true]"):
        node.decompose()
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    root = soup.find("main") or soup.find("article") or soup.body or soup
    sections: list[Section] = []
    heading = ""
    said: list[str] = []
    for node in root.find_all(
        ["h1", "h2", "h3", "h4", "p", "li", "pre", "td", "th", "dt", "dd", "blockquote"]
    ):
        if node.name.startswith("h"):
            sections.append(Section(heading, "\n".join(said), 1))
            heading, said = node.get_text(" ", strip=True), []
        elif not node.find_parent(["p", "li", "pre", "td", "th", "dt", "dd", "blockquote"]):
            said.append(node.get_text("" if node.name == "pre" else " ", strip=True))
    sections.append(Section(heading, "\n".join(said), 1))
    if not any(section.text for section in sections):
        sections = [Section("", root.get_text("\n", strip=True), 1)]
    return title, sections


def pdf_sections(source: Source, data: bytes) -> list[Section]:
    """One section per page; line breaks inside sentences are joined again."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # its warnings name nothing that a person could mend
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            source.complain(1, "this PDF needs a password")
            return []
        pages = [page.extract_text() or "" for page in reader.pages]
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        source.complain(1, f"this PDF cannot be read: {error}")
        return []
    return [
        Section(f"page {number}", re.sub(r"(?<![.:!?])\n(?=[a-zäöü(])", " ", page).strip(), 1)
        for number, page in enumerate(pages, start=1)
    ]


def docx_sections(source: Source, data: bytes) -> tuple[str, list[Section]]:
    """The paragraphs and tables of a Word file under its headings."""
    from zipfile import BadZipFile

    import docx
    from docx.opc.exceptions import OpcError, PackageNotFoundError
    from docx.table import Table

    try:
        file = docx.Document(io.BytesIO(data))
    except (OpcError, PackageNotFoundError, BadZipFile, KeyError, ValueError) as error:
        source.complain(1, f"this Word file cannot be read: {error}")
        return "", []
    title, heading = "", ""
    said: list[str] = []
    sections: list[Section] = []
    for block in file.iter_inner_content():
        if isinstance(block, Table):
            said += [" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows]
        elif block.style is not None and block.style.name in ("Title", "Heading 1") and not title:
            title = heading = block.text.strip()
        elif block.style is not None and str(block.style.name).startswith("Heading"):
            sections.append(Section(heading, "\n".join(said), 1))
            heading, said = block.text.strip(), []
        elif block.text.strip():
            said.append(block.text.strip())
    sections.append(Section(heading, "\n".join(said), 1))
    return title, sections


def csv_topics(source: Source, text: str) -> list[Topic]:
    """One topic per answer; rows with the same id, or the same answer, are questions of one topic."""
    rows = _csv_rows(source, text)
    names = next(rows, (1, []))[1]
    columns = _csv_columns(source, names)
    if columns is None:
        return []
    merged: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        fields = _csv_fields(source, line, row, columns)
        if fields is None:
            continue
        asked = fields.pop("questions")
        group = str(fields.get("id") or fields["answer"])
        known = merged.setdefault(group, {**fields, "questions": []})
        lines.setdefault(group, line)
        if known["answer"] != fields["answer"]:
            source.complain(line, f"id {group!r} has another answer on line {lines[group]}")
        known["questions"] += [asked] if asked else []
    return [topic for group, fields in merged.items() if (topic := _csv_topic(source, fields, lines[group]))]


def _csv_topic(source: Source, fields: dict[str, Any], line: int) -> Topic | None:
    answer = fields.pop("answer")
    first = (fields["questions"] or [str(answer)])[0]
    fields.setdefault("id", f"{source.default_id}#{slug(first)}")
    for key in ("audience", "tags", "escalate_when", "related"):
        if key in fields:
            fields[key] = [one.strip() for one in str(fields[key]).split(";") if one.strip()]
    at: Callable[[str], int] = lambda _key: line  # noqa: E731
    return make_topic(source, fields, answer, at, line)


def _csv_rows(source: Source, text: str) -> Iterator[tuple[int, list[str]]]:
    first = text.lstrip("\ufeff").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        source.complain(line, f"broken CSV: {error}")


def _csv_columns(source: Source, names: list[str]) -> list[str] | None:
    before = len(source.complaints)
    columns = []
    for name in (one.strip().lower() for one in names):
        if name in CSV_NAMES or name in CSV_ANSWERS:
            columns.append(CSV_NAMES.get(name, "answer"))
            continue
        near = process.extractOne(name, (*KEYS, "answer"), scorer=fuzz.ratio)
        if name not in KEYS and near and near[1] >= 75:  # noqa: PLR2004 - as in topic files
            source.complain(1, f"unknown column `{name}`: did you mean `{near[0]}`?")
        columns.append(name)
    for needed in ("questions", "answer"):
        if columns.count(needed) != 1 and len(source.complaints) == before:
            source.complain(1, f"a CSV needs one column `{'question' if needed == 'questions' else needed}`")
    return columns if len(source.complaints) == before else None


def _csv_fields(source: Source, line: int, row: list[str], columns: list[str]) -> dict[str, str] | None:
    if len(row) != len(columns):
        source.complain(line, f"cells in this row: {len(row)}, in the header: {len(columns)}")
        return None
    fields = {name: cell.strip() for name, cell in zip(columns, row, strict=True) if cell.strip()}
    fields.setdefault("questions", "")
    fields.setdefault("answer", "")
    return fields
