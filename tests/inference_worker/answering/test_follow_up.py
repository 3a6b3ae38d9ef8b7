"""The search queries of a question that may continue a conversation."""

import pytest

from inference_worker.answer import Turn
from inference_worker.answering.answerer import Answerer
from inference_worker.answering.follow_up import (
    MAX_CHARACTERS,
    MAX_EARLIER_QUESTIONS,
    retrieval_queries,
)
from tests.stopwatch import takes_less_than
from tests.utils.evaluation.fixed_reader import FixedReader, findings
from utils.settings import Settings

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
    (SPOT, "What is the max wait time?"),
    (SERVERLESS, "Do I have to retrain the model afterwards?"),
    (GROUP, "Is there a minimum number of rows?"),
    (GROUP, "Und was kostet das?"),
]

SUBJECT_IS_MISSING = [
    (ENCRYPT, "Why?"),
    (ENCRYPT, "Which KMS key does it use by default?"),
    (PIPELINE, "How do I run one on a schedule?"),
    (GROUP, "Which metrics and alarms does it publish?"),
    (GROUP, "What does [2] mean by event time?"),
]

STANDING = [
    (ENCRYPT, "How do I label images with a private workforce?"),
    (ENCRYPT, "What is SageMaker Clarify?"),
    (ENCRYPT, "How do I train a model and deploy it?"),
    (ENCRYPT, "If I delete a domain, can I restore it later?"),
    (ENCRYPT, "Is it possible to share a feature group across accounts?"),
    (ENCRYPT, "How long does it take to start a notebook instance?"),
    (ENCRYPT, "sharded_data_parallel_degree"),
    (PIPELINE, "How long does a warm pool keep instances?"),
    (SPOT, "Thanks, now how do I create a domain for Studio with IAM Identity Center?"),
    (SPOT, "Why does my notebook instance fail to start?"),
    (SERVERLESS, "What is the maximum payload of asynchronous inference?"),
    (GROUP, "What's the difference between the online and the offline store?"),
    (GROUP, "My training job fails with AlgorithmError: exit code 137. What does that mean?"),
    (GROUP, "I deleted an endpoint this morning. How can I get it back?"),
    (GROUP, "Which permissions does a Studio execution role need to read from S3?"),
    (GROUP, "What are shadow tests and when should I use them?"),
    (GROUP, "Can people in my team who have no AWS account use Studio Lab?"),
    (GROUP, "Hi, how can I install packages that persist in a notebook instance?"),
    (GROUP, "When my endpoint scales in, how does it choose the instances to stop?"),
    (GROUP, "Does a deleted endpoint keep its configuration?"),
    (
        GROUP,
        "And does it matter whether training data for Linear Learner lies in Parquet, CSV or "
        "RecordIO files on FSx?",
    ),
    (GROUP, "Wie verschlüssele ich einen Endpunkt?"),
    (GROUP, "如何加密端点的存储卷？"),  # noqa: RUF001
]

SHORT = [
    (ENCRYPT, "XGBoost hyperparameters"),
    (ENCRYPT, "Is there a limit on the number of pipelines?"),
    (SPOT, "And how do I encrypt a notebook volume?"),
    (SPOT, "How do I delete the endpoint?"),
    (SERVERLESS, "How is Data Wrangler billed?"),
    (GROUP, "What happens to records I delete?"),
    (GROUP, "Can I delete a domain?"),
    (ENCRYPT, "What about notebooks?"),
    (GROUP, "What permissions are needed?"),
]
"""May begin a topic or continue one: the words do not show which."""

CHAINS = [
    ([ENCRYPT, "And for batch transform?"], "and its cost?", 2),
    ([ENCRYPT, "thank you"], "How do I delete it?", 1),
    ([SERVERLESS, "And multi-model endpoints?"], "Which of the two is cheaper?", 2),
    ([CANVAS, DRIFT], "How often can it run?", 1),
    ([CANVAS, DRIFT, "And model quality?"], "And who gets the alerts?", 2),
    ([CANVAS, "And in Studio?", DRIFT], "How is Data Wrangler billed?", 1),
    ([CANVAS, "And in Studio?", DRIFT], "How do I label images with a private workforce?", 0),
    ([CANVAS, "What is a pipeline?"], "Does it run on a schedule?", 1),
]
"""Earlier questions, the question, and how many of them it depends on."""


