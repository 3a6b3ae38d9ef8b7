"""Valid document names."""

import pytest

from dataset.documents import MAX_NAME_BYTES, check_name
from utils.errors import DocumentError

_LONGEST_NAME = "x" * (MAX_NAME_BYTES - 3) + ".md"


@pytest.mark.parametrize(
    "name",
    [
        "page.md", "guides/setup/page.md", "Page.MD", "page.tar.html", "a b.md", "a..b.md",
        "dir./page.md", "con.md", "%2e%2e.md", "gr\u00fcn/\u30ac\u30a4\u30c9.md", "\U0001f525.pdf",
        _LONGEST_NAME, "\u00e9" * ((MAX_NAME_BYTES - 4) // 2) + ".md",
    ],
)  # fmt: skip
def test_paths_with_a_known_extension_are_valid(name: str) -> None:
    check_name(name)


ESCAPING_OR_HIDDEN = [
    "../page.md", "a/../page.md", "..", ".", "./page.md", "/etc/page.md", "a//page.md", "page.md/",
    "a/.hidden.md", ".hidden/page.md", ".md", " page.md", "page.md ", "dir /page.md", "a/ page.md",
    "a/\u3000page.md", "a/\xa0/page.md",
]  # fmt: skip
UNDISPLAYABLE_OR_UNNORMALISED = [
    "a\0.md", "a\n.md", "a\r\nX-Header: 1.md", "\x1b[31mred.md", "a\x7f.md", "a\x85.md",
    "a\x9b.md", "a\u2028b.md", "a\u2029b.md", "a\\b.md", "..\\page.md", "a\ud800.md",
    "\udcff.md", "e\u0301.md", "\u212b.md",
]  # fmt: skip
EMPTY_OR_TOO_LONG = ["", "x" + _LONGEST_NAME, "\u00e9" * (MAX_NAME_BYTES // 2) + ".md"]
UNKNOWN_EXTENSION = [
    "page", "page.", "page.md.", "page.exe", "page.md.exe", "a.md/page", "page.m d"
]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (ESCAPING_OR_HIDDEN, "a name is a path like"),
        (UNDISPLAYABLE_OR_UNNORMALISED, "without backslashes or control characters"),
        (EMPTY_OR_TOO_LONG, f"1 to {MAX_NAME_BYTES} bytes"),
        (UNKNOWN_EXTENSION, r"must have one of these extensions: \.csv, .*\.md,"),
    ],
    ids=["escaping or hidden", "undisplayable", "empty or too long", "unknown extension"],
)
def test_invalid_names_are_rejected_with_the_reason(names: list[str], reason: str) -> None:
    for name in names:
        with pytest.raises(DocumentError, match=reason):
            check_name(name)


def test_the_message_does_not_repeat_the_name() -> None:
    with pytest.raises(DocumentError) as refused:
        check_name("secret\n.md")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
