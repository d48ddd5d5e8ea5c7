"""Why something fired or is urgent, in the language of the desk. Pure.

Triggers and the meaning of texts tell their reasons in one plain form each; here they are read again, so that a German
desk does not read English. A form that is not known is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Phrase = Callable[..., str]  # `Policy.phrase`
Because = tuple[str, str]  # the kind of a reason, and what it found

_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"says “(?P<words>.*)”", re.DOTALL), "says"),
    (re.compile(r"says the words of “(?P<words>.*)”", re.DOTALL), "boundary"),
    (re.compile(r"close to the example “(?P<words>.*)” \((?P<score>[\d.]+)\)", re.DOTALL), "example"),
    (re.compile(r"close to “(?P<words>.*)” \((?P<score>[\d.]+)\)", re.DOTALL), "near"),
    (re.compile(r"holds a secret: (?P<words>.*)", re.DOTALL), "secret"),
)


def trigger(why: str, phrase: Phrase) -> str:
    """What a trigger found, as `Fired.why` tells it."""
    for form, key in _FORMS:
        if found := form.fullmatch(why):
            return phrase(f"reason.{key}", **found.groupdict())
    return why


def priority(because: Sequence[Because], phrase: Phrase) -> str:
    """Why a priority is what it is; nothing where it is the usual one."""
    return "; ".join(_one(kind, found, phrase) for kind, found in because)


def _one(kind: str, found: str, phrase: Phrase) -> str:
    match kind:
        case "trigger":
            name, _, why = found.partition("\n")
            title = phrase(f"trigger.{name}")
            return f"{title}: {trigger(why, phrase)}" if why else title
        case "sounds":
            return phrase("reason.sounds", sentiment=phrase(f"sentiment.{found}"))
        case _:
            return phrase(f"reason.{kind}", words=found)
