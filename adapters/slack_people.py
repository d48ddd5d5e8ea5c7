"""Who somebody is in Slack, with rights looked up when they are used."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from adapters.port import Actor, AdapterError
from adapters.slack_api import SlackApi
from adapters.slack_parse import Us

MESSAGE_MAX_AGE = 30.0  # an ordinary message needs no fresher rights than that
NAME_MAX_AGE = 3600.0
STALE_MAX_AGE = 600.0  # how long an old staff list serves ordinary messages while Slack does not answer
PEOPLE_KEPT = 5000
PAGE = 200

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is looked up again when it is older than the asker accepts.

    Whoever asks while a look-up runs shares the *next* one: a value is never older than the question.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], now: Callable[[], float]) -> None:
        self._load, self._now = load, now
        self._lock = asyncio.Lock()
        self._held: tuple[float, T] | None = None

    async def get(self, max_age: float) -> T:
        asked = self._now()
        async with self._lock:
            if self._held is None or self._held[0] <= asked - max_age:
                started = self._now()
                self._held = (started, await self._load())
            return self._held[1]

    def held(self, max_age: float) -> T | None:
        """What was last known, if it is not older than that."""
        if self._held is None or self._held[0] < self._now() - max_age:
            return None
        return self._held[1]


class People:
    """Names and roles. When Slack does not tell, nobody gets a right: an unknown person is a customer."""

    def __init__(
        self,
        api: SlackApi,
        us: Us,
        *,
        agents: frozenset[str] = frozenset(),
        admins: frozenset[str] = frozenset(),
        staff_channel_is_staff: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._us, self._now = api, us, now
        self._agents, self._admins = agents, admins
        self._staff_channel_is_staff = staff_channel_is_staff and bool(us.staff_channel)
        self._staff = Fresh(self._load_staff, now)
        self._groups: dict[str, Fresh[frozenset[str]]] = {}
        self._profiles: OrderedDict[str, Fresh[Mapping[str, Any]]] = OrderedDict()
        self._dms: dict[str, str] = {}

    async def actor(self, user: str, *, max_age: float = 0.0, seen: Actor | None = None) -> Actor:
        """The person with live roles. `seen`: what the payload already said (an external stays external)."""
        known = seen if seen is not None else Actor("slack", self._us.tenant, user)
        profile = await self._profile(user, max_age)
        external = known.external or self._is_external(profile)
        is_bot = known.is_bot or bool(profile.get("is_bot"))
        details: Mapping[str, Any] = profile.get("profile") or {}
        roles: frozenset[str] = frozenset()
        if not external and not is_bot and not profile.get("deleted"):
            roles = await self._roles(user, profile, max_age)
        return Actor(
            "slack",
            self._us.tenant,
            user,
            _name(profile) or known.name,
            is_bot=is_bot,
            is_self=user == self._us.user,
            external=external,
            roles=roles,
            email=details.get("email") or None,
        )

    async def names(self, users: list[str]) -> dict[str, str]:
        """Display names for mentions; who cannot be looked up is left out."""
        profiles = await asyncio.gather(*(self._profile(user, NAME_MAX_AGE) for user in users[:10]))
        return {
            user: _name(profile) for user, profile in zip(users, profiles, strict=False) if _name(profile)
        }

    async def dm(self, user: str) -> str:
        """The channel id of the conversation between this person and the bot; it never changes."""
        if user not in self._dms:
            opened = await self._api.call("conversations.open", users=user)
            self._dms[user] = str(opened["channel"]["id"])
        return self._dms[user]

    def _is_external(self, profile: Mapping[str, Any]) -> bool:
        if profile.get("is_stranger"):
            return True
        team = profile.get("team_id")
        teams = set((profile.get("enterprise_user") or {}).get("teams") or ())
        return (
            bool(team) and team not in {self._us.tenant, self._us.enterprise} and self._us.tenant not in teams
        )

    async def _roles(self, user: str, profile: Mapping[str, Any], max_age: float) -> frozenset[str]:
        roles = set()
        if await self._listed(user, self._agents, max_age) or await self._in_staff_channel(user, max_age):
            roles.add("agent")
        owner = any(profile.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner"))
        if owner or await self._listed(user, self._admins, max_age):
            roles.add("admin")
        return frozenset(roles)

    async def _listed(self, user: str, listed: frozenset[str], max_age: float) -> bool:
        if user in listed:
            return True
        for group in sorted(entry for entry in listed if entry.startswith("S")):
            members = self._groups.setdefault(group, Fresh(partial(self._load_group, group), self._now))
            if user in await self._or_nobody(members, max_age):
                return True
        return False

    async def _in_staff_channel(self, user: str, max_age: float) -> bool:
        return self._staff_channel_is_staff and user in await self._or_nobody(self._staff, max_age)

    async def _or_nobody(self, members: Fresh[frozenset[str]], max_age: float) -> frozenset[str]:
        try:
            return await members.get(max_age)
        except AdapterError:
            held = members.held(STALE_MAX_AGE) if max_age > 0 else None
            return held or frozenset()

    async def _profile(self, user: str, max_age: float) -> Mapping[str, Any]:
        if user not in self._profiles:
            self._profiles[user] = Fresh(partial(self._load_profile, user), self._now)
            while len(self._profiles) > PEOPLE_KEPT:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end(user)
        fresh = self._profiles[user]
        try:
            return await fresh.get(max_age)
        except AdapterError:
            held = fresh.held(NAME_MAX_AGE) or {}
            return {name: held[name] for name in ("profile", "name", "team_id", "is_bot") if name in held}

    async def _load_profile(self, user: str) -> Mapping[str, Any]:
        answer = await self._api.call("users.info", form=True, user=user)
        found: Mapping[str, Any] = answer["user"]
        return found

    async def _load_staff(self) -> frozenset[str]:
        members: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self._api.call(
                "conversations.members", form=True, channel=self._us.staff_channel, limit=PAGE, cursor=cursor
            )
            members.update(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return frozenset(members)

    async def _load_group(self, group: str) -> frozenset[str]:
        answer = await self._api.call("usergroups.users.list", form=True, usergroup=group)
        return frozenset(answer["users"])


def _name(profile: Mapping[str, Any]) -> str:
    details: Mapping[str, Any] = profile.get("profile") or {}
    return str(details.get("display_name") or details.get("real_name") or profile.get("name") or "")
