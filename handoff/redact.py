"""Secrets and card numbers leave a text before it is first written anywhere. Pure; time grows with the length.

What is removed leaves a placeholder that says its kind: "[card number removed]". Order numbers, versions, phone
numbers, ticket numbers and plain addresses stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import iban, luhn

from handoff.phrases import word_set

PASSES = 8  # a removal may uncover another secret; each pass removes at least one, and texts need one or two

_PLACEHOLDER = re.compile(
    r"\[(private key|token|api key|password|card number|account number|identity number|recovery phrase|"
    r"security code) removed\]"
)


@dataclass(frozen=True, slots=True)
class Redacted:
    """The text without its secrets, and which kinds there were, each once, in order."""

    text: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret: where it may stand, and the check that tells it from a number that looks alike.

    The group "secret", where there is one, is what goes; else all of it.
    """

    kind: str
    pattern: re.Pattern[str]
    is_secret: Callable[[re.Match[str]], bool] = lambda _: True


def redact(text: str) -> Redacted:
    """`text` without secrets. `redact(redact(t).text)` changes nothing more."""
    kinds: dict[str, None] = {}
    for _ in range(PASSES):
        before = text
        for rule in RULES:
            text = rule.pattern.sub(lambda match, rule=rule: _removed(match, rule, kinds), text)  # type: ignore[misc]
        if text == before:
            break
    return Redacted(text, tuple(kinds))


def removed(text: str) -> tuple[str, ...]:
    """The kinds whose placeholders stand in a text that was redacted earlier."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def _removed(match: re.Match[str], rule: Rule, kinds: dict[str, None]) -> str:
    named = "secret" in match.re.groupindex
    start, end = match.span("secret") if named else match.span()
    secret = match.string[start:end]
    if "removed]" in secret or not rule.is_secret(match):
        return match[0]
    kinds[rule.kind] = None
    return f"{match.string[match.start() : start]}[{rule.kind} removed]{match.string[end : match.end()]}"


# --- checks that a pattern cannot make --------------------------------------------------------------------------

_CARD_BEGINS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)|3[47]|6(?:011|5|4[4-9])|3(?:0[0-5]|[68])|35|62|50|5[6-8]|6[37]"
)
_CARD_LENGTHS = {"4": {16, 19}, "34": {15}, "37": {15}, "36": {14}, "30": {14}, "38": {14}}
_NUMBERED_THING = re.compile(
    r"(?:order|ticket|invoice|tracking|shipment|parcel|reference|ref|case|booking|customer|serial|imei|phone|tel|"
    r"bestell\w*|rechnung\w*|auftrag\w*|sendung\w*|kunden\w*|vorgang\w*)(?:s|\s?(?:id|no|nr|number|nummer))?\.?[\s:#]*"
    r"(?:is|ist)?\s?$",
    re.IGNORECASE,
)


def _is_card(match: re.Match[str]) -> bool:
    """A card scheme's first digits and length, and the check digit; not an order number written in one piece."""
    digits = "".join(str(int(c)) for c in match["secret"] if c.isdigit())
    lengths = _CARD_LENGTHS.get(digits[:1]) or _CARD_LENGTHS.get(digits[:2]) or {16, 17, 18, 19}
    if len(digits) not in lengths or not _CARD_BEGINS.match(digits) or not luhn.is_valid(digits):
        return False
    before = match.string[max(0, match.start("secret") - 40) : match.start("secret")]
    return not (match["secret"].isdigit() and _NUMBERED_THING.search(before))


def _is_iban(match: re.Match[str]) -> bool:
    return bool(iban.is_valid(match["secret"], check_country=False))


def _is_social_security(match: re.Match[str]) -> bool:
    """The areas, groups and serials that were never given out are something else."""
    area, group, serial = (match[part] for part in ("area", "group", "serial"))
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


_NO_PASSWORDS = word_set(
    "wrong incorrect not invalid expired forgotten lost reset required missing changed the a an is was "
    "does doesn't don't to for my your it and or but how what why too weak strong empty blank hidden "
    "removed unknown case please correct right valid working rejected accepted stored saved protected "
    "needed optional short long same different still always never also never: here there wrong. falsch "
    "vergessen abgelaufen nicht richtig immer noch ungueltig ungültig geändert none null true false "
    "change field policy manager length i we you help"
)


