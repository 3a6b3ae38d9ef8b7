"""An answer as the content of a chat message: its text, what is to be known of it, its links."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from database.searching.passage import Passage
from dataset.chunks import Chunk
from dataset.markdown_syntax import find_fenced_code
from inference_worker.answer import Answer
from inference_worker.http.openai.schemas import Annotation, UrlCitation

SOURCES = "\n\nSources:\n"
NEAREST = "\n\nNearest pages:\n"
MAX_NEAREST = 3
MAX_DOUBTS = 8
_MARKDOWN = re.compile(r"[\\`*<\[\]]")
_SAFE_IN_URL = "%/:?#@!$&+,;=~-._'"
"""All that an address may hold as it is, but for what ends a link in Markdown: ( ) and the like."""


def restart_notice(answer: Answer, streamed: str) -> str:
    """What stands between the text that a language model left unfinished and the answer.

    What was said cannot be taken back: it is closed, and the answer follows. "" where what was
    said is the answer's own beginning.
    """
    if answer.text.startswith(streamed):
        return ""
    close = "".join(f"\n{code.fence}" for code in find_fenced_code(streamed) if not code.is_closed)
    return f"{close}\n\n---\n\nThe language model broke off. What the documentation says:\n\n"


def closing_notes(answer: Answer) -> str:
    """What follows the answer's text: what is to be known of it, and the links."""
    return f"{_note(answer)}{_doubts(answer)}{_links(answer)}"


def annotations(answer: Answer, offset: int = 0) -> list[Annotation]:
    """The markers in the answer's text that lead to an address.

    Args:
        answer: The answer.
        offset: Where in the content its text begins.
    """
    found = []
    for each in answer.grounding.citations:
        chunk = answer.passages[each.number - 1].chunk
        if url := safe_url(chunk.url):
            place = UrlCitation(
                start_index=each.start + offset,
                end_index=each.end + offset,
                title=chunk.breadcrumb,
                url=url,
            )
            found.append(Annotation(type="url_citation", url_citation=place))
    return found


def _note(answer: Answer) -> str:
    if answer.degraded:
        return f"\n\n(No language model wrote this; it quotes: {answer.degraded_reason}.)"
    if answer.truncated:
        return "\n\n(The answer was cut at its longest length.)"
    return ""


def _doubts(answer: Answer) -> str:
    """What the answer says and no passage does."""
    texts = dict.fromkeys(_plain(each.text) for each in answer.grounding.unsupported)
    shown = ", ".join(list(texts)[:MAX_DOUBTS])
    return f"\n\n(In no passage, so do not rely on it: {shown}.)" if shown else ""


def _links(answer: Answer) -> str:
    if not answer.answerable:
        return _listed(NEAREST, _nearest(answer.passages))
    numbers = sorted({each.number for each in answer.grounding.citations})
    cited = (f"[{number}] {markdown_link(answer.passages[number - 1].chunk)}" for number in numbers)
    return _listed(SOURCES, cited)


def _nearest(passages: Sequence[Passage]) -> list[str]:
    """Links to the pages that come nearest, each once."""
    first = {passage.chunk.document: passage.chunk for passage in reversed(passages)}
    names = dict.fromkeys(passage.chunk.document for passage in passages)
    return [markdown_link(first[name]) for name in names][:MAX_NEAREST]


def _listed(heading: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    return heading + "\n".join(lines) if lines else ""


def markdown_link(chunk: Chunk) -> str:
    """A link in Markdown to where a chunk is read; its document's name where that is not known."""
    url = safe_url(chunk.url)
    return f"[{_plain(chunk.breadcrumb)}]({url})" if url else _plain(chunk.document)


def _plain(text: str) -> str:
    """Take from the text the power to be Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def safe_url(url: str) -> str:
    """Make an address safe to stand in a link; "" where it is none of the web."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    return quote(url, safe=_SAFE_IN_URL) if scheme in {"http", "https"} else ""
