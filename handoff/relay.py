"""Both ways between the customer's thread and the ticket's staff thread.

Towards staff: everything, in order, also before a claim. Towards the customer: only what an agent orders, by the Reply
button or `!reply `; everything else in the staff thread is internal. Nothing here reads an internal note.
"""

from __future__ import annotations

import re
from dataclasses import replace

from adapters.port import FileRef, MessageDeleted, MessageEdited, MessageReceived
from handoff import claim, escalation, priority, reasons
from handoff import ticket as tickets
from handoff.effects import Decision, Link, Mark, Say, Unsay, Update, Withdraw
from handoff.facts import Line, Preview, PreviewState, Relayed
from handoff.model import Case, Phase, Said
from handoff.policy import Policy, is_staff
from handoff.turn import Turn

REPLY_CHARACTERS = 12_000
_ORDER = re.compile(r"!(\w+)(!?)(?:\s+|$)")
_NUMBER = re.compile(r"\bT-(\d{1,9})\b", re.IGNORECASE)
_SLOT = re.compile(r"\{(\w+)\}")
_GIVEN = re.compile(r"(\w+)=(?:\"([^\"]*)\"|(\S+))")


# --- towards staff ------------------------------------------------------------------------------------------


def customer_wrote(t: Turn, event: MessageReceived, lines: tuple[Said, ...]) -> Decision:
    """A message in a conversation that people have: into the staff thread, in order."""
    ticket = t.ticket
    if lines and lines[0].who == "customer":
        if ticket.state == tickets.PENDING:
            t.move("customer", waiting_since=t.now, reminded_at=None)
        elif ticket.waiting_since is None:
            t.edit(waiting_since=t.now)
        _reconsider(t, event)
    for line in lines:
        escalation.copy(t, line, event.unsupported)
    if t.case.phase == Phase.DESK:
        t.add(Mark(event.ref, "eyes"))
    return t.done("relay", f"into the staff thread of {ticket.id}")


def _reconsider(t: Turn, event: MessageReceived) -> None:
    """New words may make it more urgent; never less."""
    fired = t.known.fired
    if not fired:
        return
    tier = t.policy.tier(t.case.customer)
    level, because = priority.assess(
        event.text, "P3", fired, tier.floor if tier is not None else "", t.known.sentiment
    )
    if level < t.ticket.priority:
        said = [one for one in because if one.kind != "category"]
        claim.prioritise(t, level, reasons.priority(said, t.policy.phrase))
    if t.known.sentiment not in ("", "neutral", t.ticket.sentiment):
        t.edit(sentiment=t.known.sentiment)
    names = {f.trigger for f in fired}
    speaks = t.policy.launch_mode in ("answer", "draft")
    if "abuse" in names and t.case.phase == Phase.DESK and speaks:
        t.change(phase=Phase.MUTED, muted_until=t.now + t.policy.mute_seconds)
        minutes = str(round(t.policy.mute_seconds / 60))
        t.say(Line("customer.boundary", {"minutes": minutes, "ticket": t.ticket.id}))
    t.rule("triggers", ", ".join(sorted(names)))


# --- towards the customer -----------------------------------------------------------------------------------


def staff_said(t: Turn, event: MessageReceived) -> Decision:
    """A message in the staff thread: an order that begins with `!`, or an internal note that nobody relays."""
    order = _ORDER.match(event.text)
    if order is None:
        return t.ignore("internal note")
    if not is_staff(event.actor):
        return t.no("refused.staff_only", "an order by somebody who is no agent", verb="reply")
    if f"order/{event.ref.id}" in t.case.counters:
        return t.ignore("this order was carried out already")
    rest = event.text[order.end() :]
    match order.group(1).lower():
        case "reply":
            return reply(t, rest, event.files, event, sure=bool(order.group(2)))
        case "canned":
            return canned(t, rest, event)
        case other:
            return t.no("refused.unknown_order", "no such order", verb=other, order=other)


def reply(
    t: Turn,
    text: str,
    files: tuple[FileRef, ...] = (),
    order: MessageReceived | None = None,
    *,
    sure: bool = False,
) -> Decision:
    """Send a reply to the customer after the undo window, and show staff exactly what is sent.

    A text that names another ticket was probably written for it: it is stopped, unless the agent is `sure`.
    """
    refused = t.refused("reply") or _unfit_reply(t)
    if refused is not None:
        return refused
    text = text.strip()
    if not text and not files:
        return t.no("refused.empty", "an empty reply", verb="reply")
    if (unfit := _unfit_text(t, text, sure=sure)) is not None:
        return unfit
    _send(t, text, files, order)
    return t.done("reply", f"{t.actor.name or t.actor.id} replies on {t.ticket.id}")


