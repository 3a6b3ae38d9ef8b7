"""Builds the queries for a question that may continue a conversation, without a language model.

The rules are for English. A language model is given the conversation, and requests better queries
if these find too little.
"""

import re
from collections.abc import Sequence

from database.searching.terms import identifiers, terms_of, word_parts, words
from inference_worker.answer import Turn

MAX_EARLIER_QUESTIONS = 3
"""How many earlier questions a query includes."""
MAX_CHARACTERS = 400
"""Of each earlier question."""
_SHORT = 3
"""Content words up to which a question may leave out its topic."""
_LONG = 7
"""Content words beyond which a question is self-contained, whatever its pronouns refer to."""

_PRONOUN = re.compile(
    r"\b(?:it(?! \w+ to\b)|its|they|them|theirs?|this|these|those|instead|that(?=\W*$)"
    r"|(?<!is )(?<!are )there(?! (?:is|are)\b)|ones?(?=\W*$|\W+(?:on|in|for|with|from|at)\b))\b"
    r"|\[\d",  # a citation in the previous answer
    re.IGNORECASE,
)
# "If I delete a domain, can I restore it?", "When my endpoint scales in, how does it choose?"
_ANTECEDENT = re.compile(r"\ban?\b|\w(?:,| and) (?:how|what|when|where|why)\b", re.IGNORECASE)
# "What is a pipeline?", but not "What is the maximum?"
_NEW_TOPIC = re.compile(
    r"(?:what(?:'s| is| are)|(?:how|where|when) (?:do|can|could|should) (?:i|we|you))\b(?!.* the )",
    re.IGNORECASE,
)
_COURTESY = re.compile(r"\b(?:thank(?:s| you)|ok(?:ay)?|great|perfect)\b", re.IGNORECASE)


def retrieval_queries(question: str, history: Sequence[Turn]) -> list[str]:
    """The queries to search for: the question with the earlier ones that it continues, if any.

    A short question is in addition searched alone, because it may begin a new topic.
    """
    asked = [turn.text[:MAX_CHARACTERS] for turn in history if turn.role == "user"]
    context = _continued(question, [text for text in reversed(asked) if _content_words(text)])
    if not context:
        return [question]
    # The question first: embeddings weight the beginning of a text most.
    together = ", ".join(text.strip().rstrip(" ?.!") for text in [question, *context])
    return [together] if _points_back(question) else [together, question]


def _continued(question: str, earlier: Sequence[str]) -> list[str]:
    """The earlier questions, newest first, up to one that stands on its own."""
    context: list[str] = []
    for before in earlier[:MAX_EARLIER_QUESTIONS]:
        if not (_points_back(question) or _is_short(question)):
            break
        context.append(before)
        question = before
    return context


def _points_back(text: str) -> bool:
    """Whether the text has no content words, or a pronoun for something that it does not name."""
    content = _content_words(text)
    if not content:
        return bool(_latin_words(text))  # a text without any is in another script
    pronoun = _PRONOUN.search(text)
    if not pronoun or len(content) > _LONG:
        return False
    before = text[: pronoun.start()]
    return len(_content_words(before)) <= _SHORT and not _ANTECEDENT.search(before)


def _is_short(text: str) -> bool:
    """Whether the text has few content words, and neither names nor introduces its topic."""
    is_topic = identifiers(text) or _NEW_TOPIC.match(text.strip())
    return 0 < len(_content_words(text)) <= _SHORT and not is_topic


def _content_words(text: str) -> list[str]:
    """The words that are neither grammar nor courtesy; a compound counts as several."""
    found = _latin_words(_COURTESY.sub("", text))
    return [part for word in found if terms_of(word) for part in word_parts(word)]


def _latin_words(text: str) -> list[str]:
    return [word for word in words(text) if word.isascii()]
