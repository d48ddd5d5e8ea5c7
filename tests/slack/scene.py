"""What the tests of the adapter say and do again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from adapters.port import Block, Button, Content, Post, Span
from tests.slack.running import Running


class Connect(Protocol):
    """Connects with changed settings (`agents=…`, `ack_seconds=…`); one socket unless asked otherwise."""

    def __call__(self, clock: Callable[[], float] = ..., **changes: Any) -> Awaitable[Running]: ...


def say(text: str, *buttons: Button, **more: Any) -> Content:
    """A message of one paragraph; `more`: title, status, footer."""
    return Content((Block("para", ((Span(text),),)),), buttons, **more)


async def question(slack: Running, text: str = "hello") -> str:
    """Ana asks in #help; the id of her message."""
    return await slack.server.user_says("help", "ana", text)


async def with_button(slack: Running, verb: str = "human", label: str = "A person") -> str:
    """A bot message with one button, in the thread of a question; its id."""
    ts = await question(slack)
    done = await slack.adapter.deliver(
        Post(slack.place(ts), say("?", Button(verb, "c-1", label))), 0, f"k-{ts}"
    )
    assert done.ref is not None
    return done.ref.id
