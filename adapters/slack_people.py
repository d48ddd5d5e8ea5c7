"""Who somebody is in Slack, with rights looked up when they are used.

An ordinary message must not wait for a look-up before it is recorded. So everybody is read once at connect, and
Slack tells of every change (`user_change`, `team_join`); only presses, forms and commands ask anew.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from adapters.port import Actor, AdapterError, Forbidden, Gone, Rejected
from adapters.slack_api import SlackApi
from adapters.slack_parse import Us

MESSAGE_MAX_AGE = 30.0  # an ordinary message needs no fresher rights than that
NAME_MAX_AGE = 3600.0
PROFILE_MAX_AGE = 12 * 3600.0  # Slack tells of every change; this is for one that it did not tell of
STAFF_MAX_AGE = 3600.0  # the same for the members of the staff channel
STALE_MAX_AGE = 600.0  # how long an old staff list serves ordinary messages while Slack does not answer
PEOPLE_KEPT = 5000
PAGE = 200
# What is kept of a profile: a few hundred bytes instead of several kilobytes.
KEPT = frozenset({
    "id", "name", "team_id", "deleted", "is_bot", "is_stranger", "is_admin", "is_owner", "is_primary_owner",
    "is_restricted", "is_ultra_restricted",
})  # fmt: skip
OWNERS = ("is_admin", "is_owner", "is_primary_owner")

T = TypeVar("T")
Json = Mapping[str, Any]


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
                self.put(started, await self._load())
            assert self._held is not None
            return self._held[1]

    def put(self, known_at: float, value: T) -> None:
        """What is known from elsewhere; something newer that is already held stays."""
        if self._held is None or self._held[0] <= known_at:
            self._held = (known_at, value)

    def forget(self) -> None:
        self._held = None

    def held(self, max_age: float) -> T | None:
        """What was last known, if it is not older than that."""
        if self._held is None or self._held[0] < self._now() - max_age:
            return None
        return self._held[1]


class People:
    """Names and roles. When Slack does not tell, nobody gets a right: an unknown person is a customer. `groups`: user
    groups that are roles of their members: those of a route, of a tier."""

    def __init__(
        self,
        api: SlackApi,
        us: Us,
        *,
        agents: frozenset[str] = frozenset(),
        admins: frozenset[str] = frozenset(),
        groups: frozenset[str] = frozenset(),
        staff_channel_is_staff: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._us, self.now = api, us, now
        self._agents, self._admins, self._told_groups = agents, admins, frozenset(groups_of(groups))
        self._staff_channel_is_staff = staff_channel_is_staff and bool(us.staff_channel)
        self._staff = Fresh(self._load_staff, now)
        self._groups: dict[str, Fresh[frozenset[str]]] = {}
        self._profiles: OrderedDict[str, Fresh[Json]] = OrderedDict()
        self._told_since: float | None = None
        self._dms: dict[str, str] = {}

    async def actor(self, user: str, *, max_age: float = 0.0, seen: Actor | None = None) -> Actor:
        """The person with live roles. `seen`: what the payload already said (an external stays external)."""
        known = seen if seen is not None else Actor("slack", self._us.tenant, user)
        profile = await self._profile(user, self._told_age(max_age, PROFILE_MAX_AGE))
        external = known.external or self._is_external(profile)
        is_bot = known.is_bot or bool(profile.get("is_bot"))
        details: Json = profile.get("profile") or {}
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

    # --- what Slack tells ----------------------------------------------------------------------------------

    def told_from_now_on(self) -> None:
        """A connection stands: every change is told from here on, and what was held before may be out of date."""
        self._told_since = self.now()

    async def meet_everybody(self) -> None:
        """Read the workspace's people at once, so that nobody's first message waits for a look-up."""
        cursor: str | None = None
        for _ in range(PEOPLE_KEPT // PAGE):
            asked = self.now()
            page = await self._api.patiently("users.list", limit=PAGE, cursor=cursor)
            for user in page["members"]:
                if user.get("deleted"):  # writes no more; takes nobody's place
                    continue
                self._fresh(str(user["id"])).put(asked, _kept(user))
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    def known(self, user: str) -> Json | None:
        """What was last heard of this person; None: nothing."""
        return self._fresh(user).held(PROFILE_MAX_AGE)

    def learn(self, user: Json) -> None:
        """Slack told how a person is now."""
        self._fresh(str(user["id"])).put(self.now(), _kept(user))

    def staff_changed(self) -> None:
        """Slack told that somebody came into the staff channel or left it."""
        self._staff.forget()

    def _told_age(self, max_age: float, limit: float) -> float:
        """How old may be what Slack tells the changes of: a press asks anew, a message takes what was told."""
        if max_age <= 0 or self._told_since is None:
            return max_age
        return max(max_age, min(limit, self.now() - self._told_since))

    # --- who is still one of us ------------------------------------------------------------------------------

    def is_group_of_ours(self, group: str) -> bool:
        """Whether membership in this user group means something to us; if so, its members are looked up anew."""
        if group not in self._agents | self._admins | self._told_groups:
            return False
        self._group(group).forget()
        return True

    async def is_staff(self, user: str, since: float) -> bool:
        """Whether this person is an agent or admin, by what Slack said after `since`. Unlike `actor` it raises an
        AdapterError when Slack does not tell: nobody loses his tickets because of a lost connection."""
        try:
            profile = await self._load_profile(user)  # not kept: see `Leavers.told`
        except Gone:
            return False
        if profile.get("deleted") or profile.get("is_bot") or self._is_external(profile):
            return False
        listed = self._agents | self._admins
        if user in listed or any(profile.get(flag) for flag in OWNERS):
            return True
        if self._staff_channel_is_staff and user in await self._staff.get(self.now() - since):
            return True
        for group in groups_of(listed):
            try:
                if user in await self._group(group).get(self.now() - since):
                    return True
            except (Forbidden, Rejected, Gone):  # no such group, or no right to see it: it gives no rights
                continue
        return False

    # --- looking up ------------------------------------------------------------------------------------------

    def _is_external(self, profile: Json) -> bool:
        if profile.get("is_stranger"):
            return True
        team = profile.get("team_id")
        teams = set((profile.get("enterprise_user") or {}).get("teams") or ())
        return (
            bool(team) and team not in {self._us.tenant, self._us.enterprise} and self._us.tenant not in teams
        )

    async def _roles(self, user: str, profile: Json, max_age: float) -> frozenset[str]:
        roles = set()
        if await self._listed(user, self._agents, max_age) or await self._in_staff_channel(user, max_age):
            roles.add("agent")
        owner = any(profile.get(flag) for flag in OWNERS)
        if owner or await self._listed(user, self._admins, max_age):
            roles.add("admin")
        age = self._told_age(max_age, STAFF_MAX_AGE)
        for group in self._told_groups:
            if user in await self._or_nobody(self._group(group), age):
                roles.add(group)
        return frozenset(roles)

    async def _listed(self, user: str, listed: frozenset[str], max_age: float) -> bool:
        if user in listed:
            return True
        for group in groups_of(listed):
            if user in await self._or_nobody(self._group(group), max_age):
                return True
        return False

    def _group(self, group: str) -> Fresh[frozenset[str]]:
        return self._groups.setdefault(group, Fresh(partial(self._load_group, group), self.now))

    async def _in_staff_channel(self, user: str, max_age: float) -> bool:
        age = self._told_age(max_age, STAFF_MAX_AGE)
        return self._staff_channel_is_staff and user in await self._or_nobody(self._staff, age)

    async def _or_nobody(self, members: Fresh[frozenset[str]], max_age: float) -> frozenset[str]:
        try:
            return await members.get(max_age)
        except AdapterError:
            held = members.held(STALE_MAX_AGE) if max_age > 0 else None
            return held or frozenset()

    def _fresh(self, user: str) -> Fresh[Json]:
        if user not in self._profiles:
            self._profiles[user] = Fresh(partial(self._load_profile, user), self.now)
            while len(self._profiles) > PEOPLE_KEPT:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end(user)
        return self._profiles[user]

    async def _profile(self, user: str, max_age: float) -> Json:
        fresh = self._fresh(user)
        try:
            return await fresh.get(max_age)
        except AdapterError:
            held = fresh.held(NAME_MAX_AGE) or {}
            return {name: held[name] for name in ("profile", "name", "team_id", "is_bot") if name in held}

    async def _load_profile(self, user: str) -> Json:
        answer = await self._api.call("users.info", form=True, user=user)
        return _kept(answer["user"])

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


def groups_of(listed: frozenset[str]) -> list[str]:
    """The user groups among people and groups that are named in the configuration."""
    return sorted(entry for entry in listed if entry.startswith("S"))


def _kept(profile: Json) -> Json:
    details: Json = profile.get("profile") or {}
    teams = (profile.get("enterprise_user") or {}).get("teams")
    return {
        **{name: value for name, value in profile.items() if name in KEPT and value},
        "profile": {
            name: details[name] for name in ("display_name", "real_name", "email") if details.get(name)
        },
        **({"enterprise_user": {"teams": tuple(teams)}} if teams else {}),
    }


def _name(profile: Json) -> str:
    details: Json = profile.get("profile") or {}
    return str(details.get("display_name") or details.get("real_name") or profile.get("name") or "")
