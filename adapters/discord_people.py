"""Who may do what on Discord, pure: permissions from roles and overwrites, and the roles that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.port import Actor

ADMINISTRATOR, MANAGE_GUILD, VIEW_CHANNEL = 1 << 3, 1 << 5, 1 << 10
Overwrites = Mapping[str, tuple[int, int]]  # role or member id -> (allow, deny)
ALL = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class GuildFacts:
    """What decides about permissions in one guild: its owner, its roles, the staff channel's overwrites."""

    id: str
    owner: str = ""
    roles: Mapping[str, int] = field(default_factory=dict)
    staff: Overwrites | None = None

    def base(self, user: str, roles: frozenset[str]) -> int:
        """The guild-wide permissions."""
        if user == self.owner:
            return ALL
        value = self.roles.get(self.id, 0)
        for role in roles:
            value |= self.roles.get(role, 0)
        return ALL if value & ADMINISTRATOR else value

    def inside(self, overwrites: Overwrites, user: str, roles: frozenset[str]) -> int:
        """The permissions in a channel, in Discord's documented order: everyone, roles, member."""
        value = self.base(user, roles)
        if value & ADMINISTRATOR:
            return ALL
        allow, deny = overwrites.get(self.id, (0, 0))
        value = (value & ~deny) | allow
        allow = deny = 0
        for role in roles - {self.id}:
            more = overwrites.get(role, (0, 0))
            allow, deny = allow | more[0], deny | more[1]
        value = (value & ~deny) | allow
        allow, deny = overwrites.get(user, (0, 0))
        return (value & ~deny) | allow

    def staff_is_private(self) -> bool:
        """A staff channel that everybody may read makes nobody an agent."""
        return self.staff is not None and not self.inside(self.staff, "", frozenset()) & VIEW_CHANNEL


def overwrites(raw: list[dict[str, Any]]) -> Overwrites:
    return {str(o["id"]): (int(o.get("allow", 0)), int(o.get("deny", 0))) for o in raw}


def facts_of(guild: Mapping[str, Any], staff: list[dict[str, Any]] | None) -> GuildFacts:
    """Facts from the API's guild object (`roles`, `owner_id`) and the staff channel's overwrites."""
    return GuildFacts(
        id=str(guild["id"]),
        owner=str(guild.get("owner_id") or ""),
        roles={str(role["id"]): int(role["permissions"]) for role in guild.get("roles", [])},
        staff=None if staff is None else overwrites(staff),
    )


def roles_of(
    user: str,
    roles: frozenset[str],
    facts: GuildFacts | None,
    agents: frozenset[str],
    admins: frozenset[str],
) -> frozenset[str]:
    """The member's role ids, plus "agent" and "admin" where they apply."""
    mine = roles | {user}
    found = set(roles)
    base = facts.base(user, roles) if facts else 0
    if mine & admins or base & (ADMINISTRATOR | MANAGE_GUILD):
        found.add("admin")
    sees_staff = (
        facts is not None
        and facts.staff is not None
        and facts.staff_is_private()
        and facts.inside(facts.staff, user, roles) & VIEW_CHANNEL
    )
    if mine & agents or sees_staff:
        found.add("agent")
    return frozenset(found)


def name_of(user: Mapping[str, Any], member: Mapping[str, Any] | None = None) -> str:
    """The name that others see."""
    return str((member or {}).get("nick") or user.get("global_name") or user.get("username") or user["id"])


def actor_of(
    user: Mapping[str, Any],
    member: Mapping[str, Any] | None,
    tenant: str,
    roles: frozenset[str] = frozenset(),
    me: str = "",
) -> Actor:
    return Actor(
        platform="discord",
        tenant=tenant,
        id=str(user["id"]),
        name=name_of(user, member),
        is_bot=bool(user.get("bot")),
        is_self=str(user["id"]) == me,
        roles=roles,
    )
