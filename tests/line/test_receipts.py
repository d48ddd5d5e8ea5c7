"""What is shown of a decision when one message held several questions."""

from __future__ import annotations

from bot.receipts import surest
from handoff.model import Found, Hit, Known


def test_the_question_that_was_answered_is_shown_not_the_one_that_was_passed_on() -> None:
    answered = Found("s", "password?", (Hit("password", "Password", "text", 0.97),), 0.97, 0.8, 0.4)
    passed_on = Found("s", "world cup?", (), 0.01, 0.8, 0.4)

    assert surest(Known(found=(passed_on, answered))) is answered
    assert surest(Known()) is None
