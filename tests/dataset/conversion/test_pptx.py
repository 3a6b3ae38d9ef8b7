"""PowerPoint to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from dataset.conversion.office import pptx
from tests.files.hostile import part_of, repacked
from tests.files.office import pptx_of, saved
from utils.errors import DocumentError


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
