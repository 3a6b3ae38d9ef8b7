"""The benchmark's living index: its parts over made-up workers, and the command on a few pages."""

import asyncio
import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from database.adapting.publication import publish
from database.adapting.training import load_model
from database.adapting.whitening import whitened
from database.embedding.model_finder import MINILM, find_model
from database.embedding.model_folder import LocalModel
from dataset.conversion.converter import convert
from tests.endurance import living_changes as changing
from tests.endurance.living_changes import Change, ChangesFigures, changes_measures, measure_changes
from tests.endurance.living_load import ANSWER, SEARCH, Request, failures, load, milliseconds
from tests.endurance.living_models import SHORTENED, keep_both
from tests.endurance.living_moves import Move, MovesFigures, moves_measures
from tests.endurance.living_pages import markdown_page, word, word_file
from tests.endurance.living_snapshots import SnapshotFigures, snapshot_measures
from utils.benchmark.arguments import PARTS, chosen_parts, parse_benchmark_arguments
from utils.benchmark.report import Measure
from utils.errors import DocsQAError
from utils.settings import DEFAULT_DATASET, PROJECT_ROOT


@dataclass(slots=True)
class Replicas:
    """Two made-up workers on one index; the one that did not answer a change shows it later."""

    lag: float = 0.0
    """Seconds until the other worker shows a change."""
    own_lag: float = 0.0
    refused: str = ""
    """How the names of files end that are not taken."""
    status: int = 200
    finds: bool = True
    takes: float = 0.0
    """Seconds for a reply."""
    addresses: list[str] = field(default_factory=list)
    asked: list[tuple[int, str, str]] = field(default_factory=list)
    """Worker, path and question of each request."""
    changes: list[tuple[int, str, str, str]] = field(default_factory=list)
    """Worker, method, name and who may."""
    _history: list[tuple[float, int, str, str]] = field(default_factory=list)

    def reply(
        self, worker: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        name = path.removeprefix("/v1/documents/")
        if method in ("PUT", "DELETE"):
            if self.refused and name.endswith(self.refused):
                return 422, {"detail": "not a kind of file that is taken"}
            self.changes.append((worker, method, name, headers["authorization"]))
            self._history.append((time.perf_counter(), worker, name, text_of(name, body)))
            return 200, {}
        question = "".join(json.loads(body).values())
        self.asked.append((worker, path, question))
        found = [
            {"document": name, "text": text}
            for name, text in self._shown_by(worker).items()
            if question in text
        ]
        if self.finds and not found:
            found = [{"document": "other.md", "text": "Else."}]
        return self.status, {"passages": found}

    def _shown_by(self, worker: int) -> dict[str, str]:
        now = time.perf_counter()
        shown: dict[str, str] = {}
        for at, by, name, text in self._history:
            if now >= at + (self.own_lag if by == worker else self.lag):
                shown[name] = text
        return shown


def text_of(name: str, content: bytes) -> str:
    if content and name.endswith(".docx"):
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            content = container.read("word/document.xml")
    return content.decode()


@asynccontextmanager
async def running(replicas: Replicas) -> AsyncIterator[Replicas]:
    async with _worker(replicas, 0), _worker(replicas, 1):
        yield replicas


@asynccontextmanager
async def _worker(replicas: Replicas, number: int) -> AsyncIterator[None]:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                pairs = (line.split(": ", 1) for line in head[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                await asyncio.sleep(replicas.takes)
                status, said = replicas.reply(number, method, path, headers, body)
                content = json.dumps(said).encode()
                writer.write(
                    b"HTTP/1.1 %d -\r\ncontent-length: %d\r\n\r\n" % (status, len(content))
                )
                writer.write(content)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(converse, "127.0.0.1", 0) as server:
        replicas.addresses.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield


def nobody_is_told(line: str) -> None:
    raise AssertionError(line)


async def change(
    replicas: Replicas, count: int = 2, say: Callable[[str], None] = nobody_is_told
) -> ChangesFigures:
    async with running(replicas):
        return await measure_changes(replicas.addresses, ["How?", "Why?"], count, 50, 0.2, say)


async def test_every_page_is_added_replaced_and_deleted_at_each_worker_in_turn() -> None:
    replicas = Replicas(lag=0.1)

    figures = await change(replicas)

    pages = ["benchmark-living/page-0.md", "benchmark-living/page-1.md"]
    file = "benchmark-living/file-0.docx"
    assert [(method, name) for _, method, name, _ in replicas.changes] == [
        *(("PUT", name) for name in pages + pages),
        ("PUT", file),
        *(("DELETE", name) for name in [*pages, file]),
    ]
    assert [worker for worker, *_ in replicas.changes] == [0, 1] * 4
    assert {key for *_, key in replicas.changes} == {"Bearer benchmark-admin-key"}
    kinds = [each.kind for each in figures.changes]
    assert [kinds.count(kind) for kind in dict.fromkeys(kinds)] == [2, 2, 1, 3]
    for each in figures.changes:
        assert each.answered < 0.1 <= each.followed < 5
        assert each.shown_at_once
    assert figures.calm
    assert figures.meanwhile
    assert max(each.sent for each in figures.calm) < min(each.sent for each in figures.meanwhile)


async def test_worker_that_answers_before_it_shows_a_change_is_told_of() -> None:
    figures = await change(Replicas(own_lag=0.1), count=1)

    assert not figures.changes[0].shown_at_once
    missed = [m.name for m in changes_measures(figures) if m.reached is False]
    assert missed == ["changes that the worker that answered did not show at once"]


async def test_worker_that_never_follows_ends_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changing, "_MAX_SECONDS", 0.3)

    with pytest.raises(DocsQAError, match="the other worker did not follow"):
        await change(Replicas(lag=60))


async def test_word_files_that_are_not_taken_are_a_line_and_nothing_more() -> None:
    said: list[str] = []

    figures = await change(Replicas(refused=".docx"), say=said.append)

    assert len(said) == 1
    assert "not a kind of file that is taken" in said[0]
    assert {each.kind for each in figures.changes} == {
        changing.ADD,
        changing.REPLACE,
        changing.DELETE,
    }


async def test_pages_that_are_not_taken_end_the_measurement() -> None:
    with pytest.raises(DocsQAError, match="status 422"):
        await change(Replicas(refused=".md"))


async def test_load_comes_at_its_rate_and_asks_every_worker_everything() -> None:
    replicas = Replicas()
    kinds = [SEARCH, ANSWER]
    async with running(replicas), load(replicas.addresses, ["How?"], 100, kinds) as requests:
        await asyncio.sleep(0.5)

    assert 40 <= len(requests) <= 52
    assert len(requests) == len(replicas.asked)
    assert not failures(requests)
    for path in ("/v1/search", "/v1/answers"):
        for worker in (0, 1):
            assert replicas.asked.count((worker, path, "How?")) >= 10


async def test_load_counts_whatever_is_no_200_that_found_something() -> None:
    replicas = Replicas(status=503)
    async with running(replicas), load(replicas.addresses, ["How?"], 100, [SEARCH]) as requests:
        await asyncio.sleep(0.2)
    async with (
        running(Replicas(finds=False)) as empty,
        load(empty.addresses, ["How?"], 100, [ANSWER]) as in_vain,
    ):
        await asyncio.sleep(0.2)
    async with load(replicas.addresses, ["How?"], 100, [SEARCH]) as unheard:
        await asyncio.sleep(0.1)

    assert failures(requests) == {"status 503": len(requests)}
    assert failures(in_vain) == {"nothing found": len(in_vain)}
    assert failures(unheard) == {"ConnectError": len(unheard)}
    assert unheard
    with pytest.raises(DocsQAError, match="answered none"):
        milliseconds(requests, 0.5)


async def test_requests_under_way_at_the_end_are_waited_for() -> None:
    replicas = Replicas(takes=0.3)
    async with running(replicas), load(replicas.addresses, ["How?"], 100, [SEARCH]) as requests:
        await asyncio.sleep(0.2)
        at_the_end = len(requests)

    assert at_the_end == 0
    assert len(requests) > 1
    assert not failures(requests)


def test_made_up_pages_have_a_word_of_their_own_in_every_section() -> None:
    assert len({word(number) for number in range(5000)}) == 5000
    page = markdown_page("zobaba").decode()

    assert 5500 < len(page.encode()) < 8000
    sections = page.split("\n## ")[1:]
    assert len(sections) == 8
    assert all("zobaba" in section.partition("\n")[2] for section in sections)
    assert page != markdown_page("zobabi").decode().replace("zobabi", "zobaba")


@pytest.mark.process
def test_made_up_word_file_is_read() -> None:
    converted = convert(word_file("zobaba"), "file.docx")

    assert len(converted.text) > 5500
    assert converted.text.count("known of zobaba") == 8


@pytest.mark.model
@pytest.mark.parametrize("is_adapted", [False, True])
def test_shortened_model_is_another_one_with_vectors_as_long(
    is_adapted: bool, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    whole = find_model(MINILM)
    if is_adapted:
        evened = whitened(load_model(whole, "cpu"), ["a question", "an answer"])
        with publish(evened, whole, tmp_path / "adapted"):
            pass
        whole = LocalModel("adapted", tmp_path / "adapted")
    keep_both(tmp_path / "models", "some/name", whole.folder)

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
        keep_both(tmp_path / "models", "some/name", tmp_path / "model")


def test_model_with_unknown_layers_cannot_be_shortened(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"num_hidden_layers": 6}')
    save_file({"block.5.weight": np.zeros(3, np.float32)}, model / "model.safetensors")

    with pytest.raises(DocsQAError, match="unknown names"):
        keep_both(tmp_path / "models", "some/name", model)


def by_name(measures: list[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


def requests(*seconds: float, failure: str = "", kind: str = SEARCH) -> list[Request]:
    return [Request(kind, 0.0, each, failure) for each in seconds]


def test_changes_are_shown_by_kind_and_searches_against_calm_ones() -> None:
    changes = [
        Change(changing.ADD, 0.2, 0.9, shown_at_once=True),
        Change(changing.ADD, 0.4, 2.5, shown_at_once=False),
        Change(changing.DELETE, 0.1, 0.3, shown_at_once=True),
    ]
    busy = requests(0.03, 0.06, 0.09) + requests(0.5, failure="status 500")
    shown = by_name(changes_measures(ChangesFigures(changes, requests(0.01, 0.02, 0.03), busy)))

    assert shown["PUT of a new page, answered, p50 ms"].ours == pytest.approx(200)
    assert shown["PUT of a new page, shown by the other worker, at most ms"].ours == 2500
    assert shown["DELETE of a page, answered, at most ms"].ours == 100
    assert shown["search while documents change, times as long"].ours == pytest.approx(3)
    missed = {name: measure.ours for name, measure in shown.items() if measure.reached is False}
    assert missed == {
        "from an answer until the other worker shows it, at most, s": pytest.approx(2.1),
        "changes that the worker that answered did not show at once": 1,
        "searches meanwhile, failures (1 status 500)": 1,
    }


def test_moves_are_shown_one_by_one_and_no_failed_request_is_passed_over() -> None:
    moves = [Move("rollback", 3.0, 0, [0.5, 1.5]), Move("build", 60.0, 900, [2.0, 1.0])]
    calm = requests(0.02) + requests(0.03, kind=ANSWER)
    busy = requests(0.04, 0.9) + requests(0.06, kind=ANSWER)
    lost = requests(9, failure="ReadTimeout") + requests(8, 8, failure="status 503")

    good = by_name(moves_measures(MovesFigures(moves, calm, busy)))
    bad = by_name(moves_measures(MovesFigures(moves, calm, busy + lost)))

    assert good["rollback, pointer moved, both workers on it after s"].ours == 1.5
    assert good["build, pointer moved, one worker on it after s"].ours == 1.0
    assert good["build, chunks embedded"].ours == 900
    assert good["answer during the moves, p50 ms"].ours == pytest.approx(60)
    assert good["search before, p50 ms"].ours == pytest.approx(20)
    assert good["slowest request during the moves, ms"].ours == pytest.approx(900)
    assert good["requests before and during the moves"].ours == 5
    assert good["requests that got no 200 with passages"].reached is True
    line = bad["requests that got no 200 with passages (1 ReadTimeout, 2 status 503)"]
    assert (line.ours, line.reached) == (3, False)


def test_snapshot_is_held_against_a_build() -> None:
    shown = by_name(snapshot_measures(SnapshotFigures(4.0, 5.0, 30_000_000), 50.0))

    assert shown["snapshot, MB"].ours == 30
    assert shown["pull, % of the first build's time"].ours == 10


def test_living_index_alone_takes_a_named_folder_whole() -> None:
    def sample_of(*options: str) -> tuple[float, Path]:
        arguments = parse_benchmark_arguments(None, list(options))
        return arguments.megabytes, arguments.input_data_path

    assert sample_of("--part", "living", "-d", "pages") == (0, Path("pages"))
    assert sample_of("--part", "living", "-d", "pages", "--megabytes", "2") == (2, Path("pages"))
    assert sample_of("--part", "living") == (1, DEFAULT_DATASET)
    assert sample_of("-d", "pages") == (1, Path("pages"))


def test_living_index_is_measured_only_where_it_is_asked_for() -> None:
    assert chosen_parts(parse_benchmark_arguments(None, [])) == PARTS
    assert "living" not in PARTS
    assert chosen_parts(parse_benchmark_arguments(None, ["--part", "living"])) == ("living",)


@pytest.mark.process
@pytest.mark.model
@pytest.mark.timeout(600)
def test_command_has_everything_happen_to_an_index_and_loses_no_request(tmp_path: Path) -> None:
    folder, output = tmp_path / "documents", tmp_path / "benchmark.json"
    folder.mkdir()
    for number in range(3):
        (folder / f"page-{number}.md").write_bytes(markdown_page(word(1000 + number)))
    command = [
        *(sys.executable, "-m", "utils.benchmark", "--part", "living", "-d", str(folder)),
        *("-o", str(output), "--living_changes", "1", "--living_seconds", "1"),
    ]

    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    measured = {row["measure"]: row for row in report["measures"]["living index"]}
    assert report["our_build"] is None
    assert report["sample"]["documents"] == 3
    chunks = measured["first build, chunks"]["ours"]
    assert chunks >= 24
    assert 1 <= measured["sync, chunks embedded"]["ours"] < chunks
    assert measured["build with another model, chunks embedded"]["ours"] >= chunks
    assert 1 <= measured["build with the first model again, chunks embedded"]["ours"] < chunks
    for kind in (changing.ADD, changing.REPLACE, changing.ADD_WORD_FILE, changing.DELETE):
        answered = measured[f"{kind}, answered, p50 ms"]["ours"]
        assert 0 < answered < measured[f"{kind}, shown by the other worker, p50 ms"]["ours"]
    for move in ("build with another model", "rollback", "rollback of the rollback"):
        assert measured[f"{move}, pointer moved, both workers on it after s"]["ours"] > 0
    for name in (
        "changes that the worker that answered did not show at once",
        "searches meanwhile, failures",
        "requests that got no 200 with passages",
    ):
        assert measured[name]["reached"] is True
    assert measured["requests before and during the moves"]["ours"] > 100
    assert measured["snapshot, MB"]["ours"] > 0
    assert measured["snapshot pulled into an empty server, s"]["ours"] > 0
    assert str(tmp_path) not in output.read_text()
    assert "LIVING INDEX" in done.stdout
