"""The words for the results of commands: what `/firstline reload`, `status`, `why` and the others tell whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.port import Block, Content
from bot.texts import Texts, bullets, certainty, heading, note, para, quote, short
from handoff import facts

LINE_CHARACTERS = 300
TITLE_CHARACTERS = 150
ROWS_MAX = 12
SAID_MAX = 5


class Speaker:
    """One language's sentences for one result."""

    def __init__(self, language: str, texts: Texts) -> None:
        self.language, self.texts = language, texts

    def __call__(self, key: str, **values: object) -> str:
        filled = {name: short(str(value), LINE_CHARACTERS) for name, value in values.items()}
        return self.texts.get(key, self.language, **filled)

    def named(self, space: str, name: object) -> str:
        """The word for a name that the rules use (`space` ends in a dot); the name itself where there is none."""
        key = f"{space}{name}"
        return self(key) if self.texts.has(key, self.language) else str(name).replace("_", " ")

    def clock(self, at: object) -> str:
        return self.texts.clock(float(at), self.language) if isinstance(at, int | float) else str(at or "-")

    def listed(self, title: str, rows: Sequence[str]) -> Iterator[Block]:
        """A heading with its rows; nothing where there are none."""
        if not rows:
            return
        more = [self("chore.more", n=len(rows) - ROWS_MAX)] if len(rows) > ROWS_MAX else []
        yield heading(title)
        yield bullets([*(short(row, LINE_CHARACTERS) for row in rows[:ROWS_MAX]), *more])


Result = Mapping[str, Any]
Words = Callable[[Result, Speaker], Iterator[Block]]


def report(fact: facts.Report, language: str, texts: Texts) -> Content:
    """What was done or found out, or why not. Only a customer's own data is told in the customer's language."""
    say = Speaker(language if fact.chore == "my-data" else texts.language, texts)
    maker = _WORDS.get(fact.chore)
    title = say.named("told.title.", fact.chore)
    if "problem" in fact.result or maker is None:
        blocks = list(_problem(fact.result, say))
    else:
        blocks = list(maker(fact.result, say))
    return Content((heading(short(title, TITLE_CHARACTERS)), *blocks))


def _problem(result: Result, say: Speaker) -> Iterator[Block]:
    """Why it was not done: by name, with what has to be mended."""
    values = {k: v for k, v in result.items() if isinstance(v, str | int | float)}
    yield para(say(f"trouble.{result.get('problem', 'unknown')}", **values))
    yield from say.listed(say("told.complaints"), [str(c) for c in result.get("complaints", ())])


# --- knowledge --------------------------------------------------------------------------------------------------


def _reload(result: Result, say: Speaker) -> Iterator[Block]:
    failed, golden = result.get("failed_golden", ()), result.get("golden", 0)
    new = result.get("snapshot") != result.get("previous")
    numbers = {"topics": result.get("topics", 0), "passages": result.get("passages", 0)}
    if not new:
        yield para(say("told.reload.nothing_new", **numbers))
    elif result.get("activated"):
        yield para(say("told.reload.live", **numbers))
    elif result.get("preview") or not failed:
        yield para(say("told.reload.preview", **numbers))
    else:
        yield para(say("told.reload.refused"))
    if failed:
        yield para(say("told.reload.golden_failed", failed=len(failed), golden=golden))
    elif golden:
        yield para(say("told.reload.golden_hold", golden=golden))
    yield from _compared(result, say)
    wanted = [say("told.reload.failed_row", question=g["question"], expected=_topic(g["expected"], say),
                  got=_topic(g["got"], say)) for g in failed]  # fmt: skip
    yield from say.listed(say("told.reload.failed"), wanted)
    yield from say.listed(say("told.reload.findings"), [str(f) for f in result.get("findings", ())])
    if result.get("told_old_texts"):
        topics = ", ".join(result.get("topics_told", ()))
        yield para(say("told.reload.told", n=result["told_old_texts"], topics=topics))
    if new:
        yield note(
            say(
                "told.reload.versions",
                snapshot=result.get("snapshot"),
                previous=result.get("previous") or "-",
            )
        )


