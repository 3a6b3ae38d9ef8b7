"""Measuring written answers, by replies recorded for fixed passages."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer
from tests.utils.evaluation.fixed_reader import (
    FixedReader,
    findings,
    labelled,
    question,
    write_questions,
)
from utils.evaluation import answers
from utils.evaluation.__main__ import main
from utils.evaluation.answers import (
    AnswerOutcome,
    Replies,
    answer_questions,
    digest,
    figures,
    read_replies,
    write_replies,
)

KEY, SIZE, RAIN = (
    question("key", facts=["KmsKeyId"]),
    question("size", facts=["5 GB", "10 GB"]),
    question("rain", gold=(), kind="unanswerable"),
)
SHEET = {
    KEY.question: findings(("a.md", "Set `KmsKeyId`."), confidence=0.9),
    SIZE.question: findings(("b.md", "At least 5 GB."), confidence=0.9),
    RAIN.question: findings(("b.md", "At least 5 GB."), confidence=0.5),
    "largest size": findings(("c.md", "At most 10 GB."), confidence=0.9),
}


def recorded(replies: Mapping[str, list[str]], prompt: str = "") -> Replies:
    return {
        id_: [{"prompt": prompt, "reply": reply} for reply in calls]
        for id_, calls in replies.items()
    }


REPLIES = recorded(
    {
        "key": ["Set `KmsKeyId` [1].\nCOVERAGE: full"],
        "size": [
            "SEARCH: largest size",
            "At least 5 GB [1]. Every volume is encrypted by default.\nCOVERAGE: partial",
        ],
        "rain": ["The passages do not say.\nCOVERAGE: none"],
    }
)


def measured(replies: Replies = REPLIES) -> list[AnswerOutcome]:
    reader = FixedReader(SHEET).as_reader()
    return asyncio.run(answer_questions(reader, [KEY, SIZE, RAIN], replies))


def table(outcomes: list[AnswerOutcome]) -> dict[str, list[str]]:
    return {name: columns for name, *columns in figures(outcomes)}


def test_figures_are_of_both_rounds() -> None:
    found = table(measured())

    assert found["questions"] == ["2", "1"]
    assert found["facts in the passages given"] == ["1.000", "-"]
    assert found["facts in the answer"] == ["0.667", "-"]
    assert found["answers with every fact"] == ["0.500", "-"]
    assert found["coverage partial"] == ["0.500", "0.000"]
    assert found["coverage none"] == ["0.000", "1.000"]
    assert found["calls"] == ["1.50", "1.00"]
    assert found["searches"] == ["1.50", "1.00"]
    assert found["citations per sentence"] == ["0.67", "0.00"]
    assert found["uncited sentences"] == ["0.50", "0.00"]
    assert float(found["prompt tokens"][0]) > float(found["prompt tokens"][1])


def test_question_without_a_reply_counts_as_degraded() -> None:
    found = table(measured(REPLIES | recorded({"size": ["SEARCH: largest size"]})))
    assert found["degraded"] == ["0.500", "0.000"]
    assert found["facts in the answer"] == ["0.667", "-"]  # quoted


def test_question_refused_by_the_search_is_counted() -> None:
    sheet = SHEET | {RAIN.question: findings(("b.md", "At least 5 GB."), confidence=0.1)}
    outcomes = asyncio.run(answer_questions(FixedReader(sheet).as_reader(), [RAIN], REPLIES))
    assert table(outcomes)["refused without a call"] == ["-", "1.000"]


def test_changed_prompts_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = measured()
    assert "3 of 3 questions have another prompt" in capsys.readouterr().err

    write_replies(tmp_path / "replies.jsonl", outcomes)
    again = measured(read_replies(tmp_path / "replies.jsonl"))

    assert capsys.readouterr().err == ""
    assert [each.answer.text for each in again] == [each.answer.text for each in outcomes]
    assert [len(each.calls) for each in again] == [1, 2, 1]
    assert digest(again[0].calls[0][0]) == digest(outcomes[0].calls[0][0])


def replay(path: Path, text: str) -> int:
    """Replay a file with this text; returns the command's exit status."""
    path.write_text(text)
    asked = labelled("key", "Which?", "written", ["a.md"], [])
    return main(["answers", "-q", write_questions(path.parent, [asked]), "--replay", str(path)])


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "a"}'])
def test_invalid_replies_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "replies.jsonl"
    assert replay(path, text) == 1
    assert capsys.readouterr().err.startswith(f"Cannot read the replies {path} (")


@pytest.mark.parametrize("text", ["", '{"made": "by hand"}\n'])
def test_replies_to_other_questions_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "replies.jsonl"
    assert replay(path, text) == 1
    assert capsys.readouterr().err == f"{path} has no replies to these questions.\n"


def test_missing_key_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FixedReader(SHEET, {"api-reference/CreateEndpointConfig.md"})
    monkeypatch.setattr(answers, "open_reader", lambda *_: index)
    assert main(["answers"]) == 1
    assert capsys.readouterr().err == (
        "No language model: set MISTRAL_API_KEY, or replay with --replay FILE.\n"
    )


@pytest.mark.process
def test_replies_of_the_language_model_are_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = labelled("key", KEY.question, "written", ["a.md"], ["KmsKeyId"])
    replies, report = tmp_path / "replies.jsonl", tmp_path / "report.md"
    monkeypatch.setattr(answers, "open_reader", lambda *_: FixedReader(SHEET, {"a.md"}))
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    with MistralServer() as server:
        monkeypatch.setenv("MISTRAL_BASE_URL", server.url)
        server.default = answer("Set `KmsKeyId` [1].\nCOVERAGE: full")
        arguments = ["-q", write_questions(tmp_path, [asked]), "--record", str(replies)]
        assert main(["answers", *arguments, "-o", str(report)]) == 0

    assert "answers with every fact" in capsys.readouterr().out
    assert "| coverage full | 1.000 |" in report.read_text()
    assert read_replies(replies)["key"][0]["reply"].startswith("Set `KmsKeyId`")
