"""The circuit breaker, by itself."""

import pytest

from bot.circuit import Circuit, CircuitOpen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(clock, failures=3, rest_seconds=10)


def fail(circuit: Circuit, error: type[BaseException] = ValueError) -> None:
    with pytest.raises(error), circuit.attempt():
        raise error


def succeed(circuit: Circuit) -> None:
    with circuit.attempt():
        pass


def test_it_opens_after_three_failures_in_a_row(circuit: Circuit) -> None:
    fail(circuit)
    fail(circuit)
    succeed(circuit)
    fail(circuit)
    fail(circuit)
    assert circuit.state == "closed"
    fail(circuit)
    assert circuit.state == "open"
    with pytest.raises(CircuitOpen):
        succeed(circuit)


def test_one_probe_at_a_time_decides(circuit: Circuit, clock: Clock) -> None:
    for _ in range(3):
        fail(circuit)
    clock.now = 10
    assert circuit.state == "half-open"
    with circuit.attempt(), pytest.raises(CircuitOpen), circuit.attempt():
        pass
    assert circuit.state == "closed"


def test_each_failed_probe_doubles_the_rest_up_to_a_limit(circuit: Circuit, clock: Clock) -> None:
    for _ in range(3):
        fail(circuit)
    for rest in (20, 40, 80, 100, 100):
        clock.now = circuit._until
        fail(circuit)
        assert circuit._until - clock.now == rest
    clock.now = circuit._until
    succeed(circuit)
    for _ in range(3):
        fail(circuit)
    assert circuit._until - clock.now == 10


def test_a_cancelled_probe_says_nothing_and_leaves_room_for_the_next(circuit: Circuit, clock: Clock) -> None:
    for _ in range(3):
        fail(circuit)
    clock.now = 10
    fail(circuit, KeyboardInterrupt)
    assert circuit.state == "half-open"
    succeed(circuit)
    assert circuit.state == "closed"
