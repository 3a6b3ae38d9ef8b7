"""Inline markup is reduced to what a reader needs."""

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
         "Or else call (+49 30123) or run or none"),
        ("[Ada](mailto:Ada%20L%20%3Ca@x.example%3E) or [desk](tel:+1555;ext=22)",
         "Ada (Ada L a@x.example) or desk (+1555;ext=22)"),
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


def test_remaining_html_is_removed() -> None:
    text = "One<br/>two&nbsp;three</a> and four\\.\n\n<!-- a remark -->\n\nFive and six\\."
    assert readable(text).split() == ["One", "two", "three", "and", "four.", "Five", "and", "six."]


def test_placeholders_in_angle_brackets_are_kept() -> None:
    assert readable("Set `<bucket>` to s3://<name>/\\.") == "Set `<bucket>` to s3://<name>/."
