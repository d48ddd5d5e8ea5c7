"""Greetings, thanks and farewells: what they are, and what is left of a message without them. Pure and quick."""

from __future__ import annotations

import re
from typing import Literal

GIST_CHARACTERS = 4000  # of a longer text only so much is looked at
SMALL_TALK_CHARACTERS = 60
_MARKS = re.compile(r"[^\w\s']")
HELLO = frozenset((
    "hi", "hello", "hey", "hi there", "hello there", "good morning", "good afternoon", "good evening", "moin",
    "hallo", "guten tag", "guten morgen", "servus",
))  # fmt: skip
THANKS = frozenset((
    "thanks", "thank you", "thx", "ty", "thanks a lot", "thank you so much", "thank you very much", "many thanks",
    "great thanks", "perfect thanks", "ok thanks", "cheers", "that worked", "it works", "it works now", "solved",
    "that helped", "danke", "vielen dank", "danke schön", "dankeschön", "super danke", "ok danke", "hat geklappt",
))  # fmt: skip
# Who somebody is talking to deserves an honest answer, whatever knowledge covers.
ABOUT = frozenset((
    "who are you", "what are you", "are you a bot", "are you a robot", "are you an ai", "are you human", "are you a human",
    "are you a person", "are you a real person", "are you real", "is this a bot", "am i talking to a bot",
    "am i talking to a human", "am i talking to a person", "am i talking to a real person", "what can you do",
    "what do you do", "help", "help me", "can you help", "can you help me", "can somebody help me",
    "wer bist du", "was bist du", "bist du ein bot", "bist du ein mensch", "bist du ein roboter", "bist du eine ki",
    "wer sind sie", "sind sie ein bot", "sind sie ein mensch", "ist das ein bot", "was kannst du", "was können sie",
    "hilfe", "kannst du mir helfen", "können sie mir helfen", "kann mir jemand helfen",
))  # fmt: skip

