"""The circuit breaker, on a clock that the test turns."""

import pytest

from inference_worker.generation.circuit_breaker import CircuitBreaker, CircuitOpenError


class ServiceError(Exception):
    """Speaks against the service."""


class Clock:
    """Stands still until it is turned."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(
        "The service",
        failures=3,
        seconds=10,
        is_failure=lambda error: isinstance(error, ServiceError),
        clock=clock,
    )


def fail(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    error = error or ServiceError()
    with pytest.raises(type(error)), breaker.call():
        raise error


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.call():
        pass


def opened(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        fail(breaker)
    assert breaker.is_open


def refuses(breaker: CircuitBreaker) -> bool:
    try:
        succeed(breaker)
    except CircuitOpenError:
        return True
    return False


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker)
    fail(breaker)
    assert not breaker.is_open
    fail(breaker)
    assert refuses(breaker)


def test_a_success_between_them_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker)
    fail(breaker)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    assert not breaker.is_open


def test_what_says_nothing_of_the_service_does_not_count(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        fail(breaker, KeyError())
        fail(breaker, GeneratorExit())
    assert not breaker.is_open


def test_after_the_pause_one_call_probes_and_closes_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker)
    clock.now += 9.9
    assert refuses(breaker)
    clock.now += 0.1
    with breaker.call():
        assert refuses(breaker)  # one probe, and only one
    assert not breaker.is_open
    assert not refuses(breaker)


def test_a_probe_that_fails_opens_it_for_another_pause(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker)
    clock.now += 10
    fail(breaker)
    clock.now += 9.9
    assert refuses(breaker)
    clock.now += 0.1
    assert not refuses(breaker)


def test_a_probe_given_up_by_its_client_lets_the_next_go(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker)
    clock.now += 10
    fail(breaker, GeneratorExit())
    assert breaker.is_open
    assert not refuses(breaker)


def test_a_call_from_before_that_is_given_up_is_no_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    call = breaker.call()
    call.__enter__()
    opened(breaker)
    call.__exit__(GeneratorExit, GeneratorExit(), None)
    assert refuses(breaker)


def test_a_call_may_say_that_the_service_answers_before_it_ends(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    opened(breaker)
    clock.now += 10
    with breaker.call():
        breaker.close()
        assert not refuses(breaker)


def test_calls_that_begin_well_and_then_fail_count_in_a_row(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(ServiceError):
            begin_well_and_fail(breaker)
    assert refuses(breaker)


def begin_well_and_fail(breaker: CircuitBreaker) -> None:
    with breaker.call():
        breaker.close()
        raise ServiceError
