"""The documents API: authorization, responses of each route, and the effect on search."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.index.lock import BuildLock
from database.index.store import open_store
from database.journal.uploads import UPLOADS
from tests.files.pages import PAGES, WordEmbeddings
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer
from tests.servers.chroma import ChromaServer
from tests.servers.documents_service import (
    AS_ADMIN,
    KEY,
    built,
    found,
    names,
    page,
    problem,
    serving,
)
from tests.servers.service import with_mistral
from utils.settings import Settings

pytestmark = pytest.mark.process

_LIMIT = 200_000


@pytest.fixture(scope="module")
def words() -> WordEmbeddings:
    return WordEmbeddings()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(tmp_path_factory.mktemp("documents"))


@pytest.fixture(scope="module")
def service(place: str, words: WordEmbeddings) -> Iterator[httpx.Client]:
    with serving(place, lambda fingerprint: words, max_upload_bytes=_LIMIT) as client:
        yield client


@pytest.fixture(scope="module", params=["folder", "server"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str]]:
    """A separate service over an embedded index or a Chroma server, and the store's address."""
    folder = tmp_path_factory.mktemp("either")
    with ExitStack() as stack:
        chroma = ChromaServer(folder / "chroma")
        address = stack.enter_context(chroma).url if request.param == "server" else ""
        database = built(folder, database=address)
        yield stack.enter_context(serving(database)), database


def put(client: httpx.Client, name: str, content: bytes, **options: Any) -> httpx.Response:
    return client.put(f"/v1/documents/{name}", content=content, **options)


def delete(client: httpx.Client, name: str, **options: Any) -> httpx.Response:
    return client.delete(f"/v1/documents/{name}", **options)


# Authorization


_WRITES = (
    ("PUT", "/v1/documents/k.md"),
    ("POST", "/v1/documents"),
    ("DELETE", "/v1/documents/training.md"),
)


def test_authorization_scheme_is_case_insensitive(service: httpx.Client) -> None:
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {KEY}"}
        assert put(service, "scheme.md", page("scheme"), headers=headers).status_code < 300


def test_reading_requires_no_key(service: httpx.Client) -> None:
    with httpx.Client(base_url=service.base_url) as stranger:
        assert stranger.get("/v1/documents").status_code == 200
        assert stranger.get("/v1/documents/training.md").status_code == 200
        assert problem(stranger.get("/v1/documents/nothing.md")) == "document-not-found"
        assert problem(stranger.get("/v1/jobs/nothing")) == "job-not-found"


@pytest.mark.parametrize("key", [None, ""])
def test_documents_are_read_only_if_no_key_is_set(tmp_path: Path, key: str | None) -> None:
    database = built(tmp_path, {"a.md": PAGES["training.md"]})
    with serving(database, admin_key=key) as client:
        for method, path in _WRITES:
            for headers in ({}, AS_ADMIN, {"Authorization": "Bearer"}):
                response = client.request(method, path, headers=headers, content=page("x"))
                assert response.status_code == 403
                assert problem(response) == "changes-off"
                assert "ADMIN_KEY" in response.json()["detail"]
        assert names(client) == ["a.md"]


@pytest.mark.parametrize("key", ["", "  ", "changeme", "your-admin-key", "<key>"])
def test_placeholder_key_is_refused_or_ignored(key: str) -> None:
    try:
        settings = Settings(_env_file=None, admin_key=key)
    except ValueError:
        return
    assert settings.admin_key is None


# Add, replace, read


def test_page_is_added_replaced_and_unchanged(either: tuple[httpx.Client, str]) -> None:
    client, _ = either
    added = put(client, "new/kilns.md", page("zqkiln"))
    assert added.status_code == 201
    (first,) = added.json()["documents"]
    assert (first["outcome"], first["previous"], first["chunks"]) == ("added", "", 1)
    assert found(client, "zqkiln")[0] == "new/kilns.md"

    replaced = put(client, "new/kilns.md", page("zqoven", "## More", "And zqmore of it."))
    assert replaced.status_code == 200
    (second,) = replaced.json()["documents"]
    assert (second["outcome"], second["previous"]) == ("replaced", first["etag"])
    assert (second["chunks"], second["embedded"]) == (2, 2)
    assert replaced.json()["revision"] == added.json()["revision"] + 1
    assert replaced.headers["ETag"] == f'"{second["etag"]}"'

    read = client.get("/v1/documents/new/kilns.md")
    assert read.headers["ETag"] == replaced.headers["ETag"]
    assert "zqoven" in read.json()["text"]
    assert "zqmore" in read.json()["text"]
    assert "zqkiln" not in read.text
    assert names(client, prefix="new/") == ["new/kilns.md"]


