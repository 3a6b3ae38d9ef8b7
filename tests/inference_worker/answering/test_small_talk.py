"""Greetings and questions about the service are recognized; questions to the documents are not."""

import pytest

from inference_worker.answering.small_talk import small_talk_reply


@pytest.mark.parametrize(
    "text",
    [
        *("Hello", "hi!", "Hey there", "Good morning.", "Hallo", "bonjour", "¡Hola!"),
        *("thanks", "Thank you very much!", "ok, thanks a lot", "Thanks for your help", "merci"),
        *("what can you do?", "What can you help me with?", "Hi, what can you do?", "Who are you?"),
        *(
            "How can you help me?",
            "What can I ask you?",
            "what is this?",
            "help",
            "Can you help me?",
        ),
    ],
)
def test_small_talk_gets_one_line_that_names_product_and_corpus(text: str) -> None:
    reply = small_talk_reply(text, "Kilns", "the kiln manual", is_follow_up=False)
    assert reply
    assert "questions about Kilns from the kiln manual" in reply
    assert "\n" not in reply


@pytest.mark.parametrize(
    "text",
    [
        *("", "?", "What is Canvas?", "hello world example", "How do I say hello in Slack?"),
        *("thanks, and how do I delete it?", "help me create an endpoint", "Hi, what is a domain?"),
        *("what can I do with a feature group?", "What can you deploy to an endpoint?", "ok KMS"),
        *("How does this work with KMS?", "What is this error: exit code 137?"),
    ],
)
def test_a_question_to_the_documents_is_not_small_talk(text: str) -> None:
    assert small_talk_reply(text, "Kilns", "the kiln manual", is_follow_up=False) is None


@pytest.mark.parametrize("text", ["How does this work?", "What is this?", "help"])
def test_in_a_conversation_this_refers_to_its_subject(text: str) -> None:
    assert small_talk_reply(text, "Kilns", "the kiln manual", is_follow_up=True) is None
    assert small_talk_reply("Thanks!", "Kilns", "the kiln manual", is_follow_up=True)
