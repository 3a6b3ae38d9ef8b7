"""Fits the model of confidence to labelled questions, and writes confidence.json.

    python -m utils.evaluation.calibrate -q QUESTIONS -db INDEX [-q QUESTIONS -db INDEX ...]

Each file of questions goes with the index named beside it; all are fitted to. The threshold is the
highest at which the wanted share of the first file's answerable questions is still answered. What
is printed of unseen questions comes from models that were fitted without them.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from database.searching.confidence import MODEL_FILE, ConfidenceFeatures, ConfidenceModel
from utils.errors import DocsQAError
from utils.evaluation.configurations import open_reader
from utils.evaluation.questions import load_questions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

STRENGTH = 1.0
"""Inverse of the regularization: a few dozen unanswerable questions carry no more."""
FOLDS = 10


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
        default=0.98,
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
    """Fit and write; 1 with one line where that cannot be done."""
    arguments = _parse_arguments(argv)
    if not find_spec("sklearn"):
        sys.stderr.write("Not installed: scikit-learn. Run: pip install -r requirements.txt\n")
        return 1
    try:
        evidence, labels, sizes = [], [], []
        for questions, database in zip(arguments.questions, arguments.database_path, strict=True):
            found, wanted = gather_evidence(questions, database)
            evidence += found
            labels += wanted
            sizes.append(len(found))
        model, confidence = fit(evidence, labels, arguments.answer, first=sizes[0])
        model.save(arguments.output)
    except (DocsQAError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(summary(model, confidence, labels))
    return 0


def gather_evidence(questions: Path, database: str) -> tuple[list[ConfidenceFeatures], list[bool]]:
    """What a search finds of each question, and whether it is answerable.

    Raises:
        DocsQAError: a file or an index cannot be read.
    """
    asked = load_questions([questions])
    with closing(open_reader(database, {})) as reader:
        found = [reader.search(each.question, 1).features for each in asked]
    return found, [each.answerable for each in asked]


def fit(
    evidence: Sequence[ConfidenceFeatures],
    labels: Sequence[bool],
    share: float,
    first: int | None = None,
) -> "tuple[ConfidenceModel, Floats]":
    """Fit the model, and tell each question's confidence by a model that never saw it.

    Args:
        evidence: What a search found of each question.
        labels: Whether each is answerable.
        share: How many of the answerable ones are to be answered.
        first: The threshold looks at so many of the questions; all of them unless given.

    Raises:
        DocsQAError: there are too few questions of one sort.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wanted = np.array(labels)
    if min(wanted.sum(), (~wanted).sum()) < FOLDS:
        raise DocsQAError(f"At least {FOLDS} answerable and {FOLDS} unanswerable are needed.")
    features = np.array(
        [[each.coverage, each.topicality, each.question_length] for each in evidence]
    )
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    unseen: Floats = cross_val_predict(
        regression, features, wanted, cv=folds, method="predict_proba"
    )[:, 1]
    regression.fit(features, wanted)
    scaled, weighed = regression[0], regression[1]
    weights = weighed.coef_[0] / scaled.scale_  # of the evidence as it is, not as it was scaled
    coverage, topicality, question_length = (float(weight) for weight in weights)
    confidence = regression.predict_proba(features[:first])[wanted[:first], 1]
    model = ConfidenceModel(
        coverage=coverage,
        topicality=topicality,
        question_length=question_length,
        intercept=float(weighed.intercept_[0] - weights @ scaled.mean_),
        threshold=float(np.quantile(confidence, 1 - share, method="lower")),
    )
    return model, unseen


def summary(model: ConfidenceModel, unseen: "Floats", labels: Sequence[bool]) -> str:
    """The model, and how it does on questions that it was not fitted to."""
    import numpy as np
    from sklearn.metrics import brier_score_loss, roc_auc_score

    wanted = np.array(labels)
    answered = unseen >= model.threshold
    return (
        f"confidence = 1 / (1 + exp(-({model.intercept:.2f} + {model.coverage:.2f} coverage "
        f"+ {model.topicality:.2f} topicality + {model.question_length:.2f} question_length)))\n"
        f"answered from {model.threshold:.2f} on\n"
        f"unseen: AUROC {roc_auc_score(wanted, unseen):.3f}, "
        f"Brier {brier_score_loss(wanted, unseen):.3f}, "
        f"answers {answered[wanted].mean():.0%} of {wanted.sum()} answerable, "
        f"refuses {(~answered)[~wanted].mean():.0%} of {(~wanted).sum()} unanswerable\n"
    )


if __name__ == "__main__":
    sys.exit(main())
