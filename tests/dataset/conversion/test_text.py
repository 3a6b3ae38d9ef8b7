"""reStructuredText, notebooks and delimited text to markdown."""

import json
from pathlib import Path
from typing import Any

import pytest

from dataset.conversion import delimited, notebook, rst
from dataset.conversion.converter import Limits, convert
from dataset.dates import pdf_date
from utils.errors import DocumentError


def rst_text(source: str) -> str:
    return rst.read_rst(source.encode(), "").text.strip()


def test_rst_keeps_sections_anchors_lists_code_and_admonitions() -> None:
    source = """
Harbour crane
=============

See `the page <https://x.example/a>`_ and ``lift()``.

.. _before:

Before you lift
---------------

- Brakes
- Lock

  1. once
  2. twice

::

   plain code

.. code-block:: python
   :linenos:
   :emphasize-lines: 1

   x = 1

.. warning:: Wind.

term
  meaning

==== ====
Wind Load
==== ====
10   40
==== ====
"""
    assert rst_text(source).split("\n\n") == [
        '# Harbour crane<a name="harbour-crane"></a>',
        "See [the page](https://x.example/a) and `lift()`.",
        '## Before you lift<a name="before"></a>',
        "- Brakes\n- Lock\n  1. once\n  2. twice",
        "```\nplain code\n```",
        "```python\nx = 1\n```",
        "Warning: Wind.",
        "- **term**: meaning",
        "| Wind | Load |\n| --- | --- |\n| 10 | 40 |",
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("See :ref:`the part <part>` and :class:`~a.b.Crane`.", "See the part and `Crane`."),
        ("Press :kbd:`x` in :doc:`guide`, :py:meth:`!lift`.", "Press `x` in guide, `lift`."),
        (".. versionadded:: 2.0\n   The spreader.", "**Added in version 2.0:** The spreader."),
        (".. seealso:: Others.", "**See also Others.**"),
        (
            ".. py:function:: lift(load)\n   :module: crane\n\n   Lifts.\n\n   :param load: a load",
            "- `lift(load)`: Lifts.\n  - **param load**: a load",
        ),
        (".. tabs::\n\n   .. tab:: One\n\n      In a tab.", "One\n\nIn a tab."),
        (".. only:: html\n\n   Words.", "Words."),
        ("term : integer\n  meaning", "- **term : integer**: meaning"),
        ("See [Lace]_.\n\n.. [Lace] A book.", "[Lace]\n\nA book."),
        (
            ".. contents::\n\nOak\n---\n\nHard.\n\nAsh\n---\n\nTough.",
            'Oak<a name="oak"></a>\n\nHard.',
        ),
        (".. toctree::\n   :maxdepth: 2\n\n   a\n   b\n\nx", "x"),
        (".. automodule:: crane\n   :members:\n\nx", "x"),
        (".. math:: a^2\n   :label: eq", "```\na^2\n```"),
        ("**unclosed and `broken", "\\*\\*unclosed and \\`broken"),
        ("==== ====\na    b\n==== ====\n1 2 3 4 5 6 7 8\n==== ====", "1 2 3 4 5 6 7 8"),
    ],
)
def test_sphinx_and_malformed_rst_lose_no_text(source: str, text: str) -> None:
    assert text in rst_text(source)


