r"""Shows active content as text: HTML, links to addresses of no passage, images and source lists.

An answer is data: a client that renders it must run, fetch or link nothing that a hostile passage,
question or model put into it. Outside of code

- HTML is shown as `&lt;script>`, and what is no element, as a placeholder, `\<bucket-name>`;
- a link to an address that occurs in no passage becomes its words and its address as code, and so
  does such an address alone, which many clients link: none links it in code;
- an image becomes its source, `!\[alt]`, and the definition of a link's address text;
- a list headed like one of the service's own, `Sources:`, is marked as the text's.

Code is delivered as it is written. That every client takes the same parts for code is enforced: a
backtick that opens none is escaped, and `code_layout.py` keeps fences and tables unambiguous.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from database.searching.passage import Passage
from inference_worker.answer import Unsupported, UnsupportedKind
from inference_worker.grounding import active_patterns as patterns
from inference_worker.grounding.active_patterns import CODE
from inference_worker.grounding.checkable_items import Item
from inference_worker.grounding.code_layout import (
    CurrentLine,
    FencedCode,
    columns,
    splits_in_cells,
)
from inference_worker.grounding.evidence import PassageEvidence
from inference_worker.grounding.markup import Mark, MarkupReader
from inference_worker.grounding.visible_text import visible

_UNCHECKED = " (as this text names them, unchecked)"
_MARK_IN_CODE = re.compile(r"[\\`]")
_WORD = re.compile(r"\w")
_LINKED = re.compile(r"https?://|mailto:", re.IGNORECASE)
_MAIL_NAME = re.compile(r"[\w.+-]+\Z")
_MAX_MAIL_NAME = 64

_Decision = tuple[str, int] | None
"""What is shown, and where the text after it begins; None while undecided."""


class ActiveContentFilter:
    """Filters a text that arrives in pieces; the result does not depend on how it is cut."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.shown: list[Unsupported] = []
        """The HTML and the addresses that are shown as text, with their places in the result."""
        self._passages = passages
        self._reader = MarkupReader()
        self._text = "\n"
        """The text that is undecided, and the character before it."""
        self._codes: deque[str] = deque()
        """The inline code in it."""
        self._fenced: FencedCode | None = None
        self._line = CurrentLine()
        self._length = 0
        self._drops_bracket = False

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final."""
        return "".join(self._filtered(self._reader.feed(piece.replace(CODE, ""))))

    def finish(self) -> str:
        """Return the remaining text."""
        return "".join([*self._filtered(self._reader.finish()), *self._decided(final=True)])

    def _filtered(self, marks: Iterable[Mark]) -> Iterator[str]:
        for mark in marks:
            if mark.kind == "fence":
                yield from self._code_line(mark)
                continue
            if mark.kind == "code":
                self._codes.append(mark.text)
                self._text += CODE
            else:
                self._text += self._without_code(mark.text)
            yield from self._decided(final=False)

    # Code

    def _code_line(self, mark: Mark) -> Iterator[str]:
        """Show a part of fenced code: its opening fence, or its lines."""
        if mark.edge == "open":
            yield from self._open_fence()
        text, fenced = mark.text, self._fenced
        if fenced and not self._line.text:
            text = fenced.closing_fence(text) if mark.edge == "close" else fenced.line(text)
        yield self._shown(text)
        self._text = text[-1:]
        if mark.edge == "close":
            self._line = CurrentLine()

    def _open_fence(self) -> Iterator[str]:
        """Show what is before a fence on its line; one after a list's mark begins a new line."""
        space = self._text[1:]
        if self._line.text or space.strip():
            yield from self._decided(final=True)
            self._fenced = FencedCode(columns(self._line.text))
            yield self._shown("\n")
        else:
            self._fenced = FencedCode(columns(space))
        yield self._shown(self._fenced.margin)

    def _inline_code(self, at: int) -> tuple[str, int]:
        code = self._codes.popleft()
        if splits_in_cells(code) and self._line.is_row:
            parts = _MARK_IN_CODE.sub(r"\\\g<0>", code)
            self._text = self._text[:at] + parts + self._text[at + 1 :]
            return "", at
        self._line.has_bar_in_code |= splits_in_cells(code)
        return self._apart(code), at + 1

    def _apart(self, code: str) -> str:
        """Separate inline code from a backtick or backslash before it, which would change it."""
        return f" {code}" if self._line.text.endswith(("`", "\\")) else code

    def _without_code(self, text: str) -> str:
        """Escape what opens no code, but might do so together with what follows."""
        line = (self._line.text + self._text[1:]).rpartition("\n")[2]
        if text.startswith("~~~") and not _WORD.search(line):
            return text.replace("~", "\\~")
        return text if text[0] == "\\" else text.replace("`", "\\`")

    # Text

    def _decided(self, *, final: bool) -> Iterator[str]:
        """Show the text up to what is undecided."""
        at = 1
        undecided = 0
        while at < len(self._text):
            is_plain = not patterns.NEEDED.search(self._text, at)  # most text is
            find = patterns.ACTIVE.match if is_plain else patterns.ACTIVE.search
            found = find(self._text, at)
            if undecided < at:
                undecided = len(self._text) if final else self._undecided(at)
            start = min(found.start() if found else undecided, undecided)
            yield self._shown(self._text[at:start])
            at = start
            decision = self._decision(found, final=final) if found and start < undecided else None
            if decision is None:
                break
            shown, at = decision
            yield self._shown(shown)
        self._text = self._text[at - 1 :]

    def _undecided(self, at: int) -> int:
        """Where the end of the text that may begin something active starts."""
        begin = max(at, len(self._text) - patterns.MAX_UNDECIDED)
        found = patterns.UNDECIDED.search(self._text, begin)
        return found.start() if found else len(self._text)

    def _decision(self, found: re.Match[str], *, final: bool) -> _Decision:
        text, start, end = self._text, found.start(), found.end()
        match found.lastgroup:
            case "heading":
                is_heading = patterns.is_heading(text, end, final=final)
                shown = found[0] + _UNCHECKED * bool(is_heading)
                return None if is_heading is None else (shown, end)
            case "rule":
                return self._line.without_table(found[0]), end
            case "tag":
                return self._tag(end - 1, final=final)
            case "entity":
                is_disguise = patterns.is_disguise(text, start, final=final)
                return None if is_disguise is None else ("&amp;" if is_disguise else "&", end)
            case "image":
                is_image = patterns.is_image(text, end, final=final)
                return None if is_image is None else ("!\\[", end + 1) if is_image else ("!", end)
            case "label":
                is_dead = self._is_dead(end, has_label=True, final=final)
                self._drops_bracket = bool(is_dead)
                return None if is_dead is None else ("" if is_dead else "[", start + 1)
            case "end":
                return self._end_of_label(end, final=final)
            case "address":
                address = patterns.address_at(text, start, final=final)
                return None if address is None else self._address(address, start, end)
            case "mail":
                return self._mail(start, final=final)
            case "code":
                return self._inline_code(start)
        return found[0], end

    def _tag(self, at: int, *, final: bool) -> _Decision:
        """Show an angle bracket at `at`, unless it begins an autolink to a known address."""
        tag = patterns.tag_at(self._text, at, final=final)
        if tag is None:
            return None
        if isinstance(tag, re.Match):
            return (
                (tag[0], at + len(tag[0])) if self._is_known(tag["address"]) else ("&lt;", at + 1)
            )
        if tag and self._text[at + 1] != "/":
            self._record("html", f"&lt;{tag}", 0)
        return "&lt;" if tag else "\\<", at + 1

    def _is_dead(self, at: int, *, has_label: bool, final: bool) -> bool | None:
        """Whether the link whose label ends before `at` must not be one."""
        if self._text[at] == "(":
            target = patterns.target_at(self._text, at, final=final)
        elif patterns.may_define(self._line.text, has_label=has_label):
            target = patterns.definition_at(self._text, at, final=final)
        else:
            return False
        return None if target is None else not self._is_live(target)

    def _is_live(self, target: patterns.LinkTarget) -> bool:
        is_linked = target.is_plain and _LINKED.match(target.address)
        return target.address == CODE or bool(is_linked and self._is_known(target.address))

    def _end_of_label(self, at: int, *, final: bool) -> _Decision:
        """Show the bracket before `at` that ends a link's label, and the address after it."""
        was_dropped, self._drops_bracket = self._drops_bracket, False
        is_dead = was_dropped or self._is_dead(at, has_label=False, final=final)
        if is_dead is None:
            return None
        if not is_dead:
            return "]", at
        bracket = "" if was_dropped else "]"
        if self._text[at] == ":":
            return ":" if was_dropped else "]\\:", at + 1
        target = patterns.target_at(self._text, at, final=True)
        address = target.address if target else ""
        if not address:
            return f"{bracket} (", at + 1
        self._record("url", address, len(f"{bracket} (`"))
        return f"{bracket} (`{address}`", at + 1 + len(address)

    def _address(self, address: str, start: int, end: int) -> tuple[str, int]:
        """Show an address alone."""
        is_known = self._is_known(address)
        if not address or (is_known and "<" not in address):
            return address or self._text[start:end], start + len(address) or end
        return self._as_code(address, is_known=is_known), start + len(address)

    def _mail(self, at: int, *, final: bool) -> _Decision:
        """Show the host of a mail address as code, which suffices: the name has been shown."""
        host = patterns.mail_domain_at(self._text, at, final=final)
        if host is None:
            return None
        name = _MAIL_NAME.search(self._line.text[-_MAX_MAIL_NAME:])
        if not host or (name and self._is_known(name[0] + host)):
            return self._text[at], at + 1
        return self._as_code(host), at + len(host)

    def _as_code(self, address: str, *, is_known: bool = False) -> str:
        code = self._apart(f"`{address}`")
        if not is_known:
            self._record("url", address, code.index("`") + 1)
        return code

    def _is_known(self, address: str) -> bool:
        """Whether the address occurs in a passage."""
        sought = address.removeprefix("mailto:")
        item = Item("url", sought, 0, len(sought))
        return any(passage.contains(item) for passage in self._evidence)

    @cached_property
    def _evidence(self) -> list[PassageEvidence]:
        """The text and the address of each passage; its title may name any address."""
        return [
            PassageEvidence(
                "\n".join((each.text, each.chunk.url, each.chunk.url.partition("#")[0]))
            )
            for each in self._passages
        ]

    def _record(self, kind: UnsupportedKind, text: str, offset: int) -> None:
        start = self._length + offset
        self.shown.append(Unsupported(kind, text, start, start + len(text)))

    def _shown(self, text: str) -> str:
        """Return text that is final."""
        self._line.add(text)
        self._length += len(text)
        return text


def without_active_content(text: str, passages: Sequence[Passage] = ()) -> str:
    """A whole text with its active content shown, and without what is invisible."""
    active = ActiveContentFilter(passages)
    return active.feed(visible(text)) + active.finish()