def searched(earlier: list[str], question: str) -> list[str]:
    history = []
    for text in earlier:
        history += [Turn("user", text), Turn("assistant", "It is so, for a zebra [1].")]
    return retrieval_queries(question, history)


@pytest.mark.parametrize(("before", "question"), LEANING)
def test_follow_up_is_searched_with_the_previous_question(before: str, question: str) -> None:
    assert searched([before], question)[0] == f"{question.rstrip('?')}, {before.rstrip('?')}"


@pytest.mark.parametrize(("before", "question"), SUBJECT_IS_MISSING)
def test_question_without_its_subject_is_not_searched_alone(before: str, question: str) -> None:
    assert len(searched([before], question)) == 1


@pytest.mark.parametrize(("before", "question"), SHORT)
def test_short_question_is_also_searched_alone(before: str, question: str) -> None:
    together, alone = searched([before], question)

    assert before.rstrip("?") in together
    assert alone == question


async def test_passages_found_alone_follow_every_second_one_found_together() -> None:
    together, alone = searched([SPOT], "How do I delete the endpoint?")
    spot = [(f"spot-{number}.md", f"Spot {number}.") for number in range(1, 6)]
    both, own = ("both.md", "Both."), ("delete.md", "Delete.")
    reader = FixedReader(
        {
            together: findings(spot[0], both, *spot[1:], confidence=0.9),
            alone: findings(both, own, confidence=0.8),
        }
    )
    answerer = Answerer(reader.as_reader(), None, Settings(_env_file=None))

    answer = await answerer.answer(alone, top_k=5, history=[Turn("user", SPOT)])
    await answerer.aclose()

    found = [passage.chunk.document for passage in answer.passages]
    assert found == ["spot-1.md", "both.md", "spot-2.md", "spot-3.md", "delete.md"]
    assert [(each.query, each.by) for each in answer.searches] == [
        (together, "user"),
        (alone, "user"),
    ]
    assert answer.confidence == 0.9


@pytest.mark.parametrize(("before", "question"), STANDING)
def test_independent_question_is_searched_alone(before: str, question: str) -> None:
    assert searched([before], question) == [question]


@pytest.mark.parametrize(("earlier", "question", "leant_on"), CHAINS)
def test_chain_of_follow_ups_is_searched_back_to_its_topic(
    earlier: list[str], question: str, leant_on: int
) -> None:
    found = searched(earlier, question)[0]

    spoken = [text.rstrip("?") for text in earlier if text != "thank you"]
    assert [text for text in spoken if text in found] == spoken[len(spoken) - leant_on :]
    assert found.startswith(question.rstrip("?"))
    assert "thank" not in found


def test_first_question_is_searched_unchanged() -> None:
    assert retrieval_queries("And what is it?", []) == ["And what is it?"]


def test_answers_are_not_in_the_query() -> None:
    assert "zebra" not in " ".join(searched([ENCRYPT], "What about notebooks?"))


def test_query_of_a_long_conversation_uses_its_last_questions() -> None:
    [found] = searched(["And its price?"] * 50, "Why?")

    assert found == f"Why{', And its price' * MAX_EARLIER_QUESTIONS}"


def test_query_uses_the_beginning_of_a_long_earlier_question() -> None:
    [found] = searched(["key " * 1000], "Why?")

    assert len(found) <= len("Why, ") + MAX_CHARACTERS


def test_long_text_takes_linear_time() -> None:
    with takes_less_than(0.2):
        for text in ("endpoint. " + "it " * 1300, "so " * 1300, "?" * 4000, "is it a b " * 400):
            searched([text, text], text)
