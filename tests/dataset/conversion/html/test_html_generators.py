"""HTML as the generators of documentation write it."""

from contextlib import suppress

import pytest

from dataset.conversion.html.reader import read_html
from tests.dataset.conversion.html.converted import text_of
from tests.stopwatch import assert_linear_time
from utils.errors import DocumentError

WORDS = "<p>A kiln dries oak, ash and elm.</p>"


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ("<li><input type=checkbox disabled checked> Dry<li><input type=checkbox disabled> Cut",
         "- [x] Dry\n- [ ] Cut"),
        ("<li class=task-list-item><label><input type=checkbox checked>Dry</label>", "- [x] Dry"),
        ("<li><div class='checkbox checkbox-on'></div> Dry", "- [x] Dry"),
        ("<li><div class='checkbox checkbox-off'></div> Dry", "- [ ] Dry"),
        ("<li><input type=checkbox> Dry", "- Dry"),
        ("<li><label><input type=checkbox><span class=checkbox></span> Dry</label>", "- Dry"),
    ],
)  # fmt: skip
def test_box_of_a_task_shows_whether_it_is_done(items: str, text: str) -> None:
    assert text_of(f"<ul>{items}</ul>") == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ("<td class=linenos><pre>1\n2</pre>", "```\na\nb\n```"),
        ("<td class='rouge-gutter gl'><pre class=lineno>1\n2</pre>", "```\na\nb\n```"),
        ("<th class=filename colspan=2>f<tr><td class=linenos>1\n2", "f\n\n```\na\nb\n```"),
        ("<td><pre>1\n2</pre>", "```\n1\n2\n```\n\n```\na\nb\n```"),
    ],
)
def test_numbers_of_lines_beside_code_are_no_text(numbers: str, text: str) -> None:
    assert text_of(f"<table><tr>{numbers}<td><pre>a\nb</pre></table>") == text
    assert "| 12 |" in text_of("<table><tr><th>Line<th>By<tr><td class=lineno>12<td>Ada</table>")


def test_cells_of_a_table_keep_their_columns_whatever_their_class() -> None:
    heads = "<table><tr><th>Line number<th>Code<tr>"
    row = "<td class=line-number>42<td><pre>x = 1</pre></table>"
    assert text_of(heads + row).endswith("| 42 | `x = 1` |")
    row = "<td class=checkbox-on><td>disk</table>"
    assert text_of(heads + row).endswith("|  | disk |")


@pytest.mark.parametrize(
    "number",
    [
        "<span class=ln>{}</span>", "<span class='linenumber react-line-number'>{}</span>",
        "<span class=line-number>{}\n</span>", "<i class=lnt>{}</i>", "<b class=lineNo> {}</b>",
        "<b class=lineno>{}:</b>", "<b class=lineno>{}. </b>", "<b class=lineno>{} | </b>",
    ],
)  # fmt: skip
def test_number_of_a_line_is_no_part_of_its_code(number: str) -> None:
    lines = "\n".join(f"{number.format(n)}{n} + x" for n in (1, 2))
    assert text_of(f"<pre class=line-numbers>{lines}</pre>") == "```\n1 + x\n2 + x\n```"
    assert text_of("<pre>a<b class=line-number>x1</b></pre>") == "```\nax1\n```"


def test_signature_of_a_function_is_code() -> None:
    signature = (
        "<b>put</b>(<em><i>key</i>: <i>str</i></em>, <em>ttl=30</em>)"
        "<a href=x.html><span>[source]</span></a><a class=headerlink href=#put>¶</a>"
    )
    text = text_of(f"<dl class=py><dt class='sig sig-object'>{signature}<dd>Puts.</dl>")
    assert text == "- `put(key: str, ttl=30)`: Puts."


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("-v, --verbose<a class=headerlink href=#v>#</a>", "-v, --verbose"),
        (
            "array(n)<a href=https://x.example/a.py><span>[source]</span></a>"
            "<a class=headerlink href=https://x.example/#a>#</a>",
            "array(n)",
        ),
        ("template&lt;typename T&gt;<br>class Kiln", "template<typename T> class Kiln"),
        ("load(at: <a href=#link>Link</a>)", "load(at: Link)"),
    ],
)
def test_links_of_a_signature_are_no_part_of_it(signature: str, text: str) -> None:
    assert text_of(f"<dl><dt class=sig>{signature}<dd>Dries.</dl>") == f"- `{text}`: Dries."


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (
            "<div class='admonitionblock tip'><table><tr><td><i class=icon></i><td>Dry it.</table>"
            "</div>",
            "Tip: Dry it.",
        ),
        ("<aside class=note><b>Note:</b> Dry it.</aside>", "**Note:** Dry it."),
        ("<div class='alert alert-info'><u class=label>€</u>20</div>", "Info: €20"),
        (
            "<div class='admonitionblock tip'><table><td><img alt=Tip><td>Dry it.</table></div>",
            "Tip: Dry it.",
        ),
        (
            "<blockquote class='callout callout_info'><h3>\U0001f4d8</h3><p>Dry it.</blockquote>",
            "Note: Dry it.",
        ),
        (
            "<details class='alert alert--info'><summary>Why?</summary>So.</details>",
            "**Why?**\n\nSo.",
        ),
    ],
)
def test_box_is_labelled_as_its_page_shows_it(box: str, text: str) -> None:
    assert text_of(f"<main>{WORDS}{box}</main>") == f"{text_of(WORDS)}\n\n{text}"


