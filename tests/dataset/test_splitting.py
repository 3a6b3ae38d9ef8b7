"""Documents are split into chunks that fit the model, at the boundaries of their blocks."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from database.embedding.local_model import LocalModel
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.splitting import ChunkSize, CountTokens, split_document

SENTENCE = "A kiln number {n} dries wood slowly, day by day and night by night."


def count_words(text: str) -> int:
    return len(text.split())


def document(text: str, title: str = "", url: str = "") -> Document:
    return Document("kilns/page.md", text, title, url, content_hash="c0ffee")


def chunks_of(text: str, tokens: int = 60, overlap: int = 0, url: str = "") -> list[Chunk]:
    return split_document(document(text, url=url), ChunkSize(tokens, overlap), count_words)


def texts_of(text: str, tokens: int = 60, overlap: int = 0) -> list[str]:
    return [chunk.text for chunk in chunks_of(text, tokens, overlap)]


def prose(sentences: int, start: int = 0) -> str:
    return " ".join(SENTENCE.format(n=n) for n in range(start, start + sentences))


def table(rows: int) -> str:
    lines = [f"| kiln{n} | Oak, ash and elm | {n} degrees |" for n in range(rows)]
    return "\n".join(("| Kiln | Woods | Heat |", "| --- | --- | --- |", *lines))


def code(lines: int) -> str:
    body = "\n".join(f"    heat_{n} = open_kiln({n})  # Note: Number {n}." for n in range(lines))
    return f"```python\n{body}\n```"


def bullets(items: int) -> str:
    return "\n".join(f"+ Item{n}: {SENTENCE.format(n=n)}" for n in range(items))


PAGES = {
    "prose": "# Kilns\n\n" + "\n\n".join(prose(9, start) for start in range(0, 90, 9)),
    "one long paragraph": f"# Kilns\n\n{prose(60)}",
    "no sentence ends": "# Kilns\n\n" + " ".join(f"word{n}" for n in range(900)),
    "a word a line": "# Kilns\n\n" + "\n".join(f"word{n}" for n in range(900)),
    "tabs between words": "# Kilns\n\n" + "\t".join(f"word{n}" for n in range(900)),
    "dashes": "# Kilns\n\n" + " - ".join(f"word{n}" for n in range(900)),
    "pluses and sentences": "# Kilns\n\n" + " ".join(f"+ Is{n} it?" for n in range(500)),
    "long table": f"# Kilns\n\n{table(200)}",
    "table of long cells": f"# Kilns\n\n| Kiln | Use |\n| --- | --- |\n| a | {prose(30)} |\n",
    "table of a long head": "# Kilns\n\n|" + "|".join(f" Head of {n} " for n in range(99)) + "|\n|"
    + " --- |" * 99 + "\n|" + "|".join(f" cell{n} " for n in range(99)) + "|\n",
    "long code": f"# Kilns\n\nBefore.\n\n{code(200)}\n\nAfter.",
    "code of one long line": "# Kilns\n\n```\n" + " ".join(f"x{n}=1;" for n in range(900))
    + "\n```",
    "code of a long language": "# Kilns\n\n```" + "python " * 200 + "\nx = 1\ny = 2\n```",
    "long list": f"# Kilns\n\n{bullets(90)}",
    "long items": f"# Kilns\n\n+ {prose(30)}\n+ {prose(30, 30)}",
    "code in a list": "# Kilns\n\n1. Run:\n\n   " + code(90).replace("\n", "\n   ")
    + "\n\n1. Stop.",
    "quote": "# Kilns\n\n> " + prose(60).replace(". ", ".\n> "),
    "giant heading": "# Kilns\n\n## " + "Very long " * 400 + f"\n\n{prose(9)}",
    "deep headings": "\n".join(f"{'#' * n} Heading {n} of many words" for n in range(1, 7))
    + f"\n\n{prose(9)}",
    "heading of signs": "# " + "! ? " * 30 + f"\n\n{prose(9)}",
    "links": "# Kilns\n\n" + " ".join(
        f"Kiln {n} is well described, with all of its woods, [on its page]"
        f"(https://kilns.example/{n}?a=b&c=d), where its owner shows how it dries."
        for n in range(90)
    ),
}  # fmt: skip


def words(text: str) -> set[str]:
    return {word.strip("|+`>#") for word in text.split()} - {"", "---", "-"}


@pytest.fixture(params=["words", pytest.param("minilm", marks=pytest.mark.model)])
def count_tokens(request: pytest.FixtureRequest) -> CountTokens:
    if request.param == "words":
        return count_words
    model: LocalModel = request.getfixturevalue("minilm")
    return model.count_tokens


@pytest.mark.parametrize(("tokens", "overlap"), [(32, 0), (60, 15), (254, 0), (254, 60)])
@pytest.mark.parametrize("page", PAGES)
def test_chunks_fit_and_nothing_is_lost(
    page: str, tokens: int, overlap: int, count_tokens: CountTokens
) -> None:
    chunks = split_document(document(PAGES[page]), ChunkSize(tokens, overlap), count_tokens)

    assert max(count_tokens(chunk.text_to_embed) for chunk in chunks) <= tokens
    if page != "deep headings":
        shown = words(" ".join(f"{chunk.title} {chunk.text}" for chunk in chunks))
        assert words(PAGES[page]) <= shown
    assert all(chunk.text.strip() for chunk in chunks)


@pytest.mark.parametrize("seed", range(20))
def test_chunks_of_random_pages_fit(seed: int, count_tokens: CountTokens) -> None:
    dice = random.Random(seed)
    scraps = [
        "word", "CreateEndpointConfig", "a\\-b", "`co*de`", "**bold**", "- ", "+ ", "* ", "\n",
        "\n\n", "\n\n```\n", "```python\n", "| a | b |\n", "| --- | --- |\n", "\n# Head ", "...",
        "-----", "[link", "](x.md)", "](http://a.b/c)", "<a name=\"x\"></a>", "End. ", "Why? ",
        "    ", "1. ", "> ", "\t", "é文", "|", "~~~\n",
    ]  # fmt: skip
    text = "".join(dice.choice(scraps) + dice.choice(["", " "]) for _ in range(3000))

    chunks = split_document(document(text), ChunkSize(40, dice.choice([0, 10, 39])), count_tokens)

    assert chunks
    assert max(count_tokens(chunk.text_to_embed) for chunk in chunks) <= 40


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("\u5bc6\u94a5\u8fc7\u671f\u3002" * 4, ["\u5bc6\u94a5\u8fc7\u671f\u3002" * 2] * 2),
        (
            "\u4f7f\u7528SageMaker\u8bad\u7ec3\u6a21\u578b",
            ["\u4f7f\u7528", "SageMaker\u8bad\u7ec3\u6a21\u578b"],
        ),
        ("create-endpoint-configuration", ["endpoint-", "configuration"]),
    ],
)
def test_line_without_spaces_is_cut_at_its_own_marks_and_never_within_a_word(
    line: str, parts: list[str]
) -> None:
    size = ChunkSize(15, 0)
    chunks = split_document(document(line, title="T"), size, len)
    assert "".join(chunk.text for chunk in chunks) == line
    assert set(parts) <= {chunk.text for chunk in chunks}


def test_code_between_tildes_in_a_list_is_fenced_in_every_part() -> None:
    code_lines = "\n".join(f"   ledger put --key k{n} --value {n}" for n in range(60))
    for text in texts_of(f"1. Run:\n\n   ~~~bash\n{code_lines}\n   ~~~\n\n2. Then.\n"):
        assert text.count("~~~") in (0, 2)


def test_huge_word_is_cut_without_loss(count_tokens: CountTokens) -> None:
    giant = "".join(f"kiln{n}." for n in range(5000))

    def count(text: str) -> int:
        return max(count_tokens(text), len(text) // 20)

    chunks = split_document(document(f"# Kilns\n\n{giant}"), ChunkSize(60, 0), count)

    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == giant
    assert max(count(chunk.text_to_embed) for chunk in chunks) <= 60


@pytest.mark.parametrize("title", ["Kiln " * 300, "! " * 200, "K" * 5000])
def test_huge_title_leaves_room_for_the_text(title: str, count_tokens: CountTokens) -> None:
    page = replace(document(prose(9)), title=title.strip())
    chunks = split_document(page, ChunkSize(60, 0), count_tokens)
    assert max(count_tokens(chunk.text_to_embed) for chunk in chunks) <= 60
    assert len(chunks) < 20
    assert words(prose(9)) <= words(" ".join(chunk.text for chunk in chunks))


def test_heading_that_leaves_no_room_for_the_text_is_part_of_it() -> None:
    heading = "\u5bc6\u94a5" * 45
    chunks = split_document(document(f"# {heading}\n\nx"), ChunkSize(150, 0), len)
    assert [chunk.text for chunk in chunks] == [f"{heading}\n\nx"]


def test_short_section_is_one_chunk() -> None:
    page = f"# Kilns\n\n{prose(1)}\n\n{table(1)}\n\n{code(1)}\n\n+ Oak\n+ Ash"
    assert texts_of(page) == [page.removeprefix("# Kilns\n\n")]


def test_chunk_never_crosses_a_heading() -> None:
    chunks = chunks_of("# A\n\none\n\n## B\n\ntwo\n\n## C\n\n### D\n\nthree")
    assert [(chunk.text, chunk.headings) for chunk in chunks] == [
        ("one", ()), ("two", ("B",)), ("three", ("C", "D")),
    ]  # fmt: skip


def test_prose_is_cut_between_sentences_and_without_overlap_nothing_is_repeated() -> None:
    texts = texts_of(f"# Kilns\n\n{prose(40)}")
    assert all(text.startswith("A kiln number") for text in texts)
    assert all(text.endswith("night by night.") for text in texts)
    assert " ".join(texts) == prose(40)


def test_paragraph_that_fits_is_not_cut() -> None:
    paragraphs = [prose(2, start) for start in range(0, 20, 2)]
    cut = [text.split("\n\n") for text in texts_of("# Kilns\n\n" + "\n\n".join(paragraphs))]
    assert [paragraph for text in cut for paragraph in text] == paragraphs


def test_list_is_cut_between_items() -> None:
    items = [item for text in texts_of(f"# Kilns\n\n{bullets(20)}") for item in text.split("\n")]
    assert items == bullets(20).split("\n")


def test_steps_of_a_nested_list_keep_their_lines() -> None:
    steps = "\n".join(f"   1. Turn the wheel to notch {n}." for n in range(40))
    texts = texts_of(f"# Kilns\n\n1. Begin.\n{steps}\n")
    assert len(texts) > 1
    lines = [line.strip() for text in texts for line in text.split("\n")]
    assert lines == ["1. Begin.", *(step.strip() for step in steps.split("\n"))]


@pytest.mark.parametrize("block", [table(4), code(6)])
def test_code_and_tables_that_fit_stay_whole(block: str) -> None:
    texts = texts_of(f"# Kilns\n\n{prose(3)}\n\n{block}\n\n{prose(3)}")
    assert sum(block in text for text in texts) == 1


def test_code_in_a_list_that_fits_stays_whole() -> None:
    block = code(6).replace("\n", "\n   ")
    texts = texts_of(f"# Kilns\n\n1. {prose(3)}\n\n   {block}\n\n1. {prose(3)}")
    assert sum(block in text for text in texts) == 1


def test_every_part_of_a_table_has_its_head() -> None:
    texts = texts_of(f"# Kilns\n\n{table(40)}")
    head, rows = table(40).split("\n")[:2], table(40).split("\n")[2:]
    assert len(texts) > 1
    assert all(text.split("\n")[:2] == head for text in texts)
    assert [row for text in texts for row in text.split("\n")[2:]] == rows


def test_every_part_of_code_is_fenced_and_keeps_its_lines() -> None:
    texts = texts_of(f"# Kilns\n\n{code(60)}")
    parts = [text.split("\n") for text in texts]
    assert len(texts) > 1
    assert all((part[0], part[-1]) == ("```python", "```") for part in parts)
    assert [line for part in parts for line in part[1:-1]] == code(60).split("\n")[1:-1]


def common(before: str, after: str) -> str:
    """The end of the first text that the second one repeats."""
    lengths = range(min(len(before), len(after)), 0, -1)
    return next((after[:n] for n in lengths if before.endswith(after[:n])), "")


def test_overlap_repeats_whole_sentences() -> None:
    texts = texts_of(f"# Kilns\n\n{prose(40)}", 60, 30)
    repeated = [common(*pair) for pair in pairwise(texts)]
    assert len(repeated) > 1
    for part in repeated:
        assert 0 < count_words(part) <= 30
        assert part.startswith("A kiln number")
        assert part.endswith("night by night.")


def test_overlap_stays_within_its_section() -> None:
    chunks = chunks_of(f"# Kilns\n\n{prose(12)}\n\n## More\n\n{prose(12, 12)}", 60, 30)
    first = next(chunk for chunk in chunks if chunk.headings)
    assert first.text.startswith(SENTENCE.format(n=12))


def test_overlap_does_not_repeat_code_or_tables() -> None:
    for block, repeated in ((code(60), "Number 7."), (table(60), "| kiln7 |")):
        texts = texts_of(f"# Kilns\n\n{block}", 60, 30)
        assert sum(repeated in text for text in texts) == 1


def test_ids_are_deterministic_and_unique_and_change_with_content_and_name() -> None:
    def ids_of(page: Document) -> list[str]:
        return [chunk.id for chunk in split_document(page, ChunkSize(60, 0), count_words)]

    page = document(PAGES["prose"])
    ids = ids_of(page)
    assert ids == ids_of(page)
    assert len(set(ids)) == len(ids) > 1
    assert not set(ids) & set(ids_of(replace(page, content_hash="decaf")))
    assert not set(ids) & set(ids_of(replace(page, name="kilns/other.md")))


def test_chunks_have_their_document_and_ordinal() -> None:
    chunks = chunks_of(PAGES["prose"])
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.siblings for chunk in chunks} == {len(chunks)}
    assert {(chunk.document, chunk.document_hash) for chunk in chunks} == {
        ("kilns/page.md", "c0ffee")
    }


def test_address_includes_the_anchor() -> None:
    page = 'Before.\n\n# Kilns<a name="kilns"></a>\n\none\n\n## More\n\ntwo'
    chunks = chunks_of(page, url="https://kilns.example/page.html")
    assert [(chunk.anchor, chunk.url) for chunk in chunks] == [
        ("", "https://kilns.example/page.html"),
        ("kilns", "https://kilns.example/page.html#kilns"),
        ("", "https://kilns.example/page.html"),
    ]
    assert [chunk.url for chunk in chunks_of(page)] == ["", "", ""]


def test_text_to_embed_starts_with_the_breadcrumb() -> None:
    (chunk,) = chunks_of("# Kilns\n\n## Wood\n\n### Oak\n\nOak is **hard**.")
    assert chunk.title == "Kilns"
    assert chunk.breadcrumb == "Kilns > Wood > Oak"
    assert chunk.text == "Oak is **hard**."
    assert chunk.text_to_embed == "Kilns > Wood > Oak\n\nOak is hard."


@pytest.mark.parametrize(
    ("page", "title", "breadcrumb"),
    [
        (document("# Kilns\n\nx", title="CreateKiln"), "CreateKiln", "CreateKiln > Kilns"),
        (document("# Kilns\n\nx", title="Kilns"), "Kilns", "Kilns"),
        (document("Before.\n\n# Kilns"), "Kilns", "Kilns"),
        (document("Only words."), "page", "page"),
    ],
)
def test_title_falls_back_to_the_first_heading_then_the_name(
    page: Document, title: str, breadcrumb: str
) -> None:
    chunk = split_document(page, ChunkSize(60, 0), count_words)[0]
    assert (chunk.title, chunk.breadcrumb) == (title, breadcrumb)


@pytest.mark.parametrize("text", ["", "# Kilns", "**Topics**\n+ [Start](start.md)", "```\n```"])
def test_page_without_text_has_no_chunks(text: str) -> None:
    assert chunks_of(text) == []


def test_chunks_of_api_fields_are_shorter() -> None:
    fields = "\n".join(f"- **Field{n}** (string, optional): What field {n} is." for n in range(20))

    chunks = chunks_of(f"# CreateKiln\n\n## Request\n\n{fields}", tokens=60)

    assert max(count_words(chunk.text_to_embed) for chunk in chunks) <= 33
    assert "\n".join(chunk.text for chunk in chunks) == fields
