"""A fast copy is still a right copy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.evolve import evolve
from tests.handoff.scene import Scene


def test_a_changed_copy_equals_what_the_standard_library_makes() -> None:
    case = Scene().claimed().case
    assert evolve(case, epoch=7, language="de") == replace(case, epoch=7, language="de")
    assert case.ticket is not None
    assert evolve(case.ticket, revision=9) == replace(case.ticket, revision=9)
    assert evolve(case) == case
    assert evolve(case) is not case


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="has no epok"):
        evolve(Scene().case, epok=1)
