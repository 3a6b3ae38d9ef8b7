"""An answer as chat message content: source links and URL annotations."""

import re
from dataclasses import replace

import pytest

from database.searching.passage import Passage
from inference_worker.answer import EXTRACTIVE, Answer, Citation, Grounding, Unsupported
from inference_worker.http.openai.content import (
    annotations,
    closing_notes,
    markdown_link,
    restart_notice,
    safe_url,
)
from tests.files.pages import chunk

TEXT = "Encrypt it with `KmsKeyId` [2]. It costs more [1][2]."


def passage(document: str, url: str, title: str = "Kilns", *headings: str) -> Passage:
    found = replace(chunk("Text.", document=document, title=title, headings=headings), url=url)
    return Passage(found, "Text.", 1.0)


PASSAGES = [
    passage("kilns.md", "https://docs.test/kilns.html#cost", "Kilns", "Cost"),
    passage("keys.md", "https://docs.test/keys.html", "Keys"),
    passage("local.md", "", "Local kilns"),
    passage("kilns.md", "https://docs.test/kilns.html#size", "Kilns", "Size"),
    passage("ovens.md", "https://docs.test/ovens.html", "Ovens"),
]


def answered(text: str = TEXT, **changes: object) -> Answer:
    citations = [
        Citation(int(match[1]), match.start(), match.end(), "Text.")
        for match in re.finditer(r"\[(\d)\]", text)
    ]
    whole = Answer(
        text=text,
        docs=["kilns.md"],
        passages=PASSAGES,
        grounding=Grounding(citations=citations),
        generator="a-model",
        degraded_reason=None,
        answerable=True,
        confidence=0.9,
        usage=None,
        finish_reason="stop",
        coverage="full",
        searches=(),
        has_failed_search=False,
        cached=False,
        corpus=None,
        timings={},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_cited_passages_are_linked_once_in_numerical_order() -> None:
    assert closing_notes(answered()) == (
        "\n\nSources:\n"
        "- [1] [Kilns > Cost](https://docs.test/kilns.html#cost)\n"
        "- [2] [Keys](https://docs.test/keys.html)"
    )


def test_passage_without_a_url_is_listed_by_its_title() -> None:
    cited = answered("So it is [3].")

    assert closing_notes(cited) == "\n\nSources:\n- [3] Local kilns"
    assert annotations(cited) == []


def test_annotation_spans_the_marker_and_has_the_url() -> None:
    found = [each.url_citation for each in annotations(answered())]

    assert [TEXT[each.start_index : each.end_index] for each in found] == ["[2]", "[1]", "[2]"]
    assert found[1].url == "https://docs.test/kilns.html#cost"
    assert found[1].title == "Kilns > Cost"


def test_annotation_positions_are_relative_to_the_content_start() -> None:
    moved = annotations(answered(), offset=100)[0].url_citation

    assert (moved.start_index, moved.end_index) == (
        100 + TEXT.index("[2]"),
        103 + TEXT.index("[2]"),
    )


def test_answer_without_citations_has_no_sources() -> None:
    assert closing_notes(answered("So it is.")) == ""


def test_quoted_answer_has_its_sources_in_its_text() -> None:
    assert not closing_notes(answered(generator=EXTRACTIVE))


def test_truncated_answer_has_a_notice() -> None:
    assert "cut off at its token limit" in closing_notes(answered(finish_reason="length"))


def test_unanswerable_question_links_the_three_nearest_pages_without_repetition() -> None:
    found = closing_notes(answered("Nothing seems to answer this.", answerable=False))

    assert found == (
        "\n\nNearest pages:\n"
        "- [Kilns > Cost](https://docs.test/kilns.html#cost)\n"
        "- [Keys](https://docs.test/keys.html)\n"
        "- Local kilns"
    )


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Keys](https://evil.test) [x", "Keys\\](https://evil.test) \\[x"),
        ("<img src=x> `code` *b*", "\\<img src=x> \\`code\\` \\*b\\*"),
        ("a\\](b", "a\\\\\\](b"),
        ("two\n\n# lines", "two # lines"),
    ],
)
def test_title_is_escaped_in_its_link(title: str, shown: str) -> None:
    text = markdown_link(passage("keys.md", "https://docs.test/keys.html", title).chunk)

    assert text == f"[{shown}](https://docs.test/keys.html)"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Official https://evil.test", "`Official https://evil.test`"),
        ("Mail a@evil.test", "`Mail a@evil.test`"),
        ("<b>\u202e &#x202e; *a*", "\\<b> \\&#x202e; \\*a\\*"),
    ],
)
def test_title_without_a_url_links_nothing_and_hides_nothing(title: str, shown: str) -> None:
    assert markdown_link(passage("keys.md", "", title).chunk) == shown


def test_doubtful_addresses_are_inactive_in_their_note_and_html_is_no_doubt() -> None:
    doubts = [Unsupported("url", "https://evil.test", 0, 1), Unsupported("html", "&lt;b", 1, 2)]
    found = closing_notes(answered("So.", grounding=Grounding(unsupported=doubts)))

    assert found == "\n\n(In no passage, so do not rely on it: `https://evil.test`.)"


def test_sources_follow_code_that_the_answer_leaves_open() -> None:
    found = closing_notes(answered("So [2]:\n\n```sh\nls"))

    assert found == "\n```\n\nSources:\n- [2] [Keys](https://docs.test/keys.html)"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://docs.test/a.html#b", "https://docs.test/a.html#b"),
        ("https://docs.test/a%20b?x=1&y=2", "https://docs.test/a%20b?x=1&y=2"),
        ("https://docs.test/a) [x](b", "https://docs.test/a%29%20%5Bx%5D%28b"),
        ('https://docs.test/" onclick="x<>', "https://docs.test/%22%20onclick=%22x%3C%3E"),
        ("https://docs.test/ü\n", "https://docs.test/%C3%BC%0A"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_url_is_http_and_escaped_in_its_link(url: str, safe: str) -> None:
    assert safe_url(url) == safe


def test_streamed_text_that_is_a_prefix_of_the_answer_is_continued() -> None:
    assert restart_notice(answered("Say it so."), "Say it") == ""


def test_interrupted_text_is_closed_before_the_answer() -> None:
    plain = restart_notice(answered(), "It costs")
    in_code = restart_notice(answered(), "Run:\n\n```python\nimport")

    assert plain.startswith("\n\n---\n\nThe language model broke off.")
    assert in_code == f"\n```{plain}"
