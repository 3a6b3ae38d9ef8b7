"""Hostile and broken files are refused in one line, or only their text is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dataset.conversion.converter import Limits, convert
from tests.files import hostile
from tests.files import pdf as pdf_files
from tests.files.hostile import repacked
from tests.files.office import docx_of, xlsx_of
from tests.files.pdf import of_objects, one_page, stream
from tests.servers.web_folder import web_folder
from utils.errors import DocumentError

pytestmark = pytest.mark.process

MakeFile = Callable[[], bytes]
"""Creates a file when its test runs."""

LIMITS = Limits(seconds=30, memory_bytes=400 << 20)
SHORT = Limits(seconds=2, memory_bytes=400 << 20)
ODD_XML = "refused: contains XML with a document type or an odd encoding; save it again with Office"
PROTECTED = "is protected by a password; remove the protection"
NOT_WORD = "cannot be read as Word (docx)"
WORDS = b"BT /F1 12 Tf 50 700 Td (Words on a page.) Tj ET"
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X1 6 0 R>>>>"


def outcome(content: bytes, name: str, limits: Limits = LIMITS) -> str:
    """The text of a file, or the reason why it was refused."""
    try:
        return convert(content, name, limits).text
    except DocumentError as error:
        line = str(error)
        assert "\n" not in line
        assert "/" not in line
        return f"refused: {line}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (hostile.claimed_bomb, "unpacks to more than 512 MiB"),
        (lambda: hostile.encrypted_entries(docx_of("x")), PROTECTED),
        (hostile.encrypted_office, PROTECTED),
        (
            lambda: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(4096),
            "is in the old Office format; save it in the new one (docx, pptx, xlsx)",
        ),
        (lambda: b"GIF89a" + bytes(100), NOT_WORD),
        (lambda: docx_of("x")[:-1000], NOT_WORD),
        (lambda: docx_of("x").replace(b"word/document.xml", b"word/documint.xml"), NOT_WORD),
        (
            lambda: repacked(docx_of("x"), {}, compression=14),
            "uses a compression method that Office files do not",
        ),
    ],
    ids=range(8),
)
def test_zip_container_is_checked_before_parsing(content: MakeFile, reason: str) -> None:
    assert outcome(content(), "a.docx") == f"refused: {reason}"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"zeros.bin": bytes(8 << 20)}, "a part that unpacks to over 300 times its size"),
        ({f"{n}.xml": b"" for n in range(10_001)}, "more than 10,000 parts"),
        ({"../../etc/cron.d/x": b"x"}, "a part with an unsafe name"),
        ({"/etc/passwd": b"x"}, "a part with an unsafe name"),
    ],
)
def test_hostile_part_of_a_zip_container_is_refused(parts: dict[str, bytes], reason: str) -> None:
    assert outcome(repacked(docx_of("x"), parts), "a.docx") == f"refused: contains {reason}"


def test_external_entities_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    with web_folder(tmp_path) as web:
        for target in (secret.as_uri(), f"{web.url}/entity.dtd"):
            assert outcome(hostile.with_entity(target), "a.docx") == ODD_XML
    assert web.asked == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-7"])
def test_doctype_is_detected_in_other_encodings(encoding: str) -> None:
    package = docx_of("x")
    document = hostile.part_of(hostile.with_entity("file:///x"), "word/document.xml")
    hidden = document.decode().replace("UTF-8", encoding.upper()).encode(encoding)
    if encoding == "utf-7":  # the declaration must stay readable
        hidden = document.decode().replace("UTF-8", "UTF-7").replace("<!", "+ADwAIQ-").encode()
    changed = repacked(package, {"word/document.xml": hidden})
    assert outcome(changed, "a.docx") == ODD_XML


def test_external_image_is_ignored(tmp_path: Path) -> None:
    with web_folder(tmp_path) as web:
        shown = outcome(hostile.with_external_image(f"{web.url}/x.png"), "a.pptx")
    assert shown.endswith("- Words beside a picture.\n\nA crane\n")
    assert web.asked == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda: one_page(stream(WORDS), copies=10_000),
         "refused: has 10,000 pages, over the limit of 5,000; split it"),
        (lambda: pdf_files.protected("x"),
         f"refused: {PROTECTED}"),
        (lambda: of_objects(b"<</Type/Catalog/Pages 2 0 R>>",
                            b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"),
         "refused: cannot be read as PDF"),
        (lambda: of_objects(b"<</Type/Catalog/Pages 2 0 R>>",
                    b"<</Type/Pages/Kids[3 0 R]/Count 2000000000>>"),
         "refused: cannot be read as PDF"),
        (lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\nxref\n0 2000000000\n"
         b"0000000000 65535 f \ntrailer<</Root 1 0 R/Size 2000000000>>\nstartxref\n48\n%%EOF",
         "refused: cannot be read as PDF"),
        (lambda: of_objects(b"<</A" * 200_000), "refused: cannot be read as PDF"),
        (lambda: one_page(stream(WORDS), catalog=b"/OpenAction<</S/JavaScript/JS(while\\(1\\);)>>"),
         "Words on a page.\n"),
        (lambda: one_page(stream(WORDS), catalog=b"/OpenAction<</S/Launch/F(/bin/sh)>>"),
         "Words on a page.\n"),
        (lambda: one_page(stream(b"q " * 500_000 + WORDS)), "Words on a page.\n"),
        (lambda: one_page(b"<</Length 999/Filter/FlateDecode>>\nstream\nxx\nendstream"),
         "refused: contains no text (a scanned PDF? run OCR first)"),
        (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 100, "refused: cannot be read as PDF"),
    ],
    ids=["pages", "password", "loop", "count", "xref", "nested", "javascript", "launch", "states",
         "broken", "garbage"],
)  # fmt: skip
def test_hostile_pdf_is_refused_or_only_its_text_is_read(content: MakeFile, expected: str) -> None:
    assert outcome(content(), "a.pdf") == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.html", lambda: b"<div>" * 100_000 + b"x", "refused: is nested too deep to convert"),
        ("a.html", lambda: b"<b>" * 3_000 + b"x", "refused: is nested too deep to convert"),
        ("a.html", lambda: b"<p " + b" ".join(b"a%d" % n for n in range(20_000)) + b">x",
         "x\n"),
        ("a.ipynb", lambda: b"[" * 100_000 + b"]" * 100_000,
         "refused: is nested too deep to convert"),
        ("a.csv", lambda: b",".join([b"c"] * 1_000_000),
         "refused: contains a table of more than 1,000 columns or 500,000 cells; split it"),
        ("a.csv", lambda: b"a,b\n1," + b"x" * (20 << 20),
         "refused: contains a cell of more than 1 MiB, or an unclosed quote"),
        ("a.rst", lambda: b".. include:: /etc/passwd\n\nWords.\n", "Words.\n"),
        ("a.rst", lambda: b".. raw:: html\n\n   <script>x</script>\n\nWords.\n", "Words.\n"),
        ("a.docx", lambda: b"%PDF-1.4\n" + docx_of("Two files in one."), "Two files in one.\n"),
        ("a.pdf", lambda: b"%PDF-1.4\n" + docx_of("x"), "refused: cannot be read as PDF"),
        ("a.docx", lambda: xlsx_of([["x"]]), f"refused: {NOT_WORD}"),
        ("a.docx", hostile.with_macro, "Words beside a macro.\n"),
        ("a.docx", hostile.nested_bomb, "Harmless words.\n"),
        ("a.xlsx", hostile.billion_laughs, ODD_XML),
        ("a.xlsx", hostile.far_cell, "## Sheet\n\nnear\n\n1\n"),
    ],
    ids=["div", "b", "attributes", "brackets", "columns", "cell", "include", "raw",
         "docx after a PDF header", "docx as a PDF", "xlsx as docx", "macro", "nested archive",
         "entity expansion", "last cell"],
)  # fmt: skip
def test_other_hostile_file_is_refused_or_only_its_text_is_read(
    name: str, content: MakeFile, expected: str
) -> None:
    assert outcome(content(), name) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", lambda: one_page(stream(WORDS + b" /X1 Do"), stream(b"/X1 Do " * 10, FORM))),
        ("a.pdf", lambda: pdf_files.inflating(1 << 30)),
        ("a.pdf", lambda: one_page(
            stream(b"BT /F1 1 Tf 50 700 Td " + b"(Words) Tj " * 400_000 + b"ET"))),
        ("a.html", lambda: b"<p>word <b>bold</b> more</p>\n" * 1_000_000),
        ("a.rst", lambda: b"*a " * 200_000),
        ("a.html", lambda: b"<p " + b" ".join(b"a%d" % n for n in range(400_000)) + b">x</p>"),
        ("a.rst", lambda: b"\n".join(
            b".. |a%d| replace:: %s" % (n, b" ".join([b"|a%d|" % (n - 1)] * 10 if n else [b"lol"]))
            for n in range(9)) + b"\n\n|a8|\n"),
    ],
    ids=["recursion", "inflating", "million words", "30 MB", "emphasis", "attributes",
         "substitutions"],
)  # fmt: skip
def test_conversion_over_the_time_or_memory_limit_is_killed(name: str, content: MakeFile) -> None:
    endings = [
        "takes longer than 2 s to convert; split it",
        "needs more than 400 MiB of memory to convert; split it",
    ]
    if name == "a.pdf":
        endings += ["cannot be read as PDF within 400 MiB of memory", "cannot be read as PDF"]
    assert outcome(content(), name, SHORT).removeprefix("refused: ") in endings


def test_notebook_output_of_fifty_megabytes_is_truncated() -> None:
    head = b'{"cells":[{"cell_type":"code","source":"train()","outputs":[{"output_type":"stream",'
    log = b'"text":"' + b"loss 0.1\\n" * 5_500_000 + b'"}]}]}'
    limits = Limits(seconds=30, input_bytes=64 << 20)
    result = outcome(head + log, "a.ipynb", limits)
    assert result.startswith("```python\ntrain()\n```\n\n```\nloss 0.1\n")
    assert result.endswith("[... cut]\n```\n")
    assert len(result) < 30_000
