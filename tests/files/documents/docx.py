"""Writes a sample document as a Word file.

Word keeps the text of a paragraph in many kinds of runs: fields, content controls, tracked
insertions. Each plain piece is put into the next of them.
"""
# The library that makes the files ships no types.
# mypy: disable-error-code="import-untyped"

import re
from collections.abc import Iterator
from copy import deepcopy
from html import escape
from itertools import cycle
from typing import Any

from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from tests.files.documents.model import (
    ADDRESS,
    ALL_FEATURES,
    UNSEEN,
    Block,
    CodeBlock,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Paragraph,
    Piece,
    SampleDocument,
)
from tests.files.office import saved

FEATURES = ALL_FEATURES
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NAMESPACES = (
    f'xmlns:w="{_WORD}" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
_NOTES_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
_FIELD = "<w:r><w:fldChar w:fldCharType='{}'/></w:r>"
_SPACES = (
    "<w:t xml:space='preserve'> </w:t>", "<w:t xml:space='preserve'>\u00a0</w:t>", "<w:tab/>",
    "<w:br/>", "<w:cr/>", "<w:ptab w:alignment='right' w:relativeTo='margin' w:leader='none'/>",
)  # fmt: skip
_PLAIN = (
    "{}",
    "<w:ins w:id='1' w:author='x'>{}</w:ins>",
    "<w:moveTo w:id='2' w:author='x'>{}</w:moveTo>",
    "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>",
    "<w:fldSimple w:instr=' DOCPROPERTY x '>{}</w:fldSimple>",
    f"{_FIELD.format('begin')}<w:r><w:instrText> REF x </w:instrText></w:r>"
    f"{_FIELD.format('separate')}{{}}{_FIELD.format('end')}",
    "<w:smartTag w:uri='x' w:element='y'>{}</w:smartTag>",
    "<w:customXml w:uri='x' w:element='y'>{}</w:customXml>",
    "<w:bdo w:val='ltr'>{}</w:bdo>",
    "<w:dir w:val='ltr'>{}</w:dir>",
    "<w:hyperlink w:anchor='below'>{}</w:hyperlink>",
    f"{{}}<w:del w:id='3' w:author='x'><w:r><w:delText>{UNSEEN}</w:delText></w:r></w:del>",
    f"{{}}<w:r><w:rPr><w:vanish/></w:rPr><w:t>{UNSEEN}</w:t></w:r>",
    "{}<w:bookmarkStart w:id='4' w:name='below'/><w:bookmarkEnd w:id='4'/><w:proofErr w:type='x'/>",
)
"""What the runs of a plain piece may be in."""
_OLD_BOX = "<w:pict><v:shape><v:textbox><w:txbxContent/></v:textbox></v:shape></w:pict>"
_NEW_BOX = "<w:drawing><wps:wsp><wps:txbx><w:txbxContent/></wps:txbx></wps:wsp></w:drawing>"
_BOXES = (
    "",
    "<w:sdt {}><w:sdtContent/></w:sdt>",
    "<w:customXml w:uri='x' w:element='y' {}/>",
    f"<w:p {{}}><w:r>{_OLD_BOX}</w:r></w:p>",
    f"<w:p {{}}><w:r><mc:AlternateContent><mc:Choice Requires='wps'>{_NEW_BOX}</mc:Choice>"
    f"<mc:Fallback>{_OLD_BOX}</mc:Fallback></mc:AlternateContent></w:r></w:p>",
    "<w:tbl {}><w:tr><w:tc/></w:tr></w:tbl>",
)
"""What a paragraph may be in: nothing, a content control, text boxes, a table of one cell."""
_INNERMOST = [f"{{{_WORD}}}{name}" for name in ("sdtContent", "customXml", "txbxContent", "tc")]
_USED_STYLE = re.compile(r"(?i)normal$|heading \d$|list (?:bullet|number)|quote$|table grid$")
_PROPERTIES = {
    "emphasis": "<w:i/>",
    "strong": "<w:b/>",
    "code": "<w:rFonts w:ascii='Courier New' w:hAnsi='Courier New'/>",
    "superscript": "<w:vertAlign w:val='superscript'/>",
    "subscript": "<w:vertAlign w:val='subscript'/>",
}


class _DocxWriter:
    def __init__(self) -> None:
        self._document: Any = Document()
        _remove_unused(self._document)
        self._plain, self._boxes, self._spaces = cycle(_PLAIN), cycle(_BOXES), cycle(_SPACES)
        self._link = self._document.part.relate_to(
            ADDRESS, RELATIONSHIP_TYPE.HYPERLINK, is_external=True
        )

    def write(self, document: SampleDocument) -> bytes:
        for block in document.blocks:
            self._block(block)
        if document.notes:
            self._add_notes(document.notes)
        return saved(self._document)

    def _block(self, block: Block) -> None:
        match block:
            case Heading(level=level, line=line):
                self._add(line, f"Heading {level}")
            case Paragraph(line=line, quoted=quoted):
                self._put_into_box(self._add(line, "Quote" if quoted else "Normal"))
            case CodeBlock(lines=lines):
                for code in lines:
                    self._fill(self._document.add_paragraph(), (Piece(code, "code"),))
            case Listing(items=items, numbered=numbered):
                self._add_items(items, "List Number" if numbered else "List Bullet", 1)
            case Grid():
                self._add_table(block)

    def _add(self, line: Line, style: str) -> Any:
        paragraph = self._document.add_paragraph(style=style)
        self._fill(paragraph, line)
        return paragraph._p  # noqa: SLF001 (the library's own way to its XML)

    def _put_into_box(self, paragraph: Any) -> None:
        if xml := next(self._boxes):
            box = parse_xml(xml.format(_NAMESPACES))
            paragraph.addprevious(box)
            # Of a box in both formats, a program shows the one that it knows.
            for place in list(box.iter(*_INNERMOST)):
                place.append(deepcopy(paragraph))
            paragraph.getparent().remove(paragraph)

    def _add_items(self, items: tuple[Item, ...], style: str, depth: int) -> None:
        for item in items:
            self._add(item.line, style if depth == 1 else f"{style} {depth}")
            self._add_items(item.items, style, depth + 1)

    def _add_table(self, grid: Grid) -> None:
        columns = sum(cell.columns for cell in grid.rows[0])
        table = self._document.add_table(len(grid.rows), columns, "Table Grid")
        hanging: set[tuple[int, int]] = set()
        for down, row in enumerate(grid.rows):
            across = 0
            for cell in row:
                while (down, across) in hanging:
                    across += 1
                last = table.cell(down + cell.rows - 1, across + cell.columns - 1)
                place = table.cell(down, across)
                if last is not place:
                    place = place.merge(last)
                hanging |= {(down + below, across) for below in range(1, cell.rows)}
                self._fill(place.paragraphs[0], cell.line)
                across += cell.columns

    def _fill(self, paragraph: Any, line: Line) -> None:
        for element in self._elements(line):
            paragraph._p.append(element)  # noqa: SLF001 (the library's own way to its XML)

    def _elements(self, line: Line) -> Iterator[Any]:
        yield from parse_xml(f"<w:p {_NAMESPACES}>{''.join(self._pieces(line))}</w:p>")

    def _pieces(self, line: Line) -> Iterator[str]:
        for at, piece in enumerate(line):
            space = "" if piece.glued or not at else f"<w:r>{next(self._spaces)}</w:r>"
            followed = at + 1 < len(line) and line[at + 1].glued
            yield space + self._piece(piece, bare=piece.glued or followed)
            if piece.note:
                yield (
                    "<w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr>"
                    f"<w:footnoteReference w:id='{piece.note}'/></w:r>"
                )

    def _piece(self, piece: Piece, *, bare: bool) -> str:
        # Word cuts runs anywhere: at each correction, and at each change of language.
        properties = _PROPERTIES.get(piece.mark, "")
        cut = len(piece.text) // 2
        halves = _run(piece.text[:cut], properties) + _run(piece.text[cut:], properties)
        if piece.mark == "link":
            return f"<w:hyperlink r:id='{self._link}'>{halves}</w:hyperlink>"
        if piece.mark == "plain" and not bare:
            return next(self._plain).format(halves)
        return halves

    def _add_notes(self, notes: tuple[Line, ...]) -> None:
        mark = "<w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:footnoteRef/></w:r>"
        written = "".join(
            f"<w:footnote w:id='{at}'><w:p>{mark}{_run(' ', '')}{''.join(self._pieces(note))}</w:p>"
            "</w:footnote>"
            for at, note in enumerate(notes, start=1)
        )
        part = Part(
            PackURI("/word/footnotes.xml"),
            _NOTES_TYPE,
            f"<w:footnotes {_NAMESPACES}>{written}</w:footnotes>".encode(),
            self._document.part.package,
        )
        part.load_rel(RELATIONSHIP_TYPE.HYPERLINK, ADDRESS, self._link, is_external=True)
        self._document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)


def _remove_unused(document: Any) -> None:
    """Remove most of the library's template, which takes longer to read than the sample."""
    styles = document.styles.element
    for style in list(styles):
        if not style.tag.endswith("}style") or not _USED_STYLE.match(style.name_val):
            styles.remove(style)
    for name, relation in list(document.part.rels.items()):
        if relation.reltype.endswith("/stylesWithEffects"):
            del document.part.rels[name]


def _run(text: str, properties: str) -> str:
    if not text:
        return ""
    shown = f"<w:t xml:space='preserve'>{escape(text, quote=False)}</w:t>"
    return f"<w:r><w:rPr>{properties}</w:rPr>{shown}</w:r>"


def word_file(document: SampleDocument) -> bytes:
    """A Word file."""
    return _DocxWriter().write(document)
