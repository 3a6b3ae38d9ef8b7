"""Pages that no longer exist are removed; pages that could not be requested are kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset.page_files import FileChanges
from tests.servers.web import Fetches, Served, WebServer, at, page, sitemap, web_server
from utils.errors import DatasetError

GONE = Served(status=410, etag=None)
BROKEN = Served(status=500, etag=None)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server({f"/g/{name}.html": page(name) for name in "abcd"}) as serving:
        serving.sitemap()
        yield serving


@pytest.fixture
def fetch(tmp_path: Path, server: WebServer) -> Fetches:
    """Fetches after a first run that stored all four pages."""
    fetches = Fetches(tmp_path)
    assert fetches(at(server, "/sitemap.xml", "sitemap")) == FileChanges(new=4)
    return fetches


def again(fetch: Fetches, server: WebServer, **options: bool) -> FileChanges:
    return fetch(at(server, "/sitemap.xml", "sitemap"), **options)


def name_in_sitemap(server: WebServer, names: str) -> None:
    server.pages["/sitemap.xml"] = sitemap(*(f"{server.url}/g/{name}.html" for name in names))


def stored_pages(fetch: Fetches) -> str:
    return "".join(name.removeprefix("g/").removesuffix(".md") for name in fetch.files())


@pytest.mark.parametrize("status", [404, 410])
def test_missing_page_is_removed(fetch: Fetches, server: WebServer, status: int) -> None:
    server.pages["/g/b.html"] = Served(status=status, etag=None)
    assert again(fetch, server) == FileChanges(unchanged=3, removed=1)
    assert stored_pages(fetch) == "acd"
    server.pages["/g/b.html"] = page("b")
    assert again(fetch, server) == FileChanges(new=1, unchanged=3)


def test_file_of_the_user_in_place_of_a_page_is_kept(fetch: Fetches, server: WebServer) -> None:
    (path,) = (fetch.folder / "web").rglob("b.md")
    path.write_text("# Our own\n")
    server.pages["/g/b.html"] = GONE
    assert again(fetch, server) == FileChanges(unchanged=3)
    assert path.read_text() == "# Our own\n"


def test_folder_is_removed_with_its_last_page(fetch: Fetches, server: WebServer) -> None:
    for name in "abcd":
        server.pages[f"/g/{name}.html"] = GONE
    server.pages["/h.html"] = page("h")
    server.sitemap()
    again(fetch, server)
    assert list(fetch.files()) == ["h.md"]
    assert not list((fetch.folder / "web").rglob("g"))


def test_page_on_another_list_is_kept(fetch: Fetches, server: WebServer) -> None:
    fetch(at(server, "/g/d.html"))
    name_in_sitemap(server, "abc")
    assert again(fetch, server) == FileChanges(unchanged=3)
    assert stored_pages(fetch) == "abcd"


def test_pages_of_lists_not_requested_are_kept(fetch: Fetches, server: WebServer) -> None:
    assert fetch(at(server, "/g/a.html")) == FileChanges(unchanged=1)
    assert stored_pages(fetch) == "abcd"


@pytest.mark.parametrize(
    "served",
    [
        BROKEN,
        Served(status=404),
        Served("<html>Down for a moment</html>"),
        Served(b"<urlset><url><loc>http://h.example/</loc></url>", "text/xml"),
        Served(sitemap().content, "text/xml", conduct="cut"),
    ],
)
def test_unreadable_list_removes_nothing(fetch: Fetches, server: WebServer, served: Served) -> None:
    server.pages["/sitemap.xml"] = served
    with pytest.raises(DatasetError):
        again(fetch, server)
    assert stored_pages(fetch) == "abcd"
    assert "sitemap.xml" in fetch.troubles[0]


def test_partly_unreadable_list_removes_nothing(fetch: Fetches, server: WebServer) -> None:
    index = (
        f"<sitemapindex><sitemap><loc>{server.url}/1.xml</loc></sitemap>"
        f"<sitemap><loc>{server.url}/2.xml</loc></sitemap></sitemapindex>"
    )
    server.pages["/sitemap.xml"] = Served(index, "text/xml")
    server.pages["/1.xml"] = sitemap(*(f"{server.url}/g/{name}.html" for name in "abc"))
    server.pages["/2.xml"] = BROKEN
    assert again(fetch, server) == FileChanges(unchanged=3)
    assert stored_pages(fetch) == "abcd"
    assert fetch.troubles == [
        f"{server.url}/sitemap.xml names {server.url}/2.xml, which answers 500 "
        "Internal Server Error"
    ]


def test_list_that_shrinks_by_most_removes_nothing(fetch: Fetches, server: WebServer) -> None:
    name_in_sitemap(server, "a")
    for _ in range(2):
        assert again(fetch, server) == FileChanges(unchanged=1)
        assert stored_pages(fetch) == "abcd"
        assert "lists 1 pages, down from 4" in fetch.troubles[0]
        assert "--allow-removals" in fetch.troubles[0]
    assert again(fetch, server, allow_removals=True) == FileChanges(unchanged=1, removed=3)
    assert stored_pages(fetch) == "a"


def test_pages_dropped_from_their_list_are_removed(fetch: Fetches, server: WebServer) -> None:
    name_in_sitemap(server, "ab")
    assert again(fetch, server) == FileChanges(unchanged=2, removed=2)
    assert stored_pages(fetch) == "ab"


@pytest.mark.parametrize("status", [500, 503, 403, 401, 418, 204, 206, 301])
def test_failing_page_is_kept(fetch: Fetches, server: WebServer, status: int) -> None:
    server.pages["/g/b.html"] = Served(status=status, etag=None)
    assert again(fetch, server) == FileChanges(unchanged=3)
    assert stored_pages(fetch) == "abcd"
    assert f"{server.url}/g/b.html" in fetch.troubles[0]
    assert len(fetch.troubles) == 1


def test_page_that_became_empty_is_kept(fetch: Fetches, server: WebServer) -> None:
    server.pages["/g/b.html"] = Served("")
    assert again(fetch, server) == FileChanges(unchanged=3)
    assert fetch.troubles == [f"{server.url}/g/b.html contains no text"]
    assert "title: b" in fetch.files()["g/b.md"]


def test_host_that_lost_all_pages_removes_nothing(tmp_path: Path, server: WebServer) -> None:
    fetch = Fetches(tmp_path)
    server.pages = {f"/{number}": page(f"Page {number}") for number in range(12)}
    server.sitemap()
    fetch(at(server, "/sitemap.xml", "sitemap"))
    server.pages = {"/sitemap.xml": server.pages["/sitemap.xml"]}

    with pytest.raises(DatasetError):
        again(fetch, server)
    assert "reports 12 of its 12 pages as gone: they are kept" in fetch.troubles[0]
    assert len(fetch.files()) == 12
    assert again(fetch, server, allow_removals=True) == FileChanges(removed=12)


def test_pages_of_a_failing_host_are_kept(fetch: Fetches, server: WebServer) -> None:
    with web_server({"/sitemap.xml": server.pages["/sitemap.xml"]}) as mirror:
        lists = at(mirror, "/sitemap.xml", "sitemap"), at(server, "/g/a.html")
        fetch(*lists, other_hosts=True)
        for name in "abcd":
            server.pages[f"/g/{name}.html"] = BROKEN
        with pytest.raises(DatasetError):
            fetch(*lists, other_hosts=True)
        assert stored_pages(fetch) == "abcd"
        host = server.url.removeprefix("http://")
        assert fetch.troubles[-1] == f"{host}: failed 3 times in a row; 1 pages not requested"


def test_interrupted_run_removes_nothing(fetch: Fetches, server: WebServer) -> None:
    name_in_sitemap(server, "abc")
    server.pages["/g/a.html"] = GONE

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(at(server, "/sitemap.xml", "sitemap"), progress=interrupt)
    assert stored_pages(fetch) == "abcd"
    assert fetch(at(server, "/g/c.html")) == FileChanges(unchanged=1)
    assert stored_pages(fetch) == "abcd"
    again(fetch, server)
    assert stored_pages(fetch) == "bc"
