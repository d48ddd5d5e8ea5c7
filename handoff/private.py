"""Private matters: asked where everybody reads, gone on with where only the customer and the team do.

A private place is ordered once, together with whatever leads to a person. What is said to the customer from then on
waits for it by its anchor, so it never depends on when the place is there. The platform may have none, or refuse it:
then the anchor names the public thread, and all goes on as if nothing had been ordered.
"""

from __future__ import annotations

from adapters.port import MsgRef, Place, ThreadChanged
from handoff.effects import Decision, Open, Say
from handoff.facts import Line
from handoff.policy import DEFAULT_TRIGGER, TRIGGERS, CategoryRule
from handoff.summary import latest_question, shorten
from handoff.turn import Turn

TITLE_CHARACTERS = 80


def move(t: Turn, category: CategoryRule, trigger: str) -> None:
    """Order a private place, where the channel has them and this is a private matter."""
    case, here = t.case, t.case.place
    if case.moving or case.public is not None or here.kind != "channel" or here.thread is None:
        return
    if not t.policy.channel(here).private or not _matter(category, trigger):
        return
    anchor = f"{case.id}/private"
    title = shorten(latest_question(case), TITLE_CHARACTERS) or t.policy.name
    origin = case.origin or MsgRef(here, here.thread)
    t.add(Open(origin, title, "customer", case.customer, anchor))
    t.change(moving=anchor)
    t.rule("private", f"a private place: {category.name if category.private else trigger}")


def _matter(category: CategoryRule, trigger: str) -> bool:
    return category.private or TRIGGERS.get(trigger, DEFAULT_TRIGGER).private


def opened(t: Turn, event: ThreadChanged) -> Decision:
    """The place is there, or there is none: the conversation goes on, and everybody is told where."""
    if not t.case.moving:
        return t.ignore("nobody waits for a private place")
    public, place = t.case.place, event.place
    if place.conversation == public.conversation:
        t.change(moving="", thread_open=True)
        t.notify(Line("customer.public"))
        if t.open_ticket is not None:
            t.staff(Line("staff.not_private"))
        return t.done("private", "there is no private place here; it goes on in public")
    t.change(moving="", place=place, public=public)
    t.notify(Line("customer.private"))
    _point_there(t, public)
    if t.open_ticket is not None:
        t.staff(Line("staff.private", channel=place.thread or place.channel))
    return t.done("private", "goes on where only the customer and the team can read")


def _point_there(t: Turn, public: Place) -> None:
    """One line where it was asked, so that nobody looks for an answer there."""
    if t.case.origin is not None and not t.case.thread_open:
        t.add(Open(t.case.origin, latest_question(t.case)[:TITLE_CHARACTERS] or t.policy.name, "customer"))
        t.change(thread_open=True)
    there = t.case.place
    line = Line("customer.moved", channel=there.thread or there.channel)
    t.add(Say(public, line, "customer", "notice"))
