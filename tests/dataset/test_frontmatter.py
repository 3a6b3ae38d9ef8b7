"""Frontmatter of pages, and the cost of hostile ones."""

import pytest

from dataset.dates import iso_date
from dataset.frontmatter import Frontmatter, split_frontmatter, web_address
from tests.stopwatch import takes_less_than

_BODY = "# Kilns\n\nA kiln fires clay.\n"
_NOTHING = Frontmatter()


def page(*lines: str) -> str:
    return "\n".join(("---", *lines, "---", _BODY))


def read_frontmatter(*lines: str) -> Frontmatter:
    read, text = split_frontmatter(page(*lines))
    assert text == _BODY
    return read


def test_title_address_and_date_are_read() -> None:
    read = read_frontmatter(
        "title: Our kilns", "url: https://kilns.example/", "changed: 2026-03-01", "x: [1]"
    )
    assert read == Frontmatter("Our kilns", "https://kilns.example/", "2026-03-01")


@pytest.mark.parametrize(
    "text",
    ["", "---", "---\n", "---\ntitle: a\n", _BODY, f"\n{page('a: b')}", "---\n\nNote: a\n\n---\n"],
)
def test_a_page_without_frontmatter_is_text(text: str) -> None:
    assert split_frontmatter(text) == (_NOTHING, text)


@pytest.mark.parametrize(
    "head",
    [
        "title: [", "\ttitle: a", "just words", "- a\n- b", "a: &x", "a: *x",
        "%YAML 9\n", "@",
    ],
)  # fmt: skip
def test_frontmatter_that_is_not_a_mapping_is_text(head: str) -> None:
    read, text = split_frontmatter(page(head))
    assert read == _NOTHING
    assert text.endswith(_BODY)


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("title: Kilns: first steps", "Kilns: first steps"),
        ("title: 'Kilns: it''s'", "Kilns: it's"),
        ("title: Kilns\nimage: !wide kiln.png", "Kilns"),
        ("title: Kilns\ntags:\n  - a: b: c\n- d\n# comment\n\nx: {", "Kilns"),
        ("title: Kilns: steps\nmy key: v\nog:title: x", "Kilns: steps"),
        ('title: "Kilns" and more', '"Kilns" and more'),
    ],
)
def test_frontmatter_that_yaml_cannot_parse_is_read_line_by_line(line: str, title: str) -> None:
    assert read_frontmatter(line, "url: https://kilns.example/").title == title


def test_frontmatter_in_toml_is_read() -> None:
    head = 'title = "Kilns"\nurl = "https://kilns.example/"\ndate = 2024-03-05\n[extra]\na = 1'
    read, text = split_frontmatter(f"+++\n{head}\n+++\n{_BODY}")
    assert read == Frontmatter("Kilns", "https://kilns.example/", "2024-03-05")
    assert text == _BODY


def test_the_most_specific_date_field_takes_precedence() -> None:
    assert read_frontmatter("date: 2020-01-01", "lastmod: 2025-05-05").changed == "2025-05-05"
    assert read_frontmatter("date: 2020-01-01", "lastmod: last week").changed == "2020-01-01"


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("title: 7", "7"),
        ("title: 'a  b'", "a b"),
        ("title: |\n  a\n  b", "a b"),
        ("title: >\n  a\n  b", "a b"),
        ("title: [a]", ""),
        ("title: {a: b}", ""),
        ("title:", ""),
        ("title: null", ""),
    ],
)
def test_a_title_is_one_line(line: str, title: str) -> None:
    assert read_frontmatter(line).title == title


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2026-03-01", "2026-03-01"),
        (" 2026-03-01 ", "2026-03-01"),
        ("2026-03-01T00:00:00", "2026-03-01"),
        ("2026-03-01T10:00:00", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z"),
        ("2026-03-01T10:00:00.123456Z", "2026-03-01T10:00:00Z"),
        ("0001-01-01T00:00:00+23:59", ""),
        ("9999-12-31T23:59:59-23:59", ""),
        ("yesterday", ""),
        ("2026-02-30", ""),
        ("", ""),
        ("2026-03-01\nSet-Cookie: a", ""),
        ("\uff12\uff10\uff12\uff16-03-01", ""),
        (20260301, ""),
        (None, ""),
    ],
)
def test_dates_are_normalised(value: object, written: str) -> None:
    assert iso_date(value) == written


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example", "javascript:alert(1)", "//a.example", "/a", " https://a.example"]
)
def test_only_http_addresses_are_accepted(url: str) -> None:
    assert web_address(url) == ""


def test_an_address_that_is_not_http_is_ignored() -> None:
    assert read_frontmatter("url: kiln.html", "source: {a: b}", "permalink: /a").url == ""


@pytest.mark.parametrize(
    "line",
    [
        "title: !!python/object/apply:os.system [id]", "title: !!timestamp soon", "title: !!int ''",
        "title: !!int x", "title: !!bool x", "title: !!float x", "title: !!binary x",
        "title: 0x" + "f" * 5000, "title: " + "1:" * 5000 + "1", "title: " + "9" * 5000,
        "date: 2026-02-30", "date: 2026-01-01 00:00:00 +99:99", "a: " + "[" * 2000, "a: &a [*a]",
        "? [a]\n: b",
    ],
)  # fmt: skip
def test_a_hostile_frontmatter_costs_no_more_than_a_page_without_one(line: str) -> None:
    read, text = split_frontmatter(page(line))
    assert len(read.title) <= 2 * len(line)
    assert text.endswith(_BODY)


def test_a_title_contains_no_lone_surrogates() -> None:
    read_frontmatter('title: "a\\ud800b"').title.encode()


def test_yaml_aliases_cost_no_more_than_their_length() -> None:
    levels = ["a: &a {k: v}"]
    for before, name in zip("abcdef", "bcdefg", strict=True):
        levels.append(f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 11)}]}}")
    with takes_less_than(0.5):
        split_frontmatter(page(*levels))


def test_a_long_head_costs_no_more_than_a_short_one() -> None:
    with takes_less_than(0.5):
        _read, text = split_frontmatter(page(*("key: value" for _ in range(50_000))))
    assert text.endswith(_BODY)
