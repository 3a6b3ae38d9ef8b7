"""Page lists: sitemaps, llms.txt and URL files, and their limits."""

import gzip
from pathlib import Path

import pytest

from dataset.web import lists
from dataset.web.links import absolute_links, link_targets
from dataset.web.request import PageList
from dataset.web.sitemap import sitemap_entries
from tests.servers.web import Fetches, Served, WebServer, at, page, redirect, sitemap, web_server
from utils.errors import DatasetError, DocumentError

SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def index(*addresses: str) -> Served:
    inner = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in addresses)
    return Served(f'<sitemapindex xmlns="{SPACE}">{inner}</sitemapindex>', "application/xml")


def test_only_pages_are_read_from_a_sitemap() -> None:
    image = "<image:image xmlns:image='i'><image:loc>https://h/i.png</image:loc></image:image>"
    text = (
        f"<urlset xmlns='{SPACE}'><url><loc> https://h/a?b=1&amp;c=2\n</loc>{image}"
        "<lastmod>2021-05-06T09:00:00+02:00</lastmod></url><url><loc>https://h/b</loc>"
        "<lastmod>some day</lastmod></url><other><loc>https://h/c</loc></other></urlset>"
    )
    found = [(one.address, one.changed) for one in sitemap_entries(text.encode())]
    assert found == [("https://h/a?b=1&c=2", "2021-05-06T07:00:00Z"), ("https://h/b", "")]


def test_sitemap_index_is_followed_also_gzipped(server: WebServer, fetch: Fetches) -> None:
    zipped = gzip.compress(sitemap(f"{server.url}/b", f"{server.url}/c").body, mtime=0)
    server.pages["/1.xml"] = sitemap(f"{server.url}/a")
    server.pages["/2.xml.gz"] = Served(zipped, "application/gzip")
    server.pages["/index.xml"] = index(
        f"{server.url}/1.xml", f"{server.url}/2.xml.gz", f"{server.url}/index.xml"
    )
    assert fetch(at(server, "/index.xml", "sitemap")).new == 3
    assert not fetch.troubles


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<!DOCTYPE u [<!ENTITY e "x">]><urlset><url><loc>&e;</loc></url></urlset>', "DTD"),
        (b'<!DOCTYPE u SYSTEM "file:///etc/passwd"><urlset/>', "DTD"),
        (b"<html><body>Not found</body></html>", "is not a sitemap"),
        (b"<urlset><url><loc>https://h/a</loc></url>", "is incomplete"),
        (b"", "is incomplete"),
        (b"\x1f\x8bnot gzip at all", "gzip"),
        (gzip.compress(b"<urlset></urlset>", mtime=0)[:-9], "ended before"),
        (b"<urlset>" + b"<a>" * 200, "nested"),
        (b"<?xml version='1.0' encoding='no-such'?><urlset/>", "not XML"),
    ],
)
def test_invalid_sitemap_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        list(sitemap_entries(content))


def test_sitemap_that_decompresses_to_too_much_is_refused() -> None:
    bomb = gzip.compress(b" " * (60 * 1024 * 1024), compresslevel=1, mtime=0)
    with pytest.raises(DocumentError, match="larger than 50 MiB"):
        list(sitemap_entries(bomb))


def test_pages_of_other_hosts_are_skipped_unless_allowed(server: WebServer, fetch: Fetches) -> None:
    with web_server({"/x": page("X")}) as other:
        server.pages["/sitemap.xml"] = sitemap(f"{server.url}/a", f"{other.url}/x")
        server.pages["/index.xml"] = index(f"{other.url}/sitemap.xml")
        fetch(at(server, "/sitemap.xml", "sitemap"))
        assert list(fetch.files()) == ["a.md"]
        assert "1 pages of other hosts, which are left out; --other-hosts" in fetch.troubles[0]
        with pytest.raises(DatasetError):
            fetch(at(server, "/index.xml", "sitemap"))
        assert "names a sitemap of another host" in fetch.troubles[0]
        assert not other.asked

        # Both ports are on this machine; the user did not give the second, so the guard refuses it.
        fetch(at(server, "/sitemap.xml", "sitemap"), other_hosts=True)
        assert not other.asked
        fetch(at(server, "/sitemap.xml", "sitemap"), at(other, "/x"), other_hosts=True)
        assert other.paths == ["/x"]


