"""Station 4, the shape of it: effects become rows for the outbox, worded and addressed, platform-neutral.

An `Outgoing` may still name messages by anchor ("T-1042/card"): they are resolved when the row is delivered,
because the message may not exist before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from adapters.port import (
    Actor,
    Content,
    Delete,
    Edit,
    FileRef,
    MsgRef,
    Op,
    OpenThread,
    Place,
    PlatformName,
    Post,
    Private,
    PublishHome,
    React,
    SetThread,
)
from handoff import effects as follow
from handoff.effects import Effect, Fact
from handoff.model import Case

Do = Literal["post", "edit", "delete", "react", "open", "set_thread", "private", "home", "chore"]
Audience = Literal["customer", "staff", "person", "self"]
Voice = Literal["bot", "notice", "agent"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One promised act. `target` is the anchor that it edits, deletes or opens a thread on."""

    do: Do
    audience: Audience
    lane: str
    platform: str = ""  # empty: known once the anchor is resolved
    voice: Voice = "notice"
    anchor: str = ""
    delay: float = 0.0
    place: Place | None = None
    under: str = ""  # post into the thread under this anchor
    target: str = ""
    ref: MsgRef | None = None
    content: Content | None = None
    reply_to: MsgRef | None = None
    speaking_as: str = ""
    files: tuple[FileRef, ...] = ()
    actor: Actor | None = None
    interaction: str = ""
    hint: bool = True
    title: str = ""
    emoji: str = ""
    on: bool = True
    solved: bool | None = None
    archived: bool | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    tidies: bool = False  # an edit that matters to nobody where its message is not there

    @property
    def needs(self) -> str:
        """The anchor that must exist before this can be delivered; empty: none."""
        return self.under or self.target

    @property
    def hint_lost(self) -> bool:
        """Whether losing this matters to somebody: hints, marks and home tabs may be lost silently."""
        if self.tidies or self.do in ("react", "home", "set_thread"):
            return False
        return not (self.do == "private" and self.hint)


_adapter: TypeAdapter[Outgoing] = TypeAdapter(Outgoing)


def dump(row: Outgoing) -> str:
    return _adapter.dump_json(row, exclude_defaults=True).decode()


def load(text: str) -> Outgoing:
    return _adapter.validate_json(text)


def outgoing(
    effect: Effect, case: Case, word: Callable[[Fact], Content], interaction: str
) -> Outgoing | None:
    """The row for one effect; None for effects that are no messages (timers, records, links)."""
    staff, customer = f"{case.id}/staff", f"{case.id}/customer"
    match effect:
        case follow.Say():
            lane = customer if effect.audience == "customer" else staff
            under = effect.to.anchor if isinstance(effect.to, follow.Thread) else ""
            place = effect.to if isinstance(effect.to, Place) else None
            return Outgoing(
                "post", effect.audience, lane, place.platform if place else "", effect.voice, effect.anchor,
                effect.delay, place, under, content=word(effect.what), reply_to=effect.reply_to,
                speaking_as=effect.speaking_as, files=effect.files,
            )  # fmt: skip
        case follow.Update():
            lane = customer if effect.audience == "customer" else staff
            return Outgoing(
                "edit", effect.audience, lane, target=effect.anchor, content=word(effect.what),
                speaking_as=effect.speaking_as, tidies=effect.tidies,
            )  # fmt: skip
        case follow.Unsay():
            lane = customer if effect.audience == "customer" else staff
            return Outgoing("delete", effect.audience, lane, target=effect.anchor)
        case follow.Whisper():
            return Outgoing(
                "private", "person", f"person/{effect.to.platform}/{effect.to.id}", effect.place.platform,
                place=effect.place, actor=effect.to, content=word(effect.what), interaction=interaction,
                hint=not effect.must_arrive,
            )  # fmt: skip
        case follow.Open():
            lane = customer if effect.audience == "customer" else staff
            ref = effect.origin if isinstance(effect.origin, MsgRef) else None
            target = effect.origin.anchor if isinstance(effect.origin, follow.Thread) else ""
            platform = ref.place.platform if ref else ""
            return Outgoing(
                "open", effect.audience, lane, platform, anchor=effect.anchor, target=target, ref=ref,
                title=effect.title, actor=effect.private_for,
            )  # fmt: skip
        case follow.Mark():
            return Outgoing(
                "react", "customer", f"{customer}/marks", effect.ref.place.platform, ref=effect.ref,
                emoji=effect.emoji, on=effect.on,
            )  # fmt: skip
        case follow.CloseThread():
            return Outgoing(
                "set_thread", "customer", customer, effect.place.platform, place=effect.place, solved=effect.solved,
                archived=effect.archived,
            )  # fmt: skip
        case follow.Home():
            lane = f"home/{effect.actor.platform}/{effect.actor.id}"
            return Outgoing(
                "home", "person", lane, effect.actor.platform, actor=effect.actor, content=word(effect.what)
            )
        case follow.Chore():
            args = {"name": effect.name, **effect.args}
            return Outgoing(
                "chore", "self", f"chore/{effect.name}", "self", args=args, interaction=interaction
            )
        case _:
            return None


