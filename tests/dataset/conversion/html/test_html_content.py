"""HTML: content and page furniture; superscripts, subscripts and note marks."""

import pytest

from dataset.conversion.html.reader import read_html
from tests.dataset.conversion.html.converted import text_of
from utils.errors import DocumentError

REST = f"<p>{'The rest of the page is longer than any part of it. ' * 9}</p>"


@pytest.mark.parametrize(
    "attribute",
    [
        "id=pagination",
        "id=session-cookies",
        "class=share-settings",
        "id=user-consent class=feedback",
        "class='toc social'",
        "id=advertisement",
        "class=visually-hidden",
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        "<h2>Sharing</h2><p>Seven accounts.</p>",
        "<p>Seven accounts may read it.</p>",
        "<ul><li>It is shared with seven accounts, and no more than those</li></ul>",
    ],
)
def test_section_named_like_furniture_is_content(attribute: str, content: str) -> None:
    assert "even accounts" in text_of(f"<main>{REST}<section {attribute}>{content}</section>")


@pytest.mark.parametrize(
    "furniture",
    [
        "<div class=breadcrumbs><a href=/>Home</a> / <a href=/x>Keys</a></div>",
        "<div class=pagination><a href=1>Previous page</a> 3 of 9 <a href=2>Next page</a></div>",
        "<div class=feedback>Was this page helpful? <button>Yes</button></div>",
        "<div class=newsletter><p>Our news reach you by mail each week.</p><input><button>Go</div>",
        "<div class=newsletter><h3>Our news</h3><form>Twice a year.<input type=email></form></div>",
        "<div id=cookie-banner><p>We use cookies to improve this.</p><button>OK</button></div>",
        "<div role=dialog><h2>Cookies</h2><p>We use cookies here.</p></div>",
        "<aside><ul><li><a href=1>Another page about it</a><li><a href=2>One more</a></ul></aside>",
        "<footer><p>\u00a9 2026 Kilns Inc. All rights are reserved by it.</p></footer>",
        "<header><a href=/>Kilns</a> <a href=/docs>Documentation</a></header>",
        "<nav><p>All of the pages are listed here.</p></nav>",
    ],
)
def test_furniture_is_recognised_by_what_it_contains(furniture: str) -> None:
    assert text_of(f"{furniture}{REST}{furniture}") == text_of(REST)


@pytest.mark.parametrize(
    "content",
    [
        "<aside><p>A key lives for four days.</p></aside>",
        "<section><aside>Four days.</aside></section>",
        "<blockquote><p>Words</p><footer>Four days</footer></blockquote>",
        "<article><footer><p>A key lives for four days.</p></footer></article>",
        "<fieldset><legend>Four days</legend></fieldset>",
        "<label>Four days</label>",
        "<menu><li>A key lives for four days.</menu>",
        "<aside epub:type=footnote>Four.<br>days</aside>",
        "<aside>Maximum: four</aside>",
        "<menu><li>Four 5<li>Fish 9</menu>",
        "<article><header><h2>Four</h2></header></article>",
        "<article><header><p>By four</p></header></article>",
        "<footer><h2>Four</h2><p>The privacy policy states the rest.</p></footer>",
        "<table><tr><td>Ash<td class=share>four<td>9</table>",
        "<ul><li class=toc>Four</ul>",
        "<p>Rated <span class=social>four</span></p>",
        "<dl id=cookies><dt>session<dd>four</dl>",
        "<section id=cookies><p>It is stored for four days.</p><button>Copy</button></section>",
        "<p>Click the <button>Four</button> button.</p>",
        "<h3>1. <button aria-expanded=true>Four</button></h3>",
        "<section id=newsletter><h2>Newsletter</h2><p>At most four a day.</p><input type=email>",
    ],
)
def test_text_beside_the_main_thread_is_content(content: str) -> None:
    assert "our" in text_of(f"<p>{REST}</p>{content}").removeprefix(text_of(REST))


