"""Trains a model on pairs with sentence-transformers' trainer, resumable from checkpoints.

The loss is contrastive (InfoNCE; van den Oord et al. 2018, arXiv:1807.03748) in both
directions: in a batch of n pairs with vectors q and p and s = Plan.scale,

    loss = -1/n sum over i of log(exp(s q_i p_i) / sum over j of exp(s q_i p_j)),

and the same with q and p exchanged.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.adapting.pairs import Pair, batches
from dataset.progress import Progress
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import DefaultBatchSampler

_CHECKPOINT_INTERVAL = 0.1
"""Share of the training between checkpoints."""
_MIN_STEPS = 5
"""Steps between checkpoints: writing one takes longer than repeating a few steps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Hyperparameters of the training; the defaults measured best on two cores."""

    seed: int = 1
    hold_out: float = 0.1
    """Share of the documents that is excluded from training, for evaluation."""
    pairs: int = 12_000
    """Maximum number of training pairs."""
    passes: int = 4
    """Maximum number of times that pairs are made from the same documents."""
    batch: int = 64
    """Maximum batch size; smaller for few documents."""
    tokens: int = 128
    """Truncation during training only."""
    learning_rate: float = 1e-4
    warm_up: float = 0.1
    """Share of the training with a rising learning rate; then it falls to 0."""
    scale: float = 20.0
    """Factor of the cosines in the softmax: the inverse of its temperature."""
    frozen: float = 0.5
    """Share of the layers, from the input, that is frozen together with the word embeddings: it
    keeps general knowledge, and the training takes two thirds of the time."""


def train(
    model: "SentenceTransformer",
    pairs: Sequence[Pair],
    plan: Plan,
    *,
    checkpoints: Path,
    progress: Progress,
) -> None:
    """Train a model in place, on its device; continue from the last checkpoint.

    The folder `checkpoints` must be exclusive to this model, plan and pairs. `progress` counts
    pairs.

    Raises:
        ModelError: there are too few pairs.
    """
    batched = [pair for batch in batches(pairs, plan.batch) for pair in batch]
    if not batched:
        raise ModelError(f"{len(pairs)} pairs do not fill a batch of {plan.batch}; add documents.")
    _freeze(model, plan.frozen)
    _disable_dropout(model)
    max_tokens, model.max_seq_length = model.max_seq_length, plan.tokens
    trainer = _trainer(model, batched, plan, checkpoints, progress)
    trainer.train(resume_from_checkpoint=_last_checkpoint(checkpoints))
    # On CUDA the trainer wraps the model to compute in bf16, which would affect the evaluation.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    model.max_seq_length = max_tokens
    model.eval()


def _trainer(
    model: "SentenceTransformer",
    pairs: Sequence[Pair],
    plan: Plan,
    checkpoints: Path,
    progress: Progress,
) -> "SentenceTransformerTrainer":
    """Prepare the training on pairs in batches of `plan.batch`, in the given order."""
    import datasets
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback, TrainerCallback

    class Trainer(SentenceTransformerTrainer):
        def add_model_card_callback(self, *args: Any) -> None:
            """Do nothing: `model_card` writes the card."""

    class ProgressCallback(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step * plan.batch, state.max_steps * plan.batch)

    trainer = Trainer(
        model=model,
        args=_arguments(
            plan,
            checkpoints,
            steps=len(pairs) // plan.batch,
            on_cpu=model.device.type == "cpu",
        ),
        train_dataset=datasets.Dataset.from_list(
            [{"question": pair.question, "passage": pair.passage} for pair in pairs]
        ),
        loss=MultipleNegativesRankingLoss(
            model,
            scale=plan.scale,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
        ),
        callbacks=[ProgressCallback()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(
    plan: Plan, checkpoints: Path, *, steps: int, on_cpu: bool
) -> "SentenceTransformerTrainingArguments":
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,
        per_device_train_batch_size=plan.batch,
        batch_sampler=_in_order,
        learning_rate=plan.learning_rate,
        warmup_steps=plan.warm_up,
        seed=plan.seed,
        use_cpu=on_cpu,
        bf16=not on_cpu,
        save_steps=max(_MIN_STEPS, math.ceil(_CHECKPOINT_INTERVAL * steps)),
        save_total_limit=2,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _in_order(pairs: Any, **options: Any) -> "DefaultBatchSampler":
    """Sample batches in the order of the pairs; at module level, since checkpoints pickle it."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(pairs), **options)


def _freeze(model: "SentenceTransformer", share: float) -> None:
    """Freeze the word embeddings and a share of the layers, from the input."""
    from torch.nn import ModuleList

    transformer = model[0]
    lists = [module for module in transformer.modules() if isinstance(module, ModuleList)]
    layers = max(lists, key=len)
    transformer.requires_grad_(False)
    for layer in layers[int(share * len(layers)) :]:
        layer.requires_grad_(True)


def _disable_dropout(model: "SentenceTransformer") -> None:
    """Disable dropout: one epoch does not overfit, and it takes 1.36 times as long on a CPU."""
    from torch.nn import Dropout

    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0


def _last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint; delete incomplete ones."""
    complete: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        try:
            # The trainer writes its state last, so a checkpoint with it is complete.
            state = json.loads((path / "trainer_state.json").read_text())
            complete.append((int(state["global_step"]), path))
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path)
    return str(max(complete)[1]) if complete else None
