"""PDF files generated with ReportLab, and broken ones written by hand."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure
from PIL import Image
from reportlab import platypus
from reportlab.lib import colors, pdfencrypt
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

STYLES = getSampleStyleSheet()
_FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
SENTENCE = (
    "The harbour crane lifts one container at a time and puts it on the quay, where a straddle "
    "carrier fetches it within four minutes."
)


def paragraph(text: str, style: str = "Normal") -> platypus.Paragraph:
    """A paragraph in one of ReportLab's styles."""
    return platypus.Paragraph(text, STYLES[style])


def bullets(*items: str) -> platypus.ListFlowable:
    """A list with dots."""
    return platypus.ListFlowable(
        [paragraph(item) for item in items], bulletType="bullet", start="•"
    )


def code(text: str) -> platypus.Preformatted:
    """A block of code."""
    return platypus.Preformatted(text, STYLES["Code"])


def table(rows: Sequence[Sequence[Any]], *, ruled: bool, **options: Any) -> platypus.Table:
    """A table with or without rules around its cells."""
    style = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if ruled else []
    style += options.pop("style", [])
    return platypus.Table([list(row) for row in rows], style=style, **options)


def pdf_of(*flow: platypus.Flowable, columns: int = 1, running: str = "", **options: Any) -> bytes:
    """A PDF of flowables, with `running` at the foot of each page."""
    file = io.BytesIO()

    def foot(canvas: Canvas, _: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(60, 20, running)
        canvas.drawRightString(540, 20, f"Page {canvas.getPageNumber()}" if running else "")

    if columns == 1:
        document: platypus.BaseDocTemplate = platypus.SimpleDocTemplate(
            file, pagesize=A4, **options
        )
        document.build(list(flow), onFirstPage=foot, onLaterPages=foot)
    else:
        width = 520 / columns
        frames = [platypus.Frame(40 + at * width, 60, width - 20, 700) for at in range(columns)]
        document = platypus.BaseDocTemplate(file, pagesize=A4, **options)
        document.addPageTemplates([platypus.PageTemplate(frames=frames, onPage=foot)])
        document.build(list(flow))
    return file.getvalue()


def drawn(*pages: Callable[[Canvas], object]) -> bytes:
    """A PDF whose pages are drawn by functions."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def lines_at(
    canvas: Canvas, lines: Sequence[str], x: float = 60, y: float = 700, size: float = 12
) -> None:
    """Draw lines of text below one another."""
    canvas.setFont("Helvetica", size)
    for at, line in enumerate(lines):
        canvas.drawString(x, y - 1.2 * size * at, line)


def cells_at(
    canvas: Canvas,
    rows: Sequence[Sequence[str]],
    places: Sequence[float],
    alignments: str,
    pitch: float,
    *,
    by_column: bool = False,
    font: str = "Helvetica",
    size: float = 10,
    bold_head: bool = True,
) -> None:
    """Draw cells of one or more lines, with their edges or middles at places; l, r or c each."""
    draw = {"l": canvas.drawString, "r": canvas.drawRightString, "c": canvas.drawCentredString}
    pieces = []
    y = 700.0
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            for line, text in enumerate(cell.split("\n") if cell else []):
                pieces.append((column, at, y - 1.2 * size * line, text))
        y -= pitch + 1.2 * size * max(cell.count("\n") for cell in row)
    for column, at, height, text in sorted(pieces) if by_column else pieces:
        canvas.setFont(f"{font}-Bold" if bold_head and at == 0 else font, size)
        draw[alignments[column]](places[column], height, text)


def plotted_table(
    rows: Sequence[Sequence[str]],
    edges: Literal["open", "horizontal", "closed"],
    alignment: Literal["left", "center", "right"],
) -> bytes:
    """A table in a figure of matplotlib."""
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    axes.axis("off")
    axes.table(
        [list(row) for row in rows[1:]],
        colLabels=list(rows[0]),
        loc="center",
        edges=edges,
        cellLoc=alignment,
    ).scale(1, 1.4)
    file = io.BytesIO()
    figure.savefig(file, format="pdf")
    return file.getvalue()


def turned(canvas: Canvas, degrees: int) -> None:
    """Turn what is drawn next counterclockwise, by a multiple of 90 degrees, on the same page."""
    width, height = A4
    canvas.translate(*{90: (width, 0), 180: (width, height), 270: (0, height)}[degrees])
    canvas.rotate(degrees)


def image_at(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """Draw a grey image."""
    canvas.drawInlineImage(Image.new("L", (8, 8), 128), x, y, width, height)


def drawn_row_by_row(left: Sequence[str], right: Sequence[str]) -> bytes:
    """Two columns drawn line by line across both, as some printers do."""

    def draw(canvas: Canvas) -> None:
        for at, (one, other) in enumerate(zip(left, right, strict=True)):
            canvas.drawString(50, 760 - 14 * at, one)
            canvas.drawString(320, 760 - 14 * at, other)

    return drawn(draw)


def in_other_scripts(*texts: tuple[str, str]) -> bytes:
    """Paragraphs, each with the name of its font: DejaVu is embedded, the Asian ones are not."""
    pdfmetrics.registerFont(TTFont("DejaVu", str(_FONT)))
    for name in ("STSong-Light", "HeiseiMin-W3"):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    styles = {font: ParagraphStyle(font, fontName=font, spaceAfter=12) for _, font in texts}
    return pdf_of(*(platypus.Paragraph(text, styles[font]) for text, font in texts))


def scanned(pages: int = 1) -> bytes:
    """Pages with a drawing on them and no text."""
    return drawn(*[lambda canvas: canvas.rect(100, 100, 300, 400, fill=1)] * pages)


def protected(password: str) -> bytes:
    """A PDF protected by a user password ("" for a PDF protected only against changes)."""
    lock = pdfencrypt.StandardEncryption(password, ownerPassword="other", canPrint=0)
    return pdf_of(paragraph(SENTENCE), encrypt=lock)


def of_objects(*objects: bytes, trailer: bytes = b"<</Root 1 0 R/Size 99>>") -> bytes:
    """A PDF of the given objects, with a cross-reference table."""
    file = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        file += b"%010d 00000 n \n" % place
    file += b"trailer\n%s\nstartxref\n%d\n%%%%EOF" % (trailer, start)
    return bytes(file)


def stream(content: bytes, more: bytes = b"") -> bytes:
    """A stream object."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (more, len(content), content)


def one_page(
    drawing: bytes, *more: bytes, catalog: bytes = b"", page: bytes = b"", copies: int = 1
) -> bytes:
    """A PDF of one page, repeated; `drawing` is its content stream, the fourth object."""
    return of_objects(
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"3 0 R " * copies, copies),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 "
        b"5 0 R>>/XObject<</X1 6 0 R>>>>%s>>" % page,
        drawing,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *more,
    )


def inflating(size: int) -> bytes:
    """A page whose content stream decompresses to `size` bytes of spaces."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(size >> 20))
    return one_page(stream(packed + packer.flush(), b"/Filter/FlateDecode"))
