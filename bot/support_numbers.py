"""Numbers in the support check: the same value, of the same unit, counting the same thing, with the same bound. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.support_text import Clause, Source, Token, same
from bot.support_words import AT_LEAST, AT_LEAST_AFTER, AT_MOST, AT_MOST_AFTER, JOINTS, RANGE, RATES, SIDES

REACH = 6  # words around a number that tell what it counts
GAP = 2  # tokens from one number of a range to the next: "3 to 5"

Place = tuple[Clause, int]  # a sentence and the position of a number in it


def number_problems(part: Clause, source: Source) -> Iterator[str]:
    """What is wrong with the numbers of a clause."""
    theirs = [(unit, at) for unit in source.units for at, t in enumerate(unit.tokens) if t.kind == "number"]
    for at, number in enumerate(part.tokens):
        if number.kind != "number":
            continue
        alike = [(unit, i) for unit, i in theirs if _equal(unit.tokens[i], number)]
        if not alike:
            yield f"{number.text} {number.unit}".strip()
        elif _belongs_elsewhere(part, at, alike, theirs):
            yield f"{number.text} belongs to something else"
        for tell in (_bound, _side):
            told = tell(part.tokens, at)
            if told and alike and all(tell(unit.tokens, i) not in ("", told) for unit, i in alike):
                yield f"{number.text} {told}"


def _equal(one: Token, other: Token) -> bool:
    return one.value == other.value and one.unit == other.unit


def _belongs_elsewhere(part: Clause, at: int, alike: Sequence[Place], theirs: Sequence[Place]) -> bool:
    """Whether what is said around our number stands in the passage around another one of its unit."""
    mine = _surroundings(part.tokens, at)
    rivals = [
        (unit, i)
        for unit, i in theirs
        if unit.tokens[i].unit == part.tokens[at].unit
        and (unit, i) not in alike
        and not any(unit is v and _in_range(unit.tokens, i, j) for v, j in alike)
    ]
    return any(all(_nearer(mine, rival, one) for one in alike) for rival in rivals)


def _in_range(tokens: Sequence[Token], one: int, other: int) -> bool:
    """Whether two numbers belong to one range or list: "3 to 5", "three, seven and fourteen"."""
    first, last = sorted((one, other))
    between = range(first, last, GAP)
    return (last - first) % GAP == 0 and all(
        tokens[at].kind == "number" and tokens[at + 1].text.lower() in RANGE for at in between
    )


def _surroundings(tokens: Sequence[Token], at: int) -> dict[str, tuple[float, bool]]:
    """The words around a number: how near (2: nothing else between, else 1), and whether it is a name."""
    found: dict[str, tuple[float, bool]] = {}
    weight = 2.0
    for back in range(at - 1, -1, -1):
        token = tokens[back]
        if token.text.lower() in JOINTS or (token.kind == "number" and not _in_range(tokens, back, at)):
            weight = 1.0
        elif token.kind == "word" and len(found) < REACH:
            found.setdefault(token.stem, (weight, token.name))
    ahead = 0
    for on in range(at + 1, len(tokens)):
        token = tokens[on]
        if token.text == ":" and on == at + 1:
            continue  # a label: "403: what it means"
        if token.text.lower() in JOINTS or (token.kind == "number" and not _in_range(tokens, on, at)):
            break
        if token.kind == "word" and ahead < REACH and tokens[on - 1].text.lower() not in RATES:
            found.setdefault(token.stem, (1.0, token.name))
            ahead += 1
    return found


def _nearer(mine: dict[str, tuple[float, bool]], rival: Place, one: Place) -> bool:
    """Whether the words around our number speak for `rival` more than for `one`.

    A word around both tells nothing, unless it is a name, which belongs to the number that it is nearer to.
    """
    theirs, its = _surroundings(rival[0].tokens, rival[1]), _surroundings(one[0].tokens, one[1])
    balance = 0.0
    for word, (weight, _) in mine.items():
        there = max((v for other, v in theirs.items() if same(word, other)), default=(0.0, False))
        here = max((v for other, v in its.items() if same(word, other)), default=(0.0, False))
        if not (there[0] and here[0]) or there[1]:
            balance += weight * (there[0] - here[0])
    return balance > 0


def _bound(tokens: Sequence[Token], at: int) -> str:
    """Whether a number is the most or the least. "Up to 7 days before" is at least 7 days before: neither."""
    before = " ".join(t.text.lower() for t in tokens[max(0, at - 3) : at])
    after = " ".join(t.text.lower() for t in tokens[at + 1 : at + 3])
    if _side(tokens, at):
        return ""
    if after.startswith(AT_MOST_AFTER) or before.endswith(AT_MOST):
        return "at most"
    if after.startswith(AT_LEAST_AFTER) or before.endswith(AT_LEAST):
        return "at least"
    return ""


def _side(tokens: Sequence[Token], at: int) -> str:
    """Whether a stretch of time lies before or after something."""
    following = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ""
    return following if following in SIDES else ""
