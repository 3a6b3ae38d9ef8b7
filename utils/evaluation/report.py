"""The results as tables and as a list of misses."""

from collections.abc import Sequence

from dataset.markdown.writer import pipe_table
from utils.evaluation.compare import Difference, Interval, intervals_of
from utils.evaluation.metrics import AUROC, P50, Values, summaries
from utils.evaluation.runs import QuestionOutcome
from utils.figures import aligned_table

Runs = dict[str, list[QuestionOutcome]]
"""Outcomes by the label of the configuration; the first is the baseline."""
Comparisons = dict[str, list[Difference]]
Rows = list[list[str]]

OVERVIEW = ("hit@5", "nDCG@10", "facts@8", AUROC, P50)
"""The metrics in a table of several configurations."""
_NEAR = 5
"""A question is missed if none of the first _NEAR documents is right."""
_SHOWN = 3
"""The number of found documents that a miss lists."""
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
    """All metrics: a row each, a column for all questions, its interval, and for each kind."""
    groups = summaries(outcomes)
    intervals = intervals_of(outcomes)
    all_questions, *kinds = groups.values()
    rows = [["", "all", "95% interval", *list(groups)[1:]]]
    for name, value in all_questions.items():
        ends = _ends(name, intervals.get(name, (None, None)))
        others = (_number(name, values[name]) for values in kinds)
        rows.append([name, _number(name, value), ends, *others])
    return rows


def _number(metric: str, value: float | None, sign: str = "") -> str:
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
        values = (_number(each.metric, value) for value in (each.baseline, each.other))
        change = _number(each.metric, each.change, "+")
        rows.append([each.metric, *values, change, _interval(each), each.verdict])
    return rows


def _interval(difference: Difference) -> str:
    return _ends(difference.metric, (difference.low, difference.high), "+")


def _ends(metric: str, interval: Interval, sign: str = "") -> str:
    """The ends of an interval; empty if there is none."""
    return " to ".join(_number(metric, end, sign) for end in interval if end is not None)


def _overview(runs: Runs, comparisons: Comparisons, real: str) -> Rows:
    """A row for each configuration; `real` is the format of differences that are real."""
    baseline = next(iter(runs))
    values: Values = summaries(runs[baseline])["all"]
    rows = [["", *OVERVIEW], [baseline, *(_number(name, values[name]) for name in OVERVIEW)]]
    for label, differences in comparisons.items():
        by_metric = {each.metric: each for each in differences}
        rows.append([label, *(_cell(by_metric.get(name), real) for name in OVERVIEW)])
    return rows


def _cell(difference: Difference | None, real: str) -> str:
    if difference is None:
        return "-"
    interval = _interval(difference)
    cell = _number(difference.metric, difference.other) + (f" ({interval})" if interval else "")
    return real.format(cell) if difference.real else cell


def list_misses(outcomes: Sequence[QuestionOutcome], limit: int) -> str:
    """Questions not found, wrongly answered and wrongly refused; at most `limit` of each."""
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    others = [outcome for outcome in outcomes if not outcome.question.answerable]
    missed = [outcome for outcome in answerable if not outcome.found_within(_NEAR)]
    answered = [outcome for outcome in others if outcome.findings.answerable]
    refused = [outcome for outcome in answerable if not outcome.findings.answerable]
    # The worst first.
    answered.sort(key=lambda outcome: -outcome.findings.confidence)
    refused.sort(key=lambda outcome: outcome.findings.confidence)
    blocks = []
    for title, wrong, total in (
        (f"No right document among the first {_NEAR}", missed, len(answerable)),
        ("Answered although unanswerable", answered, len(others)),
        ("Refused although answerable", refused, len(answerable)),
    ):
        left_out = f", {limit} shown" if len(wrong) > limit else ""
        blocks += [f"{title}: {len(wrong)} of {total}{left_out}", *map(_miss, wrong[:limit])]
    return "\n\n".join(blocks)


def _miss(outcome: QuestionOutcome) -> str:
    """A question, the ranks of its right documents, and the first documents found instead."""
    question, findings = outcome.question, outcome.findings
    decision = "answered" if findings.answerable else "refused"
    best = {passage.chunk.document: passage for passage in reversed(findings.passages)}
    ranks = {name: f"place {at}" for at, name in enumerate(outcome.documents, start=1)}
    gold = (f"{name} ({ranks.get(name, 'not found')})" for name in question.gold_docs)
    return "\n".join(
        [
            f"  {question.id} ({question.kind}; confidence {findings.confidence:.2f}, {decision})",
            f"    {' '.join(question.question.split())}",
            *([f"    right: {', '.join(gold)}"] if question.gold_docs else []),
            *(
                f"    found: {best[name].score:.3f} {name} - {best[name].chunk.breadcrumb}"
                for name in outcome.documents[:_SHOWN]
            ),
            *([] if best else ["    found: nothing"]),
        ]
    )
