"""What the desk sees of a person who was erased: the card says so, and every copy of their words under it goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from adapters.port import Content
from bot.outgoing import Outgoing
from handoff.effects import Fact
from handoff.facts import Erased, Line
from handoff.model import Case

# Messages of the bot's in the staff channels. What agents wrote there is theirs, and the bot cannot take it away.
_OURS = re.compile(
    r"(?:T-\d+/(?:transcript|in|preview|draft|raised|s)|c-[0-9a-f]+/(?:shadow|s))(?:/.*)?\Z", re.DOTALL
)
_CARD = re.compile(r"(T-\d+)/card\Z")

Farewell = Callable[[Case, Sequence[str]], Sequence[Outgoing]]


def farewell(word: Callable[[Fact], Content]) -> Farewell:
    """What is sent to the desk when a conversation is erased, given the names of all its messages."""

    def rows(case: Case, names: Sequence[str]) -> Sequence[Outgoing]:
        return tuple(_rows(case, names, word))

    return rows


def _rows(case: Case, names: Sequence[str], word: Callable[[Fact], Content]) -> Iterator[Outgoing]:
    lane, ticket = f"{case.id}/staff", case.ticket
    for name in names:
        if card := _CARD.match(name):
            yield Outgoing("edit", "staff", lane, target=name, content=word(Erased(card[1])))
        elif _OURS.match(name):
            yield Outgoing("delete", "staff", lane, target=name)
    if ticket is not None and ticket.is_open and f"{ticket.id}/card" in names:
        said = word(Line("staff.erased", {"ticket": ticket.id}))
        yield Outgoing("post", "staff", lane, under=f"{ticket.id}/card", content=said)
