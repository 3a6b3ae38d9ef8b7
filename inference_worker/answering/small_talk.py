"""Replies to greetings, thanks and questions about the service, which need no search."""

import re

_COURTESY = re.compile(
    r"\W*(?:(?:hi|hello|hey|hallo|hola|bonjour|good (?:morning|afternoon|evening|day)|greetings"
    r"|thanks?|thank you|thx|danke|merci|gracias|cheers|bye|goodbye|ok|okay|great|perfect|cool"
    r"|there|all|everyone|very much|so much|a lot|for your help|you too)\b\W*)+"
)
_ABOUT = re.compile(
    r"\W*(?:(?:hi|hello|hey|so|ok|and|please)\W+)*(?:"
    r"(?:what|how) (?:can|do|could) you (?:do|help|know|work|answer)(?: (?:me|with|about|here))*"
    r"|how can you help(?: me)?|what can i ask(?: you)?(?: about| here)?"
    r"|(?:who|what) are you|what is this(?: service| bot| thing)?|how does this work"
    r"|(?:can you )?help(?: me)?)\W*"
)
_MAX_CHARACTERS = 100
"""A longer text is a question."""


def small_talk_reply(
    question: str, product_name: str, corpus_description: str, *, is_follow_up: bool
) -> str | None:
    """A one-line description of the service; None if the question is about the documents.

    In a conversation, "How does this work?" is about its subject, not about the service.
    """
    text = question.strip().lower()
    if len(text) > _MAX_CHARACTERS:
        return None
    if not (_COURTESY.fullmatch(text) or (_ABOUT.fullmatch(text) and not is_follow_up)):
        return None
    return (
        f"This service answers questions about {product_name} from {corpus_description}, and shows "
        "the passages that each answer is from. Ask it a question in plain words."
    )
