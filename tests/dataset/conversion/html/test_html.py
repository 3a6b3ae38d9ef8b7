"""HTML to markdown: the main content with its anchors, without page furniture."""

import pytest

from dataset.conversion.html.reader import decoded, read_html
from dataset.markdown.reader import sections
from tests.dataset.conversion.html.converted import converted, text_of
from utils.errors import DocumentError


@pytest.mark.parametrize(
    "heading",
    [
        '<h2 id="limits">Limits</h2>',
        '<h2><a name="limits"></a>Limits</h2>',
        '<h2><a id="limits">Limits</a></h2>',
        '<h2><span id="limits">Limits</span></h2>',
        '<a name="limits"></a><h2>Limits</h2>',
        '<p><a id="limits"></a></p><h2>Limits</h2>',
        '<section id="limits"><h2>Limits</h2></section>',
        '<div id="limits"><div><h2>Limits</h2></div></div>',
        '<h2>Limits<a class="headerlink" href="#limits" title="Permalink">¶</a></h2>',
        '<h2 id="limits">Limits <a class="anchor" href="#other">#</a></h2>',
        '<section id="outer"><h2 id="limits">Limits</h2></section>',
    ],
)
def test_heading_keeps_its_anchor_in_the_form_the_splitter_reads(heading: str) -> None:
    text = text_of(f"<main><h1>T</h1><p>Before.</p>{heading}<p>After.</p></main>")
    assert '## Limits<a name="limits"></a>' in text
    last = sections(text)[-1]
    assert (last.headings, last.anchor) == (("T", "Limits"), "limits")


def test_anchor_belongs_to_the_next_heading_only_if_adjacent() -> None:
    text = text_of('<div id="box"><p>Words.</p><h2>Far</h2></div><h2 id="a">A</h2><h2>B</h2>')
    assert text.split("\n\n") == ["Words.", "## Far", '## A<a name="a"></a>', "## B"]


def test_anchor_before_text_does_not_belong_to_the_next_heading() -> None:
    assert text_of('<main><a name="x"></a>Words.<h2>T</h2></main>') == "Words.\n\n## T"


def test_anchor_that_would_break_the_markup_is_dropped() -> None:
    assert text_of("<h2 id='a\"><b'>T</h2>") == "## T"


def test_page_furniture_is_dropped() -> None:
    page = """
    <body class="cookie-consent-open">
    <header class="site-header"><a href="/">Home</a></header>
    <nav>Menu</nav><div id="cookie-banner">We use cookies</div>
    <main>
      <ol class="breadcrumb"><li>Docs</li></ol>
      <article><header><h1>Crane</h1></header>
      <h2>On this page</h2><ul><li><a href="#a">A</a></li></ul>
      <p hidden>Hidden</p><p style="display: none">Unseen</p>
      <form><p>Kept.</p><input value="typed"><button>Send</button></form>
      <script>run()</script><style>p{}</style><svg><text>drawn</text></svg>
      <div class="feedback">Was this helpful?</div>
      <div role="tabpanel" hidden><p>In a tab.</p></div>
      </article>
    </main>
    <aside>Advertisement</aside><footer>Imprint</footer></body>"""
    assert text_of(page) == "# Crane\n\nKept.\n\nIn a tab."


@pytest.mark.parametrize("title", ["On this page", "In this article", "Topics", "Contents:"])
def test_table_of_contents_is_dropped(title: str) -> None:
    links = "<ul><li><a href=#a>Part A</a><ul><li><a href=b.html>B</a></ul></ul>"
    assert text_of(f"<h1>T</h1><div><h6>{title}</h6>{links}</div><p>Words.") == "# T\n\nWords."
    described = "<ul><li><a href=#a>A</a>: what it is and what it does</ul>"
    assert "what it does" in text_of(f"<h1>T</h1><div><h6>{title}</h6>{described}</div>")


