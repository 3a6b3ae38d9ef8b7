"""Fits the confidence model to labelled questions, and writes confidence.json.

    python -m utils.evaluation.calibrate -q QUESTIONS -db INDEX [-q QUESTIONS -db INDEX ...]

Each file of questions belongs to the index named after it; the model is fitted to all of them. The
threshold is the highest at which the given share of the first file's answerable questions is still
answered without a language model. A language model is asked above a lower one, which nearly all
answerable questions of all files reach. The printed figures of unseen questions come from models
fitted without them.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from database.searching.confidence import MODEL_FILE, ConfidenceFeatures, ConfidenceModel
from utils.errors import DocsQAError
from utils.evaluation.configurations import open_reader
from utils.evaluation.questions import load_questions, questions_of
from utils.figures import run_measurement

if TYPE_CHECKING:
    from utils.evaluation.metrics import Floats

STRENGTH = 1.0
"""Inverse of the regularization; a few dozen unanswerable questions do not support more."""
FOLDS = 10
_FEATURES = tuple(field.name for field in fields(ConfidenceFeatures))
MIN_SHARE_CALLED = 0.995
"""Share of all answerable questions for which a language model is called."""


def _parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(
        prog="calibrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("-q", "--questions", type=Path, action="append", required=True, metavar="FILE")
    add("-db", "--database_path", action="append", required=True, metavar="PATH_OR_URL")
    add(
        "--answer",
        type=float,
        default=0.975,
        metavar="SHARE",
        help="share of the first file's answerable questions to answer (default: %(default)s)",
    )
    add("--output", type=Path, default=MODEL_FILE, help="where to write the coefficients")
    arguments = parser.parse_args(argv)
    if len(arguments.questions) != len(arguments.database_path):
        parser.error("name an index (-db) for each file of questions (-q)")
    if not 0 < arguments.answer <= 1:
        parser.error("--answer is a share: more than 0, at most 1")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Fit and write; 1 with one line on an error."""
    arguments = _parse_arguments(argv)
    return run_measurement(lambda: _calibrate(arguments))


def _calibrate(arguments: argparse.Namespace) -> None:
    """Search for each question, fit the model, write it and print its quality.

    Raises:
        DocsQAError: a package, a question or an index is missing, or there are too few questions.
    """
    if not find_spec("sklearn"):
        raise DocsQAError("Not installed: scikit-learn. Run: pip install -r requirements.txt")
    features, labels, sizes = [], [], []
    for path, database in zip(arguments.questions, arguments.database_path, strict=True):
        with closing(open_reader(database, {})) as reader:
            questions = questions_of(load_questions([path]), reader.documents())
            features += [reader.search(each.question, 1).features for each in questions]
        labels += [each.answerable for each in questions]
        sizes.append(len(questions))
    model, confidence = fit(features, labels, arguments.answer, first=sizes[0])
    model.save(arguments.output)
    sys.stdout.write(summary(model, confidence, labels))


def fit(
    found: Sequence[ConfidenceFeatures],
    labels: Sequence[bool],
    share: float,
    first: int | None = None,
) -> "tuple[ConfidenceModel, Floats]":
    """Fit the model; also return each question's confidence by a model fitted without it.

    Args:
        found: The features of each question's search.
        labels: True for each answerable question.
        share: The share of the answerable questions to answer.
        first: Choose the threshold by the first so many questions; by default by all.

    Raises:
        DocsQAError: there are too few answerable or unanswerable questions.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def lowest(values: "Floats", kept: float) -> float:
        return float(np.quantile(values, 1 - kept, method="lower"))

    answerable = np.array(labels)
    if min(answerable.sum(), (~answerable).sum()) < FOLDS:
        raise DocsQAError(
            f"At least {FOLDS} answerable and {FOLDS} unanswerable questions are needed; add some."
        )
    features = np.array([astuple(each) for each in found])
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    unseen: Floats = cross_val_predict(
        regression, features, answerable, cv=folds, method="predict_proba"
    )[:, 1]
    regression.fit(features, answerable)
    scaler, logistic = regression[0], regression[1]
    weights = logistic.coef_[0] / scaler.scale_  # for unscaled features
    named = dict(zip(_FEATURES, map(float, weights), strict=True))
    confidence = regression.predict_proba(features)[:, 1]
    threshold = lowest(confidence[:first][answerable[:first]], share)
    model = ConfidenceModel(
        **named,
        intercept=float(logistic.intercept_[0] - weights @ scaler.mean_),
        threshold=threshold,
        call_threshold=min(threshold, lowest(confidence[answerable], MIN_SHARE_CALLED)),
    )
    return model, unseen


def summary(model: ConfidenceModel, unseen: "Floats", labels: Sequence[bool]) -> str:
    """The model and its quality on unseen questions."""
    import numpy as np
    from sklearn.metrics import brier_score_loss, roc_auc_score

    answerable = np.array(labels)
    answered = unseen >= model.threshold
    weighted = "".join(f" + {getattr(model, name):.2f} {name}" for name in _FEATURES)
    return (
        f"confidence = 1 / (1 + exp(-({model.intercept:.2f}{weighted})))\n"
        f"threshold {model.threshold:.2f}, with a language model {model.call_threshold:.2f}\n"
        f"unseen: AUROC {roc_auc_score(answerable, unseen):.3f}, "
        f"Brier {brier_score_loss(answerable, unseen):.3f}, "
        f"answers {answered[answerable].mean():.0%} of {answerable.sum()} answerable, "
        f"refuses {(~answered)[~answerable].mean():.0%} of {(~answerable).sum()} unanswerable\n"
    )


if __name__ == "__main__":
    sys.exit(main())