def _unfit_text(t: Turn, text: str, *, sure: bool) -> Decision | None:
    """Why these words are not sent to the customer, neither as a reply nor as its new text."""
    open_slots = slots_in(text, t.policy)
    if open_slots:
        slots = ", ".join(f"{{{s}}}" for s in open_slots)
        return t.no("refused.unfilled", f"unfilled: {slots}", verb="reply", slots=slots)
    if not sure and (other := _other_ticket(t, text)):
        return t.no("refused.other_ticket", f"the text is about {other}", verb="reply", other=other)
    if len(text) > REPLY_CHARACTERS:
        return t.no("refused.long", "a reply that is too long", verb="reply", limit=str(REPLY_CHARACTERS))
    return None


def _other_ticket(t: Turn, text: str) -> str:
    """The number of another ticket that the text speaks of, or ""."""
    ours = {t.ticket.number, *t.ticket.earlier, *t.case.closed_tickets}
    return next((m.group() for m in _NUMBER.finditer(text) if int(m.group(1)) not in ours), "")


def _unfit_reply(t: Turn) -> Decision | None:
    ticket = t.case.ticket
    if ticket is None:
        return t.no("refused.no_ticket", "a reply without a ticket", verb="reply")
    if not ticket.is_open:
        return t.no("refused.state", f"a reply on a {ticket.state} ticket", verb="reply")
    return None


def _send(t: Turn, text: str, files: tuple[FileRef, ...], order: MessageReceived | None) -> None:
    if t.ticket.assignee is None:
        claim.take(t, t.actor)
    elif t.case.phase != Phase.HUMAN:
        t.take_over()
    n = t.count("reply")
    number, name = t.ticket.id, t.public(t.actor.name)
    t.remember("agent", name, text, order.ref if order is not None else None, files)
    t.change(counters={**t.case.counters, "sent": int(t.now * 1000)})
    if order is not None:
        t.change(counters={**t.case.counters, f"order/{order.ref.id}": n})
        t.add(Link(f"{number}/order/{order.ref.id}", order.ref))
    delay = t.policy.undo_seconds
    t.add(
        Say(
            t.there,
            Relayed(text, name, files),
            "customer",
            "agent",
            f"{number}/out/{n}",
            speaking_as=name,
            files=files,
            delay=delay,
        )
    )
    count_reply(t)
    shown = replace(preview(t, n, text, "waiting" if delay > 0 else "sent"), files=files)
    t.staff(shown, f"{number}/preview/{n}")
    if delay > 0:
        t.wake(f"sent/{n}", t.now + delay, "the undo window of a reply")


def count_reply(t: Turn) -> None:
    """A person has answered: the first response clock stops, and it is the customer's turn."""
    t.move(
        "reply",
        first_response_at=t.ticket.first_response_at or t.now,
        replied_at=t.now,
        waiting_since=None,
        reminded_at=None,
    )


def preview(t: Turn, n: int, text: str, state: PreviewState) -> Preview:
    """What staff see of a reply."""
    return Preview(
        f"{_number(t)}.{n}",
        text,
        t.case.customer.name or t.case.customer.id,
        t.public(t.actor.name),
        t.policy.undo_seconds,
        state,
    )


def undo(t: Turn, n: int) -> Decision:
    """Take back the last reply while its window is open: nothing is delivered."""
    refused = t.refused("undo")
    if refused is not None:
        return refused
    counters = t.case.counters
    sent = counters.get("sent", 0) / 1000
    if (
        t.case.ticket is None
        or n < 1
        or counters.get("reply", 0) != n
        or t.now - sent > t.policy.undo_seconds
    ):
        return t.no("refused.undo_late", "the undo window is over", verb="undo")
    said, at = list(t.case.said), _newest_reply(t.case)
    if at is None or said[at].deleted:
        return t.no("refused.undo_late", "that reply was taken back already", verb="undo")
    text = said[at].text
    said[at] = replace(said[at], text="", deleted=True)
    t.change(said=tuple(said))
    take_reply_back(t, n, sent)
    t.add(
        Withdraw(f"{t.ticket.id}/out/{n}"),
        Unsay(f"{t.ticket.id}/out/{n}", "customer"),  # where it was leaving at this very moment
        Update(f"{t.ticket.id}/preview/{n}", preview(t, n, text, "undone")),
    )
    return t.done("undo", f"reply {n} was taken back before it was sent")