def test_name_is_one_document_in_every_unicode_form(service: httpx.Client) -> None:
    composed, macos = "forms/Z\u00fcrich.md", "forms/Zu\u0308rich.md"
    added = put(service, macos, page("zqzurich"))
    assert (added.status_code, added.json()["documents"][0]["name"]) == (201, composed)
    files = {"files": (macos, page("zqzurich"))}
    assert service.post("/v1/documents", files=files).json()["documents"][0]["name"] == composed

    for name in (composed, macos):
        assert service.get(f"/v1/documents/{name}").json()["name"] == composed
        assert names(service, prefix=name[:-5]) == [composed]
        filtered = {"query": "zqzurich", "filters": {"documents": [name]}}
        (hit,) = service.post("/v1/search", json=filtered).json()["passages"]
        assert hit["document"] == composed
    assert put(service, composed, page("zqzurich")).json()["documents"][0]["outcome"] == "unchanged"
    assert delete(service, macos).status_code == 200
    assert names(service, prefix="forms/") == []


def test_unchanged_content_is_not_embedded_again(
    service: httpx.Client, words: WordEmbeddings
) -> None:
    first = put(service, "same.md", page("same"))
    embedded = len(words.documents)
    again = put(service, "same.md", page("same"))

    assert again.status_code == 200
    (outcome,) = again.json()["documents"]
    assert (outcome["outcome"], outcome["embedded"], outcome["chunks"]) == ("unchanged", 0, 1)
    assert outcome["etag"] == outcome["previous"] == first.json()["documents"][0]["etag"]
    assert again.json()["revision"] == first.json()["revision"]
    assert len(words.documents) == embedded


def test_unchanged_content_is_not_written_to_the_log(service: httpx.Client, place: str) -> None:
    def logged() -> int:
        with closing(sqlite3.connect(f"file:{place}/chroma.sqlite3?mode=ro", uri=True)) as log:
            return int(log.execute("SELECT count(*) FROM embeddings_queue").fetchone()[0])

    long = page("long", *(f"Line {n} of a long text.\n" * 400 for n in range(20)))
    first = put(service, "long.md", long)
    before = logged()
    jobs = [put(service, "long.md", long).json()["job"] for _ in range(3)]

    assert logged() - before == 3  # one entry per job
    job = service.get(f"/v1/jobs/{jobs[0]}").json()
    assert (job["state"], job["documents"][0]["outcome"]) == ("done", "unchanged")
    assert put(service, "long.md", long, headers={"If-None-Match": "*"}).status_code == 412
    etag = first.headers["ETag"]
    assert put(service, "long.md", long, headers={"If-Match": etag}).headers["ETag"] == etag


def test_unchanged_upload_of_a_folder_document_changes_its_origin(service: httpx.Client) -> None:
    content = PAGES["training.md"].encode()
    assert service.get("/v1/documents/training.md").json()["origin"] == "folder"
    assert put(service, "training.md", content).json()["documents"][0]["outcome"] == "unchanged"
    assert service.get("/v1/documents/training.md").json()["origin"] == "api"


def test_folder_document_is_replaced(service: httpx.Client) -> None:
    assert service.get("/v1/documents/notebooks.md").json()["origin"] == "folder"
    assert put(service, "notebooks.md", page("zqnotebooks")).status_code == 200
    read = service.get("/v1/documents/notebooks.md").json()
    assert read["origin"] == "api"
    assert "Jupyter" not in read["text"]
    assert found(service, "zqnotebooks")[0] == "notebooks.md"


def test_front_matter_sets_the_metadata(service: httpx.Client) -> None:
    head = "---\ntitle: Our kilns\nurl: https://kilns.example/\nupdated: 2026-03-01\n---\n"
    put(service, "head.md", head.encode() + page("head"))
    read = service.get("/v1/documents/head.md").json()
    assert (read["title"], read["url"]) == ("Our kilns", "https://kilns.example/")
    assert (read["changed"], read["format"]) == ("2026-03-01", "markdown")
    assert "---" not in read["text"]