def test_host_a_list_redirects_to_counts_as_its_own(server: WebServer, fetch: Fetches) -> None:
    with web_server({"/x": page("X")}) as other:
        other.pages["/sitemap.xml"] = sitemap(f"{other.url}/x")
        server.pages["/sitemap.xml"] = redirect(f"{other.url}/sitemap.xml")
        assert fetch(at(server, "/sitemap.xml", "sitemap"), at(other, "/x")).new == 1
        assert not fetch.troubles


def test_links_of_llms_txt_are_pages(server: WebServer, fetch: Fetches) -> None:
    server.pages["/docs/llms.txt"] = Served(
        f"# Guide\n\n- [A](../a): words\n- [B]({server.url}/b#part \"title\")\n"
        f"- [again](/a)\n- [mail](mailto:a@example.com)\n- <{server.url}/c>\n"
        "`[no](/d)`\n\n```\n[no](/e)\n```\n",
        "text/plain",
    )  # fmt: skip
    assert fetch(at(server, "/docs/llms.txt", "llms.txt")).new == 3
    assert not fetch.troubles


def test_url_file_lists_one_page_per_line(
    server: WebServer, fetch: Fetches, tmp_path: Path
) -> None:
    file = tmp_path / "pages.txt"
    file.write_text(f"\ufeff# ours\n{server.url}/a\n\n  {server.url}/b # the second\nnot one\n")
    assert fetch(PageList("urls", str(file))).new == 2
    assert fetch.troubles == [f"{file} names 'not one', which is not the address of a page"]

    file.unlink()
    with pytest.raises(DatasetError):
        fetch(PageList("urls", str(file)))
    assert "cannot be read (No such file" in fetch.troubles[0]
    assert len(fetch.files()) == 2


@pytest.mark.parametrize(
    ("kind", "served", "reason"),
    [
        ("llms.txt", Served("<!doctype html><html></html>"), "is HTML, not markdown"),
        ("llms.txt", Served("No links here.", "text/plain"), "names no page"),
        ("sitemap", sitemap(), "names no page"),
        ("sitemap", Served(status=500), "answers 500"),
        ("sitemap", Served(status=404), "answers 404"),
    ],
)
def test_list_without_pages_is_reported(
    server: WebServer, fetch: Fetches, kind: str, served: Served, reason: str
) -> None:
    server.pages["/list"] = served
    with pytest.raises(DatasetError, match="No page could be fetched"):
        fetch(at(server, "/list", kind))
    assert reason in fetch.troubles[0]


def test_list_of_too_many_pages_is_truncated_and_reported(
    server: WebServer, fetch: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_PAGES", 2)
    monkeypatch.setattr(lists, "MAX_SITEMAPS", 2)
    server.sitemap()
    assert fetch(at(server, "/sitemap.xml", "sitemap")).new == 2
    assert "names more than 2 pages" in fetch.troubles[0]

    server.pages["/index.xml"] = index(*(f"{server.url}/{number}.xml" for number in range(9)))
    with pytest.raises(DatasetError):
        fetch(at(server, "/index.xml", "sitemap"))
    assert "names more than 2 sitemaps" in fetch.troubles[0]


def test_links_become_absolute_and_other_text_is_unchanged() -> None:
    base = "https://h.example/g/a.md"
    text = "![i](i.png) [t](<a b.md> 'x') [e\\](f.md) [q](q(1).md) [s](#here) ~~~\n[k](k.md)\n"
    assert absolute_links(text, base) == (
        "![i](https://h.example/g/i.png) [t](<https://h.example/g/a b.md> 'x') [e\\](f.md) "
        "[q](https://h.example/g/q(1).md) [s](https://h.example/g/a.md#here) ~~~\n"
        "[k](https://h.example/g/k.md)\n"
    )
    code = "````\n[a](b.md)\n```\n[a](b.md)\n````\n[a](https://h.example/g/b.md)\n"
    assert absolute_links(code.replace("https://h.example/g/b.md", "b.md"), base).endswith(
        code.partition("````\n")[2]
    )


def test_hostile_markdown_does_not_hang() -> None:
    for piece in ("](", "[a](", "`", "<http://", "](a(", "[a]: ", "\\", "](<"):
        text = piece * 20_000
        assert list(link_targets(text)) is not None
        assert len(absolute_links(text, "https://h.example/")) >= len(text)
