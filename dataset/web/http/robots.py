"""What a host's robots.txt asks of us (RFC 9309).

The standard library's parser knows no wildcards and takes the first rule that matches, not the
longest; and a pattern must not become a regular expression, for a host could make it a trap.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from dataset.web.http.addresses import normal
from utils.errors import DocumentError

MAX_BYTES = 512 * 1024
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Rule:
    """Addresses that match the pattern are allowed, or are not."""

    pattern: str
    allows: bool


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules that are meant for us."""

    rules: tuple[Rule, ...] = ()
    delay: float = 0.0
    """Seconds between two requests."""

    def allow(self, url: str) -> bool:
        """Tell whether a page may be fetched: the longest pattern decides, then "allow" does."""
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        matching = [rule for rule in self.rules if _matches(rule.pattern, target)]
        if not matching:
            return True
        return max(matching, key=lambda rule: (len(rule.pattern), rule.allows)).allows


def parse_robots(content: bytes, agent: str) -> Robots:
    """Read the rules for an agent, else those for all."""
    groups: dict[str, tuple[list[Rule], list[float]]] = {}
    named: list[str] = []
    naming = False
    for line in _LINE_END.split(content[:MAX_BYTES].decode("utf-8-sig", errors="replace")):
        field, colon, value = line.partition("#")[0].partition(":")
        field, value = field.strip().lower(), value.strip()
        if not colon:
            continue
        if field == "user-agent":
            named = [*named, value.lower()] if naming else [value.lower()]
            for name in named:
                groups.setdefault(name, ([], []))
            naming = True
        elif field in ("allow", "disallow", "crawl-delay"):
            naming = False
            for name in named:
                _add(groups[name], field, value)
    rules, delays = groups.get(agent.lower()) or groups.get("*") or ([], [])
    return Robots(tuple(rules), max(delays, default=0.0))


def _add(group: tuple[list[Rule], list[float]], field: str, value: str) -> None:
    rules, delays = group
    if field == "crawl-delay":
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
            delays.append(float(value))
    elif value.startswith(("/", "*")):
        rules.append(Rule(_one_spelling(value), field == "allow"))


def _one_spelling(pattern: str) -> str:
    """Spell a pattern's escapes as our addresses do."""
    if not pattern.startswith("/") or "/." in pattern:
        return pattern
    try:
        spelled = normal(f"http://host{pattern}")
    except DocumentError:
        return pattern
    return spelled.removeprefix("http://host")


def _matches(pattern: str, target: str) -> bool:
    """Match from the beginning; `*` is any run, `$` at the end is the end. In linear time."""
    whole = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not target.startswith(first):
        return False
    at = len(first)
    for piece in rest[:-1] if whole else rest:
        found = target.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if not whole:
        return True
    last = rest[-1] if rest else ""
    return len(target) - at >= len(last) and target.endswith(last) if rest else at == len(target)
