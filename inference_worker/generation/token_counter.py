"""Counts a text's tokens, to keep prompts within a budget."""

from functools import cached_property
from typing import TYPE_CHECKING

from database.models import packaged_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 3
"""Where no tokenizer is installed: fewer characters than a token of any language model has in
English, so that a prompt is rather too short than too long."""


class TokenCounter:
    """Counts with the packaged model's WordPiece.

    It cuts English and code into more tokens than the language models' own, larger vocabularies do:
    what fits by it, fits.
    """

    def __call__(self, text: str) -> int:
        """Count the tokens of a text."""
        if self._tokenizer is None:
            return len(text) // CHARACTERS_PER_TOKEN + 1
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _tokenizer(self) -> "Tokenizer | None":
        return packaged_tokenizer()
