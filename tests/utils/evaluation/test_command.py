"""The evaluation command, over a reader with fixed findings."""

import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from database.searching.fusion import ABLATIONS
from database.searching.passage import Findings
from tests.utils.evaluation.fixed_reader import (
    FixedReader,
    findings,
    labelled,
    outcome,
    question,
    write_questions,
)
from utils.errors import IndexMissingError
from utils.evaluation.__main__ import main
from utils.evaluation.configurations import RankingValue
from utils.evaluation.report import list_misses

if TYPE_CHECKING:
    from database.reading.reader import Reader

ENCRYPT, STOP, LOST, PRICE, WEATHER = (
    "How is an endpoint encrypted?",
    "StopTrainingJob",
    "How do I keep checkpoints?",
    "What does ml.p3.2xlarge cost?",
    "Will it rain?",
)


QUESTIONS = [
    labelled("q1", ENCRYPT, "written", ["endpoints.md"], ["KmsKeyId"]),
    labelled("q2", STOP, "identifier", ["stop.md"], ["120 seconds"]),
    labelled("q3", LOST, "written", ["spot.md", "training.md"], ["/opt/ml/checkpoints"]),
    labelled("q4", PRICE, "unanswerable", [], []),
    labelled("q5", WEATHER, "unanswerable", [], []),
]
NEARBY = tuple((f"near-{at}.md", "near") for at in range(5))
SHEET = {
    ENCRYPT: findings(("endpoints.md", "Set `KmsKeyId`."), ("other.md", "no"), confidence=0.9),
    STOP: findings(("other.md", "no"), ("stop.md", "in 120\nseconds"), confidence=0.4),
    LOST: findings(*NEARBY, ("training.md", "checkpoints"), confidence=0.7),
    PRICE: findings(("instances.md", "ml.p3.2xlarge"), confidence=0.8),
    WEATHER: findings(confidence=0.1),
}
WITHOUT = SHEET | {ENCRYPT: findings(("other.md", "no"), confidence=0.2)}
DOCUMENTS = {"endpoints.md", "stop.md", "spot.md", "training.md"}


class Indexes:
    """Opens fixed readers and records the arguments."""

    def __init__(self, documents: set[str] = DOCUMENTS) -> None:
        self.documents = documents
        self.opened: list[tuple[str | None, Mapping[str, RankingValue], FixedReader]] = []

    def __call__(self, database: str | None, ranking: Mapping[str, RankingValue]) -> "Reader":
        sheet: dict[str, Findings] = WITHOUT if ranking else SHEET
        reader = FixedReader(sheet, self.documents)
        self.opened.append((database, ranking, reader))
        return reader.as_reader()


@pytest.fixture
def questions(tmp_path: Path) -> str:
    return write_questions(tmp_path, QUESTIONS)


def row(printed: str, metric: str) -> list[str]:
    """The cells after a metric's name, in the first table that has it."""
    lines = (line for line in printed.splitlines() if line.startswith(f"{metric} "))
    return next(lines).removeprefix(metric).split()


