"""The search query of a question that continues a conversation."""

import pytest

from inference_worker.answer import Turn
from inference_worker.answering.follow_up import (
    MAX_CHARACTERS,
    MAX_EARLIER_QUESTIONS,
    retrieval_query,
)
from tests.stopwatch import takes_less_than

ENCRYPT = "How do I encrypt an endpoint?"
SPOT = "What is managed spot training?"
SERVERLESS = "How do I deploy a model to a serverless endpoint?"
GROUP = "How do I create a feature group?"
PIPELINE = "What is a pipeline?"
CANVAS = "Which instance types can I use for Canvas?"
DRIFT = "How do I monitor data quality drift?"

LEANING = [
    # Recognized by the opening words.
    (ENCRYPT, "and for batch transform?"),
    (ENCRYPT, "What about notebooks?"),
    (SERVERLESS, "But what about cold starts?"),
    (SERVERLESS, "with my own container?"),
    (SERVERLESS, "In which regions?"),
    (GROUP, "Then how do I ingest records?"),
    (GROUP, "not in the console, with the CLI"),
    (SPOT, "thanks! and where do the checkpoints go?"),
    # Recognized by pronouns.
    (ENCRYPT, "Which KMS key does it use by default?"),
    (ENCRYPT, "Can I do that in the console?"),
    (ENCRYPT, "How do I change its instance type?"),
    (ENCRYPT, "How do I encrypt, share and archive it?"),
    (PIPELINE, "How do I run one on a schedule?"),
    (SPOT, "How much can I save with it?"),
    (SPOT, "And what happens when it is interrupted?"),
    (SPOT, "Does it work with hyperparameter tuning?"),
    (SERVERLESS, "Can a GPU be used there?"),
    (GROUP, "Can I add features to it later?"),
    (GROUP, "Does this also apply to cross-account access?"),
    (GROUP, "Which metrics and alarms does it publish?"),
    # Recognized by other references.
    (SERVERLESS, "How do I delete the endpoint?"),
    (GROUP, "Can I use Athena instead?"),
    (GROUP, "What does [2] mean by event time?"),
    # Recognized by their brevity.
    (ENCRYPT, "Why?"),
    (ENCRYPT, "Show me an example in Python"),
    (SERVERLESS, "What is the maximum memory?"),
    (GROUP, "What permissions are needed?"),
    (GROUP, "tell me more"),
    (GROUP, "GPU instances?"),
    (GROUP, "Is SSO supported?"),
    (GROUP, "explain step 2"),
]

STANDING = [
    (ENCRYPT, "How do I label images with a private workforce?"),
    (ENCRYPT, "What is SageMaker Clarify?"),
    (ENCRYPT, "How do I train a model and deploy it?"),
    (ENCRYPT, "If I delete a domain, can I restore it later?"),
    (ENCRYPT, "Is it possible to share a feature group across accounts?"),
    (ENCRYPT, "How long does it take to start a notebook instance?"),
    (ENCRYPT, "Is there a limit on the number of pipelines?"),
    (ENCRYPT, "sharded_data_parallel_degree"),
    (ENCRYPT, "XGBoost hyperparameters"),
    (PIPELINE, "How long does a warm pool keep instances?"),
    (SPOT, "Thanks, now how do I create a domain for Studio with IAM Identity Center?"),
    (SPOT, "Why does my notebook instance fail to start?"),
    (SPOT, "And how do I encrypt a notebook volume?"),
    (SPOT, "How do I delete the endpoint?"),
    (SERVERLESS, "What is the maximum payload of asynchronous inference?"),
    (SERVERLESS, "How is Data Wrangler billed?"),
    (GROUP, "What's the difference between the online and the offline store?"),
    (GROUP, "My training job fails with AlgorithmError: exit code 137. What does that mean?"),
    (GROUP, "I deleted an endpoint this morning. How can I get it back?"),
    (GROUP, "Which permissions does a Studio execution role need to read from S3?"),
    (GROUP, "What are shadow tests and when should I use them?"),
    (GROUP, "Can people in my team who have no AWS account use Studio Lab?"),
    (GROUP, "Hi, how can I install packages that persist in a notebook instance?"),
    (GROUP, "When my endpoint scales in, how does it choose the instances to stop?"),
    (GROUP, "Does a deleted endpoint keep its configuration?"),
    (GROUP, "What happens to records I delete?"),
    (GROUP, "Can I delete a domain?"),
    (
        GROUP,
        "And does it matter whether training data for Linear Learner lies in Parquet, CSV or "
        "RecordIO files on FSx?",
    ),
    (GROUP, "Wie verschlüssele ich einen Endpunkt?"),
]

CHAINS = [
    ([ENCRYPT, "And for batch transform?"], "and its cost?", 2),
    ([ENCRYPT, "thank you"], "How do I delete it?", 1),
    ([SERVERLESS, "And multi-model endpoints?"], "Which of the two is cheaper?", 2),
    ([CANVAS, DRIFT], "How often can it run?", 1),
    ([CANVAS, DRIFT, "And model quality?"], "And who gets the alerts?", 2),
    ([CANVAS, "And in Studio?", DRIFT], "How is Data Wrangler billed?", 0),
]
"""Earlier questions, the question, and how many of them it depends on."""


def searched(earlier: list[str], question: str) -> str:
    history = []
    for text in earlier:
        history += [Turn("user", text), Turn("assistant", "It is so, for a zebra [1].")]
    return retrieval_query(question, history)


@pytest.mark.parametrize(("before", "question"), LEANING)
def test_follow_up_is_searched_with_the_previous_question(before: str, question: str) -> None:
    assert searched([before], question) == f"{question.rstrip('?')}, {before.rstrip('?')}"


@pytest.mark.parametrize(("before", "question"), STANDING)
def test_independent_question_is_searched_alone(before: str, question: str) -> None:
    assert searched([before], question) == question


@pytest.mark.parametrize(("earlier", "question", "leant_on"), CHAINS)
def test_chain_of_follow_ups_is_searched_back_to_its_topic(
    earlier: list[str], question: str, leant_on: int
) -> None:
    found = searched(earlier, question)

    spoken = [text.rstrip("?") for text in earlier if text != "thank you"]
    assert [text for text in spoken if text in found] == spoken[len(spoken) - leant_on :]
    assert found.startswith(question.rstrip("?"))
    assert "thank" not in found


def test_first_question_is_searched_unchanged() -> None:
    assert retrieval_query("And what is it?", []) == "And what is it?"


def test_answers_are_not_in_the_query() -> None:
    assert "zebra" not in searched([ENCRYPT], "Why?")


def test_query_of_a_long_conversation_uses_its_last_questions() -> None:
    found = searched(["And its price?"] * 50, "Why?")

    assert found == f"Why{', And its price' * MAX_EARLIER_QUESTIONS}"


def test_query_uses_the_beginning_of_a_long_earlier_question() -> None:
    found = searched(["key " * 1000], "Why?")

    assert len(found) <= len("Why, ") + MAX_CHARACTERS


def test_long_text_takes_linear_time() -> None:
    with takes_less_than(0.2):
        for text in ("endpoint. " + "it " * 1300, "so " * 1300, "?" * 4000, "is it a b " * 400):
            searched([text, text], text)