@pytest.mark.parametrize(
    "collapsed",
    [
        "<h3><button aria-expanded=false>How long?</button></h3><div hidden><p>30 days</div>",
        "<button aria-controls=a>How long?</button><p>Else.</p><div id=a hidden>30 days</div>",
        "<div class=faq><button>How long?</button></div><div style='display:none'>30 days</div>",
        "<button class=accordion-button>How long</button><div aria-hidden=true>30 days</div>",
        "<a href=#a>How long?</a><div>Else.</div><div id=a hidden>30 days</div>",
        "<p>How long?</p><p hidden>30 days</p>",
        "<dl><dt><button>How long?</button></dt><dd hidden>30 days</dd></dl>",
        "<h3>How long?</h3><div hidden=until-found>30 days</div>",
        "<details><summary>How long?</summary>30 days</details>",
        "<button onclick='toggle()'>How long it is</button><div hidden>30 days</div>",
        "<div role=button aria-expanded=false>How long it is</div><div hidden>30 days</div>",
        "<div class=faq-question>How long it is</div><div style='display:none'>30 days</div>",
    ],
)
def test_collapsed_questions_and_answers_are_content(collapsed: str) -> None:
    text = text_of(f"<main>{REST}{collapsed}</main>")
    assert "How long" in text
    assert "30 days" in text


@pytest.mark.parametrize(
    "opening",
    [
        "div class=contact-info", "section class=info", "div class=info-box", "div class=tip-jar",
        "div class=release-note", "div class=error", "div class=error-code", "aside class=note-box",
        "section class=important-dates", "div class=versionadded", "details class=alerts-list",
    ],
)  # fmt: skip
def test_class_that_only_resembles_a_kind_of_note_adds_no_label(opening: str) -> None:
    box = f"<{opening}><p>Ring twice, please.</p></{opening.split()[0]}>"
    assert text_of(f"<main>{REST}{box}</main>") == f"{text_of(REST)}\n\nRing twice, please."


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        ("admonition info", "Info"),
        ("custom-block info", "Info"),
        ("hint-container info", "Info"),
        ("box notices cstyle info", "Info"),
        ("theme-admonition theme-admonition-info alert alert--info", "Info"),
        ("confluence-information-macro confluence-information-macro-information", "Info"),
        ("confluence-information-macro confluence-information-macro-note", "Note"),
        ("markdown-alert markdown-alert-caution", "Caution"),
        ("starlight-aside starlight-aside--tip", "Tip"),
        ("callout callout-style-default callout-important", "Important"),
        ("admonitionblock warning", "Warning"),
        ("awsdocs-note awsdocs-important", "Note"),
        ("alert alert-danger", "Danger"),
        ("admonition seealso", "See also"),
    ],
)
def test_notes_of_known_generators_are_labelled(classes: str, label: str) -> None:
    box = f"<div class='{classes}'><p>Ring twice, please.</p></div>"
    assert text_of(f"<main>{REST}{box}</main>").endswith(f"\n\n{label}: Ring twice, please.")


TAB_LIST = "<ul role=tablist><li role=tab {}>Console</li><li role=tab {}>CLI</li></ul>"
LABELS = "<input type=radio id=x><input type=radio id=y>{}<label for=x>Console</label>{}"


