"""Recognises active content in an answer's text: HTML, links, addresses, entities and headings.

The functions read what begins at a place of a text that may still grow. They return None while its
meaning depends on what follows, and look at a bounded number of characters, so that the result does
not depend on how the text is cut into pieces.
"""

import re
from html import unescape
from typing import NamedTuple

from dataset.markdown.syntax import LIST_MARK
from inference_worker.grounding.code_layout import MAX_RULE
from inference_worker.grounding.visible_text import visible

CODE = "\0"
"""Replaces inline code in the text."""
HEADINGS = ("sources", "source", "nearest pages", "read next", "documents to read")
"""Above the lists that the service itself adds to an answer."""
_ELEMENTS = frozenset(
    """a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big
    blink blockquote body br button canvas caption center cite code col colgroup command
    datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption figure font
    footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img
    input ins isindex kbd keygen label legend li link main map mark marquee math menu menuitem
    meta metadata meter multicol nav nobr noembed noframes noscript object ol optgroup option
    output p param picture plaintext portal pre progress q rb rp rt rtc ruby s samp script
    section select slot small source spacer span strike strong style sub summary sup svg table
    tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xml
    xmp
    """.split()  # noqa: SIM905
)
"""Of HTML; any other name between angle brackets, without attributes, is a placeholder."""

_MAX_TAG = 200
_MAX_ADDRESS = 500
_MAX_ENTITY = 40
_MAX_LABEL = 40


def _beginnings(*words: str) -> str:
    found = {word[:end] for word in words for end in range(1, len(word) + 1)}
    return "|".join(sorted(found, key=len, reverse=True))


