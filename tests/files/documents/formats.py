"""The formats in which sample documents are written, and what each can express."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from tests.files.documents import docx, html, markdown, pdf, plain, pptx, rst, tables
from tests.files.documents.epub import book
from tests.files.documents.model import Feature, SampleDocument
from tests.files.documents.notebook import notebook


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """A format and its writer."""

    extension: str
    write: Callable[[SampleDocument], bytes]
    features: frozenset[Feature]


SAMPLE_FORMATS: Mapping[str, SampleFormat] = MappingProxyType(
    {
        "markdown": SampleFormat("md", markdown.markdown_page, markdown.FEATURES),
        "text": SampleFormat("txt", plain.text_file, plain.FEATURES),
        "html": SampleFormat("html", html.html_page, html.FEATURES),
        **{
            f"html of {page}": SampleFormat(
                "html", partial(html.html_page, page=page), html.FEATURES
            )
            for page in ("a bare body", "Sphinx", "MkDocs")
        },
        "rst": SampleFormat("rst", rst.rst_page, rst.FEATURES),
        "docx": SampleFormat("docx", docx.word_file, docx.FEATURES),
        "pptx": SampleFormat("pptx", pptx.presentation, pptx.FEATURES),
        "xlsx": SampleFormat("xlsx", tables.excel_file, tables.EXCEL_FEATURES),
        "csv": SampleFormat("csv", tables.csv_file, tables.DELIMITED_FEATURES),
        "csv with semicolons": SampleFormat(
            "csv", tables.semicolon_file, tables.DELIMITED_FEATURES
        ),
        "tsv": SampleFormat("tsv", tables.tsv_file, tables.DELIMITED_FEATURES),
        "epub": SampleFormat("epub", book, html.FEATURES),
        "ipynb": SampleFormat("ipynb", notebook, markdown.FEATURES),
        "pdf": SampleFormat("pdf", pdf.pdf_file, pdf.FEATURES),
        "pdf in two columns": SampleFormat("pdf", pdf.two_columns, pdf.FEATURES - {"table"}),
    }
)
