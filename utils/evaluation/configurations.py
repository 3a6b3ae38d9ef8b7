"""The configurations of retrieval to compare, parsed from the command line."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import DocsQAError
from utils.settings import is_server, load_settings

if TYPE_CHECKING:
    from database.reading.reader import Reader

SHIPPED = "shipped"
RankingValue = int | float
OpenReader = Callable[[str | None, Mapping[str, RankingValue]], "Reader"]
"""Opens an index, or the settings' where none is named, with some fields of Ranking changed."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The differences of a retrieval configuration from the shipped one."""

    label: str
    ranking: Mapping[str, RankingValue] = field(default_factory=dict)
    """The fields of Ranking that differ."""
    database: str | None = None
    """Another index; None for that of the command."""


def parse_configuration(text: str, defaults: Mapping[str, RankingValue]) -> Configuration:
    """Parse `shipped` or `label:key=value,key=value`; the label is optional.

    Args:
        text: The argument.
        defaults: The keys that may be set, each with a value of its type.

    Raises:
        DocsQAError: it cannot be parsed; names the part and the correct form.
    """
    before, colon, after = text.partition(":")
    # A colon after the first "=" belongs to a value: database=http://host:port
    label, body = (before.strip(), after) if colon and "=" not in before else (text, text)
    if not label or not body.strip():
        raise DocsQAError(f"--compare {text!r}: write a label and its changes, like a:key=value.")
    if body.strip() == SHIPPED:
        return Configuration(label)
    ranking: dict[str, RankingValue] = {}
    database = None
    for part in body.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise DocsQAError(f"--compare {text!r}: {part!r} is neither key=value nor {SHIPPED}.")
        if key in ranking or (key == "database" and database):
            raise DocsQAError(f"--compare {text!r}: {key} is set twice.")
        if key == "database":
            database = value
        elif key in defaults:
            ranking[key] = _value(value, defaults[key], f"--compare {text!r}: {key}")
        else:
            known = ", ".join((*defaults, "database"))
            raise DocsQAError(f"--compare {text!r}: no such key {key!r}; the keys are {known}.")
    return Configuration(label, ranking, database)


def _value(text: str, default: RankingValue, place: str) -> RankingValue:
    """The text converted to the type of the default."""
    kind, name = (int, "a whole number") if isinstance(default, int) else (float, "a number")
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DocsQAError(f"{place} must be {name}, not {text!r}.")
    return value


def check_labels(configurations: Iterable[Configuration]) -> None:
    """Check that no two configurations have the same label.

    Raises:
        DocsQAError: two do.
    """
    seen = set()
    for each in configurations:
        if each.label in seen:
            raise DocsQAError(f"--compare names {each.label!r} twice; give one of them a label.")
        seen.add(each.label)


def open_reader(database: str | None, ranking: Mapping[str, RankingValue]) -> "Reader":
    """Make the reader that is measured.

    Raises:
        SettingsError: a setting is wrong.
    """
    from database.reading.reader import reader_from
    from database.searching.fusion import Ranking

    settings = load_settings()
    if database:
        place = database if is_server(database) else str(Path(database).absolute())
        # Whatever model a named index was built with; the setting's belongs to the settings' index.
        settings = settings.model_copy(update={"database": place, "embedding_model_name": None})
    tuned = replace(Ranking(), **ranking)  # type: ignore[arg-type]  # of the fields' types
    return reader_from(settings, ranking=tuned)
