"""An agent writes in the customer's thread: that is a takeover, claimed or not."""

from __future__ import annotations

from adapters.port import MessageReceived
from handoff import claim, escalation, relay
from handoff import ticket as tickets
from handoff.effects import Decision
from handoff.facts import Line
from handoff.model import Phase
from handoff.turn import Turn


def takeover(t: Turn, event: MessageReceived) -> Decision:
    """An agent wrote in the customer's thread: the bot is silent from now on, claimed or not.

    Without a ticket an agent who mentions the bot hands the conversation back to it.
    """
    actor, ticket = t.actor, t.open_ticket
    if ticket is None:
        return _takeover_of_the_bot(t, event)
    line = t.remember("agent", actor.name, event.text, event.ref, event.files)
    if ticket.assignee is None and tickets.may_move(ticket, "claim"):
        claim.take(t, actor)
    else:
        t.take_over()
    if tickets.may_move(t.ticket, "reply"):
        relay.count_reply(t)
    escalation.copy(t, line, event.unsupported)
    return t.done("takeover", f"{actor.name or actor.id} wrote to the customer")


def _takeover_of_the_bot(t: Turn, event: MessageReceived) -> Decision:
    name = t.actor.name or t.actor.id
    if t.case.phase == Phase.HUMAN and event.mentions_bot:
        t.change(phase=Phase.BOT, bot_turns=0, clarified=False, questions=(), epoch=t.case.epoch + 1)
        t.notify(Line("customer.bot_back", {"name": t.policy.name}))
        return t.done("return", f"{name} handed the conversation back to the bot")
    t.remember("agent", t.actor.name, event.text, event.ref, event.files)
    t.take_over(pending_question="", others=())
    return t.done("takeover", f"{name} stepped in; the bot is silent here")