def test_query_parameters_override_front_matter_and_count_as_content(service: httpx.Client) -> None:
    content = b"---\ntitle: Inside\nurl: https://inside.example/\n---\n" + page("said")
    put(service, "said.md", content)
    metadata = {"title": " From  outside ", "url": "https://out.example/a", "changed": "2026-03-01"}
    other = put(service, "said.md", content, params=metadata)
    assert other.json()["documents"][0]["outcome"] == "replaced"
    again = put(service, "said.md", content, params=metadata)
    assert again.json()["documents"][0]["outcome"] == "unchanged"

    read = service.get("/v1/documents/said.md").json()
    assert (read["title"], read["url"]) == ("From outside", "https://out.example/a")
    assert read["changed"] == "2026-03-01"


@pytest.mark.parametrize(
    "metadata",
    [
        {"url": "javascript:alert(1)"},
        {"url": "/relative"},
        {"url": "https://a.example/\r\nSet-Cookie: a=b"},
        {"url": "https://a.example/ b"},
        {"url": 'https://x"><script>alert(1)</script>'},
        {"url": "https://e.com/a)[x](javascript:1"},
        {"changed": "yesterday"},
        {"changed": "2026-02-30"},
    ],
)
def test_invalid_metadata_is_refused(service: httpx.Client, metadata: dict[str, str]) -> None:
    response = put(service, "wrong.md", page("wrong"), params=metadata)
    assert (response.status_code, problem(response)) == (422, "document-refused")
    assert response.json()["detail"].startswith(next(iter(metadata)))


@pytest.mark.parametrize(
    "query", [{"title": "x" * 501}, {"url": f"https://{'x' * 2000}"}, {"changed": "2" * 41}]
)
def test_too_long_metadata_is_refused(service: httpx.Client, query: dict[str, str]) -> None:
    response = put(service, "wrong.md", page("wrong"), params=query)
    assert (response.status_code, problem(response)) == (422, "invalid-request")


def test_html_is_converted(service: httpx.Client) -> None:
    content = b"<html><body><main><h1>Kilns</h1><p>Of zqhtml &amp; clay.</p></main></body></html>"
    assert put(service, "kilns.html", content).status_code == 201
    read = service.get("/v1/documents/kilns.html").json()
    assert (read["format"], read["title"]) == ("html", "Kilns")
    assert found(service, "zqhtml")[0] == "kilns.html"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.md", b"", "no text"),
        ("blank.md", b" \n\t\n", "no text"),
        ("links.md", b"# Guide\n\n+ [A](a.md)\n+ [B](b.md)\n", "only links"),
        ("head.md", b"---\ntitle: Only a head\n---\n", "no text"),
        ("latin.md", "# Grün".encode("latin-1"), "not UTF-8"),
        ("nul.txt", b"a\0b", "NUL"),
        ("broken.pdf", b"%PDF-1.7 nothing", "PDF"),
        ("empty.html", b"", "empty"),
        ("not.docx", b"GIF89a", ""),
    ],
)
def test_unreadable_file_is_refused_with_the_reason(
    service: httpx.Client, name: str, content: bytes, reason: str
) -> None:
    response = put(service, f"refused/{name}", content)
    assert (response.status_code, problem(response)) == (422, "document-refused")
    assert response.json()["detail"].startswith(f"refused/{name}: ")
    assert reason in response.json()["detail"]
    assert names(service, prefix="refused/") == []


def test_refused_replacement_keeps_the_document(service: httpx.Client) -> None:
    put(service, "stays.md", page("zqstays"))
    for content in (b"", "Grün".encode("latin-1")):
        assert put(service, "stays.md", content).status_code == 422
    assert found(service, "zqstays")[0] == "stays.md"


# Conditions


