"""Markdown is read as sections of blocks, cleaned up for readers."""

import pytest

from dataset.markdown.reader import Block, plain_text, sections


def blocks(text: str) -> list[Block]:
    return [block for section in sections(text) for block in section.blocks]


def readable(text: str) -> str:
    return "\n\n".join(block.text for block in blocks(text))


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_code_block_is_unchanged(fence: str) -> None:
    code = 'echo \\\n  --a\\-b <a name="x"></a> [0](x)\n\n# no heading'
    assert blocks(f"# Run\n\nWords\\.\n\n{fence}python\n{code}\n{fence}\n\nMore\\.") == [
        Block("text", "Words."),
        Block("code", f"```python\n{code}\n```"),
        Block("text", "More."),
    ]


def test_code_that_contains_a_fence_gets_a_longer_fence() -> None:
    (block,) = blocks("````\n```\ninside\n```\n````\n")
    assert blocks(block.text) == [block]
    assert "```\ninside\n```" in block.text


def test_indented_code_is_fenced() -> None:
    assert blocks("Words:\n\n    a \\- b\n      c\n\nMore.") == [
        Block("text", "Words:"),
        Block("code", "```\na \\- b\n  c\n```"),
        Block("text", "More."),
    ]


def test_code_in_a_list_is_unchanged() -> None:
    text = (
        "1. Run\\:\n\n   ```\n   a \\- b\n   ```\n\n1. Then\\.\n\n   + Or\\:\n\n         c \\- d\n"
    )
    (block,) = blocks(text)
    assert block.kind == "list"
    assert "1. Run:\n" in block.text
    assert "   ```\n   a \\- b\n   ```" in block.text
    assert "1. Then." in block.text
    assert "c \\- d" in block.text


def test_empty_code_is_dropped() -> None:
    assert blocks("Words.\n\n```\n\n```\n") == [Block("text", "Words.")]


@pytest.mark.parametrize(
    "heading",
    [
        '# Delete it<a name="delete-it"></a>',
        '# <a name="delete-it"></a>Delete it',
        "# Delete it <a name='delete-it'/>",
        '# Delete it<a id="delete-it"></a> #',
        '# **Delete** it<a name="delete-it"></a>',
        '# [Delete](delete.md) it<a name="delete-it"></a>',
        'Delete it<a name="delete-it"></a>\n===',
    ],
)
def test_heading_has_text_and_anchor(heading: str) -> None:
    section = sections(f"{heading}\n\nWords.")[-1]
    assert section.headings == ("Delete it",)
    assert section.anchor == "delete-it"


def test_anchors_in_the_text_are_removed() -> None:
    text = 'The first.<a name="one"></a>\n\n<a name="two"></a>\n\n<a name="three"></a>The second.\n'
    assert blocks(text) == [Block("text", "The first."), Block("text", "The second.")]


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        (
            "Before.\n# A\nx\n### B\nx\n## C\nx\n### D\nx\n# E\nx",
            [(), ("A",), ("A", "B"), ("A", "C"), ("A", "C", "D"), ("E",)],
        ),
        ("# Use C#\n\nx\n\n# The \\*args\n\nx", [(), ("Use C#",), ("The *args",)]),
        ("# A\n\n```\n# comment\n## other\n```\n\n    # indented\n\n> # quoted\n", [(), ("A",)]),
        ("# A\rone\r## B\r\ntwo", [(), ("A",), ("A", "B")]),
    ],
    ids=["nested", "punctuation", "inside code", "carriage returns"],
)
def test_each_section_has_its_path_of_headings(text: str, headings: list[tuple[str, ...]]) -> None:
    assert [section.headings for section in sections(text)] == headings


def test_long_heading_is_truncated_between_words_and_whole_in_its_section() -> None:
    section = sections("# " + "word " * 100 + "\n\nx")[-1]
    (heading,) = section.headings
    assert len(heading) <= 120
    assert heading.endswith("word…")
    assert [block.text for block in section.blocks] == [" ".join(["word"] * 100), "x"]


def test_heading_with_nothing_below_it_is_text() -> None:
    text = "# Deck\n\n## Limits\n\n### At most 40 kilns\n\n## Topics\n\n**Topics**\n- [A](a.md)\n"

    found = [(section.headings, section.blocks) for section in sections(f"Words.\n\n{text}")]

    assert found[1:] == [
        (("Deck",), []),
        (("Deck", "Limits"), []),
        (("Deck", "Limits", "At most 40 kilns"), [Block("text", "At most 40 kilns")]),
        (("Deck", "Topics"), []),
    ]


def test_navigation_is_dropped() -> None:
    text = (
        "# Kilns\n\nA kiln dries wood, slowly and at a low heat.\n\n"
        "**Topics**\n+ [Start](start.md)\n+ [Stop](stop.md)\n\nMore words.\n"
    )
    assert readable(text) == "A kiln dries wood, slowly and at a low heat.\n\nMore words."


def test_links_that_are_content_are_kept() -> None:
    text = (
        "# Kilns\n\nA kiln dries wood, slowly and at a low heat. These woods can be dried:\n\n"
        "+ [Oak](oak.md)\n+ [Ash](https://trees.example/ash)\n"
    )
    assert readable(text).endswith("dried:\n\n+ Oak\n+ [Ash](https://trees.example/ash)")


def test_topics_that_are_not_navigation_are_kept() -> None:
    text = "# Kilns\n\n**Topics**\n\nTopics are named here.\n\n+ [Oak](oak.md) is hard, and dry\n"
    assert readable(text) == "**Topics**\n\nTopics are named here.\n\n+ Oak is hard, and dry"