def _compared(result: Result, say: Speaker) -> Iterator[Block]:
    """What the latest real questions would get now."""
    if result.get("replayed"):
        yield para(say("told.reload.replayed", n=result["replayed"], same=result.get("same", 0)))
    for kind in ("lost", "changed", "gained"):
        rows = [say("told.reload.row", question=c["question"], before=_topic(c["before"], say),
                    after=_topic(c["after"], say)) for c in result.get(kind, ())]  # fmt: skip
        yield from say.listed(say(f"told.reload.{kind}"), rows)


def _topic(name: object, say: Speaker) -> str:
    return str(name) if name else say("told.reload.no_answer")


def _rollback(result: Result, say: Speaker) -> Iterator[Block]:
    yield para(say("told.rollback.done", topics=result.get("topics", 0), passages=result.get("passages", 0)))
    yield note(say("told.rollback.version", snapshot=result.get("snapshot")))


def _search(result: Result, say: Speaker) -> Iterator[Block]:
    sure, line = float(result.get("confidence", 0)), float(result.get("threshold_answer", 0))
    yield para(say("told.search.question", question=result.get("question")), "b")
    key = "told.search.answers" if sure >= line else "told.search.below"
    yield para(say(key, confidence=certainty(sure), threshold=f"{line:.0%}"))
    hits = result.get("hits", ())
    rows = [say("told.search.hit", confidence=certainty(float(h["confidence"])), title=h["title"], path=h["path"], topic=h["topic"])
            for h in hits]  # fmt: skip
    yield from say.listed(say("told.search.hits"), rows)
    yield from say.listed(say("told.search.why"), [str(w) for w in result.get("why", ())])


# --- the desk ---------------------------------------------------------------------------------------------------


def _status(result: Result, say: Speaker) -> Iterator[Block]:
    yield para(say("told.status.ready" if result.get("ready") else "told.status.not_ready"))
    rows = []
    for name, (state, detail) in result.get("adapters", {}).items():
        told = f"{say.named('told.connection.', state)}{f' ({detail})' if detail else ''}"
        rows.append(say("told.status.platform", name=str(name).capitalize(), state=told))
    mode = str(result.get("launch_mode", ""))
    rows.append(say("told.status.mode", mode=mode, meaning=say.named("told.launch_mode.", mode)))
    info = result.get("knowledge")
    if info:
        built = datetime.fromisoformat(str(info["built_at"])).timestamp()
        rows.append(say("told.status.knowledge", topics=info["topics"], passages=info["passages"],
                        at=say.clock(built), snapshot=info["snapshot"]))  # fmt: skip
        rows.append(say("told.status.line", threshold=f"{float(info['threshold_answer']):.0%}"))
    else:
        rows.append(say("told.status.no_knowledge"))
    waiting = result.get("waiting", {})
    rows.append(
        say(
            "told.status.waiting",
            conversations=waiting.get("conversations", 0),
            messages=waiting.get("messages", 0),
        )
    )
    if waiting.get("ambiguous"):
        rows.append(say("told.status.ambiguous", n=waiting["ambiguous"]))
    rows.append(
        say("told.status.model", state=say.named("told.model_state.", result.get("language_model", "off")))
    )
    yield bullets(rows)


def _tickets(result: Result, say: Speaker) -> Iterator[Block]:
    tickets = result.get("tickets", ())
    if not tickets:
        yield para(say("told.queue.none"))
    rows = []
    for t in tickets:
        due = t.get("first_response_due") if not t.get("first_response_at") else t.get("resolution_due")
        who = t["assignee_name"] or say("told.queue.nobody")
        rows.append(say("told.queue.row", number=f"T-{t['number']}", priority=t["priority"], subject=short(t["subject"], 80),
                        customer=t["customer_name"] or "-", state=say.named("state.", t["state"]), who=who,
                        due=say.clock(due)))  # fmt: skip
    yield from say.listed(say("told.queue.title"), rows)


