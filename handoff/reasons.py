"""Reasons in words: in the language of the desk, and plainly in English for receipts and the journal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handoff.model import Reason

Phrase = Callable[..., str]  # `Policy.phrase`

PLAIN = {
    "says": "says “{words}”",
    "boundary": "says the words of “{words}”",
    "example": "close to the example “{words}” ({like:.2f})",
    "near": "close to “{words}” ({like:.2f})",
    "secret": "holds a secret: {words}",
}


def plain(reason: Reason) -> str:
    """What a trigger found, in English; nothing where it says nothing."""
    return PLAIN[reason.kind].format(words=reason.words, like=reason.like) if reason.kind else ""


def worded(reason: Reason, phrase: Phrase) -> str:
    """One reason, for the desk."""
    match reason.kind:
        case "":
            return ""
        case "trigger":
            title = phrase(f"trigger.{reason.words}")
            found = worded(reason.of, phrase) if reason.of is not None else ""
            return f"{title}: {found}" if found else title
        case "sounds":
            return phrase("reason.sounds", sentiment=phrase(f"sentiment.{reason.words}"))
        case kind:
            return phrase(f"reason.{kind}", words=reason.words, score=f"{reason.like:.2f}")


def priority(reasons: Sequence[Reason], phrase: Phrase) -> str:
    """Why a priority is what it is; nothing where it is the usual one."""
    return "; ".join(worded(reason, phrase) for reason in reasons)