@pytest.mark.parametrize(
    "opening",
    [
        "main",
        "div role=main",
        "div id=main-content",
        "div id=main-col-body",
        "article",
        "div class='x markdown-body'",
    ],
)
def test_main_content_is_detected(opening: str) -> None:
    page = f"<div><p>Before {'words ' * 50}</div><{opening}><h1>T</h1><p>Words.</p></div></main>"
    assert text_of(page).startswith("# T")


def test_page_of_several_articles_keeps_them_all() -> None:
    articles = "".join(f"<article><h2>{n}</h2><p>Words of {n}.</p></article>" for n in "abc")
    assert text_of(articles).count("Words of") == 3


def test_heading_above_the_main_content_is_kept() -> None:
    assert text_of("<div><h1>Crane</h1></div><main><p>Words.</p></main>") == "# Crane\n\nWords."


def test_noise_class_is_kept_if_it_contains_most_of_the_page() -> None:
    words = "All of the page's words."
    assert text_of(f"<div class='toc'><p>{words}</p></div>") == words


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ('<pre><code class="language-python">x = 1</code></pre>', "python"),
        ('<pre class="lang-json">x = 1</pre>', "json"),
        ('<div class="highlight-yaml"><div class="highlight"><pre>x = 1</pre></div></div>', "yaml"),
        ('<div class="highlight highlight-source-shell"><pre>x = 1</pre></div>', "shell"),
        ('<pre class="programlisting"><code class="bash ">x = 1</code></pre>', "bash"),
        ('<pre data-lang="go">x = 1</pre>', "go"),
        ("<pre>x = 1</pre>", ""),
        ('<div class="highlight-default"><pre>x = 1</pre></div>', ""),
    ],
)  # fmt: skip
def test_code_is_fenced_with_its_language(html: str, language: str) -> None:
    assert text_of(html) == f"```{language}\nx = 1\n```"


def test_code_keeps_its_lines_and_gets_a_longer_fence_if_needed() -> None:
    html = (
        "<pre><span class=lineno>1</span><b>def</b> f():\n    return &lt;x&gt;&nbsp;\n\n```<br>"
        "*end*</pre>"
    )
    assert text_of(html) == "````\ndef f():\n    return <x> \n\n```\n*end*\n````"


def test_code_with_line_numbers_is_not_a_table() -> None:
    numbers, code = "<td class=linenos><pre>1\n2</pre>", "<td class=code><pre>a\nb</pre>"
    html = f"<table class=highlighttable><tr>{numbers}{code}</table>"
    assert "```\na\nb\n```" in text_of(html)


def test_tables_become_pipe_tables() -> None:
    html = """<table><caption>Loads</caption>
    <thead><tr><th>Wind</th><th colspan=2>Load | lift</th></tr></thead>
    <tbody><tr><td rowspan=2><p>10</p><p>m/s</p></td><td><code>40</code></td><td>t</td></tr>
    <tr><td><ul><li>a</li><li>b</li></ul></td></tr></tbody></table>"""
    assert text_of(html).split("\n") == [
        "Loads",
        "",
        "| Wind | Load \\| lift |  |",
        "| --- | --- | --- |",
        "| 10<br>m/s | `40` | t |",
        "| 10<br>m/s | a<br>b |  |",
    ]


def test_unclosed_cells_and_items_are_parsed_like_in_browsers() -> None:
    html = "<table><tr><td>1<td>2<tr><td>3<td>4</table><ul><li>a<li>b</ul><p>c<p>d"
    assert text_of(html) == "| 1 | 2 |\n| --- | --- |\n| 3 | 4 |\n\n- a\n- b\n\nc\n\nd"


@pytest.mark.parametrize(
    "html",
    [
        "<table role=presentation><tr><td><p>One.</p><td><p>Two.</p></table>",
        "<table><tr><td><h2>T</h2><td>x</table>",
        "<table><tr><td>Alone.</table>",
        "<table><tr><td>a<td><table><tr><td>b<td>c</table></table>",
    ],
)
def test_layout_table_is_unwrapped(html: str) -> None:
    assert not text_of(html).startswith("|")


