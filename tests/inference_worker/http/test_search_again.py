"""The language model may request searches before it answers, and reports how far they answer."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import httpx_sse
import pytest

from database.reading.reader import Reader
from database.searching.passage import Findings
from tests.files.pages import PAGES
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import Reply
from tests.servers.service import FOREIGN, QUESTION, REFUSAL, serve, with_mistral
from utils.errors import StoreUnreachableError

pytestmark = pytest.mark.process

REQUEST = replies.answer("SEARCH: spot training checkpoints | stop notebook instance")
ANSWER = replies.answer("Save checkpoints [2].\n\nCOVERAGE: partial")
FIRST, ADDED = "endpoints.md", {"training.md", "notebooks.md"}
LAST_CALL = "No further search is possible"


@pytest.fixture
def written(database: str, mistral: MistralServer) -> Iterator[httpx.Client]:
    """The service with a language model."""
    with serve(database, **with_mistral(mistral)) as running:
        running.wait_until_ready()
        yield running.http


def ask(client: httpx.Client, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    """An answer of which the first search finds one passage."""
    response = client.post("/v1/answers", json={"question": question, "top_k": 1, **more})
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


def stream(client: httpx.Client, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    body = {"question": QUESTION, "top_k": 1, "stream": True, **more}
    with httpx_sse.connect_sse(client, "POST", "/v1/answers", json=body) as source:
        return [(event.event, json.loads(event.data)) for event in source.iter_sse()]


def prompt(mistral: MistralServer, at: int) -> str:
    text = mistral.requests[at].last_message
    assert isinstance(text, str)
    return text


def documents(found: dict[str, Any]) -> list[str]:
    return [passage["document"] for passage in found["passages"]]


def test_passages_of_the_requested_searches_are_added_to_a_second_prompt(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(REQUEST, ANSWER)

    body = ask(written)

    first, second = prompt(mistral, 0), prompt(mistral, 1)
    assert len(mistral.requests) == 2
    assert "SEARCH: query | query" in first
    assert LAST_CALL not in first
    assert "SEARCH" not in second
    assert LAST_CALL in second
    assert first.partition("</passage>")[0] in second  # the first passage keeps its number
    assert "Save checkpoints" not in first
    assert "Save checkpoints" in second
    assert body["searches"] == [
        {"query": QUESTION, "by": "user"},
        {"query": "spot training checkpoints", "by": "model"},
        {"query": "stop notebook instance", "by": "model"},
    ]
    assert body["answer"] == "Save checkpoints [2]."
    assert body["citations"][0]["document"] == "training.md"
    assert (body["coverage"], body["answerable"], body["degraded"]) == ("partial", True, False)


def test_question_in_another_language_is_searched_for_in_english(
    written: httpx.Client, mistral: MistralServer
) -> None:
    # The test's embeddings put the page on checkpoints last for these words.
    question = "Was geht bei einem Abbruch des Laufs verloren?"
    mistral.script(replies.answer("SEARCH: spot training checkpoints"), ANSWER)

    body = ask(written, question)

    first, second = prompt(mistral, 0), prompt(mistral, 1)
    assert "queries in English" in first
    assert "Save checkpoints" not in first
    assert "Save checkpoints" in second
    assert question in second
    assert [search["query"] for search in body["searches"]] == [
        question,
        "spot training checkpoints",
    ]


def test_follow_up_is_searched_for_by_a_standalone_query(
    database: str, mistral: MistralServer
) -> None:
    mistral.script(replies.answer("SEARCH: spot training checkpoints"), ANSWER)
    earlier = "Set `KmsKeyId`. " * 60  # leaves the first prompt room for few passages
    talk = [("user", QUESTION), ("assistant", earlier), ("user", "And if it is interrupted?")]
    messages = [{"role": role, "content": text} for role, text in talk]
    with serve(database, **with_mistral(mistral, prompt_max_tokens=1000)) as running:
        response = running.http.post("/v1/chat/completions", json={"messages": messages})

    first, second = prompt(mistral, 0), prompt(mistral, 1)
    assert f"user: {QUESTION}\nassistant: Set `KmsKeyId`." in first
    assert "The storage volume is then encrypted." in first  # found by the previous question
    assert "Save checkpoints" not in first
    assert "Save checkpoints" in second
    assert "training.md" in response.json()["sagemaker_docs"]["docs"]


def test_usage_of_both_calls_is_added_up(written: httpx.Client, mistral: MistralServer) -> None:
    mistral.script(REQUEST, ANSWER)
    both = ask(written)["usage"]
    mistral.script(replies.answer("Save checkpoints [1]."))
    one = ask(written, f"{QUESTION} Again?")["usage"]
    assert both["input_tokens"] > 1.8 * one["input_tokens"]


def test_stream_sends_all_passages_again_and_none_of_the_protocol(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(REQUEST, ANSWER)

    events = stream(written)

    names = [name for name, _ in events]
    tokens = "".join(data["text"] for name, data in events if name == "token")
    (_, first), (_, second) = events[:2]
    assert names == ["passages", "passages", *["token"] * names.count("token"), "answer"]
    assert tokens.rstrip() == events[-1][1]["answer"] == "Save checkpoints [2]."
    assert documents(first) == [FIRST]
    assert documents(second)[0] == FIRST
    assert set(documents(second)) > ADDED
    assert len(second["passages"]) == len({each["text"] for each in second["passages"]})
    assert [search["by"] for search in first["searches"]] == ["user"]
    assert [search["by"] for search in second["searches"]] == ["user", "model", "model"]


def test_cached_answer_is_replayed_with_the_passages_it_cites(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(REQUEST, ANSWER)
    _, last_passages, *_, (_, answer) = stream(written)

    again = stream(written)

    assert [name for name, _ in again] == ["passages", "token", "answer"]
    assert again[0] == last_passages
    assert again[-1][1] == answer | {"cached": True, "usage": None, "timings": {"total": 0.0}}
    assert len(mistral.requests) == 2


def test_requested_searches_are_restricted_by_the_same_filters(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(REQUEST, ANSWER)
    ask(written, filters={"documents": [FIRST, "notebooks.md"]})
    assert "A notebook instance" in prompt(mistral, 1)
    assert "Save checkpoints" not in prompt(mistral, 1)


def test_prompt_too_long_for_the_model_keeps_the_passages_that_it_requested(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(REQUEST, replies.too_long(), ANSWER)

    events = stream(written, question="Which part goes on and on in part 3?", top_k=20)

    found = [data for name, data in events if name == "passages"]
    first, refused, accepted = (prompt(mistral, at).count("<passage>") for at in range(3))
    assert "Save checkpoints" in prompt(mistral, 2)
    assert first == 20
    assert accepted == refused - 10
    assert [len(each["passages"]) for each in found] == [first, refused, accepted]


def test_both_calls_share_one_deadline(database: str, mistral: MistralServer) -> None:
    mistral.script(dataclasses.replace(REQUEST, delay=1.2))
    mistral.default = replies.silence()
    with serve(database, **with_mistral(mistral, inference_timeout=2.0)) as running:
        body = ask(running.http)

    assert len(mistral.requests) == 2
    assert "did not answer within 2 s" in body["degraded_reason"]
    assert body["usage"]["output_tokens"] > 0  # of the first call


def test_answer_is_cached_by_the_number_of_passages(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.default = ANSWER
    assert [ask(written, top_k=top_k)["cached"] for top_k in (8, None, 8, None)] == [
        *[False] * 2,
        *[True] * 2,
    ]


def test_query_that_was_searched_is_not_searched_again(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(replies.answer(f"SEARCH: {QUESTION.lower()} | spot"), ANSWER)
    assert [each["query"] for each in ask(written)["searches"]] == [QUESTION, "spot"]


def test_only_two_queries_are_searched(written: httpx.Client, mistral: MistralServer) -> None:
    mistral.script(replies.answer("SEARCH: one | two | three | four"), ANSWER)
    assert [search["query"] for search in ask(written)["searches"][1:]] == ["one", "two"]


def test_addresses_and_paths_in_a_request_are_only_searched_for(
    written: httpx.Client, mistral: MistralServer
) -> None:
    queries = ["http://127.0.0.1:1/secret", "file:///etc/passwd"]
    mistral.script(replies.answer(f"SEARCH: {' | '.join(queries)}"), ANSWER)

    body = ask(written)

    assert [search["query"] for search in body["searches"][1:]] == queries
    assert set(documents(body)) <= {*PAGES, "long.md"}
    assert len(mistral.requests) == 2


@pytest.mark.parametrize("empty", ["SEARCH:", "**SEARCH:** |"])
def test_request_without_a_query_leads_to_the_last_call(
    written: httpx.Client, mistral: MistralServer, empty: str
) -> None:
    mistral.script(replies.answer(empty), replies.answer("Set `KmsKeyId` [1]."))
    body = ask(written)
    assert body["answer"] == "Set `KmsKeyId` [1]."
    assert len(body["searches"]) == 1


FAILURES: dict[str, tuple[Reply, str]] = {
    "request": (REQUEST, "empty answer"),
    "500": (replies.failed(500), "service failed"),
    "429": (replies.rate_limited("60"), "rate limited"),
    "401": (replies.refused_key(), "refused the API key"),
    "silence": (replies.silence(), "did not answer"),
    "hang-up": (replies.hang_up(), "cannot be reached"),
    "garbage": (replies.body(b"<html>"), "could not be read"),
    "empty": (replies.answer(""), "empty answer"),
    "nothing but coverage": (replies.answer("COVERAGE: full"), "empty answer"),
}


@pytest.mark.parametrize(("reply", "reason"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("streamed", [False, True])
def test_failure_of_the_second_call_quotes_the_first_passages(
    database: str, mistral: MistralServer, reply: Reply, reason: str, *, streamed: bool
) -> None:
    mistral.script(REQUEST)
    mistral.default = reply
    # Only silence lasts until the deadline: retries of the other failures must end before it.
    seconds = 1.5 if reply == replies.silence() else 60.0
    with serve(database, **with_mistral(mistral, inference_timeout=seconds)) as running:
        running.wait_until_ready()
        body = stream(running.http)[-1][1] if streamed else ask(running.http)

    assert reason in body["degraded_reason"]
    assert (body["generator"], body["coverage"], body["finish_reason"]) == (
        "extractive",
        None,
        "stop",
    )
    assert "KmsKeyId" in body["answer"]
    assert body["docs"] == documents(body) == [FIRST]


def test_failure_of_a_requested_search_leaves_the_first_passages(
    database: str, mistral: MistralServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistral.script(REQUEST, replies.answer("Set `KmsKeyId` [1]."))
    with serve(database, **with_mistral(mistral)) as running:
        find = Reader.search

        def search(self: Reader, question: str, *more: Any) -> Findings:
            if question != QUESTION:
                raise StoreUnreachableError("Nobody answers.")
            return find(self, question, *more)

        monkeypatch.setattr(Reader, "search", search)
        running.wait_until_ready()
        body = ask(running.http)
        mistral.script(REQUEST, replies.answer("Set `KmsKeyId` [1]."))
        again = ask(running.http)

    assert (body["answer"], body["degraded"]) == ("Set `KmsKeyId` [1].", False)
    assert documents(body) == [FIRST]
    assert [search["by"] for search in body["searches"]] == ["user"]
    assert not again["cached"]


def test_without_search_rounds_the_model_must_answer_at_once(
    database: str, mistral: MistralServer
) -> None:
    mistral.default = REQUEST
    with serve(database, **with_mistral(mistral, max_search_rounds=0)) as running:
        body = ask(running.http)

    assert LAST_CALL in prompt(mistral, 0)
    assert len(mistral.requests) == len(body["searches"]) == 1
    assert body["degraded"]


def test_every_search_round_may_add_passages(database: str, mistral: MistralServer) -> None:
    mistral.script(
        replies.answer("SEARCH: spot training checkpoints"),
        replies.answer("SEARCH: stop notebook instance"),
        ANSWER,
    )
    with serve(database, **with_mistral(mistral, max_search_rounds=2)) as running:
        body = ask(running.http)

    assert [LAST_CALL in prompt(mistral, at) for at in range(3)] == [False, False, True]
    assert len(body["searches"]) == 3


@pytest.mark.parametrize(
    ("line", "coverage", "answerable"),
    [
        ("\nCOVERAGE: full", "full", True),
        (" COVERAGE: partial", "partial", True),
        ("\n\n**Coverage:** none", "none", False),
        ("", None, True),
    ],
    ids=["full", "partial", "none", "not reported"],
)
def test_coverage_decides_whether_the_question_is_answerable(
    written: httpx.Client,
    mistral: MistralServer,
    line: str,
    coverage: str | None,
    *,
    answerable: bool,
) -> None:
    mistral.default = replies.answer(f"Set `KmsKeyId` [1].{line}")
    for body in (ask(written), stream(written)[-1][1]):
        assert body["answer"] == "Set `KmsKeyId` [1]."
        assert (body["coverage"], body["answerable"]) == (coverage, answerable)


def test_coverage_alone_is_an_answer_if_it_is_none(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("COVERAGE: none")
    body = ask(written)
    assert body["answer"].startswith(REFUSAL)
    assert (body["coverage"], body["answerable"], body["degraded"]) == ("none", False, False)


def test_model_is_given_more_passages_than_the_answer_lists(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("It goes on [11].")
    body = ask(written, "Which part goes on and on in part 3?", top_k=None)
    assert prompt(mistral, 0).count("<passage>") > 11
    assert len(body["passages"]) == 11

    mistral.default = replies.answer("It goes on [2].")
    assert len(ask(written, "Which part goes on and on in part 4?", top_k=None)["passages"]) == 8


def test_reasoning_is_not_part_of_the_answer(written: httpx.Client, mistral: MistralServer) -> None:
    pieces = ["<thi", "nk>SEARCH: or not", "?</th", "ink>", "\n\nSet `Kms", "KeyId` [1]."]
    mistral.default = replies.answer(pieces=pieces, between=0.01)
    events = stream(written)
    tokens = "".join(data["text"] for name, data in events if name == "token")
    assert tokens == events[-1][1]["answer"] == "Set `KmsKeyId` [1]."
    assert ask(written)["answer"] == "Set `KmsKeyId` [1]."


@pytest.mark.parametrize(
    ("end", "shown"),
    [("<", "<"), ("<thin", r"\<thin"), ("<think>", r"\<think>"), ("\ud83d", "?")],
)
def test_answer_that_ends_in_the_beginning_of_a_tag_ends(
    written: httpx.Client, mistral: MistralServer, end: str, shown: str
) -> None:
    mistral.default = replies.answer(pieces=["Set it [1] ", end], between=0.01)
    expected = f"Set it [1] {shown}"
    assert stream(written)[-1][1]["answer"] == ask(written)["answer"] == expected


def test_answer_cut_by_a_content_filter_is_reported_and_not_cached(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("Set `KmsKeyId` [1].", finish="content_filter")
    for _ in range(2):
        body = ask(written)
        assert (body["finish_reason"], body["truncated"]) == ("content_filter", False)
        assert not body["cached"]


def test_filtered_answer_without_text_is_quoted(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("", finish="content_filter")
    assert "content filter" in ask(written)["degraded_reason"]


@pytest.mark.parametrize(
    ("question", "calls"),
    [
        (FOREIGN, 0),
        ("Who’s won the Grand Prix?", 0),  # noqa: RUF001
        ("Wer gewann 1998 den Grand Prix?", 1),
        ("Wie verschlüsselt man das Volume?", 1),
        ("如何加密端点的存储卷？", 1),  # noqa: RUF001
    ],
)
def test_unrelated_question_is_not_put_to_the_model_if_it_is_in_english(
    written: httpx.Client, mistral: MistralServer, question: str, calls: int
) -> None:
    mistral.default = replies.answer("Mit `KmsKeyId` [1].")
    body = ask(written, question)
    assert len(mistral.requests) == calls
    assert body["answerable"] is bool(calls)


def test_explicit_minimum_confidence_holds_for_every_language(
    database: str, mistral: MistralServer
) -> None:
    with serve(database, **with_mistral(mistral, min_confidence=1.0)) as running:
        ask(running.http, "Wie verschlüsselt man das Volume?")
    assert mistral.requests == []
