"""The picture of an evaluation: metrics by kind, risk and coverage, reliability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from utils.evaluation.decisions import reliability, risk_coverage, shipped_decision
from utils.evaluation.metrics import summaries
from utils.evaluation.runs import QuestionOutcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS = {"hit@5": "#1f6feb", "nDCG@10": "#79b0ff", "facts@8": "#9aa4b2"}
# Okabe and Ito's colours, distinguishable with any colour vision.
_CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def draw_runs(path: Path, runs: Mapping[str, Sequence[QuestionOutcome]], caption: str) -> None:
    """Draw the first run's metrics by kind, and each run's curves.

    Args:
        path: The file; its suffix sets the format.
        runs: Outcomes by label; the curves show the first six.
        caption: The line below the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.6), layout="constrained")
    bars, risk, calibration = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    label, outcomes = next(iter(runs.items()))
    _draw_bars(bars, outcomes, f"Retrieval, {label}" if len(runs) > 1 else "Retrieval")
    shown = list(zip(runs.items(), _CURVES, strict=False))
    for (name, each), color in shown:
        _draw_risk(risk, each, name, color)
        _draw_reliability(calibration, each, name, color)
    risk.set(xlabel="share of the questions answered", ylabel="share of those that are wrong")
    risk.set(xlim=(0, 1.02), ylim=(0, None), title="Risk and coverage")
    calibration.plot(
        [0, 1], [0, 1], color="#9aa4b2", linestyle=":", linewidth=1, label="calibrated"
    )
    calibration.set(xlabel="confidence", ylabel="share answerable", title="Confidence")
    calibration.set(xlim=(0, 1.02), ylim=(0, 1.04))
    for axes in (bars, risk, calibration):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, ncols=3 if axes is bars else 1)
    figure.supxlabel(caption, fontsize=8, color="#57606a")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_bars(axes: "Axes", outcomes: Sequence[QuestionOutcome], title: str) -> None:
    groups = {
        name: values
        for name, values in summaries(outcomes).items()
        if any(values[metric] is not None for metric in _BARS)
    }
    for at, (metric, color) in enumerate(_BARS.items()):
        heights = [values[metric] or 0.0 for values in groups.values()]
        places = [place + (at - 1) * 0.28 for place in range(len(groups))]
        bars = axes.bar(places, heights, 0.27, label=metric, color=color)
        axes.bar_label(bars, [f"{height:.2f}" for height in heights], padding=1, fontsize=7)
    answerable = [each.question.kind for each in outcomes if each.question.answerable]
    counts = [len(answerable) if name == "all" else answerable.count(name) for name in groups]
    names = [f"{name}\n({count})" for name, count in zip(groups, counts, strict=True)]
    axes.set_xticks(range(len(groups)), names)
    axes.set(xlabel="answerable questions", ylim=(0, 1.15), title=title)
    axes.set_yticks([tenth / 10 for tenth in range(0, 11, 2)])


def _draw_risk(axes: "Axes", outcomes: Sequence[QuestionOutcome], label: str, color: str) -> None:
    curve = risk_coverage(outcomes)
    coverage, risk = [each.coverage for each in curve], [each.risk for each in curve]
    if shipped := shipped_decision(outcomes):
        label += f", threshold: {shipped.coverage:.2f} answered, {shipped.risk:.2f} wrong"
        axes.plot([shipped.coverage], [shipped.risk], marker="o", color=color)
    axes.plot(coverage, risk, color=color, linewidth=1.6, label=label)


def _draw_reliability(
    axes: "Axes", outcomes: Sequence[QuestionOutcome], label: str, color: str
) -> None:
    bins = reliability(outcomes)
    brier = summaries(outcomes)["all"]["Brier"]
    axes.plot(
        [each.confidence for each in bins],
        [each.answerable for each in bins],
        marker="o",
        markersize=4,
        color=color,
        linewidth=1.2,
        label=f"{label} (Brier {brier:.3f})",
    )
