"""Histories that the endurance run's checker must accept, and violations it must report."""

from typing import Any

import pytest

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.document_checks import check_list, check_read, check_whole
from tests.endurance.checker.model import BUILD_SECONDS, Model
from tests.endurance.checker.violations import (
    DOUBLED,
    HALF,
    LOST,
    MIXED,
    RESURRECTED,
    STALE,
    STATUS,
    WRONG,
)
from tests.endurance.checker.windows import BUILD, STORE, SWAP, Windows, worker_window
from tests.endurance.documents.pages import Mark, Version, write
from tests.endurance.system.exchange import NO_ANSWER, Exchange

NAME = "live/page.md"


@pytest.fixture
def checker() -> Checker:
    return Checker(Model(Windows()))


def put(checker: Checker, begun: float, done: float | None, name: str = NAME) -> Version:
    """A version acknowledged by the first worker, or in progress if `done` is None."""
    document = checker.model.add(name)
    version = document.next_version()
    span = document.api.begin(version, begun)
    if done is not None:
        document.api.done(span, done, by="first")
    return version


def delete(checker: Checker, begun: float, done: float) -> None:
    document = checker.model.documents[NAME]
    document.api.done(document.api.begin(None, begun), done, by="first")


def passage(version: Version, *sections: int, name: str = NAME) -> dict[str, Any]:
    text = " ".join(f"A word. ({version.marker} {version.section_marker(s)})" for s in sections)
    return {"document": name, "title": f"Page {version.marker}", "text": text}


def found(*passages: dict[str, Any], at: float, by: str = "second") -> Exchange:
    return Exchange("search", by, at, at + 0.01, 200, {"passages": list(passages)})


def answered(
    route: str, status: int, at: float, *, by: str = "second", body: Any = None
) -> Exchange:
    return Exchange(route, by, at, at + 0.01, status, body)


def mark(version: Version, section: int | None = None) -> Mark:
    return Mark(version.document, version.number, section)


def kinds(checker: Checker) -> list[str]:
    return [violation.kind for violation in checker.violations]


def read(checker: Checker, text: str | None, at: float, by: str = "second") -> None:
    status = 404 if text is None else 200
    exchange = answered("read", status, at, by=by, body={"text": text})
    check_read(checker, exchange, checker.model.documents[NAME])


def whole(version: Version, name: str = NAME) -> str:
    return write(version, name).decode()


# --- what is right passes --------------------------------------------------------------------


def test_correct_history_passes(checker: Checker) -> None:
    first = put(checker, 10, 11)
    checker.search(found(passage(first, 0), at=11.1, by="first"), mark(first))
    checker.search(found(at=12.9), mark(first))  # the other replica, within two seconds
    checker.search(found(passage(first, 0, 1), at=13.2), mark(first, 1))
    read(checker, whole(first), 13.3)
    second = put(checker, 20, 21)
    checker.search(found(passage(first, 0), at=20.5), mark(first))  # under way: either
    checker.search(found(passage(second, 0), at=20.6), mark(second))
    checker.search(found(passage(first, 0), at=22.9))
    checker.search(found(passage(second, 0), at=23.2), mark(second))
    delete(checker, 30, 31)
    read(checker, None, 31.1, by="first")
    checker.search(found(passage(second, 2), at=32.9))
    checker.search(found(at=33.2), mark(second))
    read(checker, None, 33.3)

    assert checker.violations == []
    assert checker.checked["expected"] >= 3


def test_change_seen_before_it_is_acknowledged_passes(checker: Checker) -> None:
    version = put(checker, 10, None)

    checker.search(found(passage(version, 0), at=10.1), mark(version))
    read(checker, whole(version), 10.2)

    assert checker.violations == []


def test_write_of_unknown_outcome_is_settled_by_the_next_read(
    checker: Checker,
) -> None:
    first, second = put(checker, 10, 11), put(checker, 20, None)
    document = checker.model.documents[NAME]
    document.api.unknown(document.api.spans[-1])
    for version in (first, second):
        checker.search(found(passage(version, 0), at=40))
        read(checker, whole(version), 40)
    assert checker.violations == []

    document.api.settle(second, 50)
    checker.search(found(passage(second, 0), at=60), mark(second))
    assert checker.violations == []

    checker.search(found(passage(first, 0), at=60))
    assert kinds(checker) == [STALE]


