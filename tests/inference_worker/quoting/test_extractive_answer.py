"""Answers without a language model. The texts are invented."""

from typing import Any

from database.searching.passage import Passage
from inference_worker.quoting.extractive_answer import extract_answer
from tests.files.pages import chunk
from tests.stopwatch import takes_less_than


def passage(text: str, *, rank: int = 1, **page: Any) -> Passage:
    return Passage(chunk(text, **page), text, score=0.8 - rank / 100, dense_rank=rank)


def test_the_sentence_with_the_answer_is_quoted_whole() -> None:
    text = (
        "Kilns dry wood. The kiln encrypts its log with a KMS key, which you choose when you "
        "create it. Birds nest in trees."
    )
    answer = extract_answer("Is a kiln's log encrypted with KMS?", [passage(text)])
    assert (
        "The kiln encrypts its log with a KMS key, which you choose when you create it." in answer
    )
    assert "Birds" not in answer


def test_without_passages_the_answer_says_that_nothing_was_found() -> None:
    assert extract_answer("What is a kiln?", []).startswith("Nothing was found")


def test_without_quotable_sentences_the_documents_are_named() -> None:
    debris = passage("| a | b |\n| --- | --- |\n| 1 | 2 |", document="tables.md")
    answer = extract_answer("What is a kiln?", [debris, passage("## Kilns", rank=2)])
    assert "tables.md" in answer
    assert "kilns.md" in answer
    assert "|" not in answer


def test_headings_menus_tables_and_pointers_are_left_out() -> None:
    text = """## Kiln temperature

**Topics**
+ [Kiln temperature limits](limits.md)
+ [Kiln temperature alarms](alarms.md)

For more information about kiln temperature, see [Kiln temperature](kiln.md).

| Kiln | Temperature |
| --- | --- |
| A | 60 |

A kiln holds a temperature of 60 degrees, as [the plan](plan.md) says."""
    answer = extract_answer("What temperature does a kiln hold?", [passage(text)])
    assert answer == "A kiln holds a temperature of 60 degrees, as the plan says. [1]"


def test_a_sentence_cut_by_the_chunk_is_not_quoted() -> None:
    text = (
        "of the kiln temperature is logged daily. Logs of the kiln stay for a month. The kiln tem"
    )
    answer = extract_answer("How long do logs of the kiln temperature stay?", [passage(text)])
    assert answer == "Logs of the kiln stay for a month. [1]"


def test_a_lead_in_is_quoted_only_with_its_list() -> None:
    text = "The kiln burns these woods:\n\n- Oak\n- Ash and elm\n\nIt was built long ago."
    answer = extract_answer("Which woods does the kiln burn?", [passage(text)])
    assert answer.startswith("The kiln burns these woods:\n\n- Oak\n- Ash and elm")


def test_how_to_is_answered_with_numbered_steps() -> None:
    text = """**To open the kiln**

1. Switch the fan off.

1. Wait until the kiln is cold. ![Image](x.png)

1. Open the door of the kiln."""
    answer = extract_answer("How do I open the kiln?", [passage(text)])
    assert answer == (
        "1. Switch the fan off.\n2. Wait until the kiln is cold.\n3. Open the door of the kiln. [1]"
    )


def test_steps_that_do_not_fit_are_mentioned() -> None:
    steps = "\n".join(f"1. Turn the wheel of the kiln to notch {n}, slowly." for n in range(30))
    answer = extract_answer("How do I turn the wheel of the kiln?", [passage(steps)])
    assert "The remaining steps are in kilns.md." in answer
    assert len(answer) < 700


def test_identifiers_are_matched_whole_and_by_part() -> None:
    text = (
        "Set `KmsKeyId` to the key of the volume. Set `VolumeSize` to its size in gigabytes. "
        "Wood from a ml.k3.2xlarge kiln is dry."
    )
    passages = [passage(text)]
    assert "`KmsKeyId`" in extract_answer("kms key", passages)
    assert "VolumeSize" in extract_answer("VolumeSize", passages)
    assert "2xlarge kiln" in extract_answer("ml.k3.2xlarge", passages)


def test_a_table_row_is_quoted_for_the_name_in_its_first_cell() -> None:
    text = """| Name | Description |
| --- | --- |
| `max_heat` | The highest heat. Default value: 80. |
| `min_heat` | The lowest heat. Default value: 20. |"""
    answer = extract_answer("What is the default of max_heat?", [passage(text)])
    assert answer == "`max_heat`: The highest heat. Default value: 80. [1]"


def test_a_field_of_the_api_is_named_with_its_operation() -> None:
    text = (
        "- **KilnName** (string, required): The name of the kiln. Pattern: `[a-z]+`.\n"
        "- **Wood** (string, optional): The wood in the kiln."
    )
    answer = extract_answer("KilnName", [passage(text, title="DescribeKiln")])
    assert answer.startswith("In DescribeKiln:\n\n")
    assert "**KilnName** (string, required): The name of the kiln." in answer
    assert "Pattern" not in answer


def test_code_is_added_whole_if_the_question_asks_for_it() -> None:
    text = "Use the `open-kiln` command to open a kiln.\n\n```\nkiln open \\\n    --name K\n```"
    asked = extract_answer("Which command opens a kiln?", [passage(text)])
    assert asked.endswith("```\nkiln open \\\n    --name K\n```")
    assert "```" not in extract_answer("Who may open a kiln?", [passage(text)])


def test_code_cut_by_the_chunk_is_left_out() -> None:
    text = "Use the `open-kiln` command to open a kiln.\n\n```\nkiln open \\"
    assert "```" not in extract_answer("Which command opens a kiln?", [passage(text)])


def test_an_answer_is_limited_in_length() -> None:
    text = " ".join(f"The kiln number {n} dries the wood of the year {n}." for n in range(60))
    answer = extract_answer("Which kiln dries the wood of the year?", [passage(text)])
    assert len(answer) <= 600
    assert answer.count(".") <= 4


def test_every_sentence_comes_from_a_passage_and_none_twice() -> None:
    texts = [
        "A kiln dries oak in nine days. It needs a fan. Ash in a kiln dries in six days.",
        "A kiln dries oak in nine days. Owls like kilns.",
    ]
    passages = [passage(text, rank=rank) for rank, text in enumerate(texts, start=1)]
    answer = extract_answer("How many days does a kiln need to dry oak or ash?", passages)
    assert answer.count("A kiln dries oak in nine days.") == 1
    assert "Ash in a kiln dries in six days." in answer
    assert answer.endswith(" [1]")
    for sentence in answer.removesuffix(" [1]").split(". "):
        assert any(sentence.rstrip(".") in text for text in texts)


def test_the_answer_is_the_same_each_time_and_takes_milliseconds() -> None:
    text = "\n\n".join(
        f"Kiln {n} is hot. It dries `wood{n}` in {n} days, as Ann says." for n in range(14)
    )
    passages = [passage(text, document=f"{rank}.md", rank=rank) for rank in range(1, 9)]
    question = "How many days does a hot kiln need to dry wood3?"
    first = extract_answer(question, passages)
    with takes_less_than(0.25):
        assert extract_answer(question, passages) == first


def test_malformed_text_raises_no_error() -> None:
    for text in ("", *"\n|#", "```", "- ", "1.", "**", "](", "[a](" * 500, "`" * 99, "Ä. " * 300):
        assert extract_answer("what? \x00 [", [passage(text)])
