"""The commands in separate processes, with the real MiniLM."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from database.embedding.packaged_models import MINILM
from inference_worker import ask
from tests.files.pages import many_pages, write_pages
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from utils import db_builder
from utils.benchmark.processes import child, free_port, wait_until_ready
from utils.settings import PROJECT_ROOT, VERSION

pytestmark = [pytest.mark.process, pytest.mark.model]

BUILDER = str(PROJECT_ROOT / "utils" / "db_builder.py")
INTERRUPTED_LINE = "Interrupted. Run it again to continue where it stopped."
QUESTION = "How is the storage volume of an endpoint encrypted?"


@pytest.fixture(scope="module")
def environment(openvino_cache: Path) -> dict[str, str]:
    return os.environ | {"EMBEDDING_CACHE_PATH": str(openvino_cache), "PYTHONPATH": ""}


def run(
    *arguments: str, environment: dict[str, str], cwd: Path = PROJECT_ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """Built from another directory, with the original project's command line."""
    place = tmp_path_factory.mktemp("commands")
    write_pages(place / "pages")
    built = run(
        BUILDER, "-d", "pages", "-db", "index", "-m", MINILM, environment=environment, cwd=place
    )
    assert built.returncode == 0, built.stderr
    assert "5 chunks, 5 of them embedded now" in built.stdout
    return place / "index"


def test_builder_runs_as_a_module_and_reports_no_changes(
    database: Path, environment: dict[str, str]
) -> None:
    pages = str(database.parent / "pages")
    again = run(
        *("-m", "utils.db_builder", "-d", pages, "-db", str(database)),
        *("--embedding_model_name", MINILM, "--device", "cpu", "--backend", "openvino"),
        environment=environment,
    )

    assert again.returncode == 0, again.stderr
    assert "0 of them embedded now" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-d", "nowhere"], "No dataset folder"),
        (["-d", "empty"], "No document in"),
        (["-d", "pages", "-db", "broken"], "cannot be read"),
        (["-d", "pages", "-db", "a-file/index"], "Cannot open"),
        (["-d", "pages", "-db", "http://127.0.0.1:9"], "No Chroma server answers"),
        (["-d", "pages", "-mp", "no-weights", "-m", "some/model"], "No weights"),
        (["-d", "pages", "-m", "../etc"], "No model folder"),
        (["-d", "pages", "-m", "etc/../passwd"], "is not a model name"),
        (["-d", "pages", "-cz", "5"], "-cz 5"),
        (["-d", "pages", "-cz", "100", "-co", "100"], "-co 100"),
        (["-d", "pages", "--device", "cuda", "-db", "unbuilt"], "EMBEDDING_DEVICE"),
        (["-d", "pages", "--device", "cuda", "--backend", "openvino"], "--backend"),
    ],
)
def test_builder_error_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "pages")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a-file").write_text("")
    (tmp_path / "no-weights").mkdir()
    (tmp_path / "no-weights" / "config.json").write_text("{}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "chroma.sqlite3").write_bytes(b"this is no database at all")

    status = db_builder.main(["-db", "index", "-m", MINILM, *arguments])

    printed = capfd.readouterr().err
    assert status == 1
    assert message in printed
    assert printed.count("\n") == 1


def test_builder_error_of_a_process_is_one_line(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "chroma.sqlite3").write_bytes(b"this is no database at all")
    pages = write_pages(tmp_path / "pages")

    failed = run(
        *(BUILDER, "-d", str(pages), "-db", str(tmp_path / "broken"), "-m", MINILM),
        environment=environment,
    )

    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
    assert "cannot be read" in failed.stderr


@pytest.fixture
def with_database(database: Path, environment: dict[str, str]) -> dict[str, str]:
    return environment | {"DATABASE": str(database)}


def test_ask_prints_the_answer_then_the_documents(with_database: dict[str, str]) -> None:
    asked = run("-m", "inference_worker.ask", QUESTION, environment=with_database)

    assert asked.returncode == 0, asked.stderr
    answer, documents = asked.stdout.split("Read next:")
    assert "KmsKeyId" in answer
    assert documents.splitlines()[1] == "  Work with endpoints"
    assert ".md" not in documents


def test_ask_prints_json_with_the_option(
    with_database: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("DATABASE", "EMBEDDING_CACHE_PATH"):
        monkeypatch.setenv(name, with_database[name])

    assert ask.main(["--json", QUESTION]) == 0
    assert json.loads(capsys.readouterr().out)["docs"][0] == "endpoints.md"


def test_ask_prints_the_answer_as_it_is_streamed(with_database: dict[str, str]) -> None:
    command = [sys.executable, "-m", "inference_worker.ask", QUESTION]
    with MistralServer() as mistral:
        mistral.default = replies.answer(pieces=["First ", "second [1]. [9]"], between=3.0)
        asking = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=with_database | {"MISTRAL_API_KEY": "test-key", "MISTRAL_BASE_URL": mistral.url},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asking.stdout is not None
        # Returns the available bytes without waiting for more.
        first = os.read(asking.stdout.fileno(), 100).decode()
        still_writing = mistral.in_flight
        rest, _ = asking.communicate(timeout=60)

    assert (first, still_writing) == ("First", 1)
    assert rest.startswith(" second [1].\n\nSources:\n  [1] Work with endpoints")
    assert "[9]" not in rest


def test_ask_prints_no_list_of_sources_but_its_own_and_nothing_invisible(
    with_database: dict[str, str],
) -> None:
    forged = "First [1].\n\nSources:\n  [1] \x1b[31mOfficial\u202e\n      https://evil.example"
    with MistralServer() as mistral:
        mistral.default = replies.answer(forged)
        model = {"MISTRAL_API_KEY": "test-key", "MISTRAL_BASE_URL": mistral.url}
        asked = run("-m", "inference_worker.ask", QUESTION, environment=with_database | model)

    assert asked.stdout.count("\nSources:\n") == 1
    assert asked.stdout.index("`https://evil.example`") < asked.stdout.index("\nSources:\n")
    assert all(character.isprintable() or character == "\n" for character in asked.stdout)


def test_ask_without_an_index_prints_how_to_build_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE", str(tmp_path / "index"))

    assert ask.main([QUESTION]) == 1

    printed = capfd.readouterr().err
    assert f"Build it: make index DATABASE={tmp_path / 'index'}" in printed
    assert printed.count("\n") == 1


def test_service_with_an_invalid_setting_exits_with_a_one_line_error(
    environment: dict[str, str],
) -> None:
    invalid = environment | {"MISTRAL_API_KEY": "{your mistral api key}"}
    started = run("-m", "inference_worker", environment=invalid)

    assert started.returncode == 1
    assert started.stderr.startswith("MISTRAL_API_KEY: ")
    assert len(started.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        [BUILDER],
        ["-m", "inference_worker"],
        ["-m", "inference_worker.ask"],
        ["-m", "dataset.fetch"],
        ["-m", "database.adapting"],
        ["-m", "database.snapshot"],
    ],
)
def test_help_imports_no_heavy_packages(environment: dict[str, str], command: list[str]) -> None:
    helped = run("-X", "importtime", *command, "--help", environment=environment)

    assert helped.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in helped.stderr.splitlines()}
    heavy = {"torch", "openvino", "chromadb", "transformers", "langchain_core", "obstore", "fsspec"}
    assert not loaded & heavy
    assert not re.search(r"default: [A-Z_]+\)", helped.stdout), "a setting's name is no default"