_BEFORE_HEADING = r"[ \t>#*_]{0,20}"
_LABEL = rf"\[[^\[\]\n`\\{CODE}]{{0,{_MAX_LABEL}}}"
ACTIVE = re.compile(
    rf"(?P<heading>(?<=\n){_BEFORE_HEADING}(?i:{'|'.join(HEADINGS)}))(?![A-Za-z])"
    rf"|(?P<rule>(?<=\n)(?:[ \t>|:-]{{{MAX_RULE}}}|[ \t>|:-]{{1,{MAX_RULE}}}(?=\n|\Z)))"
    r"|(?P<tag>\\?<(?=[A-Za-z/!?]))"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<entity>&(?=[#A-Za-z]))"
    r"|(?P<image>!(?=\[))"
    rf"|(?P<label>{_LABEL}\](?=[(:]))"
    r"|(?P<end>\](?=[(:]))"
    r"|(?P<address>(?<![A-Za-z])(?i:(?:https?|ftp)\\?:(?:\\?/){2}|www\\?\.)(?=[^\s\\]))"
    r"|(?P<mail>(?<=[\w.+-])@(?=\w))"
    rf"|(?P<code>{CODE})"
)
"""What may be active, and the code that is not."""
NEEDED = re.compile(rf"[\n\\<&!\[\]@:.{CODE}]")
"""One of them is in whatever is active, but for what begins a line."""
MAX_UNDECIDED = MAX_RULE + 50
UNDECIDED = re.compile(
    rf"(?:(?<=\n)[ \t>|:-]{{1,{MAX_RULE - 1}}}"
    rf"|(?<=\n){_BEFORE_HEADING}(?i:{_beginnings(*HEADINGS)})?"
    rf"|\\?<|\\|&|!|{_LABEL}\]?|\]|(?<=[\w.+-])@"
    rf"|(?<![A-Za-z])(?i:(?:{_beginnings('https', 'ftp', 'www')})\\?(?:[.:](?:\\?/){{0,2}}\\?)?)"
    r")\Z"
)
"""The end of a text that may begin something active."""

_AFTER_HEADING = re.compile(r"[*_ \t]*(?:[:\uff1a\n]|\Z)")
_TAG = re.compile(r"</?(?P<name>[A-Za-z][\w.]*(?:-[\w.]+)*)(?P<more>(?:[ -][\w .,'-]*)?>)?")
_AUTOLINK = re.compile(rf"<(?P<address>(?:https?://|[\w.+-]+@)[^\s<>`\\{CODE}]+)>")
_TARGET = re.compile(
    rf"\((?P<address>(?:[^\s()<>`\\{CODE}]|\([^\s()<>`\\{CODE}]*\))+)(?P<closed>\)\Z)?"
)
_DEFINED = re.compile(r"[ \t]*(?:(?P<address>\S+)(?P<more>[ \t]*[\"'(].*)?)?[ \t]*\n?")
_ADDRESS = re.compile(
    rf"(?:www\\?\.|\w+\\?:[\\/]+)(?P<rest>(?:(?!&(?:lt|gt|quot);)[^\s()<>\"`|\[\]{{}}{CODE}]|\([^\s()<>`]*\)"
    r"|<[\w-]{1,40}>)*)"
)
_MAIL = re.compile(r"@\w[\w-]*(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_ENTITY = re.compile(r"&(?:#[xX]?[0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
_CITED_IMAGE = re.compile(r"\[\d{1,9}\](?:[^(:\[]|\Z)")
_LABEL_PLACE = re.compile(rf"[ \t>]*(?:{LIST_MARK}[ \t]+)*")
_INSIDE_LABEL = re.compile(rf"(?:{_LABEL_PLACE.pattern}\[)?[^\[\]]*")


class LinkTarget(NamedTuple):
    """The address in a link's brackets or definition; "" if it is none."""

    address: str
    is_plain: bool
    """True if nothing else is there."""


def _window(text: str, at: int, limit: int, stop: str, *, final: bool) -> str | None:
    """The text from `at` to the first match of `stop`; None while that is missing."""
    part = text[at : at + limit]
    found = re.compile(stop).search(part, 1)
    if found:
        return part[: found.end()]
    return part if final or len(part) == limit else None


def is_heading(text: str, at: int, *, final: bool) -> bool | None:
    """Whether the words before `at` are a heading: alone on their line, or before a colon."""
    if at == len(text) and not final:
        return None
    after = _window(text, at - 1, _MAX_LABEL, r"[^*_ \t]", final=final)
    return after if after is None else bool(_AFTER_HEADING.fullmatch(after[1:]))


def is_image(text: str, at: int, *, final: bool) -> bool | None:
    """Whether the bracket at `at`, after an exclamation mark, is an image and not a citation."""
    inside = _window(text, at, _MAX_LABEL, r"\](?s:.)|[^\d\]]", final=final)
    return inside if inside is None else not _CITED_IMAGE.fullmatch(inside)


def tag_at(text: str, at: int, *, final: bool) -> re.Match[str] | str | None:
    """What the bracket at `at` opens: an autolink, as a match, or the element of this name.

    "" if that is none, but a placeholder.
    """
    part = _window(text, at, _MAX_TAG, rf"[>\n`<{CODE}]|&lt;", final=final)
    if part is None:
        return None
    if link := _AUTOLINK.fullmatch(part):
        return link
    tag = _TAG.match(part)
    is_plain = tag and (tag["more"] or not set("=>") & set(part))
    if tag and is_plain and tag["name"].lower() not in _ELEMENTS:
        return ""
    return tag["name"] if tag else part[1:2]


def target_at(text: str, at: int, *, final: bool) -> LinkTarget | None:
    """The target of a link, whose bracket is at `at`."""
    depth = 0
    part = text[at : at + _MAX_ADDRESS]
    for length, character in enumerate(part):
        depth += (character == "(") - (character == ")")
        if not depth or character.isspace() or character in f"<>`\\{CODE}":
            part = part[: length + (not depth)]
            break
    else:
        if not final and len(part) < _MAX_ADDRESS:
            return None
    found = _TARGET.match(part)
    return (
        LinkTarget(found["address"], bool(found["closed"]))
        if found
        else LinkTarget("", is_plain=False)
    )


def definition_at(text: str, at: int, *, final: bool) -> LinkTarget | None:
    """The target that the line after a colon at `at` defines; of any other line, one of code."""
    line = _window(text, at, _MAX_ADDRESS, r"\n", final=final)
    if line is None:
        return None
    found = _DEFINED.fullmatch(line[1:])
    if not found or CODE in line:
        return LinkTarget(CODE, is_plain=False)
    return LinkTarget(found["address"] or "", not found["more"])


def may_define(line: str, *, has_label: bool) -> bool:
    """Whether a label, whole or the end of one, would define an address after this line so far."""
    return bool((_LABEL_PLACE if has_label else _INSIDE_LABEL).fullmatch(line))


def address_at(text: str, at: int, *, final: bool) -> str | None:
    """The address that begins at `at`, without the punctuation after it; "" if it is incomplete."""
    part = _window(text, at, _MAX_ADDRESS, rf"[\s\"`|{CODE}]", final=final)
    if part is None:
        return None
    found = _ADDRESS.match(part)
    rest = found["rest"].rstrip("_*~.,;:!?'\\\u2026") if found else ""
    return part[: found.start("rest")] + rest if found and rest else ""


def mail_domain_at(text: str, at: int, *, final: bool) -> str | None:
    """The `@` at `at` and the host after it; "" if none is there."""
    part = _window(text, at, _MAX_ADDRESS, r"[^\w.-]", final=final)
    if part is None:
        return None
    found = _MAIL.match(part)
    return found[0] if found else ""


def is_disguise(text: str, at: int, *, final: bool) -> bool | None:
    """Whether the entity at `at` is a letter, a part of an address, or invisible."""
    part = _window(text, at, _MAX_ENTITY, r"[^\w#]", final=final)
    if part is None:
        return None
    if not _ENTITY.fullmatch(part):
        return False
    shown = unescape(part)
    is_ascii = any(each.isascii() and (each.isalnum() or each in ":/.@") for each in shown)
    return shown != part and (is_ascii or visible(shown) != shown)
