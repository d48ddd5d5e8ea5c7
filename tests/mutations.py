"""What a test takes away from the product to show that the simulation would notice: one safeguard at a time."""

from __future__ import annotations

from tests.simulation import Options


def _without_repeats_known(statement: str) -> str:
    return statement.replace("SELECT 1 FROM seen WHERE key IN", "SELECT 1 WHERE 0 AND 'x' IN")


def _without_version(statement: str) -> str:
    return statement.replace("WHERE id = ? AND version = ?", "WHERE id = ? AND ? IS NOT NULL")


def _without_epoch(statement: str) -> str:
    return statement.replace("state = 'superseded', error = 'a person stepped in'", "error = 'nobody looks'")


def _with_timers_that_come_again(statement: str) -> str:
    again = "UPDATE timers SET at = at + 86400 WHERE case_id = ? AND timer = ?"
    return statement.replace("DELETE FROM timers WHERE case_id = ? AND timer = ?", again)


MUTATIONS = {
    "the transaction": Options(transactions=False, power_cuts=0.5),
    "the fence": Options(rewrite=_without_epoch),
    "waiting for what is just leaving": Options(fenced=False),
    "the version check": Options(customers=1, workers=2, rewrite=_without_version),
    "recognising repeats": Options(rewrite=_without_repeats_known),
    "recording before acknowledging": Options(careless=True),
    "looking before sending again": Options(blind_resend=True),
    "forgetting a timer that has fired": Options(rewrite=_with_timers_that_come_again),
}
