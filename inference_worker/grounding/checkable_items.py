"""Finds what can be looked up in the passages: names, numbers, code and quotations in an answer.

In prose, that is everything shaped like a name (`CreateEndpoint`, `role_arn`, `train.py`,
`ml.p3.2xlarge`, `sagemaker:InvokeEndpoint`, `/opt/ml`, `us-east-1`, `--role-arn`), numbers in
digits, ARNs, addresses, and text in double quotes. Not checked: list numerals, `step 3`, ordinals,
and the name SageMaker itself.

Inline code of one word is checked whole. Inline code of several words is supported if a passage
contains it whole, or else everything in it that is shaped like a name. In fenced code, only such
names and one-word strings are checked: plain lower-case words are keywords, builtins or variables.
Of a dotted name in code (`client.create_endpoint`), the parts count. In code of several words,
assigned names (`job_name = `), one-digit numbers and placeholders (`<name>`, `my-bucket`,
`your_role`) are not checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from inference_worker.answer import UnsupportedKind
from inference_worker.grounding.markup import Mark
from inference_worker.grounding.quantities import (
    LETTERS,
    LIST_NUMERAL,
    NUMBER,
    Quantity,
    is_negative,
    quantity_at,
)

_NOT_ADDRESS = r"\s<>\"'`\u201c\u201d|\\\]\[{}\ufffc"
_HYPHENS = r"\u2010\u2011-"
"""Models write non-breaking hyphens in names, too."""
_COMMON = (
    rf"(?P<url>\b(?:https?|s3|ftp)://(?:[^{_NOT_ADDRESS}]|<[\w-]{{1,40}}>)+)"
    rf"|(?P<arn>\barn:[\w*-]*:(?:[^{_NOT_ADDRESS},;)]|<[\w-]{{1,40}}>)+)"
    rf"|(?P<flag>(?<![\w-])--[A-Za-z][\w-]*)"
)
_PATH = (
    rf"|(?P<identifier>(?<![{LETTERS}/.:<>-])/(?:[\w.-]+/)+[\w.-]*\w"
    # A Region's code, or an Availability Zone's.
    rf"|(?<![{LETTERS}-])[a-z]{{2}}(?:[{_HYPHENS}][a-z]+){{1,3}}[{_HYPHENS}]\d+[a-z]?(?![{LETTERS}-]))"
)
_TOKENS = rf"|(?P<number>{NUMBER})|(?P<word>[{LETTERS}]+(?:[.:][{LETTERS}]+)*(?::\*(?!\*))?)"
_PROSE = re.compile(
    # Most words are plain: skipping them first halves the time.
    rf"[A-Z]?[a-z]++(?![{LETTERS}{_HYPHENS}]|[.:][{LETTERS}*]| \d|://)"
    rf"|(?P<numeral>{LIST_NUMERAL}"
    r"|\b(?i:steps?|passages?|sources?) \d+(?:(?:,| and| or| to|-|\u2013) ?\d+)*"
    r"|\b(?:1[89]|20)\d0s\b)|"
    + _COMMON
    + r"|(?P<quote>(?<![\w\"])\"(?=\S)[^\"\n]{2,400}(?<=\S)\"(?!\w)"
    r"|\u201c[^\u201c\u201d\n]{2,400}\u201d|\u00ab[^\u00ab\u00bb\n]{2,400}\u00bb)"
    + _PATH
    + _TOKENS,
    re.MULTILINE,
)
_PLACEHOLDER_WORDS = r"<[\w .-]{1,60}>|\b(?:my|your)(?:[-_][\w-]*|[A-Z]\w*)"
_PLACEHOLDER = re.compile(_PLACEHOLDER_WORDS)
_IN_CODE = re.compile(
    "(?P<placeholder>"
    + _PLACEHOLDER_WORDS
    + ")|"
    + _COMMON
    + r"|(?P<string>(?<![\w\"'])[\"'][^\s\"'<>]{2,200}[\"'])"
    + _PATH
    + r"|(?P<code>(?<![\w-])[a-z]+(?:-[a-z0-9]+)+(?![\w-]))"
    + _TOKENS
)
_ASSIGNED = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([a-z_][a-z0-9_]*)[ \t]+=(?!=)"
    r"|\b(?:def|class|as|for)[ \t]+([A-Za-z_]\w*)|^([A-Z_][A-Z0-9_]*)=",
    re.MULTILINE,
)
_BUILTINS = frozenset(
    """boto3 __name__ __main__ __init__ __file__ utf-8 utf8 isinstance ValueError TypeError KeyError
    RuntimeError KeyboardInterrupt FileNotFoundError""".split()  # noqa: SIM905
)

_LETTER = re.compile(r"[^\W_]")
_CAMEL = re.compile(r"[^\W\d_A-Z][A-Z]")
_SNAKE = re.compile(r"[^\W_]_+[^\W_]")
_MIXED = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)\Z")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]\Z")
_WHOLE_DOTTED = re.compile(
    r"(?:ml\.)?[a-z]+\d+[a-z-]*\.(?:\d*x?large|medium|small|metal|nano|micro)\Z"
    r"|.*\.(?:py|sh|json|jsonl|csv|tar|gz|md|ipynb|txt|ya?ml|parquet|zip|html?|xml|whl|cfg|toml)\Z"
)
_ATTRIBUTES = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")

_SUBJECT = "sagemaker"
"""The subject of all passages, whether they name it or not."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something checkable, with its place in the answer."""

    kind: UnsupportedKind
    text: str
    start: int
    end: int
    quantity: Quantity | None = None
    """Set for a number."""
    any_case: bool = False
    """True if case does not matter: `A100` is not camel case."""
    parts: tuple[str, ...] = ()
    """Of a dotted name in code: the parts that a passage without the whole must contain."""
    inside: tuple["Item", ...] = ()
    """Of code of several words: what to check if no passage contains the whole."""


