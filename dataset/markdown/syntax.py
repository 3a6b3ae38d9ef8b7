"""The syntax of markdown: what a fence, heading, list item, table row, link or code span is.

`blocks()` scans a text line by line and gives each block with its place in the text. It reads
passages and answers, which are fragments: a list may start in its middle, code may never close.
Whole documents are read by `dataset.markdown.reader`, with a CommonMark parser. The patterns of
inline markup serve both. `dataset.markdown.writer` is the counterpart that writes markdown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, cast

SourceKind = Literal[
    "text",
    "item",
    "heading",
    "label",
    "rule",
    "definition",
    "table_head",
    "table_rule",
    "row",
    "code",
]
"""A `label` is a line in bold, which AWS uses as a heading; a `rule`, a horizontal line; a
`definition`, a footnote or the target of reference links."""

# Every repetition has an upper bound or cannot overlap its neighbours, so that a hostile page costs
# time in proportion to its size.
WORDS = r"(?:\\.|[^\[\]\\]|\[[^\[\]]{0,200}\]){0,500}"


def target_pattern(group: str, max_characters: int) -> str:
    """Pattern of a link's target; in angle brackets it is the group `<group>_bracketed`."""
    return (
        rf"(?:<(?P<{group}_bracketed>[^<>\n]{{0,{max_characters}}})>"
        rf"|(?P<{group}>(?:[^()\s]|\([^()\s]{{0,200}}\)){{0,{max_characters}}}))"
    )


def _link_pattern(words: str, target: str) -> str:
    title = r"(?:\s{1,100}(?:\"[^\"]{0,300}\"|'[^']{0,300}'))?"
    return (
        rf"\[(?P<{words}>{WORDS})\]\(\s{{0,100}}{target_pattern(target, 500)}{title}\s{{0,100}}\)"
    )


LINK = _link_pattern("words", "target")
IMAGE = "!" + _link_pattern("alt", "image")
REFERENCE = (
    rf"(?P<shown>!?)\[(?P<referring>{WORDS})\]\[(?P<reference>[^\[\]\n]{{0,200}})\]"
    r"|\[(?P<shortcut>[^\[\]\n^][^\[\]\n]{0,200})\](?![\[(:])"
)
"""A link whose address is defined elsewhere."""
LINK_DEFINITION = r"^ {0,3}\[[^\[\]\n]{1,200}\]:[ \t]{1,9}"
CODE_SPAN = r"(?<!`)(?P<ticks>`{1,8})(?!`)(?P<code>.{1,1000}?)(?<!`)(?P=ticks)(?!`)"
ESCAPE = r"\\(?P<escaped>[!-/:-@\[-`{-~])"
LIST_MARK = r"(?:[-+*•]|\d{1,9}[.)])"
"""`•` is no markdown, but language models write it."""

FENCE = re.compile(
    rf"^(?P<margin>(?:[ \t>]|(?P<mark>{LIST_MARK})[ \t])*)"
    r"(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>[^\n]*)\n?",
    re.MULTILINE,
)
"""A line that opens or closes code; it may open a list item or continue a quotation."""
_MARK = re.compile(r"[^\s>]")
_UNQUOTED = re.compile(r"^(?![ \t]*>)", re.MULTILINE)
_LINE_KIND = re.compile(
    r"(?P<indent>[ \t]*)(?:"
    r"(?P<row>\|)"
    r"|(?P<heading>#{1,6}[ \t]+(?=\S))"
    r"|(?P<rule>(?P<stroke>[-*_])[ \t]*(?:(?P=stroke)[ \t]*){2,}\r?$)"
    r"|(?P<label>(?:\*\*[^*]+\*\*|__[^_]+__):?[ \t]*\r?$)"
    r"|(?P<definition>\[\^?\w{1,20}\]:)"
    rf"|(?P<item>{LIST_MARK}[ \t]+)"
    r"|(?P<text>))"
)


