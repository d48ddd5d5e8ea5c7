"""`firstline eval`: how often is it right, and does it know when it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot import shell_output as out
from bot.asking import Asker, opened, said_to_customer, today
from bot.cases import DECISIONS, is_wanted, read_cases, unknown_decision
from bot.complaints import meant
from bot.config import Config
from bot.policies import texts_of
from handoff.effects import Decision
from handoff.model import Known
from knowledge.evaluate import Report, evaluate_rows, read_labelled
from knowledge.library import KnowledgeError, Library
from knowledge.passage import Complaint

FAILED_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Judged:
    """One case of a YAML file: what was expected, what happened, and what would mend it."""

    question: str
    expected: str
    actual: str
    fix: str

    @property
    def ok(self) -> bool:
        return not self.fix


async def evaluate_file(
    config: Config, file: Path, *, expected_column: str, report: Path | None, json: bool
) -> int:
    """Exit code 1 when a case fails that states its decision (CSV), any case fails (YAML), or a topic is expected that
    does not exist."""
    async with opened(config) as library:
        if file.suffix in (".yaml", ".yml"):
            judged = await judge_cases(config, library, read_cases(file))
            return show_cases(judged, report, json=json)
        rows = read_labelled(file, expected_column=expected_column)
        if strange := [row for row in rows if row.decision and row.decision not in DECISIONS]:
            told = [
                Complaint(str(file), 0, f"{r.question!r}: {unknown_decision(r.decision)}") for r in strange
            ]
            raise KnowledgeError(told)
        with out.progress() as step:
            result = await evaluate_rows(
                library, rows, progress=lambda done, total: step("asking", done, total), now=today(config)
            )
        if any(row.decision for row in rows):
            result = await with_decisions(config, library, result, [row.decision for row in rows])
    if json:
        out.as_json(result.to_json())
    else:
        show_report(result)
    if report is not None:
        from bot.evaluation_report import write

        write(report, result, file.name)
        out.note(f"report written to {report}")
    stated = {row.question: row.decision for row in rows if row.decision}
    if result.unknown_expected:
        return 1
    return 1 if any(case.question in stated and not case.ok for case in result.cases) else 0


async def with_decisions(config: Config, library: Library, report: Report, wanted: Sequence[str]) -> Report:
    """Where a row states a decision, judge the bot's own (triggers and levels included), not the bare threshold."""
    asker = Asker(config, library)
    await asker.prepare()
    cases = []
    for case, decision in zip(report.cases, wanted, strict=True):
        if not decision:
            cases.append(case)
            continue
        made, _, _ = await asker.decide(case.question)
        ok = is_wanted(made.kind, decision) and not _other_topic(decision, case.expected, case.top, made)
        ok = ok and (decision != "answer" or case.top == case.expected)
        cases.append(replace(case, decision=made.kind, ok=ok))
    return replace(report, cases=tuple(cases))


# --- YAML cases ------------------------------------------------------------------------------------------------


async def judge_cases(config: Config, library: Library, cases: Sequence[Mapping[str, Any]]) -> list[Judged]:
    asker = Asker(config, library)
    await asker.prepare()
    texts, topics = texts_of(config), {topic.id for topic in library.topics()}
    judged = []
    with out.progress() as step:
        for number, case in enumerate(cases, 1):
            decision, known, _ = await asker.decide(str(case["question"]))
            one = judge(case, decision, known, said(decision, texts, config.bot.language))
            expected = str(case.get("expected") or "")
            if expected and expected not in topics:
                one = replace(one, fix=f"there is no topic {expected!r}{meant(expected, topics)}")
            judged.append(one)
            step("cases", number, len(cases))
    return judged


def said(decision: Decision, texts: Any, language: str) -> str:
    """Everything that the customer would read."""
    contents = said_to_customer(decision, texts, language)
    return "\n".join(
        "".join(span.text for span in item) for c in contents for block in c.body for item in block.items
    )


def judge(case: Mapping[str, Any], decision: Decision, known: Known, text: str) -> Judged:
    """Compare one decision with what the case expects; the first difference names the fix."""
    hits = known.found[0].hits if known.found else ()
    top = hits[0].topic if hits else ""
    trigger = known.fired[0].trigger if known.fired else ""
    expected, wanted = str(case.get("expected") or ""), str(case.get("decision") or "")
    never = case.get("never_say") or []
    forbidden = [
        str(w) for w in ([never] if isinstance(never, str) else never) if str(w).casefold() in text.casefold()
    ]
    crossed = known.fired[0].topic if known.fired else ""
    fix = ""
    if forbidden:
        fix = f"it says {forbidden[0]!r}; take it out of {top}"
    elif wanted and not is_wanted(decision.kind, wanted):
        fix = _fix_decision(wanted, decision, top, trigger, expected, crossed)
    elif other := _other_topic(wanted, expected, top, decision):
        fix = other
    elif "expected" in case and not expected and not wanted and decision.kind in ("answer", "draft"):
        fix = f"{top} answers what is not covered: take out of it what comes near, or name it as expected"
    elif case.get("reason") and case["reason"] != trigger:
        fix = f"add this wording to the examples of trigger {case['reason']!r}"
    elif case.get("says") and str(case["says"]).casefold() not in text.casefold():
        fix = f"the answer does not say {case['says']!r}"
    elif case.get("asks") and (
        decision.case.collecting is None or case["asks"] not in decision.case.collecting.fields
    ):
        fix = f"add {case['asks']!r} to the fields of category {decision.case.category or 'general'!r}"
    shown = " ".join(filter(None, (wanted, expected, str(case.get("reason") or ""))))
    actual = " ".join(filter(None, (decision.kind, top, trigger)))
    return Judged(str(case["question"]), shown, actual, fix)


