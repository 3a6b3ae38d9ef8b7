"""Only valid web addresses are a document's: of its front matter, of an upload, of a page."""

import pytest

from dataset.conversion.converter import Limits
from dataset.documents import read_document
from dataset.web_address import is_web_address
from tests.stopwatch import takes_less_than

VALID = [
    "https://docs.example.com",
    "http://inference_worker:8000/a/b.html?a=b&c=d;e#f",
    "https://en.wikipedia.org/wiki/Foo_(bar),_it's*!$~",
    "https://a.example./?q=a/b?c@d:e#/f?g",
    "https://a.example/100%25/%C3%A4",
    "https://m\xfcnchen.example/stra\xdfe?\xf6=\u4e2d#\xe9",
    "https://xn--mnchen-3ya.example",
    "http://\u0939\u093f\u0928\u094d\u0926\u0940.\u092d\u093e\u0930\u0924/",
    "http://192.0.2.1:80/",
    "https://[2001:db8::1]:8443/",
]
INVALID = [
    'https://x"><script>alert(1)</script>',
    "https://e.com/a)[x](javascript:1",
    'https://e.com/"onload="a',
    "https://e.com/<b>",
    "https://e.com/a b",
    "https://e.com/a\tb",
    "https://e.com/a\nb",
    "https://e.com/a\\b",
    "https://e.com\\@evil.example",
    "https://e.com/{a}|^`",
    "https://e.com/%zz",
    "https://e.com/%2",
    "https://e.com/#a#b",
    "https://e.com/\u202etxt",
    "https://e.com/\u200bb",
    "https://e.com/\ud800",
    "https://e.com/\x7f",
    "https://user:secret@e.com/",
    "https://docs.aws@evil.example/",
    "https://",
    "https:///a",
    "https://.",
    "https://a..example",
    "https://-a.example",
    "https://e.com:99999",
    "https://e.com:http",
    "https://[::g]",
    "https://[::1].evil.example",
    "https://1.2.3.999",
    "https://e\u2100.com",
    f"https://{'a' * 64}.example",
    "javascript:alert(1)//https://e.com",
    "data:text/html,https://e.com",
    "//e.com",
    "/a",
    "",
]


@pytest.mark.parametrize("url", VALID)
def test_valid_addresses_are_accepted(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize("url", INVALID)
def test_invalid_addresses_are_refused(url: str) -> None:
    assert not is_web_address(url)


@pytest.mark.parametrize("length", [2_000, 100_000])
def test_a_long_address_takes_no_longer_than_its_length(length: int) -> None:
    with takes_less_than(0.5):
        for url in (
            "https://" + "a-" * length,
            f"https://e.com/{'a' * length}<",
            "https://\xe4" * 9,
        ):
            assert not is_web_address(url)


@pytest.mark.parametrize("url", ['https://x"><script>', "https://e.com/a)[x](javascript:1"])
def test_a_file_does_not_set_an_invalid_address(url: str) -> None:
    page = f"---\nurl: '{url}'\npermalink: https://kilns.example/\n---\n\n# Kilns\n"
    html = f"<link rel=canonical href='{url}'><title>Kilns</title><p>A kiln fires clay.</p>"

    assert read_document(page.encode(), "a.md").url == "https://kilns.example/"
    assert read_document(html.encode(), "a.html", limits=Limits()).url == ""
