"""Agents who are none any more: heard while connected, found out about after a time in which nobody listened.

Whoever leaves the staff channel is told by `slack_events`; here is everything else that ends a person's work: an
account that was deactivated or made a guest's, an admin who was demoted, a user group that somebody was taken from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable

from adapters.port import AdapterError, MemberLeft, RateLimited
from adapters.slack_parse import Json, Us, place_of
from adapters.slack_people import OWNERS, People

log = logging.getLogger("firstline.slack")

ABOUT_PEOPLE = frozenset({"user_change", "team_join", "subteam_members_changed"})
GUEST = ("is_restricted", "is_ultra_restricted")


def demoted(before: Json | None, now: Json) -> bool:
    """Whether this change of a profile can have cost a right. Most changes are a new status or picture."""
    if before is None:
        return any(now.get(flag) for flag in GUEST)
    gained = any(now.get(flag) and not before.get(flag) for flag in GUEST)
    return gained or any(before.get(flag) and not now.get(flag) for flag in OWNERS)


class Leavers:
    """Looks at the rights as they are now before it says that somebody has left."""

    def __init__(self, us: Us, people: People, clock: Callable[[], float]) -> None:
        self._us, self._people, self._clock = us, people, clock

    async def told(self, event: Json, key: str) -> AsyncIterator[MemberLeft]:
        """What an event of the workspace's people means. Raises an AdapterError when Slack does not tell whether
        somebody is still an agent: then the event must come again, and finds the person as known as before."""
        asked = self._people.now()
        match event.get("type"):
            case "user_change" | "team_join":
                user: Json = event["user"]
                who = str(user["id"])
                if user.get("deleted") or (
                    demoted(self._people.known(who), user) and not await self._people.is_staff(who, asked)
                ):
                    yield self._left(who, key)
                self._people.learn(user)
            case "subteam_members_changed" if self._people.is_group_of_ours(str(event.get("subteam_id"))):
                for who in event.get("removed_users") or ():
                    if not await self._people.is_staff(str(who), asked):
                        yield self._left(str(who), f"{key}:{who}")

    async def missed(self, assignees: Iterable[str]) -> AsyncIterator[MemberLeft]:
        """Those of `assignees` who have left meanwhile; about whom Slack does not tell is left alone until next time."""
        asked = self._people.now()
        for who in assignees:
            try:
                staff = await self._patiently(who, asked)
            except AdapterError as error:
                log.warning("agent not looked up", extra={"who": who, "why": str(error)})
                continue
            if not staff:
                yield self._left(who, f"slack:left:{self._us.tenant}:{who}:{self._clock():.0f}")

    async def _patiently(self, who: str, asked: float) -> bool:
        while True:
            try:
                return await self._people.is_staff(who, asked)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)

    def _left(self, who: str, key: str) -> MemberLeft:
        place = place_of(self._us, self._us.staff_channel, None)
        return MemberLeft(keys=(key,), place=place, actor=None, occurred_at=self._clock(), who=who)
