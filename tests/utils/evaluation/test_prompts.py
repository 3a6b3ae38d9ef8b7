"""The report of prompts, over a small real index."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import open_store
from database.reading.reader import Reader
from dataset.markdown.writer import fenced_code
from tests.database.served_index import served_index
from tests.files.pages import WordEmbeddings
from utils.errors import IndexMissingError
from utils.evaluation.configurations import RankingValue
from utils.evaluation.prompts import choose_questions, main, prompt_all
from utils.evaluation.questions import LabelledQuestion
from utils.settings import Settings

ENCRYPT = "Set KmsKeyId in the endpoint | configuration"
WEATHER = "Will it rain tomorrow in Lisbon?"
LABELLED = [
    {
        "id": "q1",
        "question": ENCRYPT,
        "gold_docs": ["endpoints.md"],
        "answer_facts": ["kmskeyid in the ENDPOINT configuration", "24 hours"],
        "answerable": True,
        "kind": "written",
    },
    {
        "id": "q2",
        "question": WEATHER,
        "gold_docs": [],
        "answer_facts": [],
        "answerable": False,
        "kind": "unanswerable",
    },
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in LABELLED))
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_index(tmp_path_factory.mktemp("prompts")) as address:
        yield address


def open_index(database: str | None, ranking: Mapping[str, RankingValue]) -> Reader:
    assert database
    return Reader(lambda: open_store(database), lambda _: WordEmbeddings(), "the store")


def cells(report: str, start: str) -> list[str]:
    line = next(line for line in report.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]


def test_report_shows_each_prompt_and_its_statistics(
    questions: Path, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "prompts.md"

    status = main(["-q", str(questions), "-db", index, "-o", str(output)], open_index)

    report = output.read_text()
    assert status == 0
    at, question, kind, passages, tokens, facts, decision, gold = cells(report, "| 1 |")
    assert (at, kind, facts, gold) == ("1", "written", "1 / 2", "found")
    assert question == ENCRYPT.replace("|", "/")
    assert int(passages) >= 2
    assert int(tokens) > 300
    assert decision.startswith("sent (")
    assert cells(report, "| 2 |")[5:] == ["-", "not sent (0.01)", "-"]
    assert f"<question>\n{ENCRYPT}\n</question>" in report
    assert report.count("You answer questions about Amazon SageMaker from passages") == 2
    assert "[1] endpoints.md\nWork with endpoints\n\n" in report
    assert cells(report, "| all |")[5:] == ["1 / 2", "1 / 1", "2 / 2"]
    assert cells(report, "| unanswerable |")[5:] == ["-", "-", "1 / 1"]
    printed = capsys.readouterr().out
    assert printed.strip() in report
    assert "| all | 2 |" in printed


def test_only_passages_within_the_budget_are_in_the_prompt_and_counted(index: str) -> None:
    spot = LabelledQuestion(
        "q", "Save checkpoints", ("notebooks.md",), ("Jupyter",), True, "keyword"
    )
    roomy = Settings(prompt_max_tokens=6000)
    narrow = roomy.model_copy(update={"prompt_max_tokens": 1})
    with closing(open_index(index, {})) as reader:
        (whole,) = prompt_all(reader, [spot], roomy)
        (cut,) = prompt_all(reader, [spot], narrow)

    assert (len(whole.documents), whole.facts_found, whole.has_gold) == (3, 1, True)
    assert (len(cut.documents), cut.facts_found, cut.has_gold) == (1, 0, False)
    assert "Jupyter" not in cut.messages["human"]
    assert cut.tokens < whole.tokens


def test_missing_index_and_questions_are_one_line_errors(
    questions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(database: str | None, ranking: Mapping[str, RankingValue]) -> Reader:
        raise IndexMissingError("No index.")

    output = tmp_path / "prompts.md"
    assert main(["-q", str(questions), "-o", str(output)], missing) == 1
    assert main(["-q", str(tmp_path / "none.jsonl")], missing) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not output.exists()


def labelled(id_: str, kind: str) -> LabelledQuestion:
    answerable = kind != "unanswerable"
    return LabelledQuestion(id_, "How?", ("a.md",) if answerable else (), (), answerable, kind)


def test_questions_are_sampled_evenly_from_each_kind() -> None:
    written = [labelled(f"w{at}", "written") for at in range(10)]
    real = [labelled(f"r{at}", "real") for at in range(2)]
    none = [labelled(f"n{at}", "unanswerable") for at in range(10)]

    chosen = [each.id for each in choose_questions([*written, *real, *none], 10)]

    assert chosen == ["r0", "r1", "w0", "w2", "w5", "w7", "n0", "n2", "n5", "n7"]
    assert len(choose_questions(written, 99)) == 10


def test_code_fence_is_longer_than_any_in_the_text() -> None:
    assert fenced_code("plain", "text") == "```text\nplain\n```"
    assert fenced_code("a\n````\nb", "text").splitlines()[0] == "`````text"
