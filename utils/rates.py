"""Rates: how much of something a client may use per minute, hour or day."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

KINDS = ("requests", "calls", "tokens")
"""What is limited: requests, calls of the language model, and the tokens of these calls."""
PERIODS = {"minute": 60, "hour": 3600, "day": 86_400}
"""Seconds."""
_AMOUNT = re.compile(r"([0-9]{1,12})/(minute|hour|day)")


@dataclass(frozen=True, slots=True)
class Rate:
    """An amount that may be used in each period."""

    kind: str
    amount: int
    period: str

    @property
    def seconds(self) -> int:
        """Length of the period."""
        return PERIODS[self.period]

    @property
    def name(self) -> str:
        """As in "requests-per-minute"."""
        return f"{self.kind}-per-{self.period}"


Rates = Mapping[str, tuple[Rate, ...]]
"""By kind; a kind that is missing, or has no rates, is not limited."""


def parse_rates(text: str) -> dict[str, tuple[Rate, ...]]:
    """Parse rates such as "requests 300/minute 20000/day, calls none".

    Raises:
        ValueError: the text is malformed; the message shows the form.
    """
    rates: dict[str, tuple[Rate, ...]] = {}
    if text.strip().lower() == "none":
        return dict.fromkeys(KINDS, ())
    for part in text.split(","):
        kind, *amounts = part.split() or [""]
        if kind not in KINDS or kind in rates or not amounts:
            raise ValueError(_form(part))
        rates[kind] = () if amounts == ["none"] else tuple(_rate(kind, each) for each in amounts)
        if len({rate.period for rate in rates[kind]}) < len(rates[kind]):
            raise ValueError(_form(part))
    return rates


def format_rates(rates: Rates) -> str:
    """Write rates as `parse_rates` reads them."""
    return ", ".join(
        f"{kind} " + (" ".join(f"{each.amount}/{each.period}" for each in found) or "none")
        for kind, found in rates.items()
    )


def _rate(kind: str, text: str) -> Rate:
    found = _AMOUNT.fullmatch(text)
    if not found or not int(found[1]):
        raise ValueError(_form(text))
    return Rate(kind, int(found[1]), found[2])


def _form(text: str) -> str:
    return (
        f"{text.strip()!r} is no limit; write requests, calls or tokens and amounts, such as "
        "'requests 300/minute 20000/day, calls 20/minute, tokens none'"
    )
