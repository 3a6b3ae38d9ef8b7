"""Trains the model on pairs: sentence-transformers' trainer, with checkpoints to go on from.

The loss is contrastive (InfoNCE; van den Oord et al. 2018, arXiv:1807.03748): of all passages in a
batch, the question's own should be the nearest, and of all questions the passage's own.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.adapting.batches import batches
from database.adapting.pairs import Pair
from database.embedding.local_model import LocalModel
from dataset.progress import Progress
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from transformers import TrainerCallback

_BETWEEN_CHECKPOINTS = 0.1
"""The share of the training."""
_MIN_STEPS = 5
"""Between checkpoints: one takes longer to write than a few steps to do again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is trained. The values are those that measured best on two cores."""

    seed: int = 1
    hold_out: float = 0.1
    """The share of the documents that nothing is learned from, to judge by."""
    pairs: int = 12_000
    """At most so many are learned from."""
    passes: int = 4
    """How often at most the documents give pairs, each time others; few documents do it often."""
    batch: int = 64
    """At most so many pairs at once; few documents are learned in smaller batches."""
    tokens: int = 128
    """How much of a text is read in training; an index's passages are read whole."""
    learning_rate: float = 1e-4
    warm_up: float = 0.1
    """The share of the training in which the rate rises; it falls to 0 in the rest."""
    scale: float = 20.0
    """What cosines are multiplied with before the softmax: the inverse of its temperature."""
    frozen: float = 0.5
    """The share of the layers, from below, that stay as they are, the word vectors with them: what
    words mean in general lies there, and training takes two thirds of the time."""


def load_model(base: LocalModel, device: str) -> "SentenceTransformer":
    """Load a model to train or to judge.

    Args:
        base: Its files.
        device: "cuda" or "cpu".

    Raises:
        ModelError: it cannot be loaded.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(str(base.folder), device=device, local_files_only=True)
    except Exception as error:  # the libraries below raise whatever they like
        raise ModelError(
            f"Cannot load the embedding model in {base.folder} ({type(error).__name__}); "
            "fetch it again."
        ) from error
    return model


def train(
    model: "SentenceTransformer",
    pairs: Sequence[Pair],
    plan: Plan,
    *,
    checkpoints: Path,
    progress: Progress,
) -> None:
    """Train a model in place; goes on from the last checkpoint.

    Args:
        model: Lies on the device that trains it.
        pairs: What to learn, in the order to learn it.
        plan: How.
        checkpoints: Folder of this model's, plan's and these pairs' checkpoints alone.
        progress: Told how many pairs are done, and how many there are.

    Raises:
        ModelError: a package is missing, or there are too few pairs.
    """
    try:
        import datasets
        from sentence_transformers import SentenceTransformerTrainingArguments
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
        from transformers import PrinterCallback
    except ImportError as error:
        raise ModelError(
            "Training needs packages that the service does without: make adapt, or pip install "
            "-r requirements-adapt.txt"
        ) from error

    made = list(batches(pairs, plan.batch))
    if not made:
        raise ModelError(
            f"{len(pairs)} pairs do not fill a batch of {plan.batch}: too few to learn from."
        )
    on_cpu = model.device.type == "cpu"
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,
        per_device_train_batch_size=plan.batch,
        learning_rate=plan.learning_rate,
        warmup_steps=plan.warm_up,
        seed=plan.seed,
        use_cpu=on_cpu,
        bf16=not on_cpu,
        save_steps=max(_MIN_STEPS, math.ceil(_BETWEEN_CHECKPOINTS * len(made))),
        save_total_limit=2,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    _freeze(model, plan.frozen)
    _switch_dropout_off(model)
    read_whole, model.max_seq_length = model.max_seq_length, plan.tokens
    columns = {
        "question": [pair.question for pair in pairs],
        "passage": [pair.passage for pair in pairs],
    }
    trainer = _trainer_with(made)(
        model=model,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(
            model,
            scale=plan.scale,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
        ),
        callbacks=[_reporting(progress, plan.batch)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_checkpoint(checkpoints))
    # On CUDA it was made to compute in bf16, which would be judged with it.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    model.max_seq_length = read_whole
    model.eval()


def _trainer_with(batches: list[list[int]]) -> "type[SentenceTransformerTrainer]":
    """Sentence-transformers' trainer, with batches that are made already."""
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.base.sampler import DefaultBatchSampler

    class MadeBatches(DefaultBatchSampler):
        """Gives the batches, in their order."""

        def __iter__(self) -> Iterator[list[int]]:
            return iter(batches)

        def __len__(self) -> int:
            return len(batches)

    class Trainer(SentenceTransformerTrainer):
        """Takes the batches as they are."""

        def get_batch_sampler(self, *given: Any, **options: Any) -> DefaultBatchSampler:
            """Stands in for the samplers that the arguments name."""
            return MadeBatches(*given, **options)

        def add_model_card_callback(self, *given: Any) -> None:
            """Leave the model's card to us."""

    return Trainer


def _freeze(model: "SentenceTransformer", share: float) -> None:
    """Leave the word vectors and a share of the layers, from below, as they are."""
    from torch.nn import ModuleList

    transformer = model[0]
    lists = [module for module in transformer.modules() if isinstance(module, ModuleList)]
    layers = max(lists, key=len)
    if share > 0:
        transformer.requires_grad_(False)
        for layer in layers[int(share * len(layers)) :]:
            layer.requires_grad_(True)


def _switch_dropout_off(model: "SentenceTransformer") -> None:
    """One pass over many pairs does not overfit, and attention without dropout has a fast form.

    Measured on a CPU: 1.36 times as fast.
    """
    from torch.nn import Dropout

    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def _reporting(progress: Progress, batch: int) -> "TrainerCallback":
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        """Tells how far the training is."""

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            progress(state.global_step * batch, state.max_steps * batch)

    return Reporting()


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; those that were not are removed."""
    whole: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        try:
            # The trainer writes its state last.
            state = json.loads((path / "trainer_state.json").read_text())
            whole.append((int(state["global_step"]), path))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path)
    return str(max(whole)[1]) if whole else None
