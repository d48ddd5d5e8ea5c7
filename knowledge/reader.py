"""Files -> topics. Every complaint names file and line; all complaints come at once; nothing is half read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from knowledge import documents
from knowledge.passage import Complaint, Topic
from knowledge.topics import Source, front_matter_topic, has_front_matter, is_plain_form, plain_topics

SUFFIXES = (".md", ".markdown", ".txt", ".csv", ".html", ".htm", ".pdf", ".docx")
Progress = Callable[[str, int, int], None]


def read(
    paths: Sequence[Path], *, max_file_bytes: int = 20_000_000, progress: Progress | None = None
) -> tuple[list[Topic], list[Complaint]]:
    """Every topic under `paths` in a stable order, and everything that is wrong with them."""
    complaints: list[Complaint] = []
    files: list[tuple[str, Path]] = []
    for root in paths:
        prefix = f"{root.name}/" if len(paths) > 1 else ""
        files += _files(root, prefix, max_file_bytes, complaints)
    topics: list[Topic] = []
    for done, (relative, path) in enumerate(files, start=1):
        source = Source(relative)
        topics += _read_file(source, path)
        complaints += source.complaints
        if progress:
            progress("read", done, len(files))
    if not topics and not complaints:
        names = ", ".join(str(path) for path in paths) or "no folder is configured"
        complaints.append(
            Complaint(names, 0, f"no knowledge found; expected files ending in {', '.join(SUFFIXES)}")
        )
    complaints += _duplicates(topics)
    topics.sort(key=lambda topic: topic.key)
    return topics, sorted(complaints, key=lambda one: (one.path, one.line, one.message))


def _files(root: Path, prefix: str, limit: int, complaints: list[Complaint]) -> list[tuple[str, Path]]:
    """The readable files of one folder (or one file), sorted; never a byte read from outside of it."""
    if not root.exists():
        complaints.append(Complaint(str(root), 0, "no such file or folder"))
        return []
    home = root.resolve()
    found = []
    for path in _walk(root, complaints) if root.is_dir() else iter([root]):
        relative = prefix + (path.relative_to(root).as_posix() if path != root else path.name)
        if PurePosixPath(relative).suffix.lower() not in SUFFIXES:
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(home if root.is_dir() else home.parent):
            complaints.append(Complaint(relative, 0, "a link that leads out of the knowledge folder"))
        elif trouble := _trouble(path, limit):
            complaints.append(Complaint(relative, 0, trouble))
        else:
            found.append((relative, path))
    return sorted(found)


def _walk(root: Path, complaints: list[Complaint]) -> Iterator[Path]:
    home = root.resolve()

    def unreadable(error: OSError) -> None:
        complaints.append(Complaint(str(error.filename or root), 0, f"cannot be opened: {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        here = Path(folder)
        for name in folders:
            if (here / name).is_symlink() and not (here / name).resolve().is_relative_to(home):
                where = (here / name).relative_to(root).as_posix()
                complaints.append(Complaint(where, 0, "a link that leads out of the knowledge folder"))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def _trouble(path: Path, limit: int) -> str:
    try:
        about = path.stat()
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if not stat.S_ISREG(about.st_mode):
        return "not a regular file"
    if about.st_size > limit:
        return f"{about.st_size / 1e6:.1f} MB is over the limit of {limit / 1e6:.1f} MB for one file"
    return ""


def _read_file(source: Source, path: Path) -> list[Topic]:
    try:
        data = path.read_bytes()
    except OSError as error:
        source.complain(0, f"cannot be read: {error.strerror}")
        return []
    match PurePosixPath(source.path).suffix.lower():
        case ".pdf":
            sections = documents.pdf_sections(source, data)
            return _some(documents.document(source, sections) if not source.complaints else None)
        case ".docx":
            title, sections = documents.docx_sections(source, data)
            return _some(documents.document(source, sections, title) if not source.complaints else None)
        case suffix:
            text = _decode(source, data)
            return [] if text is None else _read_text(source, suffix, text)


def _read_text(source: Source, suffix: str, text: str) -> list[Topic]:
    if suffix == ".csv":
        return documents.csv_topics(source, text)
    if suffix in (".html", ".htm"):
        title, sections = documents.html_sections(text.encode())
        return _some(documents.document(source, sections, title))
    if has_front_matter(text):
        return _some(front_matter_topic(source, text))
    if is_plain_form(text):
        return plain_topics(source, text)
    if suffix == ".txt":
        return _some(documents.document(source, documents.text_sections(text)))
    title, sections = documents.markdown_sections(text)
    return _some(documents.document(source, sections, title))


def _some(topic: Topic | None) -> list[Topic]:
    return [topic] if topic else []


def _decode(source: Source, data: bytes) -> str | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        source.complain(line, f"not valid UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")
        return None
    if "\0" in text:
        source.complain(text[: text.index("\0")].count("\n") + 1, "a NUL character: this is not a text file")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _duplicates(topics: Sequence[Topic]) -> list[Complaint]:
    first: dict[str, Topic] = {}
    complaints = []
    for topic in topics:
        other = first.setdefault(topic.key, topic)
        if other is not topic:
            where = f"{other.path}:{other.line}"
            complaints.append(
                Complaint(topic.path, topic.line, f"duplicate id `{topic.id}`, first used in {where}")
            )
    return complaints
