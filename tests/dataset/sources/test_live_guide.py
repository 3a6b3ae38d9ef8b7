"""The live guide: pages fetched as `.md`, recorded as `.html`, in place of archived ones."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dataset.frontmatter import split_frontmatter
from dataset.page_files import FileChanges
from dataset.sources.live_guide import fetch_live_guide, is_checked_lately, is_complete
from dataset.web.problems import Problems
from dataset.web.request import Guide, live_request
from dataset.web.state import NAME
from tests.servers.archive import manifest_of
from tests.servers.web import (
    Fetches,
    Served,
    WebServer,
    html,
    markdown,
    page,
    redirect,
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
        name_pages(serving, f"{root}kilns.html", f"{root}ash.md", "old.html", "../../../s3/a.html")
        yield serving


def name_pages(server: WebServer, *addresses: str) -> None:
    """List pages in the guide's llms.txt."""
    lines = "".join(f"- [Page](<{address}>): What it is about.\n" for address in addresses)
    server.pages[f"{ROOT}llms.txt"] = Served(f"# Guide\n\n> About it.\n\n{lines}", "text/plain")


def run(fetch: Fetches, server: WebServer) -> FileChanges:
    request = live_request(server.url + ROOT.rstrip("/"))
    return fetch(*request.lists, guide=request.guide)


def stored(fetch: Fetches) -> dict[str, str]:
    """The documents by name."""
    return {path.name: path.read_text() for path in sorted(fetch.folder.glob("*.md"))}


def test_markdown_is_recorded_under_the_html_address(fetch: Fetches, server: WebServer) -> None:
    assert run(fetch, server) == FileChanges(new=3)
    files = stored(fetch)
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
        Served("<!-- s -->\n<?x?><head><title>Sorry</title></head># Sorry", "text/markdown"),
        Served("Sorry, there is no such page.", "text/markdown"),
        Served("---\nstatus: 404\n---\n\nNot found.", "text/markdown"),
        redirect(f"{ROOT}ash.md"),
        redirect(f"{ROOT}kilns.html"),
        redirect("/errors/404.html"),
        redirect("http://169.254.169.254/latest/meta-data.md"),
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
    assert "title: Kilns of HTML" in stored(fetch)["kilns.md"]
    assert not fetch.troubles


def test_page_is_removed_when_all_its_forms_are_gone(fetch: Fetches, server: WebServer) -> None:
    run(fetch, server)
    del server.pages[f"{ROOT}kilns.md"]
    assert run(fetch, server) == FileChanges(changed=1, unchanged=2)
    del server.pages[f"{ROOT}kilns.html"]
    server.pages[f"{ROOT}kilns.md"] = Served(status=500)
    assert run(fetch, server) == FileChanges(unchanged=2)
    assert len(stored(fetch)) == 3
    del server.pages[f"{ROOT}kilns.md"]
    assert run(fetch, server) == FileChanges(unchanged=2, removed=1)


def test_links_to_other_guides_lead_to_pages_for_readers(fetch: Fetches, server: WebServer) -> None:
    server.pages[f"{ROOT}ash.md"] = markdown(
        "# Ash\n\n[s3](../../../AmazonS3/latest/ug/keys.md#two) "
        "[far](https://h.example/a.md) [x](#y)\n"
    )
    run(fetch, server)
    text = stored(fetch)["ash.md"]
    assert f"[s3]({server.url}/AmazonS3/latest/ug/keys.html#two)" in text
    assert "[far](https://h.example/a.md)" in text
    assert f"[x]({server.url}{ROOT}ash.html#y)" in text


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (Served(status=404), "answers 404 Not Found"),
        (Served(status=500), "answers 500 Internal Server Error"),
        (Served(html("Guide")), "is HTML, not markdown"),
        (Served("# Guide\n\nNo links.\n", "text/plain"), "names no page that is requested"),
    ],
)
def test_guide_without_its_list_is_one_error_and_removes_nothing(
    fetch: Fetches, server: WebServer, listed: Served, reason: str
) -> None:
    run(fetch, server)
    server.pages[f"{ROOT}llms.txt"] = listed
    with pytest.raises(DatasetError) as failure:
        run(fetch, server)
    assert str(failure.value) == f"{server.url}{ROOT}llms.txt {reason}."
    assert not fetch.troubles
    assert len(stored(fetch)) == 3