def _gaps(result: Result, say: Speaker) -> Iterator[Block]:
    gaps = result.get("gaps", ())
    yield para(say("told.gaps.total", n=result.get("total", 0)) if gaps else say("told.gaps.none"))
    yield from say.listed(
        say("told.gaps.title"), [say("told.gaps.row", n=g["times"], question=g["question"]) for g in gaps]
    )


def _review(result: Result, say: Speaker) -> Iterator[Block]:
    if "corrected" in result:
        yield para(say("told.review.corrected", topic=result["topic"], n=result["corrected"]))
    elif "told" in result:
        key = "told.review.told" if result["told"] else "told.review.told_nobody"
        yield para(say(key, topic=result.get("topic") or "-", n=result["told"]))
        rows = [
            say("told.review.told_row", question=a["question"], version=a["version"])
            for a in result.get("answers", ())
        ]
        yield from say.listed(say("told.review.told_title"), rows)
    else:
        yield para(say("told.review.total", n=result.get("total", 0), helpful=result.get("helpful", 0)))
        rows = [say("told.review.row", topic=r.get("topic") or "-", reason=_reason(r, say), version=r.get("version") or "-")
                for r in result.get("reviews", ())]  # fmt: skip
        yield from say.listed(say("told.review.title"), rows)
        proposed = [say("told.review.proposed_row", number=p["key"], question=p.get("question") or "-", ticket=p.get("ticket") or "-")
                    for p in result.get("proposals", ())]  # fmt: skip
        yield from say.listed(say("told.review.proposed"), proposed)


def _reason(review: Result, say: Speaker) -> str:
    return say.named("button.", review.get("reason") or review.get("vote") or "unhelpful")


def _week(result: Result, say: Speaker) -> Iterator[Block]:
    yield para(say("told.week.span", start=say.clock(result.get("from")), end=say.clock(result.get("to"))))
    rows = [
        say("told.week.conversations", n=result.get("conversations", 0)),
        say("told.week.answered", n=result.get("answered", 0), clarified=result.get("clarified", 0)),
        say("told.week.tickets", n=result.get("tickets", 0), reopened=result.get("reopened", 0)),
        say(
            "told.week.solved",
            n=result.get("confirmed_solved_by_bot", 0),
            share=_share(result.get("deflection"), say),
        ),
        say("told.week.first", span=_spread(result.get("first_response_seconds"), say)),
        say("told.week.resolution", span=_spread(result.get("resolution_seconds"), say)),
        say("told.week.csat", share=_share(result.get("csat"), say)),
        *_kept(result, say),
    ]
    yield bullets(rows)
    yield from say.listed(
        say("told.week.by_category"), [f"{k or '-'}: {n}" for k, n in result.get("by_category", {}).items()]
    )
    reasons = [f"{say.named('trigger.', k)}: {n}" for k, n in result.get("by_trigger", {}).items()]
    yield from say.listed(say("told.week.by_trigger"), reasons)
    for name, least in (("by_leaf", 1), ("by_priority", 1), ("by_platform", 2)):
        rows = [f"{k}: {n}" for k, n in result.get(name, {}).items()]
        yield from say.listed(say(f"told.week.{name}"), rows if len(rows) >= least else [])
    unchanged = result.get("drafts_unchanged_by_category", {})
    drafts = [
        say("told.week.draft_row", category=k, unchanged=unchanged.get(k, 0), n=n)
        for k, n in result.get("drafts_settled_by_category", {}).items()
    ]
    yield from say.listed(say("told.week.by_draft"), drafts)


def _kept(result: Result, say: Speaker) -> Iterator[str]:
    """Drafts and capture records; nothing of what there was none of."""
    drafts, captured = result.get("drafts", {}), result.get("captured", {})
    if captured.get("handed_over"):
        counts = {key: captured.get(key, 0) for key in ("handed_over", "resolved", "reachable")}
        yield say("told.week.captured", **counts)
    if drafts.get("offered"):
        counts = {key: drafts.get(key, 0) for key in ("offered", "sent_unchanged", "edited", "discarded")}
        yield say("told.week.drafts", share=_share(drafts.get("unchanged_share"), say), **counts)


