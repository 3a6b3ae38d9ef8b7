"""Hostile requests to the documents API, with the key and without."""

import io
import json
import logging
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.documents_service import KEY, built, found, names, problem, serving
from tests.servers.service import RawConnection
from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process

_LIMIT = 300_000
_PAGE = b"# Kilns\n\nA kiln fires clay.\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[httpx.Client]:
    with serving(built(place), max_upload_bytes=_LIMIT, conversion_seconds=20) as client:
        client.event_hooks = {"response": [lambda response: assert_leaks_nothing(response, place)]}
        yield client


def assert_leaks_nothing(response: httpx.Response, place: Path) -> None:
    """The response contains neither the key nor a path nor a line of code."""
    response.read()
    for secret in (KEY, str(place), "Traceback", ".py", "site-packages", "chromadb"):
        assert secret not in response.text
        assert secret not in str(response.headers)


def put(client: httpx.Client, path: str, content: bytes = _PAGE, **options: Any) -> httpx.Response:
    """PUT to a path that the client must not normalize."""
    url = client.base_url.copy_with(raw_path=f"/v1/documents/{path}".encode())
    return client.put(url, content=content, **options)


def begin(method: str, path: str, *headers: str) -> tuple[str, ...]:
    return (f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", "")


_AS_ADMIN = f"Authorization: Bearer {KEY}"


# Bodies


@pytest.mark.parametrize(
    "length",
    ["Content-Length: 30000000000", "Content-Length: 200000", "Transfer-Encoding: chunked"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/documents/a.md"), ("POST", "/v1/documents")]
)
@pytest.mark.parametrize(
    ("header", "status"), [("X-Key: none", 401), ("Authorization: Bearer wrong", 401)]
)
def test_request_without_the_key_is_refused_before_its_body(
    service: httpx.Client, method: str, path: str, length: str, header: str, status: int
) -> None:
    with RawConnection(service) as raw:
        raw.send(*begin(method, path, length, header, "Content-Type: multipart/form-data"))
        assert raw.status() == status


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/documents/a.md"), ("POST", "/v1/documents")]
)
def test_endless_body_is_refused_at_the_limit(
    service: httpx.Client, method: str, path: str
) -> None:
    kind = "Content-Type: multipart/form-data; boundary=b"
    with RawConnection(service) as raw:
        raw.send(*begin(method, path, _AS_ADMIN, kind, "Transfer-Encoding: chunked"))
        raw.send(
            "64",
            '--b\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n'.ljust(
                100, "x"
            ),
            "",
        )
        for _ in range(_LIMIT // 4096 + 1):
            raw.send("1000", "x" * 4096, "")
        assert raw.status() == 413


def test_body_over_the_limit_is_refused_and_one_of_maximum_size_accepted(
    service: httpx.Client,
) -> None:
    text = _PAGE + b"x" * (_LIMIT - len(_PAGE))
    for over in (text + b"x", text * 3):
        response = put(service, "large.md", over)
        assert (response.status_code, problem(response)) == (413, "body-too-large")
        response = service.post("/v1/documents", files=[("files", ("large.md", over))])
        assert (response.status_code, problem(response)) == (413, "body-too-large")
    assert "large.md" not in names(service)
    assert put(service, "large.md", text).status_code == 201
    service.delete("/v1/documents/large.md")


def test_disconnect_during_the_body_is_not_a_server_error(
    service: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    for method, path in (("PUT", "/v1/documents/left.md"), ("POST", "/v1/documents")):
        kind = "Content-Type: multipart/form-data; boundary=b"
        with RawConnection(service) as raw:
            raw.send(*begin(method, path, _AS_ADMIN, kind, "Content-Length: 1000"))
            raw.send("--b\r\nContent-Disposition: form-data;")
            time.sleep(0.2)
    time.sleep(0.2)
    assert "left.md" not in names(service)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


# Names


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/a.md",
        "%2e%2e%2fa.md",
        "..%2Fa.md",
        "a/%2e%2e/%2e%2e/%2e%2e/etc/passwd.md",
        "%2fetc/a.md",
        "/a.md",
        "a//b.md",
        "..%5ca.md",
        "a%5cb.md",
        ".a.md",
        "a/.b/c.md",
        "%20a.md",
        "a.md%20",
        "a.md.",
        "a%00.md",
        "a.md%00.exe",
        "a%1b[31m.md",
        "a%7f.md",
        "a%C2%85b.md",
        "a%E2%80%A8b.md",
        "a%ED%A0%80.md",
        "a%FF.md",
        "%C3.md",
        "a",
        "a.exe",
        "",
        "x" * 501 + ".md",
        "%C3%A9" * 249 + ".md",
    ],
)
def test_invalid_name_is_refused(service: httpx.Client, path: str) -> None:
    before = names(service)
    response = put(service, path)
    assert response.status_code == 422
    assert problem(response) in ("document-refused", "invalid-request")
    assert names(service) == before


def test_path_traversal_reaches_no_file(service: httpx.Client) -> None:
    for path in ("/v1/documents/../a.md", "/v1/documents/../../etc/a.md", "//etc/a.md"):
        with RawConnection(service) as raw:
            raw.send(*begin("PUT", path, _AS_ADMIN, "Content-Length: 0"))
            assert raw.status() in (404, 422)


def test_line_break_in_a_path_is_refused(service: httpx.Client) -> None:
    before = names(service)
    assert put(service, "a%0D%0AX-Header:%201.md").status_code in (404, 422)
    assert put(service, "a%0Ab.md").status_code in (404, 422)
    assert names(service) == before


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("%252e%252e/a.md", "%2e%2e/a.md"),
        ("a%253Fb.md", "a%3Fb.md"),
        ("a%3Fb%23c.md", "a?b#c.md"),
        ("%F0%9F%94%A5/%C3%A9.md", "\U0001f525/\u00e9.md"),
        ("a%22b%27c;d.md", "a\"b'c;d.md"),
        ("$where.md", "$where.md"),
        ("a%3Cb%3E.md", "a<b>.md"),
    ],
)
def test_name_is_percent_decoded_once(service: httpx.Client, path: str, name: str) -> None:
    response = put(service, path)
    assert response.status_code == 201
    assert response.json()["documents"][0]["name"] == name
    assert name in names(service)
    url = service.base_url.copy_with(raw_path=f"/v1/documents/{path}".encode())
    assert service.get(url).json()["name"] == name
    assert service.delete(url).status_code == 200
    assert service.get(url).status_code == 404


