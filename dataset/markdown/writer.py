"""Writes markdown: the one place that knows escapes, code, links, lists, callouts and tables."""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from utils.errors import DocumentError

MAX_CELLS = 500_000
_MAX_COLUMNS = 1000

_UNSEEN = re.compile(r"[\u00ad\u200b\u2060\ufeff\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MARKUP = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])"  # a backslash that would escape what follows
    r"|`|\*(?=\S)|(?<=\S)\*"
    r"|(?<!\w)_|_(?!\w)"
    r"|&(?=#?\w{1,32};)"
    r"|<(?=[A-Za-z/!?])"
    r"|\[(?=[^\[\]]{0,300}\]\()"
)
_LINE_START = re.compile(
    r"(?m)^(?=(?:#{1,6}|[-+]|={3,}|-{3,}|~{3,}|>)(?:\s|$)|>|~{3}|\[[^\]\n^][^\]\n]{0,200}\]:)"
    r"|^(\d{1,9})(?=[.)]\s)"
)
_UNSAFE_IN_ADDRESS = str.maketrans(
    {" ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E", "\\": "%5C", "\n": "", "\t": ""}
)
_CONTACT = re.compile(r"(?:mailto|tel):(?P<shown>[^?]*)", re.IGNORECASE)
_LIST_MARK = re.compile(r"^[ \t]*-[ \t]+")
_JOINED_WHEN_RAISED = re.compile(r"(?:st|nd|rd|th|er?|re|ème|TM|SM|[^\w\s]*)", re.IGNORECASE)
"""Superscripts that mean the same on the line: ordinals, trademarks, marks such as `*`."""
_NOT_IN_LABELS = re.compile(r"[^\w*†‡§-]")
_NOT_INLINE = ("- ", "1. ", "```", "|", ">")
"""How lists, code, tables and quotations start; they cannot follow a label on its line."""


def without_invisible(text: str) -> str:
    """Remove control characters and characters without width."""
    return _UNSEEN.sub("", text)


def escape(text: str) -> str:
    """Escape whatever would be read as inline markup."""
    return _MARKUP.sub(lambda found: "\\" + found[0], without_invisible(text).replace("\v", " "))


def escape_line_starts(lines: str) -> str:
    """Escape line starts that would open a heading, list, rule or quotation in a paragraph."""
    return _LINE_START.sub(lambda found: f"{found[1] or ''}\\", lines)


def split_edges(text: str) -> tuple[str, str, str]:
    """Split off the space around a text, which must stay outside its markup."""
    inside = text.strip()
    before = " " if text[:1].isspace() else ""
    return before, inside, " " if inside and text[-1:].isspace() else ""


