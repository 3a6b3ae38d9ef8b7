"""Writes through the API: each is sent, its job polled, and its visibility awaited."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.document_checks import check_read
from tests.endurance.checker.model import Document, State
from tests.endurance.checker.violations import JOB, LOST, WRONG
from tests.endurance.checker.windows import BUILD, STORE
from tests.endurance.documents.pages import Version, write
from tests.endurance.load.visibility import Change, VisibilityWatcher
from tests.endurance.system.client import Client
from tests.endurance.system.exchange import Exchange
from tests.endurance.system.processes import Service, System

_JOB_SECONDS = 60.0
"""The timeout of a job, without builds and outages of the store, for which it waits."""
_POLL_SECONDS = 0.2
_UNMET, _NOT_THERE = "precondition-failed", "document-not-found"
_NO_MORE_JOBS_SECONDS = 20.0
"""A job not taken up by then, counted so too, never is. One that was left is done before the next
change."""


@dataclass(slots=True)
class Writes:
    """Sends writes and counts their outcomes."""

    client: Client
    checker: Checker
    system: System
    watcher: VisibilityWatcher
    kinds: Counter[str] = field(default_factory=Counter)
    unsettled: dict[str, float] = field(default_factory=dict)
    """Documents with a write of unknown outcome, and the time of it."""
    last_done: float = 0.0
    """The time of the last acknowledged write."""

    async def put(
        self,
        worker: Service,
        document: Document,
        version: Version | None = None,
        **headers: str,
    ) -> Exchange:
        """Put a version, by default a new one."""
        change = self._begin(document, version or document.next_version())
        exchange = await self._put(worker, change, headers)
        await self._end(worker, [change], exchange, "put")
        return exchange

    async def put_again(self, worker: Service, document: Document, state: Version) -> None:
        """Put the current content again; nothing may change."""
        exchange = await self.client.send(
            "put", worker, "PUT", _path(document), content=write(state, document.name)
        )
        self._count("same content again", exchange)
        if exchange.status == 200 and exchange.body["documents"][0]["outcome"] != "unchanged":
            self._wrong(exchange, f"the same content of {document.name} is not unchanged")

    async def refused(self, worker: Service, document: Document, **headers: str) -> None:
        """Put with a condition that is not met; nothing may change."""
        change = self._begin(document, document.next_version())
        exchange = await self._put(worker, change, headers)
        self._count("under a condition that fails", exchange)
        unmet = exchange.status == 412
        if exchange.status == 202:
            exchange = await self._follow(worker, exchange, to_fail_for=_UNMET)
            unmet = exchange.status == 200 and exchange.body["state"] == "failed"
        if unmet:
            document.api.refused(change.span)
            return
        if exchange.status in (200, 201):
            self._wrong(exchange, f"a condition that fails let {document.name} be replaced")
        self._unknown([change])

    async def race(self, workers: Sequence[Service], document: Document) -> None:
        """Put two versions at once with the same If-Match; at most one may succeed."""
        headers = {"If-Match": f'"{document.etag}"'}
        changes = [self._begin(document, document.next_version()) for _ in range(2)]
        exchanges = await asyncio.gather(
            *(self._put(w, c, headers) for w, c in zip(workers, changes, strict=False))
        )
        statuses = sorted(exchange.status for exchange in exchanges)
        if statuses in ([200, 200], [412, 412]):
            what = f"two writers of {document.name} were answered {statuses}"
            self._wrong(exchanges[0], what)
        for worker, change, exchange in zip(workers, changes, exchanges, strict=False):
            self._count("two at once", exchange)
            if exchange.status == 412:
                document.api.refused(change.span)
            elif exchange.status == 200:
                self._done([change], exchange, worker.name)
            else:
                self._unknown([change])

    async def post(self, worker: Service, documents: Sequence[Document]) -> None:
        """Put several new versions in one request."""
        changes = [self._begin(document, document.next_version()) for document in documents]
        files = [("files", (c.document.name, _content(c))) for c in changes]
        asked = f"/v1/documents {[document.name for document in documents]}"
        exchange = await self.client.send(
            "post", worker, "POST", "/v1/documents", asked=asked, files=files
        )
        await self._end(worker, changes, exchange, "several in one request")

    async def delete(self, worker: Service, document: Document, *, purge: bool) -> Exchange:
        """Delete a document."""
        change = self._begin(document, None)
        path = _path(document) + ("?purge=true" if purge else "")
        exchange = await self.client.send("delete", worker, "DELETE", path)
        await self._end(worker, [change], exchange, "purge" if purge else "delete")
        return exchange

    async def delete_missing(self, worker: Service, document: Document) -> None:
        """Delete a document that does not exist."""
        exchange = await self.client.send("delete", worker, "DELETE", _path(document))
        self._count("delete of what is not there", exchange)
        if exchange.status == 202:
            exchange = await self._follow(worker, exchange, to_fail_for=_NOT_THERE)
        if exchange.status == 200 and exchange.body["state"] == "done":
            self._wrong(exchange, f"{document.name} does not exist and was deleted")

    def _begin(self, document: Document, state: State) -> Change:
        before = document.open_states
        if state is None:
            outcomes = {"deleted"}
        else:
            outcomes = {"added"} if None in before else set()
            outcomes |= {"replaced"} if before - {None} else set()
        document.etag = ""
        span = document.api.begin(state, time.perf_counter())
        return Change(document, state, span, frozenset(outcomes))

    async def _put(self, worker: Service, change: Change, headers: dict[str, str]) -> Exchange:
        path = _path(change.document)
        asked = f"{path} {headers or ''}"
        return await self.client.send(
            "put", worker, "PUT", path, asked=asked, content=_content(change), headers=headers
        )

    async def _end(
        self, worker: Service, changes: list[Change], exchange: Exchange, kind: str
    ) -> None:
        """Record the outcome of a request in the model, and await its visibility."""
        self._count(kind, exchange)
        by = worker.name
        if exchange.status == 202:
            exchange = await self._follow(worker, exchange)
            by = exchange.worker
        if exchange.status in (404, 412):
            kind = LOST if exchange.status == 404 else WRONG
            what = f"a change of {changes[0].document.name} was refused"
            self.checker.report(kind, what, status=exchange.status, asked=exchange.asked)
        if exchange.status not in (200, 201):
            self._unknown(changes)
            return
        self._done(changes, exchange, by)
        for change in changes:
            await self.watcher.change(change, by)

    async def _follow(
        self, worker: Service, accepted: Exchange, *, to_fail_for: str = ""
    ) -> Exchange:
        """Poll a job at any running worker until it ends.

        Args:
            worker: The first worker to poll.
            accepted: The response to the change; returned if the job failed.
            to_fail_for: The problem that the job must fail with; empty if it must succeed.
        """
        job, begun = accepted.body["job"], time.perf_counter()
        while time.perf_counter() < self._calm_after(begun, _JOB_SECONDS):
            await asyncio.sleep(_POLL_SECONDS)
            up = self.system.up
            if not up:
                continue
            asked = worker if worker in up else up[0]
            exchange = await self.client.send("job", asked, "GET", f"/v1/jobs/{job}")
            self.checker.status(exchange)
            if exchange.status == 200 and exchange.body["state"] in ("done", "failed"):
                self.kinds[f"job {exchange.body['state']}"] += 1
                problem = (exchange.body["problem"] or {}).get("type")
                if exchange.body["state"] == "done" or (problem and problem == to_fail_for):
                    return exchange
                what = f"job {job} failed: {exchange.body['problem']}"
                self.checker.report(JOB, what, asked=accepted.asked)
                return accepted
        self.checker.report(JOB, f"job {job} did not end", asked=accepted.asked)
        return accepted

    def _done(self, changes: list[Change], exchange: Exchange, by: str) -> None:
        now = exchange.received
        outcomes = {each["name"]: each for each in exchange.body["documents"]}
        for change in changes:
            document = change.document
            document.api.done(change.span, now, by)
            self.unsettled.pop(document.name, None)
            outcome = outcomes.get(document.name, {})
            if outcome.get("outcome") not in change.outcomes:
                self._wrong(exchange, f"{document.name}: {outcome} is not {set(change.outcomes)}")
            document.etag = outcome.get("etag") or ""
        self.last_done = max(self.last_done, exchange.sent)

    def _unknown(self, changes: list[Change]) -> None:
        for change in changes:
            change.document.api.unknown(change.span)
            self.unsettled[change.document.name] = time.perf_counter()

    async def settle(self) -> None:
        """Read the documents with writes of unknown outcome, to learn it."""
        if len(self.system.up) < len(self.system.workers):
            return
        now = time.perf_counter()
        if self.checker.model.windows.overlap([STORE, BUILD], now, now):
            return
        for name, since in list(self.unsettled.items()):
            if self.last_done > since or now > self._calm_after(since, _NO_MORE_JOBS_SECONDS):
                await self._settle(self.checker.model.documents[name])

    def _calm_after(self, moment: float, seconds: float) -> float:
        """The moment when `seconds` will have passed in which jobs could run."""
        return self.checker.model.windows.calm_after(moment, seconds, (STORE, BUILD))

    async def _settle(self, document: Document) -> None:
        if any(span.in_flight for span in document.api.spans):
            return
        shown: list[State] = []
        for worker in self.system.up:
            exchange = await self.client.read(worker, document.name)
            shown.append(check_read(self.checker, exchange, document))
            if exchange.status not in (200, 404):
                return
        if len(set(shown)) == 1 and shown[0] in document.open_states:
            document.api.settle(shown[0], time.perf_counter())
            known = exchange.status == 200 and document.is_the_apis  # a build changes it
            document.etag = exchange.body["etag"] if known else ""
            self.unsettled.pop(document.name, None)
            self.kinds["settled by a look"] += 1

    def _count(self, kind: str, exchange: Exchange) -> None:
        self.checker.status(exchange)
        self.kinds[f"{kind}: {exchange.status or 'no answer'}"] += 1

    def _wrong(self, exchange: Exchange, what: str) -> None:
        self.checker.report(
            WRONG, what, worker=exchange.worker, asked=exchange.asked, body=str(exchange.body)[:300]
        )


def _path(document: Document) -> str:
    return f"/v1/documents/{document.name}"


def _content(change: Change) -> bytes:
    assert change.state is not None  # only versions are put
    return write(change.state, change.document.name)
