"""PowerPoint to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from dataset.conversion.office import pptx
from dataset.conversion.office.namespaces import A14
from tests.files.hostile import part_of, repacked
from tests.files.office import pptx_of, saved
from tests.files.word import strict
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


def slide_with(xml: str, title: str = "Plans") -> bytes:
    """A presentation of one slide, with shapes of hand-written XML after its title."""
    package = pptx_of(title, [])
    slide = part_of(package, "ppt/slides/slide1.xml").decode()
    uri = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    slide = slide.replace("<p:sld ", f'<p:sld xmlns:m="{uri}" xmlns:a14="{A14[1:-1]}" ')
    slide = slide.replace("</p:spTree>", f"{xml}</p:spTree>")
    return repacked(package, {"ppt/slides/slide1.xml": slide.encode()})


def shape(paragraphs: str, about: str = "") -> str:
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="9" name="" {about}/><p:cNvSpPr/><p:nvPr/></p:nvSpPr>'
        f"<p:spPr/><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"
    )


def shown_in(xml: str) -> str:
    return pptx.read_pptx(slide_with(xml), "").text.removeprefix("## Plans").strip()


def test_strict_open_xml_is_read() -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Strict"
    place = (Inches(1), Inches(2), Inches(4), Inches(3))
    cells = slide.shapes.add_table(2, 1, *place).table
    cells.cell(0, 0).text, cells.cell(1, 0).text = "Slots", "92"
    data = CategoryChartData()
    data.categories = ["East"]
    data.add_series("Q1", (1.5,))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    assert pptx.read_pptx(strict(saved(show)), "").text.strip().split("\n\n") == [
        "## Strict",
        "| Slots |\n| --- |\n| 92 |",
        "|  | Q1 |\n| --- | --- |\n| East | 1.5 |",
    ]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ((("2", 0), ("3", 30000), ("2", 30000), (" rows", 0)), "2^32 rows"),
        ((("x", 0), ("max", -25000)), "x_max"),
        ((("x", 0), ("n-1", "30%")), "x^(n-1)"),
        ((("1", 0), ("st", 30000)), "1st"),
        ((("10", 0), ("6", "0")), "106"),
    ],
)
def test_raised_and_lowered_text_keeps_its_meaning(
    runs: tuple[tuple[str, int | str], ...], expected: str
) -> None:
    shown = "".join(
        f'<a:r><a:rPr baseline="{baseline}"/><a:t>{text}</a:t></a:r>' for text, baseline in runs
    )
    assert shown_in(shape(f"<a:p>{shown}</a:p>")) == expected


def test_cell_that_spans_rows_counts_in_each() -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    place = (Inches(1), Inches(3), Inches(4), Inches(1))
    cells = slide.shapes.add_table(4, 2, *place).table
    for at, text in enumerate(("Plan", "Limit", "small", "3 seats", "", "4 GB", "all", "")):
        cells.cell(at // 2, at % 2).text = text
    cells.cell(1, 0).merge(cells.cell(2, 0))
    cells.cell(3, 0).merge(cells.cell(3, 1))
    assert pptx.read_pptx(saved(show), "").text.strip().split("\n\n")[1] == (
        "| Plan | Limit |\n| --- | --- |\n| small | 3 seats |\n| small | 4 GB |\n| all |  |"
    )


def test_automatic_numbers_continue() -> None:
    def item(text: str, mark: str, level: int = 0) -> str:
        return f'<a:p><a:pPr lvl="{level}">{mark}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'

    number, letter = (f'<a:buAutoNum type="{kind}"/>' for kind in ("arabicPeriod", "alphaLcParenR"))
    paragraphs = (
        *(item("one", number), item("two", number), item("first", letter, 1)),
        *(item("second", letter, 1), item("three", number), item("words", "<a:buNone/>")),
        item("seven", '<a:buAutoNum type="arabicPeriod" startAt="7"/>'),
    )
    assert shown_in(shape("".join(paragraphs))) == (
        "1. one\n2. two\n  - a) first\n  - b) second\n3. three\n\nwords\n\n7. seven"
    )


def test_formula_on_a_slide_is_text() -> None:
    power = (
        "<m:sSup><m:e><m:r><m:t>2</m:t></m:r></m:e><m:sup><m:r><m:t>n</m:t></m:r></m:sup></m:sSup>"
    )
    formula = f"<a14:m><m:oMathPara><m:oMath>{power}</m:oMath></m:oMathPara></a14:m>"
    assert shown_in(shape(f"<a:p><a:r><a:t>At most</a:t></a:r>{formula}</a:p>")) == "At most 2^n"


def test_hidden_shape_is_not_read() -> None:
    words = "<a:p><a:r><a:t>{}</a:t></a:r></a:p>"
    group = f"<p:grpSp><p:nvGrpSpPr/><p:grpSpPr/>{shape(words.format('grouped'))}</p:grpSp>"
    assert shown_in(shape(words.format("secret"), 'hidden="1"') + group) == "grouped"


def test_outer_categories_of_a_chart_are_before_the_inner_ones() -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "Loads"
    data = CategoryChartData()
    for year in ("2025", "2026"):
        parent = data.add_category(year)
        for half in ("H1", "H2"):
            parent.add_sub_category(half)
    data.add_series("Load", (1, 2, 3, 4))
    place = (Inches(1), Inches(2), Inches(4), Inches(3))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
    assert pptx.read_pptx(saved(show), "").text.strip().split("\n\n")[1] == (
        "|  | Load |\n| --- | --- |\n| 2025 H1 | 1 |\n| 2025 H2 | 2 |\n"
        "| 2026 H1 | 3 |\n| 2026 H2 | 4 |"
    )