def window_closed(t: Turn, n: int) -> Decision:
    """The undo window is over: the preview says that the reply is sent."""
    at = _newest_reply(t.case)
    line = t.case.said[at] if at is not None else None
    if line is None or line.deleted or line.edited or t.case.counters.get("reply", 0) != n:
        return t.ignore("that reply is no longer the newest")
    if f"failed/{n}" in t.case.counters:
        return t.ignore("that reply could not be delivered")
    t.add(Update(f"{t.ticket.id}/preview/{n}", replace(preview(t, n, line.text, "sent"), name=line.name)))
    return t.done("timer", f"reply {n} is with the customer")


def undelivered(t: Turn, n: int) -> None:
    """A reply could not be delivered: the clocks run as before, and nobody is told that the customer has it."""
    newest = t.case.counters.get("reply", 0) == n
    take_reply_back(t, n, t.case.counters.get("sent", 0) / 1000 if newest else 0.0)
    t.change(counters={**t.case.counters, f"failed/{n}": 1})
    at = _newest_reply(t.case)
    line = t.case.said[at] if at is not None else None
    if newest and line is not None and not line.deleted:
        failed = replace(preview(t, n, line.text, "failed"), name=line.name, files=line.files)
        t.add(Update(f"{t.ticket.id}/preview/{n}", failed))


def _newest_reply(case: Case) -> int | None:
    """Where in the conversation the newest reply stands. What an agent wrote in the customer's thread is none: the bot
    did not carry it, and cannot take it back."""
    for i in range(len(case.said) - 1, -1, -1):
        line = case.said[i]
        if line.who == "agent" and (line.ref is None or f"order/{line.ref.id}" in case.counters):
            return i
    return None


def take_reply_back(t: Turn, n: int, sent: float) -> None:
    """The reply did not happen: the clocks run as before, and whoever asks what the customer was told hears of it."""
    t.keep("taken_back", f"{t.ticket.id}.{n}", at=t.now)
    first = t.ticket.first_response_at
    counted = first is not None and abs(first - sent) < 0.002  # noqa: PLR2004  kept in whole milliseconds
    changes = {"first_response_at": None if counted else first, "waiting_since": t.now}
    if tickets.may_move(t.ticket, "undo"):
        t.move("undo", **changes)
    else:
        t.edit(**changes)


# --- canned replies -----------------------------------------------------------------------------------------


def canned(t: Turn, rest: str, order: MessageReceived | None = None) -> Decision:
    """`!canned name slot=value …`: the team's own wording, sent like any reply."""
    name, _, given = rest.strip().partition(" ")
    if not t.policy.canned:
        return t.no("refused.none_canned", "no canned replies are configured", verb="reply")
    if name not in t.policy.canned:
        names = ", ".join(sorted(t.policy.canned))
        return t.no("refused.no_canned", "no such canned reply", verb="reply", order=name or "-", names=names)
    values = {k: quoted or bare for k, quoted, bare in _GIVEN.findall(given)}
    return reply(t, expanded(t, t.policy.canned[name], values), (), order)


def expanded(t: Turn, text: str, given: dict[str, str]) -> str:
    """A canned text with the slots that are known filled in; the rest stay visible."""
    ticket = t.case.ticket
    known = {
        "customer": t.case.customer.name,
        "agent": t.public(t.actor.name),
        "ticket": ticket.id if ticket is not None else "",
        "subject": ticket.subject if ticket is not None else "",
        "bot": t.policy.name,
        **given,
    }
    return _SLOT.sub(lambda m: known.get(m.group(1)) or m.group(), text)


def slots_in(text: str, policy: Policy) -> tuple[str, ...]:
    """Slots of canned replies that still stand in a text that is about to be sent."""
    if "{" not in text:
        return ()
    slots = {s for body in policy.canned.values() for s in _SLOT.findall(body)}
    return tuple(dict.fromkeys(s for s in _SLOT.findall(text) if s in slots))


# --- edits and deletions --------------------------------------------------------------------------------------


