"""The endurance run's measurements, over simulated workers, and the command on a few pages."""

import asyncio
import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from database.adapting.publication import publish
from database.adapting.whitening import whiten
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MINILM
from database.embedding.torch_embeddings import load_model
from dataset.conversion.converter import convert
from tests.endurance.__main__ import parse_arguments
from tests.endurance.checker.checker import Checker
from tests.endurance.checker.model import Model
from tests.endurance.checker.violations import LOST, STATUS
from tests.endurance.checker.windows import Windows
from tests.endurance.documents.folder import Folder
from tests.endurance.documents.pages import Mark, marks, write
from tests.endurance.load import visibility
from tests.endurance.measure import (
    ADD,
    ADD_WORD_FILE,
    DELETE,
    REPLACE,
    Measurement,
    embedded_chunks,
    latency_figures,
)
from tests.endurance.run import Run
from tests.endurance.system.client import Client
from tests.endurance.system.models import SHORTENED, add_with_shortened
from tests.endurance.system.processes import CommandResult, Service, System
from utils.benchmark.processes import BenchmarkRun
from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT


@dataclass(slots=True)
class Replicas:
    """Two simulated workers on one index; a change is visible later in the other worker."""

    lag: float = 0.0
    """Seconds until a change is visible in the other worker."""
    own_lag: float = 0.0
    status: int = 200
    """The status of searches."""
    seconds: float = 0.0
    """The duration of a search."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Worker and path of each request of the load."""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    """Worker, method and document."""
    keys: set[str | None] = field(default_factory=set)
    _history: list[tuple[float, str, str, str | None]] = field(default_factory=list)

    async def respond(self, request: httpx.Request) -> httpx.Response:
        worker = request.url.host
        name = request.url.path.removeprefix("/v1/documents/")
        shown = self._shown_by(worker)
        if request.method in ("PUT", "DELETE"):
            outcome = "deleted" if request.method == "DELETE" else "added"
            outcome = "replaced" if outcome == "added" and name in shown else outcome
            self.changes.append((worker, request.method, name))
            self.keys.add(request.headers.get("authorization"))
            text = None if outcome == "deleted" else _text_of(name, request.content)
            self._history.append((time.perf_counter(), worker, name, text))
            document = {"name": name, "outcome": outcome, "etag": "x"}
            return httpx.Response(200, json={"documents": [document], "state": "done"})
        if request.method == "GET":
            if name not in shown:
                return httpx.Response(404, json={})
            return httpx.Response(200, json={"text": shown[name], "etag": "x"})
        self.asked.append((worker, request.url.path))
        await asyncio.sleep(self.seconds)
        asked = json.loads(request.content or b"{}")
        found = [
            {"document": name, "title": "", "text": text}
            for name, text in shown.items()
            if asked.get("query", "") in text
        ]
        body = {"passages": found, "docs": [], "citations": []}
        if asked.get("stream"):
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(self.status, headers=headers, text=f"data: {json.dumps(body)}\n")
        return httpx.Response(self.status, json=body)

    def _shown_by(self, worker: str) -> dict[str, str]:
        now = time.perf_counter()
        shown: dict[str, str] = {}
        for at, by, name, text in self._history:
            if now >= at + (self.own_lag if by == worker else self.lag):
                shown.pop(name, None)
                shown |= {} if text is None else {name: text}
        return shown


def _text_of(name: str, content: bytes) -> str:
    if name.endswith(".docx"):
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            content = container.read("word/document.xml")
    return content.decode()


@asynccontextmanager
async def running(replicas: Replicas, folder: Path) -> AsyncIterator[Run]:
    """A run over simulated workers whose index contains one page."""
    model = Model(Windows())
    pages = Folder(folder / "pages", model, random.Random(1))
    workers = [
        Service(name, (), f"http://{name}", "/readyz", folder, process_id=1)
        for name in ("first", "second")
    ]
    version = model.add_permanent("page.md")
    text = write(version, "page.md").decode()
    replicas._history.append((0.0, "first", "page.md", text))  # noqa: SLF001  # the index so far
    run = BenchmarkRun("", "", "", "", "", "")
    system = System(run, model.windows, None, workers)
    transport = httpx.MockTransport(replicas.respond)
    async with httpx.AsyncClient(transport=transport) as http:
        yield Run(
            system=system,
            checker=Checker(model),
            client=Client(http),
            folder=pages,
            seed=1,
            questions=["How?", "Why?"],
            has_documents=True,
            has_filters=False,
            say=lambda line: None,
        )