@pytest.mark.parametrize(
    ("icon", "shown"),
    [
        ("<i class=icon aria-label=Yes></i>", "Yes"),
        ("<svg role=img aria-label='In beta'><path/></svg>", "In beta"),
        ("<i class='fa fa-check text-success'></i>", "✓"),
        ("<svg class='lucide icon-xmark'></svg>", "✗"),
        ("<i class='fa fa-check'></i> Yes", "Yes"),
        ("<i class='fa-solid fa-circle-check'></i>", "✓"),
        ("<i class='bi bi-check-circle-fill'></i>", "✓"),
        ("<i class='fa fa-circle'></i>", ""),
        ("<i class=not-checked></i>", ""),
        ("<i class='fa fa-check-slash'></i>", ""),
        ("<span class=cross-platform></span>", ""),
        ("<div class=icon-check></div>", ""),
        ("<span title='Learn more'></span>", ""),
    ],
)
def test_icon_alone_in_a_cell_is_read(icon: str, shown: str) -> None:
    table = f"<table><tr><th>Wood<th>Dry<th>By<tr><td>Oak<td>{icon}<td>Ada</table>"
    assert text_of(table).endswith(f"| Oak | {shown} | Ada |")


def test_image_that_names_a_row_is_a_cell() -> None:
    table = "<table><tr><th><th>Fee<tr><td><img alt=Oak><td>5 %</table>"
    assert text_of(table) == "|  | Fee |\n| --- | --- |\n| Oak | 5 % |"


@pytest.mark.parametrize("cell", ["class=check-column", "class=icon-times", "title=Dry"])
def test_empty_cell_is_no_icon(cell: str) -> None:
    table = f"<table><tr><th>Wood<th>Dry<th>By<tr><td>Oak<td {cell}><input type=checkbox><td>Ada"
    assert text_of(table).endswith("| Oak |  | Ada |")


def test_link_back_from_a_reference_is_no_text() -> None:
    assert text_of("<ol><li><b><a href=#r1>^</a></b> Doe 2020.</ol>") == "1. Doe 2020."
    link = "<a role=doc-backlink href=#r1>1.2.0</a>"
    assert text_of(f"<p>Oak {link}</p>") == "Oak"
    assert text_of(f"<h2>{link}</h2>") == "## 1.2.0"


def test_type_of_a_term_follows_a_colon() -> None:
    word = "<i>load</i> <span class=classifier>int</span>"
    assert text_of(f"<dl><dt>{word}<dd>Dries.</dl>") == "- ***load* : int**: Dries."
    assert text_of(f"<p>{word}") == "*load* int"


def test_notes_below_the_content_belong_to_it() -> None:
    page = f"<div id=content>{WORDS}</div><div><div class=footnote>Four days.</div></div>"
    assert text_of(f"{page}<div>Version 1.2</div>") == f"{text_of(WORDS)}\n\nFour days."


def test_heading_that_is_the_title_of_the_page_is_read_above_the_content() -> None:
    page = f"<h1>{{}}</h1><div id=main-content><h1>Woods</h1>{WORDS}</div>"
    head = "<title>Kilns : Loads</title>"
    assert read_html((head + page.format("Kilns : Loads")).encode(), "").title == "Kilns : Loads"
    assert text_of(head + page.format("Kilns")).startswith("# Woods")


@pytest.mark.parametrize(
    "words", ["Edit this page", "Suggest Edits", "View page source", "Edit on GitHub"]
)
def test_link_to_edit_the_page_is_no_text(words: str) -> None:
    link = f"<a href='https://x.example/edit/a.md'>{words}</a>"
    assert text_of(f"<main>{WORDS}<div>{link}</div></main>") == text_of(WORDS)
    assert words in text_of(f"<main>{WORDS}<p>Click {link} then.</p></main>")
    assert words in text_of(f"<main>{WORDS}<p><b>Click</b>{link}</p></main>")
    assert words in text_of(f"<main>{WORDS}<ul><li>{link}</ul></main>")


@pytest.mark.parametrize("words", ["View on GitHub", "View source", "View source on GitHub"])
@pytest.mark.parametrize("around", ["<p>{}", "<table><tr><th>Bert<td>{}</table>", "<div>{}</div>"])
def test_link_to_the_source_of_a_program_is_content(words: str, around: str) -> None:
    link = f"<a href='https://x.example/tree/main/bert'>{words}</a>"
    assert link.split("'")[1] in text_of(f"<main>{WORDS}{around.format(link)}</main>")


def test_button_beside_a_heading_is_no_part_of_it() -> None:
    assert text_of("<h2>Struct Kiln<button>Copy path</button></h2>") == "## Struct Kiln"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h3>\n <button class=toggle>Dry it</button>\n</h3>", "### Dry it"),
        ("<h3><i class=icon></i><button>Dry it</button></h3>", "### Dry it"),
        (
            "<h3><span><button>Dry it</button></span><a href=#a>¶</a></h3>",
            '### Dry it<a name="a"></a>',
        ),
        ("<dl><dt><button>Default</button> <dd>5 s</dl>", "- **Default**: 5 s"),
    ],
)
def test_button_that_is_all_of_a_heading_is_its_text(html: str, text: str) -> None:
    assert text_of(html) == text


def test_button_in_code_leaves_no_space() -> None:
    assert text_of("<pre><button>Copy</button><code>a</code></pre>") == "```\na\n```"


@pytest.mark.parametrize(
    ("opening", "unit"),
    [
        ("<p>", "<button>x</button>"),
        ("<main>", "<p role=tablist><a role=tab>x</a></p>"),
        ("<table><tr>", "<td class=ln>1</td>"),
        ("<dl><dt class=sig>", "\u00b6"),
    ],
)
def test_time_is_in_proportion_to_the_page(opening: str, unit: str) -> None:
    def read(text: str) -> None:
        with suppress(DocumentError):  # the table has too many columns
            text_of(f"{opening}{text * 12}x")

    assert_linear_time(read, unit)
