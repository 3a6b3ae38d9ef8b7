"""Several models in one index: the cosine of joined vectors is the mean of the models' cosines."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from database.embedding.combined_model import CombinedEmbeddings, CombinedModel
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model, model_name_of
from database.embedding.models import model_for, model_type
from database.embedding.packaged_models import MINILM
from database.reading.index_embeddings import model_of_index
from database.reading.reader import reader_from
from tests.files.model_folder import folder_of
from tests.files.mpnet import NAME, make_mpnet
from tests.files.pages import DIMENSION, WordEmbeddings, recipe, write_pages
from utils import db_builder
from utils.errors import ModelError, SettingsError
from utils.settings import PROJECT_ROOT, Settings, load_settings

TEXTS = ["Oak dries slowly.", "Kilns dry oak.", "Where is the key?", "Oak.", "A kiln."]


@pytest.fixture
def models(tmp_path: Path) -> tuple[LocalModel, LocalModel]:
    small = {
        "config.json": {"model_type": "mpnet", "hidden_size": 32},
        "sentence_bert_config.json": {"max_seq_length": 128},
        "model.safetensors": b"other weights",
    }
    return (
        LocalModel("kilns/a", folder_of(tmp_path / "a")),
        LocalModel("kilns/b", folder_of(tmp_path / "b", small)),
    )


def test_fingerprint_names_all_models(models: tuple[LocalModel, ...]) -> None:
    combined = CombinedModel(models)
    assert combined.name == "kilns/a+kilns/b"
    assert (combined.dimension, combined.max_tokens) == (64 + 32, 128)
    assert combined.pooling == "mean, mean"
    revisions = {
        combined.revision,
        models[0].revision,
        CombinedModel(models[::-1]).revision,
        CombinedModel((models[0], models[0])).revision,
    }
    assert len(revisions) == 4
    renamed = replace(models[0], name="another/name")
    assert CombinedModel((renamed, models[1])).revision == combined.revision


class ProjectedEmbeddings(WordEmbeddings):
    """Another model: unit vectors of a few dimensions."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._projected(super().embed_documents(texts))

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        return self._projected(super().embed_queries(texts))

    def _projected(self, vectors: list[list[float]]) -> list[list[float]]:
        found = vectors @ np.random.default_rng(3).normal(size=(DIMENSION, 7))
        projected: list[list[float]] = (found / np.linalg.norm(found, axis=1)[:, None]).tolist()
        return projected


def embed_all(embeddings: Embeddings) -> np.ndarray:
    return np.array(embeddings.embed_documents(TEXTS))


def test_cosine_is_the_mean_of_the_models_cosines() -> None:
    parts: list[Embeddings] = [WordEmbeddings(), ProjectedEmbeddings()]
    joined = embed_all(CombinedEmbeddings(parts))
    assert joined.shape == (len(TEXTS), DIMENSION + 7)
    cosines = [vectors @ vectors.T for vectors in map(embed_all, parts)]
    assert np.abs(cosines[0] - cosines[1]).max() > 0.1
    np.testing.assert_allclose(joined @ joined.T, np.mean(cosines, axis=0), atol=1e-6)


def test_questions_are_embedded_by_all_models() -> None:
    parts = WordEmbeddings(), ProjectedEmbeddings()
    joined = CombinedEmbeddings([*parts])
    np.testing.assert_allclose(joined.embed_queries(TEXTS), embed_all(joined))
    np.testing.assert_allclose(joined.embed_query(TEXTS[0]), embed_all(joined)[0])
    for part in parts:
        assert part.queries == [*TEXTS, TEXTS[0]]


def test_folders_in_a_combination_are_named_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT_ROOT)
    assert model_name_of(f"./models/mine+{MINILM}") == f"models/mine+{MINILM}"


def test_folder_may_have_a_plus_in_its_name(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "c++" / "model")
    assert model_name_of(str(folder)) == str(folder)
    assert model_type(str(folder)) is LocalModel
    assert model_for(str(folder), Settings(_env_file=None)).dimension == 64


@pytest.mark.parametrize(
    "name", [f"{NAME}+", f"+{NAME}", f"{NAME}+{NAME}", f"{NAME}+kilns/another", f"{NAME}+openai:a"]
)
def test_impossible_combination_is_refused(name: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, embedding_model_path=folder_of(tmp_path))
    with pytest.raises(SettingsError, match="EMBEDDING_MODEL_NAME"):
        model_for(name, settings)


def test_single_model_is_required_where_several_have_no_meaning() -> None:
    with pytest.raises(ModelError, match="several models"):
        find_model(f"{MINILM}+{NAME}")


@pytest.mark.model
def test_index_built_without_the_adapter_is_served_without_it(
    minilm: LocalModel, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "a")
    settings = Settings(_env_file=None, embedding_model_path=folder)
    plain = CombinedModel((minilm, LocalModel(NAME, folder)))
    built = recipe(embedding_model=plain.name, model_revision=plain.revision)
    adapted = model_for(plain.name, settings)

    assert adapted.revision != plain.revision
    assert model_of_index(built, settings) == plain
    assert model_of_index(replace(built, model_revision=adapted.revision), settings) == adapted


@pytest.mark.model
def test_combination_is_found_by_its_name(minilm: LocalModel, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a")
    settings = Settings(_env_file=None, embedding_model_path=folder, embedding_adapter="none")
    name = f"{MINILM}+{NAME}"
    assert model_type(name) is CombinedModel
    found = model_for(name, settings)
    assert found == CombinedModel((minilm, LocalModel(NAME, folder)))


@pytest.mark.model
@pytest.mark.process
@pytest.mark.usefixtures("converted_here")
@pytest.mark.filterwarnings("ignore:.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_index_of_two_models_is_built_and_searched(tmp_path: Path, openvino_cache: Path) -> None:
    other = make_mpnet(tmp_path / "model")
    pages, index = str(write_pages(tmp_path / "pages")), str(tmp_path / "index")
    name = f"{MINILM}+{other.folder}"
    assert db_builder.main(["-d", pages, "-db", index, "-m", name]) == 0

    with closing(reader_from(load_settings(database=index))) as reader:
        found = reader.search("Which key encrypts the storage volume of an endpoint?", 3)
        built = reader.current().fingerprint.recipe
    assert (built.embedding_model, built.dimension) == (name, 384 + 64)
    assert "encrypt" in found.passages[0].chunk.text.lower()
