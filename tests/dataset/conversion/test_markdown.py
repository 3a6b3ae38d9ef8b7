"""Dialects of markdown are read as their prose, and the HTML within markdown as HTML."""

import pytest

from dataset.conversion.converter import convert
from dataset.conversion.markdown.dialects import standard_markdown
from dataset.conversion.markdown.raw_html import converted_html, has_html_blocks
from dataset.markdown.reader import sections


def blocks_of(markdown: str) -> list[str]:
    return [block.text for section in sections(markdown) for block in section.blocks]


def shown(text: str) -> list[str]:
    return blocks_of(standard_markdown(text))


@pytest.mark.parametrize(
    "admonition",
    [
        ":::note[Take care]\nFour days.\n:::",
        "::: note Take care\nFour days.\n:::",
        ":::{note} Take care\n:class: wide\n\nFour days.\n:::",
        '!!! note "Take care"\n    Four days.',
        '??? note "Take care"\n\n    Four days.',
        '=== "Take care"\n    Four days.',
        "```{note} Take care\n:class: wide\nFour days.\n```",
        "````{tab-set}\n```{tab-item} Take care\nFour days.\n```\n````",
        ":::note[Take **care**]\nFour days.\n:::",
        '{% tabs %}\n{% tab title="Take care" %}\nFour days.\n{% endtab %}\n{% endtabs %}',
        '{{< tabs "t" >}}\n{{< tab name="Take care" >}}\nFour days.\n{{< /tab >}}\n{{< /tabs >}}',
        '{{% expand "Take care" %}}\nFour days.\n{{% /expand %}}',
        '<TabItem value="Take care">\n\nFour days.\n\n</TabItem>',
        '<Note title="Take care">\n  Four days.\n</Note>',
        '<TabItem\n  value="x"\n  label="Take care">\n\n    Four days.\n\n</TabItem>',
    ],
)
def test_admonitions_and_tabs_leave_their_title_and_text(admonition: str) -> None:
    assert shown(f"Before.\n\n{admonition}\n\nAfter.") == [
        "Before.", "**Take care**", "Four days.", "After.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "alert",
    ["> [!WARNING]\n> Four days.", ">[!warning]\n> Four days.", "> [!WARNING]-\n> Four days."],
)
def test_alerts_are_labelled(alert: str) -> None:
    (block,) = shown(alert)
    assert block.split("\n") == [alert.partition("[")[0] + "**Warning**", "> Four days."]


@pytest.mark.parametrize(
    ("opening", "label"),
    [
        ("!!! warning", "**Warning**"),
        (":::warning", "**Warning**"),
        ("::: {.callout-tip}", "**Tip**"),
        ('!!! note ""', None),
        ("::: columns", None),
        ('{% hint style="warning" %}', "**Warning**"),
        ("{{% notice tip %}}", "**Tip**"),
        ("{{< note >}}", "**Note**"),
        ("{% columns %}", None),
    ],
)
def test_admonition_without_title_has_the_name_of_its_kind(opening: str, label: str | None) -> None:
    body = "    Four days." if opening.startswith("!") else "Four days.\n:::"
    assert shown(f"{opening}\n{body}") == [*filter(None, [label]), "Four days."]


def test_admonitions_nest_and_keep_their_code() -> None:
    code = "        ```sh\n        ls :::\n        ```"
    text = f"1. One\n\n    !!! tip\n        Run:\n\n{code}\n\n2. Two"
    (block,) = shown(text)
    assert "**Tip**" in block
    assert "```sh\n    ls :::\n    ```" in block
    assert block.endswith("2. Two")


def test_imports_exports_and_tags_of_mdx_are_dropped() -> None:
    text = (
        "import Tabs from '@theme/Tabs';\nimport './a.css'\n\nexport const a = {\n  b: 1,\n}\n\n"
        '# Kilns <Badge text="new" />\n\n<Tabs groupId="x">\n<Tab>\n\n'
        "Oak{/* hard */} <B>is</B> dry.\n\n</Tab>\n</Tabs>\n"
    )
    assert shown(text) == ["Oak is dry."]
    assert sections(standard_markdown(text))[-1].headings == ("Kilns new",)


