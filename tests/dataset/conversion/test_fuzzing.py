"""A damaged file of any format gives text or a one-line error, within its limits."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from time import process_time

import pytest

from dataset.conversion.converter import Limits, convert
from dataset.conversion.isolation import parent
from tests.dataset.conversion.reader_process import ReaderProcess
from tests.files.documents.author import sample
from tests.files.documents.checker import read_text
from tests.files.documents.formats import SAMPLE_FORMATS, SampleFormat
from tests.files.mutations import mutated
from utils.errors import DocumentError
from utils.settings import PROJECT_ROOT

MUTATIONS = int(os.environ.get("FUZZ", "300"))

pytestmark = [pytest.mark.process, pytest.mark.timeout(300 + MUTATIONS)]

LIMITS = Limits(seconds=10, memory_bytes=512 << 20, output_bytes=4 << 20)
MAX_READING_SECONDS = 5
"""Of the markdown that a conversion gives."""
SHOWN = 20
"""Faults that a failure lists."""
SAVED = PROJECT_ROOT / "build" / "fuzzing"


def fault_in_answer(answer: dict[str, str], seconds: float = MAX_READING_SECONDS) -> str:
    """What is wrong with a conversion's answer; "" if nothing is."""
    if (line := answer.get("refusal")) is not None:
        is_line = 0 < len(line) < 300 and "\n" not in line and "/" not in line
        return "" if is_line and "Traceback" not in line else f"no one-line error: {line!r}"
    started = process_time()
    read_text(answer["text"])
    spent = process_time() - started
    return f"its markdown takes {spent:.1f} s to read" if spent > seconds else ""


def answer_for(content: bytes, name: str) -> dict[str, str]:
    """The text of a file, or the reason why it was refused."""
    try:
        return {"text": convert(content, name, LIMITS).text}
    except DocumentError as error:
        return {"refusal": str(error)}


def damaged_files(form: SampleFormat) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files of a format, each with the seed that makes it again."""
    files = [form.write(sample(form.features, blocks=3, seed=seed)) for seed in range(4)]
    for number in range(MUTATIONS):
        seed = f"{form.extension} {number}"
        yield seed, mutated(files, Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SAMPLE_FORMATS if " " not in kind])
def test_damaged_file_gives_text_or_a_one_line_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = SAMPLE_FORMATS[kind]
    faults: list[str] = []
    texts = 0
    with ReaderProcess(kind, LIMITS, tmp_path) as reader:
        monkeypatch.setattr(parent, "convert_in_child", reader.convert)
        for seed, content in damaged_files(form):
            answer = answer_for(content, f"damaged.{form.extension}")
            texts += "text" in answer
            if fault := fault_in_answer(answer):
                SAVED.mkdir(parents=True, exist_ok=True)
                (SAVED / f"{seed.replace(' ', '-')}.{form.extension}").write_bytes(content)
                faults.append(f"seed {seed!r}: {fault}")

    shown = "\n".join(faults[:SHOWN])
    assert not faults, f"{len(faults)} of {MUTATIONS} (saved in {SAVED}):\n{shown}"
    assert MUTATIONS / 20 < texts < MUTATIONS, "the damage is too large or too small to be a test"


@pytest.mark.parametrize("line", ["", "two\nlines", "Traceback: x", "no file /etc/x", "x" * 1000])
def test_error_that_is_no_line_for_people_is_a_fault(line: str) -> None:
    assert fault_in_answer({"refusal": line})
    assert not fault_in_answer({"refusal": "is empty"})


def test_slow_markdown_is_a_fault() -> None:
    assert not fault_in_answer({"text": "Words."})
    assert fault_in_answer({"text": "Words.\n\n" * 200}, seconds=0)


@pytest.mark.parametrize("kind", ["rst", "xlsx"])
def test_reader_process_answers_as_the_product_does(kind: str, tmp_path: Path) -> None:
    form = SAMPLE_FORMATS[kind]
    content = form.write(sample(form.features, blocks=3))
    expected = answer_for(content, f"a.{kind}")["text"]

    with ReaderProcess(kind, LIMITS, tmp_path) as reader:
        answers = [reader.read(one) for one in (content, b"\0damaged", content)]

    assert [answer and answer.get("text") for answer in answers] == [expected, None, expected]


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp needs Linux")
def test_reader_process_is_in_the_sandbox(tmp_path: Path) -> None:
    with ReaderProcess("csv", LIMITS, tmp_path) as reader:
        assert reader.read(b"a,b")
        assert "Seccomp:\t2" in Path(f"/proc/{reader.pid}/status").read_text()


def test_reader_process_restarts_after_a_file_that_takes_too_long(tmp_path: Path) -> None:
    with ReaderProcess("csv", replace(LIMITS, seconds=0), tmp_path) as reader:
        assert reader.read(b"a,b") is None
        assert reader.pid is None
