"""Answers made of sentences of the real guide are supported; altered ones are not."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.searching.passage import Passage
from dataset.folder import load_documents
from dataset.sentences import sentences
from dataset.splitting import ChunkSize, split_document
from inference_worker.grounding.check import ground
from inference_worker.quoting.quotable import quotable

ANSWERS = 300
_NUMBER = re.compile(r"(?<![\w.,\[-])\d{2,}(?![\w\].-])(?![.,]\d)")
_NAME = re.compile(r"\b(?!SageMaker)(?:[A-Z][a-z]+){2,}\b|\b[A-Za-z]+_\w+\b")

Cited = tuple[str, int]
"""A sentence, and the number of its passage."""


def whole_sentences(passage: Passage) -> list[str]:
    quotes = (quote.text for quote in quotable(passage.text).quotes if not quote.pointer)
    return [text for text in quotes if not re.search(r"[\n\[]", text) and len(sentences(text)) == 1]


@pytest.fixture(scope="module")
def answers(developer_guide: Path) -> list[tuple[list[Passage], list[Cited]]]:
    return list(sample_answers(developer_guide))


def sample_answers(folder: Path) -> Iterator[tuple[list[Passage], list[Cited]]]:
    chance = random.Random(3)
    size = ChunkSize(200, 0)
    passages = [
        Passage(chunk, chunk.text, score=0.5)
        for number, document in enumerate(load_documents(folder, print))
        if number % 8 == 0
        for chunk in split_document(document, size, lambda text: len(text.split()))
    ]
    made = 0
    while made < ANSWERS:
        found = chance.sample(passages, 8)
        cited = [(text, at) for at, each in enumerate(found, 1) for text in whole_sentences(each)]
        if len(cited) >= 4:
            made += 1
            yield found, chance.sample(cited, 4)


def test_verbatim_sentences_are_supported(
    answers: list[tuple[list[Passage], list[Cited]]],
) -> None:
    alarms = 0
    for passages, cited in answers:
        found = ground(" ".join(f"{text} [{number}]" for text, number in cited), passages)
        assert [each.number for each in found.citations] == [number for _, number in cited]
        assert all(each.quote in passages[each.number - 1].text for each in found.citations)
        alarms += bool(found.unsupported or found.misplaced or found.uncited_sentences)
    assert alarms <= ANSWERS // 100


@pytest.mark.parametrize(("pattern", "least"), [(_NUMBER, 0.9), (_NAME, 0.95)])
def test_a_changed_digit_or_suffix_is_reported(
    answers: list[tuple[list[Passage], list[Cited]]], pattern: re.Pattern[str], least: float
) -> None:
    caught = []
    for passages, cited in answers:
        for text, number in cited:
            if not (found := pattern.search(text)):
                continue
            end = found.end()
            other = f"{(int(text[end - 1]) + 3) % 10}" if text[end - 1].isdigit() else "xs"
            changed = f"{text[: end - 1]}{other}{text[end:]} [{number}]"
            missing = ground(changed, passages).unsupported
            caught.append(any(each.start < end and each.end > found.start() for each in missing))
    assert len(caught) > 10
    assert sum(caught) >= least * len(caught)


def test_a_citation_of_another_passage_is_reported(
    answers: list[tuple[list[Passage], list[Cited]]],
) -> None:
    caught = []
    for passages, cited in answers:
        for text, number in cited:
            if _NAME.search(text):
                caught.append(bool(ground(f"{text} [{number % 8 + 1}]", passages).misplaced))
    assert sum(caught) >= 0.9 * len(caught)
