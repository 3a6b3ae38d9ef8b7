"""The files of a sentence-transformers model, and the revision its vectors depend on."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.embedding.adapter import Adapter
from utils.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INT8 = "int8"
"""Subfolder of a model folder with its int8 program for OpenVINO."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class ModelFolder:
    """A sentence-transformers model folder, read but not loaded."""

    name: str
    folder: Path
    adapter: Adapter | None = None
    """Merged into the weights when the model is loaded."""

    @cached_property
    def revision(self) -> str:
        """SHA-256 (hexadecimal) of everything the vectors depend on: weights, tokenizer, prompts.

        The adapter counts as a file, since merged weights depend on the machine's rounding. Empty
        prompts are left out, so that indexes built before prompts counted still match.
        """
        digest = hashlib.sha256()
        int8 = [self.int8, self.int8.with_suffix(".bin")] if self.int8 else []
        digest.update(bytes.fromhex(self.weights_digest))
        for path in (self.tokenizer_file, *self.layers, *int8):
            digest.update(bytes.fromhex(sha256_of(path)))
        if (self.query_prompt, self.document_prompt) != ("", ""):
            digest.update(json.dumps([self.query_prompt, self.document_prompt]).encode())
        if self.adapter:
            digest.update(bytes.fromhex(self.adapter.digest))
        return digest.hexdigest()

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weights' file, in hexadecimal."""
        return sha256_of(self.weights)

    @cached_property
    def weights(self) -> Path:
        """Raises a ModelError if there is none."""
        return _weights_in(self.folder)

    @cached_property
    def tokenizer_file(self) -> Path:
        """The file of the fast tokenizer; raises a ModelError if there is none."""
        path = self.folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"No tokenizer.json in the model folder {self.folder}.")
        return path

    @cached_property
    def layers(self) -> tuple[Path, ...]:
        """The weights of the dense layers after pooling, in order, each from its own folder."""
        folders = {path.parent for path in self.folder.glob("*_Dense/config.json")}
        # Sort by the number that the folder names begin with.
        return tuple(
            _weights_in(folder)
            for folder in sorted(folders, key=lambda path: (len(path.name), path.name))
        )

    @property
    def int8(self) -> Path | None:
        """The int8 program that `database.adapting --int8` wrote; None without one."""
        path = self.folder / INT8 / "model.xml"
        return path if path.is_file() and path.with_suffix(".bin").is_file() else None

    @cached_property
    def max_tokens(self) -> int:
        """Tokens that the model reads of a text, including special tokens."""
        limit = self._json("sentence_bert_config.json").get("max_seq_length")
        return int(limit) if limit else self._number("config.json", "max_position_embeddings", 512)

    @cached_property
    def dimension(self) -> int:
        """Length of the model's vectors."""
        if self.layers:
            return self._number(f"{self.layers[-1].parent.name}/config.json", "out_features")
        return self._number("config.json", "hidden_size")

    @cached_property
    def pooling(self) -> str:
        """How token vectors are combined: "mean", "cls", "max", or several joined by "+"."""
        config = self._json("1_Pooling/config.json")
        if "pooling_mode" in config:
            return str(config["pooling_mode"])
        chosen = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
        names = [key.removeprefix("pooling_mode_").split("_token")[0] for key in chosen]
        return "+".join(names) or "mean"

    @cached_property
    def query_prompt(self) -> str:
        """Prefix of questions in sentence-transformers: the query prompt, else the default."""
        return self._prompt("query")

    @cached_property
    def document_prompt(self) -> str:
        """Prefix of passages in sentence-transformers."""
        return self._prompt("document", "passage", "corpus")

    def _prompt(self, *names: str) -> str:
        config = self._json("config_sentence_transformers.json")
        prompts = config.get("prompts") or {}
        names = (*names, config.get("default_prompt_name") or "")
        return next((str(prompts[name]) for name in names if prompts.get(name)), "")

    @property
    def pools_prompt(self) -> bool:
        """True if the prompt's tokens are included in pooling, which is the default."""
        return bool(self._json("1_Pooling/config.json").get("include_prompt", True))

    def tokenizer(self) -> "Tokenizer":
        """Load the tokenizer without the truncation and padding its file may carry.

        The packaged MiniLM's file truncates at 128 tokens, half of what the model reads.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ModelError(f"Cannot read {self.tokenizer_file}; fetch it again.") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return dict(json.loads(path.read_text())) if path.is_file() else {}
        except (TypeError, ValueError) as error:
            raise ModelError(f"Cannot read {path}; fetch the model again.") from error

    def _number(self, name: str, key: str, default: int | None = None) -> int:
        try:
            return int(self._json(name).get(key, default))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ModelError(f"No {key} in {self.folder / name}; fetch the model again.") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _weights_in(folder: Path) -> Path:
    if found := find_weights(folder):
        return found
    raise ModelError(f"No weights ({_WEIGHTS[0]}) in the model folder {folder}.")


def find_weights(folder: Path) -> Path | None:
    """Find the weights file of a model or one of its layers."""
    files = (folder / name for name in _WEIGHTS)
    return next((file for file in files if file.is_file()), None)
