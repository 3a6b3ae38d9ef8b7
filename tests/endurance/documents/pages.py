"""Generated pages; each sentence contains markers of its document, version and section.

Two numbers are made for this: one of a version, one of each of its sections. They stand in every
sentence, so whatever piece of a page a search gives back tells where it is from, and a search for
one of them can only mean that version: a number has no ending, no parts and no kin.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from tests.files.office import docx_of

_WHOLE, _SECTION = "70907", "80908"
"""What the numbers begin with; then four digits of the document, four of the version, and two of
the section."""
_MARK = re.compile(rf"\b(?:{_WHOLE}(\d{{8}})|{_SECTION}(\d{{10}}))\b")
_MIN_SENTENCES, _MAX_SENTENCES = 3, 8
_NOUNS = """anvil barrel basin beacon bellows brick bridge bucket cabin canal candle carriage cellar
chimney cistern clock column compass copper cradle crane dairy ferry flour forge fountain furnace
garden gate glaze granary hammer harbor hinge kettle kiln ladder lantern lever loom meadow mill
mortar oven paddle pasture pebble pier pottery pulley quarry raft reservoir rope saddle sail shed
spindle stable tannery timber tower trellis tunnel valve vessel wagon wheel windmill workshop""".split()  # noqa: E501, SIM905
_VERBS = """carries closes cools covers drains empties feeds fills follows guides heats holds joins
lifts lowers marks moves opens protects raises replaces reaches seals shapes stops supports turns
warms washes weighs""".split()  # noqa: SIM905
_KINDS = """broad bright calm cracked deep dry early eastern empty fragile frozen heavy hollow
hidden late light narrow northern old painted patient quiet rough shallow slow small smooth steep
tall warm wet wooden""".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Mark:
    """The content of a marker."""

    document: int
    version: int
    section: int | None
    """None for the marker in every section."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one document."""

    document: int
    """The document's number; it stays the same when a deleted name is added again."""
    number: int
    """From 1, unique."""
    sections: int
    sentences: int = 3
    """In each section."""

    @property
    def marker(self) -> str:
        """The marker in the title and in every sentence."""
        return f"{_WHOLE}{self.document:04d}{self.number:04d}"

    def section_marker(self, section: int) -> str:
        """The marker in every sentence of a section."""
        return f"{_SECTION}{self.document:04d}{self.number:04d}{section:02d}"


def make_version(document: int, number: int) -> Version:
    """A version with a few sections; deterministic."""
    return Version(
        document, number, _random(document, number).randint(_MIN_SENTENCES, _MAX_SENTENCES)
    )


def marks(text: str) -> set[Mark]:
    """The content of every marker in a text."""
    found = set()
    for match in _MARK.finditer(text):
        digits = match[1] or match[2]
        section = int(digits[8:]) if match[2] else None
        found.add(Mark(int(digits[:4]), int(digits[4:8]), section))
    return found


def write(version: Version, name: str) -> bytes:
    """The version as a file, in the format of the name's suffix."""
    title, sections = _title(version), list(_sections(version))
    if name.endswith(".html"):
        parts = [f"<h2>{escape(head)}</h2>\n<p>{escape(text)}</p>" for head, text in sections]
        body = "\n".join((f"<h1>{title}</h1>", *parts))
        head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
        return f"<!doctype html>\n<html>{head}<body><main>{body}</main></body></html>\n".encode()
    if name.endswith(".docx"):
        return docx_of(title, *(text for _, text in sections))
    if name.endswith(".txt"):
        return "\n\n".join((title, *(text for _, text in sections))).encode()
    parts = [f"## {head}\n\n{text}" for head, text in sections]
    return "\n\n".join((f"# {title}", *parts, "")).encode()


def _title(version: Version) -> str:
    pick = _random(version.document, 0).choice
    return f"The {pick(_KINDS)} {pick(_NOUNS)} {version.marker}"


def _sections(version: Version) -> Iterator[tuple[str, str]]:
    """The heading and text of each section."""
    rng = _random(version.document, version.number)
    for section in range(version.sections):
        marked = f"{version.marker} {version.section_marker(section)}"
        sentences = [f"{sentence(rng)} ({marked})." for _ in range(version.sentences)]
        yield f"Of the {rng.choice(_NOUNS)}", " ".join(sentences)


def sentence(rng: random.Random) -> str:
    """A sentence without its full stop."""
    kind, noun, verb, other, when, is_ = (
        rng.choice(words) for words in (_KINDS, _NOUNS, _VERBS, _NOUNS, _NOUNS, _KINDS)
    )
    return f"The {kind} {noun} {verb} the {other} when the {when} is {is_}"


def question(rng: random.Random) -> str:
    """A natural-language question that such pages may answer."""
    kind, noun, verb, other = (rng.choice(words) for words in (_KINDS, _NOUNS, _VERBS, _NOUNS))
    return f"What is it that {verb} the {other} beside the {kind} {noun}?"


def _random(document: int, number: int) -> random.Random:
    return random.Random(f"{document}.{number}")  # made-up pages, no secrets
