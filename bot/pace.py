"""How fast one person is listened to. Nothing is lost: what comes faster waits its turn, and others do not notice."""

from __future__ import annotations

from collections import OrderedDict, deque

from adapters.port import Actor

WINDOW_SECONDS = 60.0
PEOPLE_MAX = 10_000  # whoever was silent the longest is forgotten first


class Pace:
    """At most `per_minute` steps of one person in any minute; the desk is not limited."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._steps: OrderedDict[tuple[str, str, str], deque[float]] = OrderedDict()

    def turn(self, actor: Actor | None, now: float) -> float:
        """When it is this person's turn: `now` (and the step counts), or the later moment to ask again."""
        if actor is None or "agent" in actor.roles or "admin" in actor.roles:
            return now
        steps = self._steps.setdefault((actor.platform, actor.tenant, actor.id), deque())
        self._steps.move_to_end((actor.platform, actor.tenant, actor.id))
        while len(self._steps) > PEOPLE_MAX:
            self._steps.popitem(last=False)
        while steps and steps[0] <= now - WINDOW_SECONDS:
            steps.popleft()
        if len(steps) >= self._limit:
            return steps[0] + WINDOW_SECONDS
        steps.append(now)
        return now
