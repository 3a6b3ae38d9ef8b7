"""Keys are created, listed and revoked by the command, and found again by their secret."""

import json
import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inference_worker.keys import __main__ as command
from inference_worker.keys import key_ring
from inference_worker.keys.key import PREFIX, Key, Role, digest_of
from inference_worker.keys.key_file import edit_keys, read_keys
from inference_worker.keys.key_ring import KeyRing
from utils.errors import SettingsError
from utils.settings import Settings

SECRET = "a-key-of-the-settings"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keys.json"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the file is noticed at once."""
    monkeypatch.setattr(key_ring, "_CHECK_SECONDS", 0)


def create(file: Path, capsys: pytest.CaptureFixture[str], name: str, *options: str) -> str:
    assert command.main(["create", name, "--file", str(file), *options]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"Created {name} ")
    return printed.out.removesuffix("\n")


def ring(file: Path | None = None, **settings: Any) -> KeyRing:
    return KeyRing(Settings(_env_file=None, keys_file=file, **settings))


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main([*arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_created_key_is_found_by_its_secret_alone(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = create(file, capsys, "ci", "--role", "write")
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    assert secret not in file.read_text()
    found = ring(file).find(secret.encode())
    assert found
    assert (found.name, found.role) == ("ci", Role.WRITE)
    assert found.state(datetime.now(UTC)) == "valid"
    for wrong in (secret[:-1], f"{secret}x", secret.upper(), "", "ü"):
        assert ring(file).find(wrong.encode()) is None


def test_file_is_readable_by_its_owner_alone_until_the_owner_changes_that(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(file, capsys, "one", "--role", "read")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    create(file, capsys, "two", "--role", "read")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_revoked_key_is_refused_by_a_running_service(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = create(file, capsys, "ci", "--role", "read").encode()
    running = ring(file)
    assert running.find(secret)

    assert command.main(["revoke", "ci", "--file", str(file)]) == 0

    found = running.find(secret)
    assert found
    assert found.state(datetime.now(UTC)) == "revoked"
    assert not running.reading_is_open
    assert not running.allows(Role.READ)


def test_key_expires(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = create(file, capsys, "ci", "--role", "read", "--days", "2").encode()
    found = ring(file).find(secret)
    assert found
    now = datetime.now(UTC)
    assert [found.state(now + timedelta(days=days)) for days in (1, 3)] == ["valid", "expired"]


def test_list_shows_no_secret(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = create(file, capsys, "ci", "--role", "admin")
    create(file, capsys, "old", "--role", "read", "--days", "1", "--limits", "calls  5/day")
    assert command.main(["revoke", "old", "--file", str(file)]) == 0
    assert command.main(["list", "--file", str(file)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "role", "state", "created", "expires", "limits"]
    assert [line.split()[:3] for line in lines] == [
        ["ci", "admin", "valid"],
        ["old", "read", "revoked"],
    ]
    assert lines[0].endswith(" -")
    assert lines[1].endswith(" calls 5/day")
    assert digest_of(secret.encode()) not in "".join(lines)


def test_keys_created_at_once_are_all_kept(file: Path) -> None:
    def add(number: int) -> None:
        with edit_keys(file) as keys:
            keys.append(Key(name=f"k{number}", role=Role.READ, sha256=f"{number:064x}"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(20)))
    assert {key.name for key in read_keys(file)} == {f"k{number}" for number in range(20)}
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == [file.name]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "a b", "--role", "read"], "A name has 1 to 64 letters"),
        (["create", "x" * 65, "--role", "read"], "A name has 1 to 64 letters"),
        (["create", "x", "--role", "read", "--days", "0"], "--days is a number above 0"),
        (["create", "x", "--role", "read", "--days", "nan"], "--days is a number above 0"),
        (["create", "x", "--role", "read", "--days", "1e9"], "--days is a number above 0"),
        (["create", "x", "--role", "read", "--limits", "5"], '--limits is such as "requests'),
        (["create", "ci", "--role", "read"], "There is a key named ci already"),
        (["revoke", "nobody"], "There is no key named nobody"),
    ],
)
def test_invalid_request_is_reported_in_one_line(
    arguments: list[str], reason: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(file, capsys, "ci", "--role", "read")
    before = file.read_bytes()
    assert reason in error_of(capsys, *arguments, "--file", str(file))
    assert file.read_bytes() == before


def test_missing_place_of_the_keys_is_reported(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.delenv("KEYS_FILE", raising=False)
    assert "KEYS_FILE is not set" in error_of(capsys, "list")
    for arguments in (["list"], ["revoke", "ci"]):
        assert "keys create NAME" in error_of(capsys, *arguments, "--file", str(file))
    assert not file.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"keys": [{"name": "a", "role": "owner", "sha256": "%s"}]}' % ("0" * 64), "keys.0.role"),
        ('{"keys": [{"name": "a", "role": "read", "sha256": "0"}]}', "keys.0.sha256"),
        ('{"keys": [{"name": "a\\nb", "role": "read", "sha256": "%s"}]}' % ("0" * 64), "keys.0.n"),
        ('{"keys": [], "more": 1}', "more"),
        (
            '{"keys": [{"name": "a", "role": "read", "sha256": "%s", "limits": "x"}]}' % ("0" * 64),
            "keys.0.limits",
        ),
    ],
)
def test_invalid_file_is_reported_with_its_place(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(SettingsError, match=r"^KEYS_FILE: .*") as refused:
        ring(tmp_path / "keys.json")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("field", ["name", "sha256"])
def test_repeated_entry_is_refused(field: str, tmp_path: Path) -> None:
    keys = [
        {"name": f"k{number}", "role": "read", "sha256": f"{number:064x}"} for number in range(2)
    ]
    keys[1][field] = keys[0][field]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": keys}))
    with pytest.raises(SettingsError, match=f"two keys have the {field}"):
        ring(tmp_path / "keys.json")


@pytest.mark.parametrize("damage", ["removed", "half"])
def test_unreadable_file_leaves_the_keys_of_a_running_service(
    damage: str, file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(file, capsys, "ci", "--role", "write").encode()
    running = ring(file)
    content = file.read_text()
    if damage == "removed":
        file.unlink()
    else:
        file.write_text(content[: len(content) // 2])
    assert [running.find(secret) is not None for _ in range(3)] == [True] * 3
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "stay valid" in line.message

    file.write_text('{"keys": []}')
    assert running.find(secret) is None


def test_file_is_read_again_after_a_passing_error(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = create(file, capsys, "ci", "--role", "read").encode()
    running = ring(file)
    assert command.main(["revoke", "ci", "--file", str(file)]) == 0

    def fail(path: Path) -> None:
        raise SettingsError("KEYS_FILE: too many open files.")

    with monkeypatch.context() as failing:
        failing.setattr(key_ring, "read_keys", fail)
        assert running.allows(Role.READ)
    found = running.find(secret)
    assert found
    assert found.state(datetime.now(UTC)) == "revoked"


def test_revocation_does_not_depend_on_the_audit_log(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create(file, capsys, "ci", "--role", "read")
    running = ring(file)

    def fail(*_: object, **fields: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(key_ring, "audit", fail)
    assert command.main(["revoke", "ci", "--file", str(file)]) == 0
    with pytest.raises(OSError, match="no space"):
        running.allows(Role.READ)
    assert not running.allows(Role.READ)


def test_secret_of_two_keys_has_the_higher_role() -> None:
    found = ring(admin_key=SECRET, read_keys=SECRET).find(SECRET.encode())
    assert found
    assert found.role is Role.ADMIN


def test_keys_of_the_settings(file: Path) -> None:
    keys = ring(admin_key=SECRET, read_keys="the-first-of-two-keys, the-second-of-two-keys")
    roles = {
        secret: (found.name, found.role)
        for secret in (SECRET, "the-first-of-two-keys", "the-second-of-two-keys")
        if (found := keys.find(secret.encode()))
    }
    assert list(roles.values()) == [
        ("ADMIN_KEY", Role.ADMIN),
        ("READ_KEYS-1", Role.READ),
        ("READ_KEYS-2", Role.READ),
    ]


@pytest.mark.parametrize("name", ["admin_key", "read_keys"])
@pytest.mark.parametrize(
    ("secret", "reason"), [("short", "at least 16 characters"), ("<your key here>", "placeholder")]
)
def test_weak_key_of_the_settings_is_refused(name: str, secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        ring(None, **{name: secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "Reading needs no key; changes of documents are off: no key allows them"),
        ({"admin_key": SECRET}, "Reading needs no key; changes of documents need a key"),
        ({"read_keys": SECRET}, "Reading needs a key; changes of documents are off"),
    ],
)
def test_start_says_who_may_do_what(settings: dict[str, Any], line: str) -> None:
    assert ring(**settings).describe().startswith(line)


def test_roles_include_those_before() -> None:
    included = [[role.includes(other) for other in Role] for role in Role]
    assert included == [[True, False, False], [True, True, False], [True, True, True]]
