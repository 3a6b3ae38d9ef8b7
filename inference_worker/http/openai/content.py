"""Formats an answer as the content of a chat message: its text, notes and links."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from database.searching.passage import Passage
from dataset.chunks import Chunk
from dataset.markdown.syntax import closing_fence
from dataset.markdown.writer import code
from inference_worker.answer import Answer
from inference_worker.grounding.visible_text import visible
from inference_worker.http.openai.schemas import Annotation, UrlCitation

SOURCES = "\n\nSources:\n"
NEAREST = "\n\nNearest pages:\n"
MAX_NEAREST = 3
MAX_DOUBTS = 8
_MARKDOWN = re.compile(r"[\\`*<\[\]]|&(?=#?\w{1,32};)")
_LINKED_ALONE = re.compile(r"://|www\.|@", re.IGNORECASE)
"""In a text that is no link: many clients link addresses."""
_SAFE_IN_URL = "%/:?#@!$&+,;=~-._'"
"""Characters left unescaped in URLs: all that are legal, except those that end a Markdown link."""


def restart_notice(answer: Answer, streamed: str) -> str:
    """The text between an interrupted answer and the one that replaces it.

    Streamed tokens cannot be retracted: their code block is closed and the new answer follows. ""
    if the streamed text is the beginning of the answer.
    """
    if answer.text.startswith(streamed):
        return ""
    notice = "The language model broke off. From the documentation:"
    return f"{closing_fence(streamed)}\n\n---\n\n{notice}\n\n"


def closing_notes(answer: Answer) -> str:
    """The notes and links that follow the answer's text, outside of code that it leaves open."""
    notes = f"{_note(answer)}{_doubts(answer)}{_links(answer)}"
    return notes and f"{closing_fence(answer.text)}{notes}"


def annotations(answer: Answer, offset: int = 0) -> list[Annotation]:
    """The markers whose passages have a URL; the answer's text is at `offset` in the content."""
    found = []
    for each in answer.grounding.citations:
        chunk = answer.passages[each.number - 1].chunk
        if url := safe_url(chunk.url):
            place = UrlCitation(
                start_index=each.start + offset,
                end_index=each.end + offset,
                title=visible(chunk.breadcrumb),
                url=url,
            )
            found.append(Annotation(type="url_citation", url_citation=place))
    return found


def _note(answer: Answer) -> str:
    if answer.truncated:
        return "\n\n(The answer was cut off at its token limit.)"
    if answer.finish_reason == "content_filter":
        return "\n\n(The language model's content filter cut the answer.)"
    return ""


def _doubts(answer: Answer) -> str:
    """A note on the spans of the answer that occur in no passage."""
    texts = dict.fromkeys(_unlinked(each.text) for each in answer.grounding.doubtful)
    shown = ", ".join(list(texts)[:MAX_DOUBTS])
    return f"\n\n(In no passage, so do not rely on it: {shown}.)" if shown else ""


def _links(answer: Answer) -> str:
    if not answer.answerable and not answer.grounding.citations:
        return _listed(NEAREST, _nearest(answer.passages))
    if answer.is_quoted:  # each quotation is followed by its link
        return ""
    numbers = sorted({each.number for each in answer.grounding.citations})
    cited = (f"[{number}] {markdown_link(answer.passages[number - 1].chunk)}" for number in numbers)
    return _listed(SOURCES, cited)


def _nearest(passages: Sequence[Passage]) -> list[str]:
    """Links to the nearest pages, each once."""
    first = {passage.chunk.document: passage.chunk for passage in reversed(passages)}
    names = dict.fromkeys(passage.chunk.document for passage in passages)
    return [markdown_link(first[name]) for name in names][:MAX_NEAREST]


def _listed(heading: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return heading + "\n".join(lines) if lines else ""


def markdown_link(chunk: Chunk) -> str:
    """A Markdown link to a chunk's live page; only its title and headings if that is unknown."""
    url, name = safe_url(chunk.url), visible(chunk.breadcrumb)
    return f"[{_plain(name)}]({url})" if url else _unlinked(name)


def _plain(text: str) -> str:
    """Escape Markdown and HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def _unlinked(text: str) -> str:
    """Escape a text, so that no part of it is a link either."""
    return code(" ".join(text.split())) if _LINKED_ALONE.search(text) else _plain(text)


def safe_url(url: str) -> str:
    """Escape a URL for a Markdown link; "" if it is not http(s)."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    return quote(url, safe=_SAFE_IN_URL) if scheme in {"http", "https"} else ""
