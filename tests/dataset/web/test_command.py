"""`--source web` on the command line: output, exit codes, and recovery after a kill."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from dataset import fetch
from dataset.folder import load_documents
from dataset.web.state import NAME
from tests.interrupts import interruptible
from tests.servers.web import Served, WebServer, html, markdown, sitemap, web_server
from utils.settings import PROJECT_ROOT

Run = Callable[..., tuple[int, str, str]]
"""Fetches web pages into the test's folder; returns exit code, output and errors."""


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server({f"/{name}.md": markdown(f"# {name}\n\nWords.\n") for name in "abc"}) as site:
        site.sitemap()
        yield site


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*options: str) -> tuple[int, str, str]:
        code = fetch.main(["--source", "web", "--rate", "100", "-d", str(tmp_path), *options])
        return code, *capsys.readouterr()

    return command


def test_pages_are_counted_and_errors_listed(server: WebServer, tmp_path: Path, run: Run) -> None:
    urls = "--sitemap", f"{server.url}/sitemap.xml", "--url", f"{server.url}/none"
    code, output, errors = run(*urls)
    assert code == 0
    assert re.fullmatch(
        r"web: 3 pages: 3 new, 0 changed, 0 unchanged, 0 removed in \d+\.\d s\n", output
    )
    assert errors == f"web: {server.url}/none answers 404 Not Found\n"
    others = {path.name for path in (tmp_path / "web").iterdir() if path.is_file()}
    assert all(name.startswith(".") for name in others), "the state and the lock are not hidden"
    documents = list(load_documents(tmp_path, pytest.fail))
    assert [document.title for document in documents] == ["a", "b", "c"]
    assert documents[0].url == f"{server.url}/a.md"


def test_run_that_fetches_no_page_fails(server: WebServer, run: Run) -> None:
    code, output, errors = run("--url", f"{server.url}/none")
    assert (code, output) == (1, "")
    assert errors.splitlines() == [
        f"web: {server.url}/none answers 404 Not Found",
        "web: No page could be fetched.",
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "No page is named"),
        (["--url", "ftp://h.example/"], "is not an http or https address"),
        (["--url", "nonsense\n"], "is not the address of a page"),
        (["--urls", "no-such-file"], "cannot be read (No such file"),
    ],
)
def test_invalid_page_list_is_reported(run: Run, options: list[str], reason: str) -> None:
    code, _, errors = run(*options)
    assert code == 1
    assert reason in errors.splitlines()[0]


@pytest.mark.parametrize(
    "options",
    [
        ["--source", "all", "--url", "https://h.example/"],
        ["--include", "*/a"],
        ["--source", "live", "--other-hosts"],
        ["--source", "web", "--rate", "0"],
        ["--source", "web", "--rate", "nan"],
        ["--source", "web", "--limit", "0"],
        ["--source", "web", "--contact", "a\nb"],
        ["--source", "web", "--contact", "(nested)"],
    ],
)
def test_invalid_options_are_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        fetch.main([*options, "-d", str(tmp_path)])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_concurrent_fetch_into_a_folder_fails(server: WebServer, tmp_path: Path, run: Run) -> None:
    (tmp_path / "web").mkdir()
    with FileLock(tmp_path / "web" / ".lock"):
        code, _, errors = run("--url", f"{server.url}/a.md")
    assert code == 1
    assert "Another fetch is writing" in errors
    assert not server.asked


def test_unwritable_folder_is_reported(server: WebServer, tmp_path: Path, run: Run) -> None:
    (tmp_path / "web").write_text("in the way")
    code, _, errors = run("--url", f"{server.url}/a.md")
    assert code == 1
    assert errors.startswith("web: Cannot write to")


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, None])
def test_unreadable_state_is_reported_with_a_remedy(
    server: WebServer, tmp_path: Path, run: Run, damage: bytes | None
) -> None:
    (tmp_path / "web").mkdir()
    state = tmp_path / "web" / NAME
    if damage:
        state.write_bytes(damage)
    else:
        with contextlib.closing(sqlite3.connect(state)) as connection:
            connection.execute("PRAGMA user_version = 99")
    code, _, errors = run("--url", f"{server.url}/a.md")
    assert code == 1
    assert f"{state}" in errors
    assert "Delete it" in errors
    state.unlink()
    assert run("--url", f"{server.url}/a.md")[0] == 0
    assert run("--url", f"{server.url}/a.md")[1].startswith("web: 1 pages: 0 new")