@pytest.mark.parametrize(
    ("condition", "there", "absent"),
    [
        ({"If-Match": "*"}, 200, 412),
        ({"If-Match": '"{etag}"'}, 200, 412),
        ({"If-Match": '"other", "{etag}"'}, 200, 412),
        ({"If-Match": '"other"'}, 412, 412),
        ({"If-None-Match": "*"}, 412, 201),
        ({"If-None-Match": '"{etag}"'}, 412, 201),
        ({"If-None-Match": '"other"'}, 200, 201),
        ({"If-Match": '"{etag}"', "If-None-Match": "*"}, 412, 412),
    ],
)
def test_put_honours_preconditions(
    service: httpx.Client, condition: dict[str, str], there: int, absent: int
) -> None:
    delete(service, "if.md")
    headers = {name: value.format(etag="0") for name, value in condition.items()}
    response = put(service, "if.md", page("zqfirst"), headers=headers)
    assert response.status_code == absent
    if absent == 412:
        assert problem(response) == "precondition-failed"
        assert "if.md" not in names(service)

    etag = put(service, "if.md", page("zqsecond")).json()["documents"][0]["etag"]
    headers = {name: value.format(etag=etag) for name, value in condition.items()}
    response = put(service, "if.md", page("zqthird"), headers=headers)
    assert response.status_code == there
    shown = service.get("/v1/documents/if.md").json()["text"]
    assert ("zqthird" if there == 200 else "zqsecond") in shown


def test_delete_honours_preconditions(service: httpx.Client) -> None:
    etag = put(service, "if.md", page("zqif")).headers["ETag"]
    for wrong in ('"other"', '"0", W/"1"'):
        response = delete(service, "if.md", headers={"If-Match": wrong})
        assert (response.status_code, problem(response)) == (412, "precondition-failed")
    assert found(service, "zqif")[0] == "if.md"
    assert delete(service, "if.md", headers={"If-Match": etag}).status_code == 200
    response = delete(service, "if.md", headers={"If-Match": "*"})
    assert response.status_code in (404, 412)


# Several files in one request


def test_several_files_become_visible_in_one_step(either: tuple[httpx.Client, str]) -> None:
    client, _ = either
    revision = client.get("/v1/documents").json()["revision"]
    files = [("files", (f"many/{n}.md", page(f"zqmany{n}"))) for n in range(5)]
    response = client.post("/v1/documents", files=files)

    assert response.status_code == 200
    assert response.json()["revision"] == revision + 1
    assert [d["outcome"] for d in response.json()["documents"]] == ["added"] * 5
    assert names(client, prefix="many/") == [f"many/{n}.md" for n in range(5)]
    assert found(client, "zqmany3")[0] == "many/3.md"


def test_invalid_file_is_skipped_and_the_others_are_added(service: httpx.Client) -> None:
    files = [
        ("files", ("batch/good.md", page("zqgood"))),
        ("files", ("batch/good.md", page("zqdoubled"))),
        ("files", ("batch/latin.md", "Grün".encode("latin-1"))),
        ("files", ("batch/empty.md", b"")),
        ("files", ("../batch.md", page("zqescaped"))),
        ("files", ("batch.exe", page("zqexe"))),
        ("files", ("notebooks.md", page("zqnotebooks"))),
    ]
    response = service.post("/v1/documents", files=files)
    assert response.status_code == 200
    outcomes = [(d["name"], d["outcome"]) for d in response.json()["documents"]]
    assert ("batch/good.md", "added") in outcomes
    assert [name for name, outcome in outcomes if outcome == "refused"] == [
        "batch/good.md",
        "batch/latin.md",
        "../batch.md",
        "batch.exe",
        "batch/empty.md",
    ]
    assert all(d["reason"] for d in response.json()["documents"] if d["outcome"] == "refused")
    assert names(service, prefix="batch") == ["batch/good.md"]
    assert found(service, "zqgood")[0] == "batch/good.md"
    assert "zqdoubled" not in service.get("/v1/documents/batch/good.md").text


def test_request_with_only_invalid_files_is_refused(service: httpx.Client) -> None:
    files = [("files", ("a.exe", b"a")), ("files", ("b.md", b""))]
    response = service.post("/v1/documents", files=files[:1])
    assert (response.status_code, problem(response)) == (422, "document-refused")
    response = service.post("/v1/documents", files=files)
    assert response.status_code == 422
    assert "a.exe: " in response.json()["detail"]
    assert "b.md: " in response.json()["detail"]


