"""Hybrid search: fusion of dense and lexical scores, related words, filters."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from math import log
from pathlib import Path
from tempfile import mkdtemp

import pytest

from database.index import rows, word_vectors
from database.index.live_pointer import LivePointer
from database.index.rows import Row
from database.index.store import open_store
from database.reading.read_corpus import read_corpus
from database.searching.filters import EVERYTHING, Filters
from database.searching.fusion import Ranking
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.passage import Findings, Passage
from database.searching.query import MAX_RELATED, read_question
from database.searching.search import SearchCorpus, search
from dataset.chunks import Chunk
from tests.files.pages import WordEmbeddings, chunk

DENSE = Ranking(dense=1.0, lexical=0.0, documents=0.1, related=0.0, candidates=200)
LEXICAL = replace(DENSE, dense=0.0, lexical=1.0)
BOTH = replace(DENSE, lexical=1.0)

PAGES = [
    chunk("Please tell me what the name means here.", document="names.md", title="Names"),
    chunk("The `CreateKilnConfig` call heats a kiln.", document="heat.md", title="Heat"),
    chunk("Set `oak_age_days` or ml.k3.2xlarge first.", document="oak.md", title="Oak"),
    chunk("Ash burns bright in a stove.", document="ash.md", title="Ash"),
    chunk("Yew bends well in steam.", document="yew.md", title="Yew"),
]

FILTERED = Filters(documents=("yew.md", "oak.md"))

Index = Callable[..., SearchCorpus]


@pytest.fixture(params=["exact", "graph"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    """Creates a corpus of chunks, with or without related words, that either search reads."""
    with ExitStack() as stores:

        def make(chunks: list[Chunk], words: dict[str, str] | None = None) -> SearchCorpus:
            folder = mkdtemp(dir=tmp_path)
            store = stores.enter_context(closing(open_store(folder, create=True)))
            collection = store.create("index-made-up", {"model": "words"}, len(chunks))
            embeddings = WordEmbeddings()
            vectors = embeddings.embed_documents([each.text_to_embed for each in chunks])
            rows.add(collection, [*map(Row, chunks, vectors)])
            if words:
                word_vectors.write_word_vectors(
                    store, collection.name, words, embeddings.embed_documents, []
                )
            live = LivePointer(collection.name, "", 1, 1)
            corpus = read_corpus(store, live, collection, WordEmbeddings(), "")
            return corpus if request.param == "exact" else replace(corpus, vectors=None)

        yield make


def embeddings_of(corpus: SearchCorpus) -> WordEmbeddings:
    """The embeddings, which record texts embedded as queries and in batches, the chunks first."""
    assert isinstance(corpus.embeddings, WordEmbeddings)
    return corpus.embeddings


def documents(findings: Findings) -> list[str]:
    return [passage.chunk.document for passage in findings.passages]


def assert_same(found: Findings, expected: Findings) -> None:
    assert documents(found) == documents(expected)
    assert [passage.score for passage in found.passages] == pytest.approx(
        [passage.score for passage in expected.passages], abs=1e-3
    )


def by_document(findings: Findings) -> dict[str, Passage]:
    return {passage.chunk.document: passage for passage in findings.passages}


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("what CreateKilnConfig means here", "heat.md"),
        ("what create_kiln_config means here", "heat.md"),
        ("what oak_age_days means here", "oak.md"),
        ("what ml.k3.2xlarge means here", "oak.md"),
    ],
)
def test_lexical_search_finds_identifiers_that_embeddings_miss(
    index: Index, question: str, document: str
) -> None:
    corpus = index(PAGES)
    assert documents(search(corpus, question, 5, DENSE))[0] == "names.md"
    assert documents(search(corpus, question, 5, BOTH))[0] == document


def test_chunk_found_by_one_side_only_has_no_rank_in_the_other(index: Index) -> None:
    narrow = replace(BOTH, candidates=1)

    found = by_document(search(index(PAGES), "what CreateKilnConfig means here", 5, narrow))

    assert found.keys() == {"names.md", "heat.md"}
    assert (found["names.md"].dense_rank, found["names.md"].lexical_rank) == (1, None)
    assert (found["heat.md"].dense_rank, found["heat.md"].lexical_rank) == (None, 1)


def test_side_of_weight_zero_is_not_searched(index: Index) -> None:
    corpus = index(PAGES)
    found = by_document(search(corpus, "stove", 5, LEXICAL))
    assert embeddings_of(corpus).queries == []
    assert found.keys() == {"ash.md"}
    assert (found["ash.md"].dense_rank, found["ash.md"].lexical_rank) == (None, 1)
    dense = search(corpus, "stove", 5, DENSE).passages
    assert {passage.lexical_rank for passage in dense} == {None}
    assert [passage.score for passage in dense] == sorted(
        (passage.score for passage in dense), reverse=True
    )


def test_related_word_finds_chunk_that_neither_side_finds(index: Index) -> None:
    corpus = index(PAGES, {"stove": "oven", "bend": "bend"})  # "oven" has stove's vector here
    assert corpus.related is not None
    assert documents(search(corpus, "oven", 5, replace(LEXICAL, related=1.0))) == ["ash.md"]
    assert len(search(corpus, "oven", 5, LEXICAL).passages) == len(PAGES)  # no evidence: all


def test_weight_of_a_related_word_is_its_squared_cosine_times_the_setting(index: Index) -> None:
    corpus = index(PAGES, {"stove": "oven hot", "oven": "oven"})  # 45 degrees apart
    lexical = corpus.lexical

    def worth(weight: float) -> Mapping[str, float]:
        return read_question("Oven", lexical, corpus.related, weight).terms["oven"]

    assert worth(0.6) == {"stove": pytest.approx(0.6 * 0.5, abs=0.02)}
    assert worth(3.0) == {"stove": 1.0}
    assert worth(0.0) == {}
    query = Query({"oven": {}, "hot": {}}, ("Oven",))
    assert read_question("Is an Oven hot", lexical, None, 1.0) == query


def test_only_what_the_index_contains_of_an_address_is_asked_for(index: Index) -> None:
    lexical = index([chunk("A kiln-stove burns.", document="a.md")]).lexical

    address = "arn:wood:eu-west-1:640912387755:kiln-stove/KilnOfMine"
    query = read_question(f"What is {address} or BigKiln?", lexical, None, 1.0)

    assert set(query.terms) == {"kilnstov", "kiln", "stove", "bigkiln", "big"}
    assert query.names == ("BigKiln",)


def test_fused_score_is_the_weighted_sum_of_both_sides(index: Index) -> None:
    corpus = index(PAGES)

    def score(ranking: Ranking) -> float:
        return by_document(search(corpus, "stove", 5, ranking))["ash.md"].score

    dense, lexical = score(DENSE), score(LEXICAL)
    both = replace(BOTH, dense=0.5, lexical=3.0)
    assert dense > 0 < lexical
    assert score(both) == pytest.approx(0.5 * dense + 3.0 * lexical, rel=1e-4)


@pytest.mark.parametrize("question", ["what is it about?", "???", "", "what of it. And why is it?"])
def test_question_without_terms_still_finds_passages(index: Index, question: str) -> None:
    findings = search(index(PAGES, {"stove": "stove"}), question, 3, Ranking())
    assert len(findings.passages) == 3
    assert findings.features.term_coverage == 0.0
    assert not findings.answerable


@pytest.mark.parametrize("question", ["How hot is an oak?", "what is it", "yew"])
def test_single_chunk_is_found_for_any_question(index: Index, question: str) -> None:
    findings = search(index(PAGES[2:3]), question, 8, Ranking())
    assert documents(findings) == ["oak.md"]
    assert findings.passages[0].text == PAGES[2].text


def test_long_nonsense_is_embedded_a_bounded_number_of_times(index: Index) -> None:
    corpus = index(PAGES, {"stove": "stove"})
    letters = [f"{a}{b}{c}" for a in "qxzvkw" for b in "abcdefgh" for c in "lmnoprst"]
    nonsense = " ".join(f"{word}." if n % 5 == 0 else word for n, word in enumerate(letters * 3))
    nonsense = nonsense[:4000]
    assert len(nonsense) == 4000
    parts = 7  # of at most 600 characters

    built = len(embeddings_of(corpus).documents)

    findings = search(corpus, nonsense, 3, Ranking())

    assert len(findings.passages) == 3
    assert len(embeddings_of(corpus).queries) == parts + MAX_RELATED
    assert len(embeddings_of(corpus).documents) == built
    assert 0 <= findings.confidence <= 1


def test_findings_have_joined_text_and_confidence(index: Index) -> None:
    chunks = [
        chunk("Oak dries slowly in a hot kiln.", title="Oak", ordinal=0),
        chunk("Turn it each day.", title="Oak", ordinal=1),
        chunk("Oak kilns stay hot for days.", title="Oak", ordinal=2),
        *PAGES[3:],
    ]
    corpus = index(chunks)

    findings = search(corpus, "hot oak kiln", 3, replace(Ranking(), gap=2))

    best = findings.passages[0]
    assert best.text == "\n\n".join(each.text for each in chunks[:3])
    assert best.chunk in (chunks[0], chunks[2])
    assert findings.features.term_coverage > 0.5
    other = search(corpus, "cheap flights overseas", 3, Ranking())
    assert findings.confidence > other.confidence
    assert not other.answerable


def test_filtered_documents_are_found_behind_many_better_chunks(index: Index) -> None:
    better = [chunk("Ash burns bright.", document=f"ash-{n:03}.md") for n in range(60)]
    corpus = index([*better, *PAGES])
    narrow = replace(BOTH, candidates=3)

    found = search(corpus, "what burns bright", 5, narrow, filters=FILTERED)

    assert set(documents(found)) == {"yew.md", "oak.md"}
    assert {passage.dense_rank for passage in found.passages} == {1, 2}


def test_filtered_search_ranks_like_an_index_of_those_documents(index: Index) -> None:
    question = "bend oak or yew in steam first"
    corpus = index(PAGES)
    alone = index([page for page in PAGES if page.document in FILTERED.documents])
    for ranking in (DENSE, replace(DENSE, candidates=1)):
        some = search(corpus, question, 5, ranking, filters=FILTERED)
        assert_same(some, search(alone, question, 5, ranking))
    for ranking in (LEXICAL, BOTH):
        found = search(corpus, question, 5, ranking, filters=FILTERED)
        assert set(documents(found)) == set(FILTERED.documents)


def test_lexical_scores_are_standardized_within_the_filtered_documents(index: Index) -> None:
    some = [
        chunk("Oven oven ash bright.", document="oak.md"),
        chunk("Oven dry ash bright.", document="yew.md"),
    ]
    others = [chunk("Ash burns bright dry.", document=f"ash-{n:03}.md") for n in range(60)]

    among = search(index([*others, *some]), "oven", 5, LEXICAL, filters=FILTERED)
    alone = search(index(some), "oven", 5, LEXICAL)

    assert documents(alone) == ["oak.md", "yew.md"]
    assert_same(among, alone)


def test_one_document_gives_all_its_passages(index: Index) -> None:
    of_one = [
        chunk(f"Oak number {n} is {n} years old.", document="oak.md", ordinal=n) for n in range(9)
    ]
    corpus = index([*of_one, *PAGES[3:]])
    only = Filters(documents=("oak.md",))
    found = search(corpus, "old oak", 8, replace(Ranking(), gap=0), filters=only)
    assert documents(found) == ["oak.md"] * 8


def test_filter_without_matches_finds_and_embeds_nothing(index: Index) -> None:
    corpus = index(PAGES)
    found = search(
        corpus, "How hot is a kiln?", 5, Ranking(), 0.0, filters=Filters(title="no such title")
    )
    assert (found.passages, found.confidence, found.answerable) == ([], 0.0, False)
    assert embeddings_of(corpus).queries == []


def test_z_score_is_less_for_the_best_of_more_chunks(index: Index) -> None:
    words = ("ash", "bright", "stove", "wood", "log")
    others = [
        chunk(f"Log {words[n % 5]} {words[n // 5 % 5]} {n}.", document=f"{n}.md", title="Logs")
        for n in range(120)
    ]
    corpus = index([*others, PAGES[3]])

    def z_score(filters: Filters) -> float:
        found = search(corpus, "Ash burns bright in a stove", 1, Ranking(), filters=filters)
        assert documents(found) == ["ash.md"]
        return found.features.cosine_z_score

    difference = z_score(Filters(documents=("ash.md",))) - z_score(EVERYTHING)
    assert difference == pytest.approx(0.5 * log(121), abs=0.01)


def test_evidence_comes_from_the_filtered_documents(index: Index) -> None:
    corpus = index(PAGES)
    question = "How does yew bend in steam?"
    everywhere = search(corpus, question, 5, Ranking(), filters=EVERYTHING)
    elsewhere = search(corpus, question, 5, Ranking(), filters=Filters(documents=("ash.md",)))
    assert elsewhere.features.term_coverage < everywhere.features.term_coverage
    assert elsewhere.confidence < everywhere.confidence


def test_empty_index_finds_nothing(index: Index) -> None:
    corpus = index(PAGES)
    empty = replace(corpus, chunks=[], places={}, lexical=LexicalIndex([]), vectors=None)
    assert search(empty, "How hot is a kiln?", 5, Ranking()).passages == []


@pytest.mark.parametrize(
    "filters", [EVERYTHING, Filters(documents=("*.md",)), Filters(title="oak")]
)
def test_chunk_of_an_unfinished_change_is_not_found(index: Index, filters: Filters) -> None:
    corpus = index(PAGES)
    secret = replace(PAGES[2], id="new", text="Set `oak_age_days` never.")
    vectors = WordEmbeddings().embed_documents(["how old is an oak"])
    rows.add(corpus.collection, [Row(secret, vectors[0])])

    found = search(corpus, "how old is an oak", 8, Ranking(), filters=filters)

    assert "oak.md" in documents(found)
    assert all("never" not in passage.text for passage in found.passages)


@pytest.mark.parametrize("filters", [EVERYTHING, FILTERED])
def test_search_tolerates_a_just_deleted_chunk(index: Index, filters: Filters) -> None:
    corpus = index(PAGES)
    rows.delete(corpus.collection, [PAGES[2].id])
    found = search(corpus, "how does yew bend in steam", 8, Ranking(), filters=filters)
    assert documents(found)[0] == "yew.md"
