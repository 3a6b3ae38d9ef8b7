"""Writing markdown."""

import pytest

from dataset.markdown.writer import lowered, note_mark, raised


@pytest.mark.parametrize(
    ("before", "text", "written"),
    [
        ("at most 2", "32", "^32"),
        ("x", "n-1", "^(n-1)"),
        ("the 1", "st", "st"),
        ("Ledger", "TM", "TM"),
        ("word", "*", "*"),
        ("a word ", "1", "1"),
        ("", "1", "1"),
    ],
)
def test_a_superscript_is_never_read_as_a_digit_of_the_number_before_it(
    before: str, text: str, written: str
) -> None:
    assert raised(before, text) == written


@pytest.mark.parametrize(
    ("before", "text", "written"),
    [
        ("H", "2", "2"),
        ("101", "2", "_2"),
        ("x", "max", "_max"),
        ("x", "i+1", "_(i+1)"),
        ("a word ", "2", "2"),
    ],
)
def test_a_subscript_is_never_read_as_a_digit_of_the_number_before_it(
    before: str, text: str, written: str
) -> None:
    assert lowered(before, text) == written


@pytest.mark.parametrize(("label", "mark"), [("1", "[^1]"), ("[2]", "[^2]"), (" *", "[^*]")])
def test_a_note_mark_is_apart_from_the_word_before_it(label: str, mark: str) -> None:
    assert note_mark(label) == mark