async def test_every_document_is_added_replaced_and_deleted_at_each_worker_in_turn(
    tmp_path: Path,
) -> None:
    replicas = Replicas(lag=0.5)
    async with running(replicas, tmp_path) as run:
        measurement = Measurement(run, changes=2, calm_seconds=0.1)
        await measurement.change_documents()

    pages = ["measured/page-0.md", "measured/page-1.md"]
    file = "measured/file-0.docx"
    assert [(method, name) for _, method, name in replicas.changes] == [
        *(("PUT", name) for name in pages + pages),
        ("PUT", file),
        *(("DELETE", name) for name in [*pages, file]),
    ]
    assert [worker for worker, *_ in replicas.changes] == ["first", "second"] * 4
    assert replicas.keys == {"Bearer endurance-admin-key"}
    figures = measurement.figures
    for kind in (ADD, REPLACE, ADD_WORD_FILE, DELETE):
        answered = figures[f"{kind}, answered, p50 ms"]
        assert answered < 500 <= figures[f"{kind}, visible in the other worker, p50 ms"] < 5000
        assert answered <= figures[f"{kind}, answered, max ms"]
    assert 0 < figures["from the response until visible in the other worker, max s"] < 5
    assert run.checker.violations == []


async def test_change_not_visible_after_its_response_is_a_violation(tmp_path: Path) -> None:
    async with running(Replicas(own_lag=0.1), tmp_path) as run:
        await Measurement(run, changes=1, calm_seconds=0.1).change_documents()

    assert LOST in {violation.kind for violation in run.checker.violations}


async def test_change_never_visible_in_the_other_worker_is_a_violation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "_VISIBLE_SECONDS", 2.5)
    async with running(Replicas(lag=60), tmp_path) as run:
        worker, document = run.system.workers[0], run.checker.model.add("measured/page.md")
        await run.writes.put(worker, document)

    assert run.writes.watcher.visible == []
    assert LOST in {violation.kind for violation in run.checker.violations}


async def test_load_is_sent_at_its_rate_to_every_worker_and_route(tmp_path: Path) -> None:
    replicas = Replicas()
    start = time.perf_counter()
    async with running(replicas, tmp_path) as run, run.under_load(100):
        for _ in range(300):  # a busy machine falls behind
            await asyncio.sleep(0.1)
            if sum(run.checker.counts.values()) >= 40:
                break
    elapsed = time.perf_counter() - start

    searches = [each for each in replicas.asked if each[1] == "/v1/search"]
    assert 40 <= sum(run.checker.counts.values()) <= 100 * elapsed + 2
    assert {worker for worker, _ in searches} == {"first", "second"}
    assert ("first", "/v1/answers") in replicas.asked
    assert run.checker.violations == []
    assert len(run.load.latencies) == sum(
        count for (_, status), count in run.checker.counts.items() if status == 200
    )


async def test_load_counts_every_status_but_200_as_a_violation(tmp_path: Path) -> None:
    replicas = Replicas(status=503)
    async with running(replicas, tmp_path) as run, run.under_load(100):
        await asyncio.sleep(0.2)

    assert {violation.kind for violation in run.checker.violations} == {STATUS}
    assert len(run.checker.violations) == len(replicas.asked)
    assert "search" not in {route for *_, route in run.load.latencies}


async def test_running_requests_are_awaited_at_the_end(tmp_path: Path) -> None:
    replicas = Replicas(seconds=0.3)
    async with running(replicas, tmp_path) as run, run.under_load(100):
        await asyncio.sleep(0.2)
        at_the_end = sum(route != "read" for *_, route in run.load.latencies)

    assert at_the_end == 0
    answered = sum(route != "read" for *_, route in run.load.latencies)
    assert answered == len(replicas.asked) > 1


def test_latency_figures_are_of_the_requests_sent_in_each_span() -> None:
    latencies = [
        *((10.0 + at, seconds, "search") for at, seconds in enumerate((0.01, 0.02, 0.03))),
        *((20.0 + at, seconds, "search") for at, seconds in enumerate((0.03, 0.06, 0.9))),
        (21.0, 0.06, "answers"),
        (21.0, 5.0, "read"),
    ]

    shown = latency_figures(latencies, {"alone": (9.0, 15.0), "later": (15.0, 30.0)})

    assert shown == {
        "search alone, p50 ms": pytest.approx(20),
        "search alone, p99 ms": pytest.approx(30),
        "search later, p50 ms": pytest.approx(60),
        "search later, p99 ms": pytest.approx(900),
        "answers later, p50 ms": pytest.approx(60),
        "answers later, p99 ms": pytest.approx(60),
    }