def test_page_that_moved_out_of_the_guide_is_reported(fetch: Fetches, server: WebServer) -> None:
    server.pages[f"{ROOT}old.html"] = redirect("/unified/new.html")
    server.pages["/unified/new.html"] = page("New")
    assert run(fetch, server) == FileChanges(new=2)
    assert "is redirected to" in fetch.troubles[0]
    assert "outside the guide" in fetch.troubles[0]
    assert [path.name for path in fetch.folder.rglob("*.md")] == ["kilns.md", "ash.md"]


def test_renamed_page_is_one_document(fetch: Fetches, server: WebServer) -> None:
    server.pages[f"{ROOT}old.html"] = redirect("ash.html")
    assert run(fetch, server) == FileChanges(new=2)
    assert set(stored(fetch)) == {"kilns.md", "ash.md"}


def test_guide_of_aws_is_the_default() -> None:
    guide = live_request().guide
    assert guide.root == "https://docs.aws.amazon.com/sagemaker/latest/dg/"
    assert guide.forms(f"{guide.root}a.html") == (f"{guide.root}a.md", f"{guide.root}a.html")
    assert guide.spelled(f"{guide.root}a.md#b") == f"{guide.root}a.html#b"
    assert guide.spelled("https://h.example/a.md") == "https://h.example/a.md"
    assert Guide("").spelled(f"{guide.root}a.md") == f"{guide.root}a.md"


@pytest.mark.parametrize("silent", ["/robots.txt", f"{ROOT}llms.txt"])
def test_site_that_does_not_answer_in_time_is_given_up(
    fetch: Fetches, server: WebServer, silent: str
) -> None:
    def stall(path: str) -> None:
        if path == silent:
            server.closing.wait(20)

    server.refuse = stall
    request = live_request(server.url + ROOT)
    started = time.monotonic()
    with pytest.raises(DatasetError, match=r"llms\.txt is not answered within 0\.3 s"):
        fetch(*request.lists, guide=request.guide, answer_seconds=0.3)
    assert time.monotonic() - started < 3


def test_own_pauses_are_no_silence_of_the_site(fetch: Fetches, server: WebServer) -> None:
    server.pages["/robots.txt"] = Served("User-agent: *\nCrawl-delay: 0.6\n", "text/plain")
    busy = [Served(status=429, headers={"Retry-After": "1"}, etag=None)]
    server.refuse = lambda path: busy.pop() if busy and path.endswith("llms.txt") else None
    fetch.wait = True
    request = live_request(server.url + ROOT)
    assert fetch(*request.lists, guide=request.guide, answer_seconds=0.3, limit=1).new == 1


def test_list_that_arrives_slowly_is_read(fetch: Fetches, server: WebServer) -> None:
    server.pages[f"{ROOT}llms.txt"].conduct = "trickling"
    server.pages[f"{ROOT}llms.txt"].content = "- [Page](ash.md)\n"
    request = live_request(server.url + ROOT)
    changes = fetch(*request.lists, guide=request.guide, answer_seconds=0.3)
    assert changes == FileChanges(new=1)


ARCHIVED = {f"{name}.md": f"# {name} of 2023\n".encode() for name in ("ash", "gone", "kilns")}


@pytest.fixture
def manifest(fetch: Fetches) -> Path:
    """Writes archived pages to the folder; returns their manifest."""
    for name, content in ARCHIVED.items():
        (fetch.folder / name).write_bytes(content)
    return manifest_of(ARCHIVED, fetch.folder / ".manifest")


def bring_up_to_date(
    fetch: Fetches, server: WebServer, manifest: Path
) -> tuple[FileChanges, list[str]]:
    """Fetch the live guide over the archive; returns the changes and the problems."""
    problems = Problems()
    request = live_request(server.url + ROOT)
    changes = fetch_live_guide(fetch.folder, request, problems, manifest=manifest)
    return changes, problems.summary()


