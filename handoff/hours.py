"""Business hours: when the team is there, and when a span of working time is over. Pure: epochs in, epochs out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAYS_AHEAD = 3660  # an opening that is ten years off is none
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_MIDNIGHT = 24 * 60

_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"),
}  # fmt: skip
_NEAR = {
    "en": {
        0: "today by {clock}",
        1: "tomorrow by {clock}",
        2: "{weekday} {clock}",
        3: "{day} {month}, {clock}",
    },
    "de": {
        0: "heute bis {clock}",
        1: "morgen bis {clock}",
        2: "{weekday} {clock}",
        3: "{day}. {month}, {clock}",
    },
}


@dataclass(frozen=True)
class Hours:
    """When somebody is there. Days are the zone's own, so a day of 23 or 25 hours is what it is.

    `week` holds, from Monday on, each day's open minutes since midnight, sorted and apart from each other; `None`
    stands for around the clock.
    """

    zone: ZoneInfo
    week: tuple[tuple[tuple[int, int], ...], ...] | None
    holidays: frozenset[date] = frozenset()

    @classmethod
    def of(
        cls, timezone: str, week: Mapping[str, Sequence[str]], holidays: Iterable[str | date] = ()
    ) -> Hours:
        """Hours from the words of the configuration: `{"mon": ["09:00-12:00", "13:00-17:00"]}`, ISO dates.

        A span that ends before it begins runs past midnight. A holiday is closed from midnight to midnight.
        ValueError if a span cannot be read, or if nobody is ever there.
        """
        days: list[list[tuple[int, int]]] = [[] for _ in DAYS]
        if unknown := set(week) - set(DAYS):
            raise ValueError(f"no such day: {', '.join(sorted(unknown))}; days are {', '.join(DAYS)}")
        for name, spans in week.items():
            at = DAYS.index(name)
            for span in spans:
                start, end = read_span(span)
                if end > start:
                    days[at].append((start, end))
                    continue
                days[at].append((start, _MIDNIGHT))
                if end:
                    days[(at + 1) % 7].append((0, end))
        if not any(days):
            raise ValueError("no hours at all: nobody would ever answer; give at least one day its hours")
        closed = frozenset(d if isinstance(d, date) else date.fromisoformat(d) for d in holidays)
        return cls(ZoneInfo(timezone), tuple(tuple(_apart(day)) for day in days), closed)

    @classmethod
    def always(cls, timezone: str = "UTC") -> Hours:
        """Around the clock; the zone only words the times."""
        return cls(ZoneInfo(timezone), None)

    def is_open(self, epoch: float) -> bool:
        """Somebody is there at this second. Closing time itself is closed."""
        return self.week is None or any(start <= epoch < end for start, end in self._from(epoch, days=1))

    def next_open(self, epoch: float) -> float:
        """`epoch` itself if open, else when it opens next."""
        if self.week is None:
            return epoch
        for start, end in self._from(epoch):
            if end > epoch:
                return max(start, epoch)
        raise ValueError("nobody is there within ten years")

    def add(self, start_epoch: float, seconds: float) -> float:
        """When `seconds` of open time have passed since `start_epoch`: Friday 16:30 + 1 h is Monday 09:30."""
        if seconds < 0:
            raise ValueError("time runs forwards: seconds must not be negative")
        if self.week is None:
            return start_epoch + seconds
        left = seconds
        for start, end in self._from(start_epoch):
            begins = max(start, start_epoch)
            if end <= begins:
                continue
            if left <= end - begins:
                return begins + left
            left -= end - begins
        raise ValueError("the hours of ten years are not enough")

    def between(self, start_epoch: float, end_epoch: float) -> float:
        """How many seconds of open time lie between two moments; 0 if the second is not later."""
        if self.week is None:
            return max(0.0, end_epoch - start_epoch)
        total = 0.0
        for start, end in self._from(start_epoch):
            if start >= end_epoch:
                break
            total += max(0.0, min(end, end_epoch) - max(start, start_epoch))
        return total

    def describe(self, epoch: float, language: str = "en", *, now: float) -> str:
        """A moment in the team's own time, as people say it: "today by 16:30", "Monday 09:30"."""
        moment, today = datetime.fromtimestamp(epoch, self.zone), datetime.fromtimestamp(now, self.zone)
        words = language if language in _NEAR else "en"
        away = (moment.date() - today.date()).days
        form = _NEAR[words][away if away in (0, 1) else 2 if 0 < away < len(DAYS) else 3]
        return form.format(
            clock=f"{moment:%H:%M}",
            weekday=_WEEKDAYS[words][moment.weekday()],
            day=moment.day,
            month=_MONTHS[words][moment.month - 1],
        )

    def _from(self, epoch: float, days: int = DAYS_AHEAD) -> Iterator[tuple[float, float]]:
        """The open intervals from the day of `epoch` on, in order, never overlapping."""
        first = datetime.fromtimestamp(epoch, self.zone).date()
        latest = float("-inf")
        for ahead in range(days):
            for start, end in _open_on(self, first + timedelta(days=ahead)):
                begins = max(start, latest)
                if end > begins:
                    yield begins, end
                    latest = end


@lru_cache(maxsize=4096)
def _open_on(hours: Hours, day: date) -> tuple[tuple[float, float], ...]:
    if day in hours.holidays or hours.week is None:
        return ()
    spans = hours.week[day.weekday()]
    return tuple((_epoch(hours.zone, day, start), _epoch(hours.zone, day, end)) for start, end in spans)


def _epoch(zone: ZoneInfo, day: date, minute: int) -> float:
    """A minute of a day as an epoch. A time that the clock skips is when the skipping ends; of two, the first."""
    if minute == _MIDNIGHT:
        day, minute = day + timedelta(days=1), 0
    return datetime.combine(day, time(minute // 60, minute % 60), zone).timestamp()


def read_span(span: str) -> tuple[int, int]:
    """Minutes since midnight of "09:00-17:30"; the end may be 24:00."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError(f"{span!r} is no span of hours; write one like 09:00-17:00")
    h1, m1, h2, m2 = (int(part) for part in found.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or start >= _MIDNIGHT or end > _MIDNIGHT:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(f"{span!r} is no span of hours: there is no such time of day")
    return start, end


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, and joined where they touch or overlap."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
