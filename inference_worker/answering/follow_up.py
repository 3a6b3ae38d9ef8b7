"""Detects follow-up questions without a language model, and builds the query to search for.

A follow-up is searched together with the questions that it continues; a self-contained question is
searched alone, so that an earlier topic does not distract from it. The rules are for English; in
another language every question counts as self-contained.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice, pairwise

from database.searching.terms import terms_of, words
from inference_worker.answer import Turn

MAX_EARLIER_QUESTIONS = 3
"""How many earlier questions a query includes."""
MAX_CHARACTERS = 400
"""Of each earlier question."""
_LONG = 500
"""Characters; a longer question is self-contained, and slow to match against these patterns."""
_MANY = 8
"""Topic words from which a question is self-contained, whatever its pronouns refer to."""
_FEW = 2
"""Topic words up to which a bare "batch transform?" is a follow-up."""

# Aspects that every feature has: alone, they do not name a topic.
_ASPECTS = """access account algorithm api argument aspect benefit billing boto3 case characters
    charge choice cli code command configuration console content cost custom data default detail
    difference disk documentation duration error example extra failure field file format free
    hyperparameter idea info information input instance interval job kind length level limit link
    log long maximum memory method metric minimum mode model name number object option order output
    page parameter part permission policy possibility price pricing problem process purpose python
    question quota range rate reason region requirement resource result role rule schema sdk second
    setting setup size sort source status step storage support syntax term time timeout type unit
    user value version way"""
_VAGUE = """add adjust allow answer apply avoid be become bring call change charge check choose
    clear come compare configure consider create customize cut define delete depend describe
    disable download edit enable end exist expect explain export fail fill find fix follow gets go
    grant handle happen help import improve include increase install keep leave list look lower
    make manage matter mean modify move needed open own pass pay pick point prevent provide put
    raise read reduce remain remove replace require reset restart restore run save say see select
    send set share show specify start state stop store suggest support switch take talk tell test
    thank think try tune turn understand update use view wait work write
    afterwards automatically available best better built-in cheap cheaper correct current
    currently different easy exact fast faster fine good high important large least less low main
    maybe minimal necessary new next normal often old parallel per possible programmatically
    quick quickly really recommended right safe separate several similar simple single slow small
    soon something specific still sure typical usual various via whether without wrong yet zero"""

_COURTESY = re.compile(
    r"(?:(?:ok(?:ay)?|thanks?(?: you)?(?: a lot| very much)?|great|good|perfect|hi|hello|hmm|so"
    r"|well|right|yes|yeah|no|please|cool|nice|now|i see|got it)\b[\s,.!:;-]*)+"
)
_CONTINUATION = re.compile(
    r"(?:what about|how about|what if|same for|same with|then|even|only|just|except|not|more)\b"
)
_CONJUNCTION = re.compile(r"(?:and|but|or|also|plus|besides|next)\b")
_PREPOSITION = re.compile(
    r"(?:for|in|on|at|with|without|within|from|via|using|by|per|to|under|inside|outside|between"
    r"|during|after|before|across)\b"
)
_CLAUSE = re.compile(
    r"\b(?:am|is|are|was|were|do|does|did|don't|doesn't|can|can't|could|will|would|should|must|may"
    r"|might|has|have|had|isn't|aren't|what's|how's|where's|who's|shall|need to"
    r"|who|happens|explain|show|give|tell|list|describe|compare)\b"
)
# "Is SSO supported?" is a follow-up; "Can I delete a domain?" is not.
_YES_NO = re.compile(r"(?:is|are|can|could|do|does|will|would|should|must|may|which)\b(?!.* an? )")
_POINTS_BACK = re.compile(
    r"\b(?:instead|as well|too|either|likewise|otherwise|afterwards)\s*[?.!]*$"
    r"|\bthe same (?:thing|way|for|with|in|on|apply|applies|true)\b|\bdo the same\b"
    r"|\byou (?:just )?(?:said|say|mentioned?|wrote|suggest(?:ed)?)\b|\byour (?:last )?answer\b"
    r"|\b(?:first|second|third|last|other|latter|former) "
    r"(?:ones?|option|way|step|command|method|approach|example)\b|\bof the (?:two|three)\b"
    r"|(?<![\w\]])\[\d{1,2}\](?!\w)"  # a citation in the previous answer
)
_PRONOUN = re.compile(
    r"\b(?:it|itself|they|them|this|these|those|there|its|their|theirs)\b"
    r"|\b(?:which|that|this|another|same|new|old|each|any) ones?\b"
    r"|\bthe (?:latter|former|others)\b"
    r"|(?<!\bthan )\bones?(?=\s*(?:[?.!]*$|(?:on|in|for|with|from|at|by)\b))"
    r"|\bthat(?=\s*(?:$|[?.!,;]))|^that\b"
    r"|(?<=\b(?:is|do|of|if|in|on|to) )that\b|(?<=\b(?:for|was|did|can|why|how) )that\b"
    r"|(?<=\b(?:does|with|from|like|than|will) )that\b|(?<=\b(?:about|after|could|would) )that\b"
)
# Pronouns that refer to nothing earlier: "is it possible to", "is there", "this error:".
_EXPLETIVE = re.compile(
    r"\b(?:is|was|would|be) it (?:\w+ ){1,4}?(?:to|that|if|for)\b|\bit was \w+ (?:to|that)\b"
    r"|\bit(?: is|'s) (?:not )?\w+ (?:to|that|what|how|why|whether|if)\b"
    r"|\bdoes it (?:take|cost|make sense)\b(?=.* to\b)|\bit (?:seems|appears|looks|turns|says)\b"
    r"|\b(?:is|are|was|were|be) there\b|\bthere (?:is|are|was|were|seems)\b|\bthere's\b"
    r"|\bthose (?:who|that|which|of)\b|\b(?:this|these)\b[^.?!,]{0,40}:"
    r"|\bthis (?:morning|week|month|year|time)\b"
)
_POSSESSIVES = frozenset({"its", "their", "theirs"})
_DEFINITE = re.compile(r"\b(?:the|my|our) (?:\w+ )?(\w+)")
_AUXILIARY_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|should|must|has|have|had)\s+$"
)
_BREAK = re.compile(r"[,.;:!?\n]| - ")
_NEW_CLAUSE = re.compile(
    r"[,.;:!?\n]| - |\b(?:and|or|but|when|if|after|before|that|which|who|so|because|while|where"
    r"|until|unless|since|then|as|how|what|why)\s|\bto\s+(?=\S+\s)"
)
_BEFORE_VERB = frozenset({"i", "we", "you", "to", "cannot", "not", "please", "let", "me", "us"})


def retrieval_query(question: str, history: Sequence[Turn]) -> str:
    """The question, followed by the earlier ones of the user that it continues, newest first."""
    earlier = [turn.text for turn in reversed(history) if turn.role == "user"]
    context = list(islice(_continued_questions([question, *earlier]), MAX_EARLIER_QUESTIONS))
    if not context:
        return question
    # The question first: embeddings weight the beginning of a text most. Joined by commas, because
    # the search also runs each clause of a question by itself.
    return ", ".join(text.strip().rstrip(" ?.!") for text in [question, *context])


def _continued_questions(newest_first: Sequence[str]) -> Iterator[str]:
    """The questions that the first one continues, up to one that is self-contained."""
    for question, before in pairwise(newest_first):
        context = before.strip()[:MAX_CHARACTERS]
        if not is_follow_up(question, context):
            return
        if any(map(_is_content_word, words(context))):  # "thank you" does not
            yield context


def is_follow_up(question: str, before: str) -> bool:
    """Return whether a question continues the one asked before it.

    Judged by how it begins, what its pronouns can refer to, and how many topic words it has.
    """
    if len(question) > _LONG:
        return False
    text = question.strip().lower()
    if polite := _COURTESY.match(text):
        text = text[polite.end() :]
    topics = {
        word for word in words(text) if _is_content_word(word) and not _is_listed(word, _ASPECTS)
    }
    if len(topics) >= _MANY:
        return False
    if (
        not topics
        or _CONTINUATION.match(text)
        or _POINTS_BACK.search(text)
        or _has_open_pronoun(text)
    ):
        return True
    if not _CLAUSE.search(text):
        fragment = _CONJUNCTION.match(text) or _PREPOSITION.match(text)
        return bool(fragment) or (text.endswith("?") and len(topics) <= _FEW)
    if len(topics) < _FEW and (_CONJUNCTION.match(text) or _YES_NO.match(text)):
        return True
    return len(topics) <= _FEW and _repeats_a_noun(text, before)


def _is_content_word(word: str) -> bool:
    """Return whether a word is neither grammar, a number nor in _VAGUE."""
    return bool(terms_of(word)) and not word.isdecimal() and not _is_listed(word, _VAGUE)


def _has_open_pronoun(text: str) -> bool:
    """Return whether a pronoun in the text refers to something that the text does not name."""
    expletive = [match.span() for match in _EXPLETIVE.finditer(text)]
    return any(
        not _is_named_before(text[: match.start()], match.group())
        for match in _PRONOUN.finditer(text)
        if not any(start <= match.start() < end for start, end in expletive)
    )


def _is_named_before(text: str, pronoun: str) -> bool:
    """Return whether the text before a pronoun names something that it can refer to.

    An object, and the subject of "does it ...?", is not named in its own clause; an owner may be.
    """
    if pronoun in _POSSESSIVES and not _AUXILIARY_VERB.search(text):
        return _has_noun(text)
    breaks = list((_BREAK if _AUXILIARY_VERB.search(text) else _NEW_CLAUSE).finditer(text))
    return bool(breaks) and _has_noun(text[: breaks[-1].start()])


def _has_noun(text: str) -> bool:
    return any(
        _is_content_word(word) and last not in _BEFORE_VERB
        for last, word in pairwise(["", *words(text)])
    )


def _repeats_a_noun(text: str, before: str) -> bool:
    """Return whether the text mentions "the endpoint" after a question about one."""
    known = {term for word in words(before) for term in terms_of(word)}
    return any(not known.isdisjoint(terms_of(noun)) for noun in _DEFINITE.findall(text))


def _is_listed(word: str, listed: str) -> bool:
    return terms_of(word)[0] in _stems(listed)


@cache
def _stems(listed: str) -> frozenset[str]:
    return frozenset(term for word in listed.split() for term in terms_of(word)[:1])