@pytest.mark.parametrize(
    "form",
    [
        {"files": []},
        {"files": [("other", ("a.md", b"# A\n\nText."))]},
        {"data": {"files": "text"}},
        {"json": {"files": []}},
        {"content": b""},
        {"files": [("files", (f"{n}.md", b"# A\n\nText.")) for n in range(101)]},
        {"data": {f"field{n}": "x" for n in range(101)}},
        {"files": [(name, ("a.md", b"# A\n\nText.")) for name in ("files", "fiels")]},
        {"files": [("files", ("a.md", b"# A\n\nText."))], "data": {"title": "A"}},
    ],
    ids=[
        *("none", "other field", "no file", "json", "nothing", "101 files", "101 fields"),
        *("a misspelt part", "a text part"),
    ],
)
def test_form_without_files_is_refused(service: httpx.Client, form: dict[str, Any]) -> None:
    response = service.post("/v1/documents", **form)
    assert (response.status_code, problem(response)) == (422, "document-refused")


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/v1/documents", "prefx"),
        ("POST", "/v1/documents", "title"),
        ("GET", "/v1/documents/endpoints.md", "version"),
        ("PUT", "/v1/documents/endpoints.md", "titel"),
        ("DELETE", "/v1/documents/endpoints.md", "purg"),
        ("GET", "/v1/jobs/1", "wait"),
    ],
)
def test_unknown_parameter_is_refused_by_name(
    service: httpx.Client, method: str, path: str, parameter: str
) -> None:
    response = service.request(method, path, params={parameter: "true"})
    assert (response.status_code, problem(response)) == (422, "invalid-request")
    assert response.json()["detail"] == f"{parameter}: no such parameter"
    assert "endpoints.md" in names(service)


# The list


def test_list_is_paginated(service: httpx.Client) -> None:
    files = [("files", (f"list/{n}.md", page(f"list{n}"))) for n in (3, 1, 2, 4)]
    service.post("/v1/documents", files=files)
    seen: list[str] = []
    query: dict[str, Any] = {"prefix": "list/", "limit": 3}
    while True:
        listed = service.get("/v1/documents", params=query).json()
        assert listed["total"] == 4
        seen += [document["name"] for document in listed["documents"]]
        if listed["next"] is None:
            break
        assert listed["next"] == seen[-1]
        query["after"] = listed["next"]
    assert seen == [f"list/{n}.md" for n in (1, 2, 3, 4)]
    assert names(service, prefix="list/2") == ["list/2.md"]
    assert names(service, prefix="list/", after="list/2") == seen[1:]
    assert names(service, prefix="list/", after="zzz") == []
    assert names(service, prefix="list/", after="a") == seen


def test_list_during_changes_shows_unchanged_documents_once(service: httpx.Client) -> None:
    stay = [f"flow/{n}-stays.md" for n in range(4)]
    files = [("files", (name, page("flow"))) for name in (*stay, "flow/0-goes.md")]
    service.post("/v1/documents", files=files)
    seen: list[str] = []
    after, step = "", 0
    while True:
        query = {"prefix": "flow/", "limit": "1", "after": after}
        listed = service.get("/v1/documents", params=query).json()
        seen += [document["name"] for document in listed["documents"]]
        if step == 0:
            delete(service, "flow/0-goes.md")
        put(service, f"flow/{step}-came.md", page("came"))
        step += 1
        if not listed["next"]:
            break
        after = listed["next"]
    assert [name for name in seen if name in stay] == stay
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"prefix": "x" * 501}, {"after": "x" * 501}],
)
def test_invalid_page_parameters_are_refused(service: httpx.Client, query: dict[str, Any]) -> None:
    response = service.get("/v1/documents", params=query)
    assert (response.status_code, problem(response)) == (422, "invalid-request")


@pytest.mark.parametrize("query", [{"prefix": "\0"}, {"prefix": "\U0010ffff"}, {"after": "\ud7ff"}])
def test_unusual_prefixes_are_accepted(service: httpx.Client, query: dict[str, str]) -> None:
    assert service.get("/v1/documents", params=query).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/v1/documents/a.md"), ("PUT", "/v1/documents")]
)
def test_unsupported_method_is_405(service: httpx.Client, method: str, path: str) -> None:
    response = service.request(method, path)
    assert (response.status_code, problem(response)) == (405, "method-not-allowed")


