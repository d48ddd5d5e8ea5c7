"""The directory of the desk: who its people are, learned from what they do.

Agents may be configured as a group, a role or a channel, of which an id says nothing. Whoever acts as one is remembered
under the name that the platform gave, and is forgotten when they act without the right; that is whom a ticket can be
given to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol

from adapters.port import Inbound
from handoff.policy import is_staff

KEY = "agents"  # where they are kept
PEOPLE_MAX = 500  # of one platform; whoever was quiet for longest goes first
ACTS = frozenset({"message", "action", "form", "command", "message_action"})  # what a person does themselves

Names = Mapping[str, Mapping[str, str]]  # platform -> id -> name


class Memory(Protocol):
    async def get(self, key: str) -> str: ...
    async def set(self, key: str, value: str) -> None: ...


class Agents:
    """`configured`: ids by platform; their names are known once they have done something here."""

    def __init__(self, memory: Memory, configured: Names, changed: Callable[[Names], None]) -> None:
        self._memory, self._configured, self._changed = memory, configured, changed
        self._seen: dict[str, dict[str, str]] = {}

    async def load(self) -> None:
        """What an earlier process knew."""
        self._seen = json.loads(await self._memory.get(KEY) or "{}")
        self._changed(self.names)

    @property
    def names(self) -> Names:
        """Everybody: those who were seen first, then those who are only configured (some of them nameless)."""
        platforms = {**self._configured, **self._seen}
        return {p: {**self._seen.get(p, {}), **self._unseen(p)} for p in platforms}

    def _unseen(self, platform: str) -> dict[str, str]:
        seen = self._seen.get(platform, {})
        return {who: name for who, name in self._configured.get(platform, {}).items() if who not in seen}

    async def heard(self, event: Inbound) -> None:
        """Somebody acts: note who is of the desk, and who no longer is."""
        actor = event.actor
        if actor is None or actor.is_bot or event.type not in ACTS:
            return
        people = self._seen.get(actor.platform, {})
        known, staff = people.get(actor.id), is_staff(actor)
        if (known == (actor.name or known)) if staff else (known is None):
            return
        others = [(who, name) for who, name in people.items() if who != actor.id]
        now = dict([(actor.id, actor.name), *others][:PEOPLE_MAX] if staff else others)
        seen = {**self._seen, actor.platform: now}
        # Written before it counts: what could not be written is noted the next time.
        await self._memory.set(KEY, json.dumps(seen))
        self._seen = seen
        self._changed(self.names)
