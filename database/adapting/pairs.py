"""Training pairs of question and passage, made from the documents without labels.

Questions are headings (the passage is the text below), sentences (the passage is the rest of their
text), and links and the sentences around them (the passage is the link's target). The passage loses
the heading or sentence that became the question, and a question about half of the words it shares
with its chunk, so that matching words alone does not solve the task. Written questions can be added
(the passage is the text around their answer); they are used as they are.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from database.adapting.training_corpus import Mention, TrainingCorpus
from database.searching.terms import terms
from dataset.chunks import Chunk
from dataset.markdown.reader import plain_text
from dataset.sentences import prose_sentences
from utils.errors import DatasetError

PairKind = Literal["heading", "sentence", "link", "mention", "question"]
KINDS: tuple[PairKind, ...] = ("heading", "sentence", "link", "mention", "question")

_SENTENCE_WORDS = range(6, 41)
"""Words of a usable sentence: shorter ones lack context, longer ones are lists."""
_SENTENCE_KEPT = 0.1
"""Probability that the passage keeps the sentence: exact matches must still count."""
_CRUMBS_DROPPED = 0.5
"""Probability that a passage loses its headings: its text alone must suffice."""
_WORDS_DROPPED = 0.5
"""Probability that a question loses a word of its chunk: users ask with other words."""
_QUESTION_PASSES = 2
"""Times that each written question is used."""
_BEFORE_ANSWER = 200
"""Characters kept before an answer: training truncates passages."""
_MIN_WORDS = 3
"""Minimum number of words left in a shortened question."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the passage that answers it."""

    kind: PairKind
    question: str
    passage: str
    """Headings and text as an index embeds them, without the source of the question."""
    chunk: str
    """Id of the passage's chunk."""


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    """A question that a person or a language model wrote about a document."""

    question: str
    document: str
    answer: str
    """Text of the passage that answers, verbatim up to white space, backticks and asterisks."""


