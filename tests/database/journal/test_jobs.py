"""Jobs are stored, so that they survive the process that accepted them."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database.index.store import OUTGOING, Store, open_store
from database.journal import jobs as jobs_module
from database.journal.jobs import JOBS, DocumentOutcome, Job, Jobs, JobState, Precondition, utc_now

_ETAG = "6a8c1f"


@pytest.fixture
def jobs(shared_store: Store) -> Jobs:
    shared_store.delete(JOBS)
    return Jobs(shared_store)


def new_at(moment: str) -> Job:
    """A job accepted by a replica whose clock shows this time."""
    return replace(Job.new("put"), created_at=moment)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("match", "none_match", "holds", "holds_without"),
    [
        ("", "", True, True),
        # If-Match requires a document of this content
        ("*", "", True, False),
        (f'"{_ETAG}"', "", True, False),
        (f'"other", "{_ETAG}"', "", True, False),
        (f'"other","{_ETAG}" , "third"', "", True, False),
        (f'W/"{_ETAG}"', "", True, False),
        (_ETAG, "", True, False),
        ('"other"', "", False, False),
        ('"OTHER", W/"third"', "", False, False),
        (f'"{_ETAG.upper()}"', "", False, False),
        (f'"{_ETAG}x"', "", False, False),
        ('""', "", False, False),
        ('"other", ""', "", False, False),
        (",", "", False, False),
        # If-None-Match requires no document of this content
        ("", "*", False, True),
        ("", f'"{_ETAG}"', False, True),
        ("", f'W/"{_ETAG}"', False, True),
        ("", f'"other", "{_ETAG}"', False, True),
        ("", '"other"', True, True),
        ("", '""', True, True),
        ("", ",", True, True),
        # Both must hold
        ("*", "*", False, False),
        (f'"{_ETAG}"', '"other"', True, False),
    ],
)
def test_precondition_compares_the_contents_hash(
    match: str, none_match: str, holds: bool, holds_without: bool
) -> None:
    assert Precondition(match, none_match).is_met_by(_ETAG) is holds
    assert Precondition(match, none_match).is_met_by("") is holds_without


def test_job_survives_a_round_trip(jobs: Jobs) -> None:
    job = Job.new(
        "put",
        condition=Precondition(f'"{_ETAG}"', "*"),
        outcomes=(
            DocumentOutcome(
                "a\U0001f525.md", "replaced", etag="1", previous="2", chunks=3, embedded=2
            ),
            DocumentOutcome("b.md", "refused", reason='it is "empty"'),
        ),
        checked={"chunks": 0, "collections": ["index-1"]},
    )
    jobs.add(job)
    assert jobs.find(job.id) == job


def test_empty_store_has_no_jobs(jobs: Jobs) -> None:
    assert jobs.find("x") is None
    assert jobs.unfinished() == []
    jobs.delete_old()


@pytest.mark.parametrize("id_", ["", "\0", "' OR 1=1 --", "../jobs", "\U0001f525", "x" * 1000])
def test_an_id_is_only_compared(jobs: Jobs, id_: str) -> None:
    jobs.add(Job.new("put"))
    assert jobs.find(id_) is None


def test_jobs_are_ordered_by_acceptance_whatever_the_replicas_clocks(
    jobs: Jobs,
) -> None:
    accepted = [jobs.add(new_at(f"2026-03-01T09:30:{second:02d}.000Z")) for second in (7, 1, 30)]

    assert jobs.unfinished() == accepted
    assert [job.created_at[17:] for job in accepted] == ["07.000Z", "07.001Z", "30.000Z"]


@pytest.mark.parametrize("state", ["accepting", "running"])
def test_job_is_ordered_after_those_being_accepted_or_run(jobs: Jobs, state: JobState) -> None:
    ahead = replace(new_at("2026-03-01T23:59:59.999Z"), state=state)
    jobs.add(ahead)

    assert jobs.add(new_at("2026-03-01T09:30:00.000Z")).created_at == "2026-03-02T00:00:00.000Z"


@pytest.mark.parametrize("moved", [[], [0], [1], [0, 1]])
def test_job_is_ordered_after_those_that_a_purge_is_moving(
    jobs: Jobs, shared_store: Store, moved: list[int]
) -> None:
    at_once = new_at("2026-03-01T09:30:07.000Z"), new_at("2026-03-01T09:30:07.000Z")
    before = [jobs.add(at_once[0]), jobs.add(replace(at_once[1], state="accepting"))]
    shared_store.get_or_create(JOBS).modify(name=JOBS + OUTGOING)
    try:
        shared_store.get_or_create(JOBS)
        for at in moved:
            jobs.update(before[at])
        accepted = jobs.add(new_at("2026-03-01T09:30:01.000Z"))
    finally:
        shared_store.delete(JOBS + OUTGOING)

    assert accepted.created_at == "2026-03-01T09:30:07.002Z"


def test_finished_job_does_not_delay_later_ones(jobs: Jobs) -> None:
    jobs.add(replace(new_at("2036-03-01T09:30:07.000Z"), state="done"))
    job = new_at("2026-03-01T09:30:01.000Z")

    assert jobs.add(job) == job


def test_jobs_of_one_moment_have_the_same_order_for_all(jobs: Jobs) -> None:
    """Two replicas that accept concurrently do not see each other's job."""
    at_once = [new_at("2026-03-01T09:30:07.000Z") for _ in range(9)]
    for job in at_once:
        jobs.update(job)

    assert jobs.unfinished() == sorted(at_once, key=lambda job: job.id)