def test_table_with_huge_spans_is_refused() -> None:
    cells = "<td colspan=100000000 rowspan=100000000>x"
    with pytest.raises(DocumentError, match="1,000 columns"):
        text_of(f"<table><tr>{cells * 20}</table>")


def test_lists_nest_and_contain_blocks() -> None:
    html = """<ol start=3><li>One<ul><li>Deep</li></ul></li><li><p>Two</p><pre>x</pre></li></ol>
    <ul><li>a</li><ul><li>misplaced</li></ul></ul>"""
    assert text_of(html) == (
        "3. One\n   - Deep\n\n4. Two\n\n   ```\n   x\n   ```\n\n- a\n  - misplaced"
    )


def test_short_definitions_become_a_list_and_long_ones_paragraphs() -> None:
    short = "<dl><dt>Wind</dt><dd>moves</dd><dt><code>Load</code><dt>Weight<dd><p>hangs</p></dl>"
    assert text_of(short) == "- **Wind**: moves\n- `Load`, Weight: hangs"
    tabs = "<dl style='display: none'><dt>Console<dd><p>Open it.</p><pre>x</pre></dl>"
    assert text_of(tabs) == "**Console**\n\nOpen it.\n\n```\nx\n```"


@pytest.mark.parametrize(
    "html",
    [
        '<div class="admonition warning"><p class="admonition-title">Warning</p><p>Wind.</p></div>',
        '<div class="awsdocs-note"><div class="awsdocs-note-title"><h6>Warning</h6></div>'
        '<div class="awsdocs-note-text"><p>Wind.</p></div></div>',
        '<aside class="warning"><p>Wind.</p></aside>',
        '<aside class="note"><strong class="title">Warning:</strong><p>Wind.</p></aside>',
        '<div class="alert alert-warning">Wind.</div>',
        '<blockquote class="warning"><p>Wind.</p></blockquote>',
    ],
)
def test_admonitions_are_labelled_with_their_kind(html: str) -> None:
    assert text_of(f"<p>Before.</p>{html}") == "Before.\n\nWarning: Wind."


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("a <b> bold </b>b <em>it</em> <b></b>", "a **bold** b *it*"),
        ("<code>a`b</code> <kbd>Ctrl</kbd>", "``a`b`` `Ctrl`"),
        ("11<b>08</b> <i>Gr</i>\u00f6\u00dfe <b>a</b>-b", "1108 Gr\u00f6\u00dfe **a**-b"),
        ("2 * 3 *x* a_b_c __d__", "2 * 3 \\*x\\* a_b_c \\__d_\\_"),
        ("&lt;script&gt; a < b", "\\<script> a < b"),
        ("[a](b) `c` \\*", "\\[a](b) \\`c\\` \\\\\\*"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("- no list<br>&gt; no quote", "\\- no list\n\\> no quote"),
        ("a&nbsp;&nbsp;b\u200b\u00adc\n d", "a bc d"),
        ('<img alt="A crane lifts"> <img alt="" src=x> <img alt="image.png">', "A crane lifts"),
        ("was <del>12</del> <q>x</q>", 'was ~~12~~ "x"'),
        ("<a href=https://x.example/a_(b)>t</a>", "[t](https://x.example/a_%28b%29)"),
        ("<a href='javascript:run()'>t</a> <a href='JavaScript:run()'>u</a>", "t u"),
        (
            "<a href='mailto:a_b@c.example?subject=x'><b>Write</b> us</a>.",
            "**Write** us (a_b@c.example).",
        ),
        ("<a href='MAILTO:a_b@c.example'>A_B@c.example</a>", "A_B@c.example"),
        (
            "<a href='tel:+4930123'>Call</a> <a href='tel:+4930123'>+49 (30) 1-23</a>",
            "Call (+4930123) +49 (30) 1-23",
        ),
        ("<a href='#part'>t</a> <a>u</a> <a href=/x></a>", "t u"),
        ("<a href=https://x.example><h2>T</h2></a>", "## T"),
    ],
)
def test_inline_markup_is_converted_and_escaped(html: str, markdown: str) -> None:
    assert text_of(f"<main>{html}</main>") == markdown


