"""A model is adapted to a folder of documents, and used like any other."""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from database.adapting import __main__ as command
from database.adapting import adaptation, quantization
from database.adapting.evaluation import Gain, Trial
from database.adapting.low_rank import MAX_BYTES, write_adapter
from database.adapting.publication import publish, read_record
from database.adapting.whitening import whiten
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MINILM
from database.embedding.torch_embeddings import load_model
from database.reading.reader import reader_from
from tests.files.workshop import PAGES, write_workshop
from utils import db_builder
from utils.errors import IndexMismatchError, ModelError
from utils.settings import PROJECT_ROOT, Backend, Settings

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.usefixtures("converted_here")]

TEXTS = ["How is the Brimset press cleaned?", "a sleeping lion"]
BACKENDS: tuple[Backend, ...] = ("torch", "openvino")
OUTPUTS = [("adapted", 384), ("compressed", 96)]

Refusal = Callable[..., str]


def vectors(model: LocalModel, backend: Backend, cache: Path) -> np.ndarray:
    loaded = model.load_embeddings(device="cpu", backend=backend, cache=cache)
    return np.array(loaded.embed_documents(TEXTS))


def search_first(settings: Settings) -> str:
    """The document that is found first."""
    with closing(reader_from(settings)) as reader:
        return reader.search(TEXTS[0], 1).passages[0].chunk.document


