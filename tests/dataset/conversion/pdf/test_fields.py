"""Form fields of a PDF and text added to its pages."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

from reportlab.pdfgen.canvas import Canvas

from tests.dataset.conversion.pdf.converted import text_of
from tests.files.pdf import drawn, lines_at, one_page, stream, table


def form(canvas: Canvas) -> None:
    """Fields to the right of their labels, below one, and without any."""
    lines_at(canvas, ["Name of the server:"], y=700)
    canvas.acroForm.textfield(name="server", value="ledger-oslo-7", x=200, y=695, height=20)
    lines_at(canvas, ["Region:"], y=660)
    canvas.acroForm.choice(
        name="region", value="li", options=[("Oslo", "os"), ("Lima", "li")], x=200, y=655, height=20
    )
    lines_at(canvas, ["Encrypted:"], y=620)
    canvas.acroForm.checkbox(name="encrypted", checked=True, x=200, y=615)
    canvas.acroForm.checkbox(name="public", checked=False, x=60, y=575)
    lines_at(canvas, ["Public"], x=85, y=580)
    lines_at(canvas, ["Owner"], y=540)
    canvas.acroForm.textfield(name="owner", value="Ada", x=60, y=510, height=20)
    canvas.acroForm.textfield(name="empty", value="", x=60, y=480, height=20)
    lines_at(canvas, ["Signed by all."], y=440)


def test_form_fields_are_read_beside_their_labels() -> None:
    assert text_of(drawn(form)).split("\n\n") == [
        "Name of the server: ledger-oslo-7",
        "Region: Lima",
        "Encrypted: [x]",
        "[ ] Public",
        "Owner",
        "owner: Ada",
        "Signed by all.",
    ]


def test_buttons_and_lists_of_a_form_are_read_with_their_labels() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, ["Tier:"], y=660)
        for at, label in enumerate(("Gold", "Silver")):
            x = 120 + 100 * at
            canvas.acroForm.radio(name="tier", value=label, selected=at == 1, x=x, y=655, size=16)
            lines_at(canvas, [label], x=x + 22, y=660)
        lines_at(canvas, ["I accept the rules"], x=85, y=600)
        canvas.acroForm.checkbox(name="rules", checked=True, x=60, y=596, size=16)
        canvas.acroForm.listbox(
            name="zones", tooltip="Zones", value="Lima", options=["Oslo", "Lima"], x=60, y=500
        )

    assert text_of(drawn(draw)).split("\n\n") == [
        "Tier: [ ] Gold [x] Silver",
        "[x] I accept the rules",
        "Zones: Lima",
    ]


def test_form_field_in_a_cell_is_its_text() -> None:
    def draw(canvas: Canvas) -> None:
        grid = table([["Server", ""], ["Region", ""]], ruled=True, colWidths=120, rowHeights=24)
        grid.wrapOn(canvas, 300, 300)
        grid.drawOn(canvas, 60, 700)
        for name, value, y in (("s", "oslo-7", 726), ("r", "eu-north-1", 702)):
            canvas.acroForm.textfield(name=name, value=value, x=185, y=y, height=18, width=100)

    assert text_of(drawn(draw)) == "| Server | oslo-7 |\n| --- | --- |\n| Region | eu-north-1 |"


def test_form_field_of_a_turned_page_is_read_beside_its_label() -> None:
    drawing = stream(b"BT /F1 12 Tf 0 1 -1 0 300 100 Tm (Name:) Tj ET")
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(n)/V(Ada)/Rect[290 150 305 300]/P 3 0 R>>"
    content = one_page(
        drawing, field, catalog=b"/AcroForm<</Fields[6 0 R]>>", page=b"/Annots[6 0 R]"
    )
    assert text_of(content) == "Name: Ada"


def test_form_field_that_is_its_own_parent_is_no_endless_loop() -> None:
    drawing = stream(b"BT /F1 12 Tf 50 695 Td (Name:) Tj ET")
    field = b"<</Subtype/Widget/FT/Tx/T(n)/V(Ada)/Parent 6 0 R/Kids[6 0 R]/Rect[90 690 200 710]>>"
    content = one_page(
        drawing, field, catalog=b"/AcroForm<</Fields[6 0 R]>>", page=b"/Annots[6 0 R]"
    )
    assert text_of(content).startswith("Name:")


def test_text_added_to_a_page_is_read_and_hidden_text_is_not() -> None:
    shown = b"<</Type/Annot/Subtype/FreeText/Contents(Approved)/Rect[150 690 300 710]>>"
    hidden = b"<</Type/Annot/Subtype/FreeText/F 2/Contents(Draft)/Rect[150 590 300 610]>>"
    drawing = stream(b"BT /F1 12 Tf 50 695 Td (State:) Tj ET")
    content = one_page(drawing, shown, hidden, page=b"/Annots[6 0 R 7 0 R]")
    assert text_of(content) == "State: Approved"
