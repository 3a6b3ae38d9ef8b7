"""Files are converted to markdown within limits, or refused in one line; nothing is left behind."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import psutil
import pytest

from dataset.conversion.converter import FORMATS, Converted, Limits, convert, format_of
from dataset.markdown.reader import sections
from tests.files.office import docx_of, xlsx_of
from tests.files.pdf import paragraph, pdf_of
from utils.errors import DatasetError, DocumentError

SMALL = Limits(seconds=20, memory_bytes=300 << 20)


def refusal(content: bytes, name: str, limits: Limits = SMALL) -> str:
    with pytest.raises(DocumentError) as refused:
        convert(content, name, limits)
    line = str(refused.value)
    assert "\n" not in line
    assert not any(hint in line for hint in ("Traceback", "/", "Error", name))
    return line


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("page.md", "markdown"),
        ("guides/PAGE.HTML", "html"),
        ("a.b.pdf", "pdf"),
        ("notes", None),
        ("archive.tar.gz", None),
        ("folder.pdf/notes", None),
        (".md", None),
        ("guides/.pdf", None),
        ("page.docm", None),
    ],
)
def test_file_extension_determines_the_format(name: str, known: str | None) -> None:
    assert format_of(name) == known


def test_known_extensions_are_lower_case_and_start_with_a_dot() -> None:
    assert all(ending.startswith(".") and ending == ending.lower() for ending in FORMATS)


def test_unknown_extension_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(DocumentError, match=r"must end in one of these: \.csv, \.docx"):
        convert(b"x", "program.exe")


def test_document_error_is_a_dataset_error() -> None:
    assert issubclass(DocumentError, DatasetError)


@pytest.mark.parametrize(
    ("name", "tag"), [("page.md", "<b>"), ("page.mdx", "<b>"), ("page.txt", "\\<b>")]
)
def test_plain_text_is_decoded_without_a_child_process(
    name: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a child was started"))
    content = b"\xef\xbb\xbf---\r\ntitle: T\r\n---\r# K\xc3\xb6ln <b>\r\n"
    assert convert(content, name) == Converted(f"---\ntitle: T\n---\n# Köln {tag}\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["page.md", "page.txt"])
def test_byte_order_mark_states_the_encoding(name: str, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    assert convert(f"{mark}Köln".encode(encoding), name).text == "Köln"


@pytest.mark.parametrize(
    "text",
    [r"C:\new\-temp", "<!-- kept -->", "AT&amp;T", "List<String>", "`<x>`", "[2]: x", "__init__"],
)
def test_plain_text_is_read_literally(text: str) -> None:
    (section,) = sections(convert(f"Words\n{text}".encode(), "page.txt").text)
    assert section.blocks[0].text == f"Words\n{text}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9 au lait", "not UTF-8 text (byte 3); convert it"),
        (b"ab\0cd", "is not text: a NUL at byte 2"),
    ],
)
def test_bytes_that_are_not_text_are_refused(content: bytes, reason: str) -> None:
    assert refusal(content, "page.md") == reason


@pytest.mark.parametrize("ending", sorted(set(FORMATS) - {".md", ".markdown", ".mdx", ".txt"}))
def test_empty_file_is_refused_without_a_child_process(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a child was started"))
    assert refusal(b" \n", f"a{ending}") == "is empty"


@pytest.mark.process
def test_page_is_converted_with_its_metadata_in_a_child_process() -> None:
    page = (
        '<link rel=canonical href="https://docs.example/crane.html"><title>Crane</title>'
        '<meta name="last-modified" content="2026-01-02"><main><h1>Crane</h1><p>It "lifts".</main>'
    )
    converted = convert(page.encode(), "crane.html", SMALL)
    assert converted == Converted(
        '# Crane\n\nIt "lifts".\n', "Crane", "https://docs.example/crane.html", "2026-01-02"
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://docs.example/guide/page.html", "https://docs.example/guide/x"),
        ("file:///etc/passwd\0", "x"),
    ],
)
def test_links_of_a_page_are_relative_to_its_web_address_only(url: str, target: str) -> None:
    page = b"<link rel=canonical href='javascript:alert(1)'><p>Words <a href='x'>here</a>."
    converted = convert(page, "page.html", SMALL, url=url)
    assert (converted.url, converted.text) == ("", f"Words [here]({target}).\n")


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "content", "limits", "reason"),
    [
        ("a.pdf", bytes(3 << 20), Limits(input_bytes=1 << 20), "3 MiB is over the limit of 1 MiB"),
        ("a.md", b"a " * (1 << 20), Limits(output_bytes=1 << 20), "2 MiB is over the limit of 1"),
        ("a.html", b"word " * 300, Limits(output_bytes=1000), "gives more than 1000 bytes of text"),
        ("a.rst", b"*a " * 200_000, Limits(seconds=1), "takes longer than 1 s to convert"),
    ],
    ids=["input", "text", "output", "time"],
)
def test_file_over_a_limit_is_refused(
    name: str, content: bytes, limits: Limits, reason: str
) -> None:
    started = time.monotonic()
    line = refusal(content, name, limits)
    assert line.startswith(reason)
    assert "; split it" in line
    assert time.monotonic() - started < 10


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<p>word <b>bold</b></p>" * 200_000),
        ("a.ipynb", b'{"cells":[' + b"{}," * 2_000_000 + b"{}]}"),
    ],
    ids=["html", "ipynb"],
)
def test_conversion_over_the_memory_limit_is_killed(name: str, content: bytes) -> None:
    assert refusal(content, name, Limits(memory_bytes=120 << 20)) == (
        "needs more than 120 MiB of memory to convert; split it"
    )


@pytest.mark.process
def test_output_limit_counts_the_text_rather_than_its_json() -> None:
    quotes = '"' * 999
    limits = Limits(seconds=20, output_bytes=1000)
    assert convert(f"<p>{quotes}".encode(), "a.html", limits).text == f"{quotes}\n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.pdf", "PDF"),
        ("a.docx", "Word (docx)"),
        ("a.pptx", "PowerPoint (pptx)"),
        ("a.xlsx", "Excel (xlsx)"),
        ("a.epub", "EPUB"),
        ("a.ipynb", "a Jupyter notebook"),
    ],
)
def test_content_that_does_not_match_the_extension_is_refused(name: str, shown: str) -> None:
    program = b"MZ\x90\0" + bytes(range(256)) * 20
    assert refusal(program, name) == f"cannot be read as {shown}"


@pytest.mark.process
def test_conversions_leave_no_files_processes_or_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    this = psutil.Process()
    # Such as the resource tracker of `multiprocessing`, which another test has started.
    opened, children = this.num_fds(), this.children(recursive=True)
    convert(docx_of("Words."), "a.docx", SMALL)
    refusal(b"*a " * 200_000, "a.rst", Limits(seconds=0.5))
    refusal(b"no pdf", "a.pdf")
    assert list(tmp_path.iterdir()) == []
    assert this.children(recursive=True) == children
    assert this.num_fds() == opened


@pytest.mark.process
def test_files_can_be_converted_concurrently() -> None:
    files = {
        "a.csv": b"a,b\n1,2\n",
        "a.html": b"<h1>T</h1>",
        "a.xlsx": xlsx_of([["x", "y"], [1, 2]]),
        "a.pdf": pdf_of(paragraph("Some words.")),
    }
    with ThreadPoolExecutor(len(files)) as pool:
        converted = pool.map(convert, files.values(), files, repeat(SMALL))
        texts = {name: result.text for name, result in zip(files, converted, strict=True)}
    assert texts["a.csv"].startswith("| a | b |")
    assert texts["a.html"] == "# T\n"
    assert "| x | y |" in texts["a.xlsx"]
    assert texts["a.pdf"] == "Some words.\n"


@pytest.fixture
def replace_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces the child process by another program, without limits."""
    package = tmp_path / "dataset" / "conversion" / "isolation"
    package.mkdir(parents=True)
    monkeypatch.setattr("dataset.conversion.isolation.parent.PACKAGE_ROOT", tmp_path)

    def replace(code: str) -> None:
        (package / "child.py").write_text(code)

    return replace


