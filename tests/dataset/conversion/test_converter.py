"""Files are converted to markdown within limits, or refused in one line; nothing is left behind."""

import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from dataset.conversion.converter import FORMATS, Converted, Limits, convert, format_of
from tests.files.office import docx_of, xlsx_of
from tests.files.pdf import pages_of
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


@pytest.mark.parametrize("name", ["page.md", "page.markdown", "page.txt"])
def test_plain_text_is_decoded_without_a_child_process(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a child was started"))
    content = b"\xef\xbb\xbf---\r\ntitle: T\r\n---\r# K\xc3\xb6ln <b>\r\n"
    assert convert(content, name) == Converted("---\ntitle: T\n---\n# Köln <b>\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9 au lait", "not UTF-8 text (byte 3); convert it"),
        (b"ab\0cd", "is not text: a NUL at byte 2"),
    ],
)
def test_bytes_that_are_not_text_are_refused(content: bytes, reason: str) -> None:
    assert refusal(content, "page.md") == reason


def test_file_over_the_input_limit_is_refused_before_parsing() -> None:
    limits = Limits(input_bytes=1 << 20)
    assert refusal(bytes(3 << 20), "a.pdf", limits).startswith("3 MiB is over the limit of 1 MiB")


def test_markdown_over_the_output_limit_is_refused() -> None:
    limits = Limits(output_bytes=1 << 20)
    assert "over the limit of 1 MiB" in refusal(b"word " * 400_000, "a.md", limits)


@pytest.mark.parametrize("ending", sorted(set(FORMATS) - {".md", ".markdown", ".txt"}))
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
def test_links_of_a_fetched_page_become_absolute() -> None:
    page = b"<p>See <a href='other.html#part'>the other</a>."
    url = "https://docs.example/guide/page.html"
    text = convert(page, "page.html", SMALL, url=url).text
    assert text == "See [the other](https://docs.example/guide/other.html#part).\n"


@pytest.mark.process
def test_urls_other_than_http_are_dropped() -> None:
    page = b"<link rel=canonical href='javascript:alert(1)'><p>Words <a href='x'>here</a>."
    converted = convert(page, "page.html", SMALL, url="file:///etc/passwd\0")
    assert (converted.url, converted.text) == ("", "Words [here](x).\n")


@pytest.mark.process
def test_conversion_over_the_time_limit_is_killed() -> None:
    slow = b"*a " * 200_000
    started = time.monotonic()
    assert refusal(slow, "a.rst", Limits(seconds=1)) == (
        "takes longer than 1 s to convert; split it"
    )
    assert time.monotonic() - started < 10


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<p>word <b>bold</b></p>" * 200_000),
        ("a.ipynb", b'{"cells":[' + b"{}," * 2_000_000 + b"{}]}"),
    ],
)
def test_conversion_over_the_memory_limit_is_killed(name: str, content: bytes) -> None:
    limits = Limits(seconds=60, memory_bytes=120 << 20)
    assert refusal(content, name, limits) == (
        "needs more than 120 MiB of memory to convert; split it"
    )


@pytest.mark.process
def test_text_over_the_output_limit_is_refused_rather_than_truncated() -> None:
    limits = Limits(seconds=20, output_bytes=1000)
    assert refusal(b"<p>" + b"word " * 300, "a.html", limits) == (
        "gives more than 1000 bytes of text; split it"
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
    opened = psutil.Process().num_fds()
    convert(docx_of("Words."), "a.docx", SMALL)
    refusal(b"*a " * 200_000, "a.rst", Limits(seconds=0.5))
    refusal(b"no pdf", "a.pdf")
    assert list(tmp_path.iterdir()) == []
    assert psutil.Process().children(recursive=True) == []
    assert psutil.Process().num_fds() == opened


@pytest.mark.process
def test_files_can_be_converted_concurrently() -> None:
    files = {
        "a.csv": b"a,b\n1,2\n",
        "a.html": b"<h1>T</h1>",
        "a.xlsx": xlsx_of([["x", "y"], [1, 2]]),
        "a.pdf": pages_of("Some words."),
    }
    texts: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda n=n, c=c: texts.update({n: convert(c, n, SMALL).text}))
        for n, c in files.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts["a.csv"].startswith("| a | b |")
    assert texts["a.html"] == "# T\n"
    assert "| x | y |" in texts["a.xlsx"]
    assert texts["a.pdf"] == "Some words.\n"


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
    reply: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake child process replies as the real one never does."""
    replace_child(f"import sys; sys.stdout.write({reply!r})", tmp_path, monkeypatch)
    line = refusal(b"<p>x", "a.html", Limits(seconds=20, output_bytes=1000))
    assert line in ("cannot be read as HTML", "gives more than 1000 bytes of text; split it", "a b")


def replace_child(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the child process by another program, without limits."""
    package = tmp_path / "dataset" / "conversion" / "isolation"
    package.mkdir(parents=True)
    (package / "child.py").write_text(code)
    monkeypatch.setattr("dataset.conversion.isolation.parent.PACKAGE_ROOT", tmp_path)


@pytest.mark.process
def test_metadata_from_the_child_process_is_validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = {"text": "a\0b", "title": "t\nt", "url": "javascript:run()", "changed": "soon"}
    replace_child(f"print({json.dumps(reply)!r})", tmp_path, monkeypatch)
    assert convert(b"<p>x", "a.html", SMALL) == Converted("ab", "t t", "", "")


@pytest.mark.process
def test_child_process_with_endless_output_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_child("while True: print('x' * 4096)", tmp_path, monkeypatch)
    limits = Limits(seconds=20, output_bytes=1000)
    started = time.monotonic()
    assert "gives more than" in refusal(b"<p>x", "a.html", limits)
    assert time.monotonic() - started < 10


@pytest.mark.process
def test_child_process_is_killed_with_its_descendants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    replace_child(
        "import os, time\n"
        "for pipe in 0, 1, 2: os.close(pipe)\n"
        f"if child := os.fork(): open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child}}')\n"
        "time.sleep(30)",
        tmp_path,
        monkeypatch,
    )
    started = time.monotonic()
    assert "takes longer" in refusal(b"<p>x", "a.html", Limits(seconds=2))
    assert time.monotonic() - started < 10
    assert [pid for pid in map(int, pids.read_text().split()) if _survives(pid)] == []


def _survives(pid: int) -> bool:
    """True if the process still runs ten seconds after the kill, which does not wait for it."""
    ends = time.monotonic() + 10
    while _is_running(pid):
        if time.monotonic() > ends:
            return True
        time.sleep(0.02)
    return False


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
