"""Requests for searches and reports of coverage are recognised, however a reply is cut."""

import random

import pytest

from inference_worker.generation.reasoning import ReasoningFilter
from inference_worker.generation.reply import MAX_QUERY_CHARACTERS, ReplyParser
from tests.stopwatch import assert_linear_time


def parsed(*pieces: str, may_search: bool = True) -> tuple[str, str | None, list[str]]:
    """The text, the coverage and the queries of a reply in pieces."""
    reply = ReplyParser(may_search=may_search)
    text = "".join([*map(reply.feed, pieces), reply.finish()])
    assert reply.is_request or not reply.queries
    return text, reply.coverage, reply.queries


def check(reply: str, text: str, coverage: str | None, queries: list[str]) -> None:
    """The result does not depend on how the reply is cut."""
    assert parsed(reply) == (text, coverage, queries)
    assert parsed(*reply) == (text, coverage, queries)
    for at in range(len(reply)):
        assert parsed(reply[:at], reply[at:]) == (text, coverage, queries)


REQUESTS = {
    "SEARCH: kiln volume | KilnBed size": ["kiln volume", "KilnBed size"],
    "SEARCH: kiln volume": ["kiln volume"],
    '\n **SEARCH:** `kiln volume` | "KilnBed"\n': ["kiln volume", "KilnBed"],
    "SEARCH : one|one| |two|three": ["one", "two"],
    "SEARCH\uff1a one | two": ["one", "two"],
    "- SEARCH: one": ["one"],
    "> SEARCH: one": ["one"],
    "[SEARCH: one | two]": ["one", "two"],
    "```\nSEARCH: one\n```": ["one"],
    "```text\nSEARCH: one | two\n```\n": ["one", "two"],
    "SEARCH:\none | two\nBecause I need more.": ["one", "two"],
    "SEARCH:\n- one\n- two\n": ["one", "two"],
    "SEARCH: one\n\nThe passages say nothing [1].\nCOVERAGE: none": ["one"],
    "SEARCH: a\ud83d\u200b\x00b": ["ab"],
    f"SEARCH: {'x' * 900}": ["x" * MAX_QUERY_CHARACTERS],
    "SEARCH:": [],
}


@pytest.mark.parametrize(("reply", "queries"), REQUESTS.items())
def test_a_request_is_not_text(reply: str, queries: list[str]) -> None:
    check(reply, "", None, queries)


ANSWERS: dict[str, tuple[str, str | None]] = {
    "Set it [1].\nCOVERAGE: full": ("Set it [1].\n", "full"),
    "Set it [1]. COVERAGE: partial.": ("Set it [1]. ", "partial"),
    "Set it [1].COVERAGE: full": ("Set it [1].", "full"),
    "[2]\u3002COVERAGE\uff1afull": ("[2]\u3002", "full"),
    "Set it [1].\n\n**Coverage:** none\n": ("Set it [1].\n\n", "none"),
    "Set it [1].\n(COVERAGE: FULL)": ("Set it [1].\n", "full"),
    "Set it [1].\n_COVERAGE: full_": ("Set it [1].\n", "full"),
    "Set it [1].\nCOVERAGE: **full**": ("Set it [1].\n", "full"),
    "Set it [1].\n```\nCOVERAGE: full\n```": ("Set it [1].\n", "full"),
    "Set it:\n```\na\n```\nCOVERAGE: full": ("Set it:\n```\na\n```\n", "full"),
    "Set it:\n```\na\n```\n```\nCOVERAGE: full\n```": ("Set it:\n```\na\n```\n", "full"),
    "Set it [1].\n### Coverage: fully\n```": ("Set it [1].\n", "full"),
    'Set it [1].\n> COVERAGE: "partial"': ("Set it [1].\n", "partial"),
    "Set it [1].\nCoverage: partial - it lacks the size.": ("Set it [1].\n", "partial"),
    "Set it [1]. COVERAGE: partial (it lacks the size)": ("Set it [1]. ", "partial"),
    "COVERAGE: none": ("", "none"),
    "COVERAGE: full\n\nSet it [1].": ("Set it [1].", "full"),
    "COVERAGE: full - Set it [1].": ("Set it [1].", "full"),
    "A.\nCOVERAGE: partial\nIt lacks B.": ("A.\nIt lacks B.", "partial"),
    "A.\nCOVERAGE: partial\nB.\nCOVERAGE: full": ("A.\nB.\n", "full"),
    # Cut off at the token limit.
    "Set it [1]. COVER": ("Set it [1]. ", None),
    "Set it [1].\nCOVERAGE: ful": ("Set it [1].\n", None),
    # Text.
    "The coverage: full insurance": ("The coverage: full insurance", None),
    "Coverage: none of the kilns [1].": ("Coverage: none of the kilns [1].", None),
    "**Coverage:** Partial plots show it [1].": ("**Coverage:** Partial plots show it [1].", None),
    "It prints `COVERAGE: full` then": ("It prints `COVERAGE: full` then", None),
    "| COVERAGE: full | yes |\n|---|": ("| COVERAGE: full | yes |\n|---|", None),
    "```yaml\ncoverage: none\n```\nSo [1].": ("```yaml\ncoverage: none\n```\nSo [1].", None),
    "DISCOVERAGE: full": ("DISCOVERAGE: full", None),
    "COVERAGE of fire": ("COVERAGE of fire", None),
    "Coverage of fire is good [1].": ("Coverage of fire is good [1].", None),
    "Search: use `Search` [1].": ("Search: use `Search` [1].", None),
    "SEARCH: is the name of a tab [1].": ("SEARCH: is the name of a tab [1].", None),
    "LIST: lists\nSEARCH: finds\nGET: gets": ("LIST: lists\nSEARCH: finds\nGET: gets", None),
    "SEARCHING is slow [1]. S": ("SEARCHING is slow [1]. S", None),
    "S": ("S", None),
    "```\nx\n```\n": ("```\nx\n```\n", None),
    "It does not say.\nSEARCH: a | b": ("It does not say.\n", None),
    "Call SEARCH: it finds": ("Call SEARCH: it finds", None),
    "": ("", None),
}


