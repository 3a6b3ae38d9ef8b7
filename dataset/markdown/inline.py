r"""Cleans up inline markup for readers.

AWS escapes all punctuation (`\-`, `\.`) and names its anchors with `<a name="...">`; other pages
contain HTML, entities and links whose addresses are elsewhere on the page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from html import unescape

from markdown_it.common.utils import normalizeReference

from dataset.markdown.syntax import CODE_SPAN, ESCAPE, IMAGE, LINK, REFERENCE
from dataset.markdown.writer import code, link, lowered, note_mark, raised

EMPHASIS = (
    r"(?<![\w*\\])(?P<stars>\*{1,3})(?=[^\s*])(?P<emphasised>[^*\n]{1,500})"
    r"(?<=[^\s*\\])(?P=stars)(?![\w*])"
)
_STRESS = (
    r"(?<![^\s(\[{\"'*~])(?P<stress>_{1,2})(?=[^\s_])"
    r"(?P<stressed>(?:\\.|[^_\n\\]|\\(?!_)|(?<=\w)_(?=\w)){1,500})"
    r"(?:(?<=[^\s_\\])|(?<=\\_))(?P=stress)(?![^\s.,;:!?)\]}\"'*~\\])"
)
_HTML = (
    r"(?i:<(?P<script>su[bp])(?:\s[^<>]{0,200})?>"
    r"(?P<scripted>[^<>]{0,200}|<a\s[^<>]{0,200}>[^<>]{0,20}</a>)</su[bp]>"
    r"|<(?:code|kbd|samp|tt)(?:\s[^<>]{0,200})?>(?P<html_code>[^<>]{1,500})</(?:code|kbd|samp|tt)>"
    r"|<(?:del|s|strike)>(?P<deleted>[^<>]{1,500})</(?:del|s|strike)>"
    r"|<a\s[^<>]{0,500}?href=[\"'](?P<href>(?:https?://|mailto:|tel:)[^\"'<>\s]{1,500})[\"']"
    r"[^<>]{0,500}>(?P<linked>[^<>]{1,500})</a>"
    r"|<img\s(?:[^<>]{0,1000}?\s)?alt=(?P<quote>[\"'])(?P<image_alt>[^<>]{0,500}?)(?P=quote)"
    r"[^<>]{0,1000}>"
    r"|(?P<tag><!--.{0,2000}?-->|</?a(?:\s[^<>]{0,200})?>"
    r"|</?(?P<element>abbr|b|bdi|big|br|center|cite|code|dd|del|details|dfn|div|dl|dt|em|font|hr|i"
    r"|img|ins|kbd|label|li|mark|ol|p|picture|q|s|samp|small|source|span|strike|strong|sub|summary"
    r"|sup|time|u|ul|var|wbr)(?P<attributes>\s[^<>]{0,1000})?/?>))"
)
_INLINE = re.compile(
    f"{CODE_SPAN}|{ESCAPE}"
    r"|(?P<space><br\s*/?>|&nbsp;)"
    r"|(?P<entity>&(?:[A-Za-z][A-Za-z0-9]{1,30}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});)"
    f"|{_HTML}|{IMAGE}|{LINK}"
    f"|{REFERENCE}|{_STRESS}",
    re.DOTALL,
)
MARKUP = re.compile(f"{CODE_SPAN}|{LINK}", re.DOTALL)
_HEADING_EMPHASIS = re.compile(f"{CODE_SPAN}|{ESCAPE}|{EMPHASIS}|{_STRESS}", re.DOTALL)
_ANCHOR = re.compile(r"""<a\s+(?:name|id)\s*=\s*["']?([^"'<>\s]{1,200})""")
_HEADING_ID = re.compile(
    r"[ \t]*\{:?[ \t]*(?:#(?P<id>[^\s{}]{1,200})|\.[\w-]+)(?:[ \t][^{}]{0,200})?\}[ \t]*$"
)
_IMAGE_WITHOUT_WORDS = re.compile(r"[\[\]]|Image|NOT AVAILABLE")
_VOID = frozenset(("br", "hr", "img", "wbr"))
_PARTS = frozenset(
    ("br", "dd", "details", "div", "dl", "dt", "hr", "li", "ol", "p", "summary", "ul")
)
"""Elements that keep what is before them apart from what follows."""
_MAX_MARKS = 5
_ROW = re.compile(r"[ \t]*\|")
_MAX_ELEMENT_CHARACTERS = 1000
_PYTHON_NAMES = frozenset(
    (*dir(type), *dir(int), *dir(dict), *dir(range), "__main__", "__all__", "__file__",
     "__version__", "__next__", "__enter__", "__exit__", "__del__", "__future__", "__path__")
)  # fmt: skip
"""Names with two underscores at both ends, which are seldom meant as emphasis."""


@dataclass(frozen=True, slots=True)
class InlineReader:
    """Reads the inline markup of one page."""

    references: Mapping[str, str] = field(default_factory=dict)
    """The addresses that the page defines, by their normalized labels."""

    def read(self, text: str) -> str:
        """Clean up the lines of a block that is no code."""
        return "\n".join(line.rstrip() for line in self._inside(text).split("\n"))

    def heading(self, line: str) -> tuple[str, str]:
        """A heading's text and the name of its anchor."""
        anchor = _ANCHOR.search(line)
        identity = _HEADING_ID.search(line)
        line = line[: identity.start()] if identity else line
        words = self.read(_HEADING_EMPHASIS.sub(_without_emphasis, line))
        words = " ".join(MARKUP.sub(lambda found: found["words"] or found[0], words).split())
        stated = identity["id"] if identity and identity["id"] else ""
        return words, anchor[1] if anchor else stated

    def _inside(self, text: str, around: re.Match[str] | None = None) -> str:
        """Clean up text, which is part of the markup `around` it."""
        in_row = around is not None and _is_in_row(around)
        return _INLINE.sub(partial(self._readable, in_row=in_row), text)

    def _readable(self, found: re.Match[str], *, in_row: bool) -> str:
        """The readable text of a piece of inline markup."""
        if found["code"]:
            return found[0]
        if found["escaped"]:
            # Unescaped, a bar would end its cell.
            is_bar = found["escaped"] == "|" and (in_row or _is_in_row(found))
            return found[0] if is_bar else found["escaped"]
        if found["space"]:
            return " "
        if found["entity"]:
            return unescape(found["entity"])
        if found["stress"]:
            return self._stressed(found)
        if found["alt"] is not None:
            return self._picture(self._inside(found["alt"], found))
        if found["words"] is not None:
            target = found["target_bracketed"] or found["target"] or ""
            return self._link(self._inside(found["words"], found), target)
        if found["referring"] is not None or found["shortcut"]:
            return self._reference(found)
        return self._html(found)

    def _link(self, words: str, target: str) -> str:
        if target.lower().startswith(("mailto:", "tel:")):
            return link(words, target)
        if not target.startswith(("http://", "https://")) or not words:
            return words
        return target if words == target else f"[{words}]({target})"

    def _picture(self, words: str) -> str:
        return words if _IMAGE_WITHOUT_WORDS.sub("", words).strip(" .") else ""

    def _reference(self, found: re.Match[str]) -> str:
        """A link whose address is defined elsewhere on the page; just text if it is not."""
        words = found["referring"] if found["shortcut"] is None else found["shortcut"]
        target = self.references.get(normalizeReference(found["reference"] or words))
        if target is None:
            return found[0][0] + self._inside(found[0][1:], found)
        words = self._inside(words, found)
        return self._picture(words) if found["shown"] else self._link(words, target)

    def _stressed(self, found: re.Match[str]) -> str:
        """Emphasis by underscores, which would be read as part of the words, by asterisks."""
        words: str = found["stressed"]
        if found[0] in _PYTHON_NAMES:
            return found[0]
        mark = "*" * len(found["stress"])
        return f"{mark}{self._inside(words, found)}{mark}"

    def _script(self, found: re.Match[str]) -> str:
        """A superscript or subscript; a link within one is the mark of a note."""
        words = self._inside(found["scripted"], found).strip()
        before = found.string[max(found.start() - _MAX_MARKS, 0) : found.start()].rstrip("*_`")
        if "<" in found["scripted"] and before.strip():
            return note_mark(words)
        return (raised if found["script"].lower() == "sup" else lowered)(before, words)

    def _html(self, found: re.Match[str]) -> str:
        if found["script"]:
            return self._script(found)
        if found["html_code"]:
            return code(unescape(found["html_code"]))
        if found["deleted"]:
            return f"~~{self._inside(found['deleted'], found)}~~"
        if found["href"]:
            return link(self._inside(found["linked"], found), found["href"])
        if found["image_alt"] is not None:
            return self._picture(unescape(found["image_alt"]))
        # A name between angle brackets that nothing closes may be a placeholder.
        name = (found["element"] or "").lower()
        if name and not found["attributes"] and name not in _VOID and not _has_counterpart(found):
            return found[0]
        return " " if name in _PARTS else ""


def _has_counterpart(tag: re.Match[str]) -> bool:
    """True if the start tag before an end tag, or the end tag after a start tag, is near."""
    name, start, end = tag["element"], tag.start(), tag.end()
    if tag[0].startswith("</"):
        return f"<{name}" in tag.string[max(start - _MAX_ELEMENT_CHARACTERS, 0) : start]
    return f"</{name}>" in tag.string[end : end + _MAX_ELEMENT_CHARACTERS]


def _is_in_row(found: re.Match[str]) -> bool:
    """True for markup in a row of a table."""
    line_start = found.string.rfind("\n", 0, found.start()) + 1
    return _ROW.match(found.string, line_start) is not None


def _without_emphasis(found: re.Match[str]) -> str:
    if found["code"] or found["escaped"]:
        return found[0]
    return found["emphasised"] or (found[0] if found[0] in _PYTHON_NAMES else found["stressed"])
