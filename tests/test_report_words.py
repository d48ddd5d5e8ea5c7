"""What commands tell: sentences for people, never the keys of the program; in every language, nobody's markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapters import discord_format, slack_format
from adapters.console_format import block_lines
from adapters.port import Block, Content
from bot.texts import LANGUAGES, catalogue, load_texts
from bot.wording import word
from bot.wording_desk import _where
from bot.wording_reports import _WORDS
from handoff.facts import Report
from handoff.policy import COMMANDS

AT = 1_796_000_000.0  # 2026-11-30 00:53 UTC
HOSTILE = "<!channel> @everyone *b* [x](http://evil.example) {n}"
CHANGE = {"question": HOSTILE, "before": "refunds", "after": ""}
RELOAD = {
    "snapshot": "b2", "previous": "a1", "activated": True, "topics": 92, "passages": 99, "embedded": 4,
    "replayed": 20, "same": 17, "changed": [{**CHANGE, "after": "plans"}], "lost": [CHANGE],
    "gained": [{"question": "vat?", "before": "", "after": "vat"}], "golden": 51, "failed_golden": [],
    "findings": ["refunds.md:3: stale"], "told_old_texts": 2, "topics_told": ["refunds"],
}  # fmt: skip
FAILED = [{"question": HOSTILE, "expected": "currency", "got": ""}]
WEEK = {
    "from": AT - 604_800, "to": AT, "conversations": 5, "answered": 3, "clarified": 1, "tickets": 2,
    "confirmed_solved_by_bot": 1, "deflection": 0.2, "first_response_seconds": {"median": 600.0, "mean": 700.0, "p95": 3600.0},
    "resolution_seconds": None, "csat": None, "by_category": {"billing": 1}, "by_trigger": {"human": 2}, "reopened": 0,
    "decisions": {"answer": 1},
}  # fmt: skip
KEPT = {
    "drafts": {"offered": 8, "sent_unchanged": 5, "edited": 1, "discarded": 1, "unchanged_share": 0.714},
    "drafts_settled_by_category": {"billing": 7}, "drafts_unchanged_by_category": {"billing": 5},
    "captured": {"total": 5, "solved_by_bot": 3, "handed_over": 2, "resolved": 1, "reachable": 1},
    "by_leaf": {"billing › refund": 2}, "by_priority": {"P1": 2}, "by_platform": {"slack": 3, "discord": 2},
}  # fmt: skip
STATUS = {
    "ready": True, "adapters": {"slack": ["connected", ""], "discord": ["down", "no intent"]},
    "knowledge": {"snapshot": "b2", "topics": 92, "passages": 99, "built_at": "2026-11-26T22:43:25+00:00", "threshold_answer": 0.886},
    "waiting": {"conversations": 0, "messages": 1, "ambiguous": 2}, "launch_mode": "shadow", "language_model": "off",
}  # fmt: skip
TICKET = {
    "number": 7, "state": "pending", "priority": "P1", "subject": HOSTILE, "customer_name": "Ana", "assignee_name": "",
    "first_response_at": None, "first_response_due": AT, "resolution_due": None,
}  # fmt: skip
RECEIPT = {
    "question": HOSTILE, "topic": "refunds", "path": "refunds.md", "version": "v1", "confidence": 0.93, "threshold": 0.9,
    "snapshot": "b2", "trace": [["level", "answer"]], "at": AT,
}  # fmt: skip
SEARCH = {
    "question": HOSTILE, "confidence": 0.4, "threshold_answer": 0.886, "why": ["It means nearly the same."], "snapshot": "b2",
    "hits": [{"topic": "refunds", "title": "Refund policy", "path": "refunds.md", "confidence": 0.4}],
}  # fmt: skip
MINE = {
    "conversations": [{"said": [{"who": "customer", "text": HOSTILE}, {"who": "bot", "text": "hidden"}]}],
    "tickets": [{"number": 7, "state": "new", "subject": "Help"}], "records": [{}],
}  # fmt: skip

CASES: dict[str, tuple[str, Mapping[str, Any], str]] = {
    "reload": ("reload", RELOAD, "The new knowledge is live: 92 topics, 99 passages."),
    "reload, lost": ("reload", RELOAD, "refunds → no answer"),
    "reload, golden hold": ("reload", RELOAD, "Golden cases: 51; all hold."),
    "reload, replayed": ("reload", RELOAD, "Real questions asked again: 20; answered as before: 17."),
    "reload, told": ("reload", RELOAD, "Answers given from a text that has changed since: 2 (refunds)"),
    "reload, same": ("reload", {**RELOAD, "previous": "b2"}, "Nothing has changed"),
    "reload, preview": ("reload", {**RELOAD, "activated": False, "preview": True}, "This is what a reload would do"),
    "reload, refused": ("reload", {**RELOAD, "activated": False, "failed_golden": FAILED}, "The new knowledge was not put to use"),
    "reload, failed": ("reload", {**RELOAD, "activated": False, "failed_golden": FAILED}, "should be answered from currency; first comes no answer"),
    "reload, broken": ("reload", {"problem": "knowledge", "complaints": ["a.md:3: no title"]}, "a.md:3: no title"),
    "rollback": ("rollback", {"snapshot": "a1", "topics": 9, "passages": 10}, "The knowledge from before is in use again"),
    "rollback, none": ("rollback", {"problem": "no_earlier", "complaints": ["there is no earlier snapshot"]}, "Going back is not possible"),
    "search": ("search", SEARCH, "It would not be answered: 40% sure, and answers start at 89%."),
    "search, hit": ("search", SEARCH, "40% · Refund policy (refunds, in refunds.md)"),
    "search, sure": ("search", {**SEARCH, "confidence": 0.95}, "It would be answered: 95% sure"),
    "search, empty": ("search", {"problem": "no_question"}, "Write what to look for"),
    "status": ("status", STATUS, "Launch mode shadow: the bot decides and records"),
    "status, knowledge": ("status", STATUS, "built 2026-11-26 22:43 UTC"),
    "status, none": ("status", {**STATUS, "ready": False, "knowledge": None}, "Not ready"),
    "tickets": ("tickets", {"tickets": [TICKET]}, "Ana · waiting for the customer · nobody has it · due 2026-11-30 00:53 UTC"),
    "tickets, none": ("tickets", {"tickets": []}, "No ticket is waiting."),
    "gaps": ("gaps", {"gaps": [{"question": HOSTILE, "times": 3}], "total": 4}, "that knowledge does not cover: 4"),
    "gaps, none": ("gaps", {"gaps": [], "total": 0}, "knowledge covered every question"),
    "review": ("review", {"reviews": [{"topic": "refunds", "version": "v1", "vote": "wrong"}], "total": 1, "helpful": 5}, "refunds: It is wrong (version v1)"),
    "review, proposed": ("review", {"reviews": [], "total": 0, "helpful": 0, "proposals": [{"key": "P-7", "question": HOSTILE, "ticket": "T-7"}]}, "P-7: “"),
    "review, impact": ("review", {"topic": "refunds", "told": 2, "answers": [{"receipt": "A-1", "question": "q", "version": "v1"}]}, "Answers from a text of “refunds” that has changed since: 2"),
    "review, nobody": ("review", {"topic": "refunds", "told": 0, "answers": []}, "Nobody was told"),
    "review, correct": ("review", {"topic": "refunds", "corrected": 2, "version": "v2"}, "Corrected, each once: 2"),
    "review, gone": ("review", {"problem": "gone", "topic": "refunds", "told": 2}, "“refunds” is gone."),
    "report": ("report", WEEK, "2026-11-23 00:53 UTC to 2026-11-30 00:53 UTC"),
    "report, spread": ("report", WEEK, "First reply of a person: 10 minutes in the middle, 95 of 100 within 60 minutes"),
    "report, reasons": ("report", WEEK, "asks for a person: 2"),
    "report, drafts": ("report", {**WEEK, **KEPT}, "Drafts offered: 8; sent unchanged: 5 (71% of those decided on), edited: 1, discarded: 1"),
    "report, drafts by category": ("report", {**WEEK, **KEPT}, "billing: 5 of 7"),
    "report, captured": ("report", {**WEEK, **KEPT}, "Tickets resolved by now: 1 of 2; with an e-mail address or phone number of the customer: 1"),
    "report, subjects": ("report", {**WEEK, **KEPT}, "billing › refund: 2"),
    "report, platforms": ("report", {**WEEK, **KEPT}, "slack: 3"),
    "report, nothing": ("report", WEEK, "Solved by a person: nothing to measure yet"),
    "why": ("why", {"decisions": [{"at": AT, "event": "message", "decision": "escalate", "why": HOSTILE}]}, "2026-11-30 00:53 UTC · handed over to a person"),
    "why, ahead": ("why", {"decisions": [], "ahead": [{"timer": "pending_close", "at": AT}, {"timer": "sent/2", "at": AT}]}, "2026-11-30 00:53 UTC: it closes, because the customer has not answered"),
    "why, none": ("why", {"decisions": []}, "Nothing was decided here yet."),
    "why, answer": ("why", {"receipt": RECEIPT}, "93% sure; answers start at 90%"),
    "incident": ("incident", {"incident": "open", "text": HOSTILE}, "An incident is open."),
    "incident, none": ("incident", {"incident": "none", "text": ""}, "No incident is open."),
    "incident, closed": ("incident", {"incident": "closed", "text": "Fixed.", "told": 3}, "Conversations that were told: 3"),
    "mode": ("mode", {"mode": "draft", "configured": "answer"}, "The launch mode is draft"),
    "mode, differs": ("mode", {"mode": "draft", "configured": "answer"}, "config.toml says answer"),
    "mode, unknown": ("mode", {"problem": "no_mode", "given": HOSTILE}, "There is no mode"),
    "my-data": ("my-data", MINE, "conversations: 1, requests: 1"),
    "my-data, erased": ("my-data", {"conversations": 2, "tickets": 1, "journal": 9}, "Everything about you is erased"),
    "my-data, none": ("my-data", {"problem": "nothing_stored"}, "Nothing is stored about you."),
    "unknown": ("nonsense", {"a_key": 1}, "Something went wrong."),
}  # fmt: skip

TEXTS = load_texts()


def told(name: str, language: str = "en") -> str:
    chore, result, _ = CASES[name]
    texts = load_texts(language=language)
    content = word(Report(chore, ok="problem" not in result, result=result), language, texts)
    return "\n".join(line for block in content.body for line in block_lines(block))


@pytest.mark.parametrize("name", CASES)
def test_results_are_told_in_words(name: str) -> None:
    assert CASES[name][2] in told(name)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_no_key_number_of_seconds_or_markup_is_shown(name: str, language: str) -> None:
    chore, result, _ = CASES[name]
    said = told(name, language)
    assert str(int(AT)) not in said
    assert "None" not in said
    assert "told." not in said
    assert "trouble." not in said
    assert not [key for key in result if "_" in key and key in said]
    content = word(Report(chore, ok=True, result=result), language, TEXTS)
    assert "<!channel>" not in repr(slack_format.render(content)[0].text)
    assert all(part["allowed_mentions"]["parse"] == [] for part in discord_format.render(content))


def test_every_command_that_orders_work_has_words() -> None:
    on_tickets = {"claim", "release", "transfer", "reply", "resolve"}
    assert set(_WORDS) == set(COMMANDS) - on_tickets - {"ask", "help"}
    assert {chore for chore, _, _ in CASES.values()} >= set(_WORDS)
    assert all(f"told.title.{chore}" in catalogue("en") for chore in _WORDS)


def test_every_state_of_a_platform_has_words() -> None:
    """Those that `Sink.state` names, and the one before the first."""
    states = ("starting", "connecting", "connected", "reconnecting", "down", "fatal", "stopped")
    assert {f"told.connection.{state}" for state in states} <= set(catalogue("en"))


def test_the_bots_words_are_not_told_as_the_customers() -> None:
    assert "hidden" not in told("my-data")


def test_the_desk_reads_results_in_its_own_language_and_customers_theirs() -> None:
    german_case, english_desk = "de", load_texts(language="en")
    status = word(Report("status", ok=True, result=STATUS), german_case, english_desk)
    mine = word(Report("my-data", ok=True, result=MINE), german_case, english_desk)
    assert "Ready" in repr(status)
    assert "Über Sie gespeichert" in repr(mine)


def test_a_channel_is_named_by_the_platform_that_knows_it_and_calls_nobody() -> None:
    def shown(channel: str) -> Content:
        return Content((Block("para", ((_where(channel, "en", TEXTS),),)),))

    discord = discord_format.render(shown("123456"))[0]
    assert "<#C0123>" in repr(slack_format.render(shown("C0123"))[0])
    assert "<#123456>" in repr(discord)
    assert discord["allowed_mentions"] == {"parse": [], "replied_user": False}
    assert "<#" not in repr(discord_format.render(shown("C0123"))[0])
    assert "<#" not in repr(slack_format.render(shown("123456"))[0])
    assert "".join(block_lines(shown("help").body[0])) == "#help"
    assert "".join(block_lines(shown("").body[0])) == "a direct message"
    assert _where("<!channel> help", "en", TEXTS).mention is None


def test_a_report_says_nothing_of_what_there_was_none_of() -> None:
    assert "raft" not in told("report")
    assert "platform" not in told("report")
