"""Evaluation of an adapted model: nDCG, unseen questions, reports."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from database.adapting.evaluation import (
    GENERAL_FILE,
    Embed,
    Gain,
    Trial,
    general_trial,
    judge,
    ndcg,
    unseen_trial,
)
from database.adapting.model_card import AdaptationRecord, summarize, write_card
from database.adapting.quantization import Quantized
from database.adapting.whitening import Shortened
from tests.files.workshop import PAGES, corpus_in, write_workshop


def model(**degrees: float) -> Embed:
    """Embeds each text as a direction given in degrees."""

    def embed(texts: list[str]) -> npt.NDArray[np.float64]:
        angles = np.radians([degrees[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    return embed


TRIAL = Trial(
    name="directions",
    answers={"q": "A", "r": "B"},
    passages=[("a1", "A"), ("b1", "B"), ("a2", "A"), ("c1", "C")],
)


def test_document_ranks_by_its_best_passage() -> None:
    points = model(q=0, r=90, a1=170, b1=60, a2=10, c1=30)

    assert ndcg(TRIAL, points) == pytest.approx([1, 1])


def test_ndcg_discounts_ranks_and_ends_after_the_tenth() -> None:
    answers = {f"q{n}": f"d{n}" for n in range(12)}
    trial = Trial("places", answers, [(name, name) for name in answers.values()])
    points = model(**dict.fromkeys(answers, 0.0), **{f"d{n}": float(n) for n in range(12)})

    found = ndcg(trial, points)

    assert found[:2] == pytest.approx([1, 1 / np.log2(3)])
    assert found[9] == pytest.approx(1 / np.log2(11))
    assert found[10:].tolist() == [0, 0]


def test_gain_is_the_difference_with_a_confidence_interval() -> None:
    worse = model(q=0, r=90, a1=170, b1=10, a2=40, c1=80)
    better = model(q=0, r=90, a1=170, b1=60, a2=10, c1=30)

    gain = judge(TRIAL, worse, better)

    assert gain.general == pytest.approx(ndcg(TRIAL, worse).mean())
    assert gain.adapted == pytest.approx(1)
    assert 0 < gain.low <= gain.change <= gain.high
    assert not gain.is_excessive_loss
    assert judge(TRIAL, better, worse).is_excessive_loss


def test_unseen_questions_are_links_from_other_documents_to_held_out_ones(tmp_path: Path) -> None:
    corpus = corpus_in(write_workshop(tmp_path / "documents"))

    trial = unseen_trial(corpus, seed=1)

    assert trial
    assert set(trial.answers.values()) <= corpus.held_out
    assert {document for _, document in trial.passages} == PAGES.keys()
    assert all("People speak of" in question for question in trial.answers)


def test_link_text_equal_to_the_heading_is_not_a_question(tmp_path: Path) -> None:
    folder = write_workshop(tmp_path / "documents")
    for path in folder.iterdir():
        title = path.read_text().partition("\n")[0].removeprefix("# ")
        (folder / f"to-{path.name}").write_text(
            f"# Note\n\nWhoever wants warm hands in winter should visit [{title}]({path.name}).\n"
        )

    trial = unseen_trial(corpus_in(folder, hold_out=0.5), seed=1)

    assert trial
    asked = [question for question in trial.answers if "warm hands" in question]
    assert set(asked) == {"Whoever wants warm hands in winter should visit ."}


def test_documents_without_links_to_them_give_no_questions(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.md").write_text(f"# Page {number}\n\nText {number}.\n")

    assert unseen_trial(corpus_in(tmp_path), seed=1) is None


def test_general_questions_are_valid_and_of_other_topics() -> None:
    lines = [json.loads(line) for line in GENERAL_FILE.read_text().splitlines()]
    trial = general_trial()
    passages = [text for text, _ in trial.passages]

    assert set(Counter(line["topic"] for line in lines).values()) == {25}
    assert len(trial.answers) == len(set(passages)) == len(lines) == 200
    assert not any("SageMaker" in text for text in (*passages, *trial.answers))
    assert list(trial.answers.values()) == [document for _, document in trial.passages]
    for question, passage in zip(trial.answers, passages, strict=True):
        assert question.lower() not in passage.lower()
        assert len(passage.split()) >= 25


ABOUT = AdaptationRecord(
    base="sentence-transformers/all-MiniLM-L6-v2",
    base_revision="1b22",
    documents=30,
    corpus="ab12",
    held_out=tuple(f"page-{n}.md" for n in range(14)),
    pairs={"heading": 1200, "link": 3},
    share=1.0,
    plan={"seed": 1, "learning_rate": 0.0001},
    gains=(
        Gain("held-out documents", 40, 0.5, 0.625, 0.0312, 0.2),
        Gain("other topics", 200, 0.72, 0.7, -0.03, 0.001),
    ),
    shortened=None,
    quantized=None,
    device="cpu",
    seconds=754,
    peak_bytes=3_100_000_000,
    packages={"torch": "2.13.0"},
)


def test_report_shows_gains_and_warns_about_losses() -> None:
    report = summarize(ABOUT)

    assert "1,203 pairs (1,200 heading, 3 link) of 16 documents; 14 held out" in report
    assert "0.500    0.625  +0.125 (+0.031 to +0.200)" in report
    assert "12 min 34 s on cpu, at most 3.1 GB" in report
    assert "Warning: nDCG@10 on other topics fell by more than 0.01" in report


def test_model_card_states_base_method_and_use() -> None:
    _, head, text = write_card("mine", ABOUT).split("---\n", 2)

    assert yaml.safe_load(head) == {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
    }
    assert "| held-out documents | 40 | 0.500 | 0.625 | +0.125 (+0.031 to +0.200) |" in text
    assert "| learning rate | 0.0001 |" in text
    assert "page-11.md and 2 more" in text
    assert "licence" in text


@pytest.mark.parametrize(
    ("kept", "speed", "end"),
    [
        (True, 1.4, "OpenVINO uses it."),
        (True, 0.9, "delete the folder int8 unless another processor serves it."),
        (False, 1.4, "Not kept: it may lose at most 0.005."),
    ],
)
def test_report_states_loss_and_gain_of_int8(kept: bool, speed: float, end: str) -> None:
    quantized = Quantized(kept, "bf16", speed, 0.99312, 0.98, ABOUT.gains)
    about = replace(ABOUT, quantized=quantized)

    line = next(line for line in summarize(about).splitlines() if "int8" in line).strip()

    assert line.startswith(f"int8: {speed:.2f} times as fast as bf16 here; ")
    assert "cosine 0.993 (lowest 0.980); nDCG@10 +0.125 on held-out documents and -0.020" in line
    assert line.endswith(end)
    assert line in write_card("mine", about)
    assert "int8" not in summarize(ABOUT)


def test_report_states_the_loss_of_shorter_vectors() -> None:
    about = replace(ABOUT, shortened=Shortened(192, 384, ABOUT.gains))
    line = (
        "192 instead of 384 dimensions: nDCG@10 +0.125 on held-out documents and -0.020 on "
        "other topics."
    )

    assert line in summarize(about)
    assert line in write_card("mine", about)
    assert "Try a larger --dimension, a lower --learning_rate" in summarize(about)
    assert "Try a lower --learning_rate" in summarize(ABOUT)
    assert "instead of" not in write_card("mine", ABOUT)


def test_report_states_the_trained_share() -> None:
    halfway = replace(ABOUT, share=0.5)

    assert "Share 0.5 of the trained weights: a larger share lost more than 0.01" in summarize(
        halfway
    )
    assert "- Weights: share 0.5 of the trained weights" in write_card("mine", halfway)
    assert "of the trained weights" not in summarize(ABOUT)
