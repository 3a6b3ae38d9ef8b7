"""Filters select documents by name, address, title, format and date."""

from dataclasses import replace

import pytest

from database.searching.filters import EVERYTHING, Filters
from dataset.chunks import Chunk
from dataset.dates import parse_instant
from tests.files.pages import chunk
from tests.stopwatch import takes_less_than


def page(name: str = "kilns.md", **fields: str) -> Chunk:
    return replace(chunk("Hot.", document=name), **fields)  # type: ignore[arg-type]


def passes(filters: Filters, chunk: Chunk) -> bool:
    return bool(filters.mask([chunk])[0])


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("kilns.md", "kilns.md", True),
        ("kilns.md", "old/kilns.md", False),
        ("kilns", "kilns.md", False),
        ("Kilns.md", "kilns.md", False),
        ("kilns.md", "kilnsxmd", False),
        ("*", "api/Kiln.md", True),
        ("*.md", "api/Kiln.md", True),
        ("api/*", "api/Kiln.md", True),
        ("api/*", "api/old/Kiln.md", True),
        ("api/*", "api", False),
        ("*/Kiln.md", "api/Kiln.md", True),
        ("*iln*d", "api/Kiln.md", True),
        ("*iln*d", "api/Kiln.mdx", False),
        ("kiln?.md", "kilns.md", True),
        ("kiln?.md", "kiln.md", False),
        ("?*", "k", True),
        ("*a*b", "ab-ab", True),
        ("report [v2].pdf", "report [v2].pdf", True),
        ("report [v2].*", "report [v2].pdf", True),
        ("report [v2].*", "report v.pdf", False),
        ("[!k]*", "ash.md", False),
        ("a\\*.md", "a\\b.md", True),
        ("*", "two\nlines.md", True),
        ("öfen*", "öfen.md", True),
        ("o\u0308fen.md", "\u00f6fen.md", True),
        ("o\u0308*", "\u00f6fen.md", True),
    ],
)
def test_document_name_is_matched_by_a_pattern(pattern: str, name: str, *, matches: bool) -> None:
    assert passes(Filters(documents=(pattern,)), page(name)) is matches


def test_any_of_several_patterns_matches() -> None:
    filters = Filters(documents=("oak.md", "ash*", "yew.md"))
    names = ["oak.md", "ash-2.md", "yew.md", "elm.md"]
    assert [passes(filters, page(name)) for name in names] == [True, True, True, False]


def test_pattern_of_many_stars_is_matched_fast() -> None:
    filters = Filters(documents=("*a" * 100 + "b",))
    with takes_less_than(1):
        assert not passes(filters, page("a" * 1000))


KILNS = Filters(url="https://docs.example/kilns/")


@pytest.mark.parametrize(
    ("filters", "fields", "matches"),
    [
        (KILNS, {"url": "https://docs.example/kilns/hot.html#door"}, True),
        (KILNS, {"url": "https://docs.example/kilns"}, False),
        (KILNS, {"url": "see https://docs.example/kilns/"}, False),
        (KILNS, {"url": ""}, False),
        (Filters(title="HOT kiln"), {"title": "The hot Kilns of old"}, True),
        (Filters(title="HOT kiln"), {"title": "Kilns, hot"}, False),
        (Filters(title="STRASSE"), {"title": "Straße"}, True),
        (Filters(formats=("pdf", "docx")), {"format": "docx"}, True),
        (Filters(formats=("pdf", "docx")), {"format": "markdown"}, False),
    ],
)
def test_address_prefix_title_substring_and_formats_are_matched(
    filters: Filters, fields: dict[str, str], *, matches: bool
) -> None:
    assert passes(filters, page(**fields)) is matches


@pytest.mark.parametrize(
    ("since", "before", "changed", "matches"),
    [
        ("2026-03-01", "", "2026-03-01", True),
        ("2026-03-01", "", "2026-02-28T23:59:59Z", False),
        ("2026-03-01", "", "2026-03-01T01:00:00+02:00", False),
        ("2026-03-01T01:00:00+02:00", "", "2026-02-28T23:30:00", True),
        ("", "2026-03-01", "2026-03-01", False),
        ("", "2026-03-01", "2026-02-28T23:59:59.999Z", True),
        ("2026-03-01", "2026-04-01", "2026-03-31", True),
        ("2026-03-01", "2026-04-01", "2026-04-01", False),
        ("2026-03-01", "2026-03-01", "2026-03-01", False),
        ("0001-01-01", "", "", False),
        ("", "9999-12-31", "", False),
        ("0001-01-01", "", "last spring", False),
    ],
)
def test_modification_date_is_matched_by_an_interval(
    since: str, before: str, changed: str, *, matches: bool
) -> None:
    filters = Filters(changed_since=since, changed_before=before)
    assert passes(filters, page(changed=changed)) is matches


def test_all_filters_must_match() -> None:
    filters = Filters(documents=("*.pdf",), title="kiln", formats=("pdf",))
    kiln = page("kiln.pdf", format="pdf")
    assert passes(filters, kiln)
    assert not passes(filters, replace(kiln, title="Oak"))
    assert not passes(filters, replace(kiln, format="html"))
    assert not passes(filters, replace(kiln, document="kiln.htm"))


def test_no_filter_matches_everything() -> None:
    assert Filters() == EVERYTHING
    assert EVERYTHING.mask([page(), page("oak.md")]).tolist() == [True, True]


def test_mask_selects_chunks_of_matching_documents() -> None:
    chunks = [
        chunk("Door.", document="a.md", title="Oak"),
        chunk("Fire.", document="a.md", title="Oak", ordinal=1),
        chunk("Ash.", document="b.md", title="Ash"),
        chunk("Yew.", document="c.md", title="Oaks"),
    ]
    assert Filters(title="oak").mask(chunks).tolist() == [True, True, False, True]
    assert Filters(title="elm").mask(chunks).tolist() == [False] * 4
    assert Filters(title="elm").mask([]).tolist() == []


def test_invalid_date_is_refused() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        parse_instant("yesterday")
    assert parse_instant("2026-03-01") == parse_instant("2026-03-01T01:00+01:00")