def _is_password(match: re.Match[str]) -> bool:
    """After a colon or "is" stands either a password or a word of the sentence; passwords look odd or stand alone."""
    value = match["secret"].strip("\"'`.,;!?)")
    if len(value) < 4 or value.lower() in _NO_PASSWORDS:  # noqa: PLR2004 - "password: no"
        return False
    odd = any(c.isdigit() for c in value) or any(not c.isalnum() and c not in "-'’" for c in value)
    mixed = value != value.lower() and value != value.capitalize() and value != value.upper()
    rest = match.string[match.end() : match.end() + 80].split("\n", 1)[0].strip(" .,;!?)\"'`")
    alone = not rest or rest.lower().startswith(("and ", "und ", "please", "bitte", "thanks", "danke"))
    return odd or mixed or ((alone or match["sign"].endswith((":", "="))) and alone)


def _is_generic(match: re.Match[str]) -> bool:
    """Long enough, and with a digit: "token: expired" and "key=value" stay."""
    value = match["secret"]
    return any(c.isdigit() for c in value) or value != value.lower()


_SENTENCE_WORDS = word_set(
    "the and for are was were not but how does your our his her its been from has had did them these "
    "those than because which where who whom could would been being going into onto please hello thanks "
    "after before"
)
_PHRASE_LENGTHS = (12, 15, 18, 21, 24)


def _is_phrase(match: re.Match[str]) -> bool:
    """Twelve to twenty-four short words and no sentence among them."""
    words = re.findall(r"[a-z]+", match["secret"].lower())
    return len(words) in _PHRASE_LENGTHS and not _SENTENCE_WORDS.intersection(words)


# --- the rules, the most specific first ---------------------------------------------------------------------------

_GAP = r"[ \-\u00a0\u200b.]?"
_LABEL = r"(?:(?:is|ist|lautet|was|are)(?:\s?[:=])?|:|=|->|=>)"
_PHRASE_WORD = r"(?!(?:" + "|".join(sorted(_SENTENCE_WORDS)) + r")\b)[a-z]{3,8}\b"


def _rule(
    kind: str,
    pattern: str,
    is_secret: Callable[[re.Match[str]], bool] | None = None,
    flags: re.RegexFlag = re.NOFLAG,
) -> Rule:
    compiled = re.compile(pattern, flags)
    return Rule(kind, compiled, is_secret) if is_secret else Rule(kind, compiled)


