"""The measures as tables, as JSON and as a picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dataset.markdown.writer import pipe_table
from utils.figures import aligned_table, percentile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADINGS = ("measure", "ours", "original", "ratio", "target", "")
_VERDICTS = {None: "", True: "reached", False: "MISSED"}
_NOTE = "ratio: how many times better ours is"
_PANELS = {
    "Build: kB of documentation a second\n(more is better)": "documentation, kB",
    "Build: peak memory, MiB\n(less is better)": "peak memory",
    "Answer without LLM, 1 client: ms\n(less is better)": "answer, 1 client, p",
    "Answer without LLM, 32 clients: ms\n(less is better)": "answer, 32 clients, p",
}
"""The measures compared in the picture, by the prefix of their names."""


@dataclass(frozen=True, slots=True)
class Target:
    """The limit of a figure, or of its ratio to the original's."""

    kind: Literal["value", "ratio"]
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        """Short form for a table."""
        sign, limit = ("<", self.below) if self.below is not None else (">", self.above)
        return f"{sign} {limit:g}{'x' if self.kind == 'ratio' else ''}"


NONE = Target("value", below=1)
"""The target of a count of failures."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the table."""

    name: str
    ours: float
    original: float | None = None
    better: Literal["more", "less", ""] = ""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; None if that does not apply."""
        if not self.original or not self.better:
            return None
        return self.ours / self.original if self.better == "more" else self.original / self.ours

    @property
    def reached(self) -> bool | None:
        """True if the target is reached; None without a target or a value to compare."""
        value = self.ours if self.target and self.target.kind == "value" else self.ratio
        if self.target is None or value is None:
            return None
        if self.target.below is not None:
            return value < self.target.below
        return self.target.above is not None and value >= self.target.above


Parts = dict[str, list[Measure]]
"""Measures by the title of their part."""


def latency_measures(
    name: str, seconds: Sequence[float], limit: float | None = None
) -> list[Measure]:
    """p50 and p99 in milliseconds."""
    target = None if limit is None else Target("value", below=limit)
    return [
        Measure(f"{name}, {label} ms", 1000 * percentile(seconds, share), target=target)
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]


def measures_table(parts: Parts) -> str:
    """The measures as aligned text, part by part."""
    rows: list[Sequence[str]] = [_HEADINGS]
    for part, measures in parts.items():
        rows += [[""] * len(_HEADINGS), [part.upper(), *[""] * (len(_HEADINGS) - 1)]]
        rows += map(_row, measures)
    return f"{aligned_table(rows)}\n\n{_NOTE}"


def measures_sections(parts: Parts) -> list[str]:
    """The measures as markdown, a section for each part."""
    sections = [f"{_NOTE}."]
    for part, measures in parts.items():
        sections += [f"## {part}", pipe_table([_HEADINGS, *map(_row, measures)])]
    return sections


def _row(measure: Measure) -> Sequence[str]:
    return (
        measure.name,
        _number(measure.ours),
        "" if measure.original is None else _number(measure.original),
        "" if measure.ratio is None else f"{measure.ratio:.2f}x",
        str(measure.target or ""),
        _VERDICTS[measure.reached],
    )


def _number(value: float) -> str:
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def measures_as_json(parts: Parts) -> dict[str, list[dict[str, Any]]]:
    """The measures with all their digits."""
    return {
        part: [
            {
                "measure": measure.name,
                "ours": measure.ours,
                "original": measure.original,
                "ratio": measure.ratio,
                "target": str(measure.target) if measure.target else None,
                "reached": measure.reached,
            }
            for measure in measures
        ]
        for part, measures in parts.items()
    }


def draw_measures(path: Path, parts: Mapping[str, Sequence[Measure]], caption: str) -> None:
    """Draw throughput and latency as bars, ours beside the original's."""
    from matplotlib.figure import Figure

    compared = [measure for part in parts.values() for measure in part if measure.original]
    panels = [
        (title, found)
        for title, prefix in _PANELS.items()
        if (found := [measure for measure in compared if measure.name.startswith(prefix)])
    ]
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(9, 0.7 + 3.2 * rows), layout="constrained")
    for at, (title, measures) in enumerate(panels, start=1):
        _draw_bars(figure.add_subplot(rows, 2, at), title, measures)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    figure.supxlabel(caption, fontsize=8, color="#57606a")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_bars(axes: "Axes", title: str, measures: Sequence[Measure]) -> None:
    columns = (
        ("ours", "#1f6feb", -0.2, [measure.ours for measure in measures]),
        ("original", "#9aa4b2", 0.2, [measure.original or 0.0 for measure in measures]),
    )
    for label, color, shift, values in columns:
        places = [at + shift for at in range(len(measures))]
        bars = axes.bar(places, values, 0.38, label=label, color=color)
        axes.bar_label(bars, [_number(value) for value in values], padding=2, fontsize=9)
    names = [measure.name.split(", ")[-1].removesuffix(" ms") for measure in measures]
    axes.set_xticks(range(len(measures)), names if len(measures) > 1 else [""])
    axes.set_title(title, fontsize=10)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
