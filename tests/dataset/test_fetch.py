"""The command that fetches the documents."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset import fetch
from dataset.progress import line_bar_class, report_progress
from tests.interrupts import interruptible
from tests.servers.archive import PAGES, archive_of, archive_server
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
    code, output, errors = run("--guide-url", nowhere)

    assert code == 0
    assert output.startswith("api-reference: ")
    assert output.count("\n") == 1
    assert errors.startswith("developer-guide: ")
    assert errors.count("\n") == 1
    assert f"python -m dataset.fetch --source developer-guide -d {tmp_path}" in errors
    assert (tmp_path / "api-reference" / "CreateEndpoint.md").is_file()


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

    fetch.fetch_missing(folder, nowhere)

    assert (folder / "api-reference" / "CreateEndpoint.md").is_file()
    assert (folder / fetch.UNFINISHED).read_text() == fetch.DEVELOPER_GUIDE
    with archive_server() as server:
        fetch.fetch_missing(folder, server.url)
        assert server.asked, "the guide was not retried"


@pytest.mark.parametrize("unfinished", [False, True])
def test_the_users_own_documents_are_left_unchanged(
    tmp_path: Path, nowhere: str, unfinished: bool
) -> None:
    if unfinished:
        (tmp_path / fetch.UNFINISHED).write_text(fetch.DEVELOPER_GUIDE)
    (tmp_path / "own.md").write_text("# Ours\n\nText.\n")

    fetch.fetch_missing(tmp_path, nowhere)

    assert [path.name for path in tmp_path.iterdir()] == ["own.md"]


def test_a_killed_fetch_is_completed(tmp_path: Path, nowhere: str) -> None:
    (tmp_path / fetch.UNFINISHED).write_text("\n".join(fetch.SOURCES))
    (tmp_path / "half.md").write_text("# Half\n")

    fetch.fetch_missing(tmp_path, nowhere)

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
