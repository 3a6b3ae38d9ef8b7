"""all-mpnet-base-v2 with its official weights: build, search, switch from MiniLM, snapshot.

They run where requirements-mpnet.txt is installed.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.embedding.packaged_models import MINILM, MPNET, unpack_mpnet
from database.reading.reader import Reader, reader_from
from database.snapshot import __main__ as snapshot
from tests.files.handbook import QUESTIONS, write_handbook
from tests.utils.evaluation.quality import assert_reaches
from utils import db_builder
from utils.evaluation.metrics import Values, summaries
from utils.evaluation.questions import load_questions
from utils.evaluation.runs import run_questions
from utils.settings import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.mpnet, pytest.mark.process, pytest.mark.timeout(900)]

FLOORS = {"hit@1": 0.64, "hit@5": 0.9, "nDCG@10": 0.78}


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the model, set as EMBEDDING_MODEL_PATH."""
    folder = tmp_path_factory.mktemp("models") / "all-mpnet-base-v2"
    if unpack_mpnet(folder) is None:
        pytest.skip(f"requirements-mpnet.txt is not installed: make setup MODEL={MPNET}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EMBEDDING_MODEL_PATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the handbook, built with MiniLM."""
    place = tmp_path_factory.mktemp("handbook")
    write_handbook(place / "pages")
    build(place / "index", MINILM)
    return place / "index"


@pytest.fixture(scope="module")
def reader(database: Path) -> Iterator[Reader]:
    """A service's reader, without a model in its settings, open before mpnet's first build."""
    with closing(reader_from(load_settings(database=str(database)))) as made:
        assert model_of(made) == MINILM
        build(database, MPNET)
        yield made


def build(index: Path, model: str) -> None:
    pages = str(index.parent / "pages")
    assert db_builder.main(["-d", pages, "-db", str(index), "-m", model]) == 0


def model_of(reader: Reader) -> str:
    return reader.refresh().fingerprint.recipe.embedding_model


def nearest(reader: Reader) -> str:
    return reader.search("parking in Zurich", 3).passages[0].chunk.document


def test_reader_follows_from_minilm_to_mpnet(reader: Reader) -> None:
    assert model_of(reader) == MPNET
    assert reader.current().fingerprint.recipe.dimension == 768
    assert nearest(reader).startswith("offices/")


@pytest.fixture(scope="module")
def measured(reader: Reader) -> Values:
    assert model_of(reader) == MPNET
    return summaries(run_questions(reader, load_questions([QUESTIONS])))["all"]


@pytest.mark.parametrize("metric", FLOORS)
def test_quality_is_near_that_of_minilm(metric: str, measured: Values) -> None:
    assert_reaches(metric, measured, FLOORS)


def test_snapshot_restores_the_index(reader: Reader, database: Path, tmp_path: Path) -> None:
    assert model_of(reader) == MPNET
    snapshots, copy = str(tmp_path / "snapshots"), str(tmp_path / "copy")
    assert snapshot.main(["push", snapshots, "-db", str(database)]) == 0
    assert snapshot.main(["pull", snapshots, "-db", copy]) == 0
    with closing(reader_from(load_settings(database=copy))) as restored:
        assert model_of(restored) == MPNET
        found = restored.search("parking in Zurich", 3).passages
    expected = reader.search("parking in Zurich", 3).passages
    assert [passage.chunk for passage in found] == [passage.chunk for passage in expected]


def test_reader_follows_back_to_minilm(reader: Reader, database: Path) -> None:
    """The last test: the others need the index with mpnet, whose build takes longest."""
    page = nearest(reader)
    build(database, MINILM)
    assert (model_of(reader), nearest(reader)) == (MINILM, page)
