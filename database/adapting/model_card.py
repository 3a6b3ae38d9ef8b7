"""What an adapted model says of itself: its card for people, the same figures for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from database.adapting.evaluation import MAX_NDCG_LOSS, Gain, lost
from database.adapting.quantization import MAX_INT8_NDCG_LOSS, Quantized
from database.adapting.whitening import SHRUNK, Shortened
from database.embedding.model_folder import INT8

_NAMED = 12
"""Held-out documents that the card lists."""


@dataclass(frozen=True, slots=True)
class AdaptationRecord:
    """From what a model was made, how, and what it gained."""

    base: str
    base_revision: str
    documents: int
    corpus: str
    """SHA-256 of the documents' names and contents."""
    held_out: tuple[str, ...]
    """The documents that nothing was learned from."""
    pairs: Mapping[str, int]
    """How many of each kind were learned."""
    plan: Mapping[str, Any]
    share: float
    """How much of the way from the general weights to the trained ones it goes."""
    gains: tuple[Gain, ...]
    shortened: Shortened | None
    """What shorter vectors cost; None where they were not asked for."""
    quantized: Quantized | None
    """What int8 cost and brought; None where it was not asked for."""
    device: str
    seconds: int
    peak_bytes: int
    packages: Mapping[str, str]


def summarize(about: AdaptationRecord) -> str:
    """The figures as lines for a person at a terminal."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in about.pairs.items())
    lines = [
        f"  {sum(about.pairs.values()):,} pairs ({kinds}) of "
        f"{about.documents - len(about.held_out):,} documents; {len(about.held_out):,} held out",
        *(f"  {line}" for line in _table(about.gains)),
        f"  {_minutes(about.seconds)} on {about.device}, at most {about.peak_bytes / 1e9:.1f} GB",
    ]
    if about.shortened:
        lines.append(f"  {_shorter(about.shortened)}")
    if about.quantized:
        lines.append(f"  {_int8(about.quantized)}")
    if about.share < 1:
        lines.append(
            f"  {about.share:g} of the way from the general weights to the trained ones: farther, "
            f"it lost more than {MAX_NDCG_LOSS} on other topics"
        )
    for gain in lost(about.gains):
        way_on = "a larger --dimension, a" if about.shortened else "a"
        lines.append(
            f"  Warning: on {gain.trial} it lost more than {MAX_NDCG_LOSS}. Try {way_on} lower "
            "--learning_rate, or fewer --pairs."
        )
    return "\n".join(lines)


def _shorter(shortened: Shortened) -> str:
    """In a sentence, what shorter vectors cost."""
    return (
        f"{shortened.dimension} instead of {shortened.of} numbers a vector: nDCG@10 "
        f"{_changes(shortened.gains)}."
    )


def _changes(gains: Sequence[Gain]) -> str:
    return " and ".join(f"{gain.change:+.3f} on {gain.trial}" for gain in gains)


def _int8(quantized: Quantized) -> str:
    """In a sentence, what int8 brings and costs, or why there is none."""
    line = (
        f"int8: {quantized.speed:.2f} times as fast here as {quantized.precision}; vectors at "
        f"cosine {quantized.cosine:.3f} (least {quantized.lowest_cosine:.3f}); nDCG@10 "
        f"{_changes(quantized.gains)}. "
    )
    if not quantized.kept:
        return line + f"Not kept: it may lose {MAX_INT8_NDCG_LOSS} at most."
    if quantized.speed < 1:
        return line + f"Slower here: delete the folder {INT8} unless another processor serves it."
    return line + "OpenVINO embeds with it."


def _table(gains: Sequence[Gain]) -> list[str]:
    rows = [("nDCG@10", "questions", "general", "adapted", "difference (95% interval)")]
    rows += [
        (
            gain.trial,
            f"{gain.questions:,}",
            f"{gain.general:.3f}",
            f"{gain.adapted:.3f}",
            f"{gain.change:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
        )
        for gain in gains
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at in (0, len(row) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _minutes(seconds: int) -> str:
    return f"{seconds // 60} min {seconds % 60} s"


def write_card(name: str, about: AdaptationRecord) -> str:
    """The model's card, as the Hub shows one: markdown under a head of YAML."""
    gains = [
        f"| {gain.trial} | {gain.questions:,} | {gain.general:.3f} | {gain.adapted:.3f} | "
        f"{gain.change:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) |"
        for gain in about.gains
    ]
    pairs = [f"| {kind} | {count:,} |" for kind, count in about.pairs.items()]
    plan = [f"| {key.replace('_', ' ')} | {value:g} |" for key, value in about.plan.items()]
    others = len(about.held_out) - _NAMED
    held_out = ", ".join(about.held_out[:_NAMED]) + (f" and {others:,} more" if others > 0 else "")
    packages = ", ".join(f"{package} {version}" for package, version in about.packages.items())
    return "\n".join(
        (
            "---",
            "library_name: sentence-transformers",
            "pipeline_tag: sentence-similarity",
            *([f"base_model: {about.base}"] if not about.base.startswith("/") else []),
            "---",
            "",
            f"# {name}",
            "",
            f"{about.base}, adapted to {about.documents:,} documents by "
            "`python -m database.adapting`. It is used like the model it was made from. Its "
            "weights carry what it learned of the documents: their licence and the base "
            "model's both bear on it.",
            "",
            "## What it gained",
            "",
            "| nDCG@10 | questions | general | adapted | difference (95% interval) |",
            "| --- | --- | --- | --- | --- |",
            *gains,
            "",
            "The held-out documents taught it nothing; the questions are sentences in which other "
            "pages link to them. The other topics have nothing to do with the documents: there, "
            "nothing should be lost.",
            "",
            *([_shorter(about.shortened), ""] if about.shortened else []),
            *([_int8(about.quantized), ""] if about.quantized else []),
            "## From what and how",
            "",
            "| pairs | |",
            "| --- | --- |",
            *pairs,
            "",
            "| plan | |",
            "| --- | --- |",
            *plan,
            "",
            f"- Weights: {about.share:g} of the way from the base's to the trained ones, as far as "
            "the other topics bear",
            f"- Last layer: whitening about the origin, {SHRUNK:g} of the second moment a sphere's",
            f"- Base: revision {about.base_revision}",
            f"- Documents: SHA-256 {about.corpus}; held out: {held_out or 'none'}",
            f"- {_minutes(about.seconds)} on {about.device}, at most "
            f"{about.peak_bytes / 1e9:.1f} GB; {packages}",
            "",
        )
    )