def promised(
    effects: Iterable[Effect],
    case: Case,
    word: Callable[[Fact], Content],
    interaction: str,
    opens: Callable[[str], bool],
) -> list[Outgoing]:
    """The rows of a decision, in order. `opens`: whether a platform's threads must be opened before one can write
    into them; where they hang under every message by themselves, no row is spent on it."""
    rows = [row for e in effects if (row := outgoing(e, case, word, interaction)) is not None]
    at = {row.anchor: row.place.platform for row in rows if row.anchor and row.place is not None}
    return [
        row
        for row in rows
        if row.do != "open" or row.actor is not None or opens(row.platform or at.get(row.target, ""))
    ]


class Unresolved(Exception):
    """An anchor that this row needs does not exist (its message could not be delivered)."""


def resolve(row: Outgoing, anchors: Mapping[str, MsgRef]) -> Op:
    """The adapter's operation, every anchor replaced by the message it names. Raises `Unresolved`."""

    def at(name: str) -> MsgRef:
        if name not in anchors:
            raise Unresolved(f"{name} was not delivered")
        return anchors[name]

    content = row.content or Content()
    match row.do:
        case "post":
            place = thread_under(at(row.under)) if row.under else row.place
            assert place is not None
            return Post(place, content, row.reply_to, row.speaking_as, row.files)
        case "edit":
            return Edit(at(row.target), content, row.speaking_as)
        case "delete":
            return deletions(row, anchors)[0]
        case "react":
            assert row.ref is not None
            return React(row.ref, row.emoji, row.on)
        case "open":
            return OpenThread(row.ref or at(row.target), row.title, row.actor)
        case "set_thread":
            assert row.place is not None
            return SetThread(row.place, archived=row.archived, solved=row.solved)
        case "private":
            assert row.place is not None
            assert row.actor is not None
            return Private(row.place, row.actor, content, row.interaction, row.hint)
        case "home":
            assert row.actor is not None
            return PublishHome(row.actor, content)
        case "chore":
            raise AssertionError("chores are not for adapters")


def deletions(row: Outgoing, anchors: Mapping[str, MsgRef]) -> list[Op]:
    """Every part of the message that is to go: a long text, and each file where files are messages of their own.

    A target that ends with "#" means the parts after the first. Raises `Unresolved` where there is none.
    """
    if not anchors:
        raise Unresolved(f"{row.target} was not delivered")
    return [Delete(anchors[name]) for name in sorted(anchors)]


def thread_under(ref: MsgRef) -> Place:
    """The thread that hangs on a message: its id on every platform that we know."""
    place = ref.place
    return Place(place.platform, place.tenant, place.channel, ref.id, place.kind, place.external)


def platform_of(op: Op) -> PlatformName:
    match op:
        case Post() | SetThread() | Private():
            return op.place.platform
        case OpenThread():
            return op.origin.place.platform
        case PublishHome():
            return op.actor.platform
        case _:
            return op.ref.place.platform


def changed(out: Outgoing) -> str:
    """What was to be done to a message that stands there already: "edit:T-1042/out/1"."""
    return f"{out.do}:{out.target}" if out.target else ""


def place_of(out: Outgoing) -> Place:
    if out.place is not None:
        return out.place
    if out.ref is not None:
        return out.ref.place
    return Place("console", "", "")