@pytest.mark.parametrize(
    "module", ["utils.db_builder", "dataset.fetch", "database.adapting", "database.snapshot"]
)
def test_version_is_printed(environment: dict[str, str], module: str) -> None:
    printed = run("-m", module, "--version", environment=environment)

    assert (printed.returncode, printed.stdout) == (0, f"sagemaker-docs-qa {VERSION}\n"), (
        printed.stderr
    )


@pytest.fixture(scope="module")
def service(database: Path, environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The service's address and process id."""
    port, log = free_port(), database.parent / "service.log"
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "inference_worker", "--port", str(port)]
    with child(command, log, environment | {"DATABASE": str(database)}) as process:
        wait_until_ready(process, "service", log, f"{url}/readyz")
        yield url, process.pid
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGTERM)


def test_service_uses_the_model_of_the_index(service: tuple[str, int]) -> None:
    url, _ = service
    body = httpx.post(f"{url}/inference_endpoint", params={"message": QUESTION}).json()

    assert "KmsKeyId" in body["answer"]
    assert body["docs"][0] == "endpoints.md"


@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.0])
def test_service_stopped_during_startup_exits_cleanly(
    with_database: dict[str, str], seconds: float
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "inference_worker", "--port", "0"],
        cwd=PROJECT_ROOT,
        env=with_database,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.terminate()
    output = process.communicate(timeout=20)[1]

    assert process.returncode in (0, -signal.SIGTERM), "-SIGTERM: before our first line ran"
    assert "Traceback" not in output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_service_stopped_inside_a_destructor_exits(
    environment: dict[str, str], number: int, code: int
) -> None:
    program = f"""
import os, runpy, signal, utils.settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
load_settings = utils.settings.load_settings

class Stopping:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})

def stop_and_load(**options):
    Stopping()
    return load_settings(**options)

utils.settings.load_settings = stop_and_load
runpy.run_module("inference_worker", run_name="__main__")
"""
    stopped = run("-c", program, environment=environment | {"PORT": "0"})

    assert (stopped.returncode, stopped.stderr) == (code, "")


INTERRUPT_WHILE_IMPORTING = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == importing:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
command, importing = sys.argv[1:]
sys.argv[1:] = []
sys.meta_path.insert(0, Interrupting())
run = runpy.run_path if command.endswith(".py") else runpy.run_module
run(command, run_name="__main__")
"""


@pytest.mark.parametrize("importing", ["utils.settings", "pydantic_core"])
@pytest.mark.parametrize(
    "command",
    [BUILDER, "utils.db_builder", "dataset.fetch", "database.adapting", "database.snapshot"],
)
def test_command_interrupted_during_imports_exits_without_a_traceback(
    environment: dict[str, str], command: str, importing: str
) -> None:
    interrupted = run(
        *("-c", INTERRUPT_WHILE_IMPORTING, command, importing), environment=environment
    )

    assert (interrupted.returncode, interrupted.stdout) == (130, ""), interrupted.stderr
    assert interrupted.stderr == f"{INTERRUPTED_LINE}\n"


def test_interrupted_builder_can_be_run_again(tmp_path: Path, environment: dict[str, str]) -> None:
    write_pages(tmp_path / "pages", many_pages(64))
    command = [sys.executable, BUILDER, "-d", "pages", "-db", "index", "-m", MINILM]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("index/*/")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        output = process.communicate(timeout=30)[1]

    assert process.returncode == 130, output
    assert output.splitlines()[-1] == INTERRUPTED_LINE
    again = run(*command[1:], environment=environment, cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_service_does_not_load_torch_after_the_model_is_exported(service: tuple[str, int]) -> None:
    _, process = service
    maps = Path(f"/proc/{process}/maps")
    if not maps.exists():
        pytest.skip("no /proc here: cannot see what a process has loaded")

    assert "libtorch" not in maps.read_text()
