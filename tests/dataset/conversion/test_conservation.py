"""Every word and number of a document is read, in order and unaltered, from every format."""

import os
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dataset.documents import read_document
from tests.files import pandoc
from tests.files.documents.author import sample, variations
from tests.files.documents.checker import faults_in, read_text
from tests.files.documents.formats import SAMPLE_FORMATS, SampleFormat
from tests.files.documents.model import Cell, Grid, Paragraph, Piece, SampleDocument
from tests.files.pandoc import PANDOC, PANDOC_FORMATS, pandoc_file
from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process

NIGHTLY = int(os.environ.get("FUZZ", "0"))
EXAMPLES = NIGHTLY // 100 or 2
SHOWN = 30
"""Faults that a failure lists."""
SAVED = PROJECT_ROOT / "build" / "conservation"


def check(form: SampleFormat, document: SampleDocument) -> None:
    """Write a document, read it as the product does, and compare."""
    name = f"sample.{form.extension}"
    content = form.write(document)
    faults = faults_in(document, read_text(read_document(content, name).text))
    if faults:
        SAVED.mkdir(parents=True, exist_ok=True)
        (SAVED / name).write_bytes(content)
    assert not faults, "\n".join([f"{len(faults)} faults in {SAVED / name}:", *faults[:SHOWN]])


@pytest.mark.parametrize("form", SAMPLE_FORMATS.values(), ids=SAMPLE_FORMATS)
def test_every_word_and_number_of_a_long_sample_is_read(form: SampleFormat) -> None:
    check(form, sample(form.features))


@pytest.mark.parametrize("kind", [kind for kind in SAMPLE_FORMATS if NIGHTLY or " " not in kind])
@pytest.mark.timeout(300 + 10 * EXAMPLES)
@settings(
    max_examples=EXAMPLES,
    derandomize=not NIGHTLY,
    database=None,
    print_blob=True,
    deadline=None,
    phases=[Phase.generate],  # a failure lists what is wrong; to make it smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_every_word_and_number_of_varied_documents_is_read(kind: str, data: st.DataObject) -> None:
    form = SAMPLE_FORMATS[kind]
    check(form, data.draw(variations(form.features)))


@pytest.mark.skipif(not PANDOC, reason="pandoc is not installed")
@pytest.mark.parametrize("extension", PANDOC_FORMATS)
def test_every_word_and_number_is_read_of_what_pandoc_writes(extension: str) -> None:
    form = SampleFormat(extension, partial(pandoc_file, extension=extension), pandoc.FEATURES)
    check(form, sample(form.features))


SMALL = SampleDocument(
    (
        Paragraph(
            (
                *(Piece("Refunds"), Piece("within"), Piece("106", note=1), Piece("days,")),
                *(Piece("2", "strong"), Piece("32", "superscript", glued=True), Piece("times.")),
            )
        ),
        Grid(
            (
                (Cell((Piece("plan"),)), Cell((Piece("1,234.56"),))),
                (Cell((Piece("small"),)), Cell((Piece("-3"),))),
            )
        ),
    ),
    notes=((Piece("Except"), Piece("Oslo")),),
)
TEXT = """Refunds within 106[^1] days, **2^32** times.

| plan | 1,234.56 |
| --- | --- |
| small | -3 |

[^1]: Except Oslo
"""


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("within ", "", "lost or altered: 'within'"),
        ("1,234.56", "1,234.57", "lost or altered: '1,234.56'"),
        ("1,234.56", "1234.56", "lost or altered: '1,234.56'"),
        ("2^32", "232", "lost or altered: '2^32'"),
        ("-3", "3", "lost or altered: '-3'"),
        ("-3", "--3", "glued: '-3' in"),
        ("106[^1]", "1061", "glued: '106' in"),
        ("106[^1]", "106^1", "glued: '106' in"),
        ("**2^32**", "**2**^32", "lost or altered: '2^32'"),
        ("Except Oslo", "ExceptOslo", "glued: 'Except' in"),
        ("Refunds within", "within Refunds", "out of order: 'within'"),
        ("| small | -3 |", "| small |  |\n|  | -3 |", "torn row: ['small', '-3']"),
        ("| small | -3 |", "| small -3 |", "torn row: ['small', '-3']"),
    ],
)
def test_checker_finds_a_planted_fault(right: str, wrong: str, fault: str) -> None:
    assert faults_in(SMALL, TEXT) == []
    assert TEXT.count(right) == 1

    found = faults_in(SMALL, TEXT.replace(right, wrong))

    assert any(line.startswith(fault) for line in found), found
