"""Training pairs: what the documents themselves say belongs together.

Nobody has to label anything. A heading names the text under it, a sentence belongs to the passage
it was taken from, and one page speaks of another in words of its own. What would give the answer
away is taken out: of the passage the heading that asks and the sentence that asks, and of a heading
or sentence that asks half of the words that its chunk has, what was taken out of it included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from database.adapting.training_corpus import Mention, TrainingCorpus
from database.searching.terms import terms
from dataset.chunks import Chunk
from dataset.markdown.reader import plain_text
from dataset.sentences import prose_sentences

PairKind = Literal["heading", "sentence", "link", "mention"]
KINDS: tuple[PairKind, ...] = ("heading", "sentence", "link", "mention")

_SENTENCE_WORDS = range(6, 41)
"""A shorter sentence says nothing of its own; a longer one is a list."""
_SENTENCE_STAYS = 0.1
"""How often a sentence stays in its passage: an exact match should count as well."""
_CRUMBS_GO = 0.5
"""How often the headings around are left out: the text itself should be enough."""
_WORDS_GO = 0.5
"""How often a question goes without a word that stands in its chunk: people ask with others."""
_MIN_WORDS = 3
"""A question of fewer words asks for nothing of its own."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the passage that answers it."""

    kind: PairKind
    question: str
    passage: str
    """As an index embeds it: headings and text, without what the question was made from."""
    chunk: str
    """The id of the passage's chunk."""


def make_pairs(corpus: TrainingCorpus, random: Random) -> list[Pair]:
    """Make all pairs of the documents that a model may learn from, in a random order.

    Args:
        corpus: The documents. What is held out gives neither passages nor questions.
        random: Decides on what is left out of a passage, and on the order.
    """
    mentions = [
        mention
        for mention in corpus.mentions
        if not corpus.held_out & {mention.source, mention.chunk.document}
    ]
    pairs = list(
        dict.fromkeys(
            (
                *_from_headings(corpus.learned_chunks, random),
                *_from_sentences(corpus.learned_chunks, random),
                *_from_links(mentions, random),
                *_from_mentions(mentions, random),
            )
        )
    )
    random.shuffle(pairs)
    return pairs


def enough_pairs(corpus: TrainingCorpus, random: Random, *, pairs: int, passes: int) -> list[Pair]:
    """Make pairs again, each time with other sentences and headings left out, until they suffice.

    Args:
        corpus: The documents.
        random: Decides on what is left out, and on the order.
        pairs: How many suffice.
        passes: How often at most.
    """
    made: list[Pair] = []
    for _ in range(passes):
        if len(made) < pairs:
            made += make_pairs(corpus, random)
    return made[:pairs]


def count_kinds(pairs: Iterable[Pair]) -> dict[str, int]:
    """How many pairs there are of each kind."""
    counted = Counter(pair.kind for pair in pairs)
    return {kind: counted[kind] for kind in KINDS}


def _from_headings(chunks: Sequence[Chunk], random: Random) -> Iterator[Pair]:
    """The nearest heading, sometimes with the page's title, and the text under it."""
    for chunk in chunks:
        heading = chunk.headings[-1] if chunk.headings else chunk.title
        around = [crumb for crumb in (chunk.title, *chunk.headings) if crumb != heading]
        question = heading
        if around and random.random() < _CRUMBS_GO:
            question = f"{chunk.title} {heading}"
        if random.random() < _CRUMBS_GO:
            around = around[:1]
        question = _with_fewer_words(question, chunk, random)
        yield Pair("heading", question, _passage(around, chunk), chunk.id)


def _from_sentences(chunks: Sequence[Chunk], random: Random) -> Iterator[Pair]:
    """One sentence of a passage, and the rest of it."""
    for chunk in chunks:
        text = plain_text(chunk.text)
        sentences = [
            sentence.strip()
            for sentence in prose_sentences(text)
            if len(sentence.split()) in _SENTENCE_WORDS
        ]
        if len(sentences) < 2:  # nothing would be left
            continue
        sentence = random.choice(sentences)
        if random.random() >= _SENTENCE_STAYS:
            text = text.replace(sentence, " ")
        crumbs = (chunk.title, *chunk.headings)
        question = _with_fewer_words(sentence, chunk, random)
        yield Pair("sentence", question, _joined(crumbs, text), chunk.id)


def _from_links(mentions: Sequence[Mention], random: Random) -> Iterator[Pair]:
    """The words of a link and what it leads to, where they are not its heading anyway."""
    for mention in mentions:
        crumbs = (mention.chunk.title, *mention.chunk.headings)
        if mention.words.lower() in (crumb.lower() for crumb in crumbs):
            continue
        yield Pair("link", mention.words, _target(mention, random), mention.chunk.id)


def _from_mentions(mentions: Sequence[Mention], random: Random) -> Iterator[Pair]:
    """The sentence around a link and what the link leads to."""
    for mention in mentions:
        words = len(mention.sentence.split())
        if words in _SENTENCE_WORDS and words > len(mention.words.split()):
            question = _with_fewer_words(mention.sentence, mention.chunk, random)
            yield Pair("mention", question, _target(mention, random), mention.chunk.id)


def _with_fewer_words(question: str, chunk: Chunk, random: Random) -> str:
    """A question without some of the words that stand in the chunk, its headings or itself."""
    there = set(terms(chunk.text_to_embed))
    kept = [
        word
        for word in question.split()
        if there.isdisjoint(terms(word)) or random.random() >= _WORDS_GO
    ]
    return " ".join(kept) if len(kept) >= _MIN_WORDS else question


def _target(mention: Mention, random: Random) -> str:
    crumbs = (mention.chunk.title, *mention.chunk.headings)
    if random.random() < _CRUMBS_GO:
        crumbs = tuple(crumb for crumb in crumbs if crumb.lower() not in mention.sentence.lower())
    return _passage(crumbs, mention.chunk)


def _passage(crumbs: Sequence[str], chunk: Chunk) -> str:
    return _joined(crumbs, plain_text(chunk.text))


def _joined(crumbs: Sequence[str], text: str) -> str:
    return f"{' > '.join(crumbs)}\n\n{text}" if crumbs else text
