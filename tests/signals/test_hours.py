"""Business hours: every calendar trap that a deadline has fallen into."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from handoff.hours import Hours, read_span

WORK = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",))
HOUR = 3600.0
DAY = 24 * HOUR
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def local(epoch: float, zone: str = "Europe/Berlin") -> str:
    return f"{datetime.fromtimestamp(epoch, ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


def berlin(week=WORK, holidays=()) -> Hours:
    return Hours.of("Europe/Berlin", week, holidays)


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        ("2026-11-27 16:30", 1, "Mon 2026-11-30 09:30"),  # Friday 16:30 + 1 h
        ("2026-11-27 17:00", 1, "Mon 2026-11-30 10:00"),  # last working day, just closed
        ("2026-11-27 23:59", 0.5, "Mon 2026-11-30 09:30"),  # last working day, after hours
        ("2026-11-28 12:00", 8, "Mon 2026-11-30 17:00"),  # a whole day ends at closing time
        ("2026-11-26 08:00", 9, "Fri 2026-11-27 10:00"),  # before hours
        ("2028-02-28 16:00", 9, "Tue 2028-02-29 17:00"),  # a leap day is a working day
        ("2027-02-26 16:30", 1, "Mon 2027-03-01 09:30"),  # no leap day in 2027
        ("2026-12-31 16:00", 2, "Fri 2027-01-01 10:00"),  # into the next year
        ("2026-03-27 16:30", 1, "Mon 2026-03-30 09:30"),  # over the spring change of the clock
        ("2026-10-23 16:30", 1, "Mon 2026-10-26 09:30"),  # over the autumn change
    ],
)
def test_working_time_passes_only_while_somebody_is_there(start, hours, expected):
    assert local(berlin().add(at(start), hours * HOUR)) == expected


def test_two_intervals_a_day_leave_the_break_out():
    hours = berlin({"mon": ("09:00-12:00", "13:00-17:00"), "tue": ("09:00-12:00",)})
    assert local(hours.add(at("2026-11-30 11:30"), HOUR)) == "Mon 2026-11-30 13:30"
    assert not hours.is_open(at("2026-11-30 12:00"))
    assert hours.is_open(at("2026-11-30 13:00"))
    assert hours.between(at("2026-11-30 08:00"), at("2026-12-01 20:00")) == 10 * HOUR


def test_a_holiday_is_closed_from_midnight_to_midnight():
    hours = berlin(holidays=("2026-12-25",))
    assert local(hours.add(at("2026-12-24 16:30"), HOUR)) == "Mon 2026-12-28 09:30"
    assert not hours.is_open(at("2026-12-25 12:00"))


def test_days_of_23_and_25_hours_are_what_they_are():
    always_open = berlin(dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("00:00-24:00",)))
    assert always_open.between(at("2026-03-29 00:00"), at("2026-03-30 00:00")) == 23 * HOUR
    assert always_open.between(at("2026-10-25 00:00"), at("2026-10-26 00:00")) == 25 * HOUR


def test_a_night_shift_over_the_changes_of_the_clock():
    night = berlin({"sat": ("22:00-06:00",)})
    assert night.between(at("2026-03-28 12:00"), at("2026-03-29 12:00")) == 7 * HOUR
    assert night.between(at("2026-10-24 12:00"), at("2026-10-25 12:00")) == 9 * HOUR
    assert local(night.add(at("2026-03-28 22:00"), 5 * HOUR)) == "Sun 2026-03-29 04:00"


def test_overlapping_spans_count_once():
    hours = berlin({"mon": ("09:00-12:00", "11:00-13:00", "13:00-14:00")})
    assert hours.between(at("2026-11-30 00:00"), at("2026-12-01 00:00")) == 5 * HOUR


def test_next_open():
    assert local(berlin().next_open(at("2026-11-27 18:00"))) == "Mon 2026-11-30 09:00"
    assert berlin().next_open(at("2026-11-27 10:00")) == at("2026-11-27 10:00")


def test_a_desk_without_hours_is_refused():
    with pytest.raises(ValueError, match="no hours at all"):
        berlin({"mon": ()})
    with pytest.raises(ValueError, match="no such day"):
        berlin({"monday": ("09:00-17:00",)})


@pytest.mark.parametrize("span", ["9-17", "09:00-25:00", "09:60-10:00", "24:00-24:00", "", "09:00–17:00"])
def test_a_span_that_cannot_be_read_is_refused(span):
    with pytest.raises(ValueError, match="no span of hours"):
        read_span(span)


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="negative"):
        berlin().add(0, -1)


def test_around_the_clock():
    hours = Hours.always()
    assert hours.add(5, 10) == 15
    assert hours.between(5, 15) == 10
    assert hours.between(15, 5) == 0
    assert hours.is_open(0)
    assert hours.next_open(7) == 7


def test_holidays_for_ever_are_refused_rather_than_searched_for_ever():
    never = Hours.of("UTC", {"mon": ("09:00-10:00",)}, [f"{y}-02-29" for y in (2028, 2032)])
    assert never.next_open(at("2028-02-27 00:00", "UTC")) == at("2028-02-28 09:00", "UTC")
    with pytest.raises(ValueError, match="ten years"):
        never.add(0, 10_000 * HOUR)


@pytest.mark.parametrize(
    ("when", "language", "expected"),
    [
        ("2026-11-26 16:30", "en", "today by 16:30"),
        ("2026-11-27 09:30", "en", "tomorrow by 09:30"),
        ("2026-11-30 09:30", "en", "Monday 09:30"),
        ("2026-12-03 09:30", "en", "3 December, 09:30"),
        ("2026-11-26 16:30", "de", "heute bis 16:30"),
        ("2026-11-30 09:30", "de", "Montag 09:30"),
        ("2026-12-24 09:30", "de", "24. Dezember, 09:30"),
        ("2026-11-30 09:30", "fr", "Monday 09:30"),
    ],
)
def test_times_are_said_as_people_say_them(when, language, expected):
    assert berlin().describe(at(when), language, now=at("2026-11-26 12:00")) == expected


def spans():
    pair = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda p: p[0] < p[1])
    return pair.map(lambda p: f"{p[0] // 60:02}:{p[0] % 60:02}-{p[1] // 60:02}:{p[1] % 60:02}")


@st.composite
def some_hours(draw):
    week = draw(
        st.dictionaries(
            st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
            st.lists(spans(), min_size=1, max_size=3),
            min_size=1,
        )
    )
    holidays = draw(st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=5))
    made = Hours.of(draw(st.sampled_from(ZONES)), week, holidays)
    assume(
        sum(end - start for day in made.week for start, end in day) >= 30
    )  # minutes a week: 20 hours in ten years
    return made


MOMENTS = st.integers(
    int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
).map(float)


@settings(max_examples=50)
@given(some_hours(), MOMENTS, st.integers(0, 60 * 60 * 20))
def test_adding_and_measuring_are_each_others_inverse(hours, start, seconds):
    end = hours.add(start, seconds)
    assert hours.between(start, end) == pytest.approx(seconds, abs=1e-3)
    assert end >= start


@settings(max_examples=50)
@given(some_hours(), MOMENTS, st.integers(0, 60 * 60 * 20), st.integers(0, 60 * 60 * 20))
def test_adding_in_two_steps_is_adding_at_once(hours, start, first, second):
    at_once, in_steps = hours.add(start, first + second), hours.add(hours.add(start, first), second)
    assert hours.between(min(at_once, in_steps), max(at_once, in_steps)) == pytest.approx(0, abs=1e-3)


@settings(max_examples=50)
@given(some_hours(), MOMENTS, MOMENTS, MOMENTS)
def test_open_time_adds_up(hours, a, b, c):
    a, b, c = sorted((a, b, c))
    assert hours.between(a, b) + hours.between(b, c) == pytest.approx(hours.between(a, c), abs=1e-3)
    assert 0 <= hours.between(a, c) <= c - a + 1e-3


@settings(max_examples=50)
@given(some_hours(), MOMENTS)
def test_the_next_opening_is_open_and_nothing_before_it_is(hours, moment):
    opens = hours.next_open(moment)
    assert hours.is_open(opens)
    assert hours.between(moment, opens) == 0
