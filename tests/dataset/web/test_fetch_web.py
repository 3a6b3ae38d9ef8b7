"""Web pages are fetched as documents and kept up to date with conditional requests."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from dataset.frontmatter import split_frontmatter
from dataset.page_files import FileChanges
from dataset.web.http.guard import Guard
from dataset.web.http.responses import Response
from dataset.web.pages import page_kind
from tests.servers.web import (
    MAY,
    NOW,
    Fetches,
    Served,
    WebServer,
    at,
    html,
    markdown,
    page,
    redirect,
    sitemap,
    web_server,
)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as serving:
        yield serving


def test_page_is_stored_with_title_address_and_date(server: WebServer, fetch: Fetches) -> None:
    server.pages["/guide/ovens.html"] = page("Ovens: hot", "They <b>glow</b>.", modified=MAY)

    changes = fetch(at(server, "/guide/ovens.html"))

    assert changes == FileChanges(new=1)
    host = server.url.removeprefix("http://").replace(":", "~")
    written = fetch.folder / "web" / host / "guide" / "ovens.md"
    head, text = split_frontmatter(written.read_text())
    assert head.title == "Ovens: hot"
    assert head.url == f"{server.url}/guide/ovens.html"
    assert head.changed == "2021-05-06T07:08:09Z"
    assert text.strip() == "They glow ."


def test_date_in_the_page_precedes_last_modified(server: WebServer, fetch: Fetches) -> None:
    words = '<time datetime="2020-01-02">Then</time>'
    server.pages["/a"] = page("A", words, modified=MAY)
    server.pages["/b"] = page("B", '<time datetime="2999-01-02">Not yet</time>', modified=MAY)
    fetch(at(server, "/a"), at(server, "/b"))
    files = fetch.files()
    assert "changed: '2020-01-02'" in files["a.md"]
    assert "2021-05-06" in files["b.md"]


def test_canonical_address_must_be_on_the_same_host(server: WebServer, fetch: Fetches) -> None:
    link = '<link rel="canonical" href="{}">Words'
    server.pages["/a?x=1"] = page("A", link.format(f"{server.url}/a"))
    server.pages["/b"] = page("B", link.format("https://evil.example/b"))
    fetch(at(server, "/a?x=1"), at(server, "/b"))
    addresses = {split_frontmatter(text)[0].url for text in fetch.files().values()}
    assert addresses == {f"{server.url}/a", f"{server.url}/b"}


def test_only_the_links_of_markdown_are_changed(server: WebServer, fetch: Fetches) -> None:
    text = (
        '# Kilns\\-1<a name="kilns"></a>\n\nSee [ash](ash.md#a) and [b](https://b.example/).\n\n'
        "`[no](link.md)`\n\n```\n[no](link.md)\n```\n\n[ref]: ../up.html\n"
    )
    server.pages["/g/kilns.md"] = markdown(text)
    fetch(at(server, "/g/kilns.md"))
    head, kept = split_frontmatter(fetch.files()["g/kilns.md"])
    assert head.title == "Kilns-1"
    expected = text.replace("(ash.md#a)", f"({server.url}/g/ash.md#a)")
    assert kept.strip() == expected.replace("../up.html", f"{server.url}/up.html").strip()


def test_frontmatter_of_markdown_is_not_duplicated(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a.md"] = markdown(
        "---\ntitle: Own\ndate: 2020-02-03\n---\n\n# Other\n\nWords.\n"
    )
    fetch(at(server, "/a.md"))
    head, text = split_frontmatter(fetch.files()["a.md"])
    assert (head.title, head.changed) == ("Own", "2020-02-03")
    assert text.strip() == "# Other\n\nWords."


@pytest.mark.parametrize(
    ("media", "path", "taken"),
    [
        ("text/plain", "/notes.txt", True),
        ("binary/octet-stream", "/notes.md", True),
        (None, "/notes.md", True),
        (None, "/notes", False),
        ("application/pdf", "/notes.pdf", False),
        ("image/png", "/notes.md", False),
        ("application/json", "/notes", False),
    ],
)
def test_only_text_media_types_are_accepted(
    server: WebServer, fetch: Fetches, media: str | None, path: str, taken: bool
) -> None:
    server.pages["/fine"] = page("Fine")
    server.pages[path] = Served("Some words.", media)
    changes = fetch(at(server, "/fine"), at(server, path))
    assert changes.new == (2 if taken else 1)
    assert len(fetch.troubles) == (0 if taken else 1)
    assert all("not a page of text" in line for line in fetch.troubles)


@pytest.mark.parametrize("start", [b" ", b"<!-- x -->", b"<!--", b"<?x?>", b"\n<!-- -->"])
def test_hostile_start_of_a_page_is_checked_quickly(start: bytes) -> None:
    started = time.monotonic()
    response = Response("https://h.example/a.md", 200, "text/markdown", content=start * 100_000)
    assert page_kind(response) == "text"
    assert time.monotonic() - started < 0.5


def test_charset_in_the_content_type_is_used(server: WebServer, fetch: Fetches) -> None:
    latin = "text/html; charset=iso-8859-1"
    server.pages["/a"] = Served(html("Öfen", "heiß").encode("latin-1"), latin)
    server.pages["/b.txt"] = Served("heiß".encode("latin-1"), "text/plain; charset=latin-1")
    server.pages["/c.txt"] = Served("heiß".encode("latin-1"), "text/plain")
    fetch(at(server, "/a"), at(server, "/b.txt"), at(server, "/c.txt"))
    files = fetch.files()
    assert "title: Öfen" in files["a.md"]
    assert "heiß" in files["b.txt.md"]
    assert fetch.troubles == [f"{server.url}/c.txt is not utf-8 text (byte 3)"]


def test_second_run_sends_conditional_requests(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = page("A")
    server.pages["/b"] = page("B", etag=None, modified=MAY)
    lists = at(server, "/a"), at(server, "/b")
    fetch(*lists)
    before = fetch.files()
    server.asked.clear()

    assert fetch(*lists) == FileChanges(unchanged=2)

    asked = {one.path: one.headers for one in server.asked}
    assert asked["/a"]["If-None-Match"] == server.pages["/a"].validators["ETag"]
    assert asked["/b"]["If-Modified-Since"] == server.pages["/b"].validators["Last-Modified"]
    assert fetch.files() == before


def test_changed_page_is_rewritten(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = page("A")
    fetch(at(server, "/a"))
    server.pages["/a"] = page("A", "Other words.")
    assert fetch(at(server, "/a")) == FileChanges(changed=1)
    assert "Other words." in fetch.files()["a.md"]
    assert fetch(at(server, "/a")) == FileChanges(unchanged=1)


def test_new_etag_and_date_alone_change_nothing(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = page("A", etag='"one"', modified=MAY)
    fetch(at(server, "/a"))
    before = fetch.files()
    server.pages["/a"] = page("A", etag='"two"', modified=MAY + timedelta(days=1))

    assert fetch(at(server, "/a")) == FileChanges(unchanged=1)
    assert fetch.files() == before
    fetch(at(server, "/a"))
    assert server.asked[-1].headers["If-None-Match"] == '"two"'


def test_missing_or_altered_file_is_fetched_again(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/a": page("A"), "/b": page("B")}
    fetch(at(server, "/a"), at(server, "/b"))
    before = fetch.files()
    a, b = sorted((fetch.folder / "web").rglob("*.md"))
    a.unlink()
    b.write_text(b.read_text().replace("Words", "Scribbles"))

    assert fetch(at(server, "/a"), at(server, "/b")) == FileChanges(new=1, changed=1)
    assert fetch.files() == before


def test_page_that_now_redirects_to_another_host_keeps_its_file(
    server: WebServer, fetch: Fetches
) -> None:
    server.pages["/a"] = page("A")
    fetch(at(server, "/a"))
    with web_server({"/a": page("B")}) as other:
        fetch.guard = Guard([server.url, other.url])
        server.pages["/a"] = redirect(f"{other.url}/a")
        fetch(at(server, "/a"))
        other.pages["/a"] = page("B", "Other words.")
        assert fetch(at(server, "/a")) == FileChanges(changed=1)
    assert "Other words." in fetch.files()["a.md"]


def test_page_with_an_old_lastmod_is_not_requested(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/old": page("Old"), "/same-day": page("Day"), "/new": page("New")}
    days = {"/old": "2021-12-30", "/same-day": "2022-01-01", "/new": "2022-01-02T00:00:00+02:00"}
    named = [(f"{server.url}{path}", day) for path, day in days.items()]
    server.pages["/sitemap.xml"] = sitemap(*named)
    fetch(at(server, "/sitemap.xml", "sitemap"))
    assert len(server.paths) == 4
    server.asked.clear()

    assert fetch(at(server, "/sitemap.xml", "sitemap")) == FileChanges(unchanged=3)
    assert sorted(server.paths) == ["/new", "/same-day", "/sitemap.xml"]

    server.asked.clear()
    fetch.now = NOW + timedelta(days=40)
    fetch(at(server, "/sitemap.xml", "sitemap"))
    assert "/old" in server.paths, "lastmod was trusted after 40 days"


def test_final_address_of_a_redirect_is_recorded(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/old": redirect("/new#part"), "/new": page("New")}
    fetch(at(server, "/old"))
    assert list(fetch.files()) == ["new.md"]
    assert f"url: {server.url}/new\n" in fetch.files()["new.md"]
    server.asked.clear()
    assert fetch(at(server, "/old")) == FileChanges(unchanged=1)
    assert "If-None-Match" not in server.asked[-2].headers
    assert server.asked[-1].headers["If-None-Match"]


def test_redirects_to_one_page_give_one_document(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/a": redirect("/c"), "/b": redirect("/c"), "/c": page("C")}
    assert fetch(at(server, "/a"), at(server, "/b")) == FileChanges(new=1)
    assert list(fetch.files()) == ["c.md"]

    # The page is now listed by its own address, which takes over the file.
    assert fetch(at(server, "/a"), at(server, "/b"), at(server, "/c")).present == 1
    assert list(fetch.files()) == ["c.md"]
    assert fetch(at(server, "/a"), at(server, "/b"), at(server, "/c")) == FileChanges(unchanged=1)


def test_page_that_now_redirects_to_another_is_removed(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/a": page("A"), "/b": page("B")}
    lists = at(server, "/a"), at(server, "/b")
    fetch(*lists)
    server.pages["/a"] = redirect("/b")
    assert fetch(*lists) == FileChanges(unchanged=1, removed=1)
    assert list(fetch.files()) == ["b.md"]
    assert fetch(*lists) == FileChanges(unchanged=1)


def test_page_is_fetched_again_if_its_redirect_changed(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {
        "/a": redirect("/b"),
        "/b": page("B", etag=None, modified=MAY),
        "/c": page("C", etag=None, modified=MAY - timedelta(days=1)),
    }
    fetch(at(server, "/a"))
    server.pages["/a"] = redirect("/c")
    assert fetch(at(server, "/a")) == FileChanges(changed=1)
    (text,) = fetch.files().values()
    assert "title: C" in text


def test_limited_run_continues_with_unfetched_pages(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {f"/{number}": page(f"Page {number}") for number in range(5)}
    server.sitemap()
    named = at(server, "/sitemap.xml", "sitemap")
    for _ in range(3):
        fetch(named, limit=2)
        fetch.now += timedelta(seconds=1)
    assert len(fetch.files()) == 5
    assert [path for path in server.paths if path != "/sitemap.xml"] == [
        "/0", "/1", "/2", "/3", "/4", "/0"
    ]  # fmt: skip


def test_include_and_exclude_select_pages(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {f"/{name}": page(name) for name in ("g/a.html", "g/b.html", "h/c.html")}
    server.sitemap()
    named = at(server, "/sitemap.xml", "sitemap")
    fetch(named, include=("*/g/*",), exclude=("*b.html",))
    assert list(fetch.files()) == ["g/a.md"]


def test_new_converter_version_fetches_unconditionally(
    server: WebServer, fetch: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/a"] = page("A")
    fetch(at(server, "/a"))
    monkeypatch.setattr("dataset.conversion.converter.VERSION", 999)
    fetch(at(server, "/a"))
    assert "If-None-Match" not in server.asked[-1].headers


def test_interrupted_run_loses_no_page(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {f"/{number}": page(f"Page {number}") for number in range(4)}
    server.sitemap()
    named = at(server, "/sitemap.xml", "sitemap")

    class Killed(BaseException):
        pass

    def breaking(done: int, total: int | None) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        fetch(named, progress=breaking)
    assert len(fetch.files()) == 2
    server.asked.clear()

    assert fetch(named) == FileChanges(new=2, unchanged=2)
    first, second, *rest = [one for one in server.asked if len(one.path) == 2]
    assert {first.path, second.path} == {"/2", "/3"}
    assert all("If-None-Match" in one.headers for one in rest)