@pytest.mark.parametrize(
    "text",
    [
        'Use `<Foo bar="1"/>` here',
        "A List<String> of <Name> values",
        "<YourBucket>",
        "import the data from 'there'",
        "Type ::: and !!! or ===",
        "a {b} c",
        "The ratio is 3:::4",
        "{% for note in notes %}",
        "Write {{< note >}} before it",
        "{% embed url='https://x.example' %}",
        "```liquid\n{% note %}\n```",
        "    {% tabs %}\n    {% tab title='x' %}\n    hello",
        "{% highlight ruby %}\n\nAfter.\n\n## Next",
    ],
)
def test_what_only_resembles_a_dialect_is_text(text: str) -> None:
    assert standard_markdown(text) == text


@pytest.mark.parametrize(
    "code",
    [
        "{% highlight go linenos %}\n# {% note %}\n{% endhighlight %}",
        '{{< highlight go "linenos=table" >}}\n# {% note %}\n{{< /highlight >}}',
        "{% highlight go %}\n  # {% note %}\n{% endhighlight %}",
    ],
)
def test_code_between_tags_is_fenced(code: str) -> None:
    assert standard_markdown(code) == "```go\n# {% note %}\n```"
    in_item = f"- x\n\n{code}".replace("\n", "\n  ")
    assert blocks_of(standard_markdown(in_item)) == ["- x\n\n  ```go\n  # {% note %}\n  ```"]


@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_code_is_unchanged(fence: str) -> None:
    code = (
        f"{fence}jsx\nimport a from 'b'\n<Foo x=\"1\" />\n:::note\n!!! note\n[a](data:,x)\n{fence}"
    )
    assert standard_markdown(code) == code


@pytest.mark.parametrize(
    "include",
    [
        '--8<-- "limits.md"', "{!limits.md!}", "{{< include limits.md >}}",
        "{{#include limits.md}}",
        '{% include "limits.md" %}', "<<< @/limits.md", "[!INCLUDE [Limits](limits.md)]",
        ":::{include} limits.md\n:::", "```{include} limits.md\n```",
        "<!-- @include: limits.md -->",
    ],
)  # fmt: skip
def test_includes_are_named(include: str) -> None:
    assert shown(f"Before.\n\n{include}\n")[1] == (
        "(This page includes limits.md, which is not part of it.)"
    )


def test_pictures_that_are_data_are_their_alternative_text() -> None:
    data = f"data:image/png;base64,{'A' * 2000}"
    pictures = f"![The kiln]({data} \"x\") and ![its door][door] <img alt='a lid' src='{data}'>"
    text = f"{pictures}\n\n[door]: {data}\n"
    assert shown(text) == ["The kiln and its door a lid"]


@pytest.mark.parametrize(
    "code",
    [
        "- ```bash\n  ls\n  ```\n\n```\nimport x from 'y';\n:::tip\n```",
        "```npm start```\n\n```\nimport React from 'react';\n```",
        'Config:\n\n    <Server port="8005">\n      <Service name="x"/>\n    </Server>',
        "<pre>\nimport a from 'b';\n<Foo x='1'/>\n</pre>",
    ],
)
def test_code_of_every_kind_is_unchanged(code: str) -> None:
    assert standard_markdown(f"{code}\n\nEnd.") == f"{code}\n\nEnd."


@pytest.mark.parametrize(
    ("mdx", "text"),
    [
        ('<Accordion title="How?">Hold it.</Accordion>', ["How?: Hold it."]),
        ("import {\n  Tabs,\n} from 'x';\nimport type { Y } from 'y';\n\nWords.", ["Words."]),
        ("{/* over\nlines */}\nWords.", ["Words."]),
        ("export const A = () => {\n  const a = 1;\n\n  return a;\n};\n\nWords.", ["Words."]),
        ('<ResponseField name="id" type="string">The id.</ResponseField>', ["id: The id."]),
        ("<>\nWords.\n</>", ["Words."]),
        ('::: {.callout-note title="Take care"}\nFour.\n:::', ["**Take care**", "Four."]),
        (':::image type="content" source="a.png" alt-text="A kiln":::', ["**A kiln**"]),
        (':::column span="2":::\nFour.\n:::column-end:::', ["Four."]),
        (
            ':::code language="go" source="a.go" range="1-3":::',
            ["(This page includes a.go, which is not part of it.)"],
        ),
        ('::: {.column width="50%"}\nFour.\n:::', ["Four."]),
        (':::info{title="Take care"}\nFour.\n:::', ["**Take care**", "Four."]),
        ("```{admonition} Take care\nFour.\n```", ["**Take care**", "Four."]),
        (
            "```{card} Limits\n:width: 2\nFour.\n\n:Default: 30 s\n:Most: 60 s\n```",
            ["**Limits**", "Four.", ":Default: 30 s\n:Most: 60 s"],
        ),
        ("```{sidebar} Limits\nFour.", ["**Limits**", "Four."]),
        ('!!! tip "Compute 2**10 quickly"\n    Four.', ["Compute 2**10 quickly", "Four."]),
        ('!!! tip "Take **great** care"\n    Four.', ["**Take great care**", "Four."]),
        ("{% tab log php %}\nFour.\n{% endtab %}", ["**log php**", "Four."]),
        (
            "{% details Why is it slow? %}\nFour.\n{% enddetails %}",
            ["**Why is it slow?**", "Four."],
        ),
        ("{{% tab 'Linux' %}}\nFour.\n{{% /tab %}}", ["**Linux**", "Four."]),
        ('{{< details "Set a = b" >}}\nFour.\n{{< /details >}}', ["**Set a = b**", "Four."]),
        ("{% tab id=3 %}\nFour.\n{% endtab %}", ["Four."]),
    ],
)
def test_prose_of_mdx_and_directives_is_kept_apart_from_its_markup(
    mdx: str, text: list[str]
) -> None:
    assert shown(mdx) == text