@pytest.mark.parametrize(
    "tabs",
    [
        TAB_LIST.format("aria-controls=a", "aria-controls=b")
        + "<div id=a role=tabpanel>Open it.</div><div id=b hidden aria-hidden=true>Type it.</div>",
        TAB_LIST.format("id=a", "id=b") + "<div role=tabpanel aria-labelledby=a>Open it.</div>"
        "<div role=tabpanel aria-labelledby=b hidden>Type it.</div>",
        f"<div>{TAB_LIST}</div><div><div role=tabpanel>Open it.</div>"
        "<div role=tabpanel hidden>Type it.</div></div>",
        "<ul><li><a data-toggle=tab href=#a>Console</a><li><a data-toggle=tab href=#b>CLI</a></ul>"
        "<div><div id=a>Open it.</div><div id=b style='display: none'>Type it.</div></div>",
        LABELS.format("<div>", "<label for=y>CLI</label></div>")
        + "<div><div>Open it.</div><div>Type it.</div></div>",
        "<div class=tabs><button>Console</button><button>CLI</button></div>"
        "<div><div>Open it.</div><div>Type it.</div></div>",
        f"{TAB_LIST}<div role=tabpanel><p><b>Console</b></p><p>Open it.</div>"
        "<div role=tabpanel>Type it.</div>",
    ],
)
def test_each_panel_is_preceded_by_the_name_of_its_tab(tabs: str) -> None:
    text = text_of(f"<main>{REST}{tabs}</main>").removeprefix(text_of(REST)).strip()
    assert text == "**Console**\n\nOpen it.\n\n**CLI**\n\nType it."


@pytest.mark.parametrize(
    ("tabs", "text"),
    [
        (
            "<div role=tablist><h3 role=tab>How?</h3><div role=tabpanel hidden>So.</div></div>",
            "### How?\n\nSo.",
        ),
        (
            TAB_LIST.format("aria-controls=a", "aria-controls=a") + "<div id=a>Open it.</div>",
            "Open it.",
        ),
        (LABELS.format("", "<p>Open it.</p>"), "Console\n\nOpen it."),
        (
            "<div><input type=radio id=x><label for=x>Console</label> <input type=radio id=y>"
            "<label for=y>CLI</label></div><div><div>Open it.</div><div>Type it.</div></div>",
            "Console CLI\n\nOpen it.\n\nType it.",
        ),
        (
            "<input type=radio id=x><p><label for=x>Good, see <a href=#b>terms</a></label></p>"
            "<h2>Terms</h2><div id=b>So.</div>",
            "Good, see terms\n\n## Terms\n\nSo.",
        ),
        (
            "<div class=stable><button>Export</button><button>Import</button></div>"
            "<div><div>Open it.</div><div>Type it.</div></div>",
            "Open it.\n\nType it.",
        ),
        (
            "<p><a role=tab href=#a>Get it</a></p><h2 id=a>Console</h2>So.",
            'Get it\n\n## Console<a name="a"></a>\n\nSo.',
        ),
        (
            f"{TAB_LIST}<div><pre>open</pre><pre>type</pre></div>",
            "**Console**\n\n```\nopen\n```\n\n**CLI**\n\n```\ntype\n```",
        ),
    ],
)
def test_panels_are_named_only_by_tabs_of_their_own(tabs: str, text: str) -> None:
    assert text_of(f"<main>{tabs}</main>") == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("2<sup>32</sup> rows", "2^32 rows"),
        ("<b>10</b><sup>-6</sup>", "**10**^(-6)"),
        ("the 1<sup>st</sup> of", "the 1st of"),
        ("H<sub>2</sub>O, 101<sub>2</sub>", "H2O, 101_2"),
        ("<code>2<sup>32</sup></code>", "`2^32`"),
        ("<pre>2<sup>32</sup></pre>", "```\n2^32\n```"),
        ("100<sup><a href=#n1>1</a></sup> keys", "100[^1] keys"),
        ("four days<a href=#n1><sup>1</sup></a>", "four days[^1]"),
        ("four <nobr>days</nobr><wbr><sup><a href=#n1>1</a></sup>", "four days[^1]"),
        ("days <a href=#r1 role=doc-backlink>\u21a9\ufe0e</a>", "days"),
        ("four days<a epub:type=noteref href=#n1>1</a>", "four days[^1]"),
        ("four days<a class=footnote-reference href=#n1>1</a>", "four days[^1]"),
        ("said<sup><a href=#fn1>[1]</a></sup>", "said[^1]"),
        ("<p>Words</p><p><sup>1</sup>4 keys</p>", "Words\n\n1 4 keys"),
        ("<ruby>\u9375<rt>kagi</rt></ruby>", "\u9375(kagi)"),
        ("<ruby>\u9375<rp>(</rp><rt>kagi</rt><rp>)</rp></ruby>", "\u9375(kagi)"),
        ("<math><msup><mn>2</mn><mn>32</mn></msup></math>", "2^32"),
        ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "1/2"),
        (
            "<aside class=footnote><span class=label>[1]</span><p>Four days.</p></aside>",
            "[^1]: Four days.",
        ),
    ],
)
def test_what_is_raised_or_lowered_is_never_a_digit_of_the_number_before(
    html: str, text: str
) -> None:
    assert text_of(f"<main>{html}</main>") == text


