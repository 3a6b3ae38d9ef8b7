"""Rewrites the text of a Word file into what Word shows, in elements that mammoth reads.

Hidden and deleted text, and the code of fields, is dropped. Content controls, fields and runs of
another direction are replaced by their content, and ruby, formulas, charts and shapes by text.
Paragraphs in lists state their label between two marks.
"""

import re
from itertools import takewhile, zip_longest
from typing import ClassVar
from xml.etree.ElementTree import Element

from dataset.conversion.office.formulas import formula_text
from dataset.conversion.office.namespaces import MC, M, V, W
from dataset.conversion.office.word.drawings import (
    BOX,
    GetPart,
    alternative_of,
    drawn_parts,
    drawn_text,
)
from dataset.conversion.office.word.elements import (
    word_characters,
    word_element,
    word_label,
)
from dataset.conversion.office.word.fields import drop_field_codes, form_state
from dataset.conversion.office.word.numbering import WordNumbering
from dataset.conversion.office.word.styles import WordStyles, is_on, value


def _tags(names: str) -> frozenset[str]:
    return frozenset(f"{W}{name}" for name in names.split())


_CONTAINERS = _tags("bdo dir smartTag customXml ins moveTo sdt sdtContent") | {f"{M}oMathPara"}
_DROPPED = _tags("del moveFrom sdtPr sdtEndPr smartTagPr customXmlPr commentReference")
_PROPERTIES = _tags("pPr rPr tblPr tblGrid trPr tcPr sectPr")
_FIELDS = _tags("fldChar instrText")
_NOTES = _tags("footnoteReference endnoteReference")
_SHOWN = _tags("t sym drawing") | _NOTES
_MAX_DEPTH = 4
"""Mammoth knows five levels of lists."""
_PRIVATE = re.compile("[\uf020-\uf0ff]")
_SYMBOL_FONTS = ("Symbol", "Webdings", "Wingdings", "Wingdings 2", "Wingdings 3")


