"""Training on pairs of the workshop's documents, and blending with the general model."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from database.adapting import interpolation
from database.adapting.evaluation import Trial, embedder_of, ndcg
from database.adapting.pairs import Pair, make_pairs
from database.adapting.training import Plan, train
from database.adapting.training_corpus import TrainingCorpus
from database.embedding.local_model import LocalModel
from database.embedding.torch_embeddings import load_model
from dataset.progress import ignore_progress
from tests.files.workshop import corpus_in, write_workshop

pytestmark = [pytest.mark.slow, pytest.mark.model]

NOTHING = Trial("nothing", {}, ())
TEXTS = ("How is the Brimset press cleaned?", "a sleeping lion", "Brush it with a dry cloth.")
PLAN = Plan(batch=16, learning_rate=3e-4, tokens=48)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TrainingCorpus:
    return corpus_in(write_workshop(tmp_path_factory.mktemp("workshop") / "documents"), hold_out=0)


@pytest.fixture(scope="module")
def pairs(corpus: TrainingCorpus) -> list[Pair]:
    return make_pairs(corpus, Random(1))


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


def test_training_improves_retrieval_with_the_lower_layers_frozen(
    minilm: LocalModel, corpus: TrainingCorpus, pairs: list[Pair], tmp_path: Path
) -> None:
    """Questions with nicknames that occur only in links find their pages after training."""
    nicknames = {
        mention.sentence.split("speak of ")[1].split(" when")[0]: mention.chunk.document
        for mention in corpus.mentions
    }
    passages = [
        (chunk.text_to_embed.split("See also")[0], chunk.document) for chunk in corpus.chunks
    ]
    trial = Trial("nicknames", nicknames, passages)
    model = load_model(minilm, "cpu")
    before = ndcg(trial, embedder_of(model)).mean()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mentions = [pair for pair in pairs if pair.kind == "mention"]

    train(model, 3 * mentions, PLAN, checkpoints=tmp_path, progress=ignore_progress)

    assert ndcg(trial, embedder_of(model)).mean() > before + 0.1
    changed = {
        name for name, tensor in model.state_dict().items() if (tensor != weights[name]).any()
    }
    assert not any("embeddings" in name or "layer.2." in name for name in changed)
    assert any("layer.3." in name for name in changed)
    assert model.max_seq_length == minilm.max_tokens


def test_training_is_reproducible_and_resumes_after_a_kill(
    minilm: LocalModel, pairs: list[Pair], tmp_path: Path
) -> None:
    few = pairs[: 8 * PLAN.batch]
    once = digest(minilm, few, tmp_path / "once")
    killed = tmp_path / "killed"
    model = load_model(minilm, "cpu")
    with pytest.raises(KilledError):
        train(model, few, PLAN, checkpoints=killed, progress=dying_after(6))
    assert [path.name for path in killed.iterdir()] == ["checkpoint-5"]
    # The state after a kill while writing a checkpoint.
    (killed / "checkpoint-90").mkdir()
    (killed / "checkpoint-90" / "model.safetensors").write_bytes(b"half")

    assert digest(minilm, few, killed) == once
    assert not (killed / "checkpoint-90").exists()


@pytest.mark.parametrize(
    ("scores", "share"),
    [
        ([0.691], 1.0),
        ([0.685, 0.6899, 0.6901], 0.8),
        ([0.1 for _ in interpolation.SHARES], 0.5),
    ],
)
def test_weights_are_blended_towards_the_general_model_after_a_loss(
    scores: list[float], share: float, minilm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    general, trained = (load_model(minilm, "cpu") for _ in range(2))
    start = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    end = {
        name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in start.items()
    }
    trained.load_state_dict(end)
    reached = iter(scores)  # of each share
    monkeypatch.setattr(interpolation, "ndcg", lambda trial, embed: np.array([next(reached)]))
    messages: list[str] = []

    model, found, after = interpolation.blend(
        trained, general, TEXTS, NOTHING, np.array([0.7]), messages.append
    )

    assert found == share
    assert after.tolist() == scores[-1:]
    assert len(messages) == len(scores) - 1
    for name, tensor in trained.state_dict().items():
        expected = start[name].lerp(end[name], share) if tensor.is_floating_point() else start[name]
        assert (tensor - expected).abs().max() < 1e-6
        assert (model.state_dict()[name] == tensor).all()
    for name, tensor in general.state_dict().items():
        assert (tensor == start[name]).all()
