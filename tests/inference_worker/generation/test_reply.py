"""Requests for searches and reports of coverage are recognised, however a reply is cut."""

import random

import pytest

from inference_worker.generation.reasoning import ReasoningFilter
from inference_worker.generation.reply import MAX_QUERY_CHARACTERS, ReplyParser
from tests.stopwatch import assert_linear_time


def parsed(*pieces: str) -> tuple[str, str | None, list[str]]:
    """The text, the coverage and the queries of a reply in pieces."""
    reply = ReplyParser()
    text = "".join([*map(reply.feed, pieces), reply.finish()])
    return text, reply.coverage, reply.queries


REQUESTS = {
    "SEARCH: kiln volume | KilnBed size": ["kiln volume", "KilnBed size"],
    "SEARCH: kiln volume": ["kiln volume"],
    '\n **SEARCH:** `kiln volume` | "KilnBed"\n': ["kiln volume", "KilnBed"],
    "SEARCH : one|one| |two|three": ["one", "two"],
    "SEARCH:\none | two\nBecause I need more.": ["one", "two"],
    "SEARCH: one\n\nThe passages say nothing [1].\nCOVERAGE: none": ["one"],
    f"SEARCH: {'x' * 2000}": ["x" * MAX_QUERY_CHARACTERS],
    "SEARCH:": [],
}


@pytest.mark.parametrize(("reply", "queries"), REQUESTS.items())
def test_a_request_is_not_text(reply: str, queries: list[str]) -> None:
    assert parsed(reply) == parsed(*reply) == ("", None, queries)


ANSWERS: dict[str, tuple[str, str | None]] = {
    "Set it [1].\nCOVERAGE: full": ("Set it [1].\n", "full"),
    "Set it [1]. COVERAGE: partial.": ("Set it [1]. ", "partial"),
    "Set it [1].\n\n**Coverage:** none\n": ("Set it [1].\n\n\n", "none"),
    "Set it [1].\n(COVERAGE: FULL)": ("Set it [1].\n", "full"),
    "COVERAGE: none": ("", "none"),
    "Set it [1].\nCOVERAGE: partial - the size is missing\nB.": ("Set it [1].\n\nB.", "partial"),
    "A.\nCOVERAGE: partial\nB.\nCOVERAGE: full": ("A.\n\nB.\n", "full"),
    "The coverage: full insurance": ("The coverage: full insurance", None),
    "DISCOVERAGE: full": ("DISCOVERAGE: full", None),
    "COVERAGE: fully": ("COVERAGE: fully", None),
    "COVERAGE of fire": ("COVERAGE of fire", None),
    "Search: use `Search` [1].": ("Search: use `Search` [1].", None),
    "SEARCHING is slow [1]. S": ("SEARCHING is slow [1]. S", None),
    "S": ("S", None),
    "It does not say.\nSEARCH: a | b": ("It does not say.\n", None),
    "It does not say.\nSEARCH: a | b\nSorry.": ("It does not say.\nSorry.", None),
    "Call SEARCH: it finds": ("Call SEARCH: it finds", None),
    "": ("", None),
}


@pytest.mark.parametrize(("reply", "expected"), ANSWERS.items())
def test_an_answer_is_text_without_its_coverage(
    reply: str, expected: tuple[str, str | None]
) -> None:
    assert parsed(reply) == (*expected, [])
    assert parsed(*reply) == (*expected, [])
    for at in range(len(reply)):
        assert parsed(reply[:at], reply[at:]) == (*expected, [])


def test_the_result_does_not_depend_on_the_pieces() -> None:
    chance = random.Random(5)
    parts = ["SEARCH", "COVERAGE", "Coverage", ":", " ", "\n", "**", "full", "none", "a", "|", "["]
    for _ in range(3000):
        text = "".join(chance.choices(parts, k=chance.randint(1, 14)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=3))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert parsed(text) == parsed(*pieces) == parsed(*text), text


def test_an_answer_is_emitted_at_once() -> None:
    reply = ReplyParser()
    assert reply.feed("The") == "The"
    assert reply.feed(" volume is large") == " volume is large"
    assert [reply.feed(piece) for piece in (" c", "an")] == [" ", "can"]


@pytest.mark.parametrize("unit", ["SEARCH", "COVERAGE: ", "c", "*", "\nSEARCH:", " COVERAGE", " "])
def test_hostile_replies_take_linear_time(unit: str) -> None:
    assert_linear_time(
        lambda text: parsed(*(text[at : at + 5] for at in range(0, len(text), 5))), unit
    )


def without_reasoning(*pieces: str) -> str:
    reasoning = ReasoningFilter()
    return "".join([*map(reasoning.feed, pieces), reasoning.finish()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>Hm.</think>Yes [1].", "Yes [1]."),
        ("<think>\nHm <b>.\n</think>\n\nYes.", "\n\nYes."),
        ("A<think>b</think>c<think>d</think>", "Ac"),
        ("<think>It is cut off", ""),
        ("<thin", "<thin"),
        ("a < b <think", "a < b <think"),
        ("<think></think>", ""),
        ("</think>Yes", "</think>Yes"),
        ("<<think>x</think>y", "<y"),
    ],
)
def test_reasoning_is_removed(text: str, expected: str) -> None:
    assert without_reasoning(text) == expected
    assert without_reasoning(*text) == expected