def edited(t: Turn, event: MessageEdited) -> Decision:
    """Somebody changed a message: so does its copy."""
    n = t.case.counters.get(f"order/{event.ref.id}", 0)
    index = _index(t.case, event.ref.id)
    if n and index is not None:
        return _order_edited(t, event, n, index)
    if index is None:
        return t.ignore("an edit of something that was not relayed")
    line = t.case.said[index]
    if line.text == event.text and line.files == event.files:
        return t.ignore("the edit changed no word")
    _rewrite(t, index, replace(line, text=event.text, files=event.files or line.files, edited=True))
    return t.done("edit", "the copy follows the edit")


def _order_edited(t: Turn, event: MessageEdited, n: int, index: int) -> Decision:
    order = _ORDER.match(event.text)
    if order is None or order.group(1).lower() != "reply":
        return t.no("refused.still_sent", "the order is gone but the reply stays", verb="reply")
    text, line = event.text[order.end() :].strip(), t.case.said[index]
    if text == line.text or not text or line.deleted:
        return t.ignore("the edit changed no word")
    if event.actor is not None and not is_staff(event.actor):
        return t.no("refused.staff_only", "an order changed by somebody who is no agent", verb="reply")
    if (unfit := _unfit_text(t, text, sure=bool(order.group(2)))) is not None:
        return unfit
    said = list(t.case.said)
    said[index] = replace(line, text=text, edited=True)
    t.change(said=tuple(said))
    number, name, told = _number(t), line.name, Relayed(text, line.name, line.files)
    out = f"{number}/out/{n}"
    if max(len(text), len(line.text)) <= escalation.ONE_MESSAGE:
        t.add(Update(out, told, "customer", speaking_as=name))
    else:  # it stands in several messages, or will: of these only the first can be changed
        say = Say(t.there, told, "customer", "agent", out, speaking_as=name, files=line.files)
        t.add(Withdraw(out), Unsay(out, "customer"), say)
    t.add(Update(f"{number}/preview/{n}", preview(t, n, text, "edited")))
    return t.done("edit", f"reply {n} follows the edit")


def deleted(t: Turn, event: MessageDeleted) -> Decision:
    """Somebody deleted a message: its copy becomes a stub, a reply disappears."""
    index = _index(t.case, event.ref.id)
    if index is None or t.case.said[index].deleted:
        return t.ignore("a deletion of something that was not relayed")
    n = t.case.counters.get(f"order/{event.ref.id}", 0)
    line = replace(t.case.said[index], text="", files=(), deleted=True)
    if not n:
        _rewrite(t, index, line)
        if t.case.ticket is not None:  # the copy now says so; what else it took, more text and files, goes
            t.add(Unsay(f"{t.ticket.id}/in/{event.ref.id}#", "staff"))
        return t.done("delete", "the copy says that its author deleted it")
    said = list(t.case.said)
    said[index] = line
    t.change(said=tuple(said))
    newest, sent = t.case.counters.get("reply", 0) == n, t.case.counters.get("sent", 0) / 1000
    if newest and t.open_ticket is not None and t.now - sent <= t.policy.undo_seconds:
        take_reply_back(t, n, sent)  # it was never sent
    number = _number(t)
    t.add(
        Withdraw(f"{number}/out/{n}"),
        Unsay(f"{number}/out/{n}", "customer"),
        Update(f"{number}/preview/{n}", preview(t, n, "", "deleted")),
    )
    return t.done("delete", f"reply {n} was deleted on both sides")


def _rewrite(t: Turn, index: int, line: Said) -> None:
    """Change a line of the conversation, and the copy that staff see."""
    said = list(t.case.said)
    had, said[index] = said[index], line
    t.change(said=tuple(said))
    ticket = t.case.ticket
    if ticket is None or line.ref is None:
        return
    t.add(*escalation.recopied(t, line, had))


def _number(t: Turn) -> str:
    """The ticket whose thread that happened in; an order may be older than the present ticket."""
    if t.known.anchor.startswith("T-"):
        return t.known.anchor.partition("/")[0]
    return t.case.ticket.id if t.case.ticket is not None else "T-0"


def _index(case: Case, message: str) -> int | None:
    """Where in the conversation that message stands."""
    for i in range(len(case.said) - 1, -1, -1):
        ref = case.said[i].ref
        if ref is not None and ref.id == message:
            return i
    return None