@dataclass(frozen=True, slots=True)
class SourceBlock:
    """A block of markdown as it is written, with its place in the text."""

    kind: SourceKind
    start: int
    """Offset of the content: after the indentation and the mark, but code includes its fences."""
    end: int
    """Offset after the block's last line."""
    indent: int = 0
    """Columns before the first line's mark or text; a tab counts up to the next multiple of 4."""
    after_blank: bool = False
    """True if a blank line stands above it or above the code that it follows; False for code."""
    mark: str = ""
    """Of an item or heading: `-`, `1.`, `##`; of code, its fence."""
    is_closed: bool = True
    """False for code that runs to the end of the text."""

    @property
    def span(self) -> slice:
        """The content's place in the text."""
        return slice(self.start, self.end)


def find_fenced_code(text: str) -> Iterator[SourceBlock]:
    """Find the fenced code blocks of a text, those in list items and quotations included."""
    fence = ""
    start, last = 0, len(text)
    for found in FENCE.finditer(text):
        if fence and found.start() >= last:
            yield SourceBlock("code", start, last, mark=fence, is_closed=False)
            fence = ""
        if not fence:
            fence, start, last = found["fence"], found.start(), _end_of_quotation(text, found)
        elif closes_code(found, fence):
            yield SourceBlock("code", start, found.end(), mark=fence)
            fence = ""
    if fence:
        yield SourceBlock("code", start, last, mark=fence, is_closed=False)


def _end_of_quotation(text: str, opening: re.Match[str]) -> int:
    """Where the quotation ends that code is in, and the code with it; else the text's end."""
    after = _UNQUOTED.search(text, opening.end()) if ">" in opening["margin"] else None
    return after.start() if after else len(text)


def closes_code(found: re.Match[str], fence: str) -> bool:
    """True for a line with a fence, matched by `FENCE`, that closes code opened with `fence`."""
    return found["fence"].startswith(fence) and not found["mark"] and not found["info"].strip()


def prose_and_code(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into prose (True) and fenced code (False)."""
    at = 0
    for code in find_fenced_code(text):
        yield text[at : code.start], True
        yield text[code.span], False
        at = code.end
    yield text[at:], True


def closing_fence(text: str) -> str:
    """The line that closes the fenced code which a text leaves open; "" if it leaves none."""
    for code in find_fenced_code(text):
        if not code.is_closed:
            margin = text[code.start :].partition(code.mark)[0]
            return f"\n{_MARK.sub(' ', margin)}{code.mark}"
    return ""


def blocks(text: str) -> Iterator[SourceBlock]:
    """Split a fragment of markdown into its blocks, in order.

    Each heading, label, rule, definition and table line is a block, as is each fenced code block. A
    text or item continues up to a blank line or another block; an item's second paragraph is a
    `text` with an indent.
    """
    opened: SourceBlock | None = None
    after_blank = False
    codes = find_fenced_code(text)
    code = next(codes, None)
    at = 0
    while at < len(text):
        if code and at == code.start:
            at, block, code = code.end, code, next(codes, None)
        else:
            start, at = at, text.find("\n", at) + 1 or len(text)
            if text[start:at].isspace():
                block, after_blank = None, True
            else:
                block = _line_block(text, start, at, after_blank=after_blank)
                if block.kind == "text" and opened:
                    opened = replace(opened, end=at)
                    continue
                after_blank = False
        if opened:
            yield opened
        opened = block if block and block.kind in ("text", "item") else None
        if block and not opened:
            yield block
    if opened:
        yield opened


def _line_block(text: str, start: int, end: int, *, after_blank: bool) -> SourceBlock:
    """The block that a line starts, if it does not continue a text or item."""
    (found,) = islice(_LINE_KIND.finditer(text, start, end), 1)  # it matches any line
    kind = cast(SourceKind, found.lastgroup)
    if kind == "row" and is_table_rule(text[start:end]):
        kind = "table_rule"
    elif kind == "row" and is_table_rule(text[end : text.find("\n", end) + 1 or len(text)]):
        kind = "table_head"
    mark = found[kind] if kind in ("heading", "item") else ""
    return SourceBlock(
        kind,
        found.end("indent") + len(mark),
        end,
        indent=len(found["indent"].expandtabs(4)),
        after_blank=after_blank,
        mark=mark.strip(),
    )


def is_table_rule(line: str) -> bool:
    """True for the line between a table's head and its rows."""
    return "|" in line and "--" in line and not line.strip(" \t\r\n:|-")