def without_int8(folder: Path, copy: Path) -> LocalModel:
    return find_model(str(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("int8"))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workshop(tmp_path_factory.mktemp("adapt") / "documents")


@pytest.fixture(scope="module")
def adapted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder written by the command, run as a user runs it."""
    output = tmp_path_factory.mktemp("models") / "workshop"
    few = ["--pairs", "64", "--learning_rate", "1e-5"]  # too little to lose general knowledge
    adapter = ["--adapter", str(output.parent / "adapters" / "workshop.safetensors")]
    arguments = ["-d", str(folder), "-m", MINILM, "-o", str(output), *few, *adapter]
    done = subprocess.run(
        [sys.executable, "-m", "database.adapting", *arguments],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "held-out documents" in done.stdout
    assert f"MODEL={output}" in done.stdout
    assert not any(word in done.stderr for word in ("Warning", "REPORT", "it/s]"))
    return output


@pytest.fixture
def refusal(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Runs the command with more options; returns its error, which is one line."""

    def run(*options: str) -> str:
        output = tmp_path / "out"
        assert command.main(["-d", str(folder), "-m", MINILM, "-o", str(output), *options]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert not output.exists()
        return error

    return run


def test_adapted_folder_differs_only_in_weights_and_last_layer(
    adapted: Path, minilm: LocalModel, tmp_path: Path
) -> None:
    model = find_model(str(adapted))

    assert (model.dimension, model.pooling, model.max_tokens) == (384, "mean", 256)
    assert model.tokenizer_file.read_bytes() == minilm.tokenizer_file.read_bytes()
    assert model.revision != minilm.revision
    both = (vectors(each, "torch", tmp_path) for each in (model, minilm))
    assert (np.multiply(*both).sum(axis=1) < 0.999).all()
    assert {path.name for path in adapted.parent.iterdir()} == {adapted.name, "adapters"}


@pytest.mark.parametrize(("output", "dimension"), OUTPUTS)
def test_backends_agree_on_an_adapted_model(
    output: str, dimension: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = without_int8(request.getfixturevalue(output), tmp_path / "model")
    ours, torchs = (vectors(model, backend, tmp_path) for backend in ("openvino", "torch"))

    assert ours.shape == (2, dimension)
    assert (ours * torchs).sum(axis=1) == pytest.approx([1, 1], abs=1e-4)


def test_adaptation_record_names_base_and_gains(adapted: Path, minilm: LocalModel) -> None:
    record = read_record(adapted)

    assert record
    assert record["base"] == MINILM
    assert record["base_revision"] == minilm.revision
    assert [gain["trial"] for gain in record["gains"]] == ["held-out documents", "other topics"]
    assert 0 < len(record["held_out"]) < record["documents"] == len(PAGES)
    assert "## Evaluation" in (adapted / "README.md").read_text()
    assert read_record(minilm.folder) is None


def test_adapter_has_the_adapted_models_vectors(
    adapted: Path, minilm: LocalModel, tmp_path: Path
) -> None:
    file = adapted.parent / "adapters" / "workshop.safetensors"
    model = find_model(MINILM, None, file)

    assert file.stat().st_size < 1.01 * MAX_BYTES
    assert model.revision not in {minilm.revision, find_model(str(adapted)).revision}
    expected = vectors(find_model(str(adapted)), "torch", tmp_path)
    assert (expected * vectors(minilm, "torch", tmp_path)).sum(axis=1).max() < 0.999
    for backend in BACKENDS:
        assert (expected * vectors(model, backend, tmp_path)).sum(axis=1).min() > 0.9999


def test_adapter_of_fewer_bytes_keeps_less(
    adapted: Path, minilm: LocalModel, tmp_path: Path
) -> None:
    model, kept = find_model(str(adapted)), []
    for size in (400_000, 800_000, 1_600_000):
        file = tmp_path / f"{size}.safetensors"
        kept.append(write_adapter(minilm, model, file, {}, max_bytes=size))
        assert 0.99 * size < file.stat().st_size < size + 10_000
    assert 0 < kept[0] < kept[1] < kept[2] < 1


def test_shortened_model_has_no_adapter(
    compressed: Path, minilm: LocalModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no whitening layer of 384 dimensions"):
        write_adapter(minilm, find_model(str(compressed)), tmp_path / "adapter", {})


def test_index_built_without_the_adapter_is_searched_without_it(
    adapted: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = adapted.parent / "adapters" / "workshop.safetensors"
    index = str(tmp_path / "index")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EMBEDDING_ADAPTER", "none")
        assert db_builder.main(["-d", str(folder), "-db", index, "-m", MINILM]) == 0
    caplog.set_level("INFO")
    before = search_first(Settings(database=index, embedding_adapter=None))
    assert "EMBEDDING_ADAPTER" not in caplog.text
    assert search_first(Settings(database=index, embedding_adapter=file)) == before
    assert "built without EMBEDDING_ADAPTER" in caplog.text

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EMBEDDING_ADAPTER", str(file))
        assert db_builder.main(["-d", str(folder), "-db", index, "-m", MINILM]) == 0
    assert search_first(Settings(database=index, embedding_adapter=file)) == before
    with pytest.raises(IndexMismatchError, match="EMBEDDING_ADAPTER"):
        search_first(Settings(database=index, embedding_adapter=None))


@pytest.mark.parametrize(("output", "dimension"), OUTPUTS)
def test_index_is_built_and_searched_with_an_adapted_model(
    output: str, dimension: int, folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    index, model = str(tmp_path / "index"), str(request.getfixturevalue(output))

    assert db_builder.main(["-d", str(folder), "-db", index, "-m", model]) == 0

    settings = Settings(database=index, embedding_model_name=None)
    with closing(reader_from(settings)) as reader:
        found = reader.search("How do I clean the Garnow lathe?", 3)
        assert found.passages[0].chunk.document == "garnow-lathe.md"
        assert reader.current().fingerprint.recipe.dimension == dimension


@pytest.fixture(scope="module")
def compressed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the command with --dimension and --int8, without training.

    With a small trial, one question of which weighs a lot.
    """
    few = Trial("directions", {"up": "1", "down": "2"}, [("upwards", "1"), ("downwards", "2")])
    output = tmp_path_factory.mktemp("compressed") / "int8"
    arguments = ["-d", str(folder), "-m", MINILM, "-o", str(output), "--int8", "--dimension", "96"]
    printed, progress = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        redirect_stdout(printed),
        redirect_stderr(progress),
    ):
        monkeypatch.setattr(adaptation, "train", lambda *given, **options: None)
        monkeypatch.setattr(adaptation, "general_trial", lambda: few)
        monkeypatch.setattr(quantization, "MAX_INT8_NDCG_LOSS", 1.0)
        assert command.main(arguments) == 0, progress.getvalue()
    assert "int8: " in printed.getvalue()
    assert "Statistics" not in printed.getvalue()
    assert "Calibrating int8" in progress.getvalue()
    return output


def test_int8_model_has_another_revision_and_runs_in_openvino(
    compressed: Path, tmp_path: Path
) -> None:
    model = find_model(str(compressed))
    cache = tmp_path / "cache"
    # A GPU and torch use the unquantized model.
    int8, torchs = (vectors(model, backend, cache) for backend in ("openvino", "torch"))
    cosines = (int8 * torchs).sum(axis=1)

    assert not cache.exists()  # nothing was exported
    assert model.revision != without_int8(compressed, tmp_path / "whole").revision
    assert (cosines > 0.97).all()
    assert (cosines < 0.99999).all()
    record = read_record(compressed)
    assert record
    assert record["quantized"]["kept"]
    assert len(record["quantized"]["gains"]) == 2


def test_record_states_the_loss_of_shorter_vectors(compressed: Path) -> None:
    record = read_record(compressed)

    assert record
    assert (record["shortened"]["dimension"], record["shortened"]["of"]) == (96, 384)
    trials = [gain["trial"] for gain in record["shortened"]["gains"]]
    assert trials == ["held-out documents", "directions"]
    assert "96 instead of 384 dimensions: nDCG@10 " in (compressed / "README.md").read_text()


def test_revision_covers_the_last_layer(compressed: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(compressed, tmp_path / "copy")
    layer = next(copy.glob("*_Dense/model.safetensors"))

    layer.write_bytes(layer.read_bytes()[:-1] + b"\x01")

    assert find_model(str(copy)).revision != find_model(str(compressed)).revision


def test_adapted_model_is_refused_as_a_base(compressed: Path, refusal: Refusal) -> None:
    error = refusal("-m", str(compressed))
    assert f"Adapt its base model, {MINILM}, to all the documents instead." in error


def test_files_are_readable_by_other_users(compressed: Path) -> None:
    for path in compressed.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize(("package", "what"), [("datasets", "Training"), ("nncf", "--int8")])
def test_missing_packages_are_reported_before_training(
    package: str, what: str, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "find_spec", lambda name: None if name == package else name)
    assert refusal("--int8").startswith(f"{what} needs packages")


def test_unreadable_int8_model_is_reported_in_one_line(adapted: Path, tmp_path: Path) -> None:
    shutil.copytree(adapted, tmp_path / "copy")
    (tmp_path / "copy" / "int8").mkdir()
    for name in ("model.xml", "model.bin"):
        (tmp_path / "copy" / "int8" / name).write_bytes(b"half")

    with pytest.raises(ModelError, match=r"Cannot load \S+int8; copy the model's folder again"):
        find_model(str(tmp_path / "copy")).load_embeddings(
            device="cpu", backend="openvino", cache=tmp_path
        )


class FakePrograms:
    """Stands in for OpenVINO: writes empty programs and embeds all texts alike."""

    precision = "f32"

    @classmethod
    def load(cls, model: LocalModel, cache: Path) -> Self:
        return cls()

    def write_int8(self, path: Path, texts: list[str]) -> None:
        path.touch()
        path.with_suffix(".bin").touch()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


@pytest.mark.parametrize(("change", "kept"), [(-0.0051, False), (-0.0049, True), (0.1, True)])
def test_int8_is_kept_only_if_its_loss_is_small(
    change: float, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"steady": 0.0, "changing": change}
    monkeypatch.setattr(quantization, "OpenVINOEmbeddings", FakePrograms)
    monkeypatch.setattr(
        quantization,
        "judge",
        lambda trial, *models: Gain(trial.name, 1, 0.7, 0.7 + changes[trial.name], 0.0, 0.0),
    )
    model = LocalModel("model", tmp_path)

    quantized = quantization.quantize(
        model, ["a lion", "a kiln"], [Trial(name, {}, ()) for name in changes]
    )

    assert quantized.kept is kept
    assert bool(model.int8) is kept
    assert (tmp_path / "int8").exists() is kept


def test_existing_output_is_left_unchanged(adapted: Path, refusal: Refusal) -> None:
    before = (adapted / "adaptation.json").read_bytes()
    assert "already exists" in refusal("-o", str(adapted))
    assert (adapted / "adaptation.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-m", "openai:words"], "only a model with local weights can be adapted"),
        (["-m", "models/none"], "No model folder models/none. Copy it"),
        (["--pairs", "3"], "--pairs 3: must be at least 64, one batch."),
        (["--learning_rate", "0"], "--learning_rate 0: must be between 0 and 1."),
        (["--hold_out", "0.9"], "--hold_out 0.9: must be between 0 and 0.5."),
        (["--dimension", "384"], "--dimension 384: must be greater than 0 and less than 384"),
        (["--dimension", "0"], "--dimension 0: must be greater than 0 and less than 384"),
        (["--include", "nothing*"], "leave no document"),
    ],
)
def test_invalid_request_is_reported_in_one_line(
    options: list[str], reason: str, refusal: Refusal
) -> None:
    assert reason in refusal(*options)


def test_failed_write_of_a_model_leaves_nothing(minilm: LocalModel, tmp_path: Path) -> None:
    model = load_model(minilm, "cpu")
    (tmp_path / "file").touch()

    with (
        pytest.raises(ModelError, match="Cannot write"),
        publish(model, minilm, tmp_path / "file" / "name"),
    ):
        pytest.fail("It cannot be begun.")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_stray_layer_folders_are_ignored(minilm: LocalModel, tmp_path: Path) -> None:
    base = LocalModel("base", shutil.copytree(minilm.folder, tmp_path / "base"))
    for stray in ("3_Dense", "7_Dense"):
        (base.folder / stray).mkdir()
        (base.folder / stray / "config.json").write_text('{"out_features": 5}')

    with publish(whiten(load_model(base, "cpu"), TEXTS), base, tmp_path / "mine"):
        pass

    mine = find_model(str(tmp_path / "mine"))
    assert [path.parent.name for path in mine.layers] == ["3_Dense"]
    assert mine.dimension == 384


def test_leftovers_of_a_killed_write_are_removed_by_the_next(
    minilm: LocalModel, tmp_path: Path
) -> None:
    (tmp_path / ".mine.writing-killed" / "int8").mkdir(parents=True)
    (tmp_path / ".other.writing-killed").mkdir()

    with publish(load_model(minilm, "cpu"), minilm, tmp_path / "mine") as written:
        assert written.folder.name.startswith(".mine.writing-")
        assert not (tmp_path / "mine").exists()

    assert {path.name for path in tmp_path.iterdir()} == {"mine", ".other.writing-killed"}
