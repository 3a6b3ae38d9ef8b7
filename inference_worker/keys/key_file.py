"""KEYS_FILE: the keys that the command has created, as JSON."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from inference_worker.keys.key import Key
from utils.errors import SettingsError
from utils.settings import first_invalid

_MAX_BYTES = 10_000_000
_NEW_MODE = 0o600


class _Keys(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid")

    keys: tuple[Key, ...] = ()

    @field_validator("keys")
    @classmethod
    def _check_unique(cls, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        for field in ("name", "sha256"):
            values = [getattr(key, field) for key in keys]
            if repeated := next((each for each in values if values.count(each) > 1), None):
                raise ValueError(f"two keys have the {field} {repeated}")
        return keys


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a file of keys.

    Raises:
        SettingsError: it cannot be read, or is no such file; one line that names the entry.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise SettingsError(f"KEYS_FILE: {path} is larger than {_MAX_BYTES:,} bytes.")
        return _Keys.model_validate_json(content).keys
    except FileNotFoundError:
        raise SettingsError(
            f"KEYS_FILE: {path} does not exist. Create a key: "
            "python -m inference_worker.keys create NAME --role read"
        ) from None
    except OSError as error:
        raise SettingsError(f"KEYS_FILE: cannot read {path}: {error.strerror}.") from None
    except ValidationError as error:
        place, reason = first_invalid(error)
        entry = ".".join(place) or "the file"
        raise SettingsError(f"KEYS_FILE: {path}: {entry}: {reason}.") from None


@contextmanager
def edit_keys(path: Path) -> Iterator[list[Key]]:
    """Change the keys of a file, which is created if it is missing; written if nothing is raised.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            keys = list(read_keys(path)) if path.exists() else []
            yield keys
            _write(path, _Keys(keys=tuple(keys)))
    except OSError as error:
        raise SettingsError(f"KEYS_FILE: cannot write {path}: {error.strerror}.") from None


def _write(path: Path, keys: _Keys) -> None:
    """Write the file whole or not at all; a new one is readable by its owner alone."""
    text = json.dumps(keys.model_dump(mode="json", exclude_defaults=True), indent=2) + "\n"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            before = path.stat() if path.exists() else None
            os.fchmod(file.fileno(), before.st_mode & 0o777 if before else _NEW_MODE)
            if before and os.geteuid() == 0:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
