"""The inside of a paragraph as markdown: emphasis, code, links."""

import re
from dataclasses import dataclass

from dataset.conversion.html.content import resolve_link
from dataset.conversion.html.tree import Element
from dataset.markdown_writer import code

_CODE = frozenset(("code", "tt", "kbd", "samp", "literal"))
_STRONG = frozenset(("strong", "b"))
_EMPHASIS = frozenset(("em", "i", "cite", "dfn", "var"))
_SPACES = re.compile(r"[ \t\n\r\f\v\u00a0\u2028\u2029\u202f]+")
_UNSEEN = re.compile(r"[\u00ad\u200b\u2060\ufeff\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MARKUP = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])"  # a backslash that would escape what follows
    r"|`|\*(?=\S)|(?<=\S)\*"
    r"|<(?=[A-Za-z/!?])"
    r"|\[(?=[^\[\]]{0,300}\]\()"
)
_LINE_MARK = re.compile(
    r"(?m)^(?=(?:#{1,6}|[-+]|={3,}|-{3,}|~{3,}|>)(?:\s|$)|>|~{3})|^(\d{1,9})(?=[.)]\s)"
)
_PERMALINK = re.compile(
    r"[¶#§🔗↑↩\s]*|(?:permanent |perma)?link(?: to this .{0,40})?", re.IGNORECASE
)
_NO_WORDS = re.compile(
    r"(?:image|img|icon|logo|screenshot)?|.*NOT AVAILABLE.*|\S+\.(?:png|jpe?g|gif|svg|webp)",
    re.IGNORECASE,
)
_UNSAFE_IN_ADDRESS = str.maketrans(
    {" ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E", "\\": "%5C", "\n": "", "\t": ""}
)


@dataclass(frozen=True, slots=True)
class Inline:
    """Writes what stands in a line, links relative to a base."""

    base: str = ""

    def write(self, items: list[Element | str]) -> str:
        """Put pieces of a paragraph into lines; each `<br>` ends one."""
        text = self._pieces(items)
        lines = (_SPACES.sub(" ", line).strip() for line in text.split("\v"))
        return guarded("\n".join(line for line in lines if line))

    def one_line(self, items: list[Element | str]) -> str:
        """Put pieces into a single line, as headings and cells need it."""
        return _SPACES.sub(" ", self._pieces(items).replace("\v", " ")).strip()

    def _pieces(self, items: list[Element | str]) -> str:
        return "".join(escaped(one) if isinstance(one, str) else self._piece(one) for one in items)

    def _piece(self, element: Element) -> str:
        tag = element.tag
        if tag == "br":
            return "\v"
        if tag == "img":
            return image_words(element)
        if tag == "math" and element.get("alttext"):
            return f" {code(element.get('alttext'))} "
        if tag in _CODE or (tag == "span" and "literal" in element.classes()):
            before, words, after = _edges(_UNSEEN.sub("", element.text()))
            return f"{before}{code(' '.join(words.split()))}{after}" if words else before
        inside = self._pieces(element.children)
        if tag == "a":
            return self._link(element, inside)
        if tag in _STRONG or tag in _EMPHASIS:
            return _marked("**" if tag in _STRONG else "*", inside)
        if tag == "q":
            return f'"{inside}"'
        if tag in ("sup", "sub") and inside.strip().startswith(("[", "\\[")):
            return ""  # a reference to a note
        return inside

    def _link(self, element: Element, inside: str) -> str:
        before, words, after = _edges(inside.replace("\v", " "))
        target = element.get("href").strip()
        if is_permalink(element):
            return before
        address = resolve_link(self.base, target) if target else ""
        if not words or not address or not self._leads_somewhere(address):
            return f"{before}{words}{after}"
        return f"{before}[{words}]({address.translate(_UNSAFE_IN_ADDRESS)}){after}"

    def _leads_somewhere(self, address: str) -> bool:
        if address.startswith(("http://", "https://")):
            return True
        # Without a base, a link to another page still tells its name.
        return not self.base and not address.startswith("#") and ":" not in address.split("/")[0]


def guarded(lines: str) -> str:
    """Lines of a paragraph, none of which begins as a heading, list or quotation would."""
    return _LINE_MARK.sub(_escaped_mark, lines)


def escaped(text: str) -> str:
    """Text in which nothing is read as markup that was none."""
    return _MARKUP.sub(lambda found: "\\" + found[0], _UNSEEN.sub("", text).replace("\v", " "))


def linked(words: str, address: str) -> str:
    """Words that lead to an address on the web; to anything else they lead nowhere."""
    if not words.strip() or not address.startswith(("http://", "https://")):
        return words
    before, inside, after = _edges(words)
    return f"{before}[{inside}]({address.translate(_UNSAFE_IN_ADDRESS)}){after}"


def image_words(element: Element) -> str:
    """What an image shows, where its page says so."""
    words = " ".join(element.get("alt").split())
    return "" if _NO_WORDS.fullmatch(words) else escaped(words)


def is_permalink(element: Element) -> bool:
    """Whether a link only leads to the heading that it stands in."""
    if element.tag != "a" or not element.get("href").startswith("#"):
        return False
    known = {"headerlink", "anchor", "anchor-link", "hash-link", "heading-anchor", "anchorjs-link"}
    words = element.words()
    return bool(known.intersection(element.classes())) or (
        len(words) < 60 and _PERMALINK.fullmatch(words) is not None
    )


def _marked(mark: str, inside: str) -> str:
    if "\v" in inside or "\n\n" in inside:
        return inside
    before, words, after = _edges(inside)
    if not words or words.startswith(("*", "\\*")) or words.endswith("*"):
        return inside
    return f"{before}{mark}{words}{mark}{after}"


def _edges(text: str) -> tuple[str, str, str]:
    """Part a text from the space around it, which stays outside the markup."""
    inside = text.strip()
    before = " " if text[:1].isspace() else ""
    return before, inside, " " if inside and text[-1:].isspace() else ""


def _escaped_mark(found: re.Match[str]) -> str:
    return f"{found[1]}\\" if found[1] else "\\"