@pytest.mark.parametrize(
    "path", ["%00", "..%2f..%2fetc%2fpasswd", "x" * 500, "", "%F0%9F%94%A5", "%FF"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_invalid_name_is_not_found(service: httpx.Client, method: str, path: str) -> None:
    url = service.base_url.copy_with(raw_path=f"/v1/documents/{path}".encode())
    response = service.request(method, url)
    assert (response.status_code, problem(response)) == (404, "document-not-found")


@pytest.mark.parametrize("id_", ["%00", "%27%20OR%201=1--", "x" * 100, "%F0%9F%94%A5", "%FF"])
def test_invalid_job_id_is_not_found(service: httpx.Client, id_: str) -> None:
    url = service.base_url.copy_with(raw_path=f"/v1/jobs/{id_}".encode())
    response = service.get(url)
    assert (response.status_code, problem(response)) == (404, "job-not-found")


def test_line_breaks_cannot_forge_log_lines(
    service: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "%0A2026-03-01%20ERROR%20forged"
    for path in (f"a{forged}.md", f"a.exe?title={forged}", f"a.md?url={forged}"):
        put(service, path)
    with RawConnection(service) as raw:
        raw.send(*begin("DELETE", f"/v1/documents/a{forged}", _AS_ADMIN))
        assert raw.status() == 404
    service.get(f"/v1/jobs/{forged}")
    assert not any("\n" in record.getMessage() for record in caplog.records)


# Forms


def part(disposition: bytes, content: bytes = _PAGE) -> bytes:
    return (
        b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"
    )


_FILE = b'name="files"; filename="form.md"'
_END = b"--b--\r\n"


# Starlette leaves the file of a part without an end to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        (b"", "; boundary=b"),
        (b"garbage", "; boundary=b"),
        (b"x" * 250_000, "; boundary=b"),
        (part(_FILE), "; boundary=b"),
        (part(_FILE)[:60], "; boundary=b"),
        (part(_FILE) + _END, ""),
        (part(_FILE) + _END, "; boundary=other"),
        (part(_FILE) + _END, '; boundary="' + "b" * 5000 + '"'),
        (part(b'name="files"; filename=""') + _END, "; boundary=b"),
        (part(b'name="files"') + _END, "; boundary=b"),
        (part(b"name=files; filename=../../form.md") + _END, "; boundary=b"),
        (part(b'name="files"; filename="a/../../form.md"') + _END, "; boundary=b"),
        (part(b'name="files"; filename="a\0.md"') + _END, "; boundary=b"),
        (
            part(b'name="files"; filename="a\\ud800.md"') + _END,
            "; boundary=b; charset=unicode_escape",
        ),
        (part(b'name="files"; filename="a\\nb.md"') + _END, "; boundary=b; charset=unicode_escape"),
        (b"--b\r\n" + b"X: " + b"a" * 200_000 + b"\r\n" + part(_FILE)[5:] + _END, "; boundary=b"),
        (b"--b\r\n" + b"X: a\r\n" * 40_000 + part(_FILE)[5:] + _END, "; boundary=b"),
    ],
)
def test_malformed_form_is_refused(service: httpx.Client, body: bytes, parameters: str) -> None:
    before = names(service)
    headers = {"Content-Type": f"multipart/form-data{parameters}"}
    response = service.post("/v1/documents", content=body, headers=headers)
    assert response.status_code == 422
    assert response.json()["type"].endswith(":document-refused")
    assert names(service) == before


def test_refused_name_is_reported_beside_an_accepted_one(service: httpx.Client) -> None:
    body = part(_FILE) + part(b'name="files"; filename="a\\ud800.md"') + _END
    headers = {"Content-Type": "multipart/form-data; boundary=b; charset=unicode_escape"}
    response = service.post("/v1/documents", content=body, headers=headers)
    assert response.status_code == 200
    outcomes = {d["name"]: d["outcome"] for d in response.json()["documents"]}
    assert outcomes == {"form.md": "added", "a?.md": "refused"}


# Content


def zip_of(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.docx", zip_of("word/document.xml", b"\0" * 150_000_000)),
        ("bomb.xlsx", zip_of("xl/workbook.xml", b"<a>" * 30_000_000)),
        ("out.docx", zip_of("../../../etc/cron.d/evil", b"* * * * * root id")),
        ("deep.html", b"<div>" * 50_000),
        ("deep.ipynb", b"[" * 100_000),
        ("include.rst", b"Text\n====\n\n.. include:: /etc/passwd\n"),
        (
            "entity.xlsx",
            zip_of(
                "xl/workbook.xml",
                b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_file_is_a_problem_document(
    service: httpx.Client, name: str, content: bytes
) -> None:
    response = put(service, name, content, headers={"Prefer": "wait=30"})
    if response.status_code == 422:
        assert problem(response) == "document-refused"
    else:
        assert response.status_code == 201
        assert "root:" not in service.get(f"/v1/documents/{name}").text
    assert service.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        'title: "a\\ud800b"',
        "title: !!timestamp soon",
        "title: !!int ''",
        "title: 0x" + "f" * 5000,
        "title: !!python/object/apply:os.system [id]",
    ],
)
def test_hostile_front_matter_is_not_a_server_error(service: httpx.Client, head: str) -> None:
    response = put(service, "headed.md", f"---\n{head}\n---\n".encode() + _PAGE)
    assert response.status_code in (200, 201, 422)


def test_lone_surrogates_in_a_file_are_not_a_server_error(service: httpx.Client) -> None:
    cell = {"cell_type": "markdown", "metadata": {}, "source": ["# \ud800\n\nOf zqhalves \udfff."]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    assert put(service, "halves.ipynb", json.dumps(notebook).encode()).status_code in (201, 422)
    page = b"<html><body><h1>A &#xD800;</h1><p>Of zqhalves &#xDFFF; &#0; text.</p></body></html>"
    assert put(service, "halves.html", page).status_code in (201, 422)
    found(service, "zqhalves")


@pytest.mark.parametrize(
    "text",
    [
        "[a](" + " " * 200_000 + "x",
        ("[a](" + " " * 1000 + "x ") * 200,
        "[a](b" + " " * 200_000 + "x",
        "![a](<b>" + "\t" * 200_000 + "x",
        "<a" + " " * 200_000,
        "<br" + " " * 200_000,
        "[" * 200_000,
        "![" * 100_000,
        "[a" * 100_000 + "]" * 100_000,
        "`a" * 100_000,
        "*a" * 100_000,
        "<!--" * 50_000,
        " " * 200_000 + "|",
        "|a" * 1000 + "|\n" + "|-" * 1000 + "|\n" + "|b\n" * 100,
        "> " * 100_000 + "a",
        "x" * 200_000,
        "{%" + "a" * 200_000,
        "{% highlight " + "a" * 200_000,
    ],
    ids=range(18),
)
def test_hostile_page_takes_linear_time(text: str) -> None:
    """Each takes under a second; at quadratic cost one would take an hour."""
    code = (
        "import sys; from dataset.markdown.reader import plain_text, sections\n"
        "from dataset.conversion.markdown.dialects import standard_markdown\n"
        "for section in sections(standard_markdown(sys.stdin.read())):\n"
        "    for block in section.blocks: plain_text(block.text)"
    )
    read = [sys.executable, "-c", code]
    subprocess.run(read, cwd=PROJECT_ROOT, input=text, text=True, check=True, timeout=60)
