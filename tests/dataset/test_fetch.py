"""The command that fetches the documents."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dataset import fetch
from dataset.progress import line_bar_class, report_progress
from dataset.web.state import NAME
from tests.files.faults import public_folder, without_privileges
from tests.interrupts import interruptible
from tests.servers.archive import PAGES, archive_of, archive_server
from tests.servers.web import Served, WebServer, markdown, web_server
from utils.errors import DatasetError
from utils.settings import PROJECT_ROOT

Run = Callable[..., tuple[int, str, str]]
"""Runs the command in the test's folder; returns its exit code, output and errors."""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*options: str) -> tuple[int, str, str]:
        code = fetch.main(["-d", str(tmp_path), *options])
        return code, *capsys.readouterr()

    return command


def test_continues_without_a_source_that_fails(tmp_path: Path, nowhere: str, run: Run) -> None:
    code, output, errors = run("--guide-url", nowhere, "--live-url", nowhere)

    assert code == 0
    assert output.startswith("api-reference: ")
    assert output.count("\n") == 1
    live, archive = errors.splitlines()
    assert live.startswith("live: 127.0.0.1")
    assert "Continuing with the archive of 2023-06." in live
    assert f"python -m dataset.fetch --source live -d {tmp_path}" in live
    assert archive.startswith("developer-guide: ")
    assert f"python -m dataset.fetch --source developer-guide -d {tmp_path}" in archive
    assert (tmp_path / "api-reference" / "CreateEndpoint.md").is_file()


@pytest.fixture
def site() -> Iterator[WebServer]:
    """A live guide of 40 pages."""
    names = [f"page-{number}" for number in range(40)]
    pages = {f"/dg/{name}.md": markdown(f"# {name}\n\nWords.\n") for name in names}
    listed = "".join(f"- [{name}]({name}.html): About it.\n" for name in names)
    with web_server(pages | {"/dg/llms.txt": Served(listed, "text/plain")}) as server:
        yield server


def test_live_guide_makes_the_archive_unnecessary(
    tmp_path: Path, site: WebServer, nowhere: str, run: Run
) -> None:
    with archive_server() as archive:
        code, output, errors = run("--guide-url", archive.url, "--live-url", f"{site.url}/dg")
        assert not archive.asked
    assert (code, errors) == (0, "")
    assert output.splitlines()[1].startswith("live: 40 pages: 40 new, 0 changed, 0 unchanged")
    assert (tmp_path / "page-7.md").is_file()

    # It is not checked again on the same day.
    requests = len(site.asked)
    _, output, _ = run("--live-url", f"{site.url}/dg")
    assert output.splitlines()[1].startswith("live: checked within a day")
    assert len(site.asked) == requests

    # A site that is down later leaves the pages as they are, and nothing is fetched instead.
    with closing(sqlite3.connect(tmp_path / NAME)) as state, state:
        state.execute(
            "UPDATE pages SET checked = '2026-01-01T00:00:00+00:00' WHERE file LIKE '%7%'"
        )
    with archive_server() as archive:
        code, output, errors = run("--guide-url", archive.url, "--live-url", nowhere)
        assert not archive.asked
    assert "Continuing with the pages fetched before." in errors
    assert errors.count("\n") == 1
    assert len(list(tmp_path.glob("*.md"))) == 40


def test_page_is_fetched_by_the_command_that_the_line_on_the_users_file_names(
    tmp_path: Path, site: WebServer, nowhere: str, run: Run
) -> None:
    options = ("--live-url", f"{site.url}/dg", "--guide-url", nowhere)
    (tmp_path / "page-7.md").write_text("# Ours\n")
    _, _, errors = run(*options)
    line, command = errors.splitlines()[0].rsplit(": ", 1)
    assert line.endswith("page-7.md. Move them away to fetch the pages")
    assert command == f"python -m dataset.fetch --source live -d {tmp_path}"

    (tmp_path / "page-7.md").unlink()
    _, output, errors = run(*command.split()[3:], *options)
    assert (errors, output.startswith("live: 40 pages: 1 new")) == ("", True)