def test_links_are_resolved_against_base_canonical_address_or_url() -> None:
    link = "<p><a href='../b.html#c'>b</a>"
    canonical = "<link rel='canonical' href='https://own.example/guide/a.html'>"
    assert text_of(link) == "[b](../b.html#c)"
    assert text_of(canonical + link) == "[b](https://own.example/b.html#c)"
    assert text_of(canonical + link, "https://x.example/y/z/a.html") == (
        "[b](https://x.example/y/b.html#c)"
    )
    base = "<base href='/deep/er/'>"
    assert text_of(base + link, "https://x.example/a") == "[b](https://x.example/deep/b.html#c)"


@pytest.mark.parametrize(
    ("head", "changed"),
    [
        ('<meta property="article:modified_time" content="2026-01-02T03:04:05+01:00">',
         "2026-01-02T02:04:05Z"),
        ('<meta name="Last-Modified" content="2026-01-02">', "2026-01-02"),
        ('<meta property="article:published_time" content="2025-01-01">', "2026-05-06"),
        ('<meta name="date" content="soon">', "2026-05-06"),
    ],
)  # fmt: skip
def test_modification_date_is_read(head: str, changed: str) -> None:
    page = converted(f"{head}<main><h1>T</h1><time datetime=2026-05-06>May</time></main>")
    assert page.changed == changed


def test_title_is_the_first_heading_or_else_from_the_head() -> None:
    assert converted("<title>Site</title><h1>The <i>crane</i> ¶</h1>").title == "The crane"
    assert converted("<title>The\n crane</title><p>x").title == "The crane"
    page = converted("<meta property=og:title content='Crane'><title>Site</title><p>x")
    assert page.title == "Crane"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("Köln".encode(), "Köln"),
        ("\ufeffKöln".encode(), "Köln"),
        ("\ufeffKöln".encode("utf-16-le"), "Köln"),
        ("<meta charset=iso-8859-2>Łódź".encode("iso-8859-2"), "Łódź"),
        (
            "<meta http-equiv=x content='text/html; charset=Shift_JIS'>起重".encode("shift_jis"),
            "起重",
        ),
        (b"<meta charset=utf-8>K\xf6ln", "Köln"),
        (b"<meta charset=iso-8859-1>10\x9620 \x80", "10\u201320 €"),
        ("<meta charset=gb2312>\u9555\u57fa".encode("gb18030"), "镕基"),
        ("<meta charset=big5>\u88cf\u5605".encode("big5hkscs"), "裏嘅"),
        ("<meta charset=euc-kr>\ud7a3".encode("cp949"), "힣"),
        (b"<meta charset=unicode_escape>\\x41", "\\x41"),
        (b"<meta charset=rot13>Uryyb", "Uryyb"),
    ],
)
def test_encoding_is_detected(content: bytes, shown: str) -> None:
    assert decoded(content).endswith(shown)


@pytest.mark.parametrize("tag", ["div", "b", "ul><li", "table><tr><td", "x-box"])
def test_too_deeply_nested_page_is_refused(tag: str) -> None:
    depth = 1000 if tag == "x-box" else 100_000  # unknown tags are not counted before parsing
    with pytest.raises(DocumentError, match="nested too deep"):
        converted(f"<{tag}>" * depth + "x")


def test_self_closing_xhtml_tags_are_empty() -> None:
    page = (
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><i class="x"/><p><a id="p"/>a<br/>b</p>'
    )
    assert text_of(f'{page}<div id="q"/><h2>T</h2><img src="x" alt="A crane"/></body>') == (
        'a\nb\n\n## T<a name="q"></a>\n\nA crane'
    )


def test_nesting_below_the_limit_is_read() -> None:
    assert text_of("<div>" * 200 + "Deep." + "</div>" * 200) == "Deep."


def test_page_without_text_is_refused() -> None:
    with pytest.raises(DocumentError, match="contains no text"):
        read_html(b"<div id=app></div><script>draw()</script>", "")
