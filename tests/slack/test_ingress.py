"""From Slack's payload to a recorded event: acknowledged exactly when recorded."""

from __future__ import annotations

from adapters.port import MessageReceived
from tests.slack.running import Running


async def test_a_question_arrives_with_who_where_and_what(slack: Running) -> None:
    """The first thing that must work: `@firstline …` becomes one event, with the thread in which to answer."""
    ts = await slack.server.user_says("help", "ana", "@firstline how do I get a refund for A & B <now>?")

    [event] = slack.sink.of(MessageReceived)
    assert event.text == "how do I get a refund for A & B <now>?"
    assert event.place == slack.place(ts)
    assert event.ref.id == ts
    assert event.is_root
    assert event.mentions_bot
    assert event.actor is not None
    assert (event.actor.name, event.actor.email, event.actor.roles) == ("ana", "ana@example.com", frozenset())