def test_unknown_write_visible_after_a_newer_acknowledged_one_is_reported(
    checker: Checker,
) -> None:
    put(checker, 10, 11)
    lost = put(checker, 20, None)
    document = checker.model.documents[NAME]
    document.api.unknown(document.api.spans[-1])
    put(checker, 30, 31)

    checker.search(found(passage(lost, 0), at=40))

    assert kinds(checker) == [STALE]


def test_visibility_deadline_is_suspended_during_a_store_outage(checker: Checker) -> None:
    first, _ = put(checker, 10, 11), put(checker, 20, 21)
    checker.model.windows.add(STORE, 22, 30)

    checker.search(found(passage(first, 0), at=30.9))
    assert checker.violations == []

    checker.search(found(passage(first, 0), at=31.1))
    assert kinds(checker) == [STALE]


def test_build_may_become_visible_with_a_delay(checker: Checker) -> None:
    document = checker.model.add(NAME)
    first, second = document.next_version(), document.next_version()
    document.folder.done(document.folder.begin(first, 10), 20, allowance=BUILD_SECONDS)
    document.folder.done(document.folder.begin(second, 100), 110, allowance=BUILD_SECONDS)

    checker.search(found(passage(second, 0), at=105))
    checker.search(found(passage(first, 0), at=114.9))
    assert checker.violations == []

    checker.search(found(passage(first, 0), at=115.1))
    assert kinds(checker) == [STALE]


def test_api_documents_take_precedence_over_the_folder(checker: Checker) -> None:
    document = checker.model.add(NAME)
    from_folder = document.next_version()
    document.folder.done(document.folder.begin(from_folder, 1), 2)
    from_api = put(checker, 10, 11)
    document.folder.done(document.folder.begin(document.next_version(), 20), 30)

    assert document.open_states == {from_api}
    delete(checker, 40, 41)
    assert document.open_states == {None}

    checker.search(found(passage(document.versions[3], 0), at=50))
    assert kinds(checker) == [RESURRECTED]


# --- what is wrong is caught -----------------------------------------------------------------


def test_lost_document_is_reported(checker: Checker) -> None:
    version = put(checker, 10, 11)

    checker.search(found(at=13.1), mark(version))
    read(checker, None, 13.1)

    assert kinds(checker) == [LOST, LOST]


def test_acknowledged_change_must_be_visible_in_its_worker_immediately(checker: Checker) -> None:
    first = put(checker, 10, 11)
    checker.search(found(at=11.1, by="first"), mark(first))
    put(checker, 20, 21)
    checker.search(found(passage(first, 0), at=21.1, by="first"))

    assert kinds(checker) == [LOST, STALE]


def test_stale_document_is_reported(checker: Checker) -> None:
    first, _ = put(checker, 10, 11), put(checker, 20, 21)

    checker.search(found(passage(first, 0), at=23.1))
    read(checker, whole(first), 23.1)
    answer = {"passages": [], "docs": [], "citations": [_quote(first)]}
    checker.answer(answered("answers", 200, 23.1, body=answer))

    assert kinds(checker) == [STALE, STALE, STALE]


def _quote(version: Version) -> dict[str, str]:
    return {"document": NAME, "title": f"Page {version.marker}", "quote": "A word."}


def test_resurrected_document_is_reported_in_every_kind_of_response(checker: Checker) -> None:
    version = put(checker, 10, 11)
    delete(checker, 20, 21)
    answer = {"passages": [passage(version, 0)], "docs": [], "citations": []}
    named = {"answer": "So.", "docs": [NAME]}

    checker.search(found(passage(version, 0), at=24))
    checker.answer(answered("answers", 200, 24, body=answer))
    checker.stream(answered("answers, streamed", 200, 24, body=[answer]))
    checker.endpoint(answered("inference_endpoint", 200, 24, body=named))
    read(checker, whole(version), 24)

    assert kinds(checker) == [RESURRECTED] * 5


def test_two_versions_in_one_response_are_reported_even_if_each_is_allowed(
    checker: Checker,
) -> None:
    first, second = put(checker, 10, 11), put(checker, 20, None)

    checker.search(found(passage(first, 0), passage(second, 1), at=20.5))

    assert kinds(checker) == [MIXED]


