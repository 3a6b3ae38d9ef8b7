"""A made-up corpus to adapt a model to: pages link to each other by nicknames."""

from pathlib import Path

import pytest

from database.adapting.training_corpus import TrainingCorpus, read_training_corpus
from dataset.folder import load_documents
from dataset.splitting import ChunkSize
from tests.files.pages import write_pages

_NAMES = ("Brimset", "Calder", "Dorvane", "Elmick", "Fostrel", "Garnow", "Hulvey", "Istrel")
_KINDS = ("press", "lathe", "kiln")
_NICKNAMES = (
    "the violet cupboard",
    "grandmother's drawer",
    "a sleeping lion",
    "the northern window",
    "three wet umbrellas",
    "the crooked staircase",
    "an empty violin case",
    "the last tram home",
)
_WAYS = ("first thing in the morning", "after the weekend", "before anyone else is there")

PAGES = {
    f"{name.lower()}-{kind}.md": (
        f"# {name} {kind}\n\n"
        f"The {name} {kind} is oiled by hand. It is switched on with the key at its back. "
        f"A {name} {kind} weighs as much as a person can lift.\n\n"
        f"## Clean the {name} {kind}\n\n"
        f"Brush the {name} {kind} with a dry cloth. Never use water on a {name} {kind} at work.\n\n"
        "## See also\n\n"
        + "\n\n".join(
            f"People speak of {_NICKNAMES[(at + step) % len(_NAMES)]} {_WAYS[step]} when they mean "
            f"[the {kind}]({_NAMES[(at + step) % len(_NAMES)].lower()}-{kind}.md) in the corner."
            for step in range(3)
        )
        + "\n"
    )
    for at, name in enumerate(_NAMES)
    for kind in _KINDS
}


def write_workshop(folder: Path) -> Path:
    return write_pages(folder, PAGES)


def corpus_in(folder: Path, *, hold_out: float = 0.2, seed: int = 1) -> TrainingCorpus:
    return read_training_corpus(
        load_documents(folder, pytest.fail),
        ChunkSize(60, 0),
        lambda text: len(text.split()),
        hold_out=hold_out,
        seed=seed,
    )