def code(text: str) -> str:
    """Inline code, between as many backticks as the text requires."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def fenced_code(text: str, language: str = "") -> str:
    """A code block, its fence longer than any in the text; "" for a blank text."""
    body = text.rstrip()
    fence = max(("```", *(run + "`" for run in re.findall(r"`{3,}", body))), key=len)
    return f"{fence}{language}\n{body}\n{fence}" if body else ""


def emphasis(mark: str, text: str) -> str:
    """Put `*` or `**` around a text of one line that has no such marks at its edges."""
    before, words, after = split_edges(text)
    if "\v" in text or "\n\n" in text or not words:
        return text
    if words.startswith(("*", "\\*")) or words.endswith("*"):
        return text
    return f"{before}{mark}{words}{mark}{after}"


def raised(before: str, text: str) -> str:
    """A superscript after the text `before`: `2^32`, `x^(n-1)`, but `1st` and `word*`."""
    inside = text.strip()
    if not before[-1:].strip() or _JOINED_WHEN_RAISED.fullmatch(inside):
        return text
    return f"^{inside}" if inside.isalnum() else f"^({inside})"


def lowered(before: str, text: str) -> str:
    """A subscript after the text `before`: `H2O`, but `x_max` and `101_2`."""
    inside = text.strip()
    if not before[-1:].strip() or not inside or (before[-1:].isalpha() and inside.isdigit()):
        return text
    return f"_{inside}" if inside.isalnum() else f"_({inside})"


def note_mark(label: str) -> str:
    """The mark of a footnote, in the text and, followed by a colon, before the footnote."""
    return f"[^{_NOT_IN_LABELS.sub('', label)}]"


def link(words: str, address: str) -> str:
    """A link; just the words where there are none, or no address.

    An e-mail address or telephone number follows the words unless it is one of them.
    """
    before, inside, after = split_edges(words)
    if not inside or not address:
        return words
    if contact := _CONTACT.match(address):
        shown = " ".join(re.split(r"[\s<>]+", unquote(contact["shown"]))).strip()
        known = map(_without_signs, ("", inside, *inside.split()))
        return words if _without_signs(shown) in known else f"{before}{inside} ({shown}){after}"
    return f"{before}[{inside}]({address.translate(_UNSAFE_IN_ADDRESS)}){after}"


def _without_signs(contact: str) -> str:
    """An address without markup, or a telephone number without the signs between its digits."""
    return re.sub(r"[^\w@]", "", contact).lower()


def web_link(words: str, address: str) -> str:
    """A link to an http or https address; just the words for any other address."""
    return link(words, address if address.startswith(("http://", "https://")) else "")


def list_item(mark: str, blocks: Sequence[str]) -> str:
    """A list item of several blocks: `mark` is "- " or a number, to whose width they indent."""
    text = blocks[0]
    for block in blocks[1:]:
        text += ("\n" if block.startswith(("- ", "1. ")) else "\n\n") + block
    return mark + indent(text, len(mark)).lstrip(" ")


def indent(text: str, width: int) -> str:
    """Indent every line that is not empty."""
    return "\n".join(" " * width + line if line else "" for line in text.split("\n"))


def quotation(text: str) -> str:
    """A block quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def callout(label: str, blocks: Sequence[str]) -> list[str]:
    """A note or warning: its label, then its text on the same line where that is a paragraph."""
    return labelled(f"{label}:", blocks)


def labelled(label: str, blocks: Sequence[str]) -> list[str]:
    """Put a label before blocks, on the same line where the first is a paragraph."""
    if not blocks or blocks[0].startswith(_NOT_INLINE):
        return [label, *blocks]
    return [f"{label} {blocks[0]}", *blocks[1:]]


def text_cell(text: str) -> str:
    """A table cell of plain text; its lines are separated by `<br>`."""
    lines = (" ".join(escape(line).split()) for line in text.splitlines())
    return "<br>".join(line for line in lines if line)


def block_cell(blocks: Sequence[str]) -> str:
    """A table cell of markdown blocks; their lines are separated by `<br>`."""
    lines: list[str] = []
    for block in blocks:
        if block.startswith("```"):
            lines.append(code(" ".join(" ".join(block.split("\n")[1:-1]).split())))
        else:
            lines += (" ".join(_LIST_MARK.sub("", line).split()) for line in block.split("\n"))
    return "<br>".join(line for line in lines if line)


def pipe_table(rows: Sequence[Sequence[str]], head_rows: int = 1) -> str:
    """A pipe table without empty rows and trailing empty columns.

    Args:
        rows: Cells in markdown; rows may differ in length.
        head_rows: How many rows are the head; several are merged, and 0 makes it the first row.
    """
    width = max(len(row) for row in rows)
    while width > 1 and all(len(row) < width or not row[width - 1] for row in rows):
        width -= 1
    full = [[*row, *[""] * (width - len(row))][:width] for row in rows]
    head_rows = min(max(head_rows, 1), len(full))
    head = [
        " ".join(dict.fromkeys(filter(None, (row[at] for row in full[:head_rows]))))
        for at in range(width)
    ]
    body = [row for row in full[head_rows:] if any(row)]
    return "\n".join(_table_row(row) for row in (head, ["---"] * width, *body))


def _table_row(row: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def check_table_size(columns: int, cells: int) -> None:
    """Refuse a table beyond the limits with a DocumentError."""
    if columns > _MAX_COLUMNS or cells > MAX_CELLS:
        limits = f"{_MAX_COLUMNS:,} columns or {MAX_CELLS:,} cells"
        raise DocumentError(f"contains a table of more than {limits}; split it")