def test_table_has_all_questions_and_each_kind(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    indexes = Indexes()

    assert main(["-q", questions, "-db", "/some/index"], indexes) == 0

    printed, warned = capsys.readouterr()
    header = next(line for line in printed.splitlines() if "all " in line)
    interval = ["0.000", "to", "1.000"]
    assert header.split() == ["all", "95%", "interval", "written", "identifier", "unanswerable"]
    assert row(printed, "questions") == ["5", "2", "1", "2"]
    assert row(printed, "hit@5") == ["0.667", *interval, "0.500", "1.000", "-"]
    assert row(printed, "facts@8") == ["0.667", *interval, "0.500", "1.000", "-"]
    assert row(printed, "answerable answered") == ["0.667", *interval, "1.000", "0.000", "-"]
    assert row(printed, "unanswerable refused") == ["0.500", *interval, "-", "-", "0.500"]
    # Of the 6 pairs 0.9 is above both, 0.7 and 0.4 above one.
    assert row(printed, "AUROC") == ["0.667", *interval, "-", "-", "-"]
    assert float(row(printed, "p50 ms")[0]) >= 0
    assert warned == "shipped: 5 questions ...\n"
    database, ranking, reader = indexes.opened[0]
    assert (database, dict(ranking), reader.closed) == ("/some/index", {}, True)


def test_latency_is_measured_in_a_second_pass_with_the_service_s_top_k(questions: str) -> None:
    indexes = Indexes()

    main(["-q", questions], indexes)

    asked = [each["question"] for each in QUESTIONS]
    reader = indexes.opened[0][2]
    assert reader.asked == [(each, 60) for each in asked] + [(each, 8) for each in asked]


def test_misses_are_listed_with_the_documents_found(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-q", questions], Indexes())

    printed = capsys.readouterr().out
    lost, answered, refused = printed[printed.index("No right document") :].split("\n\n  q")[1:]
    assert "No right document among the first 5: 1 of 3" in printed
    assert LOST in lost
    assert "right: spot.md (not found), training.md (place 6)" in lost
    assert lost.count("found: ") == 3
    assert "found: 1.000 near-0.md - Guide > near-0.md" in lost
    assert "Answered although unanswerable: 1 of 2" in printed
    assert PRICE in answered
    assert "found: 1.000 instances.md" in answered
    assert "Refused although answerable: 1 of 3" in printed
    assert STOP in refused
    assert "right: stop.md (place 2)" in refused


def test_number_of_misses_follows_the_option(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [outcome(question(str(at)), "x.md") for at in range(3)]

    listed = list_misses(outcomes, 2)
    main(["-q", questions, "--misses", "0"], Indexes())

    assert "No right document among the first 5: 3 of 3, 2 shown" in listed
    assert listed.count("right: a.md (not found)") == 2
    assert "No right document" not in capsys.readouterr().out


def test_comparison_reports_differences_between_configurations(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = next(iter(ABLATIONS.values()))
    written = ",".join(f"{key}={value}" for key, value in changed.items())
    compared = ["shipped", f"without:{written}", "other:database=theirs"]
    indexes = Indexes()

    assert main(["-q", questions, "-db", "http://mine", "--compare", *compared], indexes) == 0

    opened = [(place, changes) for place, changes, _ in indexes.opened]
    assert opened == [("http://mine", {}), ("http://mine", changed), ("theirs", {})]
    blocks = capsys.readouterr().out.split("\n\n")
    block = next(each for each in blocks if "difference" in each and "without" in each)
    assert row(block, "hit@5")[:3] == ["0.667", "0.333", "-0.333"]
    assert "real" not in block  # three questions are too few for significance
    assert row(blocks[-2], "without")[0] == "0.333"


def test_ablation_is_a_markdown_table(questions: str, tmp_path: Path) -> None:
    indexes, output = Indexes(), tmp_path / "new" / "figures.md"

    assert main(["-q", questions, "--ablate", "-o", str(output)], indexes) == 0

    assert [changes for _, changes, _ in indexes.opened] == [{}, *ABLATIONS.values()]
    lines = output.read_text().partition("## Comparison\n\n")[2].splitlines()
    assert lines[0] == "|  | hit@5 | nDCG@10 | facts@8 | AUROC | p50 ms |"
    assert lines[1] == "| --- " * 6 + "|"
    table = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert table == ["shipped", *ABLATIONS]


def test_report_states_command_commit_and_machine_without_paths(
    questions: str, tmp_path: Path
) -> None:
    index, output = tmp_path / "index", tmp_path / "figures.md"

    assert main(["-q", questions, "-db", str(index), "-o", str(output)], Indexes()) == 0

    text = output.read_text()
    command = "python -m utils.evaluation -q questions.jsonl -db index -o figures.md"
    assert f"Written by `{command}`" in text
    assert re.search(r"^- 20\d\d-\d\d-\d\dT\S+, commit \S+$", text, re.MULTILINE)
    assert re.search(r"^- .+, \d+ cores, ", text, re.MULTILINE)
    assert "5 questions: questions.jsonl." in text
    assert "| hit@5 | 0.667 | 0.000 to 1.000 | 0.500 | 1.000 | - |" in text
    assert str(tmp_path) not in text
    assert socket.gethostname() not in text


def test_questions_about_documents_that_the_index_lacks_are_left_out(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-q", questions], Indexes(documents={"endpoints.md"})) == 0
    assert "questions about documents that the index lacks are left out" in capsys.readouterr().err

    assert main(["-q", questions], Indexes(documents={"other.md"})) == 1
    assert "none of the documents that the questions name" in capsys.readouterr().err


def error_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The single error line of a failing command."""
    assert main(arguments, Indexes()) == 1
    printed, message = capsys.readouterr()
    assert printed == ""
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": " "}, "question: must be a string"),
        ({"gold_docs": "a.md"}, "gold_docs: must be a list"),
        ({"gold_docs": []}, "gold_docs: an answerable question needs some"),
        ({"gold_docs": ["a.md", "a.md"]}, "gold_docs: contains a duplicate"),
        ({"answer_facts": [3]}, "answer_facts: must be a list"),
        ({"answerable": "yes"}, "answerable: must be true or false"),
        ({"kind": "unanswerable"}, "answerable: contradicts the kind"),
        ({"kind": "odd"}, "kind: must be one of real, written"),
        ({"id": "q2"}, "id: q2 is already used at"),
    ],
)
def test_invalid_question_is_an_error_with_line_and_field(
    change: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_questions(tmp_path, [QUESTIONS[1], QUESTIONS[0] | change])

    assert f"{path}, line 3: {message}" in error_line(["-q", path], capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "questions.jsonl (No such file"),
        (f"{json.dumps(QUESTIONS[0])}\n{{'id': 1}}\n", "line 2: not JSON"),
        ("[]", "line 1: not a JSON object"),
        ("\n", "contains no question"),
    ],
)
def test_unusable_file_of_questions_is_a_one_line_error(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "questions.jsonl"
    if text is not None:
        path.write_text(text)

    assert message in error_line(["-q", str(path)], capsys)


def test_unknown_key_is_an_error_before_measuring(
    questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = error_line(["-q", questions, "--compare", "shipped", "no_such=0"], capsys)

    assert "no such key 'no_such'; the keys are " in message


def test_missing_index_is_an_error(questions: str, capsys: pytest.CaptureFixture[str]) -> None:
    def no_index(database: str | None, ranking: Mapping[str, RankingValue]) -> "Reader":
        raise IndexMissingError("No index at nowhere.")

    assert main(["-q", questions], no_index) == 1
    assert capsys.readouterr().err.endswith("No index at nowhere.\n")