def _other_topic(wanted: str, expected: str, top: str, decision: Decision) -> str:
    """What mends a case whose topic is not the one that it expects: of a clarifying question, one of the offered; of
    everything else the first, which is also what a card tells as nearest. Empty where it is."""
    if not expected or wanted != "clarify":
        return _other_first(top, expected) if expected and top != expected else ""
    offered = [topic for topic, _ in decision.case.clarify_options]
    if expected in offered:
        return ""
    return f"add this wording to the questions of {expected}; it asked back between {', '.join(offered) or 'none'}"


def _other_first(top: str, expected: str) -> str:
    return f"add this wording to the questions of {expected}; {top or 'nothing'} came first"


def _fix_decision(
    wanted: str, decision: Decision, top: str, trigger: str, expected: str, crossed: str
) -> str:
    if decision.kind == "escalate" and crossed:
        return f"a line of escalate_when of {crossed} was crossed: say it more narrowly if it should not"
    if decision.kind == "escalate" and trigger:
        return f"trigger {trigger!r} fired: add this wording to its counter-examples if it should not"
    if wanted == "answer" and expected and top != expected:
        return _other_first(top, expected)
    if wanted == "answer" and decision.kind in ("clarify", "offer", "decline"):
        return f"confidence is too low for {top or 'any topic'}: add this wording to the topic's questions"
    if decision.kind == "answer":
        return f"{top} answered: set its level, or add the case to its escalate_when"
    return decision.why


def show_cases(judged: Sequence[Judged], report: Path | None, *, json: bool) -> int:
    failed = [j for j in judged if not j.ok]
    if json:
        out.as_json(
            [
                {"question": j.question, "expected": j.expected, "actual": j.actual, "ok": j.ok, "fix": j.fix}
                for j in judged
            ]
        )
    else:
        rows = [["✓" if j.ok else "✗", j.question, j.expected, j.actual, j.fix] for j in judged]
        out.table(["", "question", "expected", "actual", "fix"], rows)
        out.say(f"{len(judged) - len(failed)} of {len(judged)} {'holds' if len(judged) == 1 else 'hold'}")
    if report is not None:
        from bot.evaluation_report import write_cases

        write_cases(report, judged)
    return 1 if failed else 0


# --- CSV --------------------------------------------------------------------------------------------------------


def show_report(r: Report) -> None:
    """A report for people."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    out.table(
        ["measure", "value", "meaning"],
        [
            ["questions", r.n, f"{r.in_scope} covered, {r.out_of_scope} not covered"],
            ["hit@1", number(r.hit_at_1), "the right topic is on top (covered questions)"],
            ["hit@5", number(r.hit_at_5), "it is among the first five"],
            ["MRR", number(r.mrr), "mean of 1 / its rank"],
            ["coverage", number(r.coverage), "share of all questions that are answered"],
            ["precision", number(r.precision), "share of the answers that are right"],
            ["not covered, kept quiet", number(r.oos_recall), "uncovered questions that are not answered"],
            ["AUROC", number(r.auroc), "does confidence rank right above wrong"],
            ["ECE", number(r.ece), "how far confidence is from the share that is right"],
            [
                "latency p50 / p99 ms",
                f"{r.latency_ms['p50']:.1f} / {r.latency_ms['p99']:.1f}",
                "embedding included",
            ],
        ],
        f"snapshot {r.snapshot}, answered from confidence {r.threshold_answer:.2f} on",
    )
    failed = [case for case in r.cases if not case.ok]
    if failed:
        rows = [
            [c.question, c.expected or "(not covered)", c.top, f"{c.confidence:.2f}", c.decision]
            for c in failed[:FAILED_SHOWN]
        ]
        out.table(
            ["question", "expected", "top", "confidence", "decision"],
            rows,
            f"{len(failed)} of {r.n} are not as expected",
        )
    if r.unknown_expected:
        out.say("expected ids that this knowledge does not have: " + ", ".join(r.unknown_expected[:10]))