def read_questions(path: Path) -> list[WrittenQuestion]:
    """Read written questions: one JSON object with these three fields per line.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        questions = [WrittenQuestion(**json.loads(line)) for line in lines if line.strip()]
        complete = all(
            part.strip()
            for each in questions
            for part in (each.question, each.document, each.answer)
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"Cannot read the questions {path} ({type(error).__name__}).") from error
    if not complete:
        raise DatasetError(f"Cannot read the questions {path} (a field is blank).")
    return questions


def make_pairs(corpus: TrainingCorpus, random: Random) -> list[Pair]:
    """Make all pairs of the training documents, in random order.

    Held-out documents contribute neither passages nor questions.
    """
    mentions = [
        mention
        for mention in corpus.mentions
        if not corpus.held_out & {mention.source, mention.chunk.document}
    ]
    pairs = (
        *_from_headings(corpus.learned_chunks, random),
        *_from_sentences(corpus.learned_chunks, random),
        *_from_links(mentions, random),
        *_from_mentions(mentions, random),
    )
    unique = list(dict.fromkeys(pairs))
    random.shuffle(unique)
    return unique


def enough_pairs(
    corpus: TrainingCorpus,
    *,
    pairs: int,
    passes: int,
    seed: int,
    questions: Sequence[WrittenQuestion] = (),
) -> list[Pair]:
    """Make `pairs` pairs in at most `passes` passes; each pass omits other sentences and words.

    Written questions come first in the count; all are in random order.
    """
    random = Random(seed)  # noqa: S311  # not cryptographic
    written = _QUESTION_PASSES * list(_from_questions(corpus, questions))
    made: list[Pair] = []
    for _ in range(passes):
        if len(written) + len(made) < pairs:
            made += make_pairs(corpus, random)
    chosen = [*written, *made][:pairs]
    if written:
        random.shuffle(chosen)
    return chosen


def count_kinds(pairs: Iterable[Pair]) -> dict[str, int]:
    """Count pairs per kind, 0 included."""
    counted = Counter(pair.kind for pair in pairs)
    return {kind: counted[kind] for kind in KINDS}


def batches(pairs: Sequence[Pair], size: int) -> Iterator[list[Pair]]:
    """Yield batches of `size` pairs, in order; an incomplete last batch is dropped.

    Each passage is a negative example for the other questions of its batch, so no batch contains a
    passage or a question twice. A pair that does not fit a batch is deferred to the next.
    """
    pending = deque(pairs)
    while len(pending) >= size:
        batch, deferred = list[Pair](), list[Pair]()
        used: set[str] = set()
        while pending and len(batch) < size:
            pair = pending.popleft()
            keys = {f"chunk {pair.chunk}", pair.question.lower()}
            if used & keys:
                deferred.append(pair)
            else:
                batch.append(pair)
                used |= keys
        pending.extendleft(reversed(deferred))
        if len(batch) < size:
            return
        yield batch


def _from_headings(chunks: Sequence[Chunk], random: Random) -> Iterator[Pair]:
    """Pair the nearest heading, sometimes with the page title, with the text below it."""
    for chunk in chunks:
        heading = chunk.headings[-1] if chunk.headings else chunk.title
        around = [crumb for crumb in (chunk.title, *chunk.headings) if crumb != heading]
        question = heading
        if around and random.random() < _CRUMBS_DROPPED:
            question = f"{chunk.title} {heading}"
        if random.random() < _CRUMBS_DROPPED:
            around = around[:1]
        question = _drop_words(question, chunk, random)
        yield Pair("heading", question, _passage(around, plain_text(chunk.text)), chunk.id)


def _from_sentences(chunks: Sequence[Chunk], random: Random) -> Iterator[Pair]:
    """Pair one random sentence of a passage with the rest of the passage."""
    for chunk in chunks:
        text = plain_text(chunk.text)
        sentences = [
            sentence.strip()
            for sentence in prose_sentences(text)
            if len(sentence.split()) in _SENTENCE_WORDS
        ]
        if len(sentences) < 2:  # no text would remain
            continue
        sentence = random.choice(sentences)
        if random.random() >= _SENTENCE_KEPT:
            text = text.replace(sentence, " ")
        question = _drop_words(sentence, chunk, random)
        passage = _passage((chunk.title, *chunk.headings), text)
        yield Pair("sentence", question, passage, chunk.id)


def _from_links(mentions: Sequence[Mention], random: Random) -> Iterator[Pair]:
    """Pair the words of a link with its target, unless they repeat a heading of the target."""
    for mention in mentions:
        crumbs = (mention.chunk.title, *mention.chunk.headings)
        if mention.words.lower() not in (crumb.lower() for crumb in crumbs):
            yield Pair("link", mention.words, _target(mention, random), mention.chunk.id)


def _from_mentions(mentions: Sequence[Mention], random: Random) -> Iterator[Pair]:
    """Pair the sentence around a link with the target of the link."""
    for mention in mentions:
        words = len(mention.sentence.split())
        if words in _SENTENCE_WORDS and words > len(mention.words.split()):
            question = _drop_words(mention.sentence, mention.chunk, random)
            yield Pair("mention", question, _target(mention, random), mention.chunk.id)


def _from_questions(corpus: TrainingCorpus, questions: Iterable[WrittenQuestion]) -> Iterator[Pair]:
    """Pair written questions with the passages that contain their answers."""
    chunks: dict[str, list[Chunk]] = {}
    for chunk in corpus.learned_chunks:
        chunks.setdefault(chunk.document, []).append(chunk)
    for each in questions:
        answer = _pattern(each.answer)
        for chunk in chunks.get(each.document, ()):
            if found := answer.search(chunk.text):
                start = chunk.text.rfind("\n", 0, max(0, found.start() - _BEFORE_ANSWER) + 1) + 1
                passage = _passage((chunk.title, *chunk.headings), plain_text(chunk.text[start:]))
                yield Pair("question", each.question, passage, chunk.id)
                break


def _pattern(answer: str) -> re.Pattern[str]:
    """Matches a text whatever its white space, emphasis and escapes are."""
    characters = re.sub(r"[\s`*\\]+", "", answer)
    return re.compile(r"[\s`*\\]*".join(map(re.escape, characters)), re.IGNORECASE)


def _drop_words(question: str, chunk: Chunk, random: Random) -> str:
    """Drop random words of a question that occur in the chunk or its headings."""
    chunk_terms = set(terms(chunk.text_to_embed))
    kept = [
        word
        for word in question.split()
        if chunk_terms.isdisjoint(terms(word)) or random.random() >= _WORDS_DROPPED
    ]
    return " ".join(kept) if len(kept) >= _MIN_WORDS else question


def _target(mention: Mention, random: Random) -> str:
    crumbs = (mention.chunk.title, *mention.chunk.headings)
    if random.random() < _CRUMBS_DROPPED:
        crumbs = tuple(crumb for crumb in crumbs if crumb.lower() not in mention.sentence.lower())
    return _passage(crumbs, plain_text(mention.chunk.text))


def _passage(crumbs: Sequence[str], text: str) -> str:
    return f"{' > '.join(crumbs)}\n\n{text}" if crumbs else text
