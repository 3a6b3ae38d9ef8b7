"""Provisioning of documents, model and index from nothing, as in the container."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.embedding import model_finder
from database.embedding.local_model import LocalModel
from database.embedding.packaged_models import MINILM, MPNET
from database.index.fingerprint import Fingerprint
from database.index.store import Store, open_store
from tests.files.model_folder import folder_of
from tests.files.pages import builder, recipe, write_pages
from utils import db_builder, provision
from utils.errors import DatasetError, IndexMismatchError, ModelError
from utils.settings import Settings

pytestmark = pytest.mark.process


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(str(tmp_path / "index"), create=True)) as opened:
        yield opened


@pytest.fixture
def built(store: Store, tmp_path: Path) -> Fingerprint:
    """An index built with word embeddings."""
    builder(store).build(write_pages(tmp_path / "built-from"))
    fingerprint = provision.live_fingerprint(store)
    assert fingerprint is not None
    return fingerprint


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The target folders of fetches; the fetch itself is a stub."""
    folders: list[Path] = []
    monkeypatch.setattr(provision, "fetch_missing", folders.append)
    return folders


def test_matching_prebuilt_index_needs_no_documents(
    store: Store, built: Fingerprint, tmp_path: Path, fetched: list[Path]
) -> None:
    otherwise_split = recipe(chunk_size=40)
    for wanted in (recipe(), otherwise_split):
        assert not provision.provide_documents(tmp_path / "empty", store, wanted, built)
    assert fetched == []


def test_prebuilt_index_of_another_model_is_not_replaced(
    store: Store, built: Fingerprint, tmp_path: Path, fetched: list[Path]
) -> None:
    other = recipe(embedding_model="other/words", model_revision="words-2")
    with pytest.raises(IndexMismatchError, match=r"tests/words, not other/words"):
        provision.provide_documents(tmp_path / "empty", store, other, built)
    assert fetched == []


def test_existing_documents_are_used_for_an_existing_index(
    store: Store, built: Fingerprint, tmp_path: Path, fetched: list[Path]
) -> None:
    pages = write_pages(tmp_path / "pages")
    assert provision.provide_documents(pages, store, recipe(), built)


def test_documents_are_fetched_if_there_is_no_index(
    store: Store, tmp_path: Path, fetched: list[Path]
) -> None:
    assert provision.live_fingerprint(store) is None
    assert provision.provide_documents(tmp_path / "empty", store, recipe(), None)
    assert fetched == [tmp_path / "empty"]


def test_index_keeps_the_model_it_was_built_with(built: Fingerprint) -> None:
    with pytest.raises(ModelError, match="tests/words"):
        provision.provide_model(Settings(_env_file=None), built, print)


def test_model_from_the_settings_is_not_replaced() -> None:
    settings = Settings(_env_file=None, embedding_model_name="some/other-model")
    with pytest.raises(ModelError, match="some/other-model"):
        provision.provide_model(settings, None, print)


@pytest.fixture
def no_mpnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine without requirements-mpnet.txt."""
    monkeypatch.setattr(model_finder, "unpack_mpnet", lambda _: None)
    monkeypatch.setattr(model_finder, "DEFAULT_MODEL_FOLDER", tmp_path / "all-mpnet-base-v2")


@pytest.mark.usefixtures("no_mpnet")
def test_packaged_mpnet_comes_before_minilm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = LocalModel(MPNET, folder_of(tmp_path / "model"))
    monkeypatch.setattr(model_finder, "unpack_mpnet", lambda _: unpacked)
    settings = Settings(_env_file=None, embedding_model_path=tmp_path / "models")
    assert provision.provide_model(settings, None, pytest.fail).name == MPNET


@pytest.mark.model
@pytest.mark.usefixtures("no_mpnet")
def test_packaged_minilm_is_used_if_the_download_fails(tmp_path: Path) -> None:
    messages: list[str] = []
    settings = Settings(_env_file=None, embedding_model_path=tmp_path / "models")

    model = provision.provide_model(settings, None, messages.append)

    assert model.name == MINILM
    (line,) = messages
    assert f"make setup MODEL={MPNET}" in line
    assert line.endswith(f"Continuing with the packaged {MINILM}.")


def test_empty_folder_without_a_source_is_an_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataset.fetch._Fetches._fetch", lambda *_: False)
    with pytest.raises(DatasetError):
        provision.provide_documents(tmp_path / "empty", store, recipe(), None)


@pytest.mark.model
@pytest.mark.usefixtures("no_mpnet")
def test_first_start_second_start_and_start_without_documents(
    tmp_path: Path,
    openvino_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages = write_pages(tmp_path / "pages")
    monkeypatch.setenv("EMBEDDING_MODEL_PATH", str(tmp_path / "models"))

    def start(cache: Path) -> str:
        monkeypatch.setenv("EMBEDDING_CACHE_PATH", str(cache))
        arguments = ["--provision", "-d", str(pages), "-db", str(tmp_path / "index")]
        assert db_builder.main(arguments) == 0
        return capsys.readouterr().out

    assert "5 chunks, 5 of them embedded now" in start(openvino_cache)

    cache = tmp_path / "openvino"
    assert "0 of them embedded now" in start(cache)
    (exported,) = cache.iterdir()
    assert (exported / "model.xml").is_file(), "the service has no torch to make it with"
    assert exported.stat().st_mode & 0o777 == 0o755, "the service is another user"

    for page in pages.iterdir():
        page.unlink()
    assert "used as it is" in start(cache)
