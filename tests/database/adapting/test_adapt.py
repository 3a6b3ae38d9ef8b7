"""A model is adapted to a folder of documents, and used like any other."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest

from database.adapting import __main__ as command
from database.adapting import adaptation
from database.adapting import interpolation as blending
from database.adapting import quantization as quantizing
from database.adapting.evaluation import Gain, Trial, embedder_of, ndcg
from database.adapting.pairs import Pair, make_pairs
from database.adapting.publication import publish, read_record
from database.adapting.training import Plan, load_model, train
from database.adapting.whitening import whiten
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import MINILM, find_model, model_name_of
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from database.reading.reader import reader_from
from dataset.progress import ignore_progress
from tests.files.workshop import PAGES, corpus_in, write_workshop
from utils import db_builder
from utils.errors import ModelError
from utils.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.model

NOTHING = Trial("nothing", (), (), (), ())
TEXTS = ("How is the Brimset press cleaned?", "a sleeping lion", "Brush it with a dry cloth.")
PLAN = Plan(batch=16, learning_rate=3e-4, tokens=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workshop(tmp_path_factory.mktemp("adapt") / "documents")


@pytest.fixture(scope="module")
def pairs(folder: Path) -> list[Pair]:
    return make_pairs(corpus_in(folder, hold_out=0), Random(1))


@pytest.fixture(scope="module")
def adapted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder written by the command, run as a user runs it."""
    output = tmp_path_factory.mktemp("models") / "workshop"
    arguments = ["-d", str(folder), "-m", MINILM, "-o", str(output), "--pairs", "128"]
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


def digest(minilm: LocalModel, pairs: list[Pair], checkpoints: Path) -> str:
    model = load_model(minilm, "cpu")
    train(model, pairs, PLAN, checkpoints=checkpoints, progress=ignore_progress)
    weights = b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
    return hashlib.sha256(weights).hexdigest()


class KilledError(Exception):
    """Simulates kill -9."""


def dying_after(steps: int) -> Callable[[int, int | None], None]:
    def progress(done: int, total: int | None) -> None:
        if done >= steps * PLAN.batch:
            raise KilledError

    return progress


def test_training_improves_retrieval(minilm: LocalModel, folder: Path, tmp_path: Path) -> None:
    """Questions with nicknames that occur only in links find their pages after training."""
    corpus = corpus_in(folder, hold_out=0)
    nicknames = {
        mention.sentence.split("speak of ")[1].split(" when")[0]: mention.chunk.document
        for mention in corpus.mentions
    }
    trial = Trial(
        name="nicknames",
        questions=tuple(nicknames),
        answers=tuple(nicknames.values()),
        passages=tuple(chunk.text_to_embed.split("See also")[0] for chunk in corpus.chunks),
        documents=tuple(chunk.document for chunk in corpus.chunks),
    )
    model = load_model(minilm, "cpu")
    before = ndcg(trial, embedder_of(model)).mean()
    mentions = [pair for pair in make_pairs(corpus, Random(1)) if pair.kind == "mention"]

    train(model, 3 * mentions, PLAN, checkpoints=tmp_path, progress=ignore_progress)

    assert ndcg(trial, embedder_of(model)).mean() > before + 0.1


def test_training_is_reproducible_and_resumes_after_a_kill(
    minilm: LocalModel, pairs: list[Pair], tmp_path: Path
) -> None:
    few = pairs[: 8 * PLAN.batch]
    once = digest(minilm, few, tmp_path / "once")
    model = load_model(minilm, "cpu")
    with pytest.raises(KilledError):
        train(model, few, PLAN, checkpoints=tmp_path / "killed", progress=dying_after(6))
    whole = sorted((tmp_path / "killed").iterdir())
    assert whole
    # The state after a kill while writing a checkpoint.
    (tmp_path / "killed" / "checkpoint-90").mkdir()
    (tmp_path / "killed" / "checkpoint-90" / "model.safetensors").write_bytes(b"half")

    assert digest(minilm, few, tmp_path / "killed") == once
    assert not (tmp_path / "killed" / "checkpoint-90").exists()


