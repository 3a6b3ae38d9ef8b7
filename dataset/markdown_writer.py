"""Writes markdown: the one place that knows its escapes, fences and tables."""

import re


def code(text: str) -> str:
    """Put a text between backticks, as many as it takes."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"
