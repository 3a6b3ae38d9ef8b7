"""Training pairs from documents, without the words that would give the answer away."""

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

from database.adapting.pairs import (
    Pair,
    WrittenQuestion,
    batches,
    count_kinds,
    enough_pairs,
    make_pairs,
    read_questions,
)
from database.adapting.training_corpus import TrainingCorpus
from database.searching.terms import terms
from tests.files.workshop import PAGES, corpus_in, write_workshop
from utils.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_workshop(tmp_path / "documents")


@pytest.fixture
def corpus(folder: Path) -> TrainingCorpus:
    return corpus_in(folder)


@pytest.fixture
def pairs(corpus: TrainingCorpus, monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """Pairs without word dropping."""
    monkeypatch.setattr("database.adapting.pairs._WORDS_DROPPED", 0.0)
    return make_pairs(corpus, Random(1))


def of(kind: str, pairs: list[Pair]) -> list[Pair]:
    found = [pair for pair in pairs if pair.kind == kind]
    assert found
    return found


def test_every_kind_of_pair_is_made(pairs: list[Pair]) -> None:
    assert all(count for kind, count in count_kinds(pairs).items() if kind != "question")
    assert sum(count_kinds(pairs).values()) == len(pairs)


def test_heading_used_as_a_question_is_removed_from_the_passage(
    corpus: TrainingCorpus, pairs: list[Pair]
) -> None:
    headings = {chunk.id: (chunk.title, *chunk.headings)[-1] for chunk in corpus.chunks}

    for pair in of("heading", pairs):
        crumbs, _, _ = pair.passage.partition("\n\n")
        assert pair.question.endswith(headings[pair.chunk])
        assert headings[pair.chunk] not in crumbs.split(" > ")


def test_sentence_used_as_a_question_is_mostly_removed_from_its_passage(pairs: list[Pair]) -> None:
    kept = Counter(pair.question in pair.passage for pair in of("sentence", pairs))

    assert kept[False] > 4 * kept[True]


def test_links_and_their_sentences_are_paired_with_their_targets(
    corpus: TrainingCorpus, pairs: list[Pair]
) -> None:
    documents = {chunk.id: chunk.document for chunk in corpus.chunks}
    mentioned = {(mention.sentence, mention.chunk.document) for mention in corpus.mentions}

    for pair in of("mention", pairs):
        assert (pair.question, documents[pair.chunk]) in mentioned
    assert {pair.question for pair in of("link", pairs)} == {"the press", "the lathe", "the kiln"}


def test_written_questions_are_paired_with_the_text_around_their_answers(folder: Path) -> None:
    before = "\n\n".join(f"Sentence {n} is about something else." for n in range(12))
    (folder / "long.md").write_text(f"# Kilns\n\n{before}\n\nAt `900` *degrees* it is off.\n")
    written = [
        WrittenQuestion("when does it stop?", "long.md", "at 900 degrees"),
        WrittenQuestion("what is missing?", "long.md", "no such words"),
        WrittenQuestion("which page?", "missing.md", "at 900 degrees"),
    ]

    chosen = enough_pairs(corpus_in(folder), pairs=80, passes=1, seed=1, questions=written)

    found = of("question", chosen)
    assert [pair.question for pair in found] == ["when does it stop?"] * 2
    assert "Sentence 11" in found[0].passage
    assert "900 degrees it is off" in found[0].passage
    assert "Sentence 0" not in found[0].passage
    assert len(chosen) == 80
    assert chosen != enough_pairs(corpus_in(folder), pairs=80, passes=1, seed=1)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "nothing",
        '{"question": "Why?", "document": "a.md"}',
        '{"question": "Why?", "document": "a.md", "answer": " "}',
        '{"question": "Why?", "document": "a.md", "answer": 7}',
    ],
)
def test_unusable_questions_are_reported(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(line)
    with pytest.raises(DatasetError, match="Cannot read the questions"):
        read_questions(path)


def test_some_words_shared_with_the_passage_are_dropped_from_questions(
    corpus: TrainingCorpus,
) -> None:
    chunks = {chunk.id: chunk for chunk in corpus.chunks}
    sentences = defaultdict(list)
    for mention in corpus.mentions:
        sentences[mention.chunk.id].append(mention.sentence.split())
    dropped = kept = 0
    for pair in of("mention", make_pairs(corpus, Random(1))):
        asked = pair.question.split()
        whole = next(words for words in sentences[pair.chunk] if is_within(asked, words))
        passage_terms = set(terms(chunks[pair.chunk].text_to_embed))
        assert len(asked) >= 3
        assert all(passage_terms & set(terms(word)) for word in whole if word not in asked)
        dropped += len(whole) - len(asked)
        kept += sum(bool(passage_terms & set(terms(word))) for word in asked)

    assert 0.5 < dropped / kept < 2


def is_within(some: list[str], words: list[str]) -> bool:
    """True if `some` is a subsequence of `words`."""
    rest = iter(words)
    return all(word in rest for word in some)


def test_held_out_documents_give_no_pairs(corpus: TrainingCorpus, pairs: list[Pair]) -> None:
    documents = {chunk.id: chunk.document for chunk in corpus.chunks}
    assert 0 < len(corpus.held_out) < len(PAGES) / 2
    assert set(corpus.learned) == PAGES.keys() - corpus.held_out

    assert corpus.held_out.isdisjoint(documents[pair.chunk] for pair in pairs)
    spoken_there = {
        mention.sentence for mention in corpus.mentions if mention.source in corpus.held_out
    } - {mention.sentence for mention in corpus.mentions if mention.source not in corpus.held_out}
    assert spoken_there.isdisjoint(pair.question for pair in of("mention", pairs))


def test_held_out_documents_do_not_depend_on_the_other_documents(
    folder: Path, corpus: TrainingCorpus
) -> None:
    (folder / "new.md").write_text("# New\n\nA page that was not there before.\n")

    assert corpus_in(folder).held_out - {"new.md"} == corpus.held_out
    assert corpus_in(folder, seed=2).held_out != corpus.held_out
    assert not corpus_in(folder, hold_out=0).held_out


def test_same_seed_gives_the_same_pairs(corpus: TrainingCorpus, pairs: list[Pair]) -> None:
    assert make_pairs(corpus, Random(1)) == pairs
    assert make_pairs(corpus, Random(2)) != pairs


def test_few_documents_are_used_in_several_passes(
    corpus: TrainingCorpus, pairs: list[Pair]
) -> None:
    thrice = enough_pairs(corpus, pairs=10_000, passes=3, seed=1)

    assert len(thrice) > 2.5 * len(pairs)
    assert thrice[: len(pairs)] == pairs
    assert len(set(thrice)) > len(pairs)
    assert enough_pairs(corpus, pairs=50, passes=3, seed=1) == pairs[:50]


def test_digest_changes_with_a_document(folder: Path, corpus: TrainingCorpus) -> None:
    assert corpus_in(folder).digest == corpus.digest
    (folder / "calder-kiln.md").write_text("# Calder kiln\n\nIt was sold.\n")

    assert corpus_in(folder).digest != corpus.digest


def test_too_few_documents_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("# One\n\nAlone.\n")

    with pytest.raises(DatasetError, match="1 documents with text are too few"):
        corpus_in(tmp_path)


def test_batch_contains_no_passage_or_question_twice() -> None:
    pairs = [Pair("heading", f"Question {n % 7}", "", f"chunk {n % 5}") for n in range(40)]

    made = list(batches(pairs, 4))

    assert made
    for batch in made:
        assert len({pair.chunk for pair in batch}) == 4
        assert len({pair.question for pair in batch}) == 4
    used = [id(pair) for batch in made for pair in batch]
    assert len(used) == len(set(used))


def test_conflicting_pair_is_deferred_to_the_next_batch() -> None:
    pairs = [Pair("heading", f"Question {n}", "", chunk) for n, chunk in enumerate("aabbcc")]

    assert list(batches(pairs, 3)) == [pairs[::2], pairs[1::2]]


def test_incomplete_batch_is_dropped() -> None:
    assert list(batches([Pair("link", "Question", "", "a")] * 9, 2)) == []
