"""The log has a line for each request, the audit log what was changed, and neither a secret."""

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference_worker.keys import key_ring
from inference_worker.keys.key_file import edit_keys
from inference_worker.logs.audit import AUDIT, audit, changed_settings
from inference_worker.logs.configuration import TextFormatter, configure_logs
from inference_worker.logs.request_fields import add_log_fields, begin_request
from tests.database.served_index import served_index
from tests.files.pages import PAGES
from tests.servers.access_keys import SECRETS, write_key
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer, failed
from tests.servers.documents_service import splitter
from tests.servers.service import QUESTION, Service, serve, with_mistral
from utils.errors import SettingsError
from utils.settings import Settings

CANARIES = {
    name: f"canary-{name.replace('_', '-')}-7f3a9c"
    for name in (
        *("mistral_api_key", "inference_api_key", "embedding_api_key", "chroma_token"),
        *("admin_key", "read_key", "wrong_key", "redis_password", "userinfo"),
    )
}


@pytest.fixture(autouse=True)
def _restore_audit() -> Iterator[None]:
    yield
    logger = logging.getLogger(AUDIT)
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.propagate = [], True


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_index(tmp_path_factory.mktemp("logs"), PAGES) as address:
        yield address


@pytest.fixture
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        yield server


def configured(**settings: Any) -> Settings:
    chosen = Settings(_env_file=None, **settings)
    configure_logs(chosen)
    return chosen


