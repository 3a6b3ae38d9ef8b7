"""Answers without a language model. The texts are invented."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from database.searching.passage import Passage
from inference_worker.quoting.block_ranking import MAX_EMBEDDED
from inference_worker.quoting.extractive_answer import (
    MAX_CHARACTERS,
    OMITTED,
    Quotation,
    extract_answer,
)
from tests.files.pages import chunk
from tests.stopwatch import takes_less_than

URL = "https://docs.example.com/kilns.html"


def passage(text: str, *, rank: int = 1, **page: Any) -> Passage:
    return Passage(chunk(text, **page), text, score=0.8 - rank / 100, dense_rank=rank)


def by_words(question: str, texts: Sequence[str]) -> list[float]:
    """No meaning: only the words decide."""
    return [0.0] * len(texts)


def quote(question: str, *passages: Passage) -> Quotation:
    return extract_answer(question, passages, by_words)


def quoted(question: str, *passages: Passage) -> str:
    """The quoted text of a single passage, without its source."""
    answer = quote(question, *passages)
    (citation,) = answer.citations
    return answer.text[: citation.start].rstrip()


def test_a_block_is_quoted_whole_under_its_headings_with_title_and_link() -> None:
    text = "The kiln encrypts its log with a KMS key. You choose it when you create the kiln."
    page = passage(text, title="Kilns", headings=("Security", "Logs"), url=URL)

    answer = quote("Is a kiln's log encrypted with KMS?", page)

    assert answer.text == f"**Kilns > Security > Logs**\n\n{text}\n\n[1] Kilns: {URL}"
    (citation,) = answer.citations
    assert answer.text[citation.start : citation.end] == "[1]"


def test_the_best_passage_is_number_one_whatever_its_rank() -> None:
    far = passage("Birds nest in trees, and sing in the morning.", title="Birds")
    near = passage("A kiln dries oak in nine days.", title="Kilns", rank=2)

    answer = quote("How many days does a kiln need to dry oak?", far, near)

    assert answer.text.startswith("A kiln dries oak in nine days.\n\n[1] Kilns")
    assert answer.passages == [near, far]


def test_meaning_decides_where_words_do_not() -> None:
    text = "Timber loses its moisture within a fortnight.\n\nThe kiln of Ann is made of red brick."

    def cosines(question: str, texts: Sequence[str]) -> list[float]:
        return [1.0 if "moisture" in each else 0.0 for each in texts]

    answer = extract_answer("How long does wood dry?", [passage(text)], cosines)

    assert answer.text.startswith("Timber loses its moisture")


def test_few_blocks_are_embedded() -> None:
    text = "\n\n".join(f"Kiln {n} of the yard dries the wood of Ann." for n in range(40))
    embedded: list[str] = []

    def cosines(question: str, texts: Sequence[str]) -> list[float]:
        embedded.extend(texts)
        return [0.0] * len(texts)

    extract_answer("Which kiln dries wood?", [passage(text)], cosines)

    assert len(embedded) == MAX_EMBEDDED


def test_a_block_that_only_repeats_the_question_is_not_quoted() -> None:
    text = "My kiln fails with a fan error.\n\nReplace the belt between motor and wheel."
    assert quoted("My kiln fails with a fan error", passage(text)).startswith("Replace the belt")


def test_without_passages_nothing_is_quoted() -> None:
    answer = quote("What is a kiln?")
    assert answer.text == "No passage can be quoted as an answer."
    assert not answer.citations


def test_without_quotable_blocks_the_pages_are_named_by_title() -> None:
    menu = passage("- [Kiln limits](limits.md)", title="Kiln pages", url=URL)
    answer = quote("What is a kiln?", menu, passage("## Kilns", title="All kilns", rank=2))
    assert f"- Kiln pages: {URL}\n- All kilns" in answer.text


@pytest.mark.parametrize(
    "debris",
    [
        "## Kiln temperature",
        "**Topics**\n+ [Kiln temperature limits](limits.md)\n+ [Temperature alarms](alarms.md)",
        "+ [Kiln temperature limits](limits.md)\n+ [Kiln temperature alarms](alarms.md)",
        "For more information about kiln temperature, see [Kiln temperature](kiln.md).",
        "Which temperature does the kiln hold?",
        "The kiln holds the following temperatures:",
        "The following picture shows the temperature of the kiln.",
        "of the kiln temperature is logged daily.",
        "![Kiln temperature](kiln.png)",
        "```\nkiln --temperature \\",
    ],
)
def test_what_does_not_answer_by_itself_is_left_out(debris: str) -> None:
    answer = "A kiln holds a temperature of 60 degrees, as [the plan](plan.md) says."
    text = f"{debris}\n\n## Values\n\n{answer}"
    if debris.startswith("```"):  # it extends to the end of the passage
        text = f"## Values\n\n{answer}\n\n{debris}"

    assert quoted("What temperature does a kiln hold?", passage(text)) == (
        "**Kilns > Values**\n\nA kiln holds a temperature of 60 degrees, as the plan says."
    )


@pytest.mark.parametrize(
    "text",
    [
        "To open the kiln, go to the yard and pull the lever.",
        "To use the kiln, see that its status is cold.",
        "The kiln opens in the following Region only, us-east-1.",
        "**Kilns that open:** all of Ann's.",
    ],
)
def test_an_instruction_is_not_mistaken_for_a_reference(text: str) -> None:
    assert quoted("When does the kiln open?", passage(text)) == text


@pytest.mark.parametrize(
    "code", ["`kiln.open()`", "`kilns[0](oak)`", "`<p>`", "`List<a>`", "``a ` b``"]
)
def test_code_in_a_sentence_is_unchanged(code: str) -> None:
    text = f"Open the kiln with {code} (![picture](kiln.png)) <br> from [the yard](yard.md)."
    assert quoted("How do I open the kiln?", passage(text)) == (
        f"Open the kiln with {code} from the yard."
    )


def test_a_block_that_is_too_long_is_not_quoted() -> None:
    long = "The kiln opens. " + "It is a kiln of red brick, which opens by itself. " * 30
    code = "```\n" + "kiln open --slowly\n" * 80 + "```"
    answer = quote("When does the kiln open?", passage(f"{long}\n\n{code}", title="Kilns"))
    assert answer.text == "No passage can be quoted as an answer. Read:\n- Kilns"


def test_the_best_block_is_quoted_even_if_nothing_matches() -> None:
    def opposite(question: str, texts: Sequence[str]) -> list[float]:
        return [-0.5] * len(texts)

    answer = extract_answer("Zebra?", [passage("A kiln dries oak.")], opposite)
    assert answer.text.startswith("A kiln dries oak.")


def test_addresses_and_links_in_code_become_names() -> None:
    text = (
        "Call the [https://docs.example.com/API_OpenKiln.html](https://x.example) operation, then "
        "https://docs.example.com/API_Close.html with `[Name](https://x.example/name)`."
    )
    assert quoted("Which operation opens a kiln?", passage(text)) == (
        "Call the `OpenKiln` operation, then `Close` with `Name`."
    )


def test_a_list_is_quoted_whole_with_its_lead_in() -> None:
    text = "The kiln burns these woods:\n\n- Oak\n- Ash and elm\n\nIt was built long ago."
    answer = quoted("Which woods does the kiln burn?", passage(text))
    assert answer.startswith("The kiln burns these woods:\n\n- Oak\n- Ash and elm")


def test_steps_are_numbered_and_keep_their_code_and_nested_items() -> None:
    text = """**To open the kiln**

