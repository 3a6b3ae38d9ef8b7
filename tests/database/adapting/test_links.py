"""Links between documents are found with their text, sentence and target."""

import pytest

from database.adapting.links import Link, links
from dataset.documents import Document, read_document

NAMES = {
    "guide/stop.md": "guide/stop.md",
    "costs.md": "costs.md",
    "https://example.org/costs.html": "costs.md",
}


def page(text: str, name: str = "guide/start.md") -> Document:
    return read_document(text.encode(), name)


def only(text: str) -> Link:
    (link,) = links(page(text))
    return link


def test_link_has_its_text_and_its_sentence() -> None:
    link = only("A kiln is hot. To cool it, see [Stop the kiln](stop.md#now). Wear gloves.")

    assert link == Link(
        source="guide/start.md",
        target="stop.md",
        anchor="now",
        words="Stop the kiln",
        sentence="To cool it, see Stop the kiln.",
    )


def test_link_text_and_sentence_are_plain_text() -> None:
    link = only("See [`Stop` the **kiln**\\.](stop.md) first\\.")

    assert link.words == "Stop the kiln."
    assert link.sentence == "See Stop the kiln. first."


def test_links_in_lists_and_tables_are_found() -> None:
    found = links(
        page("+ [Stop](stop.md)\n+ text\n\n| a | b |\n| --- | --- |\n| [Costs](c.md) | 1 |\n")
    )

    assert [link.words for link in found] == ["Stop", "Costs"]


@pytest.mark.parametrize(
    "text",
    [
        "[](stop.md)",
        "`[Stop](stop.md)`",
        "```\n[Stop](stop.md)\n```",
        "![Stop](stop.png)",
        "[Stop]()",
    ],
)
def test_links_without_text_or_target_are_ignored(text: str) -> None:
    assert list(links(page(text))) == []


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("stop.md", "guide/stop.md"),
        ("./stop.md#now", "guide/stop.md"),
        ("../costs.md", "costs.md"),
        ("https://example.org/costs.html#each", "costs.md"),
        ("#here", "guide/start.md"),
        ("missing.md", None),
        ("https://example.org/other.html", None),
        ("mailto:someone@example.org", None),
    ],
)
def test_target_is_resolved_by_path_or_address(target: str, document: str | None) -> None:
    assert only(f"See [this]({target}).").target_among(NAMES.get) == document


def test_percent_encoded_target_is_decoded() -> None:
    assert only("[Costs](my%20costs.md)").target == "my costs.md"
