"""Word to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

from typing import Any

import pytest
from docx import Document

from dataset.conversion.office import docx
from tests.files.hostile import repacked
from tests.files.office import CHANGED, docx_of, saved
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