def test_text_of_another_document_is_reported(checker: Checker) -> None:
    mine, other = put(checker, 10, 11), put(checker, 10, 11, name="live/other.md")
    mixed = passage(mine, 0) | {"text": passage(other, 0)["text"]}

    checker.search(found(mixed, at=20))

    assert MIXED in kinds(checker)


def test_half_visible_document_is_reported(checker: Checker) -> None:
    version = put(checker, 10, 11)
    document = checker.model.documents[NAME]
    sections = range(version.sections)
    cut = whole(version).rpartition("## ")[0]

    read(checker, cut, 20)
    checker.search(found(passage(version, 0), at=20), mark(version, 1))
    check_whole(checker, found(passage(version, *sections[1:]), at=20), document, version)
    assert kinds(checker) == [HALF, HALF, HALF]

    check_whole(checker, found(passage(version, *sections), at=20), document, version)
    assert len(checker.violations) == 3


def test_duplicate_documents_are_reported(checker: Checker) -> None:
    version = put(checker, 10, 11)
    listed = [{"name": NAME, "etag": "x"}] * 2
    named = {"answer": "So.", "docs": [NAME, NAME]}

    checker.search(found(passage(version, 0), passage(version, 0), at=20))
    checker.endpoint(answered("inference_endpoint", 200, 20, body=named))
    check_list(checker, answered("list", 200, 20), listed, 2)

    assert kinds(checker) == [DOUBLED, DOUBLED, DOUBLED]


def test_incorrect_list_is_reported(checker: Checker) -> None:
    put(checker, 10, 11)
    put(checker, 10, 11, name="live/other.md")
    checker.model.documents[NAME].etag = "right"
    deleted = checker.model.add("live/gone.md").name

    listed = [{"name": name, "etag": "wrong"} for name in (NAME, deleted, "nobody's.md")]
    check_list(checker, answered("list", 200, 20), listed, 4)

    assert sorted(kinds(checker)) == sorted([WRONG, WRONG, LOST, RESURRECTED, STALE])


def test_document_never_written_is_reported(checker: Checker) -> None:
    put(checker, 10, 11)

    checker.search(found({"document": "else.md", "title": "Else", "text": "Else."}, at=20))
    checker.search(found({"document": NAME, "title": "Else", "text": "Else."}, at=20))

    assert kinds(checker) == [WRONG, WRONG]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_unexplained_errors_are_reported_at_any_time(checker: Checker, status: int) -> None:
    for kind in (STORE, BUILD, SWAP, worker_window("second")):
        checker.model.windows.add(kind, 0, 100)

    checker.search(answered("search", status, 50))

    assert kinds(checker) == [STATUS]


@pytest.mark.parametrize(
    ("route", "status", "window"),
    [
        ("search", 503, STORE),
        ("put", 409, BUILD),
        ("search", NO_ANSWER, worker_window("second")),
    ],
)
def test_errors_are_accepted_only_while_their_cause_lasts(
    checker: Checker, route: str, status: int, window: str
) -> None:
    checker.model.windows.add(window, 10, 20)

    checker.status(answered(route, status, 15))
    assert checker.violations == []

    checker.status(answered(route, status, 9))
    checker.status(answered(route, status, 20.5))
    assert kinds(checker) == [STATUS, STATUS]


def test_outage_of_another_worker_explains_no_error(checker: Checker) -> None:
    checker.model.windows.add(worker_window("first"), 10, 20)
    checker.status(answered("search", 409, 15))
    checker.status(answered("search", NO_ANSWER, 15))

    assert kinds(checker) == [STATUS, STATUS]


def test_violation_contains_the_facts_to_understand_it(checker: Checker) -> None:
    first, _ = put(checker, 10, 11), put(checker, 20, 21)

    checker.search(found(passage(first, 0), at=24))

    (violation,) = checker.violations
    assert violation.what == f"{NAME} is shown in version 1, which is not the current one"
    assert violation.facts["worker"] == "second"
    assert violation.facts["possible"] == ["version 2"]
    assert "version 1 from 10.000 to 21.000 by first" in violation.facts["history"][-2]