def items_in_prose(text: str) -> Iterator[Item]:
    """Find the items in prose, in order; code and citations must be masked."""
    for found in _PROSE.finditer(text):
        if found.lastgroup and (item := _item(found, 0, in_code=False)):
            yield item


def items_in_code(mark: Mark, start: int) -> Iterator[Item]:
    """Find the items in inline or fenced code that starts at `start` in the answer."""
    if mark.kind == "fence":
        yield from _tokens(mark.text, start)
        return
    inner = mark.text.strip("`")
    code = inner.strip().removesuffix("()")
    start += mark.text.index(inner) + len(inner) - len(inner.lstrip())
    end = start + len(code)
    inside = tuple(_tokens(code, start, alone=True))
    if inside and (inside[0].start, inside[0].end) == (start, end):
        yield inside[0]
    elif _LETTER.search(code) and not _PLACEHOLDER.fullmatch(code) and code.lower() != _SUBJECT:
        yield Item("code", code, start, end, inside=inside)


def _tokens(code: str, offset: int, *, alone: bool = False) -> Iterator[Item]:
    own = {name for names in _ASSIGNED.findall(code) for name in names}
    for found in _IN_CODE.finditer(code):
        name = found[0].strip("\"'")
        if name in own or name in _BUILTINS or (len(name) == 1 and len(code) > 1):
            continue
        if item := _item(found, offset, in_code=True, alone=alone):
            yield item


def _item(found: re.Match[str], offset: int, *, in_code: bool, alone: bool = False) -> Item | None:
    """The item of a match; None if there is nothing to check."""
    kind, (start, end), text = found.lastgroup, found.span(), found.string
    if kind in ("numeral", "placeholder"):
        return None
    if kind == "number":
        quantity = quantity_at(text, start, end)
        start -= is_negative(text, start) or text[start - 1 : start] == "$"
        return Item("number", text[start:end], start + offset, end + offset, quantity)
    if kind in ("quote", "string"):
        start, end = start + 1, end - 1
    written = text[start:end]
    if kind in ("url", "arn"):
        written = written.rstrip(".,;:!?)*" if kind == "url" else ".:")
    elif kind == "word" and not in_code and written[0] == written[-1] == "_":
        written = written.strip("_")
        start += 1
    if kind == "word":
        return _name(written, start + offset, in_code=in_code, alone=alone)
    if written.lower() == _SUBJECT:
        return None
    kind = "code" if kind == "string" else kind
    return Item(cast(UnsupportedKind, kind), written, start + offset, start + len(written) + offset)


def _name(written: str, start: int, *, in_code: bool, alone: bool) -> Item | None:
    """The item of a word shaped like a name; None for any other word."""
    if written.lower() == _SUBJECT or _INITIALS.match(written):
        return None
    joined = "." in written or ":" in written or _SNAKE.search(written) is not None
    any_case = not joined and not _CAMEL.search(written)
    if any_case and (not _MIXED.search(written) or _ORDINAL.match(written)):
        return None
    parts: tuple[str, ...] = ()
    if in_code and _ATTRIBUTES.match(written) and not _WHOLE_DOTTED.match(written):
        shaped = [part for part in written.split(".") if _is_checked(part)]
        parts = tuple(shaped or written.split(".")[-1:])
        if not shaped and not alone:
            return None
    return Item("identifier", written, start, start + len(written), None, any_case, parts)


def _is_checked(part: str) -> bool:
    return part not in _BUILTINS and any(shape.search(part) for shape in (_CAMEL, _SNAKE, _MIXED))
