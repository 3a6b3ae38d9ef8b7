"""The blocks of a fragment of markdown, and their offsets."""

from random import Random

import pytest

from dataset.markdown.syntax import blocks, closing_fence, find_fenced_code
from dataset.markdown.writer import fenced_code

PAGE = """\
# Kilns

Fire them
slowly.
1. Load
   it.

   Then wait.
- ```not a fence```
```sh
# no heading
````
| a | b |
|---|:--|
| c | d |
**Note**
***
[1]: https://example.com
"""

LINES = [
    "# a",
    "**a**",
    "- a",
    "  b",
    "\t1. c",
    "| a |",
    "|--|",
    "---",
    "[1]: x",
    "```",
    "~~~ x",
    "",
]


def test_each_line_belongs_to_a_block_of_its_kind() -> None:
    found = [(block.kind, block.mark, block.indent, PAGE[block.span]) for block in blocks(PAGE)]
    assert found == [
        ("heading", "#", 0, "Kilns\n"),
        ("text", "", 0, "Fire them\nslowly.\n"),
        ("item", "1.", 0, "Load\n   it.\n"),
        ("text", "", 3, "Then wait.\n"),
        ("item", "-", 0, "```not a fence```\n"),
        ("code", "```", 0, "```sh\n# no heading\n````\n"),
        ("table_head", "", 0, "| a | b |\n"),
        ("table_rule", "", 0, "|---|:--|\n"),
        ("row", "", 0, "| c | d |\n"),
        ("label", "", 0, "**Note**\n"),
        ("rule", "", 0, "***\n"),
        ("definition", "", 0, "[1]: https://example.com\n"),
    ]


def test_a_block_knows_of_the_blank_line_above_it() -> None:
    text = "a\n- b\n\n```\nc\n```\nd\n\ne"
    found = {text[block.span].strip(): block.after_blank for block in blocks(text)}
    assert found == {"a": False, "b": False, "```\nc\n```": False, "d": True, "e": True}


def test_a_fence_closes_with_its_own_kind_and_nothing_after_it() -> None:
    text = "~~~\n```\n~~~ x\n~~~~\n```` a`b\n  ````py\nopen\n```\n"
    found = [(text[code.span], code.is_closed) for code in find_fenced_code(text)]
    assert found == [
        ("~~~\n```\n~~~ x\n~~~~\n", True),
        ("  ````py\nopen\n```\n", False),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "- ```python\n  x\n  ```\n",
        "1. - ~~~\n     ```\n     ~~~\n",
        "> ```\n> - ```\n> ```\n",
        "- > ```\n  > x\n  > ```\n",
    ],
)
def test_code_opens_a_list_item_and_continues_a_quotation(code: str) -> None:
    found = [(text.span, text.is_closed) for text in find_fenced_code(f"a\n\n{code}\nb\n")]
    assert found == [(slice(3, 3 + len(code)), True)]


def test_code_ends_with_its_quotation() -> None:
    text = "> ```\n> a\n\nIntro.\n\n> ~~~\n> b\n```\nc\n```\n"
    assert [text[code.span] for code in find_fenced_code(text)] == [
        "> ```\n> a\n", "> ~~~\n> b\n", "```\nc\n```\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "closing"),
    [("1. ```\n   x", "\n   ```"), ("> ~~~\n> x", "\n> ~~~"), ("- a\n  ```", "\n  ```")],
)
def test_closing_fence_stands_in_the_item_or_quotation_of_its_code(
    opened: str, closing: str
) -> None:
    assert closing_fence(opened) == closing
    assert closing_fence(opened + closing) == ""


@pytest.mark.parametrize("seed", range(50))
def test_blocks_are_in_order_and_leave_out_only_marks_and_space(seed: int) -> None:
    text = "\n".join(Random(seed).choices(LINES, k=12))
    at = 0
    left_out = []
    for block in blocks(text):
        assert block.start >= at
        left_out.append(text[at : block.start].removesuffix(block.mark).strip(f" \t\n{block.mark}"))
        at = block.end
    assert set(left_out) <= {""}
    assert not text[at:].strip()


def test_written_fence_is_longer_than_any_in_the_code() -> None:
    assert fenced_code("a\n````\nb", "text").startswith("`````text\n")
