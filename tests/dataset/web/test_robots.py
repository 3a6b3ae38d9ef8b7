"""robots.txt is parsed as in RFC 9309, and hostile ones are parsed fast."""

import pytest

from dataset.web.http.robots import Robots
from tests.stopwatch import takes_less_than

HOST = "https://h.example"


def allows(text: str, path: str) -> bool:
    return Robots(text.encode(), "sagemaker-docs-qa").allow(HOST + path)


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("", "/a", True),
        ("Disallow:", "/a", True),
        ("Disallow: /", "/a", False),
        ("Disallow: /a", "/ab/c", False),
        ("Disallow: /a", "/b/a", True),
        ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("Allow: /a/b\nDisallow: /a", "/a/c", False),
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Allow: /a\nDisallow: /a/b", "/a/b/c", False),
        ("Disallow: /*.pdf$", "/x/y.pdf", False),
        ("Disallow: /*.pdf$", "/x/y.pdf?z", True),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: /a*b*c", "/a1b2c3", False),
        ("Disallow: /a*b*c", "/a1c2b3", True),
        ("Disallow: /a*aa$", "/aa", True),
        ("Disallow: *secret", "/x/secret/y", False),
        ("Disallow: /x?y=", "/x?y=1", False),
        ("Disallow: /%7eu", "/~u/a", False),
        ("disallow : /a # why not", "/a", False),
        ("Disallow: a", "/a", True),
    ],
)
def test_longest_matching_rule_applies(rules: str, path: str, allowed: bool) -> None:
    assert allows(f"User-agent: *\n{rules}\n", path) is allowed


def test_own_group_takes_precedence_over_the_wildcard_group() -> None:
    text = (
        "User-agent: other\nUser-agent: SageMaker-Docs-QA\nDisallow: /a\n\n"
        "User-agent: *\nDisallow: /\n\nUser-agent: sagemaker-docs-qa\nDisallow: /b\n"
    )
    assert allows(text, "/c")
    assert not allows(text, "/a")
    assert not allows(text, "/b")
    assert Robots(text.encode(), "nobody").allow(f"{HOST}/a") is False


def test_rules_for_other_agents_and_garbage_are_ignored() -> None:
    assert allows("User-agent: evil\nDisallow: /\n", "/a")
    assert allows("Disallow: /\nUser-agent: *\n", "/a")
    assert allows("\ufeff<html>\x00\xff not a robots.txt: at all</html>", "/a")


def test_crawl_delay_is_parsed() -> None:
    assert Robots(b"User-agent: *\nCrawl-delay: 2.5\n", "a").delay == 2.5
    assert Robots(b"User-agent: *\nCrawl-delay: -1\nCrawl-delay: nan\n", "a").delay == 0
    assert Robots(b"User-agent: *\r\nCrawl-delay: 1e9\r\n", "a").delay == 0


def test_hostile_pattern_is_matched_fast() -> None:
    with takes_less_than(1):
        assert allows("User-agent: *\nDisallow: /" + "*a" * 5000 + "b\n", "/" + "a" * 1900)


def test_group_of_many_agents_is_parsed_fast() -> None:
    agents = "".join(f"user-agent:a{number}\n" for number in range(10_000))
    with takes_less_than(3):
        assert allows(agents + "disallow:/b\n" * 10_000, "/b")
