"""Draws load curves: goodput, latency and memory over the offered load, before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Figures = Mapping[str, Sequence[Mapping[str, Any]]]
"""Loads of each route, as `load.py` writes them."""

_COLUMNS = {
    "goodput": "answered in time, a second",
    "p99": "99th percentile of these, ms",
    "mib_after": "memory after the load, MiB",
}
_STYLES = {"before": ("#9aa4b2", "s"), "after": ("#1f6feb", "o")}


def draw_loads(path: Path, before: Figures, after: Figures) -> None:
    """Draw a row of panels for each route; without figures of before, only those of after."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 2.8 * len(after)), layout="constrained")
    grid = figure.subplots(len(after), len(_COLUMNS), squeeze=False)
    for panels, (route, loads) in zip(grid, after.items(), strict=True):
        for axes, (column, title) in zip(panels, _COLUMNS.items(), strict=True):
            for label, found in {"before": before.get(route, []), "after": loads}.items():
                if found:
                    _draw_curve(axes, label, found, column)
            axes.set_title(f"{route}: {title}", fontsize=9)
            axes.set_xlabel("requests offered a second", fontsize=8)
            axes.margins(y=0.1)
            axes.set_ylim(bottom=0)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _draw_curve(axes: "Axes", label: str, loads: Sequence[Mapping[str, Any]], column: str) -> None:
    color, marker = _STYLES[label]
    points = [(each["offered"], each[column]) for each in loads if each[column] is not None]
    axes.plot(*zip(*points, strict=True), color=color, marker=marker, label=label, markersize=4)