# Delete


def test_deleted_page_is_removed_everywhere_and_can_be_added_again(
    either: tuple[httpx.Client, str],
) -> None:
    client, database = either
    put(client, "gone.md", page("zqgone"))
    response = delete(client, "gone.md")
    assert response.status_code == 200
    body = response.json()
    assert [(d["name"], d["outcome"]) for d in body["documents"]] == [("gone.md", "deleted")]
    counted = {name: n for name, n in body["checked"].items() if isinstance(n, int)}
    assert counted.keys() >= {"chunks", "postings", "cached_answers", "found_by_search"}
    assert set(counted.values()) == {0}
    assert body["checked"]["collections"]
    assert "vacuum" in body["text_on_disk"]

    assert problem(client.get("/v1/documents/gone.md")) == "document-not-found"
    assert "gone.md" not in names(client)
    assert "gone.md" not in found(client, "zqgone")
    assert "zqgone" not in stored_texts(database)
    again = delete(client, "gone.md")
    assert (again.status_code, problem(again)) == (404, "document-not-found")

    assert put(client, "gone.md", page("zqgone")).json()["documents"][0]["outcome"] == "added"
    assert found(client, "zqgone")[0] == "gone.md"


def test_folder_document_is_deleted(either: tuple[httpx.Client, str]) -> None:
    client, _ = either
    put(client, "endpoints.md", PAGES["endpoints.md"].encode())
    assert delete(client, "endpoints.md").status_code == 200
    assert "endpoints.md" not in found(client, "KmsKeyId endpoint")


def test_purge_leaves_one_collection_and_no_text(either: tuple[httpx.Client, str]) -> None:
    client, database = either
    put(client, "purged.md", page("zqpurged"))
    before = index_names(database)
    kept = names(client)
    response = delete(
        client, "purged.md", params={"purge": "true"}, headers={"Prefer": "wait=60"}, timeout=70
    )
    assert response.status_code == 200
    body = response.json()
    assert body["kind"] == "purge"
    (only,) = body["checked"]["collections"]
    assert index_names(database) == [only]
    assert only not in before
    assert "zqpurged" not in stored_texts(database)
    assert names(client) == [name for name in kept if name != "purged.md"]
    assert put(client, "after.md", page("zqafter")).status_code == 201
    assert found(client, "zqafter")[0] == "after.md"


def index_names(database: str) -> list[str]:
    with closing(open_store(database)) as store:
        return store.index_names()


def stored_texts(database: str) -> str:
    """All texts of the indexes and the uploads, concatenated."""
    with closing(open_store(database)) as store:
        collections = [store.find(name) for name in (*store.index_names(), UPLOADS)]
        return str([c.get(include=["documents", "metadatas"]) for c in collections if c])


def test_cached_answer_is_invalidated_with_its_document(
    tmp_path: Path, mistral: MistralServer
) -> None:
    question = {"question": "What does a zqkiln fire?"}
    with serving(built(tmp_path), **with_mistral(mistral)) as client:
        mistral.default = answer("A zqkiln fires clay [1].")
        put(client, "kilns.md", b"# The zqkiln\n\nA zqkiln fires clay.\n")
        first, kept = (client.post("/v1/answers", json=question).json() for _ in range(2))
        assert (first["cached"], kept["cached"]) == (False, True)
        assert "kilns.md" in kept["docs"]

        body = delete(client, "kilns.md").json()
        assert body["checked"]["cached_answers"] == 0
        after = client.post("/v1/answers", json=question).json()
        assert not after["cached"]
        assert "kilns.md" not in str(after)


def test_change_is_refused_during_a_build(either: tuple[httpx.Client, str]) -> None:
    client, database = either
    put(client, "locked.md", page("zqlocked"))
    with closing(open_store(database)) as store, BuildLock(store):
        for response in (
            put(client, "locked.md", page("zqother")),
            delete(client, "locked.md"),
            delete(client, "locked.md", params={"purge": "true"}),
            client.post("/v1/documents", files=[("files", ("locked.md", page("zqother")))]),
        ):
            assert (response.status_code, problem(response)) == (409, "index-locked")
        assert found(client, "zqlocked")[0] == "locked.md"
    assert put(client, "locked.md", page("zqother")).status_code == 200