def test_live_pages_stay_if_their_state_is_damaged_or_gone(
    tmp_path: Path, site: WebServer, nowhere: str, run: Run
) -> None:
    name = next(iter(PAGES))
    site.pages[f"/dg/{name}"] = markdown("# Live\n\nWords.\n")
    listed = site.pages["/dg/llms.txt"]
    site.pages["/dg/llms.txt"] = Served(
        f"- [x]({name.removesuffix('.md')}.html): x\n", "text/plain"
    )
    assert listed
    run("--source", "live", "--live-url", f"{site.url}/dg")
    (tmp_path / NAME).write_bytes(b"damaged" * 1000)
    with archive_server() as archive:
        options = ("--guide-url", archive.url, "--live-url", nowhere)
        _, _, errors = run(*options)
        assert f"Cannot read {tmp_path / NAME}" in errors
        (tmp_path / NAME).unlink()
        run(*options)
    assert "# Live" in (tmp_path / name).read_text()


def test_invalid_address_of_the_live_guide_is_reported(run: Run) -> None:
    code, output, errors = run("--source", "live", "--live-url", "ftp://h.example/dg")
    assert (code, output) == (1, "")
    assert errors.startswith("live: 'ftp://h.example/dg/' is not an http or https address")
    assert errors.count("\n") == 1


def test_archive_completes_a_live_guide_that_breaks_off(
    tmp_path: Path, site: WebServer, run: Run
) -> None:
    for number in range(20, 40):
        site.pages[f"/dg/page-{number}.md"] = Served(status=503, headers={"Retry-After": "9999"})
    with archive_server() as archive:
        _, output, errors = run("--guide-url", archive.url, "--live-url", f"{site.url}/dg")
        assert archive.asked
    assert "requires a pause of 9999 s" in errors
    assert "pages not requested" in errors
    pages = len(list(tmp_path.glob("*.md")))
    assert 10 < pages <= 20
    assert f"live: {pages} pages: {pages} new" in output


@pytest.mark.process
def test_killed_live_fetch_continues(tmp_path: Path, site: WebServer) -> None:
    site.delay = 0.05
    command = [sys.executable, "-m", "dataset.fetch", "--source", "live", "-d", str(tmp_path)]
    command += ["--live-url", f"{site.url}/dg"]
    with subprocess.Popen(command, cwd=PROJECT_ROOT) as process:
        while len(site.paths) < 20 and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    before = {path.name for path in tmp_path.glob("*.md")}
    site.asked.clear()
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("live: 40 pages: ")
    assert len(list(tmp_path.glob("*.md"))) == 40
    assert not list(tmp_path.glob(".*.tmp"))
    conditional = {one.path for one in site.asked if "If-None-Match" in one.headers}
    assert len(before) - len(conditional) <= 8, "more than the pages in flight were fetched again"


def test_fails_if_every_source_fails(tmp_path: Path, nowhere: str, run: Run) -> None:
    code, output, _ = run("--source", "developer-guide", "--guide-url", nowhere)

    assert (code, output) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_archive_of_another_repository_is_rejected(tmp_path: Path, run: Run) -> None:
    with archive_server() as server:
        server.content = archive_of(PAGES)
        code, _, errors = run("--source", "developer-guide", "--guide-url", server.url)

    assert code == 1
    assert "another pipelines.md" in errors
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_reported_in_one_line(tmp_path: Path, run: Run) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")

    code, _, errors = run("--source", "api-reference", "-d", str(blocked))

    assert code == 1
    assert errors.count("\n") == 1
    assert "Cannot write" in errors
    with pytest.raises(DatasetError, match="Cannot write"):
        fetch.fetch_missing(blocked)


def test_what_may_not_be_read_is_kept_or_reported(
    nowhere: str, site: WebServer, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--live-url", f"{site.url}/dg", "--guide-url", nowhere)
    with public_folder() as place:
        docs = place / "docs"
        docs.mkdir(mode=0o777)
        docs.chmod(0o777)
        for name in ("page-7.md", "notebooks.md"):
            (docs / name).write_text("# Ours\n")
            (docs / name).chmod(0)
        with without_privileges():
            assert fetch.main(["--source", "live", "-d", str(docs), *options]) == 0
        error = capsys.readouterr().err
        assert error.startswith("live: kept, because this source did not write them: page-7.md. ")

        docs.chmod(0)
        with without_privileges():
            assert fetch.main(["-d", str(docs), *options]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line.partition(": ")[0] for line in lines] == fetch.SOURCES
        assert all("permission denied" in line.lower() for line in lines)


@pytest.mark.process
def test_help_is_fast_and_runs_from_the_project_root() -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "dataset.fetch", "--help"],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip

    assert "--guide-url" in done.stdout
    assert time.monotonic() - started < 5