@pytest.mark.parametrize("title", ["**Topics**", "Contents:"])
def test_list_that_is_no_list_of_links_is_kept_below_its_title(title: str) -> None:
    text = f"# Kilns\n\n{title}\n\n- oak.tar with wood\n- [Ash](ash.md)\n"
    assert readable(text) == f"{title}\n\n- oak.tar with wood\n- Ash"


def test_footnotes_are_no_addresses_of_links() -> None:
    text = 'Words[^1].\n\n[^1]: Knuth (1974)\n[^2]: RFC "Key words"\n\n# More\n\nx\n\n[^3]: y\n'
    assert readable(text) == (
        'Words[^1].\n\n[^1]: Knuth (1974)\n\n[^2]: RFC "Key words"\n\nx\n\n[^3]: y'
    )


def test_footnotes_of_joined_chapters_share_their_labels() -> None:
    text = "# A\n\nWords[^1].\n\n[^1]: Oslo\n\n# B\n\nMore[^1].\n\n[^1]: Rome\n"
    assert readable(text) == "Words[^1].\n\n[^1]: Oslo\n\nMore[^1].\n\n[^1]: Rome"


@pytest.mark.parametrize(
    "text",
    [
        "# Download\n\nGet it [here](https://downloads.example.com/releases/2024/03/long-name.gz).",
        "[![Built](https://ci.example)](https://ci.example/x) A small parser for logs.",
    ],
)
def test_page_with_long_addresses_is_no_list_of_links(text: str) -> None:
    assert blocks(text)


@pytest.mark.parametrize(
    "text",
    [
        "# Kilns\n\n**Topics**\n+ [Start](start.md)\n+ [Stop](stop.md)\n",
        "# Kilns\n\n+ [Start](start.md)\n+ [Stop](https://kilns.example/stop)\n",
        "# Kilns\n\n[Start](start.md)\n\n[Stop](stop.md)\n",
        "# Kilns<a name='kilns'></a>\n\n## More\n",
        "---\n\n***\n",
        "",
        " \n\t\n\n  ",
    ],
)
def test_page_that_only_lists_links_has_no_sections(text: str) -> None:
    assert sections(text) == []


@pytest.mark.parametrize(
    "link",
    [
        "[the page](https://kilns.example/a_(b))",
        '[the page](https://kilns.example "A title")',
        "[the page](page.md)",
    ],
)
def test_plain_text_keeps_only_the_text_of_links(link: str) -> None:
    assert plain_text(f"See {link}, and read.") == "See the page, and read."


def test_table_is_one_block() -> None:
    table = "| Name | Size |\n| --- | --- |\n| a\\_b | 1 |\n| [c](c.md) | `2 \\| 3` |"
    assert blocks(f"Sizes:\n\n{table}\n\nMore.") == [
        Block("text", "Sizes:"),
        Block("table", "| Name | Size |\n| --- | --- |\n| a_b | 1 |\n| c | `2 \\| 3` |"),
        Block("text", "More."),
    ]


def test_plain_text_drops_markup() -> None:
    text = (
        "**Bold** and *slanted* `code`.\n\n- one\n* two\n+ three\n\n"
        "```python\nx = 1\n```\n\n| A | B |\n| --- | :-: |\n| 1 | 2 |\n\n-----\n\nEnd......"
    )
    words = "Bold and slanted code. one two three x = 1 A B 1 2 - End."
    assert plain_text(text).split() == words.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("|a|b|\n|--|--|\n|c|d|", ["a", "b", "c", "d"]),
        ("one  |  two", ["one", "two"]),
        ("2*3 and a*b", ["2*3", "and", "a*b"]),
        ("snake_case and __init__", ["snake_case", "and", "__init__"]),
        ("a - b", ["a", "-", "b"]),
        ("-5 degrees", ["-5", "degrees"]),
        ("see [a](b.md)[c](d.md)", ["see", "ac"]),
    ],
)
def test_plain_text_joins_no_words(text: str, words: list[str]) -> None:
    assert plain_text(text).split() == words


@pytest.mark.parametrize(
    "text",
    [
        "# A\n\n```\nnever closed\n" * 3,
        ">" * 5000 + " x",
        "[" * 5000 + "x",
        "[" * 5000 + "x" + "]" * 5000,
        "![" * 5000,
        "[a](" * 50_000,
        "- " * 5000 + "x",
        "x " + "*" * 100_000,
        "word " * 200_000,
        "x" * 1_000_000,
        "x" + " " * 200_000 + "y",
        " " * 200_000 + "x",
        "x" + "\t " * 100_000 + "|",
        "x " + "-" * 200_000,
        "|" * 100_000,
        "x |" + "--|" * 50_000,
        "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + "|b" * 2000 + "|",
        "x " + "<a name=" * 50_000,
        "x <a name=x" + " " * 100_000,
        "x " + "<" * 100_000,
        "x " + "<!--" * 50_000,
        "x " + "`" * 100_000 + " " + "word " * 20_000,
        "x " + " ".join("`" * n for n in range(1, 300)),
        "x " + "\\" * 100_001,
        "\0# A\0\n\na\0b",
        "# A\rone\r## B\rtwo",
        "a\u2028b\x0bc\x0cd\x85e\n# A\n\nf",
        "\ufeff# A\n\n\u202ewords\ud7ff",
        "#" * 100_000,
        "# \n\n## \n\nx",
        "[a]: b\n\n[a]",
        "\n".join(f"{'>' * depth} x" for depth in range(300)),
        "\n".join(f"{'  ' * depth}- x" for depth in range(300)),
    ],
    ids=str.__len__,
)
def test_malformed_pages_are_read(text: str) -> None:
    for section in sections(text):
        for block in section.blocks:
            assert isinstance(plain_text(block.text), str)
    assert isinstance(plain_text(text), str)
