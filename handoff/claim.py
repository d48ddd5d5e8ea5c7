"""Who has the ticket: claim, release, transfer, a claimer who leaves, back to the bot.

The first recorded claim wins; everybody else is told who has it and since when. Every takeover raises the epoch: from
that commit on no queued bot message of this conversation is delivered.
"""

from __future__ import annotations

from adapters.port import Actor, MemberLeft, PlatformName
from handoff import escalation
from handoff import ticket as tickets
from handoff.effects import Cancel, Decision
from handoff.facts import Line
from handoff.model import Phase, Priority
from handoff.policy import same_person
from handoff.summary import shorten
from handoff.turn import Turn


def claim(t: Turn) -> Decision:
    """Take the ticket, if nobody has it."""
    refused = t.refused("claim") or unfit(t, "claim")
    if refused is not None:
        return refused
    take(t, t.actor)
    t.notify(Line("customer.joined", {"ticket": t.ticket.id, "name": t.public(t.actor.name)}))
    return t.done("claim", f"{t.actor.name or t.actor.id} claimed {t.ticket.id}")


def unfit(t: Turn, move: str) -> Decision | None:
    """Why this move is impossible now, told to whoever tried; None when it is possible."""
    ticket = t.case.ticket
    if ticket is None:
        return t.no("refused.no_ticket", f"{move}: there is no ticket", verb=move)
    if move == "claim" and ticket.is_open and ticket.assignee is not None:
        mine = same_person(ticket.assignee, t.event.actor)
        key = "refused.already_yours" if mine else "refused.taken"
        return t.no(key, f"{ticket.id} has an assignee already", verb=move)
    if not tickets.may_move(ticket, move):
        return t.no("refused.state", f"{move} is not a move of a {ticket.state} ticket", verb=move)
    return None


def take(t: Turn, agent: Actor) -> None:
    """`agent` has it from now on: nobody else, and not the bot."""
    had_call = tickets.calls_on_call(t.ticket)
    t.move(
        "claim",
        assignee=agent,
        claimed_at=t.now,
        acknowledged_at=t.ticket.acknowledged_at or t.now,
        waiting_since=t.now,
        reminded_at=None,
    )
    t.take_over()
    if had_call:
        t.add(Cancel("on_call"))
    t.staff(Line("staff.claimed", {"name": agent.name or agent.id}))


def release(t: Turn) -> Decision:
    """Give the ticket back to the queue."""
    refused = t.refused("release") or unfit(t, "release")
    if refused is not None:
        return refused
    give_back(t, Line("staff.released", {"name": t.actor.name or t.actor.id}))
    return t.done("release", f"{t.actor.name or t.actor.id} released {t.ticket.id}")


def give_back(t: Turn, line: Line) -> None:
    """Nobody has it; the queue is told."""
    t.move(
        "release",
        assignee=None,
        claimed_at=None,
        acknowledged_at=None,  # whoever was looking no longer is
        reminded_at=None,
        waiting_since=t.now,
    )
    t.change(phase=Phase.DESK)
    t.staff(line)
    if tickets.calls_on_call(t.ticket):
        escalation.call(t)


def transfer(t: Turn, to: str) -> Decision:
    """Give the ticket to another agent."""
    refused = t.refused("transfer") or unfit(t, "transfer")
    if refused is not None:
        return refused
    desk = t.policy.desk(t.ticket.route, t.case.place.platform)
    platform = desk.platform if desk is not None else t.actor.platform
    agent = _colleague(t, to, platform, desk.tenant if desk is not None else t.actor.tenant)
    if agent is None:
        names = ", ".join(name for name in t.policy.agents.get(platform, {}).values() if name) or "-"
        who = to.strip().lstrip("@")[:80] or "-"
        return t.no(
            "refused.no_agent", "transfer to somebody who is no agent", verb="transfer", who=who, names=names
        )
    if same_person(agent, t.ticket.assignee):
        return t.no("refused.taken", "transfer to whoever has it already", verb="transfer")
    t.move(
        "transfer",
        assignee=agent,
        claimed_at=t.now,
        acknowledged_at=t.ticket.acknowledged_at or t.now,
        waiting_since=t.ticket.waiting_since or t.now,
        reminded_at=None,
    )
    t.take_over()
    t.add(Cancel("on_call"))
    given = {"name": t.actor.name or t.actor.id, "to": agent.name or agent.id}
    t.staff(Line("staff.transferred", given, mention=agent.id))
    t.notify(Line("customer.joined", {"ticket": t.ticket.id, "name": t.public(agent.name)}))
    return t.done("transfer", f"{t.ticket.id} goes to {agent.name or agent.id}")