@pytest.mark.process
def test_interruption_prints_one_line_and_leaves_no_files(tmp_path: Path) -> None:
    with archive_server() as server:
        server.conduct = "stalled"
        arguments = ["--source", "developer-guide", "-d", str(tmp_path), "--guide-url", server.url]
        command = [sys.executable, "-m", "dataset.fetch", *arguments]
        with subprocess.Popen(
            command, cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
        ) as process:
            while not server.asked and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=30)[1]

    assert process.returncode == 130
    assert output == "Interrupted. Run it again to continue where it stopped.\n"
    assert list(tmp_path.iterdir()) == []


def test_progress_without_a_terminal_is_an_occasional_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])

    with report_progress("guide", "B") as progress:
        for clock[0], megabytes, total in ((1.0, 1, 4 << 20), (6.0, 2, 4 << 20), (7.0, 3, None)):
            progress(megabytes << 20, total)

    assert capsys.readouterr().err == "guide:  50% 2.10M/4.19M [00:06<00:06, 350kB/s]\n"


def test_failed_sources_of_missing_documents_are_retried(tmp_path: Path, nowhere: str) -> None:
    folder = tmp_path / "pages"

    fetch.fetch_missing(folder, nowhere, nowhere)

    assert (folder / "api-reference" / "CreateEndpoint.md").is_file()
    assert (folder / fetch.UNFINISHED).read_text().split() == [fetch.LIVE, fetch.DEVELOPER_GUIDE]
    with archive_server() as server:
        fetch.fetch_missing(folder, server.url, nowhere)
        assert server.asked, "the guide was not retried"


def test_live_guide_of_missing_documents_is_fetched_or_retried(
    tmp_path: Path, nowhere: str, site: WebServer
) -> None:
    folder = tmp_path / "pages"
    fetch.fetch_missing(folder, nowhere, nowhere)
    fetch.fetch_missing(folder, nowhere, f"{site.url}/dg")
    assert (folder / "page-7.md").is_file()
    assert not (folder / fetch.UNFINISHED).exists()
    site.asked.clear()
    fetch.fetch_missing(folder, nowhere, f"{site.url}/dg")
    assert not site.asked, "complete documents were fetched again"


def test_unreadable_list_of_unfinished_sources_is_replaced(
    tmp_path: Path, nowhere: str, site: WebServer
) -> None:
    (tmp_path / fetch.UNFINISHED).write_bytes(b"\xff\xfe\0")
    fetch.fetch_missing(tmp_path, nowhere, f"{site.url}/dg")
    assert (tmp_path / "page-7.md").is_file()
    assert not (tmp_path / fetch.UNFINISHED).exists()


@pytest.mark.parametrize("unfinished", [False, True])
def test_the_users_own_documents_are_left_unchanged(
    tmp_path: Path, nowhere: str, unfinished: bool
) -> None:
    if unfinished:
        (tmp_path / fetch.UNFINISHED).write_text(fetch.DEVELOPER_GUIDE)
    (tmp_path / "own.md").write_text("# Ours\n\nText.\n")

    fetch.fetch_missing(tmp_path, nowhere, nowhere)

    assert [path.name for path in tmp_path.iterdir()] == ["own.md"]


def test_a_killed_fetch_is_completed(tmp_path: Path, nowhere: str) -> None:
    (tmp_path / fetch.UNFINISHED).write_text("\n".join(fetch.SOURCES))
    (tmp_path / "half.md").write_text("# Half\n")

    fetch.fetch_missing(tmp_path, nowhere, nowhere)

    assert (tmp_path / "api-reference" / "CreateEndpoint.md").is_file()


def test_progress_bars_of_libraries_are_lines_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    kind = line_bar_class()
    assert kind is not None

    with kind(desc="Fetching", total=0, unit="B", unit_scale=True) as bar:
        for clock[0] in range(1, 12):
            bar.total += 1_000_000
            bar.refresh()
            bar.update(500_000)
    output = capsys.readouterr().err.splitlines()

    assert len(output) == 2
    assert output[0].startswith("Fetching:")
    assert "2.00M/5.00M" in output[0]
