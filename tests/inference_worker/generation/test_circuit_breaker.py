"""The circuit breaker, on a clock that the test advances."""

import pytest

from inference_worker.generation.circuit_breaker import CircuitBreaker, CircuitOpenError
from inference_worker.generation.provider_errors import AttemptError

FAILURE = AttemptError("the service failed")


class Clock:
    """Constant until a test advances `now`."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, seconds=10, clock=clock)


def fail(breaker: CircuitBreaker, error: BaseException = FAILURE) -> None:
    with pytest.raises(type(error)), breaker.call():
        raise error


def trip(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        assert not breaker.is_open
        fail(breaker)
    assert breaker.is_open


def refuses(breaker: CircuitBreaker) -> bool:
    try:
        with breaker.call():
            return False
    except CircuitOpenError:
        return True


def test_consecutive_failures_without_a_success_open_the_circuit(breaker: CircuitBreaker) -> None:
    for _ in range(2):
        fail(breaker)
        fail(breaker)
        assert not breaker.is_open
        assert not refuses(breaker)  # a successful call, which resets the count
    trip(breaker)
    assert refuses(breaker)


def test_unrelated_errors_do_not_count(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        fail(breaker, AttemptError("the request is too long", blames_service=False))
        fail(breaker, GeneratorExit())
        fail(breaker, KeyError())
    assert not breaker.is_open


def test_one_successful_probe_after_the_pause_closes_the_circuit(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    trip(breaker)
    clock.now += 9.9
    assert refuses(breaker)
    clock.now += 0.1
    with breaker.call():
        assert refuses(breaker)  # only one probe at a time
    assert not breaker.is_open
    assert not refuses(breaker)


def test_failed_probe_opens_the_circuit_for_another_pause(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    trip(breaker)
    clock.now += 10
    fail(breaker)
    clock.now += 9.9
    assert refuses(breaker)
    clock.now += 0.1
    assert not refuses(breaker)


def test_cancelled_probe_allows_the_next_one(breaker: CircuitBreaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 10
    fail(breaker, GeneratorExit())
    assert breaker.is_open
    assert not refuses(breaker)


def test_cancelling_a_call_from_before_the_opening_allows_no_probe(breaker: CircuitBreaker) -> None:
    call = breaker.call()
    call.__enter__()
    trip(breaker)
    call.__exit__(GeneratorExit, GeneratorExit(), None)
    assert refuses(breaker)


def test_running_call_can_close_the_circuit(breaker: CircuitBreaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 10
    with breaker.call():
        breaker.close()
        assert not refuses(breaker)


def test_calls_that_fail_after_closing_the_circuit_count_as_consecutive(
    breaker: CircuitBreaker,
) -> None:
    for _ in range(3):
        with pytest.raises(AttemptError):
            close_and_fail(breaker)
    assert refuses(breaker)


def close_and_fail(breaker: CircuitBreaker) -> None:
    with breaker.call():
        breaker.close()
        raise FAILURE
