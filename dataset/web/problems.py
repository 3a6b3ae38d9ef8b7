"""Collects the problems of a fetch."""

from dataclasses import dataclass, field

_MAX_LINES = 20


@dataclass
class Problems:
    """Problems with single pages and lists: the first ones, and their number."""

    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: str) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.lines) < _MAX_LINES:
            self.lines.append(line)

    def summary(self) -> list[str]:
        """The first lines, and how many more there are."""
        more = self.count - len(self.lines)
        return [*self.lines, *([f"and {more} more problems"] if more else [])]