class WordText:
    """Rewrites one part: the document, its footnotes or its endnotes."""

    def __init__(self, styles: WordStyles, numbering: WordNumbering, part: GetPart) -> None:
        """Take the definitions that the text refers to."""
        self._styles = styles
        self._numbering = numbering
        self._part = part
        self._style = ""
        self._font = ""

    def rewrite(self, element: Element) -> None:
        """Rewrite the content of an element."""
        element[:] = [new for child in element for new in self._rewritten(child)]
        _end_joining(element)

    def _rewritten(self, element: Element) -> list[Element]:
        """The elements that replace one."""
        tag = element.tag
        if tag in _PROPERTIES:
            return [element]
        if tag in _DROPPED:
            return []
        if tag in _CONTAINERS:
            self.rewrite(element)
            return list(element)
        if tag == f"{MC}AlternateContent":
            return [new for child in alternative_of(element) for new in self._rewritten(child)]
        replace = self._REPLACED.get(tag)
        if replace is not None:
            return replace(self, element)
        self.rewrite(element)
        return [element]

    def _paragraph(self, element: Element) -> list[Element]:
        around, self._style = self._style, value(element, "pPr", "pStyle") or self._styles.default
        self.rewrite(element)
        drop_field_codes(element)
        self._label(element)
        self._style = around
        return [element]

    def _label(self, paragraph: Element) -> None:
        """Put the label of a paragraph in a list before its text, and itself into our list."""
        about = paragraph.find(f"{W}pPr")
        is_empty = not any(below.tag in _SHOWN for below in paragraph.iter())
        if about is None:
            paragraph.insert(0, about := Element(f"{W}pPr"))
        gone = any(about.find(f"{W}rPr/{W}{name}") is not None for name in ("del", "moveFrom"))
        gone = gone or (is_empty and self._styles.is_hidden(about, self._style))
        label = None if gone else self._numbering.label(paragraph, self._style)
        for listed in about.findall(f"{W}numPr"):
            about.remove(listed)
        if label is not None and not is_empty:
            level = Element(f"{W}ilvl", {f"{W}val": str(min(label.level, _MAX_DEPTH))})
            about.append(word_element(f"{W}numPr", level, Element(f"{W}numId", {f"{W}val": "1"})))
            if label.text:
                paragraph.insert(1, word_label(label.text))

    def _run(self, element: Element) -> list[Element]:
        if self._styles.is_hidden(element, self._style):
            element[:] = [child for child in element if child.tag in _FIELDS]
            return [element] if len(element) else []
        self._font = next((one.get(f"{W}ascii", "") for one in element.iter(f"{W}rFonts")), "")
        alignment = self._styles.alignment(element, self._style)
        self.rewrite(element)
        if alignment:
            is_note = any(child.tag in _NOTES for child in element)  # mammoth raises its mark
            _align(element, "" if is_note else alignment)
        return [element]

    def _table(self, element: Element) -> list[Element]:
        self.rewrite(element)
        element[:] = [child for child in element if child.tag in _PROPERTIES | {f"{W}tr"}]
        rows = element.findall(f"{W}tr")
        heads = len(list(takewhile(_is_head, rows)))
        for row in rows[1 if heads == len(rows) else heads :]:
            row[:] = [child for child in row if child.tag != f"{W}trPr"]
        return [element]

    def _row(self, element: Element) -> list[Element]:
        about = element.find(f"{W}trPr")
        if about is not None:
            hidden = about.find(f"{W}hidden")
            if about.find(f"{W}del") is not None:
                return []
            if hidden is not None and is_on(hidden.get(f"{W}val", "1")):
                return []
        self.rewrite(element)
        skipped = value(about, "gridBefore")
        gap = int(skipped) if skipped.isdecimal() and len(skipped) < 4 else 0
        cells = [child for child in element if child.tag in _PROPERTIES | {f"{W}tc"}]
        element[:] = [*(Element(f"{W}tc") for _ in range(gap)), *cells]
        return [element]

    def _drawing(self, element: Element) -> list[Element]:
        """Keep a drawing's pictures, and put everything else after the paragraph."""
        after = Element(f"{W}pict")
        for drawn in drawn_parts(element):
            if drawn.tag == BOX:
                self.rewrite(drawn)
                after.extend(drawn)
            else:
                after.extend(drawn_text(drawn, self._part))
        if not len(after):
            return [element]
        is_drawing = element.tag == f"{W}drawing"
        return [*([element] if is_drawing else element.iter(f"{V}imagedata")), after]

    def _formula(self, element: Element) -> list[Element]:
        return [word_element(f"{W}r", word_characters(formula_text(element)))]

    def _simple_field(self, element: Element) -> list[Element]:
        """Write a field as the runs of a complex one, from which mammoth reads links."""
        self.rewrite(element)
        code = Element(f"{W}instrText")
        code.text = element.get(f"{W}instr")
        begin, middle, end = (
            Element(f"{W}fldChar", {f"{W}fldCharType": kind})
            for kind in ("begin", "separate", "end")
        )
        return [word_element(f"{W}r", begin, code, middle), *element, word_element(f"{W}r", end)]

    def _ruby(self, element: Element) -> list[Element]:
        """Write a word's reading after it in parentheses."""
        base = "".join(text.text or "" for text in element.iterfind(f"{W}rubyBase//{W}t"))
        reading = "".join(text.text or "" for text in element.iterfind(f"{W}rt//{W}t"))
        return [word_characters(f"{base}({reading})" if reading.strip() else base)]

    def _field_mark(self, element: Element) -> list[Element]:
        """Write the state of a form's checkbox or list before the field."""
        shown = form_state(element)
        element[:] = []
        return [word_characters(shown), element] if shown else [element]

    def _field_code(self, element: Element) -> list[Element]:
        return [] if "FORMCHECKBOX" in (element.text or "") else [element]

    def _break(self, _: Element) -> list[Element]:
        return [Element(f"{W}br")]

    def _tab(self, _: Element) -> list[Element]:
        return [Element(f"{W}tab")]

    def _hyphen(self, _: Element) -> list[Element]:
        return [word_characters("-")]

    def _characters(self, element: Element) -> list[Element]:
        """Replace the characters of a symbol font, which are private ones, by symbols."""
        text = element.text or ""
        if self._font not in _SYMBOL_FONTS or not _PRIVATE.search(text):
            return [element]
        return [
            Element(f"{W}sym", {f"{W}font": self._font, f"{W}char": f"{ord(one):04X}"})
            if _PRIVATE.match(one)
            else word_characters(one)
            for one in text
        ]

    def _symbol(self, element: Element) -> list[Element]:
        """Replace a symbol of a text font by its character; mammoth knows the symbol fonts."""
        font, code = element.get(f"{W}font", ""), element.get(f"{W}char", "")
        if not re.fullmatch(r"[0-9A-Fa-f]{1,5}", code):
            return []
        element.set(f"{W}char", code.upper())
        is_private = 0xE000 <= int(code, 16) <= 0xF8FF
        is_known = is_private or font in _SYMBOL_FONTS
        return [element] if is_known else [word_characters(chr(int(code, 16)))]

    _REPLACED: ClassVar = {
        f"{W}p": _paragraph,
        f"{W}fldSimple": _simple_field,
        f"{W}r": _run,
        f"{W}tbl": _table,
        f"{W}tr": _row,
        f"{W}drawing": _drawing,
        f"{W}pict": _drawing,
        f"{M}oMath": _formula,
        f"{W}ruby": _ruby,
        f"{W}fldChar": _field_mark,
        f"{W}instrText": _field_code,
        f"{W}br": _break,
        f"{W}cr": _break,
        f"{W}ptab": _tab,
        f"{W}noBreakHyphen": _hyphen,
        f"{W}t": _characters,
        f"{W}sym": _symbol,
    }


def _end_joining(element: Element) -> None:
    """Keep paragraphs apart whose deleted mark joins them with something else than a paragraph."""
    blocks = [child for child in element if child.tag in (f"{W}p", f"{W}tbl")]
    for block, following in zip_longest(blocks, blocks[1:]):
        about = block.find(f"{W}pPr/{W}rPr")
        if about is not None and (following is None or following.tag == f"{W}tbl"):
            for mark in about.findall(f"{W}del"):
                about.remove(mark)


def _is_head(row: Element) -> bool:
    mark = row.find(f"{W}trPr/{W}tblHeader")
    return mark is not None and is_on(mark.get(f"{W}val", "1"))


def _align(run: Element, alignment: str) -> None:
    about = run.find(f"{W}rPr")
    if about is None:
        run.insert(0, about := Element(f"{W}rPr"))
    for stated in about.findall(f"{W}vertAlign"):
        about.remove(stated)
    about.append(Element(f"{W}vertAlign", {f"{W}val": alignment}))