def test_title_keeps_its_powers() -> None:
    assert read_html(b"<h1>At most 2<sup>32</sup></h1>", "").title == "At most 2^32"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ol start=3><li value=5>Open<li>Close</ol>", "5. Open\n6. Close"),
        ("<ol><div><li>Open</div><div><li>Close</div></ol>", "1. Open\n2. Close"),
        ("<ol reversed><div><li>Open</div><li>Close</ol>", "2. Open\n1. Close"),
        ("<ol reversed><li>Open<li>Close</ol>", "2. Open\n1. Close"),
        ("<ol><li>Open<li><img src=x><li>Close</ol>", "1. Open\n3. Close"),
        ("<ol type=a start=2><li>Open<li><p>Close<ul><li>x</ul></ol>",
         "- b. Open\n- c. Close\n  - x"),
        ("<ol type=A start=28><li>Open</ol>", "- AB. Open"),
        ("<ol type=i><li>Open<li><pre>x</pre></ol>", "- i. Open\n\n- ii.\n\n  ```\n  x\n  ```"),
        ("<ol class='loweralpha simple'><li>Open</ol>", "- a. Open"),
        ("<ol style='list-style-type: upper-roman'><li value=4>Open</ol>", "- IV. Open"),
    ],
)  # fmt: skip
def test_items_have_the_numbers_that_the_page_shows(html: str, text: str) -> None:
    assert text_of(html) == text


def test_text_around_an_article_is_content_if_it_has_headings_and_is_longer() -> None:
    page = f"<h1>Kilns</h1>{REST}<article><p>A key lives for four days.</p></article>"
    assert text_of(f"<body>{page}").startswith("# Kilns\n\nThe rest of the page")


def test_several_articles_are_content() -> None:
    page = f"<h1>Help</h1><article><h2>One</h2>{REST}</article><article><h2>Two</h2>Words</article>"
    assert text_of(page).endswith("## Two\n\nWords")


def test_notes_and_introduction_beside_the_main_element_are_content() -> None:
    page = (
        "<header><h1>Backup</h1><p>This guide explains how to back up the server.</p></header>"
        f"<main>{REST}</main><section class=footnotes><ol><li>Four days.</ol></section>"
    )
    text = text_of(page)
    assert text.startswith("# Backup\n\nThis guide explains")
    assert text.endswith("1. Four days.")


def test_cell_may_span_hundreds_of_rows() -> None:
    rows = "<tr><td>a<td>b" * 300
    text = text_of(f"<table><tr><th>A<th>B<th>C<tr><td rowspan=301>s<td>a<td>b{rows}</table>")
    assert text.split("\n")[2:] == ["| s | a | b |"] * 301


def test_every_element_may_state_an_id_and_labels() -> None:
    assert text_of("<body id=x aria-labelledby=y aria-labelled-by=z>Dry it.") == "Dry it."


def test_page_of_furniture_alone_has_no_text() -> None:
    with pytest.raises(DocumentError, match="contains no text"):
        text_of("<nav><a href=/>Home</a></nav><footer>\u00a9 2026</footer>")
