"""HTML and links to addresses of no passage are shown as text; code and other text is unchanged."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from database.searching.passage import Passage
from inference_worker.generation.reply import ReplyParser
from inference_worker.grounding.active_content import ActiveContentFilter, without_active_content
from inference_worker.grounding.citations import CitationFilter
from inference_worker.grounding.visible_text import visible
from tests.files.markdown_client import active_parts, shown_text
from tests.files.pages import chunk
from tests.stopwatch import assert_linear_time
from utils.evaluation.answers import read_replies

KNOWN = "https://known.example/a"
TEXT = f"See {KNOWN}, [the guide](https://known.example/guide) or mail me@known.example."
PASSAGES = [
    Passage(replace(chunk(TEXT, title="https://title.example"), url=f"{KNOWN}#part"), TEXT, 0.5)
]
REPLIES = Path(__file__).parents[3] / "utils" / "evaluation" / "replies"


def filtered(*pieces: str) -> str:
    active = ActiveContentFilter(PASSAGES)
    return "".join([*map(active.feed, pieces), active.finish()])


SHOWN = {
    "<script>alert(1)</script>": "&lt;script>alert(1)&lt;/script>",
    "a <img src=x onerror=alert(1)> b": "a &lt;img src=x onerror=alert(1)> b",
    "<svg onload=alert(1)>": "&lt;svg onload=alert(1)>",
    "<x onclick=alert(1)>": "&lt;x onclick=alert(1)>",
    "<x\nonclick=alert(1)>": "\\<x\nonclick=alert(1)>",
    "<!-- hidden --> <?php ?>": "&lt;!-- hidden --> &lt;?php ?>",
    "\\<script>": "&lt;script>",
    "<javascript:alert(1)>": "&lt;javascript:alert(1)>",
    "[here](https://evil.example/x)": "here (`https://evil.example/x`)",
    "[here](https://evil.example/x 'title')": "here (`https://evil.example/x` 'title')",
    "[here](<https://evil.example>)": "here (&lt;`https://evil.example`>)",
    "[here](javascript:alert(1))": "here (`javascript:alert(1)`)",
    "[here](data:text/html,x)": "here (`data:text/html,x`)",
    "[here](//evil.example)": "here (`//evil.example`)",
    "[here](mailto:a@evil.example)": "here (`mailto:a@evil.example`)",
    "[`code`](https://evil.example)": "[`code`] (`https://evil.example`)",
    "[1](https://evil.example)": "1 (`https://evil.example`)",
    "[x][r]\n\n[r]: https://evil.example": "[x][r]\n\nr: `https://evil.example`",
    "[1]\n\n- [1]: https://evil.example": "[1]\n\n- 1: `https://evil.example`",
    "<https://evil.example/x>": "&lt;`https://evil.example/x`>",
    "Visit https://evil.example/x.": "Visit `https://evil.example/x`.",
    "Visit https\\://evil.example or www.evil.example": (
        "Visit `https\\://evil.example` or `www.evil.example`"
    ),
    "<C<script>": "\\<C&lt;script>",
    "\\https://evil.example": "\\ `https://evil.example`",
    "`a`https://evil.example`b`": "`a` `https://evil.example` `b`",
    "Mail a@evil.example": "Mail a`@evil.example`",
    "https&#58;//evil.example &#x202e;x": "https&amp;#58;//evil.example &amp;#x202e;x",
    "![x](https://evil.example/i)": "!\\[x] (`https://evil.example/i`)",
    "A ![1](kiln.png).": "A !\\[1] (`kiln.png`).",
    f"![a][b] ![x]({KNOWN})": f"!\\[a][b] !\\[x]({KNOWN})",
    "[![a](https://evil.example/i)](https://evil.example/l)": (
        "[!\\[a] (`https://evil.example/i`)] (`https://evil.example/l`)"
    ),
}


@pytest.mark.parametrize(("written", "shown"), SHOWN.items())
def test_active_content_is_shown_as_text_in_any_pieces(written: str, shown: str) -> None:
    assert filtered(written) == shown
    assert filtered(*written) == shown
    assert all(filtered(written[:at], written[at:]) == shown for at in range(len(written)))
    assert filtered(shown) == shown
    assert active_parts(shown) == []


UNCHANGED = [
    "A kiln dries `<crowd-form>` and `[x](https://evil.example)` [1][2].",
    "```html\n<script src='https://evil.example'></script>\n[x](javascript:1)\n```\nDone.",
    "1. Run:\n\n   ```sh\n   curl <host>\n   ```\n2. Stop.",
    "~~~\n<b>\n~~~\n",
    f"[the guide]({KNOWN}), <{KNOWN}>, {KNOWN}. or me@known.example",
    "- Run `cat <a> | sort`\n- Then `b`",
    "| a | b |\n|---|---|\n| `<x>` | 1 |",
    "0<=x<1, a < b, x <- y, 5 > 3, AT&T, a && b, &lt;b> and &nbsp;",
    "Great![1] As in [1]:\n- a [2]: b",
    "arr[0] (x), Optional[str], s3://bucket/key, user@host, image@sha256:1",
    "Data sources: S3.\nResources:\n- a",
    "**Bold** _it_ # no\n# Heading\n---\n> quote\n\n\\* and \\\\",
    "\u0645\u06cc\u200c\u062e \u26a0\ufe0f 日本語",
]


@pytest.mark.parametrize("text", UNCHANGED)
def test_code_known_addresses_and_ordinary_markdown_are_unchanged(text: str) -> None:
    assert filtered(text) == text == filtered(*text)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Use <bucket-name>.", "Use \\<bucket-name>."),
        ("s3://<bucket>/<your key>/x", "s3://\\<bucket>/\\<your key>/x"),
        ("a List<String> of <crowd-form>", "a List\\<String> of \\<crowd-form>"),
        ("while i<n", "while i\\<n"),
    ],
)
def test_placeholder_outside_code_stays_readable_in_plain_text_and_in_a_client(
    written: str, shown: str
) -> None:
    assert filtered(written) == shown
    assert shown_text(shown) == written


DISGUISED_AS_CODE = {
    "an escaped backtick": "\\`<img src=x>\\`",
    "a backtick of the line before": "a ` b\n`<img src=x>`",
    "an escaped backslash": "\\\\\\`<img src=x>`",
    "a long run of backticks": f"{'`' * 65}<img src=x>{'`' * 64}",
    "a run cut at the limit": f"`{'a' * 480} <img src=x> {'b' * 5}``",
    "a bar in a table": "| a | b |\n|---|---|\n| `x | <img src=x>` |",
    "a bar in a table without edges": "a | b\n-|-\n`x | <img src=x>`",
    "a bar in a table's head": "`x | <img src=x>`\n--|--",
    "a long line below a table's head": f"`x | <img src=x>`\n{'-' * 300}|--",
    "a fence after text": f"a{' ' * 120}```\n<img src=x>",
    "a fence that is indented code": "a\n\n    ```\n<img src=x>",
    "a fence in a list that ends": "- a\n\n  ```\n<img src=x>",
    "a fence in a quotation that ends": "> ```\n<img src=x>",
    "a fence with a backtick far behind": f"```{'a' * 120}`\n<img src=x>",
    "a fence closed by another space": "```\n```\u00a0\n```\n<img src=x>",
    "a long closing fence": f"```\n```{' ' * 150}\n<img src=x>",
    "a closing fence with an indent": "```\n    ```\n```\n<img src=x>",
    "a link's title": f'[a]({KNOWN} "`") <img src=x> `',
    "a link's address": "[a](`) <img src=x> `",
    "a return": "`a\r\r<img src=x>`",
}


@pytest.mark.parametrize("text", DISGUISED_AS_CODE.values(), ids=DISGUISED_AS_CODE)
def test_html_that_only_seems_to_be_in_code_is_inactive(text: str) -> None:
    text = visible(text)
    assert active_parts(text)
    assert active_parts(filtered(text)) == []
    assert filtered(*text) == filtered(text)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("1. a\n   - b\n     ```\n     <x>\n       y\n     ```\n   - c", "<x>\n  y\n"),
        ("- ```\n  <x>\n  ```\n", "<x>\n"),
        ("   ```\n<x>\n```\nb", "<x>\n"),
    ],
)
def test_indented_code_stays_code(written: str, code: str) -> None:
    assert code in shown_text(filtered(written))


def test_shown_content_is_reported_with_its_place() -> None:
    active = ActiveContentFilter(PASSAGES)
    text = active.feed("Run <script>x</script>, [a](https://evil.example), a<n.")
    text += active.finish()

    assert [(each.kind, each.text) for each in active.shown] == [
        ("html", "&lt;script"),
        ("url", "https://evil.example"),
    ]
    assert all(text[each.start : each.end] == each.text for each in active.shown)


@pytest.mark.parametrize(
    "heading", ["Sources:", "**Sources:**", "## Sources", "sources", "*Read next*:", "> Sources:"]
)
def test_list_headed_like_one_of_the_service_is_marked(heading: str) -> None:
    text = f"A [1].\n\n{heading}\n- [1] Official"

    assert filtered(text) == filtered(*text) != text
    assert "(as this text names them, unchecked)" in filtered(text)
    assert not re.search(r"(?im)^\W*(?:sources|read next)\W*$", filtered(text))


def test_address_in_a_title_is_not_known() -> None:
    assert filtered("https://title.example") == "`https://title.example`"


PARTS = [
    *SHOWN,
    *DISGUISED_AS_CODE.values(),
    *"[ ] ( ) ![ ]( ]: ` `` ``` ~~~ < > | - 1. # \\ * = & @ : / ' \"".split(" "),  # noqa: SIM905
    *(" ", "    ", "\n", "\n\n", "\t", "word", "> ", "- ", "\n```\n", "   ```\n", "<b>", "<div\n"),
    *("--|--", "[x]: ", "https:", "javascript:", f"]({KNOWN})", "Sources", "&#104;", "\x1b", "\r"),
]
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=12).map("".join)


@given(TEXTS, st.lists(st.integers(0, 200), max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_text_is_inactive_stable_and_whole_in_any_pieces(text: str, cuts: list[int]) -> None:
    text = visible(text)
    ends = [0, *sorted(cuts), len(text)]
    shown = filtered(text)

    assert filtered(*(text[start:end] for start, end in pairwise(ends))) == shown
    assert filtered(shown) == shown
    assert set(active_parts(shown)) <= {KNOWN}
    assert _essence(shown) == _essence(text)


def _essence(text: str) -> str:
    """The text without the characters that the filter adds or drops."""
    text = text.replace(" (as this text names them, unchecked)", "")
    return re.sub(r"[\\`\s\[\]]", "", text.replace("&lt;", "<").replace("&amp;", "&"))


@pytest.mark.parametrize("name", ["api_sample.jsonl", "guide.jsonl"])
def test_recorded_answers_are_unchanged_but_for_the_indent_of_nested_code(name: str) -> None:
    changed = {}
    for question, calls in read_replies(REPLIES / name).items():
        for call in calls:
            reply, citations = ReplyParser(may_search=False), CitationFilter(60)
            written = citations.feed(reply.feed(call["reply"]) + reply.finish())
            written += citations.finish()
            passages = [
                replace(PASSAGES[0], text=" ".join(re.findall(r"https?://[^\s)`]+", written)))
            ]
            shown = without_active_content(written, passages)
            if shown != written:
                changed[question] = [line.strip() for line in written.split("\n")] == [
                    line.strip() for line in shown.split("\n")
                ]

    assert changed in ({}, {"dev-059": True})


@pytest.mark.parametrize(
    "unit",
    ["<", "[", "](", "`", "~", " ", "-", "\n-", "&", "www.", "https://", "a@b", "[x]:\n", "|"],
)
def test_hostile_text_is_filtered_in_linear_time(unit: str) -> None:
    def work(text: str) -> None:
        filtered(text)
        filtered(*(text[at : at + 5] for at in range(0, len(text), 5)))

    assert_linear_time(work, unit)
