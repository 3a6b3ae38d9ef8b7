"""A reply that repeats the instructions is noticed, in any pieces and form; an answer is none."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from inference_worker.generation.leak_detector import MAX_REPEATED_WORDS, LeakDetector
from inference_worker.generation.prompt import write_instructions
from utils.errors import GenerationError
from utils.evaluation.answers import read_replies

INSTRUCTIONS = write_instructions("Amazon SageMaker", "the AWS documentation of Amazon SageMaker")
REPLIES = Path(__file__).parents[3] / "utils" / "evaluation" / "replies"


def leaks(*pieces: str) -> bool:
    detector = LeakDetector(INSTRUCTIONS)
    try:
        assert all(detector.checked(piece) == piece for piece in pieces)
    except GenerationError:
        return True
    return False


SENTENCES = [each for each in re.split(r"(?<=\.)\s+", INSTRUCTIONS) if len(each.split()) > 13]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_any_long_sentence_of_the_instructions_is_a_leak(sentence: str) -> None:
    for text in (f"Sure: {sentence} So.", sentence.upper() + " ", sentence.replace(" ", "\n> **")):
        assert leaks(text)
        assert leaks(*text)


def test_leak_is_noticed_before_more_than_its_first_words_are_passed_on() -> None:
    detector, passed = LeakDetector(INSTRUCTIONS), ""
    with suppress(GenerationError):
        for word in re.findall(r"\s*\S+", INSTRUCTIONS):
            passed += detector.checked(word)
    assert len(passed.split()) <= MAX_REPEATED_WORDS + 1


def test_a_few_words_in_common_are_no_leak() -> None:
    assert not leaks(
        "If the passages do not answer the question, say so. The passages state: 5 GB."
    )


@pytest.mark.parametrize("name", ["api_sample.jsonl", "guide.jsonl"])
def test_no_recorded_reply_is_taken_for_a_leak(name: str) -> None:
    replies = read_replies(REPLIES / name)
    assert not [each for each in replies if any(leaks(call["reply"]) for call in replies[each])]
