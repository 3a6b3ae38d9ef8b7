"""python -m inference_worker: its options, Ctrl-C while it starts, a port that is in use."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interrupts import interruptible
from utils.settings import PROJECT_ROOT, VERSION

pytestmark = pytest.mark.process

INTERRUPTED = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = {arguments!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
"""Runs a command that receives Ctrl-C when it imports a module."""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=interruptible,
    )


def test_version_is_printed() -> None:
    printed = python("-m", "inference_worker", "--version")

    assert (printed.returncode, printed.stdout) == (0, f"sagemaker-docs-qa {VERSION}\n")


def test_help_shows_the_default_address_and_port() -> None:
    printed = " ".join(python("-m", "inference_worker", "--help").stdout.split())

    assert "(default: HOST, which is 127.0.0.1 unless set)" in printed
    assert "(default: PORT, which is 8000 unless set)" in printed


@pytest.mark.parametrize("port", ["-1", "65536", "99999"])
def test_a_port_out_of_range_is_refused_in_one_line(port: str) -> None:
    refused = python("-m", "inference_worker", "--port", port)

    assert refused.returncode == 1
    assert refused.stderr.startswith("PORT: ")
    assert refused.stderr.count("\n") == 1


def test_a_port_in_use_is_reported_before_the_service_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused = python(
            *("-X", "importtime", "-m", "inference_worker", "--port", port),
            HOST="127.0.0.1",
            DATABASE=str(tmp_path / "index"),
        )

    assert refused.returncode == 1
    lines = refused.stderr.splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == [
        f"Cannot listen on 127.0.0.1, port {port}: address already in use. "
        "Choose others with --host and --port, or the settings HOST and PORT "
        "(make run PORT=...)."
    ]
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert not loaded & {"fastapi", "chromadb", "inference_worker.app"}


def make_run(*arguments: str, **environment: str) -> str:
    """The commands that `make run` would execute."""
    given = {name: value for name, value in os.environ.items() if name != "PORT"}
    make = ["make", "--no-print-directory", "--dry-run", "run", *arguments]
    return subprocess.run(
        make, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, env=given | environment
    ).stdout.rstrip()


def test_make_run_checks_the_port_before_it_fetches_and_builds() -> None:
    recipe = make_run("PORT=81", "--assume-old=.venv/.ready")
    commands = [line for line in recipe.splitlines() if ".venv/bin/python" in line][-4:]

    check, fetch, build, serve = commands
    assert check.endswith('-m inference_worker --port "81" --check')
    assert "dataset.fetch" in fetch
    assert "db_builder" in build
    assert serve.endswith('-m inference_worker --port "81"')


def test_make_run_leaves_the_port_to_the_settings_unless_it_is_given() -> None:
    assert make_run().endswith("-m inference_worker")
    assert make_run(PORT="0").endswith('--port "0"')


def test_make_run_passes_on_what_a_build_leaves_out_or_deletes() -> None:
    (build,) = [line for line in make_run(EXCLUDE="my drafts/*").splitlines() if "builder" in line]
    assert build.rstrip().endswith('--exclude "my drafts/*"')
    assert "--allow-deletions" in make_run(ALLOW_DELETIONS="1")
    assert "--allow-deletions" not in make_run(ALLOW_DELETIONS="0")


def test_check_ends_when_settings_and_port_are_usable() -> None:
    checked = python("-m", "inference_worker", "--port", "0", "--check")

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_what_reading_the_settings_finds_is_logged() -> None:
    checked = python(
        *("-m", "inference_worker", "--port", "0", "--check"), HTTPS_PROXY="http://127.0.0.1:9"
    )
    assert checked.returncode == 0
    assert "INFO Connections to api.mistral.ai use the proxy of HTTPS_PROXY" in checked.stderr


@pytest.mark.parametrize("at", ["argparse", "pydantic", "database"])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [("inference_worker", ["--port", "0"]), ("inference_worker.ask", ["What is KMS?"])],
)
def test_ctrl_c_while_modules_are_imported_prints_no_traceback(
    tmp_path: Path, module: str, arguments: list[str], at: str
) -> None:
    program = INTERRUPTED.format(at=at, module=module, arguments=arguments)

    interrupted = python("-c", program, DATABASE=str(tmp_path / "index"))

    assert (interrupted.returncode, interrupted.stderr) == (130, "")