_HELLO = (
    r"(?:hi+|hey+|hello+|hallo+|hiya|howdy|greetings|moin(?:\s+moin)?|servus|grüezi|gr(?:ü|ue)(?:ß|ss)\s+gott|"
    r"gr(?:ü|ue)(?:ß|ss)\s+(?:dich|euch)|good\s+(?:morning|afternoon|evening|day)|guten\s+(?:morgen|tag|abend))"
)
_ALL = (
    r"(?:there|all|team|everyone|everybody|folks|guys|friends|support(?:\s+team)?|again|zusammen|leute|ihr|"
    r"(?:an\s+)?alle|liebes\s+team|liebe\s+leute)"
)
_END = r"(?:\s*[:;]-?[)D])?(?:[\s,.!:;\n–—-]{0,9}[,.!:;\n–—)]|\s*$)"  # what ends a greeting: a mark, a line, the text
# A greeting without a mark is one where the next words begin a sentence of their own.
_GO_ON = (
    r"(?=\s+(?:i|i'm|i've|we|we're|my|our|how|what|where|when|why|who|which|can|could|do|does|is|are|will|would|"
    r"should|please|there|ich|wir|mein|meine|unser|unsere|wie|was|wo|wann|warum|wer|welche[rs]?|kann|könnt|könnte|"
    r"können|gibt|ist|sind|habt|haben|darf|bitte)\b)"
)
_MARK = r"(?=\s*[,.!?:;\n–—-]|\s*$)"
_PLEASANT = (
    r"(?:i\s+)?(?:really\s+)?hope\s+(?:you(?:'re|\s+are)|everyone\s+is|all\s+is|everything\s+is)\s+(?:all\s+)?"
    r"(?:doing\s+)?(?:well|fine|good|great|ok)(?:\s+(?:today|there))?" + _MARK,
    r"(?:i\s+)?hope\s+this\s+(?:message|mail|email)?\s*finds\s+you\s+\w+" + _MARK,
    r"(?:i\s+)?hope\s+you\s+(?:had|have|are\s+having)\s+a\s+(?:\w+\s+)?(?:day|weekend|week|evening|morning)"
    + _MARK,
    r"how\s+are\s+(?:you|things)(?:\s+(?:all|doing|today|guys))*\s*\?",
    r"(?:i'm\s+|i\s+am\s+|so\s+)?sorry\s+(?:to\s+(?:bother|disturb)|for\s+(?:the\s+)?(?:bother|disturb\w*))(?:\s+you)?"
    r"(?:\s+(?:all|again|guys|with\s+this))?(?:,?\s+but\b|" + _MARK + r")",
    r"(?:i\s+(?:have|had|'ve\s+got)\s+|just\s+)?(?:a\s+)?(?:quick|short|small)\s+question" + _MARK,
    r"i\s+have\s+a\s+question" + _MARK,
    (
        r"thanks?(?:\s+you)?(?:\s+so\s+much|\s+very\s+much|\s+a\s+lot)?(?:\s+for\s+(?:your|the|all)\s+(?:great\s+|quick\s+)?"
        r"(?:help|time|support|work|reply))?(?:\s+in\s+advance)?(?=\s*[.!\n]|\s*$)"
    ),
    r"ich\s+hoffe,?\s+(?:es\s+geht|euch\s+geht|dir\s+geht|ihnen\s+geht|ihr\s+hattet|ihr\s+seid)\s+[^.!?,\n]{0,40}"
    + _MARK,
    r"wie\s+geht(?:'s|\s+es)?(?:\s+(?:euch|dir|ihnen|so|heute))*\s*\?",
    r"(?:entschuldig\w*|sorry|verzeih\w*)[^.!?,\n]{0,30}\s(?:stör|stoer)\w*(?:,?\s+aber\b|" + _MARK + r")",
    r"(?:ich\s+(?:habe|hab|hätte)\s+)?(?:da\s+)?(?:mal\s+)?(?:nur\s+)?(?:(?:eine|ne)\s+)?kurze\s+frage"
    + _MARK,
    r"ich\s+(?:habe|hab|hätte)\s+(?:da\s+)?(?:mal\s+)?eine\s+frage" + _MARK,
)
_OPENING = re.compile(
    rf"\s*(?:{_HELLO}(?:\s+{_ALL})?(?:\s+@?[^\W\d_][\w.-]{{1,30}})?{_END}|{_HELLO}(?:\s+{_ALL})?{_GO_ON}|"
    rf"(?:dear|liebe[rs]?|sehr\s+geehrte[nrs]?)(?:\s+[^\s,.!?]{{1,30}}){{1,4}}\s*[,!\n]|(?:{'|'.join(_PLEASANT)})[\s,.!?:;–—-]{{0,9}})\s*",
    re.IGNORECASE,
)
_THANKS = (
    r"(?:(?:many\s+|ok\s+)?thanks|thank\s+you|thx|ty|tia|cheers|danke(?:\s*sch(?:ö|oe)n|\s+(?:sehr|vielmals))?|"
    r"(?:vielen|herzlichen|besten|lieben)\s+dank|merci)(?:\s+(?:dir|euch|ihnen)(?:\s+allen)?)?"
    r"(?:\s+(?:so\s+much|very\s+much|a\s+lot|again|all|(?:schon\s+(?:mal\s+)?)?im\s+voraus|in\s+advance|"
    r"for\s+(?:your|the)\s+(?:(?:quick|fast|great|kind)\s+)?\w{1,20}|"
    r"für\s+(?:eure|ihre|die|deine)\s+(?:(?:schnelle|tolle|gute|nette)\s+)?\w{1,20}))?"
)
_WARM = (
    r"(?:(?:best|kind|warm|many)\s+(?:regards|wishes)|(?:viele|liebe|beste|sch(?:ö|oe)ne|herzliche)\s+gr(?:ü|ue)(?:ß|ss)e|"
    r"mit\s+freundlichen\s+gr(?:ü|ue)(?:ß|ss)en)"
)
_WISHES = rf"(?:{_WARM}|regards|best|sincerely|yours|lg|vg|mfg|gr(?:ü|ue)(?:ß|ss)e)"
_FAREWELL = re.compile(
    rf"(?<!\bno)(?<!\bnein)(?:(?:^|[\s,.!?;:–—-]{{1,9}})(?<![\w']){_THANKS}[\s,.!:)🙏🙂-]{{0,9}}|(?:(?:^|[,.!?\n]\s{{0,9}}){_WISHES}|\s(?:and|und)\s{{1,9}}{_WARM})"
    r"(?:\s{0,9}[,.!\n]\s{0,9}[\w.-]{1,30}(?:\s[\w.-]{1,30})?)?[\s,.!]{0,9})$",
    re.IGNORECASE,
)
# "ok thank you, that helps": a short message all of whose phrases say so, and one of them more than "ok".
_CONTENT = re.compile(
    rf"(?:(?P<content>{_THANKS}|(?:yes |yep |ja )?(?:that|this|it)(?: has| really| finally)*"
    r" (?:helps|helped|works|worked|did it|solved it|fixed it)(?: now| again| perfectly| for me| me| a lot)*|"
    r"(?:(?:that|it|this) (?:was|is) |that's |very |really |so )*(?:helpful|perfect)|works(?: now| again)?|"
    r"(?:no )?that(?:'s| is| was) (?:all|it)|(?:(?:it's|it is|everything is|everything's|everything|is) )?(?:all )?"
    r"(?:good|fixed|sorted|working|resolved)(?: now| again)|all good|(?:problem )?solved|got it|awesome|you saved me|"
    r"you(?:'re| are) (?:great|the best)|(?:das|es|hat|jetzt|nun|ja|mir|wieder|sehr|war) (?:(?:das|es|hat|jetzt|mir|wieder|"
    r"sehr|schon) )*(?:hilft|geholfen|geklappt|geht|klappt|funktioniert|hilfreich|gelöst)(?: (?:jetzt|mir|wieder|sehr|es|"
    r"weiter))*|(?:nein )?das war(?:'s| es| alles)|perfekt|erledigt|gelöst)|"
    r"ok|okay|oh|ah|aha|i see|great|cool|nice|super|good|alright|right|gut|prima|toll|klasse|alles klar|verstanden|passt|"
    r"and|und|so|then|dann)(?: |$)"
)
# One of these is in every farewell; most messages have none, and looking for them is much quicker.
_TELLTALE = (
    "than",
    "thx",
    "dank",
    "ty",
    "tia",
    "cheers",
    "merci",
    "regard",
    "wish",
    "best",
    "gr",
    "sincer",
    "yours",
    "lg",
    "vg",
    "mfg",
)
FAREWELL_CHARACTERS = 160  # a farewell stands in the last words
POLITE_CHARACTERS = 200  # longer ones say something
POLITE_AT_MOST = 4  # greetings and closings of one message