@pytest.mark.process
@pytest.mark.parametrize(
    "reply",
    [
        "no json",
        "[" * 100_000,
        '["a"]',
        '{"text": 1}',
        json.dumps({"text": "x" * 5000}),
        json.dumps({"refusal": "a\nb"}),
    ],
)
def test_invalid_reply_of_the_child_process_is_rejected(
    reply: str, replace_child: Callable[[str], None]
) -> None:
    """The fake child process replies as the real one never does."""
    replace_child(f"import sys; sys.stdout.write({reply!r})")
    line = refusal(b"<p>x", "a.html", Limits(seconds=20, output_bytes=1000))
    assert line in ("cannot be read as HTML", "gives more than 1000 bytes of text; split it", "a b")


@pytest.mark.process
def test_metadata_from_the_child_process_is_validated(replace_child: Callable[[str], None]) -> None:
    reply = {"text": "a\0b", "title": "t\nt", "url": "javascript:run()", "changed": "soon"}
    replace_child(f"print({json.dumps(reply)!r})")
    assert convert(b"<p>x", "a.html", SMALL) == Converted("ab", "t t", "", "")


@pytest.mark.process
def test_child_process_with_endless_output_is_killed(replace_child: Callable[[str], None]) -> None:
    replace_child("while True: print('x' * 4096)")
    started = time.monotonic()
    assert "gives more than" in refusal(b"<p>x", "a.html", Limits(seconds=20, output_bytes=1000))
    assert time.monotonic() - started < 10


@pytest.mark.process
def test_child_process_is_killed_with_its_descendants(
    tmp_path: Path, replace_child: Callable[[str], None]
) -> None:
    pids = tmp_path / "pids"
    replace_child(
        "import os, time\n"
        "for pipe in 0, 1, 2: os.close(pipe)\n"
        f"if child := os.fork(): open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child}}')\n"
        "time.sleep(30)"
    )
    started = time.monotonic()
    assert "takes longer" in refusal(b"<p>x", "a.html", Limits(seconds=2))
    assert time.monotonic() - started < 10
    assert not any(_survives(pid) for pid in map(int, pids.read_text().split()))


def _survives(pid: int) -> bool:
    """True if the process still runs ten seconds after the kill, which does not wait for it."""
    ends = time.monotonic() + 10
    while _is_running(pid) and time.monotonic() < ends:
        time.sleep(0.02)
    return _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