def test_html_in_capitals_is_html() -> None:
    table = "<TABLE>\n<TR><TH>a</TH><TH>b</TH></TR>\n<TR><TD>c</TD><TD>d</TD></TR>\n</TABLE>"
    assert blocks_of(converted_html(standard_markdown(table))) == [
        "| a | b |\n| --- | --- |\n| c | d |"
    ]


def test_lists_of_attributes_are_dropped() -> None:
    assert shown("Words.\n{: .wide}\n") == ["Words."]


@pytest.mark.parametrize(
    ("html", "blocks"),
    [
        (
            "<table>\n<tr><th>Kiln</th><th>Heat</th></tr>\n\n<tr><td>a</td><td>2<sup>9</sup></td></tr>\n</table>",
            ["| Kiln | Heat |\n| --- | --- |\n| a | 2^9 |"],
        ),
        (
            "<details>\n<summary>How?</summary>\n\nSo **it** is.\n\n</details>",
            ["**How?**", "So **it** is."],
        ),
        ("<p align=center>\n<img src=x alt='A kiln'>\n</p>", ["A kiln"]),
        ("<div>\n\nWords.\n\n</div>", ["Words."]),
        ("<pre>\na  b\n\nc\n</pre>", ["```\na  b\n\nc\n```"]),
        ("<p>In <bucket-name> here</p>", ["In <bucket-name> here"]),
        ("> <p>Quoted</p>\n> more", ["> Quoted\n>\n> more"]),
        ("<dl><dt>Term</dt><dd>Words</dd></dl>", ["- **Term**: Words"]),
    ],
)
def test_html_within_markdown_is_read_as_html(html: str, blocks: list[str]) -> None:
    assert has_html_blocks(html)
    assert blocks_of(converted_html(html)) == blocks


def test_html_in_a_list_item_stays_in_it() -> None:
    text = "- One\n\n  <table><tr><th>A<th>B<tr><td>1<td>2</table>\n\n- Two\n"
    (block,) = blocks_of(converted_html(text))
    assert block == "- One\n\n  | A | B |\n  | --- | --- |\n  | 1 | 2 |\n\n- Two"


@pytest.mark.parametrize(
    "text",
    [
        '<a name="x"></a>\n\nWords.', "Words <b>in</b> text", "<bucket>\n\nWords.", "<!-- c -->",
        "```html\n<p>x</p>\n```", "    <p>x</p>\n", "| a |\n| --- |\n| <br> |\n",
    ],
)  # fmt: skip
def test_markdown_without_blocks_of_html_needs_no_parser(text: str) -> None:
    assert not has_html_blocks(text)


@pytest.mark.process
def test_html_within_a_file_is_converted_below_its_front_matter() -> None:
    content = (
        b"---\ntitle: T\n---\n\n<h2 id=limits>Limits</h2>\n<p>At most 2<sup>20</sup> items.</p>\n"
    )
    text = convert(content, "page.md").text
    assert text.startswith("---\ntitle: T\n---\n")
    (_, section) = sections(text.partition("---\n\n")[2])
    assert (section.headings, section.anchor) == (("Limits",), "limits")
    assert section.blocks[0].text == "At most 2^20 items."
