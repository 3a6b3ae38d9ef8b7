"""The record of an adaptation, its terminal summary, and the model card written from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from database.adapting.evaluation import MAX_NDCG_LOSS, Gain
from database.adapting.quantization import MAX_INT8_NDCG_LOSS, Quantized
from database.adapting.whitening import SHRUNK, Shortened
from database.embedding.model_folder import INT8
from dataset.markdown.writer import pipe_table

_LISTED = 12
"""Held-out documents that the card lists."""
_HEAD = ("nDCG@10", "questions", "general", "adapted", "difference (95% interval)")


@dataclass(frozen=True, slots=True)
class AdaptationRecord:
    """The origin, parameters and evaluation of an adapted model, as in `adaptation.json`."""

    base: str
    base_revision: str
    documents: int
    corpus: str
    """SHA-256 of the documents' names and contents."""
    held_out: tuple[str, ...]
    """Documents excluded from training."""
    pairs: Mapping[str, int]
    """Training pairs per kind."""
    plan: Mapping[str, Any]
    share: float
    """Interpolation share of the trained weights, as in `interpolation`."""
    gains: tuple[Gain, ...]
    shortened: Shortened | None
    quantized: Quantized | None
    device: str
    seconds: int
    peak_bytes: int
    packages: Mapping[str, str]


def summarize(about: AdaptationRecord) -> str:
    """Format the figures for a terminal."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in about.pairs.items())
    lines = [
        f"{sum(about.pairs.values()):,} pairs ({kinds}) of "
        f"{about.documents - len(about.held_out):,} documents; {len(about.held_out):,} held out",
        *_aligned([_HEAD, *map(_row, about.gains)]),
        _resources(about),
        *_compression(about),
    ]
    if about.share < 1:
        lines.append(
            f"Share {about.share:g} of the trained weights: a larger share lost more than "
            f"{MAX_NDCG_LOSS} on other topics"
        )
    larger = "a larger --dimension, " if about.shortened else ""
    lines += [
        f"Warning: nDCG@10 on {gain.trial} fell by more than {MAX_NDCG_LOSS}. Try {larger}a lower "
        "--learning_rate, or fewer --pairs."
        for gain in about.gains
        if gain.is_excessive_loss
    ]
    return "\n".join(f"  {line}" for line in lines)


def _row(gain: Gain) -> tuple[str, ...]:
    return (
        gain.trial,
        f"{gain.questions:,}",
        f"{gain.general:.3f}",
        f"{gain.adapted:.3f}",
        f"{gain.change:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the columns to equal widths; the first and the last are left-aligned."""
    first, *middle, last = (max(map(len, column)) for column in zip(*rows, strict=True))
    form = "  ".join((f"{{:<{first}}}", *(f"{{:>{width}}}" for width in middle), f"{{:<{last}}}"))
    return [form.format(*row).rstrip() for row in rows]


def _resources(about: AdaptationRecord) -> str:
    minutes, seconds = divmod(about.seconds, 60)
    return f"{minutes} min {seconds} s on {about.device}, at most {about.peak_bytes / 1e9:.1f} GB"


def _compression(about: AdaptationRecord) -> list[str]:
    """State the cost of fewer dimensions and of int8, one sentence each; empty without both."""
    lines = []
    if shortened := about.shortened:
        lines.append(
            f"{shortened.dimension} instead of {shortened.of} dimensions: nDCG@10 "
            f"{_changes(shortened.gains)}."
        )
    if int8 := about.quantized:
        verdict = "OpenVINO uses it."
        if not int8.kept:
            verdict = f"Not kept: it may lose at most {MAX_INT8_NDCG_LOSS}."
        elif int8.speed < 1:
            verdict = f"Slower here: delete the folder {INT8} unless another processor serves it."
        lines.append(
            f"int8: {int8.speed:.2f} times as fast as {int8.precision} here; vectors at cosine "
            f"{int8.cosine:.3f} (lowest {int8.lowest_cosine:.3f}); nDCG@10 "
            f"{_changes(int8.gains)}. {verdict}"
        )
    return lines


def _changes(gains: Sequence[Gain]) -> str:
    return " and ".join(f"{gain.change:+.3f} on {gain.trial}" for gain in gains)


def write_card(name: str, about: AdaptationRecord) -> str:
    """Format the model card: markdown with YAML front matter, as the Hub expects."""
    base_model = "" if about.base.startswith("/") else f"base_model: {about.base}\n"
    pairs = [("pairs", ""), *((kind, f"{count:,}") for kind, count in about.pairs.items())]
    plan = [("plan", ""), *((key.replace("_", " "), f"{n:g}") for key, n in about.plan.items())]
    others = len(about.held_out) - _LISTED
    held_out = ", ".join(about.held_out[:_LISTED]) + (f" and {others:,} more" if others > 0 else "")
    packages = ", ".join(f"{package} {version}" for package, version in about.packages.items())
    compression = "".join(f"{line}\n\n" for line in _compression(about))
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
{base_model}---

# {name}

{about.base}, adapted to {about.documents:,} documents by `python -m database.adapting`. It is \
used like its base model. Its weights contain knowledge from the documents: the licences of the \
documents and of the base model both apply to it.

## Evaluation

{pipe_table([_HEAD, *map(_row, about.gains)])}

The held-out documents were excluded from training; the questions are sentences in which other \
pages link to them. The other topics are unrelated to the documents: the model should lose nothing \
on them.

{compression}## Training

{pipe_table(pairs)}

{pipe_table(plan)}

- Weights: share {about.share:g} of the trained weights, interpolated with the base model's to \
limit the loss on the other topics to {MAX_NDCG_LOSS}
- Last layer: whitening about the origin, shrinkage {SHRUNK:g} towards the moment of a sphere
- Base: revision {about.base_revision}
- Documents: SHA-256 {about.corpus}; held out: {held_out or "none"}
- {_resources(about)}; {packages}
"""