RULES: tuple[Rule, ...] = (
    _rule(
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}(?:PRIVATE KEY|CERTIFICATE)(?: BLOCK)?-----[^-]{0,20000}(?:-----END [A-Z0-9 ]{0,60}-----)?",
    ),
    _rule("private key", r"PuTTY-User-Key-File-\d:[^\x00]{0,4000}?Private-MAC: ?[0-9a-f]{20,128}"),
    _rule(
        "token", r"\bxox[abeprso](?:\.xox[bp])?-[A-Za-z0-9-]{8,300}|\bxapp-\d-[A-Za-z0-9-]{8,300}"
    ),  # Slack
    _rule(
        "token",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_-]{10,200})",
    ),
    _rule(
        "token",
        r"https://(?:\w{1,10}\.)?discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/(?P<secret>\d{5,25}/[\w-]{20,100})",
    ),
    _rule(
        "token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[\w-]{15,100})"
    ),
    _rule("token", r"\beyJ[\w-]{5,4000}\.eyJ[\w-]{5,8000}\.[\w-]{0,2000}"),  # JSON web token
    _rule("token", r"(?<![\w-])[MNO][\w-]{22,28}\.[\w-]{6}\.[\w-]{25,45}(?![\w-])"),  # Discord bot
    _rule(
        "token",
        r"\b(?:npm_[A-Za-z0-9]{30,60}|pypi-[\w-]{40,400}|hf_[A-Za-z0-9]{20,60}|dop_v1_[0-9a-f]{40,80})",
    ),
    _rule("token", r"\b\d{8,10}:AA[\w-]{30,40}(?![\w-])"),  # Telegram bot
    _rule("api key", r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"),  # AWS
    _rule(
        "api key", r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,250}|\bwhsec_[A-Za-z0-9+/=]{16,200}"
    ),  # Stripe
    _rule("api key", r"\bAIza[\w-]{30,45}|\bGOCSPX-[\w-]{20,60}|\bya29\.[\w-]{20,400}"),  # Google
    _rule("api key", r"\bsk-(?:proj-|ant-|or-)?[\w-]{20,300}"),
    _rule(
        "api key",
        r"\bSG\.[\w-]{16,40}\.[\w-]{30,80}|\bkey-[0-9a-f]{32}\b|\bSK[0-9a-f]{32}\b|\bshp(?:at|ss|ca|pa)_[0-9a-f]{32}\b",
    ),
    _rule(
        "token",
        r"[?&;#](?:access_token|id_token|refresh_token|auth_token|token|api_?key|apikey|key|sig|signature|secret|client_secret|"
        r"password|pwd|passwd|auth|session|sessionid|code|x-amz-signature|x-amz-credential|x-amz-security-token|"
        r"x-goog-signature)=(?P<secret>[^\s&#<>|\"'\[\]]{4,4000})",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "password",
        r"\b[a-z][a-z0-9+.-]{1,15}://[^\s:/@\[\]]{0,100}:(?P<secret>[^\s/@\[\]]{1,200})@",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "token",
        r"\b(?:bearer|basic)\s{1,3}(?P<secret>[A-Za-z0-9\-._~+/]{16,4000}={0,2})",
        _is_generic,
        re.IGNORECASE,
    ),
    _rule(
        "api key",
        r"\b(?:[a-z0-9]{0,20}[_-]?(?:api[ _-]?key|access[ _-]?key|secret(?:[ _-]?(?:key|access[ _-]?key))?|auth[ _-]?token|"
        r"access[ _-]?token|client[ _-]?secret|token|private[ _-]?key|key))[\"']?\s{0,3}(?:"
        + _LABEL
        + r")\s{0,3}[\"'`]?"
        r"(?P<secret>[A-Za-z0-9_\-./+=]{16,500})",
        _is_generic,
        re.IGNORECASE,
    ),
    _rule(
        "password",
        r"\b(?:password|passwort|kennwort|passwd|passcode|passphrase|pwd|pass|pw)[\"']?\s{0,3}(?P<sign>"
        + _LABEL
        + r")\s{0,3}[\"'`]?"
        r"(?P<secret>[^\s\[\]\"'`]{4,200})",
        _is_password,
        re.IGNORECASE,
    ),
    _rule(
        "account number",
        r"\b(?P<secret>[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?)\b",
        _is_iban,
        re.IGNORECASE,
    ),
    _rule("card number", r"(?<![\w+.\-])(?P<secret>\d(?:" + _GAP + r"\d){13,18})(?![\w]|-\d|\.\d)", _is_card),
    _rule(
        "security code",
        r"\b(?:cvv2?|cvc2?|csc|security code|prüfziffer)\s{0,3}(?:"
        + _LABEL
        + r")?\s{0,3}(?P<secret>\d{3,4})\b",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "security code",
        r"\b(?:my |meine? )?pin(?: code| number|-nummer)?\s{0,3}(?:is|ist|lautet|:|=)\s{0,3}(?P<secret>\d{4,8})\b",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "identity number",
        r"(?<![\w-])(?P<area>\d{3})-(?P<group>\d{2})-(?P<serial>\d{4})(?![\w-])",
        _is_social_security,
    ),
    _rule(
        "identity number",
        r"\b(?:ssn|social security(?: number| no)?|sozialversicherungsnummer|passport(?: number| no)?|reisepassnummer|"
        r"ausweisnummer|national insurance(?: number)?|driver'?s? licen[cs]e(?: number)?)\.?\s{0,3}(?:"
        + _LABEL
        + r")?\s{0,3}"
        r"(?P<secret>[A-Z]{0,2}[ ]?\d[\dA-Z -]{4,14}[\dA-Z])\b",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "recovery phrase",
        r"\b(?:seed|recovery|mnemonic|backup|secret|wallet)[ -]?(?:phrase|words|seed)?\s{0,3}(?:"
        + _LABEL
        + r")\s{0,3}"
        r"(?P<secret>" + _PHRASE_WORD + r"(?:[ ,\n]{1,3}" + _PHRASE_WORD + r"){11,23})",
        None,
        re.IGNORECASE,
    ),
    _rule(
        "recovery phrase",
        r"^[ \t\"'`]*(?P<secret>[a-z]{3,8}(?:[ ]{1,3}[a-z]{3,8}){11,23})[ \t\"'`.]*$",
        _is_phrase,
        re.MULTILINE,
    ),
    _rule(
        "recovery phrase",
        r"(?<![\w.])(?P<secret>1[.)][ ]?[a-z]{3,8}(?:[ ,\n]{1,3}\d{1,2}[.)][ ]?[a-z]{3,8}){11,23})\b",
        _is_phrase,
        re.IGNORECASE,
    ),
)
