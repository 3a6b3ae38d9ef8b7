"""Computes the numbers that Word shows before paragraphs: `3.`, `2.1`, `b)`, `§ 4`."""

import re
from collections import defaultdict
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from dataset.conversion.numerals import numeral
from dataset.conversion.office.namespaces import W
from dataset.conversion.office.word.styles import WordStyles, value

_PLACE = re.compile(r"%([1-9])")
_MAX_LEVEL = 8


@dataclass(frozen=True, slots=True)
class ListLabel:
    """What Word shows before a paragraph of a list."""

    level: int
    """0 for the outermost items."""
    text: str
    """`2.1.` or `b)`; "" for a bullet."""


class WordNumbering:
    """Counts the items of a document's lists, which share counters across interruptions."""

    def __init__(self, numbering: Element | None, styles: WordStyles) -> None:
        """Read the part `numbering.xml`, if there is one."""
        self._styles = styles
        self._lists: dict[str, Element] = {}
        self._definitions: dict[str, Element] = {}
        for element in numbering if numbering is not None else ():
            if element.tag == f"{W}num":
                self._lists[element.get(f"{W}numId", "")] = element
            elif element.tag == f"{W}abstractNum":
                self._definitions[element.get(f"{W}abstractNumId", "")] = element
        self._counts: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._restarted: set[tuple[str, int]] = set()

    def label(self, paragraph: Element, style: str) -> ListLabel | None:
        """Count a paragraph, and return its label; None for one that is in no list."""
        number, stated = self._list_of(paragraph, style)
        definition = self._definition(number)
        if definition is None:
            return None
        level = stated if stated is not None else self._level_of_style(definition, style)
        if self._level(definition, number, level) is None:
            return None
        counts = self._count(definition, number, level)
        return self._shown(definition, number, level, counts)

    def _list_of(self, paragraph: Element, style: str) -> tuple[str, int | None]:
        """The list of a paragraph, by itself or its style, and its level where it states one."""
        own = paragraph.find(f"{W}pPr/{W}numPr")
        inherited = (one.find(f"{W}pPr/{W}numPr") for one in self._styles.chain(style))
        number, level = "", ""
        for found in (own, *inherited):
            number = number or value(found, "numId")
            level = level or (value(found, "ilvl") if found is own else "")
        return number, min(int(level), _MAX_LEVEL) if level.isdecimal() else None

    def _definition(self, number: str) -> Element | None:
        """The definition of a list, which may be in a list style."""
        seen: set[str] = set()
        while number in self._lists and number not in seen:
            seen.add(number)
            definition = self._definitions.get(value(self._lists[number], "abstractNumId"))
            if definition is None or not (linked := value(definition, "numStyleLink")):
                return definition
            style = next(self._styles.chain(linked), None)
            number = value(style, "pPr", "numPr", "numId")
        return None

    def _level_of_style(self, definition: Element, style: str) -> int:
        names = [one.get(f"{W}styleId") for one in self._styles.chain(style)]
        for level in definition.findall(f"{W}lvl"):
            at = level.get(f"{W}ilvl", "0")
            if value(level, "pStyle") in names and at.isdecimal():
                return min(int(at), _MAX_LEVEL)
        stated = (value(one, "pPr", "numPr", "ilvl") for one in self._styles.chain(style))
        found = next(filter(None, stated), "0")
        return min(int(found), _MAX_LEVEL) if found.isdecimal() else 0

    def _override(self, number: str, level: int) -> Element | None:
        found = self._lists[number].findall(f"{W}lvlOverride") if number in self._lists else []
        return next((one for one in found if one.get(f"{W}ilvl") == str(level)), None)

    def _level(self, definition: Element, number: str, level: int) -> Element | None:
        override = self._override(number, level)
        own = None if override is None else override.find(f"{W}lvl")
        if own is not None:
            return own
        levels = definition.findall(f"{W}lvl")
        return next((one for one in levels if one.get(f"{W}ilvl", "0") == str(level)), None)

    def _start(self, definition: Element, number: str, level: int) -> int:
        stated = value(self._override(number, level), "startOverride")
        stated = stated or value(self._level(definition, number, level), "start")
        return int(stated) if stated.isdecimal() and len(stated) < 9 else 1

    def _count(self, definition: Element, number: str, level: int) -> dict[int, int]:
        """Count an item: deeper levels begin again, and so does a list with its own start."""
        counts = self._counts[definition.get(f"{W}abstractNumId", "")]
        restarts = value(self._override(number, level), "startOverride") != ""
        if level not in counts or (restarts and (number, level) not in self._restarted):
            counts[level] = self._start(definition, number, level)
        else:
            counts[level] += 1
        self._restarted.add((number, level))
        for above in range(level):
            counts.setdefault(above, self._start(definition, number, above))
        for below in [at for at in counts if at > level]:
            restart = value(self._level(definition, number, below), "lvlRestart")
            if not restart.isdecimal() or level < int(restart):
                del counts[below]
        return counts

    def _shown(
        self, definition: Element, number: str, level: int, counts: dict[int, int]
    ) -> ListLabel | None:
        about = self._level(definition, number, level)
        text = None if about is None else about.find(f"{W}lvlText")
        shown = f"%{level + 1}." if text is None else text.get(f"{W}val", "").strip()
        if value(about, "numFmt") == "bullet":
            return ListLabel(level, "") if shown else None
        legal = about is not None and about.find(f"{W}isLgl") is not None

        def numeral_at(found: re.Match[str]) -> str:
            at = int(found[1]) - 1
            kind = value(self._level(definition, number, at), "numFmt")
            return numeral(counts.get(at, 1), "decimal" if legal and at < level else kind)

        label = _PLACE.sub(numeral_at, shown).strip()
        return ListLabel(level, label) if label else None
