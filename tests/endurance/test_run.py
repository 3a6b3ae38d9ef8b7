"""The endurance run's store checks, memory check and schedule, and a run of half a minute."""

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from database.index import rows
from database.index.store import Store, open_store
from database.journal.jobs import ACCEPTING_SECONDS, Job, Jobs, JobState
from database.journal.uploads import Uploads
from dataset.documents import Document
from tests.endurance.checker.checker import Checker
from tests.endurance.checker.memory import KEPT_BY_CHROMA, Series, growth
from tests.endurance.checker.model import Document as ModelDocument
from tests.endurance.checker.model import Model
from tests.endurance.checker.store_check import check_store
from tests.endurance.checker.violations import HALF, LEFTOVER
from tests.endurance.checker.windows import Windows
from tests.endurance.documents.folder import Folder
from tests.endurance.documents.pages import Mark, marks, write
from tests.endurance.load import schedule
from tests.endurance.load.rest import Rest
from tests.files.pages import builder
from tests.interrupts import interruptible
from utils.figures import MIB
from utils.settings import PROJECT_ROOT


@pytest.fixture
def checker() -> Checker:
    return Checker(Model(Windows()))


def kinds(checker: Checker) -> list[str]:
    return [violation.kind for violation in checker.violations]


@pytest.mark.parametrize("name", ["page.md", "page.txt", "page.html"])
def test_page_in_every_format_has_the_marks_of_its_version_and_sections(name: str) -> None:
    version = Model(Windows()).add(name).next_version()

    found = marks(write(version, name).decode())

    sections = [None, *range(version.sections)]
    assert found == {Mark(version.document, version.number, section) for section in sections}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of generated pages that are identical in every run."""
    place = tmp_path_factory.mktemp("endurance")
    fill(place, Model(Windows()))
    with closing(open_store(str(place / "index"), create=True)) as store:
        builder(store).build(place / "pages")
    return place / "index"


def fill(place: Path, model: Model) -> None:
    folder = Folder(place / "pages", model, random.Random(1))
    folder.fill(None, 4)
    folder.built()


@pytest.fixture
def stored(checker: Checker, built: Path, tmp_path: Path) -> Iterable[Store]:
    """A store with the generated pages."""
    fill(tmp_path, checker.model)
    shutil.copytree(built, tmp_path / "index")
    with closing(open_store(str(tmp_path / "index"))) as store:
        yield store


def check_stored(checker: Checker, store: Store) -> list[str]:
    check_store(checker, store.database)
    return kinds(checker)


def test_every_chunk_has_the_marks_of_its_version_and_section(stored: Store) -> None:
    _, collection, _ = stored.live_collection()
    for chunk in rows.read_chunks(collection):
        found = marks(chunk.text)
        assert len({each.version for each in found}) == 1
        assert any(each.section is not None for each in found)


def test_correct_store_passes(checker: Checker, stored: Store) -> None:
    assert check_stored(checker, stored) == []


def test_missing_row_is_reported(checker: Checker, stored: Store) -> None:
    _, collection, _ = stored.live_collection()
    collection.delete(ids=[rows.read_page(collection, 0)[0].chunk.id])

    assert HALF in check_stored(checker, stored)
    assert any("rows and should have" in violation.what for violation in checker.violations)


def test_leftover_rows_of_a_change_are_reported(checker: Checker, stored: Store) -> None:
    _, collection, _ = stored.live_collection()
    page: Any = collection.get(limit=1, include=["documents", "metadatas", "embeddings"])
    old = page["metadatas"][0] | {"document_hash": "old"}
    collection.add("left", page["embeddings"], [old], page["documents"])

    assert LEFTOVER in check_stored(checker, stored)


def test_leftover_document_and_collection_are_reported(checker: Checker, stored: Store) -> None:
    document = _document_of_folder(checker)
    document.folder.done(document.folder.begin(None, 1), 2)
    stored.create("index-left", {"made_for": "nothing"}, 1)

    assert check_stored(checker, stored) == [LEFTOVER, LEFTOVER]


@pytest.mark.parametrize(
    ("state", "seconds_ago", "reported"),
    [
        ("accepting", 0, []),  # as after a store crash during acceptance
        ("accepting", ACCEPTING_SECONDS + 1, ["an upload of live/page.md was left behind"]),
        ("failed", 0, ["an upload of live/page.md was left behind"]),
        ("queued", 0, ["job id (put) was never finished"]),
    ],
)
def test_leftover_upload_is_reported_unless_its_change_may_be_in_progress(
    checker: Checker, stored: Store, state: JobState, seconds_ago: float, reported: list[str]
) -> None:
    version = checker.model.add("live/page.md").next_version()
    text = write(version, "live/page.md").decode()
    began = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    Jobs(stored).add(Job("id", "put", began.isoformat(), state))
    Uploads(stored).add("id", [Document("live/page.md", text, "", "", "a hash")])

    check_store(checker, stored.database)

    assert [violation.what for violation in checker.violations] == reported


def _document_of_folder(checker: Checker) -> ModelDocument:
    document, _ = checker.model.changing()[0]
    return document


def series(memory: Iterable[float]) -> Series:
    values = [int(value) for value in memory]
    return Series("first", 1, [float(second) for second in range(len(values))], values)


def test_memory_growth_is_detected_and_temporary_peaks_are_ignored() -> None:
    rng = random.Random(1)
    noise = [400 * MIB + rng.uniform(-8, 8) * MIB for _ in range(1500)]
    flat = growth(series(noise))
    swaps = growth(
        series(
            value + (120 * MIB if at > 700 and at % 60 < 20 else 0)
            for at, value in enumerate(noise)
        )
    )
    leak = growth(series(value + at * 0.1 * MIB for at, value in enumerate(noise)))
    burst = growth(
        series(value + (400 * MIB if at == 900 else 0) for at, value in enumerate(noise))
    )

    assert flat is not None
    assert flat.is_flat
    assert swaps is not None
    assert swaps.is_flat
    assert leak is not None
    assert not leak.is_flat
    assert burst is not None
    assert not burst.is_flat
    assert growth(series(noise[:300])) is None


def test_memory_chroma_retains_for_deleted_indexes_is_not_growth() -> None:
    rng = random.Random(1)
    rows, builds = 4500, range(200, 1500, 100)
    kept = [KEPT_BY_CHROMA * rows * sum(at > built for built in builds) for at in range(1500)]
    grown = series(400 * MIB + rng.uniform(-8, 8) * MIB + kept[at] for at in range(1500))
    before = growth(grown)
    grown.deleted = [(float(built), rows) for built in builds]
    after = growth(grown)

    assert before is not None
    assert not before.is_flat
    assert after is not None
    assert after.is_flat


def test_schedule_is_deterministic_and_has_every_event_in_half_an_hour() -> None:
    lanes = schedule.plan(7, 1800, 2, server=True)

    assert lanes == schedule.plan(7, 1800, 2, server=True)
    assert lanes != schedule.plan(8, 1800, 2, server=True)
    happened = {event.kind for events in lanes.values() for event in events}
    assert happened == {
        *(schedule.KILL_WORKER, schedule.KILL_STORE, schedule.BUILD, schedule.BUILD_KILLED),
        *(schedule.SWAP, schedule.SWAP_KILLED, schedule.TWO_BUILDERS),
    }
    assert {event.worker for event in lanes["worker"] if event.at > 400} == {1}
    assert max(event.at for event in lanes["store"]) < 1080


def test_short_run_has_a_build_and_kills() -> None:
    lanes = schedule.plan(1, 36, 2, server=True)

    assert all(lanes[lane] for lane in ("build", "worker", "store"))


async def test_rest_waits_for_running_actions_and_blocks_new_ones() -> None:
    rest, order = Rest(), []

    async def act(name: str, seconds: float) -> None:
        async with rest.action():
            order.append(f"{name} begins")
            await asyncio.sleep(seconds)
            order.append(f"{name} ends")

    async def look() -> None:
        async with rest.quiet():
            order.append("quiet")
            await asyncio.sleep(0.05)
            order.append("quiet no more")

    first = asyncio.create_task(act("first", 0.05))
    await asyncio.sleep(0.01)
    looking = asyncio.create_task(look())
    await asyncio.sleep(0.01)
    await asyncio.gather(first, looking, act("second", 0))

    assert order == [
        *("first begins", "first ends", "quiet", "quiet no more"),
        *("second begins", "second ends"),
    ]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.model
@pytest.mark.timeout(900)
def test_short_run_reports_no_violation(tmp_path: Path) -> None:
    output = tmp_path / "out" / "endurance.json"
    command = [
        *(sys.executable, "-m", "tests.endurance", "--minutes", "0.5", "--pages", "12"),
        *("--rate", "4", "--changes", "1", "-o", str(output)),
    ]

    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(output.read_text())
    assert report["violations"] == []
    assert report["checked"]["expected"] > 20
    assert report["checked"]["lists"] > 0
    assert report["requests"]["search"]["200"] > 50
    assert report["requests"]["put"]
    assert sum(report["events"].values()) >= 3
    assert report["rows in the store at the end"] > 0
    assert "No violation." in done.stdout
    assert str(tmp_path) not in output.read_text()
    assert str(PROJECT_ROOT) not in output.read_text()


@pytest.mark.process
@pytest.mark.model
def test_interrupted_run_leaves_no_process_and_no_report(tmp_path: Path) -> None:
    output = tmp_path / "endurance.json"
    command = [sys.executable, "-m", "tests.endurance", "--pages", "4", "-o", str(output)]
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=interruptible,
    ) as run:
        children = wait_for_children(run.pid)
        run.send_signal(signal.SIGINT)
        _, output_text = run.communicate(timeout=60)

    assert run.returncode == 130
    assert output_text.endswith("Interrupted; nothing was written.\n")
    assert not output.exists()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def wait_for_children(process_id: int) -> list[psutil.Process]:
    """The provider, the store and the first builder."""
    run = psutil.Process(process_id)
    deadline = time.monotonic() + 120
    while len(children := run.children(recursive=True)) < 3:
        assert time.monotonic() < deadline, "the run started too few processes"
        time.sleep(0.1)
    return children