@pytest.mark.parametrize(("reply", "expected"), ANSWERS.items())
def test_an_answer_is_text_without_its_coverage(
    reply: str, expected: tuple[str, str | None]
) -> None:
    check(reply, *expected, [])


def test_a_request_is_removed_if_the_model_must_answer() -> None:
    reply = "SEARCH: one\n\nSet it [1].\nCOVERAGE: full"
    assert parsed(reply, may_search=False) == ("Set it [1].\n", "full", [])
    assert parsed("SEARCH: one", may_search=False) == ("", None, [])


def test_the_result_does_not_depend_on_the_pieces() -> None:
    chance = random.Random(5)
    parts = ["SEARCH", "COVERAGE", "Coverage", ":", " ", "\n", "**", "full", "none", "a", "|", "[1"]
    parts += ["```", "- ", "(", "reason"]
    for _ in range(3000):
        text = "".join(chance.choices(parts, k=chance.randint(1, 14)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=3))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert parsed(text) == parsed(*pieces) == parsed(*text), text


def test_an_answer_is_emitted_at_once() -> None:
    reply = ReplyParser(may_search=True)
    assert reply.feed("The") == "The"
    assert reply.feed(" volume is large") == " volume is large"
    assert [reply.feed(piece) for piece in (" CO", "LD")] == [" ", "COLD"]


HOSTILE = [
    "SEARCH",
    "COVERAGE: ",
    "c",
    "*",
    "\nSEARCH:",
    " COVERAGE",
    " ",
    "\n",
    "COVERAGE: full\n",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_replies_take_linear_time(unit: str) -> None:
    def parse(text: str) -> None:
        parsed(*(text[at : at + 5] for at in range(0, len(text), 5)))

    assert_linear_time(parse, unit)


def without_reasoning(*pieces: str) -> str:
    reasoning = ReasoningFilter()
    text = "".join([*map(reasoning.feed, pieces), reasoning.finish()])
    assert reasoning.finish() == ""
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>Hm.</think>Yes [1].", "Yes [1]."),
        ("\n<THINK>\nHm <b>.\n</Think>\n\nYes.", "\n\nYes."),
        ("<thinking>a</thinking>b<", "b<"),
        ("The tag <think> is text </think>.", "The tag <think> is text </think>."),
        ("<think>It is cut off", ""),
        ("<think>It is cut off</thi", ""),
        ("<thin", "<thin"),
        ("<th> is a cell", "<th> is a cell"),
        ("a < b <think", "a < b <think"),
        ("<think></think>", ""),
        ("</think>Yes", "</think>Yes"),
    ],
)
def test_reasoning_is_removed(text: str, expected: str) -> None:
    assert without_reasoning(text) == expected
    assert without_reasoning(*text) == expected