def test_rst_reads_no_files_urls_or_raw_html(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    source = f"""
.. include:: {secret}
.. literalinclude:: {secret}
.. raw:: html

   <script>run()</script><p>raw words</p>

.. raw:: html
   :file: {secret}

.. csv-table:: Loads
   :file: {secret}

.. csv-table:: Loads
   :url: http://127.0.0.1:9/x

.. image:: http://127.0.0.1:9/x.png
   :alt: A crane

.. figure:: {secret}

   Caption

.. role:: raw-html(raw)
   :format: html

Words :raw-html:`<b>raw</b>`.
"""
    text = rst_text(source)
    assert "s3cret" not in text
    assert "raw words" not in text
    assert "A crane" in text
    assert "Words" in text


def notebook_text(*cells: dict[str, Any], **more: Any) -> str:
    book = json.dumps({"nbformat": 4, "cells": list(cells), **more})
    return notebook.read_notebook(book.encode(), "").text.strip()


def code_cell(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_notebook_keeps_prose_code_and_text_outputs() -> None:
    html = "<table><tr><th>a<th>b<tr><td>1<td>2</table><button>Convert</button>"
    text = notebook_text(
        {"cell_type": "markdown", "source": ["# Crane\n", "![photo](attachment:a.png) Words."]},
        code_cell(
            "lift(40)",
            {"output_type": "stream", "text": ["\x1b[31mup\x1b[0m\n", "10%\r100%\n"]},
            {"output_type": "execute_result", "data": {"text/plain": "40"}},
            {"output_type": "display_data",
             "data": {"image/png": "QUJD", "text/plain": "<Figure size 1>"}},
            {"output_type": "execute_result", "data": {"text/html": html, "text/plain": "a b"}},
            {"output_type": "error", "ename": "Overload", "evalue": "40 t", "traceback": ["x"]},
        ),
        {"cell_type": "raw", "source": "```raw"},
        metadata={"language_info": {"name": "R"}},
    )  # fmt: skip
    assert text.split("\n\n") == [
        "# Crane\nphoto Words.",
        "```r\nlift(40)\n```",
        "```\nup\n100%\n```",
        "```\n40\n```",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "```\nOverload: 40 t\n```",
        "````\n```raw\n````",
    ]


def test_labels_of_a_cell_are_its_own() -> None:
    cells = (
        "See [the crane][1], ![its hook][Hook] and `[1][1]`.\n\n    [1]\n\n"
        "[1]: http://a.example/(x) 'A'\n[hook]: b.png\n",
        "See [1] and [the mast][1].\n\n> [1]: http://b.example\n\n[1]: http://c.example",
        "Item [1] of [two][].",
        "So it is.[^1]\n\n[^1]: Oslo",
        "[![Open][badge]](https://c.example/)\n\n[badge]: https://b.example/b.svg",
    )
    assert notebook_text(*({"cell_type": "markdown", "source": cell} for cell in cells)) == (
        "See [the crane](<http://a.example/(x)>), ![its hook](<b.png>) and `[1][1]`.\n\n    [1]\n\n"
        "See [1](<http://b.example>) and [the mast](<http://b.example>).\n\n"
        "Item [1] of [two][].\n\nSo it is.[^1]\n\n[^1]: Oslo\n\n"
        "[![Open](<https://b.example/b.svg>)](https://c.example/)"
    )


def test_notebook_of_format_3_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Crane"},
        {"cell_type": "code", "input": "x"},
    ]
    old = json.dumps({"worksheets": [{"cells": cells}]}).encode()
    assert notebook.read_notebook(old, "").text == "## Crane\n\n```python\nx\n```\n"


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"null",
        b'{"cells": 1}',
        b"{",
        b'{"cells": [1, {"cell_type": "code", "outputs": [1]}]}',
    ],
)
def test_invalid_notebook_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError, match=r"cannot be read as a Jupyter|contains no text"):
        notebook.read_notebook(content, "")


@pytest.mark.parametrize(
    "content",
    [
        b"Wind,Load\n10,40\n",
        b"\xef\xbb\xbfWind;Load\r\n10;40\r\n",
        b"Wind\tLoad\n10\t40\n\n",
        b'"Wind"|"Load"\n10|40',
        "\ufeffWind\tLoad\n10\t40\n".encode("utf-16-le"),
        b"sep=;\r\nWind;Load\r\n10;40\r\n",
        b'"sep=|"\nWind|Load\n10|40\n',
        b'Wind, "Load"\n10, "40"\n',
    ],
)
def test_delimiter_and_encoding_are_detected(content: bytes) -> None:
    text = delimited.read_delimited(content, "").text
    assert text == "| Wind | Load |\n| --- | --- |\n| 10 | 40 |\n"