def _colleague(t: Turn, to: str, platform: PlatformName, tenant: str) -> Actor | None:
    """The agent of this id or name; of a part of a name where it fits one of them only."""
    people, said = t.policy.agents.get(platform, {}), to.strip().lstrip("@")
    word = said.casefold()
    names = {who: name.casefold() for who, name in people.items() if name}
    found = [said] if said in people else [who for who, name in names.items() if name == word]
    if not found and word:
        found = [w for w, name in names.items() if name.startswith(word) or word in name.split()]
    if len(found) != 1:
        return None
    return Actor(platform, tenant, found[0], people[found[0]], roles=frozenset({"agent"}))


def member_left(t: Turn, event: MemberLeft) -> Decision:
    """An agent is gone: what they had returns to the queue."""
    ticket = t.open_ticket
    gone = ticket.assignee if ticket is not None else None
    if gone is None or gone.id != event.who or gone.platform != event.place.platform:
        return t.ignore("whoever left has no open ticket here")
    line = Line("staff.left", {"name": gone.name or gone.id})
    if tickets.may_move(t.ticket, "release"):
        give_back(t, line)
    else:
        t.edit(assignee=None, claimed_at=None, waiting_since=t.now)
        t.staff(line)
    return t.done("release", f"{gone.name or gone.id} has left; {t.ticket.id} is back in the queue")


def acknowledge(t: Turn) -> Decision:
    """Stop the on-call calls: somebody is looking."""
    refused = t.refused("acknowledge")
    if refused is not None:
        return refused
    if t.case.ticket is None or not tickets.calls_on_call(t.ticket):
        return t.no("refused.acknowledged", "nothing to acknowledge", verb="acknowledge")
    t.edit(acknowledged_at=t.now)
    t.add(Cancel("on_call"))
    t.staff(Line("staff.acknowledged", {"name": t.actor.name or t.actor.id}))
    return t.done("acknowledge", f"{t.actor.name or t.actor.id} acknowledged {t.ticket.id}")


def set_priority(t: Turn, level: str, reason: str) -> Decision:
    """Another priority, with its deadlines counted from the opening."""
    refused = t.refused("priority")
    if refused is not None:
        return refused
    if t.open_ticket is None or level not in t.policy.targets:
        return t.no(
            "refused.state" if t.case.ticket else "refused.no_ticket", "no such priority", verb="priority"
        )
    if level == t.ticket.priority:
        return t.no("refused.same_priority", "the priority is that already", verb="priority", priority=level)
    name = t.actor.name or t.actor.id
    prioritise(t, level, reason.strip() or t.policy.phrase("reason.agent", name=name))  # type: ignore[arg-type]
    t.staff(Line("staff.priority", {"name": name, "priority": level, "reason": t.ticket.priority_reason}))
    return t.done("priority", f"{t.ticket.id} is {level} now")


def prioritise(t: Turn, level: Priority, reason: str) -> None:
    """Set the priority and what follows from it."""
    t.edit(priority=level, priority_reason=reason)
    t.change(ticket=tickets.with_dues(t.ticket, t.policy))
    escalation.capture(t)
    if tickets.calls_on_call(t.ticket):
        escalation.call(t)


def raise_ticket(t: Turn, route: str, reason: str) -> Decision:
    """An agent raises the ticket to specialists."""
    refused = t.refused("escalate") or unfit(t, "escalate")
    if refused is not None:
        return refused
    escalation.raise_to(t, route, shorten(reason, 300))
    return t.done("escalate", f"{t.actor.name or t.actor.id} raised {t.ticket.id} to {t.ticket.route}")


def return_to_bot(t: Turn) -> Decision:
    """The person is done and the bot may answer again, with what was said, without the old handover."""
    refused = t.refused("return") or unfit(t, "return")
    if refused is not None:
        return refused
    last = next((s.text for s in reversed(t.case.said) if s.who == "agent" and s.text), t.ticket.summary)
    t.move("return", resolution_type="returned", resolution=shorten(last, 300))
    t.change(
        phase=Phase.BOT,
        epoch=t.case.epoch + 1,
        bot_turns=0,
        clarified=False,
        questions=(),
        tried=(),
        pending_question="",
        others=(),
        muted_until=0.0,
    )
    t.staff(
        Line("staff.returned", {"name": t.actor.name or t.actor.id, "summary": t.ticket.resolution or "-"})
    )
    t.notify(Line("customer.bot_back", {"name": t.policy.name}))
    escalation.capture(t)
    return t.done("return", f"{t.ticket.id} returned to the bot")
