"""The doctor names what is wrong with an installation, and what to do about it."""

import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from database.reading import reader as reading
from inference_worker import doctor
from inference_worker.keys.key_file import edit_keys
from tests.files.pages import WordEmbeddings
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import Request, failed
from tests.servers.documents_service import built
from tests.servers.oidc import oidc_issuer
from utils.settings import Settings

pytestmark = pytest.mark.process

KEY = "a-key-that-must-not-be-shown"


@pytest.fixture
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        yield server


@pytest.fixture
def sound(
    tmp_path: Path, mistral: MistralServer, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """An installation without problems; its index is embedded by words."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setattr(reading, "embeddings_for", lambda *_: WordEmbeddings())
    monkeypatch.setenv("DATABASE", built(tmp_path))
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", mistral.url)
    return monkeypatch


def examined(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The status, and the verdict and detail by subject; of several, a problem if there is one."""
    found: dict[str, tuple[str, str]] = {}
    for each in doctor.diagnoses(calls_model="--no-call" not in arguments):
        if found.get(each.subject, ("", ""))[0] != "problem":
            found[each.subject] = (each.verdict, each.detail)
    return sum(verdict == "problem" for verdict, _ in found.values()), found


def calls(mistral: MistralServer) -> list[Request]:
    """The calls of the language model, without what reads the server's clock."""
    return [request for request in mistral.requests if "chat" in request.path]


def test_sound_installation_has_no_problems(
    sound: pytest.MonkeyPatch, mistral: MistralServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main([]) == 0
    output = capsys.readouterr().out
    assert output.endswith("\nNo problems\n")
    assert len(output.splitlines()) < 24  # one screen
    for subject in ("settings", "keys", "disk", "store", "index", "search", "language model"):
        assert f"OK       {subject} " in output
    assert KEY not in output
    assert len(calls(mistral)) == 1


def test_language_model_is_not_called_if_that_is_not_wanted(
    sound: pytest.MonkeyPatch, mistral: MistralServer
) -> None:
    problems, found = examined("--no-call")
    assert problems == 0
    assert found["language model"] == ("note", "mistral-large-latest, not called")
    assert calls(mistral) == []


@pytest.mark.parametrize(
    ("setting", "value", "subject", "advice"),
    [
        ("TOP_K", "many", "settings", "See .env.example."),
        ("DATABASE", "missing", "index", "Build it: make index"),
        ("DATABASE", "http://127.0.0.1:9", "store", "127.0.0.1:9"),
        ("KEYS_FILE", "missing.json", "keys", "python -m inference_worker.keys create"),
        ("REDIS_URL", f"redis://:{KEY}@127.0.0.1:9", "redis", "Start Redis, or correct"),
        ("OIDC_ISSUER", "http://127.0.0.1:9", "sign-on", "its keys cannot be fetched"),
        ("MISTRAL_BASE_URL", "http://127.0.0.1:9/v1", "language model", "Check its key"),
        ("INFERENCE_MODEL", "openai:gpt", "language model", "INFERENCE_API_KEY"),
    ],
)
def test_broken_part_is_named_with_what_to_do(
    setting: str,
    value: str,
    subject: str,
    advice: str,
    sound: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = str(tmp_path / value) if "missing" in value else value
    sound.setenv(setting, value)
    assert doctor.main([]) == 1
    output = capsys.readouterr().out
    (line,) = [each for each in output.splitlines() if each.startswith("PROBLEM")]
    assert line.split(maxsplit=1)[1].startswith(subject)
    assert advice in line
    assert output.endswith("\n1 problem\n")
    assert KEY not in output


def test_refused_key_of_the_language_model_is_named(
    sound: pytest.MonkeyPatch, mistral: MistralServer
) -> None:
    mistral.default = failed(401)
    problems, found = examined()
    assert problems == 1
    assert found["language model"][0] == "problem"


def test_damaged_index_is_named(sound: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "index" / "chroma.sqlite3").write_bytes(b"damaged" * 1000)
    problems, found = examined("--no-call")
    assert problems == 1
    assert {"store", "index"} & {name for name, (what, _) in found.items() if what == "problem"}


def test_little_space_is_a_problem(sound: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1 << 20})
    sound.setattr(shutil, "disk_usage", lambda _: usage)
    problems, found = examined("--no-call")
    assert problems == 1
    assert found["disk"][1].endswith("Free at least 1 GiB.")


def test_keys_that_others_may_read_are_a_problem(sound: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with edit_keys(file):
        pass
    sound.setenv("KEYS_FILE", str(file))
    assert examined("--no-call")[0] == 0
    file.chmod(0o644)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    problems, found = examined("--no-call")
    assert (problems, found["keys"][0]) == (1, "problem")


def test_sign_on_that_answers_is_named(sound: pytest.MonkeyPatch) -> None:
    with oidc_issuer() as issuer:
        sound.setenv("OIDC_ISSUER", issuer.url)
        problems, found = examined("--no-call")
    assert (problems, found["sign-on"]) == (0, ("ok", f"{issuer.url} publishes its keys"))


@pytest.mark.parametrize(("hours", "verdict"), [(0.0, "ok"), (-5.0, "problem"), (5.0, "problem")])
def test_clock_is_compared_with_the_language_models_server(
    hours: float, verdict: str, sound: pytest.MonkeyPatch
) -> None:
    with oidc_issuer() as issuer:  # any server that sends a Date header
        sound.setenv("MISTRAL_BASE_URL", f"{issuer.url}/v1")
        now = time.time
        clock: Any = type("Clock", (), {"time": lambda: now() + 3600 * hours})
        clock.perf_counter = time.perf_counter
        sound.setattr(doctor, "time", clock)
        found = examined("--no-call")[1]
    assert found["clock"][0] == verdict
