"""The evidence for a result in words that a support lead understands."""

from __future__ import annotations

from collections.abc import Sequence

from knowledge.confidence import Calibration
from knowledge.passage import Hit

CLOSE, SIMILAR = 0.75, 0.55  # cosines, as this kind of model gives them
ALMOST = 0.99
FAR, NEAR = 0.3, 0.1  # of score between two topics


def explain(
    hits: Sequence[Hit], calibration: Calibration, *, repaired: str, together: bool
) -> tuple[str, ...]:
    """What spoke for the first result, what came second, and where the line is."""
    said = []
    if repaired:
        said.append(f"Read as “{repaired}”: a word was misspelt.")
    if together:
        said.append("Read together with the question before it.")
    if not hits:
        return (*said, "Nothing in the knowledge is open to this person here.")
    top = hits[0]
    said.append(f"Closest: “{top.title}”, {_percent(top.confidence)} likely to be right.")
    said.append(_meaning(top.evidence["meaning"]))
    said.append(
        f"{_percent(top.evidence['covered'])} of what the question's telling words weigh stands in it."
    )
    if top.evidence["head"] > 0:
        said.append(f"Its questions, title and text make it {_head(top.evidence['head'])}.")
    rival = next((hit for hit in hits[1:] if hit.topic != top.topic), None)
    if rival:
        gap = top.score - rival.score
        said.append(
            f"Next: “{rival.title}”, {'far' if gap > FAR else 'somewhat' if gap > NEAR else 'hardly'} behind."
        )
    said.append(
        f"Answers start at {_percent(calibration.threshold_answer)}, so that at most "
        f"{_percent(calibration.max_wrong)} of them are wrong; asking back starts where the three best topics have "
        f"{_percent(calibration.threshold_clarify)} together."
    )
    return tuple(said)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share <= ALMOST else "over 99%"  # nothing is certain


def _meaning(cosine: float) -> str:
    if cosine >= CLOSE:
        return "It means nearly the same."
    return "It means something similar." if cosine >= SIMILAR else "It is only loosely related in meaning."


def _head(share: float) -> str:
    return "very likely" if share > 0.95 else "likely" if share > 0.8 else "possible"  # noqa: PLR2004
