"""Politeness towards hosts (robots.txt, rate limit, Retry-After); errors do not end a run."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import inf

import pytest

from dataset.page_files import FileChanges
from dataset.web.http import client
from dataset.web.http.client import Bounds
from dataset.web.http.responses import Unpacking
from dataset.web.request import PageList
from tests.servers.web import Fetches, Served, WebServer, at, page, redirect, web_server
from utils.errors import DatasetError


def all_of(server: WebServer) -> list:  # type: ignore[type-arg]
    return [at(server, path) for path in server.pages if path != "/robots.txt"]


def robots(text: str, **served: object) -> Served:
    return Served(text, "text/plain", **served)  # type: ignore[arg-type]


def test_user_agent_names_the_program_and_the_contact(server: WebServer, fetch: Fetches) -> None:
    fetch(at(server, "/a"))
    assert server.asked[-1].headers["User-Agent"] == "sagemaker-docs-qa/1"
    fetch(at(server, "/a"), contact="mailto:ops@h.example")
    assert server.asked[-1].headers["User-Agent"] == "sagemaker-docs-qa/1 (+mailto:ops@h.example)"


def test_cookies_are_not_sent_back(server: WebServer, fetch: Fetches) -> None:
    for one in server.pages.values():
        one.headers["Set-Cookie"] = "who=you; Path=/"
    fetch(*all_of(server))
    assert not any("Cookie" in one.headers for one in server.asked)


def test_robots_txt_is_read_once_and_obeyed(server: WebServer, fetch: Fetches) -> None:
    server.pages["/robots.txt"] = robots("User-agent: *\nDisallow: /b\n")
    server.pages["/d"] = redirect("/b")
    assert fetch(*all_of(server)).new == 2
    assert sorted(server.paths) == ["/a", "/c", "/d"]
    assert [one.path for one in server.asked].count("/robots.txt") == 1
    assert fetch.troubles == [
        f"{server.url}/b robots.txt does not allow it",
        f"{server.url}/d robots.txt does not allow it",
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_no_robots_txt_allows_everything(server: WebServer, fetch: Fetches, status: int) -> None:
    server.pages["/robots.txt"] = robots("User-agent: *\nDisallow: /\n", status=status)
    assert fetch(*all_of(server)).new == 3


@pytest.mark.parametrize(
    "served",
    [robots("", status=503), robots("", status=500), robots("", status=599),
     robots("Allow: /" * 100, conduct="cut")],
)  # fmt: skip
def test_host_whose_robots_txt_fails_is_not_requested(
    server: WebServer, fetch: Fetches, served: Served
) -> None:
    server.pages["/robots.txt"] = served
    with pytest.raises(DatasetError):
        fetch(*all_of(server))
    assert not server.paths
    assert len(fetch.troubles) == 1
    assert "its robots.txt" in fetch.troubles[0]
    assert "3 pages not requested" in fetch.troubles[0]


def test_redirect_of_robots_txt_is_followed(server: WebServer, fetch: Fetches) -> None:
    server.pages["/robots.txt"] = redirect("/real-robots.txt", 301)
    server.pages["/real-robots.txt"] = robots("User-agent: *\nDisallow: /b\n")
    assert fetch(at(server, "/a"), at(server, "/b")).new == 1


def test_robots_txt_of_a_redirects_target_is_obeyed(server: WebServer, fetch: Fetches) -> None:
    with web_server({"/x": page("X"), "/y": page("Y")}) as other:
        other.pages["/robots.txt"] = robots("User-agent: *\nDisallow: /x\n")
        server.pages["/to-x"] = redirect(f"{other.url}/x")
        assert fetch(at(server, "/to-x"), at(other, "/y")).new == 1
        assert "/x" not in other.paths


def test_requests_are_rate_limited(server: WebServer, fetch: Fetches) -> None:
    fetch(*all_of(server), rate=0.5)
    assert len(fetch.slept) == 3  # robots.txt and three pages
    assert all(1 < pause <= 2 for pause in fetch.slept)


def test_crawl_delay_is_honoured_up_to_a_limit(server: WebServer, fetch: Fetches) -> None:
    server.pages["/robots.txt"] = robots("User-agent: *\nCrawl-delay: 7\n")
    fetch(*all_of(server))
    assert len(fetch.slept) == 3
    assert all(5 < pause <= 7 for pause in fetch.slept)  # minus the time spent otherwise
    fetch.slept.clear()
    server.pages["/robots.txt"] = robots("User-agent: *\nCrawl-delay: 86400\n")
    fetch(*all_of(server))
    assert max(fetch.slept) <= 30


def test_requests_to_a_host_share_one_connection(server: WebServer, fetch: Fetches) -> None:
    server.delay = 0.02
    with web_server({f"/{number}": page(f"P {number}") for number in range(3)}) as other:
        other.delay = 0.02
        assert fetch(*all_of(server), *all_of(other)).new == 6
        assert other.most_at_once == 1
    assert server.most_at_once == 1
    assert len({one.connection for one in server.asked}) == 1


def test_pages_are_requested_several_at_a_time(server: WebServer, fetch: Fetches) -> None:
    server.pages = {f"/{number}": page(f"P {number}") for number in range(130)}
    server.delay = 0.1
    server.sitemap()
    seen: list[tuple[int, int | None]] = []
    listed = at(server, "/sitemap.xml", "sitemap")
    changes = fetch(listed, at_once=8, rate=inf, progress=lambda *done: seen.append(done))
    assert changes == FileChanges(new=130)
    assert server.most_at_once == 8
    assert len(server.paths) == 131, "a page was requested twice"
    assert seen == [(number, 130) for number in range(1, 131)]


def test_crawl_delay_precedes_several_at_a_time(server: WebServer, fetch: Fetches) -> None:
    server.pages["/robots.txt"] = robots("User-agent: *\nCrawl-delay: 7\n")
    server.delay = 0.02
    assert fetch(*all_of(server), at_once=8, rate=inf).new == 3
    assert server.most_at_once == 1
    assert [round(pause) for pause in fetch.slept] == [7, 7, 7]


def test_refused_requests_are_repeated_after_a_pause_and_more_slowly(
    server: WebServer, fetch: Fetches
) -> None:
    server.pages = {f"/{number}": page(f"P {number}") for number in range(60)}
    paths = list(server.pages)
    answered: list[float] = []

    def refuse(path: str) -> Served | None:
        """As a host that answers 15 requests within a second."""
        now = time.monotonic()
        if path not in paths or sum(1 for at in answered if at > now - 1) < 15:
            answered.append(now)
            return None
        return Served(status=429, headers={"Retry-After": "1"}, etag=None)

    server.refuse = refuse
    fetch.wait = True
    assert fetch(*all_of(server), at_once=8, rate=inf) == FileChanges(new=60)
    assert not fetch.troubles
    assert len(server.paths) < 60 + 4 * 8, "the requests did not become fewer"


def test_several_failing_pages_at_a_time_are_not_a_failing_host(
    server: WebServer, fetch: Fetches
) -> None:
    server.pages |= {f"/{number}": Served(status=500, etag=None) for number in range(8)}
    server.pages |= {f"/late-{number}": page("Late") for number in range(20)}
    broken = [at(server, f"/{number}") for number in range(8)]
    assert fetch(*broken, *all_of(server), at_once=8, rate=inf).new == 23
    assert len(fetch.troubles) == 8


def test_closed_port_is_noticed_at_once(fetch: Fetches, nowhere: str) -> None:
    with pytest.raises(DatasetError):
        fetch(PageList("url", nowhere))
    assert fetch.slept == []


def test_retry_after_is_honoured(server: WebServer, fetch: Fetches) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    for wait, low, high in (("17", 13, 17), (until, 30, 50), ("soon", 0.2, 1)):
        fetch.slept.clear()
        server.pages["/a"] = Served(status=429, headers={"Retry-After": wait}, etag=None)
        with pytest.raises(DatasetError):
            fetch(at(server, "/a"))
        assert low <= fetch.slept[-2] <= high, wait
        assert fetch.troubles == [f"{server.url}/a answers 429 Too Many Requests"]


def test_host_with_a_long_retry_after_is_skipped(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = Served(status=503, headers={"Retry-After": "86400"}, etag=None)
    with pytest.raises(DatasetError):
        fetch(*all_of(server))
    assert server.paths == ["/a"]
    assert "requires a pause of 86400 s; 3 pages not requested" in fetch.troubles[0]


def test_failing_host_does_not_block_another(server: WebServer, fetch: Fetches) -> None:
    with web_server({f"/{number}": Served(status=500) for number in range(9)}) as broken:
        assert fetch(*all_of(broken), *all_of(server)).new == 3
        assert len(broken.paths) == 9, "not three pages, three times each"
        assert "failed 3 times in a row; 6 pages not requested" in fetch.troubles[-1]


def test_endless_and_invalid_redirects_are_reported(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {f"/{number}": redirect(f"/{number + 1}") for number in range(10)}
    server.pages |= {"/loop": redirect("/loop"), "/ftp": redirect("ftp://h.example/")}
    server.pages |= {"/nowhere": Served(status=302)}
    fetch(at(server, "/a"), *(at(server, path) for path in ("/0", "/loop", "/ftp", "/nowhere")))
    assert [line.partition(" ")[2] for line in fetch.troubles] == [
        "is redirected more than 5 times",
        "is redirected more than 5 times",
        "is redirected to an address that is not an http or https address without a password",
        "is redirected without a target",
    ]
    assert server.paths.count("/loop") == 6
    assert "/6" not in server.paths


@pytest.mark.parametrize("host", ["xn--a", "xn--ls8h.example"])
def test_invalid_international_host_name_is_reported(
    server: WebServer, fetch: Fetches, host: str
) -> None:
    server.pages["/away"] = redirect(f"http://{host}/")
    named = PageList("url", f"http://{host}/")
    assert fetch(at(server, "/a"), at(server, "/away"), named).new == 1
    assert sorted(fetch.troubles) == [
        f"{server.url}/away is not the address of a page",
        f"{host}: its robots.txt is not the address of a page; 1 pages not requested",
    ]


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        (Served(b"x" * (6 << 20)), "is larger than 5 MiB"),
        (Served(b"", conduct="endless"), "is larger than 5 MiB"),
        (
            Served(gzip.compress(b"0" * (20 << 20)), headers={"Content-Encoding": "gzip"}),
            "is larger than 5 MiB",
        ),
        (Served("words", headers={"Content-Encoding": "br"}), "has a Content-Encoding that"),
        (Served("words", headers={"Content-Encoding": "gzip"}), "is not valid gzip"),
        (
            Served(gzip.compress(b"words")[:-6], headers={"Content-Encoding": "gzip"}),
            "ended before",
        ),
        (Served("words" * 99, conduct="cut"), "ended before"),
        (Served(b"caf\xe9", "text/plain"), "is not utf-8 text"),
        (Served(b"a\0b", "text/plain"), "is not text: it contains a zero byte"),
        (Served("words", "text/plain; charset=no-such"), "is in an unknown encoding"),
    ],
)
def test_unreadable_response_is_reported_in_one_line(
    server: WebServer, fetch: Fetches, served: Served, reason: str
) -> None:
    server.pages["/bad"] = served
    assert fetch(at(server, "/bad"), at(server, "/a")) == FileChanges(new=1)
    (line,) = fetch.troubles
    assert line.startswith(f"{server.url}/bad {reason}")


def test_gzip_bomb_is_not_decompressed_beyond_the_limit() -> None:
    bomb = gzip.compress(b"0" * (20 << 20)) * 3
    assert len(Unpacking(1000).feed(bomb)) == 1001


def test_gzipped_page_is_read(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = page("A", "Many words. " * 1000, gzipped=True)
    assert fetch(at(server, "/a")) == FileChanges(new=1)
    assert "gzip" in server.asked[-1].headers["Accept-Encoding"]


def test_slow_page_times_out(
    server: WebServer, fetch: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", Bounds(seconds=0.3))
    server.pages["/slow"] = page("Slow", conduct="trickling")
    started = time.monotonic()
    assert fetch(at(server, "/slow"), at(server, "/a")).new == 1
    assert time.monotonic() - started < 5
    assert fetch.troubles == [f"{server.url}/slow takes longer than 0.3 s"]


def test_not_modified_without_a_condition_is_an_error(server: WebServer, fetch: Fetches) -> None:
    server.pages["/odd"] = Served(status=304, etag=None)
    fetch(at(server, "/odd"), at(server, "/a"))
    assert fetch.troubles == [f"{server.url}/odd answers 304 Not Modified"]


def test_invalid_validators_are_not_sent_back(server: WebServer, fetch: Fetches) -> None:
    server.pages["/a"] = page("A", etag="caf\xe9")
    server.pages["/b"] = page("B", etag="x" * 5000, headers={"Last-Modified": "yesterday"})
    for _ in range(2):
        assert fetch(at(server, "/a"), at(server, "/b")).present == 2
    assert not {"If-None-Match", "If-Modified-Since"} & set(server.asked[-1].headers)


def test_errors_beyond_twenty_are_only_counted(server: WebServer, fetch: Fetches) -> None:
    fetch(at(server, "/a"), *(at(server, f"/no-{number}") for number in range(25)))
    assert len(fetch.troubles) == 21
    assert fetch.troubles[0] == f"{server.url}/no-0 answers 404 Not Found"
    assert fetch.troubles[-1] == "and 5 more problems"


def test_pages_that_differ_in_case_have_separate_files(server: WebServer, fetch: Fetches) -> None:
    server.pages |= {
        "/Guide/A": page("Upper"),
        "/guide/a": page("lower"),
        "/guide/a.html": page("h"),
    }
    lists = [at(server, path) for path in ("/Guide/A", "/guide/a", "/guide/a.html")]
    assert fetch(*lists).new == 3
    assert len({name.lower() for name in fetch.files()}) == 3
    before = fetch.files()
    assert fetch(*reversed(lists)).unchanged == 3
    assert fetch.files() == before
