"""What was measured, as a table, as JSON and as a picture."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from utils.benchmark.builds import BuildFigures
from utils.benchmark.machine import MatrixRates
from utils.benchmark.services import Latency, LLMFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MIB = 2**20
_HEADINGS = ("measure", "ours", "original", "ratio", "target", "")
_OURS, _ORIGINAL = "#1f6feb", "#9aa4b2"


@dataclass(frozen=True, slots=True)
class Target:
    """What the figure should be."""

    kind: Literal["value", "ratio"]
    """Whether it is about our figure or about how it compares with the original's."""
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        """The target in short."""
        sign, limit = ("<", self.below) if self.below is not None else (">", self.above)
        return f"{sign} {limit:g}{'x' if self.kind == 'ratio' else ''}"


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the table."""

    name: str
    ours: float
    original: float | None = None
    better: Literal["more", "less", ""] = ""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; None where that is no question."""
        if not self.original or not self.better:
            return None
        return self.ours / self.original if self.better == "more" else self.original / self.ours

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without one, or with nothing to hold against it."""
        value = self.ours if self.target and self.target.kind == "value" else self.ratio
        if self.target is None or value is None:
            return None
        if self.target.below is not None:
            return value < self.target.below
        return self.target.above is not None and value >= self.target.above


@dataclass(frozen=True, slots=True)
class Served:
    """One way to ask, under a number of clients."""

    name: str
    clients: int
    ours: Latency
    original: Latency | None = None


def build_measures(
    size: int, ours: BuildFigures, original: BuildFigures, rebuild_seconds: float
) -> list[Measure]:
    """The two builds, on so many bytes of documentation."""
    return [
        Measure(
            "documentation, kB a second",
            size / ours.seconds / 1000,
            size / original.seconds / 1000,
            "more",
            Target("ratio", above=4),
        ),
        Measure("chunks", ours.chunks, original.chunks),
        Measure("chunks a second", ours.chunks_per_second, original.chunks_per_second, "more"),
        Measure("whole pipeline, s", ours.seconds, original.seconds, "less"),
        Measure("loading the model, s", ours.load_seconds, original.load_seconds, "less"),
        Measure("peak memory, MiB", ours.peak_memory / _MIB, original.peak_memory / _MIB, "less"),
        Measure("opening the index in a fresh process, s", ours.seconds_to_open),
        Measure("second build that changes nothing, s", rebuild_seconds),
    ]


def matrix_measures(ours: BuildFigures, rates: MatrixRates) -> list[Measure]:
    """What the embedding reaches of the machine."""
    kinds = {f"OpenVINO {rates.precision}": rates.openvino, f"torch {rates.precision}": rates.torch}
    return [
        Measure(f"embedding ({rates.backend} {rates.precision}), GFLOP/s", _giga(ours)),
        *(Measure(f"2048 x 2048 product, {k}, GFLOP/s", r / 1e9) for k, r in kinds.items() if r),
        Measure(
            "embedding's share of the product's rate, %",
            100 * ours.flops_per_second / rates.reference,
            target=Target("value", above=50),
        ),
    ]


def _giga(figures: BuildFigures) -> float:
    return figures.flops_per_second / 1e9


def service_measures(served: Iterable[Served]) -> list[Measure]:
    """Milliseconds a question, by way and by clients."""
    targets = {
        ("answer", 1, "p50"): Target("value", below=15),
        ("answer", 1, "p99"): Target("value", below=60),
    }
    measures: list[Measure] = []
    for each in served:
        where = f"{each.name}, {each.clients} client{'s' if each.clients > 1 else ''}"
        ours, original = asdict(each.ours), asdict(each.original) if each.original else {}
        for key in ("p50", "p99"):
            target = targets.get((each.name, each.clients, key))
            measures.append(
                Measure(f"{where}, {key} ms", ours[key], original.get(key), "less", target)
            )
        measures.append(
            Measure(f"{where}, a second", ours["per_second"], original.get("per_second"), "more")
        )
        if ours["failed"] or original.get("failed"):
            measures.append(Measure(f"{where}, failed", ours["failed"], original.get("failed")))
    return measures


def llm_measures(figures: LLMFigures) -> list[Measure]:
    """Many clients waiting for a slow language model."""
    who = f"{figures.clients} clients, LLM takes {figures.llm_seconds:g} s"
    return [
        Measure(f"{who}: last answered, s", figures.seconds),
        Measure(f"{who}: answered by it", figures.answered),
    ]


def measures_table(parts: Mapping[str, Sequence[Measure]]) -> str:
    """The measures as aligned text, part by part."""
    rows = {part: [_row(measure) for measure in measures] for part, measures in parts.items()}
    lines = [_HEADINGS, *(row for part in rows.values() for row in part)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]

    def aligned(line: Sequence[str]) -> str:
        name, *cells = (
            cell.ljust(width) if at in (0, 5) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join((name, *cells)).rstrip()

    text = [aligned(_HEADINGS)]
    for part, part_rows in rows.items():
        text += ["", part.upper(), *map(aligned, part_rows)]
    return "\n".join([*text, "", "ratio: how many times better ours is"])


def _row(measure: Measure) -> tuple[str, ...]:
    verdicts = {None: "", True: "reached", False: "MISSED"}
    return (
        measure.name,
        _number(measure.ours),
        "" if measure.original is None else _number(measure.original),
        "" if measure.ratio is None else f"{measure.ratio:.2f}x",
        str(measure.target or ""),
        verdicts[measure.reached],
    )


def _number(value: float) -> str:
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def measures_as_json(parts: Mapping[str, Sequence[Measure]]) -> dict[str, list[dict[str, Any]]]:
    """The table's measures with all their digits."""
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
    """Draw throughput and latency, ours against the original's."""
    from matplotlib.figure import Figure

    panels = _panels(parts)
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(9, 0.7 + 3.2 * rows), layout="constrained")
    for at, (title, measures) in enumerate(panels, start=1):
        _bars(figure.add_subplot(rows, 2, at), title, measures)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    figure.supxlabel(caption, fontsize=8, color="#57606a")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _panels(parts: Mapping[str, Sequence[Measure]]) -> list[tuple[str, list[Measure]]]:
    """What is comparable in one scale, together."""
    wanted = {
        "Build: kB of documentation a second\n(more is better)": ("documentation, kB",),
        "Build: peak memory, MiB\n(less is better)": ("peak memory",),
        "Answer without LLM, 1 client: ms\n(less is better)": ("answer, 1 client, p",),
        "Answer without LLM, 32 clients: ms\n(less is better)": ("answer, 32 clients, p",),
    }
    measures = [measure for part in parts.values() for measure in part if measure.original]
    panels = [
        (title, [measure for measure in measures if measure.name.startswith(prefixes)])
        for title, prefixes in wanted.items()
    ]
    return [(title, found) for title, found in panels if found]


def _bars(axes: "Axes", title: str, measures: Sequence[Measure]) -> None:
    places = range(len(measures))
    columns = (
        ("ours", _OURS, -0.2, [measure.ours for measure in measures]),
        ("original", _ORIGINAL, 0.2, [measure.original or 0.0 for measure in measures]),
    )
    for label, color, shift, values in columns:
        bars = axes.bar([at + shift for at in places], values, 0.38, label=label, color=color)
        axes.bar_label(bars, [_number(value) for value in values], padding=2, fontsize=9)
    names = [measure.name.split(", ")[-1].removesuffix(" ms") for measure in measures]
    axes.set_xticks(list(places), names if len(measures) > 1 else [""])
    axes.set_title(title, fontsize=10)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
