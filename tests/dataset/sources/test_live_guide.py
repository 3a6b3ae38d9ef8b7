"""The live guide: pages fetched as `.md`, recorded as `.html`, from any of its lists."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset.frontmatter import split_frontmatter
from dataset.page_files import FileChanges
from dataset.sources.developer_guide import guide_names
from dataset.sources.provenance import duplicates_line, folder_of
from dataset.web.request import live_guide
from tests.servers.web import (
    Fetches,
    Served,
    WebServer,
    html,
    markdown,
    page,
    redirect,
    sitemap,
    web_server,
)
from utils.errors import DatasetError

ROOT = "/sagemaker/latest/dg/"


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A guide of three pages, of which one has no markdown form."""
    pages = {
        f"{ROOT}kilns.html": page("Kilns of HTML"),
        f"{ROOT}kilns.md": markdown("# Kilns\n\nSee [ash](ash.md#a), [map](img/map.png).\n"),
        f"{ROOT}ash.html": page("Ash of HTML"),
        f"{ROOT}old.html": page("Old of HTML"),
    }
    with web_server(pages) as serving:
        root = serving.url + ROOT
        serving.pages[f"{ROOT}ash.md"] = markdown(f"# Ash\n\nWords\\. [k]({root}kilns.md)\n")
        serving.pages[f"{ROOT}sitemap.xml"] = sitemap(
            f"{root}kilns.html", f"{root}ash.html", f"{root}old.html", f"{serving.url}/s3/a.html"
        )
        yield serving


def run(fetch: Fetches, server: WebServer) -> FileChanges:
    guide = live_guide(server.url + ROOT.rstrip("/"))
    return fetch(*guide.lists, guide=guide)


def test_markdown_is_recorded_under_the_html_address(fetch: Fetches, server: WebServer) -> None:
    assert run(fetch, server) == FileChanges(new=3)
    files = {name.removeprefix(ROOT[1:]): text for name, text in fetch.files().items()}
    assert set(files) == {"kilns.md", "ash.md", "old.md"}
    root = server.url + ROOT
    head, text = split_frontmatter(files["kilns.md"])
    assert (head.title, head.url) == ("Kilns", f"{root}kilns.html")
    assert text.strip() == f"# Kilns\n\nSee [ash]({root}ash.html#a), [map]({root}img/map.png)."
    assert f"Words\\. [k]({root}kilns.html)" in files["ash.md"]
    assert split_frontmatter(files["old.md"])[0].title == "Old of HTML"
    assert f"{ROOT}kilns.html" not in server.paths
    assert "/s3/a.html" not in server.paths
    assert not fetch.troubles


def test_second_run_requests_the_form_found_before(fetch: Fetches, server: WebServer) -> None:
    run(fetch, server)
    server.asked.clear()
    assert run(fetch, server) == FileChanges(unchanged=3)
    pages = [one for one in server.asked if one.path.endswith((".md", ".html"))]
    names = sorted(one.path.removeprefix(ROOT) for one in pages)
    assert names == ["ash.md", "kilns.md", "old.html"]
    assert all("If-None-Match" in one.headers for one in pages)


@pytest.mark.parametrize(
    "missing",
    [
        Served(status=404),
        Served(status=403),
        Served(html("Sorry, no such page")),
        Served(html("Sorry"), "text/markdown"),
        redirect(f"{ROOT}ash.md"),
        redirect(f"{ROOT}kilns.html"),
        redirect("/errors/404.html"),
        Served("x", "application/pdf"),
        Served(b"x" * (6 << 20), "text/markdown"),
    ],
)
def test_missing_markdown_is_replaced_by_html(
    fetch: Fetches, server: WebServer, missing: Served
) -> None:
    server.pages[f"{ROOT}kilns.md"] = missing
    server.pages["/errors/404.html"] = page("Not found")
    assert run(fetch, server) == FileChanges(new=3)
    assert "title: Kilns of HTML" in fetch.files()[f"{ROOT[1:]}kilns.md"]
    assert not fetch.troubles


def test_page_is_removed_when_all_its_forms_are_gone(fetch: Fetches, server: WebServer) -> None:
    run(fetch, server)
    del server.pages[f"{ROOT}kilns.md"]
    assert run(fetch, server) == FileChanges(changed=1, unchanged=2)
    del server.pages[f"{ROOT}kilns.html"]
    server.pages[f"{ROOT}kilns.md"] = Served(status=500)
    assert run(fetch, server) == FileChanges(unchanged=2)
    assert len(fetch.files()) == 3
    del server.pages[f"{ROOT}kilns.md"]
    assert run(fetch, server) == FileChanges(unchanged=2, removed=1)


def test_pages_of_all_available_lists_are_fetched(fetch: Fetches, server: WebServer) -> None:
    contents = {"contents": [{"title": "Old", "href": "old.html"}, {"href": "../other/a.html"}]}
    del server.pages[f"{ROOT}sitemap.xml"]
    server.pages[f"{ROOT}toc-contents.json"] = Served(json.dumps(contents), "application/json")
    server.pages[f"{ROOT}llms.txt"] = Served(
        f"# Guide\n\n- [Kilns]({server.url}{ROOT}kilns.md)\n- [Else](https://h.example/a)\n",
        "text/plain",
    )
    assert run(fetch, server) == FileChanges(new=2)
    assert not fetch.troubles

    # A list that existed before and is missing now is an error, and its pages are kept.
    del server.pages[f"{ROOT}llms.txt"]
    assert run(fetch, server) == FileChanges(unchanged=1)
    assert len(fetch.files()) == 2
    assert "llms.txt answers 404 Not Found" in fetch.troubles[0]


def test_guide_without_lists_is_reported(fetch: Fetches, server: WebServer) -> None:
    del server.pages[f"{ROOT}sitemap.xml"]
    with pytest.raises(DatasetError):
        run(fetch, server)
    assert [line.rpartition("/")[2] for line in fetch.troubles] == [
        "sitemap.xml answers 404 Not Found",
        "llms.txt answers 404 Not Found",
        "toc-contents.json answers 404 Not Found",
    ]


def test_preset_is_the_aws_guide() -> None:
    guide = live_guide()
    assert guide.root == "https://docs.aws.amazon.com/sagemaker/latest/dg/"
    assert guide.forms(f"{guide.root}a.html") == (f"{guide.root}a.md", f"{guide.root}a.html")
    assert guide.spelled(f"{guide.root}a.md#b") == f"{guide.root}a.html#b"
    assert guide.spelled("https://h.example/a.md") == "https://h.example/a.md"
    assert folder_of(guide) == "web/docs.aws.amazon.com/sagemaker/latest/dg/"


def test_pages_also_in_the_archive_are_reported(tmp_path: Path) -> None:
    guide = live_guide()
    live = tmp_path / folder_of(guide)
    live.mkdir(parents=True)
    names = sorted(guide_names())[:5]
    for name in names[:4]:
        (tmp_path / name).write_text("# Old\n")
    assert duplicates_line(tmp_path, guide) == ""
    for name in names[1:]:
        (live / name).write_text("# New\n")
    line = duplicates_line(tmp_path, guide)
    assert line.startswith("3 pages of the guide are there twice")
    assert ", ".join(names[1:4]) in line
    assert "--include" in line