def test_weights_are_blended_towards_the_general_model_after_a_loss(
    minilm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    general, trained = (load_model(minilm, "cpu") for _ in range(2))
    start = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    end = {
        name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in start.items()
    }
    trained.load_state_dict(end)
    scores = iter([0.700, 0.685, 0.6899, 0.6901])  # of the general model, then of each share
    monkeypatch.setattr(blending, "ndcg", lambda trial, embed: np.array([next(scores)]))
    messages: list[str] = []

    model, share = blending.blend(trained, general, TEXTS, NOTHING, messages.append)

    assert share == 0.8
    assert len(messages) == 2
    for name, tensor in trained.state_dict().items():
        expected = start[name].lerp(end[name], 0.8) if tensor.is_floating_point() else start[name]
        assert (tensor - expected).abs().max() < 1e-6
        assert (model.state_dict()[name] == tensor).all()
    for name, tensor in general.state_dict().items():
        assert (tensor == start[name]).all()


def test_model_with_a_small_loss_is_not_blended(
    minilm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(minilm, "cpu")
    reached = iter([0.700, 0.691])
    monkeypatch.setattr(blending, "ndcg", lambda trial, embed: np.array([next(reached)]))

    assert blending.blend(model, model, TEXTS, NOTHING, pytest.fail)[1] == 1.0


def test_trained_share_is_at_least_half(
    minilm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    general, trained = (load_model(minilm, "cpu") for _ in range(2))
    reached = iter([0.7, *(0.1 for _ in blending.SHARES)])
    monkeypatch.setattr(blending, "ndcg", lambda trial, embed: np.array([next(reached)]))

    assert blending.blend(trained, general, TEXTS, NOTHING, lambda line: None)[1] == 0.5


def test_lower_layers_and_token_embeddings_are_frozen(
    minilm: LocalModel, pairs: list[Pair], tmp_path: Path
) -> None:
    model = load_model(minilm, "cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    train(model, pairs[: 3 * PLAN.batch], PLAN, checkpoints=tmp_path, progress=ignore_progress)

    changed = {
        name for name, tensor in model.state_dict().items() if (tensor != before[name]).any()
    }
    assert changed
    assert not any("embeddings" in name or "layer.2." in name for name in changed)
    assert any("layer.3." in name for name in changed)
    assert model.max_seq_length == minilm.max_tokens


def test_adapted_folder_differs_only_in_weights_and_last_layer(
    adapted: Path, minilm: LocalModel
) -> None:
    model = find_model(str(adapted))

    assert (model.dimension, model.pooling, model.max_tokens) == (384, "mean", 256)
    assert model.tokenizer_file.read_bytes() == minilm.tokenizer_file.read_bytes()
    assert model.revision != minilm.revision
    assert model.weights.stat().st_mode & 0o777 == 0o644
    assert not [path for path in adapted.parent.iterdir() if path != adapted]


def test_backends_agree_on_an_adapted_model(
    adapted: Path, minilm: LocalModel, tmp_path: Path
) -> None:
    model = find_model(str(adapted))
    texts = ["How is the Brimset press cleaned?", "a sleeping lion"]
    ours, torchs = (
        np.array(
            model.load_embeddings(device="cpu", backend=backend, cache=tmp_path).embed_documents(
                texts
            )
        )
        for backend in ("openvino", "torch")
    )
    general = minilm.load_embeddings(device="cpu", backend="torch", cache=tmp_path)

    assert (ours * torchs).sum(axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert ((ours * general.embed_documents(texts)).sum(axis=1) < 0.999).all()


def test_adaptation_record_names_base_and_gains(adapted: Path, minilm: LocalModel) -> None:
    record = read_record(adapted)

    assert record
    assert record["base"] == MINILM
    assert record["base_revision"] == minilm.revision
    assert [gain["trial"] for gain in record["gains"]] == ["held-out documents", "other topics"]
    assert 0 < len(record["held_out"]) < record["documents"] == len(PAGES)
    assert "## Evaluation" in (adapted / "README.md").read_text()
    assert read_record(minilm.folder) is None


def test_index_is_built_and_searched_with_an_adapted_model(
    adapted: Path, folder: Path, tmp_path: Path
) -> None:
    index = str(tmp_path / "index")

    assert db_builder.main(["-d", str(folder), "-db", index, "-m", str(adapted)]) == 0

    settings = Settings(database=index, embedding_model_name=None)
    with closing(reader_from(settings)) as reader:
        found = reader.search("How do I clean the Garnow lathe?", 3)
    assert found.passages[0].chunk.document == "garnow-lathe.md"


@pytest.fixture
def quantized(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """The output of the command with --int8, without training and with a small trial."""
    monkeypatch.setattr(adaptation, "train", lambda *given, **options: None)
    few = Trial("directions", ("up", "down"), ("1", "2"), ("upwards", "downwards"), ("1", "2"))
    monkeypatch.setattr(adaptation, "general_trial", lambda: few)
    monkeypatch.setattr(quantizing, "MAX_INT8_NDCG_LOSS", 1.0)  # one question of few weighs a lot
    output = tmp_path / "models" / "int8"

    assert command.main(["-d", str(folder), "-m", MINILM, "-o", str(output), "--int8"]) == 0

    output_text, progress = capsys.readouterr()
    assert "int8: " in output_text
    assert "Statistics" not in output_text
    assert "Calibrating int8" in progress
    return output


def test_int8_model_has_another_revision_and_runs_in_openvino(
    quantized: Path, tmp_path: Path
) -> None:
    model = find_model(str(quantized))
    whole = shutil.copytree(quantized, tmp_path / "whole", ignore=shutil.ignore_patterns("int8"))
    texts = ["How is the Brimset press cleaned?", "a sleeping lion"]
    cache = tmp_path / "cache"
    int8 = model.load_embeddings(device="cpu", backend="openvino", cache=cache)
    torchs = model.load_embeddings(device="cpu", backend="torch", cache=cache)

    assert not cache.exists()  # nothing was exported
    assert model.revision != find_model(str(whole)).revision
    # A GPU and torch use the unquantized model.
    cosines = (np.array(int8.embed_documents(texts)) * torchs.embed_documents(texts)).sum(axis=1)
    assert (cosines > 0.97).all()
    assert (cosines < 0.99999).all()
    record = read_record(quantized)
    assert record
    assert record["quantized"]["kept"]
    assert len(record["quantized"]["gains"]) == 2


def test_missing_int8_packages_are_reported_before_training(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(quantizing, "find_spec", lambda name: None)

    arguments = ["-d", str(folder), "-m", MINILM, "-o", str(tmp_path / "out"), "--int8"]
    assert command.main(arguments) == 1

    error = capsys.readouterr().err
    assert error.startswith("--int8 needs packages")
    assert error.count("\n") == 1


def test_unreadable_int8_model_is_reported_in_one_line(adapted: Path, tmp_path: Path) -> None:
    shutil.copytree(adapted, tmp_path / "copy")
    (tmp_path / "copy" / "int8").mkdir()
    for name in ("model.xml", "model.bin"):
        (tmp_path / "copy" / "int8" / name).write_bytes(b"half")

    with pytest.raises(ModelError, match=r"Cannot load \S+int8; copy the model's folder again"):
        find_model(str(tmp_path / "copy")).load_embeddings(
            device="cpu", backend="openvino", cache=tmp_path
        )


@pytest.mark.parametrize(("change", "kept"), [(-0.0051, False), (-0.0049, True), (0.1, True)])
def test_int8_is_kept_only_if_its_loss_is_small(
    change: float,
    kept: bool,
    minilm: LocalModel,
    openvino_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minilm.load_embeddings(device="cpu", backend="openvino", cache=openvino_cache)
    exported = next(openvino_cache.glob(f"{minilm.revision[:16]}*/model.xml"))
    trials = [Trial(name, (), (), (), ()) for name in ("steady", "changing")]
    changes = {"steady": 0.0, "changing": change}
    monkeypatch.setattr(
        quantizing,
        "judge",
        lambda trial, *models: Gain(trial.name, 1, 0.7, 0.7 + changes[trial.name], 0.0, 0.0),
    )

    def write(self: OpenVINOEmbeddings, path: Path, texts: list[str]) -> None:
        for file in (exported, exported.with_suffix(".bin")):
            shutil.copyfile(file, path.with_suffix(file.suffix))

    monkeypatch.setattr(OpenVINOEmbeddings, "write_int8", write)
    shutil.copytree(minilm.folder, tmp_path / "copy")
    model = LocalModel("copy", tmp_path / "copy")

    quantized = quantizing.quantize(model, ["a lion", "a kiln"], trials)

    assert quantized.kept is kept
    assert bool(model.int8) is kept
    assert (model.folder / "int8").exists() is kept


def test_existing_output_is_left_unchanged(
    adapted: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (adapted / "adaptation.json").read_bytes()

    assert command.main(["-d", str(folder), "-m", MINILM, "-o", str(adapted)]) == 1

    assert "already exists" in capsys.readouterr().err
    assert (adapted / "adaptation.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-m", "openai:words"], "only a model with local weights can be adapted"),
        (["-m", "models/none"], "No model folder models/none. Copy it"),
        (["--pairs", "3"], "--pairs 3: must be at least 64, one batch."),
        (["--learning_rate", "0"], "--learning_rate 0: must be between 0 and 1."),
        (["--hold_out", "0.9"], "--hold_out 0.9: must be between 0 and 0.5."),
        (
            ["-m", MINILM, "--dimension", "384"],
            "--dimension 384: must be greater than 0 and less than 384",
        ),
        (
            ["-m", MINILM, "--dimension", "0"],
            "--dimension 0: must be greater than 0 and less than 384",
        ),
        (["--include", "nothing*"], "leave no document"),
    ],
)
def test_invalid_request_is_reported_in_one_line(
    options: list[str],
    reason: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"

    assert command.main(["-d", str(folder), "-o", str(output), *options]) == 1

    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not output.exists()


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


def test_models_inside_the_project_are_named_relative_to_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT_ROOT)
    assert model_name_of("./models/mine") == model_name_of("models/mine") == "models/mine"
    monkeypatch.chdir(tmp_path)
    assert model_name_of("models/mine") == "models/mine"
    assert model_name_of(str(PROJECT_ROOT / "models" / "mine")) == "models/mine"
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert model_name_of("models/mine") == str(tmp_path / "models" / "mine")
    assert model_name_of(MINILM) == MINILM
    assert model_name_of("openai:words") == "openai:words"


def test_model_name_cannot_escape_the_models_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model folder"):
        find_model("models/../database")