def test_live_pages_replace_the_archived_ones(
    fetch: Fetches, server: WebServer, manifest: Path
) -> None:
    name_pages(server, "ash.html", "kilns.html")
    (fetch.folder / "own.md").write_text("# Ours\n")
    (fetch.folder / "LICENSE-developer-guide.txt").write_text("Of the archive.")
    copies = fetch.folder / "web" / server.url.removeprefix("http://").replace(":", "~") / ROOT[1:]
    copies.mkdir(parents=True)
    head = f"---\ntitle: Ash\nurl: {server.url}{ROOT}ash.html\n---\n\n"
    (copies / "ash.md").write_text(f"{head}# Ash of a website\n")

    assert bring_up_to_date(fetch, server, manifest) == (FileChanges(changed=2, removed=1), [])

    assert sorted(path.name for path in fetch.folder.rglob("[!.]*")) == [
        "ash.md",
        "kilns.md",
        "own.md",
    ]
    assert "2023" not in stored(fetch)["ash.md"]
    assert is_complete(fetch.folder)


def test_archived_pages_stay_until_their_live_ones_are_fetched(
    fetch: Fetches, server: WebServer, manifest: Path
) -> None:
    name_pages(server, "ash.html", "kilns.html")
    failing = {f"{ROOT}kilns.md", f"{ROOT}kilns.html"}
    server.refuse = lambda path: Served(status=403) if path in failing else None

    changes, problems = bring_up_to_date(fetch, server, manifest)

    assert changes == FileChanges(changed=1)
    assert problems == [f"{server.url}{ROOT}kilns.html answers 403 Forbidden"]
    assert not is_complete(fetch.folder)
    found = stored(fetch)
    assert {name for name in found if "2023" in found[name]} == {"gone.md", "kilns.md"}
    server.refuse = lambda _: None
    assert bring_up_to_date(fetch, server, manifest)[0] == FileChanges(
        changed=1, unchanged=1, removed=1
    )


def test_archive_is_not_removed_for_a_few_live_pages(
    fetch: Fetches, server: WebServer, manifest: Path
) -> None:
    name_pages(server, "old.md")
    server.pages[f"{ROOT}old.md"] = markdown("# Old\n\nWords.\n")
    changes, problems = bring_up_to_date(fetch, server, manifest)
    assert changes == FileChanges(new=1)
    assert "has only 1 pages: 3 pages of its archive that it lacks are kept" in problems[0]
    assert len(stored(fetch)) == 4


def test_file_changed_by_hand_is_no_archived_page(
    fetch: Fetches, server: WebServer, manifest: Path
) -> None:
    (fetch.folder / "gone.md").write_text("# Ours now\n")
    name_pages(server, "ash.html", "kilns.html")
    assert bring_up_to_date(fetch, server, manifest)[0].removed == 0
    assert "gone.md" in stored(fetch)


def test_address_of_a_mirror_may_contain_any_characters(
    fetch: Fetches, server: WebServer, manifest: Path
) -> None:
    root = "/guide f%C3%BCr alle/(1)/".replace(" ", "%20")
    server.pages = {
        f"{root}llms.txt": Served("- [K](kilns.html)\n- [A](ash.html)\n- [W](web/a.md)\n"),
        f"{root}kilns.md": markdown("# Kilns\n\nWords.\n"),
        f"{root}web/a.md": markdown("# A\n\nWords.\n"),
    }
    server.pages[f"{root}llms.txt"].media = "text/plain"
    request = live_request(f"{server.url}/guide für alle/(1)#top")

    changes = fetch_live_guide(fetch.folder, request, Problems(), manifest=manifest)

    assert changes == FileChanges(new=1, changed=1)
    assert set(stored(fetch)) == {"ash.md", "gone.md", "kilns.md"}
    assert len(list(fetch.folder.glob("web_/a-*.md"))) == 1, "among the pages of websites"


