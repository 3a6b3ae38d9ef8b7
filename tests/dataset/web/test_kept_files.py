"""What the user puts in the places of pages is kept and named, and the other pages are fetched."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dataset.page_files import FileChanges
from dataset.web.fetched_pages import fetched_files
from tests.servers.web import Fetches, Served, WebServer, at, page, web_server


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as serving:
        yield serving


def test_what_the_user_puts_in_place_of_a_fetched_page_is_kept(
    server: WebServer, fetch: Fetches
) -> None:
    server.pages |= {f"/{name}": page(name) for name in "abcdefg"}
    server.sitemap()
    named = at(server, "/sitemap.xml", "sitemap")
    fetch(named)
    a, b, c, d, e, *_ = paths = sorted((fetch.folder / "web").rglob("*.md"))
    for path in paths[:5]:
        path.unlink()
    a.write_text("# My notes\n\nPrecious.\n")
    b.write_text("---\ntitle: b\nurl: https://other.example/b\n---\n\nMine.\n")
    os.mkfifo(c)
    d.mkdir()
    e.symlink_to(e.name)
    server.pages["/f"] = page("f", "Other words.")

    for expected in (FileChanges(changed=1, unchanged=1), FileChanges(unchanged=2)):
        changes = fetch(named)
        assert replace(changes, kept=()) == expected
        assert changes.kept == tuple(f"{a.parent.name}/{name}.md" for name in "abcde")
        assert not fetch.troubles
    assert "Precious." in a.read_text()
    assert "Mine." in b.read_text()

    # Once it is moved away the page is fetched, and it is not listed as a page until then.
    place = fetch.folder / "web"
    assert fetched_files(place).keys() == {f"{a.parent.name}/{name}.md" for name in "fg"}
    a.rename(a.with_suffix(".bak"))
    assert fetch(named).new == 1


def test_file_of_the_user_in_place_of_a_folder_is_kept(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {"/a/x": page("X"), "/b/c/y": page("Y"), "/d/z": page("Z"), "/e": page("E")}
    server.sitemap()
    named = at(server, "/sitemap.xml", "sitemap")
    host = fetch.folder / "web" / server.url.removeprefix("http://").replace(":", "~")
    host.mkdir(parents=True)
    (host / "a").write_text("Mine.")
    (host / "b").symlink_to("/mnt/nowhere")
    (host / "d").symlink_to("d")

    changes = fetch(named)
    assert changes == FileChanges(new=1, kept=tuple(f"{host.name}/{name}" for name in "abd"))
    assert (host / "a").read_text() == "Mine."

    (host / "a").unlink()
    assert fetch(named).new == 1
    (host / "a" / "x.md").unlink()
    (host / "a").rmdir()
    (host / "a").write_text("Mine.")
    assert fetch(named).kept == changes.kept
    server.pages["/a/x"] = Served(status=410, etag=None)
    assert fetch(named).removed == 0
    assert (host / "a").read_text() == "Mine."