def test_embedded_chunks_are_read_from_the_builders_report() -> None:
    report = "Loading\n12,598 chunks, 190 of them embedded now, in 46 s\n"

    assert embedded_chunks(CommandResult(0, report, 1, 46.0)) == (12598, 190)
    with pytest.raises(DocsQAError, match="printed no report: Loading"):
        embedded_chunks(CommandResult(0, "Loading\n", 1, 46.0))


def test_measured_pages_have_their_marks_in_every_section() -> None:
    version = Model(Windows()).add("page.md").next_version(sections=8, sentences=8)
    page = write(version, "page.md").decode()

    assert 5500 < len(page) < 8000
    sections = page.split("\n## ")[1:]
    assert len(sections) == 8
    assert all(version.marker in section.partition("\n")[2] for section in sections)


@pytest.mark.process
def test_measured_word_file_is_read_with_all_its_marks() -> None:
    version = Model(Windows()).add("file.docx").next_version(sections=8, sentences=8)

    converted = convert(write(version, "file.docx"), "file.docx")

    assert len(converted.text) > 5500
    sections = [None, *range(8)]
    assert marks(converted.text) == {Mark(version.document, version.number, s) for s in sections}


@pytest.mark.model
@pytest.mark.parametrize("is_adapted", [False, True])
def test_shortened_model_has_another_revision_and_the_same_dimension(
    is_adapted: bool, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    whole = find_model(MINILM)
    if is_adapted:
        evened = whiten(load_model(whole, "cpu"), ["a question", "an answer"])
        with publish(evened, whole, tmp_path / "adapted"):
            pass
        whole = LocalModel("adapted", tmp_path / "adapted")
    add_with_shortened(tmp_path / "models", "some/name", whole.folder)

    shortened = find_model(SHORTENED, tmp_path / "models")
    assert find_model("some/name", tmp_path / "models").revision == whole.revision
    assert shortened.revision != whole.revision
    assert shortened.dimension == whole.dimension
    assert shortened.pooling == whole.pooling
    vectors = [
        SentenceTransformer(str(model.folder), device="cpu").encode("a question")
        for model in (whole, shortened)
    ]
    assert abs(float((vectors[0] * vectors[1]).sum())) < 0.95


def test_model_without_known_weights_cannot_be_shortened(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()

    with pytest.raises(DocsQAError, match=r"No model\.safetensors"):
        add_with_shortened(tmp_path / "models", "some/name", tmp_path / "model")


def test_model_with_unknown_layers_cannot_be_shortened(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"num_hidden_layers": 6}')
    save_file({"block.5.weight": np.zeros(3, np.float32)}, model / "model.safetensors")

    with pytest.raises(DocsQAError, match="unknown names"):
        add_with_shortened(tmp_path / "models", "some/name", model)


def test_measurement_needs_two_workers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--measure", "--database", "embedded"])

    assert "--measure needs two workers" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.model
@pytest.mark.timeout(900)
def test_command_measures_every_step_without_failed_requests(
    tmp_path: Path, openvino_cache: Path
) -> None:
    output = tmp_path / "endurance.json"
    command = [
        *(sys.executable, "-m", "tests.endurance", "--measure", "--pages", "3", "--rate", "4"),
        *("-o", str(output), "--measured_changes", "1", "--calm_seconds", "1"),
    ]

    environment = os.environ | {"EMBEDDING_CACHE_PATH": str(openvino_cache)}

    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(output.read_text())
    assert report["violations"] == []
    measured = report["measures"]
    chunks = measured["first build, chunks"]
    assert chunks >= 24
    assert 1 <= measured["sync, chunks embedded"] < chunks
    assert measured["build with another model, chunks embedded"] >= chunks
    assert 1 <= measured["build with the first model again, chunks embedded"] < chunks
    for kind in (ADD, REPLACE, ADD_WORD_FILE, DELETE):
        answered = measured[f"{kind}, answered, p50 ms"]
        assert 0 < answered < measured[f"{kind}, visible in the other worker, p50 ms"]
    assert measured["from the response until visible in the other worker, max s"] > 0
    for move in ("build with another model", "rollback", "second rollback"):
        assert measured[f"{move}, both workers serve it after s"] > 0
    assert report["requests"]["search"]["200"] > 100
    assert measured["snapshot, MB"] > 0
    assert measured["snapshot pulled into an empty server, s"] > 0
    assert report["rows in the store at the end"] > 0
    assert str(tmp_path) not in output.read_text()
