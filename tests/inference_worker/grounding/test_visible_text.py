"""Characters that a reader does not see are removed; those that shape others are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_worker.grounding.visible_text import VisibleText, visible


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\u200bb\u202ec\u2066d\u200ee\u061cf", "abcdef"),
        ("\x1b[31mred\x1b[0m \x9b1m\x00\x07", "[31mred[0m 1m"),
        ("x\U000e0041\U000e0042\U000e007f", "x"),
        ("a\u00adb\ufeffc\u2060d\u3164e\ufff9f\u034f", "abcdef"),
        ("a\u200db\u200c c\ufe0f", "ab c"),
        ("\u0645\u200c\u200d\u200c\u062e", "\u0645\u200c\u062e"),
        ("a\r\nb\rc\r\r\nd\u2028e\x85f", "a\nb\nc\n\nd\ne\nf"),
        ("half \ud83d of one", "half  of one"),
    ],
)
def test_invisible_characters_are_removed_and_lines_end_alike(written: str, shown: str) -> None:
    assert visible(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Tab\tand\nnewline",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: ZWNJ
        "\u0915\u094d\u200d\u0937",  # Hindi: ZWJ after a virama
        "\u26a0\ufe0f 1\ufe0f\u20e3 \u2764\ufe0f\u200d\U0001f525",  # emoji
        "\U0001f469\U0001f3fd\u200d\U0001f4bb",
        "\u845b\U000e0100",  # a variant of an ideograph
        "e\u0301 \u00a0 \u4e2d\u6587",
    ],
)
def test_characters_that_shape_others_are_kept(text: str) -> None:
    assert visible(text) == text


@given(
    st.text(st.sampled_from("a1\r\n\u200d\ufe0f\u202e\u0645\u2764\U000e0041\x1b")), st.integers(0)
)
def test_result_is_stable_and_the_same_in_any_pieces(text: str, at: int) -> None:
    whole = visible(text)
    for pieces in (list(text), [text[: at % 9], text[at % 9 :]], ["", text, ""]):
        filtering = VisibleText()
        assert "".join(map(filtering.feed, pieces)) == whole
    assert visible(whole) == whole
