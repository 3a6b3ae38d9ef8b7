"""Normalisation of addresses, and portable file names for pages."""

import unicodedata
from fnmatch import fnmatchcase

import pytest

from dataset.documents import check_name
from dataset.listing import Selection
from dataset.web.file_names import file_of, folded
from dataset.web.http.addresses import normal
from utils.errors import DocumentError


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("HTTP://Docs.Example.com:80", "http://docs.example.com/"),
        ("https://docs.example.com:443/a#part", "https://docs.example.com/a"),
        ("https://docs.example.com.:8443/a/./b/../c", "https://docs.example.com:8443/a/c"),
        (
            "https://docs.example.com/%7Ea%2fb?q=%c3%a9#x",
            "https://docs.example.com/~a%2Fb?q=%C3%A9",
        ),
        ("https://docs.example.com/é b", "https://docs.example.com/%C3%A9%20b"),
        ("https://docs.example.com/a/%2e%2e/%2e%2e/b", "https://docs.example.com/b"),
        ("https://docs.example.com//evil.example/a", "https://docs.example.com/evil.example/a"),
        ("https://ÖFEN.example/", "https://xn--fen-rna.example/"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("b.html?x=1", "https://docs.example.com/g/b.html?x=1"),
        ("//other.example/c", "https://other.example/c"),
    ],
)
def test_addresses_are_normalised(written: str, spelled: str) -> None:
    assert normal(written, "https://docs.example.com/g/a.html") == spelled
    assert normal(spelled) == spelled


@pytest.mark.parametrize(
    "written",
    [
        "ftp://docs.example.com/", "file:///etc/passwd", "javascript:alert(1)",
        "mailto:a@example.com", "http://user:secret@docs.example.com/", "http://", "http://a b/",
        "http://docs.example.com:99999/", "http://[::1/", "http://docs.example.com\\@evil.example/",
        "relative.html", "http://docs.example.com/\ud800", "http://docs.example.com/" + "a" * 3000,
    ],
)  # fmt: skip
def test_invalid_page_address_is_refused(written: str) -> None:
    with pytest.raises(DocumentError):
        normal(written)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://docs.example.com/", "docs.example.com/index.md"),
        ("https://docs.example.com/g/", "docs.example.com/g/index.md"),
        ("https://docs.example.com/g/a.html", "docs.example.com/g/a.md"),
        ("https://docs.example.com/g/A_b-1.2.HTML", "docs.example.com/g/A_b-1.2.md"),
        ("https://docs.example.com:8443/a.md", "docs.example.com~8443/a.md"),
        ("https://docs.example.com/notes.txt", "docs.example.com/notes.txt.md"),
        ("https://docs.example.com/%C3%96fen.html", "docs.example.com/Öfen.md"),
        ("http://[::1]:8000/a", "~~1~8000/a.md"),
    ],
)
def test_file_name_is_derived_from_the_address(url: str, name: str) -> None:
    assert file_of(url) == name


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("a.html", "a.md"),
        ("g/a.html", "g/a.md"),
        ("web.html", "web.md"),
        ("web/a.html", "web_/a-*.md"),
        ("API-reference/a.html", "API-reference_/a-*.md"),
    ],
)
def test_page_of_a_guide_is_named_below_its_root(page: str, pattern: str) -> None:
    root = normal("https://h.example/Über alle/v 1/")
    assert fnmatchcase(file_of(f"{root}{page}", root=root), pattern)


HOSTILE = [
    "https://h.example/..%2F..%2Fetc%2Fpasswd", "https://h.example/%00%0a%1b[31m",
    "https://h.example/a%5C..%5Cb", "https://h.example/.hidden/.git",
    "https://h.example/con/NUL.html", "https://h.example/a./b%20/c ", "https://h.example/LICENSE",
    "https://h.example/%E2%80%AEgnp.html", "https://h.example/%FF%FE",
    "https://h.example/" + "%C3%96" * 250, "https://h.example/a/" + "%C3%96" * 150,
    "https://h.example/" + "ab/" * 400 + "c.html", "https://h.example/u%CC%88ber.html",
    "https://h.example/a?../../b=1", "https://h.example/folder.md/page.html",
]  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
def test_file_name_of_a_hostile_address_is_safe(address: str) -> None:
    name = file_of(normal(address))
    check_name(name)
    assert Selection().matches(name)
    parts = name.split("/")
    assert parts[0] == "h.example"
    assert parts[-1].endswith(".md")
    assert not any(part.lower().endswith(".md") for part in parts[:-1])
    assert not parts[-1].startswith("LICENSE")
    assert all(part not in (".", "..") and part.isprintable() for part in parts)
    assert not {part.partition(".")[0].lower() for part in parts} & {"con", "nul"}
    assert all(len(part.encode()) <= 130 for part in parts)
    assert len(name.encode()) <= 500


def test_different_addresses_have_different_file_names() -> None:
    urls = [normal(address) for address in HOSTILE]
    urls += [f"https://h.example/a?{number}" for number in range(20)]
    assert len({file_of(url) for url in urls}) == len(urls)


def test_unique_file_name_is_deterministic() -> None:
    url = "https://h.example/Guide/A.html"
    assert file_of(url, unique=True) == file_of(url, unique=True) != file_of(url)
    assert file_of(url, unique=True).startswith("h.example/Guide/A-")


def test_folding_ignores_case_and_unicode_normal_form() -> None:
    assert folded("h/Guide/A.md") == folded("h/guide/a.md")
    composed = "h/\u00fcber.md"
    assert folded(unicodedata.normalize("NFD", composed)) == folded(composed)
