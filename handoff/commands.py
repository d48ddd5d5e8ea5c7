"""`/firstline <verb>`: work outside the conversation becomes a chore, ticket verbs act on their ticket.

Who may run what is one table: `handoff.policy.PERMISSIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rapidfuzz import fuzz, process

from adapters.port import ChoreDone, CommandInvoked
from handoff import claim, relay, resolve
from handoff.effects import Chore, Decision
from handoff.facts import Answer, Correction, Help, IncidentOver, Line, Report, Source
from handoff.policy import COMMANDS, is_staff, refusal, stricter_level, stricter_mode
from handoff.turn import SILENT, Turn

TEXT_CHARACTERS = 2000
MEANT = 60  # likeness in percent from which a verb may be another misspelt
_TICKET = re.compile(r"\s*T-(\d{1,9})\b[:,]?\s*", re.IGNORECASE)
_SLOW = ("reload", "rollback", "report")


def command(t: Turn, event: CommandInvoked) -> Decision:
    """Run a command, or say why not."""
    name = event.name.strip().lower()
    if name in ("", "help") or name not in COMMANDS:
        return _help(t, name)
    if name in _ON_TICKET:
        return _on_ticket(t, event, name)
    refused = t.refused(name)
    if refused is not None:
        return refused
    if name == "ask":
        return _ask(t, event.text)
    return _chore(t, event, name)


def _help(t: Turn, name: str) -> Decision:
    verbs = tuple(v for v in COMMANDS if not refusal(t.event.actor, v, t.case, t.policy))
    if name not in ("", "help"):
        near = process.extractOne(name[:40], verbs, scorer=fuzz.ratio, score_cutoff=MEANT)
        key = "refused.unknown_command_like" if near else "refused.unknown_command"
        t.whisper(key, command=name[:40], like=near[0] if near else "")
    t.tell(Help(verbs, tuple(sorted(t.policy.canned)) if "reply" in verbs else ()))
    return t.done("command", "help" if name in ("", "help") else "help (no such command)")


def _chore(t: Turn, event: CommandInvoked, name: str) -> Decision:
    actor = t.actor
    args = {
        **{key: value for key, value in event.args.items() if key != "name"},
        "text": event.text[:TEXT_CHARACTERS],
        "by": actor.id,
        "by_name": actor.name,
        "platform": actor.platform,
        "tenant": actor.tenant,
        "roles": sorted(actor.roles),
    }
    t.add(Chore(name, args))
    t.keep("audit", f"{event.keys[0] if event.keys else name}", command=name, by=actor.id, at=t.now)
    if name in _SLOW:
        t.whisper("chore.started", command=name)
    by = actor.name or actor.id if is_staff(actor) else "a customer"  # history keeps no name of a customer
    return t.done("command", f"{name} by {by}")


def done(t: Turn, event: ChoreDone) -> Decision:
    """Work is finished. Some of it is word for a customer: a correction, the end of an incident."""
    match event.chore:
        case "correction":
            return _corrected(t, event)
        case "incident_over":
            return _incident_over(t, event)
        case "incident_suspected":
            return _incident_suspected(t, event)
        case _:
            return _reported(t, event)


def _corrected(t: Turn, event: ChoreDone) -> Decision:
    """What the bot told was wrong: say so once to whoever was told, or to the people who have the conversation."""
    receipt, text = str(event.result.get("receipt", "")), str(event.result.get("text", ""))
    given = next((x for x in t.case.tried if x.receipt == receipt), None)
    topic, version = str(event.result.get("topic", "")), str(event.result.get("version", ""))
    mark = f"corrected/{receipt}/{topic}/{version}"
    if not text or (given is None and t.case.ticket is None) or mark in t.case.counters:
        return t.ignore(f"nothing to correct: {receipt}")
    t.change(counters={**t.case.counters, mark: 1})
    same = given is not None and topic in ("", given.topic)
    title = given.title if given is not None and same else str(event.result.get("title", ""))
    fact = Correction(title, text, version)
    if t.case.phase in SILENT and t.open_ticket is not None:
        t.staff(fact)
        return t.done("correction", f"{receipt}: to the people who have the conversation")
    if t.case.phase in SILENT:
        t.notify(fact, f"{t.case.id}/{mark}")
    else:
        t.say(fact, f"{t.case.id}/{mark}")
    return t.done("correction", f"{receipt}: what was told is corrected")


def _incident_over(t: Turn, event: ChoreDone) -> Decision:
    """The incident is over: everybody who asked hears it once."""
    incident, text = str(event.result.get("incident", "")), str(event.result.get("text", ""))
    mark = f"over/{incident}"
    if not text or mark in t.case.counters:
        return t.ignore(f"the end of {incident} was told already")
    t.change(counters={**t.case.counters, mark: 1})
    fact = IncidentOver(text)
    if t.case.phase not in SILENT:
        t.say(fact)
    elif t.open_ticket is not None:
        t.staff(fact)
    else:
        t.notify(fact)
    return t.done("incident", f"{incident} is over")


def _incident_suspected(t: Turn, event: ChoreDone) -> Decision:
    """Many people ask the same within minutes: the desk hears of it once and may open an incident."""
    desk = t.policy.desk(t.policy.category(t.case.category).route, t.case.place.platform)
    if desk is None:
        return t.ignore("an incident is suspected, and there is no desk to tell")
    people, minutes = str(event.result.get("people", "")), str(event.result.get("minutes", ""))
    examples = " · ".join(str(x) for x in event.result.get("examples", ()))[:TEXT_CHARACTERS]
    t.staff(
        Line("staff.incident_suspected", {"people": people, "minutes": minutes, "examples": examples}),
        to=desk,
    )
    return t.done("incident", f"{people} people ask alike within {minutes} minutes")


def _reported(t: Turn, event: ChoreDone) -> Decision:
    """Work is finished: tell whoever asked. What only staff may ask is never told to a customer."""
    report = Report(event.chore, event.ok, event.result)
    if not refusal(event.actor, event.chore, t.case, t.policy):
        t.tell(report)
    elif t.case.ticket is not None:
        t.staff(report)
    return t.done("command", f"{event.chore} {'done' if event.ok else 'failed'}")


def _ask(t: Turn, text: str) -> Decision:
    """A private answer, for the asker's eyes only."""
    if not text.strip():
        return t.no("refused.no_question", "ask without a question", verb="ask")
    if t.known.fired:
        t.whisper("private.person")
        return t.done("command", f"ask: trigger {t.known.fired[0].trigger}")
    found = next((f for f in t.known.found if f.hits and f.confidence >= f.threshold_answer), None)
    hit = found.hits[0] if found is not None else None
    category = t.policy.category(hit.category if hit is not None else "")
    mode = stricter_mode(t.policy.launch_mode, category.launch_mode)
    if (
        found is None
        or hit is None
        or mode != "answer"
        or stricter_level(hit.level, category.level) != "answer"
    ):
        t.whisper("private.unsure")
        return t.done("command", "ask: nothing that may be said without a person")
    source = Source(hit.topic, hit.title, hit.path, hit.version, hit.reviewed, hit.links)
    t.tell(
        Answer(t.case.id, hit.text, (source,), found.confidence, opening=not t.case.disclosed, buttons=False)
    )
    return t.done("command", f"ask: {hit.title}, confidence {found.confidence:.2f}")


# --- on a ticket ----------------------------------------------------------------------------------------------


def _on_ticket(t: Turn, event: CommandInvoked, name: str) -> Decision:
    match = _TICKET.match(event.text)
    rest = event.text[match.end() :] if match else event.text.strip()
    number = int(match.group(1)) if match else None
    if number is None and event.args.get("ticket"):
        given = _TICKET.match(event.args["ticket"])
        number = int(given.group(1)) if given else None
    refused = t.refused(name)
    if refused is not None:
        return refused
    ticket = t.case.ticket
    if ticket is None or (number is not None and ticket.number != number):
        return t.no("refused.no_ticket", f"{name}: no such ticket", verb=name)
    return _ON_TICKET[name](t, rest or event.args.get("text", ""))


def _resolve(t: Turn, rest: str) -> Decision:
    return resolve.resolve(t, rest)


def _reply(t: Turn, rest: str) -> Decision:
    return relay.reply(t, rest)


_ON_TICKET: dict[str, Callable[[Turn, str], Decision]] = {
    "claim": lambda t, _: claim.claim(t),
    "release": lambda t, _: claim.release(t),
    "transfer": claim.transfer,
    "reply": _reply,
    "resolve": _resolve,
}