def test_address_with_a_query_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"has a query\. Give --live-url a folder"):
        live_request("https://h.example/dg?x=1")


def test_files_of_the_user_are_kept(fetch: Fetches, server: WebServer, manifest: Path) -> None:
    own = {"kilns.md": "# Our kilns\n", "old.md": "---\ntitle: Old\n---\n\n# Our old ones\n"}
    place = server.url.removeprefix("http://").replace(":", "~") + ROOT
    own[f"web/{place}ash.md"] = "# Our ash\n"
    (fetch.folder / "web" / place).mkdir(parents=True)
    for name, text in own.items():
        (fetch.folder / name).write_text(text)
    (fetch.folder / "far.md").symlink_to("/mnt/nowhere")
    os.mkfifo(fetch.folder / "pipe.md")
    server.pages |= {f"{ROOT}{n}.md": markdown(f"# {n}\n\nWords.\n") for n in ("far", "pipe")}
    server.pages[f"{ROOT}former.html"] = redirect("kilns.html")
    names = ("ash", "former", "kilns", "old", "far", "pipe")
    name_pages(server, *(f"{name}.html" for name in names))

    for expected in (FileChanges(changed=1), FileChanges(unchanged=1)):
        changes, problems = bring_up_to_date(fetch, server, manifest)
        assert replace(changes, removed=0, kept=()) == expected
        assert changes.kept == ("far.md", "kilns.md", "old.md", "pipe.md")
        assert changes.kept_line == (
            "kept, because this source did not write them: far.md, kilns.md, old.md, pipe.md. "
            "Move them away to fetch the pages"
        )
        assert not problems

    # Nor are they deleted with the pages, and once they are moved the pages are fetched.
    name_pages(server, "ash.html", "far.html")
    (fetch.folder / "far.md").unlink()
    assert bring_up_to_date(fetch, server, manifest)[0].new == 1
    assert {name: (fetch.folder / name).read_text() for name in own} == own


def test_pages_of_a_lost_state_are_no_files_of_the_user(fetch: Fetches, server: WebServer) -> None:
    run(fetch, server)
    (fetch.folder / NAME).unlink()
    server.pages[f"{ROOT}ash.md"] = markdown("# Ash\n\nOther words.\n")
    assert run(fetch, server) == FileChanges(changed=1, unchanged=2)

    # Nor are those of another mirror, under whatever name a page states.
    link = f'<link rel="canonical" href="{server.url}{ROOT}older.html">Words'
    server.pages[f"{ROOT}old.html"] = page("Old", link)
    run(fetch, server)
    (fetch.folder / NAME).unlink()
    (fetch.folder / "ash.md").write_text("---\nurl: https://h.example/ashes.html\n---\n\nOurs.\n")
    with web_server(server.pages) as mirror:
        name_pages(mirror, "ash.html", "kilns.html", "old.html")
        mirror.pages[f"{ROOT}old.html"] = page("Old", link.replace(server.url, mirror.url))
        assert run(fetch, mirror) == FileChanges(changed=2, kept=("ash.md",))


def test_other_mirror_of_the_guide_does_not_duplicate_it(fetch: Fetches, server: WebServer) -> None:
    run(fetch, server)
    with web_server(server.pages) as mirror:
        name_pages(mirror, "ash.html", "kilns.html", "old.html")
        assert run(fetch, mirror).present == 3
    assert set(stored(fetch)) == {"kilns.md", "ash.md", "old.md"}
    assert mirror.url in stored(fetch)["kilns.md"]
    assert run(fetch, server).present == 3
    assert set(stored(fetch)) == {"kilns.md", "ash.md", "old.md"}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(milliseconds=1), True),
        (timedelta(hours=23), True),
        (timedelta(hours=25), False),
        (timedelta(hours=-1), False),  # the clock was wrong once
    ],
)
def test_pages_count_as_checked_for_a_day(
    fetch: Fetches, server: WebServer, after: timedelta, expected: bool
) -> None:
    run(fetch, server)
    assert is_checked_lately(fetch.folder, fetch.now + after) is expected