def test_cells_are_escaped() -> None:
    content = b'a,b,c\n"1,5","x\ny","say ""hi"""\n=1+1,<b>,a|b\n'
    assert delimited.read_delimited(content, "").text.split("\n")[2:4] == [
        '| 1,5 | x<br>y | say "hi" |',
        "| =1+1 | \\<b> | a\\|b |",
    ]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"# of 2026, by Ada\n#\nWind,Load\n10,40", ["of 2026, by Ada", "", "| Wind | Load |"]),
        (b"#,Load\n1,40", ["| # | Load |"]),
        (b"#id,Load\n1,40", ["| #id | Load |"]),
        (b"// of 2026, by Ada\nWind,Load\n10,40", ["of 2026, by Ada", "", "| Wind | Load |"]),
        (b"% of 2026\n%\nWind,Load\n10,40", ["of 2026", "", "| Wind | Load |"]),
        (b"; of 2026\n\nWind,Load\n10,40", ["of 2026", "", "| Wind | Load |"]),
        (b"##of 2026\n#Wind\tLoad\n10\t40", ["of 2026", "", "| #Wind | Load |"]),
        (b"# of 2026, by Ada\n# Wind,Load\n10,40", ["of 2026, by Ada", "", "| # Wind | Load |"]),
        (b"% full,Load\n10,40", ["| % full | Load |"]),
        (
            b"# In 2023: 5%, https://x.example/\nWind,Load\n10,40",
            ["In 2023: 5%, https://x.example/"],
        ),
        (b"# /etc/\nWind,Load\n10,40", ["/etc/", "", "| Wind | Load |"]),
        (b"#1 hit,artist\nSong,Bob,1999\nTune,Al,2001", ["| #1 hit | artist |  |"]),
        (b"# of cranes,Port\n100,Oslo", ["| # of cranes | Port |"]),
        (b"% full\n10\n20", ["| % full |"]),
        (b"//a/b,Load\n//c/d,40", ["| //a/b | Load |", "| --- | --- |", "| //c/d | 40 |"]),
        (b";Load\n10;40;3", ["|  | Load |  |"]),
        (b";a;b\nx;1;2;\n", ["|  | a | b |"]),
        (b'Wind,"a \\"b, c\\" d"\n', ['| Wind | a "b, c" d |']),
        (b'"C:\\dir\\",Load\n', ["| C:\\dir\\ | Load |"]),
        (
            b"Words\nGood, but slow\nBad\nOdd, very, odd",
            ["| Words |", "| --- |", "| Good, but slow |"],
        ),
        (b"Amount\n1,234\n5,678\n", ["| Amount |", "| --- |", "| 1,234 |"]),
        (b"Name\nLace, Ada\nHopp, Eve\n", ["| Name |", "| --- |", "| Lace, Ada |"]),
        (b'Name\n"Lace,\nAda"\n', ["| Name |", "| --- |", "| Lace,<br>Ada |"]),
    ],
)
def test_comments_quotes_and_single_columns_are_read(content: bytes, rows: list[str]) -> None:
    assert delimited.read_delimited(content, "").text.split("\n")[: len(rows)] == rows


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,\xff\n", "not UTF-8 text (byte 6); convert it"),
        (b",,\n,\n", "contains no text"),
        (b"a\0b", "is not text: a NUL at byte 1"),
    ],
)
def test_invalid_delimited_text_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        delimited.read_delimited(content, "")
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T00:00:00", "2026-01-02"),
        ("D:20260102030405+01'00'", "2026-01-02T02:04:05Z"),
        ("D:20260102030405Z", "2026-01-02T03:04:05Z"),
        ("D:20260102", "2026-01-02"),
        ("yesterday", ""),
        ("0001-01-01T00:00:00+12:00", ""),
        ("", ""),
    ],
)
def test_dates_are_normalised_to_utc(written: str, date: str) -> None:
    assert pdf_date(written) == date


@pytest.mark.process
def test_image_in_rst_needs_no_mime_type_files() -> None:
    """The parser looks up MIME types in files of the machine."""
    source = b"Kilns\n=====\n\nOak.\n\n.. image:: https://kilns.example/oak.gif\n   :alt: An oak\n"

    assert "An oak" in convert(source, "kilns.rst", Limits()).text
