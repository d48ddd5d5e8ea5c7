"""The console's lines: content, messages and decisions as plain text that is safe to print. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from adapters.chat_room import Message
from adapters.port import Block, Content, FormInput, Span

INDENT = "    "
_BUTTON = re.compile(r"\[\d+\] (.+?)(?=  \[\d|$)")


def clean(text: str) -> str:
    """The text with nothing in it that could steer a terminal: escapes, other controls and changes of writing
    direction are written out; line breaks and tabs stay."""
    return "".join(c if safe(c) else f"\\u{ord(c):04x}" for c in text.replace("\r\n", "\n"))


def safe(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def span_words(span: Span) -> str:
    if span.mention and not span.mention.startswith("channel:"):
        return f"@{span.text or span.mention}"
    if span.url and urlsplit(span.url).scheme in ("http", "https", "mailto") and span.url != span.text:
        return f"{span.text} ({span.url})"
    return span.text


def line_words(spans: Sequence[Span]) -> str:
    return "".join(span_words(s) for s in spans)


def block_lines(block: Block) -> Iterator[str]:
    items = [line_words(item) for item in block.items]
    match block.type:
        case "bullets":
            yield from (f"- {item}" for item in items)
        case "numbers":
            yield from (f"{n}. {item}" for n, item in enumerate(items, 1))
        case "fields":
            yield from (f"{label}: {value}" for label, value in zip(items[::2], items[1::2], strict=False))
        case "quote":
            yield from (f"> {part}" for item in items for part in item.splitlines())
        case "divider":
            yield "----"
        case "code":
            yield from (f"  {part}" for item in items for part in item.splitlines())
        case _:
            yield from items


def content_lines(content: Content) -> Iterator[str]:
    if content.title or content.status:
        yield " | ".join(part for part in (content.title, content.status) if part)
    for block in content.body:
        yield from block_lines(block)
    if content.footer:
        yield content.footer


def message_lines(message: Message, author: str, where: str, numbers: Sequence[int]) -> list[str]:
    """A message as it is printed: who, where, what, and its buttons by number."""
    notes = [n for n in (where, "only you see this" if message.private_to else "") if n]
    head = f"{author} ({', '.join(notes)})" if notes else author
    said = [message.text] if message.text else []
    if message.content is not None:
        said += content_lines(message.content)
    said += [f"[file] {f.name}" for f in message.files]
    lines = [part for text in said for part in clean(text).split("\n")]
    if message.content is not None and numbers:
        labels = [b.label for b in message.content.buttons]
        lines.append("  ".join(f"[{n}] {clean(b)}" for n, b in zip(numbers, labels, strict=True)))
    return [f"{clean(head)}:", *(INDENT + part for part in lines)]


def told(printed: Sequence[str]) -> set[str]:
    """What was printed, line by line; buttons also as the list that stays of them when they go."""
    labels = (label for line in printed for label in _BUTTON.findall(line))
    return {*printed, *(f"{INDENT}- {label}" for label in labels)}


def why_lines(trace: Mapping[str, Any]) -> list[str]:
    """A decision in words: what was decided, why, and what it rests on."""
    lines = [f"{trace.get('kind') or 'ignore'}: {trace.get('why') or 'no reason given'}"]
    confidence, threshold = trace.get("confidence"), trace.get("threshold_answer")
    if isinstance(confidence, int | float):
        line = f", the line for answering is {threshold:.2f}" if isinstance(threshold, int | float) else ""
        lines.append(f"confidence {confidence:.2f}{line}")
    for entry in trace.get("evidence") or ():
        share = entry.get("confidence")
        figure = f"{share:.2f} " if isinstance(share, int | float) else ""
        lines.append(f"  {figure}{entry.get('title') or entry.get('topic')}")
    lines += [f"  {rule}: {finding}" for rule, finding in trace.get("trace") or ()]
    if trace.get("snapshot"):
        lines.append(f"knowledge {trace['snapshot']}")
    return [clean(line) for line in lines]


def question_for(field: FormInput) -> str:
    """What is asked for one field of a form."""
    notes = [field.hint, "" if field.required else "optional"]
    if field.choices:
        notes.append("one of " + ", ".join(label for _, label in field.choices))
    if field.value:
        notes.append(f"empty keeps {field.value!r}")
    said = "; ".join(n for n in notes if n)
    return clean(f"{field.label} ({said})" if said else field.label)


def answer_to(field: FormInput, typed: str) -> str:
    """What somebody typed for a field: a choice may be given by its label."""
    typed = typed.strip()
    if not typed:
        return field.value
    for value, label in field.choices:
        if typed.casefold() in (value.casefold(), label.casefold()):
            return value
    return typed