@pytest.mark.process
def test_html_is_converted_with_its_anchors(server: WebServer, tmp_path: Path, run: Run) -> None:
    words = '<main><h1 id="top">Ovens</h1><h2 id="heat">Heat</h2><p>See <a href="a.md">A</a>.</p>'
    server.pages["/ovens.html"] = Served(html("Ovens", f"</p>{words}</main><p>"))
    assert run("--url", f"{server.url}/ovens.html")[0] == 0
    (document,) = load_documents(tmp_path, pytest.fail)
    assert document.title == "Ovens"
    assert '## Heat<a name="heat"></a>' in document.text
    assert f"[A]({server.url}/a.md)" in document.text


def start(folder: Path, server: WebServer) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dataset.fetch", "--source", "web", "-d", str(folder),
               "--sitemap", f"{server.url}/sitemap.xml", "--rate", "50"]  # fmt: skip
    return subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=interruptible,
    )  # fmt: skip


@pytest.mark.process
def test_killed_fetch_resumes(tmp_path: Path) -> None:
    names = [f"/{number}.md" for number in range(40)]
    with web_server({name: markdown(f"# Page {name}\n\nWords.\n") for name in names}) as server:
        server.sitemap()
        for seen in (3, 11, 12, 25):
            with start(tmp_path, server) as process:
                while len(set(server.paths)) < seen and process.poll() is None:
                    time.sleep(0.002)
                process.kill()
                process.communicate(timeout=30)
            whole = [path.read_text() for path in tmp_path.rglob("*.md")]
            assert all(text.endswith("Words.\n") for text in whole)
            assert len(set(server.paths) - {"/sitemap.xml"}) - len(whole) <= 1
        had = {path.name for path in tmp_path.rglob("*.md")}
        server.asked.clear()
        with start(tmp_path, server) as process:
            output, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert "40 pages" in output
    assert len(list(tmp_path.rglob("*.md"))) == 40
    pages = [one for one in server.asked if one.path.endswith(".md")]
    first = {one.path[1:] for one in pages[: 40 - len(had) + 4]}
    assert {name[1:] for name in names} - had <= first, "missing pages were not fetched first"
    conditional = {one.path[1:] for one in pages if "If-None-Match" in one.headers}
    assert len(had - conditional) <= 4, (
        "more than the page in flight at each kill was fetched again"
    )
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.process
def test_interruption_prints_one_line(tmp_path: Path) -> None:
    pages = {"/a.md": markdown("# A\n\nWords.\n"), "/b.md": Served("x" * 999, conduct="stalled")}
    with web_server(pages) as server:
        server.pages["/sitemap.xml"] = sitemap(f"{server.url}/a.md", f"{server.url}/b.md")
        with start(tmp_path, server) as process:
            while "/b.md" not in server.paths and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (output, errors) == ("", "Interrupted. Run it again to continue where it stopped.\n")
    assert [path.name for path in tmp_path.rglob("*.md")] == ["a.md"]


@pytest.mark.process
def test_memory_does_not_grow_with_the_number_of_pages(tmp_path: Path) -> None:
    words = "Many words of a large page. " * 12_000
    pages = {f"/{number}.md": markdown(f"# P {number}\n\n{words}") for number in range(24)}
    # VmHWM of this process alone: getrusage starts with the peak of its parent.
    code = (
        "import sys; from dataset import fetch; fetch.main(sys.argv[1:]); "
        "status = open('/proc/self/status').read(); "
        "print(int(status.partition('VmHWM:')[2].split()[0]) // 1024)"
    )
    peaks = []
    with web_server(pages) as server:
        server.sitemap()
        for limit in ("4", "20"):
            done = subprocess.run(
                [sys.executable, "-c", code, "--source", "web", "-d", str(tmp_path), "--rate",
                 "100", "--sitemap", f"{server.url}/sitemap.xml", "--limit", limit],
                cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60,
                env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
            )  # fmt: skip
            peaks.append(int(done.stdout.split()[-1]))
    assert len(list(tmp_path.rglob("*.md"))) == 24
    assert peaks[1] - peaks[0] < 3, f"MiB at the peak with 4 and with 20 pages: {peaks}"