def small_talk(text: str) -> str:
    """`hello`, `thanks`, or `about` (who are you?) where a message is nothing but that, else ""."""
    said = plain(text)
    if said in ABOUT:
        return "about"
    if said in HELLO:
        return "hello"
    return "thanks" if said in THANKS or (said and "?" not in text and _content(said)) else politeness(text)


def _content(said: str) -> bool:
    """Whether every phrase says that it is good so. Each is taken once, so that it costs no more than reading it."""
    at, content_said = 0, False
    while at < len(said):
        phrase = _CONTENT.match(said, at)
        if phrase is None:
            return False
        content_said = content_said or phrase["content"] is not None
        at = phrase.end()
    return content_said


def plain(text: str) -> str:
    """A short message without its punctuation, for comparing with set phrases; a longer one is none of them."""
    if len(text) > SMALL_TALK_CHARACTERS:
        return ""
    return " ".join(_MARKS.sub(" ", text.lower()).split())


def gist(text: str) -> str:
    """The words without greeting and farewell; the text itself where it is nothing else."""
    return content(text) or text.strip()


def politeness(text: str) -> Literal["", "hello", "thanks"]:
    """What a message is that says nothing else: a greeting, or thanks and farewell."""
    if len(text) > POLITE_CHARACTERS:
        return ""
    greeting = _OPENING.match(text) is not None
    if not greeting and not _tells(text):
        return ""
    if not any(c.isalnum() for c in text) or content(text):
        return ""
    return (
        "hello"
        if greeting and not any(word in text.lower() for word in ("than", "thx", "dank"))
        else "thanks"
    )


def _tells(text: str) -> bool:
    """Whether there can be a farewell in it; quick: it is asked of every message, several times."""
    lowered = text.lower()
    for word in _TELLTALE:  # a generator costs more than all of these looks  # noqa: SIM110
        if word in lowered:
            return True
    return False


def content(text: str) -> str:
    """What is left without politeness; nothing for a mere "Hello!"."""
    whole = text.strip()
    left = whole[:GIST_CHARACTERS]
    for _ in range(POLITE_AT_MOST):
        opening = _OPENING.match(left)
        shorter = left[opening.end() :].rstrip() if opening else left
        body, end = shorter[:-FAREWELL_CHARACTERS], shorter[-FAREWELL_CHARACTERS:]
        if _tells(end):
            shorter = (body + _FAREWELL.sub(_closing, end, count=1)).strip()
        if shorter == left:
            break
        left = shorter
    if not any(c.isalnum() for c in left):
        return ""
    left += whole[GIST_CHARACTERS:]
    return left if whole.startswith(left[:20]) else left[:1].upper() + left[1:]


def _closing(found: re.Match[str]) -> str:
    """The mark that ended the sentence before a farewell belongs to that sentence."""
    mark = found.group().lstrip()[:1]
    return mark if mark in ".!?" else ""
