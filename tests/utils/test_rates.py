"""Rates are read as they are written."""

import pytest

from utils.rates import KINDS, Rate, format_rates, parse_rates


def test_rates_are_parsed_by_kind() -> None:
    rates = parse_rates("requests 300/minute 20000/day,calls 20/hour , tokens none")
    assert rates == {
        "requests": (Rate("requests", 300, "minute"), Rate("requests", 20_000, "day")),
        "calls": (Rate("calls", 20, "hour"),),
        "tokens": (),
    }
    assert [rate.seconds for each in rates.values() for rate in each] == [60, 86_400, 3600]
    assert rates["calls"][0].name == "calls-per-hour"
    assert parse_rates(format_rates(rates)) == rates


def test_none_limits_nothing() -> None:
    assert parse_rates(" None ") == dict.fromkeys(KINDS, ())


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "requests", "300/minute", "questions 3/minute", "requests 3", "requests 3/week"),
        *("requests 0/minute", "requests -3/minute", "requests 3.5/minute", "requests 3/minute,"),
        *(
            "calls 3/minute 4/minute",
            "calls 3/minute, calls 4/day",
            "requests none 3/minute",
            "requests ٣/minute",
        ),
    ],
)
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit; write requests, calls or tokens"):
        parse_rates(text)
