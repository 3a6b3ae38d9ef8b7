"""Joins lines: a hyphen at the end of one is removed if it only divides a word."""

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+")
_EDGES = re.compile(r"^[^\w-]+|[^\w]+$")
_HYPHENS = ("-", "\u2010")
_DIVIDED = re.compile(r"[^\w\-./\\@#$%&+=~{<]*([^\W\d_]+)[-\u2010]")
_REST = re.compile(
    r"([^\W\d_]+)(?:['\u2019][^\W\d_]{1,2})?[^\w\-./\\@#$%&+=~]*[.]?[^\w\-/]*(?:\s|$)"
)
_SUSPENDED = re.compile(r"(?:and|or|to|und|oder|bis|et|ou)\s")
_FIRST = frozenset(
    """all blue case client cloud cluster cold container cost cpu cross customer dead double early
    end event fail fault fine first five four full general gpu green half hard high hot instance
    large late left load long low machine memory mid model multi node non object one open peer
    policy quasi rate read real region right role round rule schema second self semi server short
    single six small soft state task team tenant test third thread three triple twenty thirty forty
    fifty sixty seventy eighty ninety two user vendor version warm well write zero zone""".split()  # noqa: SIM905
)
"""Words that mostly begin compounds with a hyphen: real-time, multi-model, read-only."""
_SECOND = frozenset(
    """agnostic aware based centric compatible compliant critical defined dependent driven encrypted
    facing friendly grained hosted intensive managed optimized oriented party specific threaded
    tolerant trained tuned""".split()  # noqa: SIM905
)
"""Words that mostly end compounds with a hyphen: token-based, memory-intensive."""
_CLOSED = frozenset(("every", "over", "some", "there", "under", "what", "when", "where", "with"))
"""Words that begin others without a hyphen: understanding, therefore, without."""
_SUFFIX = re.compile(
    r"e?[dsr]|ers|est|ings?|(?:ful|al|ual|ic|ical|ive|ous)?ly|it(?:y|ies)|ness|ments?|ful|less"
    r"|[ai]b(?:le|ly)|u?al|[ais]?tions?|sion|ish|ism|ists?|istic|i[sz](?:e[ds]?|ing|ation)"
    r"|ive|ous|ures?|en(?:ed|ing)?|[ae]n(?:ce|t)|[ao]ry|ics?|ical|ar|ate[ds]?|ages?|wards?"
    r"|ways?|wise|hood|ships?|dom|overs?|most|points?|self|selves|thing|body|where|cuts?"
    r"|lights?|pl(?:e|y|ied|ex|ier)|plication|tude|ther|ets?|wares?|names?"
)
"""Ends of one word, after a word of _FIRST: really, failure, endpoint, multiple."""
_TAIL = re.compile(
    r"[^\W\d_]{0,3}(?:[aiu]tion(?:s|al|ally)?|[ai]bilit(?:y|ies)|ivit(?:y|ies)|[ae]nc(?:es|y|ies)"
    r"|[ao]rs?|ative(?:ly)?|ure[ds]?|uring)"
)
"""Ends of one word, after another word: config-uration, depend-encies, connect-ivity."""
_MIN_HALF = 4
"""Letters of half a compound: shorter words are syllables as well (in-put, for-mat)."""


class LineJoiner:
    """Joins the lines of a document, by the words that it has within its lines."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._words: set[str] = set()
        divided = False
        for line in lines:
            found = [_bare(word) for word in line.casefold().split()]
            divided_before, divided = divided, line.rstrip().endswith(_HYPHENS)
            # Do not learn the halves of divided words.
            for word in found[divided_before : len(found) - divided]:
                self._words.update((word, *_WORD.findall(word)))

    def join(self, text: str, words: str) -> str:
        """Append a line to a text."""
        if not text or not words:
            return text or words
        if text.endswith("-`") and words.startswith("`"):
            return text[:-1] + words[1:]
        if (
            not text.endswith(_HYPHENS)
            or text[-2:-1] in ("", " ", *_HYPHENS)
            or not words[0].isalnum()
        ):
            wide = _is_wide(text[-1]) and _is_wide(words[0])
            return text + words if wide else f"{text} {words}"
        if _SUSPENDED.match(words):
            return f"{text} {words}"
        return text[:-1] + words if self._is_division(text, words) else text + words

    def _is_division(self, text: str, words: str) -> bool:
        """True if a hyphen is only there because the line ends."""
        last, following = text.rsplit(None, 1)[-1], words.split(None, 1)[0]
        first, second = _bare(last[:-1].casefold()), _bare(following.casefold())
        if f"{first}-{second}" in self._words:
            return False
        if f"{first}{second}" in self._words:
            return True
        before, after = _DIVIDED.fullmatch(last), _REST.match(words)
        if not before or not after or not after[1].islower():
            return False
        if len(first) == 1 or before[1].isupper():
            return False
        return not self._is_compound(before[1].casefold(), after[1])

    def _is_compound(self, first: str, second: str) -> bool:
        suffix = _SUFFIX.fullmatch(second)
        if first in _FIRST and not suffix:
            return True
        if first in _CLOSED or min(len(first), len(second)) < _MIN_HALF:
            return False
        if second in _SECOND or (first in self._words and second in self._words):
            return True
        long = first in self._words and len(first) > _MIN_HALF
        return long and not suffix and not _TAIL.fullmatch(second)


def _bare(word: str) -> str:
    """A word without the punctuation around it."""
    return _EDGES.sub("", word)


def _is_wide(character: str) -> bool:
    """True for scripts written without spaces, as Chinese and Japanese are."""
    return unicodedata.east_asian_width(character) in "WF"
