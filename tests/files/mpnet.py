"""A small generated mpnet model: real architecture and file layout, random weights."""

import json
from pathlib import Path
from typing import Any

from database.embedding.local_model import LocalModel

NAME = "kilns/all-wood-base-v2"
MAX_TOKENS = 384
MODULES = [
    {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for at, (path, kind) in enumerate(
        [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    )
]
_SPECIAL = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
_LETTERS = [chr(code) for code in range(ord("!"), ord("~") + 1)]


def make_mpnet(folder: Path) -> LocalModel:
    """Write the files that sentence-transformers/all-mpnet-base-v2 has, for a far smaller model."""
    import torch
    from transformers import MPNetConfig, MPNetModel

    words = [*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), "kiln", "wood", "##s"]
    config = MPNetConfig(  # type: ignore[call-arg]
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=MAX_TOKENS + 130,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        MPNetModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    _write_tokenizer(folder, words)
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    transformer = {"max_seq_length": MAX_TOKENS, "do_lower_case": False}
    _write(folder / "modules.json", MODULES)
    _write(folder / "1_Pooling" / "config.json", pooling)
    _write(folder / "sentence_bert_config.json", transformer)
    return LocalModel(NAME, folder)


def _write_tokenizer(folder: Path, words: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(
        models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    tokenizer.add_special_tokens(_SPECIAL)
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128, pad_id=1, pad_token="<pad>")
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos": 0, "cls": 0, "pad": 1, "eos": 2, "sep": 2, "unk": 3, "mask": 4}
    _write(
        folder / "tokenizer_config.json",
        {f"{name}_token": _SPECIAL[at] for name, at in names.items()}
        | {"tokenizer_class": "MPNetTokenizer", "model_max_length": 512, "do_lower_case": True},
    )


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))
