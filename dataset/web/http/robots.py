"""A host's robots.txt (RFC 9309), parsed by protego within bounds on what it can cost."""

import re
from collections.abc import Iterator

from protego import Protego

MAX_BYTES = 512 * 1024
_DELAY = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


class Robots:
    """The rules for one agent; without a file, everything is allowed."""

    def __init__(self, content: bytes = b"", agent: str = "*") -> None:
        """Parse the beginning of a robots.txt, up to MAX_BYTES, for an agent's product token."""
        text = content[:MAX_BYTES].decode("utf-8-sig", errors="replace")
        self._agent = agent.lower()
        self._rules = Protego.parse("\n".join(_lines_for(self._agent, text)))

    @property
    def delay(self) -> float:
        """Seconds between two requests (Crawl-delay); 0 if none are stated."""
        return self._rules.crawl_delay(self._agent) or 0.0

    def allow(self, url: str) -> bool:
        """True if a page may be fetched."""
        return self._rules.can_fetch(url, self._agent)


def _lines_for(agent: str, text: str) -> Iterator[str]:
    """The lines that state rules, all other agents merged into one.

    Protego copies each rule to each agent that its group names, which is quadratic in the size of
    the file, and also matches agents by a part of their name.
    """
    for line in text.splitlines():
        field, _, value = line.partition("#")[0].partition(":")
        field, value = field.strip().lower(), value.strip()
        if field == "user-agent":
            yield f"user-agent: {value if value.lower() in (agent, '*') else ','}"
        elif field in ("allow", "disallow") or (field == "crawl-delay" and _DELAY.fullmatch(value)):
            yield f"{field}: {value}"