1. Switch the fan off:

   ```
   fan off
   ```

1. Wait until the kiln is cold. ![Image](x.png)
   - In winter, one hour.

1. Open the door of the kiln."""
    assert (
        quoted("How do I open the kiln?", passage(text))
        == """**Kilns > To open the kiln**

1. Switch the fan off:
   ```
   fan off
   ```
2. Wait until the kiln is cold.
   - In winter, one hour.
3. Open the door of the kiln."""
    )


def test_steps_keep_their_numbers_notes_and_code_between_them() -> None:
    text = """Open the kiln:

3. Run this:

```
kiln open
```
4. Wait.

   **Note**

   It takes an hour.
5. Enter."""
    assert (
        quoted("How do I open the kiln?", passage(text))
        == """Open the kiln:

3. Run this:
   ```
   kiln open
   ```
4. Wait.
   **Note**
   It takes an hour.
5. Enter."""
    )


def test_nested_steps_keep_their_marks_and_depth() -> None:
    text = """1. Create the kiln:
   1. Enter the yard.
      - If you can.
   1. Build it."""
    assert (
        quoted("How do I create a kiln?", passage(text))
        == """1. Create the kiln:
   1. Enter the yard.
      - If you can.
   2. Build it."""
    )


def test_a_list_or_table_that_the_passage_cuts_is_marked() -> None:
    for source in ("- Oak dries.\n- Ash dries.", "| Wood |\n| --- |\n| Oak dries |"):
        part = replace(passage(source), begins_inside=True, ends_inside=True)
        *_, before, first = quoted("Which wood dries?", part).split("Oak")[0].split("\n")
        assert (before, first.strip("| -")) == (OMITTED, "")
        assert quoted("Which wood dries?", part).endswith(f"\n{OMITTED}")


def test_steps_of_which_the_first_are_missing_have_no_numbers() -> None:
    part = replace(passage("1. Enter the kiln.\n1. Leave the kiln."), begins_inside=True)
    assert quoted("How do I leave the kiln?", part) == (
        f"{OMITTED}\n- Enter the kiln.\n- Leave the kiln."
    )


def test_code_that_a_chunk_cut_is_not_quoted() -> None:
    code = "```\n" + "yard unlock\n" * 60 + "```"
    short = "```\nyard unlock\n```"
    for text, is_quoted in ((code, False), (f"{short}\n\n{short}", False), (short, True)):
        part = replace(passage(text), begins_inside=True)
        assert ("yard unlock" in quote("Which command opens the kiln?", part).text) is is_quoted


def test_a_list_after_a_table_is_not_one_of_its_rows() -> None:
    text = "| Wood |\n| --- |\n| Oak dries |\n\n- The kiln dries wood in a week."
    answer = quoted("When does the kiln dry wood?", passage(text))
    assert "|\n- The kiln" not in answer


def test_equal_items_of_two_lists_are_quoted_once_and_marked_in_the_second() -> None:
    texts = [f"The kiln has these fields:\n\n- `Name`: oak.\n- `{n}`: wood." for n in "AB"]
    pages = [passage(text, title=f"Page {n}") for n, text in enumerate(texts)]
    answer = quote("Which fields does the kiln have?", *pages)
    assert answer.text.count("`Name`") == 1
    assert f"fields:\n\n{OMITTED}\n- `B`: wood." in answer.text


def test_of_a_long_list_the_best_items_are_quoted_and_the_others_marked_as_omitted() -> None:
    items = [f"- Wheel {n} of the kiln turns the valve of floor {n}, slowly." for n in range(30)]
    text = "The kiln has these wheels:\n\n" + "\n".join(items)

    answer = quoted("Which valve does wheel 17 of the kiln turn?", passage(text))

    assert answer.startswith("The kiln has these wheels:\n\n")
    assert items[17] in answer
    assert f"\n{OMITTED}\n" in answer
    assert f"{OMITTED}\n{OMITTED}" not in answer


def test_items_nested_in_a_long_item_are_quoted_under_it() -> None:
    nested = "\n".join(f"  - `wood{n}`: the kiln dries it in {n} days, slowly." for n in range(20))
    text = f"- **WoodType** (string): The wood in the kiln. One of:\n{nested}"

    answer = quoted("How many days does wood7 need?", passage(text))

    assert "**WoodType** (string): The wood in the kiln. One of:" in answer
    assert "- `wood7`: the kiln dries it in 7 days, slowly." in answer


def test_a_table_row_is_quoted_under_its_head() -> None:
    rows = "".join(f"| `heat{n}` | The heat of floor {n}. Default: {n}5. |\n" for n in range(30))
    text = f"| Name | Description |\n| --- | --- |\n{rows}"

    answer = quoted("What is the default of heat7?", passage(text))

    assert answer.startswith("| Name | Description |\n| --- | --- |\n")
    assert "| `heat7` | The heat of floor 7. Default: 75. |" in answer


def test_a_field_of_the_api_is_quoted_without_its_pattern() -> None:
    text = "- **KilnName** (string, required): The name of the kiln. Pattern: `[a-z]+`."
    answer = quote("KilnName", passage(text, title="DescribeKiln", headings=("Response",)))
    assert answer.text.startswith(
        "**DescribeKiln > Response**\n\n- **KilnName** (string, required): The name of"
    )
    assert "Pattern" not in answer.text
    assert answer.text.endswith("[1] DescribeKiln")


@pytest.mark.parametrize(
    "question", ["What is a kiln?", "what are Kilns", "Tell me about the kiln", "Define kiln."]
)
def test_a_question_for_a_name_is_answered_by_its_definition(question: str) -> None:
    text = (
        "Switch the kiln of a kiln house on. A kiln house has a kiln.\n\n"
        "## Names\n\nAn Acme kiln is an oven that dries wood."
    )
    answer = quote(question, passage(text), passage("Kiln by kiln, work.", rank=2, title="Kiln"))
    assert "An Acme kiln is an oven that dries wood." in answer.text


def test_code_is_quoted_whole() -> None:
    text = "Use this command to open a kiln:\n\n```\nkiln open \\\n    --name K\n```"
    assert quoted("Which command opens a kiln?", passage(text)) == text


def test_an_answer_is_limited_in_length() -> None:
    texts = [f"Kiln {n} dries wood. " + f"It dries the wood of year {n}. " * 15 for n in range(9)]
    answer = quote("Which kiln dries the wood of the year?", passage("\n\n".join(texts)))
    assert sum(len(each.quote) for each in answer.citations) <= MAX_CHARACTERS + 10


def test_every_block_comes_from_a_passage_and_none_twice() -> None:
    texts = [
        "A kiln dries oak in nine days. It needs a fan.\n\nAsh in a kiln dries in six days.",
        "A kiln dries oak in nine days. It needs a fan.\n\nOwls like kilns.",
    ]
    passages = [passage(text, rank=rank) for rank, text in enumerate(texts, start=1)]

    answer = quote("How many days does a kiln need to dry oak or ash?", *passages)

    assert answer.text.count("A kiln dries oak in nine days. It needs a fan.") == 1
    for citation in answer.citations:
        source = answer.passages[citation.number - 1].text
        assert all(block in source for block in citation.quote.split("\n\n"))


def test_the_answer_is_the_same_each_time_and_takes_milliseconds() -> None:
    text = "\n\n".join(
        f"Kiln {n} is hot. It dries `wood{n}` in {n} days, as Ann says." for n in range(14)
    )
    passages = [passage(text, document=f"{rank}.md", rank=rank) for rank in range(1, 9)]
    question = "How many days does a hot kiln need to dry wood3?"
    first = quote(question, *passages)
    with takes_less_than(0.25):
        assert quote(question, *passages) == first


def test_malformed_text_raises_no_error() -> None:
    for text in ("", *"\n|#", "```", "- ", "1.", "**", "](", "[a](" * 500, "`" * 99, "Ä. " * 300):
        assert quote("what? \x00 [", passage(text)).text


@pytest.mark.parametrize(
    "text",
    [
        "[a](" * 20_000,
        "what is " * 20_000,
        "- a\n  - b\n" * 10_000,
        "x" + " " * 80_000 + "y",
        "what is " + "-" * 80_000 + " x y z",
        "to " * 20_000,
    ],
)
def test_hostile_text_takes_time_in_proportion_to_its_size(text: str) -> None:
    with takes_less_than(5):
        assert quote(text[:4000], passage(text)).text
