"""Word, PowerPoint, Excel and EPUB to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

import io
import zipfile
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from docx import Document
from openpyxl import Workbook
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from dataset.conversion import docx, epub, pptx, xlsx
from dataset.conversion.zip_container import Relationship, ZipContainer
from tests.files.hostile import part_of, repacked
from tests.files.office import CHANGED, docx_of, pptx_of, saved, xlsx_of
from utils.errors import DocumentError

GENERATED = ("Microsoft Word - a.doc", "Document1", "plan.docx", "Untitled")


def docx_text(document: Any) -> str:
    return docx.read_docx(saved(document), "").text.strip()


def test_docx_keeps_headings_lists_tables_and_emphasis() -> None:
    document = Document()
    document.add_heading("Harbour crane", 0)
    document.add_heading("Before you lift", 2)
    paragraph = document.add_paragraph("Check ")
    paragraph.add_run("all").bold = True
    paragraph.add_run(" of ").italic = True
    paragraph.add_run("it.")
    for text, style in (
        ("Brakes", "List Bullet"),
        ("spare ones", "List Bullet 2"),
        ("Lock", "List Bullet"),
        ("Start", "List Number"),
        ("Stop", "List Number"),
        ("Said the foreman", "Quote"),
    ):
        document.add_paragraph(text, style=style)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), "ab1|", strict=True):
        cell.text = text
    assert docx_text(document).split("\n\n") == [
        "# Harbour crane",
        "## Before you lift",
        "Check **all** *of* it.",
        "- Brakes\n  - spare ones\n- Lock",
        "1. Start\n2. Stop",
        "> Said the foreman",
        "| a | b |\n| --- | --- |\n| 1 | \\| |",
    ]


def test_docx_text_in_a_monospaced_font_is_code() -> None:
    document = Document()
    document.add_paragraph("Call ").add_run("lift(load)").font.name = "Courier New"
    for line in ("def lift(load):", "    return load"):
        document.add_paragraph().add_run(line).font.name = "Consolas"
    document.add_paragraph("x = 1\ny = 2", style="macro")
    assert docx_text(document) == (
        "Call `lift(load)`\n\n```\ndef lift(load):\n    return load\nx = 1\ny = 2\n```"
    )


@pytest.mark.parametrize(
    ("title", "style", "expected"),
    [
        ("Crane manual", "Normal", "Crane manual"),
        ("Crane manual", "Title", "Words."),
        *((name, "Normal", "") for name in GENERATED),
    ],
)
def test_docx_has_the_title_of_its_heading_or_author(title: str, style: str, expected: str) -> None:
    document = Document()
    document.add_paragraph("Words.", style=style)
    document.core_properties.title = title
    document.core_properties.modified = CHANGED
    converted = docx.read_docx(saved(document), "")
    assert (converted.title, converted.changed) == (expected, "2026-01-02T03:04:05Z")


def test_style_map_inside_a_docx_is_ignored() -> None:
    package = repacked(docx_of("Words."), {"mammoth/style-map": b"p => h1"})
    assert docx.read_docx(package, "").text == "Words.\n"


def test_docx_without_text_is_refused() -> None:
    with pytest.raises(DocumentError, match="contains no text"):
        docx.read_docx(saved(Document()), "")


def test_pptx_keeps_slides_lists_tables_links_and_notes() -> None:
    show = Presentation()
    opening = show.slides.add_slide(show.slide_layouts[0])
    opening.shapes.title.text = "Harbour crane"
    opening.placeholders[1].text = "A course"
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Before you *lift*"
    frame = slide.placeholders[1].text_frame
    frame.text = "Brakes"
    for text, level in (("spare ones", 1), ("Lock", 0)):
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level
    link = frame.add_paragraph().add_run()
    link.text, link.hyperlink.address = "page", "https://x.example/a"
    slide.notes_slide.notes_text_frame.text = "Say that\nthey are red."
    slide = show.slides.add_slide(show.slide_layouts[6])
    cells = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for at, text in enumerate("ab12"):
        cells.cell(at // 2, at % 2).text = text
    box = slide.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(1))
    box.text_frame.text = "Above the table"
    assert pptx.read_pptx(saved(show), "").text.strip().split("\n\n") == [
        "# Harbour crane",
        "A course",
        "## Before you \\*lift\\*",
        "- Brakes\n  - spare ones\n- Lock\n- [page](https://x.example/a)",
        "Notes: Say that",
        "they are red.",
        "## Slide 3",
        "Above the table",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
    ]


def test_pptx_chart_becomes_a_table_of_its_data() -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Loads"
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("Q1", (1.5, 2))
    data.add_series("Q2", (3, None))
    place = (Inches(1), Inches(2), Inches(4), Inches(3))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    assert pptx.read_pptx(saved(show), "").text.strip() == (
        "## Loads\n\n|  | Q1 | Q2 |\n| --- | --- | --- |\n| East | 1.5 | 3 |\n| West | 2 |  |"
    )


def test_hidden_slide_is_dropped() -> None:
    package = pptx_of("Shown", ["a"])
    slide = part_of(package, "ppt/slides/slide1.xml").replace(b"<p:sld ", b'<p:sld show="0" ')
    with pytest.raises(DocumentError, match="contains no text"):
        pptx.read_pptx(repacked(package, {"ppt/slides/slide1.xml": slide}), "")


def test_each_sheet_is_a_heading_and_each_block_of_cells_a_table() -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Limits"
    for row in (
        ["Loads of 2026"],
        ["Wind", "Load", "When", "At", "Both", "Safe"],
        [10, 40.5, date(2026, 1, 2), time(3, 4), datetime(2026, 1, 2, 3, 4), True],
        [],
        [None, "Name", "Note"],
        [None, "a|b", "one\ntwo"],
    ):
        sheet.append(row)
    hidden = book.create_sheet("Secret")
    hidden.append(["hidden"])
    hidden.sheet_state = "hidden"
    book.create_sheet("Empty")
    converted = xlsx.read_xlsx(saved(book), "")
    assert converted.changed[:4] == str(datetime.now(UTC).year)
    assert converted.text.strip().split("\n\n") == [
        "## Limits",
        "Loads of 2026",
        "| Wind | Load | When | At | Both | Safe |\n| --- | --- | --- | --- | --- | --- |\n"
        "| 10 | 40.5 | 2026-01-02 | 03:04:00 | 2026-01-02 03:04 | TRUE |",
        "| Name | Note |\n| --- | --- |\n| a\\|b | one<br>two |",
    ]


def test_sheet_with_too_many_columns_is_refused() -> None:
    with pytest.raises(DocumentError, match="1,000 columns"):
        xlsx.read_xlsx(xlsx_of([range(1001)]), "")


def epub_of(*chapters: str, **parts: str) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="text%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n, _ in enumerate(chapters)
    )
    order = "".join(f'<itemref idref="c{n}"/>' for n in reversed(range(len(chapters))))
    book = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc='
        '"http://purl.org/dc/elements/1.1/"><dc:title>The crane</dc:title>'
        '<meta property="dcterms:modified">2026-01-02T03:04:05Z</meta></metadata>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    root = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", root)
        archive.writestr("OEBPS/book.opf", book)
        for n, chapter in enumerate(chapters):
            archive.writestr(f"OEBPS/text {n}.xhtml", f"<!DOCTYPE html><body>{chapter}</body>")
        for name, content in parts.items():
            archive.writestr(f"META-INF/{name}.xml", content)
    return packed.getvalue()


def test_epub_chapters_are_in_reading_order() -> None:
    converted = epub.read_epub(epub_of("<h1>Two</h1><p>b", "<h1 id=one>One</h1><p>a"), "")
    assert converted.text == '# One<a name="one"></a>\n\na\n\n# Two\n\nb\n'
    assert (converted.title, converted.changed) == ("The crane", "2026-01-02T03:04:05Z")


def test_encrypted_epub_is_refused() -> None:
    lock = '<e xmlns:c="x"><c:CipherReference URI="OEBPS/text%200.xhtml"/></e>'
    with pytest.raises(DocumentError, match="protected by a password"):
        epub.read_epub(epub_of("<p>x", encryption=lock), "")


def test_container_lists_its_parts_and_relationships() -> None:
    container = ZipContainer(docx_of("x"), "docx")
    assert {"word/document.xml", "docProps/core.xml"} <= container.names
    assert Relationship("officeDocument", "word/document.xml", external=False) in (
        container.relationships("").values()
    )
