"""What was measured, as tables and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from utils.evaluation.compare import Difference
from utils.evaluation.configurations import Configuration
from utils.evaluation.decisions import reliability, risk_coverage, shipped_decision
from utils.evaluation.metrics import AUROC, P50, Values, shares, summaries
from utils.evaluation.runs import QuestionOutcome

OVERVIEW = ("hit@5", "nDCG@10", "facts@8", AUROC, P50)
"""The metrics that a table of many configurations has room for."""
_NOT_ALONE = "Of 20 intervals at 95%, one leaves out 0 by chance."


def metrics_table(groups: Mapping[str, Values]) -> str:
    """All metrics of one run: a line each, a column for all questions and for each kind."""
    metrics = list(groups["all"])
    rows = [["", *groups]]
    rows += [
        [name, *(number(name, values[name]) for values in groups.values())] for name in metrics
    ]
    return _aligned(rows)


def number(metric: str, value: float | None, sign: str = "") -> str:
    """A metric's value in the form it is read in; a dash where there is none."""
    if value is None:
        return "-"
    if metric == "questions" or metric.startswith("characters"):
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.1f}" if metric.endswith("ms") else f"{value:{sign}.3f}"


def comparison_table(baseline: str, other: str, differences: Sequence[Difference]) -> str:
    """All differences between two configurations, a line each."""
    rows = [["", baseline, other, "difference", "95% interval", ""]]
    for each in differences:
        rows.append(
            [
                each.metric,
                number(each.metric, each.baseline),
                number(each.metric, each.other),
                number(each.metric, each.change, "+"),
                _interval(each),
                each.verdict,
            ]
        )
    return _aligned(rows)


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    ends = (number(difference.metric, end, "+") for end in (difference.low, difference.high))
    return " to ".join(ends)


def overview(
    baseline: str,
    values: Values,
    comparisons: Mapping[str, Sequence[Difference]],
    *,
    markdown: bool,
) -> str:
    """The metrics that matter most, a line for each configuration, its differences in brackets."""
    rows = [["", *OVERVIEW], [baseline, *(number(name, values[name]) for name in OVERVIEW)]]
    for label, differences in comparisons.items():
        by_metric = {each.metric: each for each in differences}
        rows.append([label, *(_cell(by_metric.get(name), markdown) for name in OVERVIEW)])
    mark = "bold" if markdown else "*"
    note = f"In brackets the difference's 95% interval; {mark}: it leaves out 0. {_NOT_ALONE}"
    if not markdown:
        return f"{_aligned(rows)}\n\n{note}"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:], "", note])


def _cell(difference: Difference | None, markdown: bool) -> str:
    if difference is None:
        return "-"
    value = number(difference.metric, difference.other)
    if not (interval := _interval(difference)):
        return value
    cell = f"{value} ({interval})"
    if not difference.real:
        return cell
    return f"**{cell}**" if markdown else f"{cell}*"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows with their columns below each other: the first to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def runs_as_json(
    configurations: Sequence[Configuration],
    runs: Mapping[str, Sequence[QuestionOutcome]],
    comparisons: Mapping[str, Sequence[Difference]],
) -> dict[str, Any]:
    """Everything with all its digits, question by question."""
    return {
        "configurations": [
            {
                "label": configuration.label,
                "ranking": dict(configuration.ranking),
                "database": configuration.database,
                **_run(runs[configuration.label]),
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


def _run(outcomes: Sequence[QuestionOutcome]) -> dict[str, Any]:
    shipped = shipped_decision(outcomes)
    return {
        "metrics": summaries(outcomes),
        "risk_coverage": [asdict(decision) for decision in risk_coverage(outcomes)],
        "shipped_threshold": asdict(shipped) if shipped else None,
        "reliability": [asdict(each) for each in reliability(outcomes)],
        "questions": _by_question(outcomes),
    }


def _by_question(outcomes: Sequence[QuestionOutcome]) -> list[dict[str, Any]]:
    by_name = shares(outcomes)
    return [
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
    ]