def _share(value: object, say: Speaker) -> str:
    return f"{value:.0%}" if isinstance(value, int | float) else say("told.week.none")


def _spread(value: object, say: Speaker) -> str:
    if not isinstance(value, Mapping):
        return say("told.week.none")
    median, most = (say.texts.span(float(value[k]), say.language) for k in ("median", "p95"))
    return say("told.week.spread", median=median, most=most)


def _why(result: Result, say: Speaker) -> Iterator[Block]:
    given = result.get("receipt")
    if given:
        sure, line = float(given.get("confidence", 0)), float(given.get("threshold", 0))
        yield para(
            say("told.why.receipt", question=given.get("question"), at=say.clock(given.get("at"))), "b"
        )
        yield para(
            say(
                "told.why.source",
                topic=given.get("topic"),
                path=given.get("path"),
                version=given.get("version"),
            )
        )
        yield para(
            say(
                "told.why.sure",
                confidence=certainty(sure),
                threshold=f"{line:.0%}",
                snapshot=given.get("snapshot"),
            )
        )
        yield from say.listed(
            say("told.why.rules"), [": ".join(map(str, rule)) for rule in given.get("trace", ())]
        )
        return
    rows = [say("told.why.row", at=say.clock(d["at"]), decision=say.named("told.decision.", d["decision"]), why=d["why"] or "-")
            for d in result.get("decisions", ())[-ROWS_MAX:]]  # fmt: skip
    if not rows:
        yield para(say("told.why.none"))
    yield from say.listed(say("told.why.title"), rows)
    ahead = [(str(t["timer"]).partition("/")[0], t["at"]) for t in result.get("ahead", ())]
    yield from say.listed(
        say("told.why.ahead"),
        [say(f"told.ahead.{timer}", at=say.clock(at)) for timer, at in ahead if timer != "sent"],
    )


def _incident(result: Result, say: Speaker) -> Iterator[Block]:
    state = result.get("incident")
    if state == "closed":
        yield para(say("told.incident.closed", n=result.get("told", 0)))
    else:
        yield para(say("told.incident.open" if state == "open" else "told.incident.none"))
    if result.get("text"):
        yield quote(short(str(result["text"]), LINE_CHARACTERS))


def _mode(result: Result, say: Speaker) -> Iterator[Block]:
    mode = str(result.get("mode", ""))
    yield para(say("told.mode.now", mode=mode, meaning=say.named("told.launch_mode.", mode)))
    if mode != result.get("configured", mode):
        yield note(say("told.mode.differs", configured=result["configured"]))


def _my_data(result: Result, say: Speaker) -> Iterator[Block]:
    """What is stored of whoever asks, in words; the whole of it as a file is the shell's `privacy export`."""
    if "journal" in result:
        yield para(
            say(
                "told.mine.erased",
                conversations=result.get("conversations", 0),
                tickets=result.get("tickets", 0),
            )
        )
        return
    talks, tickets = result.get("conversations", ()), result.get("tickets", ())
    yield para(
        say(
            "told.mine.stored",
            conversations=len(talks),
            tickets=len(tickets),
            records=len(result.get("records", ())),
        )
    )
    rows = [say("home.ticket", number=f"T-{t['number']}", subject=t["subject"], state=say.named("state.", t["state"]))
            for t in tickets]  # fmt: skip
    yield from say.listed(say("home.tickets"), rows)
    words = [line["text"] for talk in talks for line in talk.get("said", ()) if line.get("who") == "customer"]
    yield from say.listed(say("told.mine.said"), [w for w in words if w][-SAID_MAX:])
    yield note(say("told.mine.erase"))


_WORDS: Mapping[str, Words] = {
    "reload": _reload, "rollback": _rollback, "search": _search, "status": _status, "tickets": _tickets,
    "gaps": _gaps, "review": _review, "report": _week, "why": _why, "incident": _incident, "mode": _mode,
    "my-data": _my_data,
}  # fmt: skip
