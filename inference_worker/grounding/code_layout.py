"""Keeps what is code in an answer code to every client: the layout of fences and of tables."""

import re

from dataset.markdown.syntax import LIST_MARK

_MAX_INDENT = 3
"""Columns; a fence that is indented further opens no code, except within a list item."""
MAX_RULE = 200
"""Characters of the line below a table's head; a longer line of its characters is taken for one."""
_MAX_KEPT = 500
"""Characters of both ends of a line."""
_ROW = re.compile(rf"[ \t>]*(?:{LIST_MARK}[ \t]+)*\|")
_SPLITTING_BAR = re.compile(r"(?<!\\)\||\\\\\|")
_RULE_START = re.compile(r"(?=[|:-])")


def splits_in_cells(code: str) -> bool:
    """True for inline code that the bars of a table would split."""
    return _SPLITTING_BAR.search(code) is not None


def columns(space: str) -> int:
    """The width of the space before a line."""
    return len(space.expandtabs(4))


def _is_rule(line: str) -> bool:
    """True for the line below a table's head, as the most lenient client reads it."""
    return "|" in line and "-" in line and not line.strip(" \t>:|-")


class CurrentLine:
    """The line that is being written, and whether it is a row of a table."""

    def __init__(self) -> None:
        self.text = ""
        """A long one without its middle."""
        self.has_bar_in_code = False
        self._after_bar_in_code = False
        self._is_in_table = False

    @property
    def is_row(self) -> bool:
        """True if bars split the line into cells, even in code."""
        return self._is_in_table or _ROW.match(self.text) is not None

    def add(self, written: str) -> None:
        """Continue the line; a newline ends it."""
        *ended, self.text = (self.text + written).split("\n")
        for line in ended:
            self._is_in_table = bool(line.strip()) and (self._is_in_table or _is_rule(line))
            self._after_bar_in_code, self.has_bar_in_code = self.has_bar_in_code, False
        if len(self.text) > 2 * _MAX_KEPT:
            self.text = self.text[:_MAX_KEPT] + self.text[-_MAX_KEPT:]

    def without_table(self, rule: str) -> str:
        """Escape the line that would make a table's head of a line with bars in code."""
        makes_table = self._after_bar_in_code and (_is_rule(rule) or len(rule) == MAX_RULE)
        return _RULE_START.sub(r"\\", rule, count=1) if makes_table else rule


class FencedCode:
    """Lays out the lines of fenced code: a line indented less might end it, with its list."""

    def __init__(self, indent: int) -> None:
        self._indent = min(indent, _MAX_INDENT)
        self._moved_by = indent - self._indent

    @property
    def margin(self) -> str:
        """The space before its fences."""
        return " " * self._indent

    def line(self, text: str) -> str:
        """Indent a line as the opening fence."""
        code = text.lstrip(" \t")
        indent = columns(text[: len(text) - len(code)])
        if not code.strip() or (not self._moved_by and indent >= self._indent):
            return text
        return " " * max(indent - self._moved_by, self._indent) + code

    def closing_fence(self, text: str) -> str:
        """Indent the line that closes the code, so that it does."""
        fence = text.lstrip(" \t")
        indent = columns(text[: len(text) - len(fence)])
        return text if self._indent <= indent <= _MAX_INDENT else self.margin + fence
