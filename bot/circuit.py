"""A circuit breaker: stop asking a service that does not answer, and find out by one probe when it does again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

LONGEST_REST = 10  # times the first rest


class CircuitOpen(Exception):
    """The service is not asked now."""


class Circuit:
    """Opens after `failures` in a row; after `rest_seconds` one probe decides. Each failed probe doubles the rest.

    `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float], *, failures: int = 3, rest_seconds: float = 30.0) -> None:
        self._clock, self._limit, self._first_rest = clock, failures, rest_seconds
        self._failed = 0
        self._rest = rest_seconds
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Closed: asked freely. Open: resting. Half-open: one probe may ask, or is asking."""
        if self._failed < self._limit:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Ask the service inside; an exception counts as a failure, a cancellation as nothing.

        Raises `CircuitOpen` where it must not be asked.
        """
        state = self.state
        if state == "open" or (state == "half-open" and self._probing):
            raise CircuitOpen
        self._probing = probe = state == "half-open"
        try:
            yield
        except Exception:
            self._fail(probe=probe)
            raise
        else:
            self._failed, self._rest = 0, self._first_rest
        finally:
            if probe:
                self._probing = False

    def _fail(self, *, probe: bool) -> None:
        self._failed += 1
        if probe:
            self._rest = min(self._rest * 2, self._first_rest * LONGEST_REST)
        if self._failed >= self._limit:
            self._until = self._clock() + self._rest
