"""The results as tables and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dataset.markdown.writer import pipe_table
from utils.evaluation.compare import Difference
from utils.evaluation.configurations import Configuration
from utils.evaluation.decisions import reliability, risk_coverage, shipped_decision
from utils.evaluation.metrics import AUROC, P50, Values, shares, summaries
from utils.evaluation.runs import QuestionOutcome
from utils.figures import aligned_table

Runs = dict[str, list[QuestionOutcome]]
"""Outcomes by the label of the configuration; the first is the baseline."""
Comparisons = dict[str, list[Difference]]
Rows = list[list[str]]

OVERVIEW = ("hit@5", "nDCG@10", "facts@8", AUROC, P50)
"""The metrics in a table of several configurations."""
_NOTE = (
    "In brackets the difference's 95% interval; {}: it excludes 0. Of 20 intervals at 95%, one "
    "excludes 0 by chance."
)


def print_tables(runs: Runs, comparisons: Comparisons, *, in_full: bool) -> str:
    """The tables for a terminal; `in_full` adds every metric of each comparison."""
    baseline = next(iter(runs))
    parts = [baseline, aligned_table(_metrics(runs[baseline]))]
    if in_full:
        parts += [aligned_table(_differences(baseline, *each)) for each in comparisons.items()]
    if comparisons and (len(comparisons) > 1 or not in_full):
        parts += [aligned_table(_overview(runs, comparisons, "{}*")), _NOTE.format("*")]
    return "\n\n".join(parts)


def runs_sections(runs: Runs, comparisons: Comparisons) -> list[str]:
    """The tables as markdown."""
    baseline = next(iter(runs))
    sections = [f"## {baseline}", pipe_table(_metrics(runs[baseline]))]
    if comparisons:
        overview = pipe_table(_overview(runs, comparisons, "**{}**"))
        sections += ["## Comparison", overview, _NOTE.format("bold")]
    return sections


def _metrics(outcomes: Sequence[QuestionOutcome]) -> Rows:
    """All metrics: a row each, a column for all questions and for each kind."""
    groups = summaries(outcomes)
    rows = [["", *groups]]
    for name in groups["all"]:
        rows.append([name, *(number(name, values[name]) for values in groups.values())])
    return rows


def number(metric: str, value: float | None, sign: str = "") -> str:
    """A metric's value with its usual digits; a dash for None."""
    if value is None:
        return "-"
    if metric == "questions" or metric.startswith("characters"):
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.1f}" if metric.endswith("ms") else f"{value:{sign}.3f}"


def _differences(baseline: str, other: str, differences: Sequence[Difference]) -> Rows:
    """All differences between two configurations, a row each."""
    rows = [["", baseline, other, "difference", "95% interval", ""]]
    for each in differences:
        values = (number(each.metric, value) for value in (each.baseline, each.other))
        change = number(each.metric, each.change, "+")
        rows.append([each.metric, *values, change, _interval(each), each.verdict])
    return rows


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    ends = (number(difference.metric, end, "+") for end in (difference.low, difference.high))
    return " to ".join(ends)


def _overview(runs: Runs, comparisons: Comparisons, real: str) -> Rows:
    """A row for each configuration; `real` is the format of differences that are real."""
    baseline = next(iter(runs))
    values: Values = summaries(runs[baseline])["all"]
    rows = [["", *OVERVIEW], [baseline, *(number(name, values[name]) for name in OVERVIEW)]]
    for label, differences in comparisons.items():
        by_metric = {each.metric: each for each in differences}
        rows.append([label, *(_cell(by_metric.get(name), real) for name in OVERVIEW)])
    return rows


def _cell(difference: Difference | None, real: str) -> str:
    if difference is None:
        return "-"
    interval = _interval(difference)
    cell = number(difference.metric, difference.other) + (f" ({interval})" if interval else "")
    return real.format(cell) if difference.real else cell


def runs_as_json(
    configurations: Sequence[Configuration],
    runs: Mapping[str, Sequence[QuestionOutcome]],
    comparisons: Mapping[str, Sequence[Difference]],
) -> dict[str, Any]:
    """Everything with all digits, question by question."""
    return {
        "configurations": [
            {
                "label": configuration.label,
                "ranking": dict(configuration.ranking),
                "database": configuration.database,
                **_run_as_json(runs[configuration.label]),
            }
            for configuration in configurations
        ],
        "comparisons": {
            label: [
                asdict(each) | {"difference": each.change, "real": each.real}
                for each in differences
            ]
            for label, differences in comparisons.items()
        },
    }


def _run_as_json(outcomes: Sequence[QuestionOutcome]) -> dict[str, Any]:
    shipped, by_name = shipped_decision(outcomes), shares(outcomes)
    return {
        "metrics": summaries(outcomes),
        "risk_coverage": [asdict(decision) for decision in risk_coverage(outcomes)],
        "shipped_threshold": asdict(shipped) if shipped else None,
        "reliability": [asdict(each) for each in reliability(outcomes)],
        "questions": [
            {
                "id": outcome.question.id,
                "kind": outcome.question.kind,
                "answerable": outcome.question.answerable,
                "answered": outcome.answered,
                "confidence": outcome.confidence,
                "milliseconds": outcome.milliseconds,
                "gold_rank": outcome.gold_rank,
                "documents": outcome.documents[:10],
                "metrics": {name: share.of(at) for name, share in by_name.items()},
            }
            for at, outcome in enumerate(outcomes)
        ],
    }
