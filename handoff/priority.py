"""How much it hurts: P0 to P3, with the reason. Pure.

Words count in context only: "the site is down for everyone" is P0, "scroll down" is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import cast

from handoff import phrases, triggers
from handoff.model import Fired, Priority, Reason

GROUP = 3  # digits between separators of thousands
MANY, SOME = 100, 10  # affected people that make a problem P0 and P1

_WORDS: dict[str, list[str]] = {
    "P1": [
        "production/prod/live .. broken/failing/stuck/blocked/error/errors", "completely/totally blocked/stuck/unusable/stopped", "can't/cannot/unable .. work/continue/invoice/ship/sell/operate [at] [all]",
        "can't/cannot/unable [to] log/login/sign [in/into]", "locked out", "blocks/blocking/blocked us/our/me/work/release/launch/business", "no workaround", "losing/lose/lost/costing/costs .. money/revenue/sales/customers/orders",
        "revenue impact/loss", "payments/checkout/orders/invoices .. fail/failing/failed/broken/stopped/stuck", "unusable", "many/several/multiple/most/all users/customers/people/members/colleagues .. affected/can't/cannot/report/reporting/complain/see/get",
        "kann/konnen .. nicht [mehr] arbeiten/einloggen/anmelden", "komplett/vollig blockiert/unbrauchbar", "ausgesperrt",
    ],
    "P3": [
        "would be nice/great/cool/helpful/useful/awesome/lovely/good", "feature request/suggestion/idea/wish", "suggestion/suggest/suggesting", "i/we [have] [an/a] idea/suggestion/wish", "wish there/you/it/i", "please/could/can you add/consider/support", "any/are plans/plan/planning/planned to/for/on", "do you plan", "on the roadmap", "would/i'd love to/if/it/a", "nice to have", "small/minor/tiny/cosmetic/little issue/thing/typo/nit/detail/suggestion", "typo/typos", "no hurry/rush", "not urgent", "when you have time", "just curious/wondering", "low priority",
        "ware schon/toll/super/cool/klasse/hilfreich/nett", "vorschlag/verbesserungsvorschlag/wunsch/featurewunsch/idee", "tippfehler/schreibfehler", "nicht dringend/eilig", "keine eile", "konntet/konnten ihr/sie .. einbauen/hinzufugen",
    ],
    "people": ["# [of/more/other] [our/the/my/your/active/paying/different/plus/over] users/people/customers/members/employees/agents/colleagues/seats/students/clients/nutzer/kunden/mitarbeiter/personen/leute/kollegen/benutzer/subscribers/patients/teams/accounts"],
    "trouble": ["affected/affects/affecting/impacted/impacts/impacting/can't/cannot/unable/broken/down/fails/failing/failed/error/errors/stuck/blocked/crashes/crashing/locked/lost/losing/betroffen/kaputt/fehler/ausgesperrt", "not/doesn't/isn't/don't/aren't work/working/load/loading/able/responding", "stopped working", "konnen/kann/geht/funktioniert/kommen .. nicht", "complain/complaining/reporting"],
}  # fmt: skip


@lru_cache(maxsize=1)
def _book() -> phrases.Phrasebook:
    return phrases.compiled(_WORDS.items())


def assess(
    text: str,
    category_priority: str | None = "",
    fired: Sequence[Fired] = (),
    tier_floor: str | None = "",
    sentiment: str = "neutral",
) -> tuple[Priority, tuple[Reason, ...]]:
    """The priority of a request and why; `handoff.reasons` puts the why into words. P2 needs no reason.

    What the words and the triggers say counts first; the category's priority, else P2, where they say nothing. The
    customer's tier lifts it to at least its floor; a negative or urgent tone lifts it one step, though never to P0:
    nobody is woken by a mood.
    """
    found = list(_said(text)) + [rated for f in fired if (rated := _of_trigger(f))]
    raised = sorted(
        ((p, why) for p, why in found if p < "P2"),
        key=lambda rated: (rated[0], rated[1].kind, rated[1].words),
    )
    usual: Priority = cast("Priority", category_priority or "P2")
    idea = next(((p, why) for p, why in found if p == "P3"), None)
    because: list[Reason] = []
    if raised and raised[0][0] < usual:
        level, because = raised[0][0], [raised[0][1]]
    elif idea and not raised and usual == "P2":
        level, because = idea[0], [idea[1]]
    else:
        level, because = usual, [Reason("category")] if category_priority else []
    if sentiment in ("negative", "urgent") and level in ("P2", "P3"):
        level = _step_up(level)
        because.append(Reason("sounds", sentiment))
    if tier_floor and tier_floor < level:
        level = cast("Priority", tier_floor)
        because.append(Reason("tier", tier_floor))
    return level, tuple(because)


def _step_up(level: Priority) -> Priority:
    return "P1" if level == "P2" else "P2"


def _of_trigger(fired: Fired) -> tuple[Priority, Reason] | None:
    trigger = triggers.by_name().get(fired.trigger)
    if trigger is None or trigger.priority is None:
        return None
    return trigger.priority, Reason("trigger", trigger.name, of=fired.reason)


def _said(text: str) -> list[tuple[Priority, Reason]]:
    """What the words alone say."""
    book = _book()
    words = book.read(phrases.outside_quotes(text[: triggers.CHARACTERS_AT_MOST]))
    every = book.matches(words, idioms=False)
    found: list[tuple[Priority, Reason]] = [
        (cast("Priority", match.name), Reason("says", match.shown))
        for match in every
        if match.name in ("P1", "P3") and not phrases.negated(words, match)
    ]
    found += _affected(words, every)
    if outage := triggers.says(text, "outage"):
        found.append(("P0", Reason("trigger", "outage", of=outage.reason)))
    return found


def _affected(words: Sequence[phrases.Word], every: Sequence[phrases.Match]) -> list[tuple[Priority, Reason]]:
    """A number of people in a sentence that tells of trouble: "affects 300 users"."""
    troubled = {
        words[m.first].sentence for m in every if m.name == "trouble" and not phrases.negated(words, m)
    }
    found: list[tuple[Priority, Reason]] = []
    for match in every:
        if match.name != "people" or words[match.first].sentence not in troubled:
            continue
        count = _number(words, match.first)
        if count >= SOME:
            found.append(("P0" if count >= MANY else "P1", Reason("people", str(count))))
    return found


def _number(words: Sequence[phrases.Word], at: int) -> int:
    """The whole number at a place: "1,200" and "1.200" arrive as two words; "2k" is two thousand."""
    text = words[at].text
    if text.endswith("k") and text[:-1].isdecimal():
        return min(int(text[:-1][:6]) * 1000, 10**9)
    digits = text if text.isdecimal() else ""
    for index, before in pairwise(range(at, max(at - GROUP, -1), -1)):
        head = words[before].text
        joined = len(words[index].text) == GROUP and head.isdecimal() and len(head) <= GROUP
        if not joined or words[before].sentence != words[at].sentence:
            break
        digits = words[before].text + digits
    return int(digits[:9] or 0)
