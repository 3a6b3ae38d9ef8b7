"""Whitening of an adapted model's vectors, and their truncation."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from database.adapting import __main__ as command
from database.adapting import adaptation
from database.adapting.evaluation import Trial, embedder_of
from database.adapting.publication import read_record
from database.adapting.training import load_model
from database.adapting.whitening import shorten, whiten
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import MINILM, find_model
from database.reading.reader import reader_from
from tests.files.workshop import write_workshop
from utils import db_builder
from utils.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.model

TEXTS = [
    *(f"The {name} press is oiled by hand and cleaned with a dry cloth." for name in "ABCDEFGH"),
    *(f"Where is the {thing} kept?" for thing in ("key", "cloth", "oil", "brush", "manual")),
]


def vectors(model: "SentenceTransformer", texts: list[str]) -> npt.NDArray[np.float64]:
    return np.asarray(embedder_of(model)(texts), dtype=np.float64)


@pytest.fixture(scope="module")
def general(minilm: LocalModel) -> "SentenceTransformer":
    return load_model(minilm, "cpu")


@pytest.fixture(scope="module")
def white(general: "SentenceTransformer") -> "SentenceTransformer":
    return whiten(general, TEXTS)


def test_whitening_reduces_the_common_direction(
    general: "SentenceTransformer", white: "SentenceTransformer"
) -> None:
    """Cosines are Mahalanobis similarities under the shrunk second moment of the texts."""
    before = vectors(general, TEXTS)
    moment = before.T @ before / len(TEXTS)
    shrunk = 0.9 * np.eye(len(moment)) / len(moment) + 0.1 * moment
    near = before @ np.linalg.inv(shrunk) @ before.T
    lengths = np.sqrt(np.diag(near))

    after = vectors(white, TEXTS)

    assert after @ after.T == pytest.approx(near / np.outer(lengths, lengths), abs=1e-4)
    assert (after @ after.T).mean() < (before @ before.T).mean() - 0.1


def test_whitened_vectors_have_unit_length_and_the_weights_are_unchanged(
    general: "SentenceTransformer", white: "SentenceTransformer"
) -> None:
    assert np.linalg.norm(vectors(white, TEXTS), axis=1) == pytest.approx(1)
    assert white[0] is general[0]
    assert len(list(general)) == 3


def test_shorter_vectors_are_the_normalised_first_components(white: "SentenceTransformer") -> None:
    shorter = shorten(white, 7)

    cut = vectors(white, TEXTS)[:, :7]
    assert vectors(shorter, TEXTS) == pytest.approx(
        cut / np.linalg.norm(cut, axis=1, keepdims=True), abs=1e-4
    )


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output of the command with --dimension, without training and with a small trial."""
    monkeypatch.setattr(adaptation, "train", lambda *given, **options: None)
    few = Trial("directions", ("up", "down"), ("1", "2"), ("upwards", "downwards"), ("1", "2"))
    monkeypatch.setattr(adaptation, "general_trial", lambda: few)
    folder = write_workshop(tmp_path / "documents")
    output = tmp_path / "models" / "short"
    arguments = ["-d", str(folder), "-m", MINILM, "-o", str(output), "--dimension", "96"]

    assert command.main(arguments) == 0

    return output


def test_index_of_shorter_vectors_is_built_and_searched(short: Path, tmp_path: Path) -> None:
    model = find_model(str(short))
    texts = ["How is the Brimset press cleaned?", "a sleeping lion"]
    index = str(tmp_path / "index")

    ours, torchs = (
        np.array(
            model.load_embeddings(device="cpu", backend=backend, cache=tmp_path).embed_documents(
                texts
            )
        )
        for backend in ("openvino", "torch")
    )
    assert model.dimension == 96
    assert ours.shape == (2, 96)
    assert (ours * torchs).sum(axis=1) == pytest.approx([1, 1], abs=1e-4)

    assert db_builder.main(["-d", str(tmp_path / "documents"), "-db", index, "-m", str(short)]) == 0
    settings = Settings(database=index, embedding_model_name=None)
    with closing(reader_from(settings)) as reader:
        found = reader.search("How do I clean the Garnow lathe?", 3)
        assert found.passages[0].chunk.document == "garnow-lathe.md"
        assert reader.current().fingerprint.recipe.dimension == 96


def test_record_states_the_loss_of_shorter_vectors(short: Path) -> None:
    record = read_record(short)

    assert record
    assert (record["shortened"]["dimension"], record["shortened"]["of"]) == (96, 384)
    assert [gain["trial"] for gain in record["shortened"]["gains"]] == [
        "held-out documents",
        "directions",
    ]
    assert "96 instead of 384 dimensions: nDCG@10 " in (short / "README.md").read_text()


def test_revision_covers_the_last_layer(short: Path) -> None:
    model = find_model(str(short))
    revision = model.revision
    layer = next(short.glob("*_Dense/model.safetensors"))

    layer.write_bytes(layer.read_bytes()[:-1] + b"\x01")

    assert find_model(str(short)).revision != revision


def test_adapted_model_is_refused_as_a_base(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-d", str(tmp_path / "documents"), "-m", str(short), "-o", str(tmp_path / "again")]

    assert command.main(arguments) == 1
    assert (
        f"Adapt its base model, {MINILM}, to all the documents instead." in capsys.readouterr().err
    )


def test_prompts_of_the_base_are_kept(minilm: LocalModel) -> None:
    base = load_model(minilm, "cpu")
    base.prompts, base.default_prompt_name = {"ask": "A question: "}, "ask"
    white = whiten(base, TEXTS)

    for model in (white, shorten(white, 96)):
        assert model.prompts["ask"] == "A question: "
        assert model.default_prompt_name == "ask"


def test_files_are_readable_by_other_users(short: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in short.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in short.rglob("*") if path.is_dir()} == {0o755}


def test_whitening_works_with_few_texts(general: "SentenceTransformer") -> None:
    """Far fewer texts than dimensions: most directions have no variance."""
    few = whiten(general, TEXTS[:2])

    assert np.isfinite(vectors(few, TEXTS)).all()
