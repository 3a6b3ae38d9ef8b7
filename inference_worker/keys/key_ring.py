"""All keys of a service: those of its settings, and those of KEYS_FILE, which it reads again."""

import hmac
import logging
import time
from collections.abc import Sequence
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path

from inference_worker.keys.key import Key, Role, digest_of
from inference_worker.keys.key_file import read_keys
from inference_worker.keys.sign_on import SignOn
from inference_worker.logs.audit import audit
from utils.errors import SettingsError
from utils.settings import Settings

log = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0
"""Interval at which a change of the file is noticed."""


class KeyRing:
    """Finds the key of a secret.

    A file that becomes unreadable does not stop the service: the keys read before stay valid, and
    the error is logged.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            SettingsError: KEYS_FILE cannot be read.
        """
        issuer = settings.oidc_issuer
        self.sign_on = SignOn(issuer, settings) if issuer else None
        self._fixed = _keys_of_settings(settings)
        self._file = settings.keys_file
        self._version: tuple[int, ...] | None = None
        self._problem = ""
        self._checked_at = time.monotonic()
        self._keys = self._fixed
        if self._file:
            self._version = _version_of(self._file)
            self._keys = self._fixed + read_keys(self._file)

    def find(self, secret: bytes) -> Key | None:
        """The key of a secret, valid or not; None if there is none. Takes constant time."""
        self._follow_file()
        digest = digest_of(secret)
        found = None
        for key in self._keys:
            is_same = hmac.compare_digest(key.sha256, digest)
            if is_same and (found is None or key.role.includes(found.role)):
                found = key
        return found

    def allows(self, role: Role) -> bool:
        """Whether a valid key has this role or a higher one; with an OIDC issuer, a token may."""
        self._follow_file()
        if self.sign_on:
            return True
        now = datetime.now(UTC)
        return any(key.role.includes(role) and key.state(now) == "valid" for key in self._keys)

    @property
    def reading_is_open(self) -> bool:
        """Whether reading needs no key: there is none of the role `read`, valid or not.

        Expired and revoked ones count, so that revoking the last one does not admit everyone. With
        a sign-on, reading needs a token or a key.
        """
        self._follow_file()
        return not self.sign_on and all(key.role is not Role.READ for key in self._keys)

    def describe(self) -> str:
        """Who may do what, as one line for the log."""
        reading = "needs no key" if self.reading_is_open else "needs a key"
        changing = "need a key" if self.allows(Role.WRITE) else "are off: no key allows them"
        return f"Reading {reading}; changes of documents {changing}"

    def _follow_file(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        version = _version_of(self._file)
        if version == self._version:
            return
        try:
            keys = read_keys(self._file)
        except SettingsError as error:
            if str(error) != self._problem:
                log.error("%s The keys read before stay valid.", error)  # noqa: TRY400 - one line
            self._problem = str(error)
            return
        self._problem, self._version = "", version
        before = self._keys[len(self._fixed) :]
        self._keys = self._fixed + keys
        # In an empty context: the request that noticed the change did not make it.
        Context().run(_audit_changes, before, keys)
        log.info("KEYS_FILE was read again. %s", self.describe())


def _audit_changes(before: Sequence[Key], after: Sequence[Key]) -> None:
    known = {key.name: key for key in before}
    for key in after:
        old = known.pop(key.name, None)
        if old is None:
            audit("key created", changed=key.name, role=key.role.value)
        elif key != old:
            event = "key revoked" if key.revoked and not old.revoked else "key changed"
            audit(event, changed=key.name, role=key.role.value)
    for name in known:
        audit("key removed", changed=name)


def _keys_of_settings(settings: Settings) -> tuple[Key, ...]:
    keys = []
    if settings.admin_key:
        keys.append(_key_of_setting("ADMIN_KEY", Role.ADMIN, settings.admin_key.get_secret_value()))
    for number, secret in enumerate(settings.read_keys, 1):
        keys.append(_key_of_setting(f"READ_KEYS-{number}", Role.READ, secret.get_secret_value()))
    return tuple(keys)


def _key_of_setting(name: str, role: Role, secret: str) -> Key:
    return Key(name=name, role=role, sha256=digest_of(secret.encode()))


def _version_of(path: Path) -> tuple[int, ...]:
    """Changes when the file or its permissions change; () if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
