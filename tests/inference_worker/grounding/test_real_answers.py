"""Answers made of sentences of the real guide are supported; altered ones are not."""

import random
import re
from itertools import islice
from pathlib import Path

import pytest

from database.searching.passage import Passage
from dataset.folder import scan_files
from dataset.sentences import sentences
from dataset.splitting import ChunkSize, split_document
from inference_worker.grounding.check import ground
from inference_worker.quoting.blocks import extract_blocks

ANSWERS = 300
_NUMBER = re.compile(r"(?<![\w.,\[-])\d{2,}(?![\w\].-])(?![.,]\d)")
_NAME = re.compile(r"\b(?!SageMaker)(?:[A-Z][a-z]+){2,}\b|\b[A-Za-z]+_\w+\b")

Sample = tuple[list[Passage], list[tuple[str, int]]]
"""Passages, and the sentences of an answer, each with the number of its passage."""


def whole_sentences(passage: Passage) -> list[str]:
    blocks = (block.text for block in extract_blocks([passage]) if not block.lead)
    found = (sentence for text in blocks for sentence in sentences(text))
    whole = re.compile(r"[A-Z][^\n\[]{20,}[.!]")
    return [text for text in found if whole.fullmatch(text) and text in passage.text]


@pytest.fixture(scope="module")
def answers(developer_guide: Path) -> list[Sample]:
    chance = random.Random(3)
    size = ChunkSize(200, 0)
    passages = [
        Passage(chunk, chunk.text, score=0.5)
        for file in islice(scan_files(developer_guide, print), 0, None, 8)
        for chunk in split_document(file.read(), size, lambda text: len(text.split()))
    ]
    samples: list[Sample] = []
    while len(samples) < ANSWERS:
        found = chance.sample(passages, 8)
        cited = [(text, at) for at, each in enumerate(found, 1) for text in whole_sentences(each)]
        if len(cited) >= 4:
            samples.append((found, chance.sample(cited, 4)))
    return samples


def test_verbatim_sentences_are_supported(answers: list[Sample]) -> None:
    alarms = 0
    for passages, cited in answers:
        found = ground(" ".join(f"{text} [{number}]" for text, number in cited), passages)
        assert [each.number for each in found.citations] == [number for _, number in cited]
        assert all(each.quote in passages[each.number - 1].text for each in found.citations)
        alarms += bool(found.unsupported or found.misplaced or found.uncited_sentences)
    assert alarms <= ANSWERS // 100


@pytest.mark.parametrize(("pattern", "least"), [(_NUMBER, 0.9), (_NAME, 0.95)])
def test_a_changed_digit_or_suffix_is_reported(
    answers: list[Sample], pattern: re.Pattern[str], least: float
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


def test_a_citation_of_another_passage_is_reported(answers: list[Sample]) -> None:
    caught = []
    for passages, cited in answers:
        for text, number in cited:
            if _NAME.search(text):
                caught.append(bool(ground(f"{text} [{number % 8 + 1}]", passages).misplaced))
    assert sum(caught) >= 0.9 * len(caught)
