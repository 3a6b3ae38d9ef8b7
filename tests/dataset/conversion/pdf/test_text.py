"""Words and numbers of a PDF: hyphens at line ends, superscripts, marks of lists."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import pytest
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import ListFlowable, PageBreak, Paragraph, Spacer

from tests.dataset.conversion.pdf.converted import text_of
from tests.files.pdf import (
    SENTENCE,
    drawn,
    in_other_scripts,
    lines_at,
    of_objects,
    one_page,
    paragraph,
    pdf_of,
    stream,
    table,
)


def lines_text(*lines: str) -> str:
    """The text of lines below one another."""
    return text_of(drawn(lambda canvas: lines_at(canvas, lines)))


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        ("the configu-", "ration of", "the configuration of"),
        ("some infor-", "mation, and", "some information, and"),
        ("(authen-", "tication) of", "(authentication) of"),
        ("a real-", "ization of", "a realization of"),
        ("the soft-", "ware of", "the software of"),
        ("its user-", "name is", "its username is"),
        ("set --max-", "retries to", "set --max-retries to"),
        ("the file ledger-", "agent.yaml is", "the file ledger-agent.yaml is"),
        ("the host ledger-", "oslo-7 is", "the host ledger-oslo-7 is"),
        ("type ml-", "p3 is", "type ml-p3 is"),
        ("region us-east-", "1 is", "region us-east-1 is"),
        ("on 2024-01-", "15 at", "on 2024-01-15 at"),
        ("in UTF-", "8 and", "in UTF-8 and"),
        ("a {crane-", "name} of", "a {crane-name} of"),
        ("an X-", "ray of", "an X-ray of"),
        ("the early-", "stopping option", "the early-stopping option"),
        ("the multi-", "model endpoint", "the multi-model endpoint"),
        ("a read-", "only replica", "a read-only replica"),
        ("for twenty-", "one days", "for twenty-one days"),
        ("a token-", "based lock", "a token-based lock"),
        ("the short-", "and long-term plan", "the short- and long-term plan"),
        ("state-of-", "the-art methods", "state-of-the-art methods"),
        ("the crane -", "a big one", "the crane - a big one"),
    ],
)
def test_hyphen_at_a_line_end_stays_if_it_belongs_to_the_word(
    one: str, other: str, joined: str
) -> None:
    assert lines_text(f"They took {one}", f"{other} the harbour.") == (
        f"They took {joined} the harbour."
    )


@pytest.mark.parametrize(("word", "shown"), [("cable-car", "cable-car"), ("cablecar", "cablecar")])
def test_the_rest_of_the_document_decides_on_a_hyphen(word: str, shown: str) -> None:
    text = lines_text(f"The {word} stops.", "Call the cable-", "car again.")
    assert text == f"The {word} stops. Call the {shown} again."


@pytest.mark.parametrize(("first", "second"), [("shard", "keeper"), ("data", "parallel")])
def test_hyphen_between_two_words_of_the_document_stays(first: str, second: str) -> None:
    text = lines_text(f"The {first} has a {second}.", f"Ask the {first}-", f"{second} first.")
    assert text.endswith(f"Ask the {first}-{second} first.")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("under", "standing"),
        ("under", "lying"),
        ("there", "fore"),
        ("some", "times"),
        ("when", "ever"),
        ("over", "view"),
        ("with", "draw"),
    ],
)
def test_word_whose_halves_are_words_of_the_document_is_joined(first: str, second: str) -> None:
    known = f"The {first} is {second} of it."
    text = lines_text(known, f"Look at the {first}-", f"{second} of it.")
    assert text.endswith(f"Look at the {first}{second} of it.")
    text = lines_text(known, f"A {first}-{second} is.", f"Look at the {first}-", f"{second} of it.")
    assert text.endswith(f"Look at the {first}-{second} of it.")


@pytest.mark.parametrize(
    ("first", "second"), [("config", "uration"), ("depend", "encies"), ("connect", "ivity")]
)
def test_word_that_begins_as_another_is_joined(first: str, second: str) -> None:
    text = lines_text(f"They {first} it.", f"Look at the {first}-", f"{second} of it.")
    assert text.endswith(f"Look at the {first}{second} of it.")


def test_lines_of_a_cell_are_joined_as_those_of_a_paragraph() -> None:
    rows = [["File", "Use"], ["a", "the configu-\nration of\nledger-\nagent.yaml"]]
    text = text_of(pdf_of(table(rows, ruled=True)))
    assert "| a | the configuration of ledger-agent.yaml |" in text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("at most 2<super>32</super> keys", "at most 2^32 keys"),
        ("in 10<super>-3</super> s", "in 10^(-3) s"),
        ("on the 1<super>st</super> of May", "on the 1st of May"),
        ("of H<sub>2</sub>O and x<sub>max</sub> = 5", "of H2O and x_max = 5"),
        ("the number 101<sub>2</sub>", "the number 101_2"),
        ("<font name=Courier>2<super>16</super></font> ports", "`2^16` ports"),
        ("2<super rise=5 size=10>8</super> bytes", "2^8 bytes"),
        ("5 m<super>2</super>. Then", "5 m^2. Then"),
    ],
)
def test_raised_and_lowered_characters_are_no_digits_of_the_number_before(
    markup: str, shown: str
) -> None:
    assert text_of(pdf_of(paragraph(f"They took {markup} away."))) == f"They took {shown} away."


def test_scripts_above_one_another_stay_in_their_line() -> None:
    drawing = b"BT /F1 12 Tf 50 700 Td (where x) Tj /F1 8 Tf 5 Ts (2) Tj 46 0 Td -3 Ts (i) Tj "
    drawing += b"0 Ts /F1 12 Tf 8 0 Td (is the load) Tj ET"
    assert text_of(one_page(stream(drawing))) == "where x^2_i is the load"


def test_raised_characters_in_a_cell_and_a_heading_are_kept_apart() -> None:
    rows = [["Keys", "Size"], [paragraph("2<super>32</super>"), paragraph("10<super>9</super> B")]]
    head = paragraph("Limits of 2<super>16</super>", "Heading1")
    text = text_of(pdf_of(head, paragraph(SENTENCE), table(rows, ruled=True)))
    assert text.startswith("# Limits of 2^16\n\n")
    assert text.endswith("| 2^32 | 10^9 B |")


def test_note_mark_is_apart_from_its_number_and_the_note_from_the_text() -> None:
    note = (
        "<font size=8><super size=6>1</super> The rules of 2024 state that no lease lasts.</font>"
    )
    text = text_of(
        pdf_of(
            paragraph(SENTENCE),
            Spacer(1, 12),
            paragraph("The lease lasts 30<super>1</super> days and the"),
            Spacer(1, 400),
            paragraph(note),
            PageBreak(),
            paragraph("lease ends."),
        )
    )
    assert text.split("\n\n") == [
        SENTENCE,
        "The lease lasts 30[^1] days and the lease ends.",
        "[^1]: The rules of 2024 state that no lease lasts.",
    ]


def test_power_is_no_note_mark_where_the_note_has_its_own() -> None:
    note = "<font size=8><super size=6>2</super> The rules of 2024.</font>"
    loads = paragraph(f"Loads<super>2</super> are 10<super>2</super> t. {SENTENCE}")
    text = text_of(pdf_of(loads, paragraph(note)))
    assert text == f"Loads[^2] are 10^2 t. {SENTENCE}\n\n[^2]: The rules of 2024."


def test_power_is_no_note_mark_where_the_notes_have_no_marks_on_their_page() -> None:
    notes = [
        paragraph(f"<font size=8><super size=6>{n}</super> The rules of 202{n}.</font>")
        for n in (2, 3)
    ]
    text = text_of(pdf_of(paragraph(f"At most 10<super>2</super> t. {SENTENCE}"), *notes))
    assert text.startswith(f"At most 10^2 t. {SENTENCE}")
    assert "2 The rules of 2022." in text


def test_subscript_that_reaches_into_a_link_of_the_next_line_is_not_linked() -> None:
    link = '<a href="https://docs.example">loads_of_all_cranes</a>'
    text = text_of(pdf_of(paragraph(f"The value is m<sub>max</sub><br/>{link}")))
    assert text.startswith("The value is m_max [loads")


def test_single_character_of_a_font_that_is_not_here_is_read() -> None:
    text = text_of(in_other_scripts(("The key \u9375", "HeiseiMin-W3")))
    apart = 'of <font name="HeiseiMin-W3">\u9375</font>\u5929'
    assert text_of(in_other_scripts((apart, "STSong-Light"))) == "of \u9375\u5929"
    assert text == "The key \u9375"


@pytest.mark.parametrize("inner", [b"/X2 Do", b"q 0 1 -1 0 600 0 cm /X2 Do Q"])
@pytest.mark.parametrize("outer", [b"/X1 Do", b"q -1 0 0 -1 600 800 cm /X1 Do Q"])
def test_form_object_is_read_as_the_page_is(outer: bytes, inner: bytes) -> None:
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<<%s>>"
    rows = b"0 0 m 200 0 l 0 20 m 200 20 l 0 40 m 200 40 l "
    columns = b"0 0 m 0 40 l 40 0 m 40 40 l 200 0 m 200 40 l S "
    text = b"BT /F9 12 Tf 5 25 Td (Key) Tj 0 -20 Td (The) Tj 40 0 Td (keeper) Tj 0 20 Td /F8 12 Tf "
    fonts = (
        b"/Font<</F8<</Type/Font/Subtype/Type0/BaseFont/Gone/Encoding/UniJIS-UCS2-H"
        b"/DescendantFonts[<</Type/Font/Subtype/CIDFontType0/BaseFont/Gone/CIDSystemInfo"
        b"<</Registry(Adobe)/Ordering(Japan1)/Supplement 2>>/DW 1000>>]>>/F9 5 0 R>>"
    )
    table = stream(
        b"q 1 0 0 1 100 500 cm " + rows + columns + text + b"<9375> Tj ET Q", form % fonts
    )
    within = stream(inner, form % b"/XObject<</X2 7 0 R>>")
    content = one_page(stream(outer), within, table)
    assert text_of(content) == "| Key | \u9375 |\n| --- | --- |\n| The | keeper |"


def test_page_of_unknown_glyphs_is_named_as_a_scanned_one_is() -> None:
    font = (
        b"/Font<</F1<</Type/Font/Subtype/Type0/BaseFont/Gone/Encoding/Identity-H/DescendantFonts"
        b"[<</Type/Font/Subtype/CIDFontType2/BaseFont/Gone/CIDSystemInfo<</Registry(Adobe)"
        b"/Ordering(Identity)/Supplement 0>>/DW 1000>>]>>>>"
    )
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R/Resources<<%s>>>>"
    content = of_objects(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>",
        page % (5, b"/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"),
        page % (6, font),
        stream(b"BT /F1 12 Tf 50 700 Td (One sentence.) Tj ET"),
        stream(b"BT /F1 12 Tf 50 700 Td <000100020003> Tj ET"),
    )
    assert text_of(content) == "One sentence.\n\nPage 2 has no text (scanned?)"


def test_paragraph_larger_than_the_text_of_most_cells_is_no_heading() -> None:
    small = [[paragraph(f"<font size=8>{SENTENCE}</font>")] * 2] * 9
    text = text_of(pdf_of(paragraph(f"{SENTENCE} " * 2), table(small, ruled=True)))
    assert text.startswith(f"{SENTENCE} {SENTENCE}\n\n|")


@pytest.mark.parametrize("ruled", [True, False])
def test_cell_of_few_digits_is_no_mark_of_a_list(ruled: bool) -> None:
    rows = [["Name", "Limit", "Unit"], ["alpha", "12", "MB"], ["beta", "3", "GB"], ["c", "-", "B"]]
    text = text_of(pdf_of(paragraph(SENTENCE), table(rows, ruled=ruled)))
    assert "| alpha | 12 | MB |\n| beta | 3 | GB |\n| c | - | B |" in text


def test_numbers_in_the_first_column_of_a_table_are_no_marks_of_a_list() -> None:
    rows = [["No", "Name"], ["1", "alpha"], ["2", "beta"], ["3", "gamma"]]
    text = text_of(pdf_of(paragraph(SENTENCE), table(rows, ruled=False)))
    assert "1. " not in text


def test_numbers_without_dots_that_count_are_marks_of_a_list() -> None:
    items = [paragraph(f"Item {n}. {SENTENCE}") for n in range(1, 13)]
    text = text_of(pdf_of(paragraph("First."), ListFlowable(items, bulletType="1")))
    assert text == "First.\n\n" + "\n".join(f"{n}. Item {n}. {SENTENCE}" for n in range(1, 13))


@pytest.mark.parametrize(
    ("form", "first"), [("%s.", 1), ("%s)", 1), ("%s", 1), ("%s.", 10), ("%s)", 10), ("%s.", 100)]
)
def test_words_beside_a_larger_mark_are_not_raised_but_their_scripts_are(
    form: str, first: int
) -> None:
    item = paragraph("Set 0<b>xDEF</b> of 10<super>9</super> x<sub>max</sub> for wide loads")
    numbered = ListFlowable([item] * 2, bulletType="1", bulletFormat=form, start=first)
    lines = text_of(pdf_of(paragraph(SENTENCE), numbered)).split("\n")[2:]
    shown = "Set 0xDEF of 10^9 x_max for wide loads"
    assert lines == [f"{first}. {shown}", f"{first + 1}. {shown}"]


def test_number_at_the_start_of_an_items_line_is_no_next_item() -> None:
    text = lines_text("1. The timer waits for", "2 seconds, then it stops.")
    assert "2 seconds, then it stops." in text


def test_words_of_a_stretched_line_stay_in_their_paragraph() -> None:
    narrow = ParagraphStyle("narrow", alignment=TA_JUSTIFY, fontSize=11, leading=13)
    words = "Interoperability of 12 MB caches requires 3 GB configuration-management databases. "
    flow = Paragraph(words * 4, narrow)
    text = text_of(pdf_of(flow, leftMargin=200, rightMargin=200))
    assert text == (words * 4).strip()


def test_text_without_size_or_place_is_no_error() -> None:
    drawing = b"BT /F1 0 Tf 1 0 0 1 50 700 Tm (no) Tj (size) Tj /F1 12 Tf 1e30 0 0 1e30 1e30 9 Tm "
    drawing += b"(no place) Tj " + b"0 0 0 0 50 650 Tm (x) Tj " * 5
    drawing += b"1 0 0 1 50 600 Tm (Words on a page.) Tj ET"
    assert text_of(one_page(stream(drawing))).endswith("Words on a page.")
