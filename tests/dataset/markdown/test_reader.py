"""Markdown is read as sections of blocks, cleaned up for readers."""

import pytest

from dataset.markdown.reader import Block, plain_text, sections


def blocks(text: str) -> list[Block]:
    return [block for section in sections(text) for block in section.blocks]


def readable(text: str) -> str:
    return "\n\n".join(block.text for block in blocks(text))


def test_escapes_of_punctuation_are_removed() -> None:
    text = r"Use a hyphen \(\-\), a dot\. Name: train\_job\*, path C:\dir, \<tag\>, \`, \\, done\!"
    assert readable(text) == (
        r"Use a hyphen (-), a dot. Name: train_job*, path C:\dir, <tag>, `, \, done!"
    )


@pytest.mark.parametrize(
    "code", [r"`a\-b`", r"``a`\.b``", r"`ls \*`", "`[0](x)`", '`<a name="x"></a>`', "`![i](x.png)`"]
)
def test_inline_code_is_unchanged(code: str) -> None:
    assert readable(rf"Run {code} then\.") == f"Run {code} then."


def test_unclosed_backtick_is_text() -> None:
    assert readable(r"An odd ` tick\. And more\.") == "An odd ` tick. And more."


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


def test_reference_links_have_the_address_that_the_page_defines() -> None:
    text = (
        "See [the guide][1], [Rules][], [rules] and ![a kiln][1]; [not] [this][one] [x] [^2].\n\n"
        "[1]: https://x.example/g 'Title'\n[RULES]: <https://x.example/r>\n\n[^2]: Forty\n"
    )
    assert readable(text) == (
        "See [the guide](https://x.example/g), [Rules](https://x.example/r), "
        "[rules](https://x.example/r) and a kiln; [not] [this][one] [x] [^2].\n\n[^2]: Forty"
    )


@pytest.mark.parametrize(
    ("heading", "words", "anchor"),
    [
        ("## Install {#install-now}", "Install", "install-now"),
        ("## Install {: #now .wide }", "Install", "now"),
        ("## Install {.unnumbered}", "Install", ""),
        ("## Use {braces}", "Use {braces}", ""),
        ("## Run \\*\\*a\\*\\* or `**b**` **now**", "Run **a** or `**b**` now", ""),
        ("## The _first_ of __init__", "The first of __init__", ""),
    ],
)
def test_heading_states_its_anchor_and_keeps_its_signs(
    heading: str, words: str, anchor: str
) -> None:
    section = sections(f"{heading}\n\nx")[-1]
    assert (section.headings, section.anchor) == ((words,), anchor)


def test_bar_within_a_cell_stays_within_it() -> None:
    table = "| Name | Type |\n| --- | --- |\n| mode | fast \\| slow\\. |"
    assert blocks(table) == [Block("table", table.replace("\\.", "."))]
    assert blocks("Name | Type\n--- | ---\na | b\\|c") == [
        Block("table", "| Name | Type\n| --- | ---\n| a | b\\|c")
    ]
    linked = "| [a\\|b](https://x.example) | Words of a cell |\n| --- | --- |"
    assert blocks(linked) == [Block("table", linked)]
    assert plain_text(table) == " Name Type \n mode fast slow\\. "


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2<sup>32</sup>, H<sub>2</sub>O", "2^32, H2O"),
        ("<b>Bold</b> <kbd>Ctrl</kbd> <span class='x'>x</span>", "Bold `Ctrl` x"),
        ("AT&amp;T &lt;b&gt; &#8364; \\&amp;", "AT&T <b> € &amp;"),
        ("<a href='https://x.example/y'>words</a>", "[words](https://x.example/y)"),
        ("<a href='mailto:a@x.example'>Write</a>", "Write (a@x.example)"),
        ("Please [write](mailto:a@x.example?subject=b) to [a@x.example](mailto:a@x.example)",
         "Please write (a@x.example) to a@x.example"),
        ("Or else [call](tel:+49%2030123) or [run](javascript:run()) or [none](mailto:)",
         "Or else call (+4930123) or run or none"),
        ("<img src=x alt='A kiln'>", "A kiln"),
        ("was <del>12</del>, 2<SUP>32</SUP> **2**<sup>8</sup>", "was ~~12~~, 2^32 **2**^8"),
        ("four<sup><a href='#fn1'>1</a></sup> days", "four[^1] days"),
        ('<img src=x alt="It\'s a kiln"> a <label> of', "It's a kiln a <label> of"),
        ("at <time> in <region> of List<String>", "at <time> in <region> of List<String>"),
        ("_-27_, __\u20ac4__ n<sup>n\\-1</sup>", "*-27*, **\u20ac4** n^(n-1)"),
        ("an _odd_ and __very odd__ (_one_)\\.", "an *odd* and **very odd** (*one*)."),
        (
            "__init__ a_b_c _a_b_ __\\_a__ https://x.example/_a_/ \\_x\\_",
            "__init__ a_b_c *a_b* **_a** https://x.example/_a_/ _x_",
        ),
    ],
)  # fmt: skip
def test_inline_html_entities_and_underscores_are_read(written: str, read: str) -> None:
    assert readable(written) == read


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
    ("link", "shown"),
    [
        ("[the page](page.md)", "the page"),
        ("[the page](page.md#part)", "the page"),
        ("[the page](#part)", "the page"),
        ('[the page](page.md "A title")', "the page"),
        ("[the page](<a page.md>)", "the page"),
        ("[the page](page_(old).md)", "the page"),
        (r"[the \[old\] page](page.md)", "the [old] page"),
        ("[`CreateKiln`](API_CreateKiln.html)", "`CreateKiln`"),
        ("[the page](https://kilns.example/a_(b))", "[the page](https://kilns.example/a_(b))"),
        ("[the page](http://kilns.example)", "[the page](http://kilns.example)"),
    ],
)
def test_targets_inside_the_guide_are_dropped_and_others_kept(link: str, shown: str) -> None:
    assert readable(f"See {link} and read on\\.") == f"See {shown} and read on."


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


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("![A kiln\\. Its door is open\\.](kiln.png)", "A kiln. Its door is open."),
        ("![\\[Image NOT AVAILABLE\\]](kiln.png)", ""),
        ("![Image](kiln.png)", ""),
        ("![](kiln.png)", ""),
        ('![Image](http://kilns.example/kiln.png "A kiln")', ""),
    ],
)
def test_only_an_informative_alt_text_of_an_image_is_kept(image: str, shown: str) -> None:
    assert readable(f"Before {image}\n\nAfter.") == f"{f'Before {shown}'.strip()}\n\nAfter."


def test_table_is_one_block() -> None:
    table = "| Name | Size |\n| --- | --- |\n| a\\_b | 1 |\n| [c](c.md) | `2 \\| 3` |"
    assert blocks(f"Sizes:\n\n{table}\n\nMore.") == [
        Block("text", "Sizes:"),
        Block("table", "| Name | Size |\n| --- | --- |\n| a_b | 1 |\n| c | `2 \\| 3` |"),
        Block("text", "More."),
    ]


def test_remaining_html_is_removed() -> None:
    text = "One<br/>two&nbsp;three</a> and four\\.\n\n<!-- a remark -->\n\nFive and six\\."
    assert readable(text).split() == ["One", "two", "three", "and", "four.", "Five", "and", "six."]


def test_placeholders_in_angle_brackets_are_kept() -> None:
    assert readable("Set `<bucket>` to s3://<name>/\\.") == "Set `<bucket>` to s3://<name>/."


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