def test_a_finished_job_is_found_and_not_run_again(jobs: Jobs) -> None:
    waiting, done, failed = Job.new("put"), Job.new("delete"), Job.new("purge")
    for job in (waiting, done, failed):
        jobs.add(job)
    jobs.update(replace(done, state="done", finished_at=utc_now()))
    jobs.update(replace(failed, state="failed", problem="document-not-found"))
    jobs.update(replace(waiting, state="running", done=3, total=9))

    assert [(job.id, job.done) for job in jobs.unfinished()] == [(waiting.id, 3)]
    found = jobs.find(failed.id)
    assert found
    assert found.is_finished
    assert found.problem == "document-not-found"


def test_only_the_oldest_finished_jobs_are_deleted(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "MAX_FINISHED_JOBS", 3)
    ended = [replace(new_at(f"2026-03-01T09:30:0{n}.000Z"), state="done") for n in range(6)]
    waiting = new_at("2025-01-01T00:00:00.000Z")
    for job in (*ended, waiting):
        jobs.add(job)
    jobs.delete_old()

    assert [jobs.find(job.id) is not None for job in ended] == [False] * 3 + [True] * 3
    assert jobs.unfinished() == [waiting]


def test_only_jobs_whose_acceptance_was_interrupted_are_deleted(jobs: Jobs) -> None:
    ages = {"dead": 700, "dead too": 7000, "clock behind": 605, "slow": 500, "young": 0}
    accepting = {
        name: replace(new_at(ago(seconds)), state="accepting") for name, seconds in ages.items()
    }
    waiting = new_at(ago(9000))
    for job in (*accepting.values(), waiting):
        jobs.update(job)  # each with the clock of another replica
    jobs.delete_old()

    left = [name for name, job in accepting.items() if jobs.find(job.id)]
    assert left == ["clock behind", "slow", "young"]
    assert jobs.unfinished() == [waiting]


def test_only_a_job_that_is_not_accepted_can_be_refused(jobs: Jobs) -> None:
    refused, accepted = (jobs.add(replace(Job.new("put"), state="accepting")) for _ in range(2))
    jobs.update(replace(accepted, state="queued"))
    for job in (refused, accepted):
        jobs.delete_unaccepted(job)

    assert jobs.find(refused.id) is None
    assert jobs.find(accepted.id)


def test_jobs_outlive_the_process_that_accepted_them(tmp_path: Path) -> None:
    job = Job.new("delete")
    with closing(open_store(str(tmp_path / "index"), create=True)) as store:
        Jobs(store).add(job)
    with closing(open_store(str(tmp_path / "index"))) as store:
        assert Jobs(store).unfinished() == [job]


def test_moments_are_utc_and_sort_as_text() -> None:
    moments = [utc_now() for _ in range(3)]
    assert moments == sorted(moments)
    assert all(moment.endswith("Z") and len(moment) == 24 for moment in moments)