def lines_of(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def request_lines(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "ms" in line]


@pytest.mark.process
def test_line_of_an_answer_has_its_stages_tokens_and_coverage(
    database: str, mistral: MistralServer, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(log_format="json")
    with serve(database, admin_key=SECRETS["admin"], **with_mistral(mistral)) as service:
        service.wait_until_ready()
        capfd.readouterr()
        headers = {"Authorization": f"Bearer {SECRETS['admin']}", "X-Request-ID": "the-id"}
        body = {"question": QUESTION}
        shown = service.http.post("/v1/answers", json=body, headers=headers).json()
    (line,) = request_lines(lines_of(capfd))
    assert line["message"] == "POST /v1/answers 200"
    assert (line["level"], line["request_id"], line["key"]) == ("INFO", "the-id", "ADMIN_KEY")
    assert line["address"] == "127.0.0.1"
    assert line["generator"] == shown["generator"]
    assert line["coverage"] == (shown["coverage"] or "")
    assert line["input_tokens"] == shown["usage"]["input_tokens"] > 0
    for stage in ("retrieve", "generate", "ground", "total"):
        assert line[f"{stage}_ms"] == shown["timings"][stage]
    assert line["ms"] >= line["total_ms"]
    assert line["time"]
    assert QUESTION not in json.dumps(line)


@pytest.mark.process
@pytest.mark.parametrize("path", ["/inference_endpoint", "/v1/answers", "/mcp", "chat"])
def test_question_is_logged_only_if_enabled(
    path: str, database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    call = {"name": "ask", "arguments": {"question": QUESTION}}
    requests: dict[str, dict[str, Any]] = {
        "/inference_endpoint": {"params": {"message": QUESTION}},
        "/v1/answers": {"json": {"question": QUESTION, "stream": True}},
        "/mcp": {"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}},
        "chat": {"json": {"model": "sagemaker-docs", "messages": messages}},
    }
    for is_logged in (False, True):
        configured(log_format="json")
        with serve(database, log_questions=is_logged, min_confidence=0.0) as service:
            service.wait_until_ready()
            capfd.readouterr()
            route = "/v1/chat/completions" if path == "chat" else path
            headers = {"Accept": "application/json, text/event-stream"}
            assert service.http.post(route, headers=headers, **requests[path]).is_success
        (line,) = request_lines(lines_of(capfd))
        assert line["generator"] == "extractive"
        assert line.get("question") == (QUESTION if is_logged else None)


@pytest.mark.process
def test_polling_is_logged_for_debugging_only_unless_it_fails(
    database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(log_format="json", log_level="debug")
    with serve(database) as service:
        service.wait_until_ready()
        capfd.readouterr()
        for path in ("/healthz", "/readyz", "/metrics", "/nothing", "/v1/documents"):
            service.http.get(path)
    levels = {line["message"]: line["level"] for line in request_lines(lines_of(capfd))}
    assert levels == {
        "GET /healthz 200": "DEBUG",
        "GET /readyz 200": "DEBUG",
        "GET /metrics 200": "DEBUG",
        "GET none 404": "INFO",
        "GET /v1/documents 200": "INFO",
    }


def test_text_is_one_line_whatever_a_field_contains() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s %d", ("GET /", 200), None)
    record.__dict__.update(key="", path='a b\n"c"', ms=1.5, address="2001:db8::1")
    line = TextFormatter().format(record)
    assert line.endswith('INFO GET / 200 path="a b\\n\\"c\\"" ms=1.5 address=2001:db8::1')


def test_lines_within_a_request_have_its_id(capfd: pytest.CaptureFixture[str]) -> None:
    configured(log_format="json", log_level="warning")
    log = logging.getLogger("any")
    log.warning("before")
    begin_request(request_id="the-id", key="")
    add_log_fields(more=1)
    log.warning("within")
    log.info("too low")
    before, within = lines_of(capfd)
    assert "request_id" not in before
    assert (within["request_id"], within["logger"]) == ("the-id", "any")
    assert "more" not in within


def test_exception_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    configured(log_format="json")
    try:
        int("the cause")
    except ValueError:
        logging.getLogger("any").exception("Unexpected")
    (line,) = lines_of(capfd)
    assert "'the cause'" in line["exception"]


# The audit log.


def test_audit_log_is_separate_if_it_has_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configured(log_level="error")
    audit("to the log", key="ci")
    file = tmp_path / "audit.log"
    configured(audit_log=file, log_level="error", log_format="json")
    audit("to the file", key="ci")
    output = capfd.readouterr().err
    assert "to the log" in output
    assert "to the file" not in output
    (line,) = [json.loads(each) for each in file.read_text().splitlines()]
    assert (line["message"], line["key"], line["logger"]) == ("to the file", "ci", "audit")


def test_audit_log_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^AUDIT_LOG: cannot write .*\.$"):
        configured(audit_log=tmp_path / "missing" / "audit.log")


def test_audit_log_may_be_rotated_and_its_loss_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    configured(audit_log=folder / "audit.log")
    audit("first")
    (folder / "audit.log").rename(folder / "audit.log.1")
    audit("second")
    assert "first" in (folder / "audit.log.1").read_text()
    assert "second" in (folder / "audit.log").read_text()
    shutil.rmtree(folder)
    audit("third")
    assert "FileNotFoundError" in capfd.readouterr().err


@pytest.mark.process
def test_audit_log_records_changes_and_refused_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "_CHECK_SECONDS", 0)
    keys, file = tmp_path / "keys.json", tmp_path / "audit.log"
    write_key(keys, "write", "write")
    configured(audit_log=file, log_format="json")
    with served_index(tmp_path, PAGES) as address:
        settings = {"keys_file": keys, "mistral_base_url": "http://127.0.0.1:9/v1"}
        with serve(address, splitter=splitter, **settings) as service:
            service.wait_until_ready()
            change_everything(service, keys)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    started, *others = entries
    assert started["message"] == "service started"
    assert started["settings"]["KEYS_FILE"] == str(keys)
    assert "MISTRAL_API_KEY" not in started["settings"]
    events = [entry["message"] for entry in others]
    assert events == [
        *("change accepted", "change finished") * 2,
        *("key refused", "key refused", "key created", "key revoked"),
    ]
    put, was_put, delete, was_deleted, wrong, weak, created, revoked = others
    assert (put["kind"], put["documents"], put["key"]) == ("put", ["new.md"], "write")
    assert (put["address"], put["request_id"]) == ("127.0.0.1", "the-put")
    assert (was_put["job"], was_put["outcomes"]) == (put["job"], {"new.md": "added"})
    assert (delete["kind"], delete["documents"]) == ("delete", ["new.md"])
    assert was_deleted["outcomes"] == {"new.md": "deleted"}
    assert (wrong["reason"], wrong.get("key")) == ("key-invalid", None)
    assert (weak["reason"], weak["key"], weak["method"]) == ("role-missing", "write", "DELETE")
    assert not {"address", "request_id", "key"} & (created.keys() | revoked.keys())
    assert (created["changed"], created["role"], revoked["changed"]) == ("more", "read", "more")


def change_everything(service: Service, keys: Path) -> None:
    def send(method: str, path: str, key: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        return service.http.request(method, path, headers=headers, **options)

    document = "/v1/documents/new.md"
    content = {"content": "# New\n\nKilns are hot.", "headers": {"X-Request-ID": "the-put"}}
    assert send("PUT", document, SECRETS["write"], **content).status_code == 201
    assert send("DELETE", document, SECRETS["write"]).status_code == 200
    assert send("DELETE", document, "wrong").status_code == 401
    assert send("DELETE", f"{document}?purge=true", SECRETS["write"]).status_code == 403
    write_key(keys, "more", "read")
    assert send("GET", "/v1/documents", SECRETS["write"]).status_code == 200
    with edit_keys(keys) as listed:
        listed[1] = listed[1].model_copy(update={"revoked": datetime.now(UTC)})
    assert send("GET", "/v1/documents", SECRETS["write"]).status_code == 200


def test_changed_settings_show_no_credentials() -> None:
    shown = changed_settings(
        Settings(
            _env_file=None,
            database=f"http://user:{CANARIES['userinfo']}@chroma:8000",
            ollama_url=f"http://user:p@{CANARIES['userinfo']}/x@ollama:1",
            snapshot_url=f"https://bucket/x?sig={CANARIES['userinfo']}",
            admin_key=CANARIES["admin_key"],
            read_keys=CANARIES["read_key"],
            top_k=5,
        )
    )
    assert shown["DATABASE"] == "http://...@chroma:8000"
    assert shown["SNAPSHOT_URL"] == "https://bucket/x"
    assert shown["TOP_K"] == "5"
    assert {"ADMIN_KEY", "READ_KEYS"} <= shown.keys()
    assert "canary" not in json.dumps(shown)


# Secrets.


@pytest.mark.process
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_that_is_emitted_contains_a_secret(
    log_format: str,
    database: str,
    mistral: MistralServer,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "audit.log"
    settings: dict[str, Any] = {
        "mistral_base_url": mistral.url,
        **{name: CANARIES[name] for name in ("mistral_api_key", "admin_key", "chroma_token")},
        **{name: CANARIES[name] for name in ("inference_api_key", "embedding_api_key")},
        "read_keys": CANARIES["read_key"],
        "redis_url": f"redis://:{CANARIES['redis_password']}@127.0.0.1:9",
        "token_budget": 10_000,
        "token_budget_file": tmp_path / "budget.sqlite3",
        "min_confidence": 0.0,
        "answer_cache_size": 0,
    }
    logs = {"log_format": log_format, "log_level": "debug", "audit_log": file}
    configured(**logs)
    mistral.script(answer(), failed(500), failed(401), failed(422))
    emitted = []
    with serve(database, **settings, **logs) as service:
        service.wait_until_ready()
        first = ["", CANARIES["admin_key"], CANARIES["read_key"]]
        for key in (*first, *CANARIES.values()):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            for method, path, options in REQUESTS:
                response = service.http.request(method, path, headers=headers, **options)
                emitted.append(f"{response.headers} {response.text}")
        emitted.append(service.app.state.metrics.exposition().decode())
        emitted += [repr(service.app.state.settings), str(service.app.state.settings)]
    output = capfd.readouterr()
    emitted += [output.out, output.err, file.read_text()]
    assert "key refused" in file.read_text()
    assert "Redis does not answer" in output.err
    assert [secret for secret in CANARIES.values() if any(secret in text for text in emitted)] == []


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/answers", {"json": {"question": QUESTION}}),
    ("POST", "/v1/answers", {"content": b"{"}),
    ("POST", "/v1/search", {"json": {"query": QUESTION, "top_k": 0}}),
    ("GET", "/metrics", {}),
    ("GET", "/readyz", {}),
    ("GET", "/openapi.json", {}),
    ("DELETE", "/v1/documents/no-such.md", {}),
    ("PUT", "/v1/documents/bad.exe", {"content": b"x"}),
]
