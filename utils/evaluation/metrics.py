"""The metrics of a run: ranked documents, facts in the passages, confidence, latency.

ir-measures computes those of ranked documents (Success, nDCG, RR; binary gains).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from utils.evaluation.questions import KINDS, LabelledQuestion
from utils.evaluation.runs import QuestionOutcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RANKED = {
    "hit@1": "Success@1",
    "hit@5": "Success@5",
    "hit@10": "Success@10",
    "nDCG@10": "nDCG@10",
    "MRR@10": "RR@10",
}
"""The metrics of ranked documents by our names and by those of ir-measures."""
PASSAGES = (3, 5, 8)
"""The numbers of first passages in which facts are counted."""
AUROC, P50, P95 = "AUROC", "p50 ms", "p95 ms"
LESS_IS_BETTER = {"Brier", P50, P95, *(f"characters@{count}" for count in PASSAGES)}

Values = dict[str, float | None]
"""Metrics by name; None if the metric applies to no question."""


@dataclass(frozen=True, slots=True)
class Share:
    """A metric that divides one sum over questions by another, kept by question to resample."""

    part: "Floats"
    whole: "Floats"
    """0 for questions that the metric does not apply to."""

    def value(self, chosen: "npt.NDArray[np.bool_]") -> float | None:
        """The metric over the chosen questions."""
        whole = self.whole[chosen].sum()
        return float(self.part[chosen].sum() / whole) if whole else None


def shares(outcomes: Sequence[QuestionOutcome]) -> dict[str, Share]:
    """Every metric of a run that is a share, in the order of the tables."""
    import numpy as np

    ranked = ranked_metrics(outcomes)
    answerable, confidence = labels_and_confidences(outcomes)
    with_gold = np.array([bool(outcome.question.gold_docs) for outcome in outcomes], dtype=float)
    answered = np.array([outcome.findings.answerable for outcome in outcomes], dtype=float)
    everyone = np.ones(len(outcomes))
    found = {
        name: Share(np.array(values) * with_gold, with_gold) for name, values in ranked.items()
    }
    for count in PASSAGES:
        facts = [count_facts(outcome, count) for outcome in outcomes]
        asked = np.array([len(outcome.question.answer_facts) for outcome in outcomes], dtype=float)
        found[f"facts@{count}"] = Share(np.array(facts, dtype=float), asked)
    for count in PASSAGES:
        sizes = np.array([characters(outcome, count) for outcome in outcomes], dtype=float)
        found[f"characters@{count}"] = Share(sizes, everyone)
    found["answerable answered"] = Share(answered * answerable, answerable)
    found["unanswerable refused"] = Share((1 - answered) * (1 - answerable), 1 - answerable)
    found["Brier"] = Share((confidence - answerable) ** 2, everyone)
    return found


def ranked_metrics(outcomes: Sequence[QuestionOutcome]) -> dict[str, list[float]]:
    """The metrics of ranked documents for each question; 0 for one without a right document."""
    import ir_measures

    measures = {ir_measures.parse_measure(theirs): ours for ours, theirs in RANKED.items()}
    judged, ranking = [], []
    for at, outcome in enumerate(outcomes):
        judged += [ir_measures.Qrel(str(at), name, 1) for name in outcome.question.gold_docs]
        # Strictly falling, so that the order does not depend on ties in the score.
        ranking += [
            ir_measures.ScoredDoc(str(at), name, -float(place))
            for place, name in enumerate(outcome.documents)
        ]
    values = {name: [0.0] * len(outcomes) for name in RANKED}
    if judged and ranking:
        for metric in ir_measures.iter_calc(list(measures), judged, ranking):
            values[measures[metric.measure]][int(metric.query_id)] = float(metric.value)
    return values


def count_facts(outcome: QuestionOutcome, count: int) -> int:
    """The number of the answer's facts in the first `count` passages."""
    text = "\n".join(each.text for each in outcome.findings.passages[:count])
    return facts_in(text, outcome.question)


def facts_in(text: str, question: LabelledQuestion) -> int:
    """The number of the answer's facts that a text contains."""
    text = comparable(text)
    return sum(comparable(fact) in text for fact in question.answer_facts)


def comparable(text: str) -> str:
    """The text in lower case without white space, backticks and asterisks, to match facts in it."""
    return re.sub(r"[`*\s]+", "", text).casefold()


def characters(outcome: QuestionOutcome, count: int) -> int:
    """The total length of the first `count` passages."""
    return sum(len(passage.text) for passage in outcome.findings.passages[:count])


def labels_and_confidences(outcomes: Sequence[QuestionOutcome]) -> "tuple[Floats, Floats]":
    """Whether each question is answerable (1 or 0), and the confidence that it is."""
    import numpy as np

    answerable = [outcome.question.answerable for outcome in outcomes]
    confidence = [outcome.findings.confidence for outcome in outcomes]
    return np.array(answerable, dtype=float), np.array(confidence, dtype=float)


def area_under_roc(answerable: "Floats", confidence: "Floats", axis: int = -1) -> "Floats":
    """U / (p n), with the Mann-Whitney statistic U of p positives and n negatives; NaN without.

    U = R - p (p + 1) / 2, where R is the sum of the positives' ranks (ties: the mean rank).

    Args:
        answerable: 1 for positives, 0 for negatives; along the other axes, resamples.
        confidence: The score of each, of the same shape.
        axis: The axis of the questions.
    """
    import numpy as np
    from scipy.stats import rankdata

    positives = answerable.sum(axis)
    negatives = answerable.shape[axis] - positives
    ranks = (rankdata(confidence, axis=axis) * answerable).sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: Floats = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return area


def summaries(outcomes: Sequence[QuestionOutcome]) -> dict[str, Values]:
    """All metrics, of all questions ("all") and of each kind."""
    import numpy as np

    by_name = shares(outcomes)
    kinds = np.array([outcome.question.kind for outcome in outcomes])
    present = [kind for kind in KINDS if kind in set(kinds)]
    groups = {"all": np.full(len(outcomes), True)} | {kind: kinds == kind for kind in present}
    return {
        group: _summary(list(compress(outcomes, chosen)), by_name, chosen)
        for group, chosen in groups.items()
    }


def _summary(
    outcomes: Sequence[QuestionOutcome],
    by_name: Mapping[str, Share],
    chosen: "npt.NDArray[np.bool_]",
) -> Values:
    import numpy as np

    times = [outcome.milliseconds for outcome in outcomes]
    values: Values = {"questions": len(outcomes)}
    values |= {name: share.value(chosen) for name, share in by_name.items()}
    for count in PASSAGES:
        most = max(characters(each, count) for each in outcomes)
        values[f"characters@{count}, most"] = most
    area = area_under_roc(*labels_and_confidences(outcomes))
    values[AUROC] = None if np.isnan(area) else float(area)
    values[P50], values[P95] = (float(np.percentile(times, share)) for share in (50, 95))
    return values
