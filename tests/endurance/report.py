"""The report of a run: as JSON, and as lines for the terminal."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tests.endurance.checker.memory import growth, summary
from tests.endurance.checker.violations import MEMORY
from tests.endurance.checker.windows import BUILD, STORE, SWAP, Windows
from tests.endurance.run import Run
from utils.figures import MIB, machine_facts, percentile

_SHOWN = 12
_AFTER = 3.0
"""Requests until this long after an event count as during it."""
QUIET = "quiet"


def check_memory(run: Run) -> None:
    """Report every process whose memory grows as a violation."""
    for series in run.memory.series.values():
        grown = growth(series)
        if grown and not grown.is_flat:
            what = (
                f"{series.name} grows: its floor by {grown.rise / MIB:.0f} MiB in "
                f"{grown.seconds / 60:.0f} minutes, median {grown.median / MIB:.0f} MiB, "
                f"highest {grown.highest / MIB:.0f} MiB"
            )
            run.checker.report(MEMORY, what)


def report(run: Run, options: dict[str, Any], figures: Mapping[str, float]) -> dict[str, Any]:
    """All counts and figures."""
    checker, writes, events = run.checker, run.writes, run.events
    by_route: dict[str, dict[str, int]] = defaultdict(dict)
    for (route, status), count in sorted(checker.counts.items()):
        by_route[route][str(status or "no answer")] = count
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "options": options,
        "seconds": round(run.seconds, 1),
        "violations": [asdict(each) for each in checker.violations],
        "violations by kind": dict(Counter(each.kind for each in checker.violations)),
        "requests": dict(by_route),
        "requests not sent because too many waited": run.load.not_sent,
        "checked": dict(checker.checked),
        "changes": dict(sorted(writes.kinds.items())),
        "events": dict(sorted(events.counts.items())),
        "event log": sorted(events.log, key=lambda each: each["at"]),
        "latency ms": _latencies(run),
        "seconds until other replicas show a change": _spread(writes.watcher.visible),
        "memory MiB": [summary(series) for series in run.memory.series.values() if series.times],
        "rows in the store at the end": run.rows,
        "rollback": run.rollback,
        "measures": {name: round(value, 3) for name, value in figures.items()},
    }


def _latencies(run: Run) -> dict[str, dict[str, float]]:
    """Latencies by concurrent event, and their ratio to quiet times."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for received, taken, _ in run.load.latencies:
        kinds[_event_during(run.checker.model.windows, received - taken, received)].append(
            1000 * taken
        )
    found = {kind: _spread(values) for kind, values in sorted(kinds.items())}
    quiet = found.get(QUIET, {})
    for figures in found.values():
        for name in ("p50", "p95", "p99"):
            if quiet.get(name) and name in figures:
                figures[f"{name}, ratio to quiet"] = round(figures[name] / quiet[name], 2)
    return found


def _event_during(windows: Windows, sent: float, received: float) -> str:
    sent -= _AFTER
    if windows.overlap([STORE], sent, received):
        return "store down or just restarted"
    if any(
        w.kind.startswith("worker") and w.begun <= received and w.ended >= sent for w in windows.all
    ):
        return "a worker down or just restarted"
    if windows.overlap([BUILD, SWAP], sent, received):
        return "build"
    return QUIET


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    spread = {name: round(percentile(values, share), 3) for name, share in shares.items()}
    return {"count": len(values)} | spread


def lines(found: dict[str, Any]) -> str:
    """The report for the terminal, violations first."""
    shown = []
    for each in found["violations"][:_SHOWN]:
        shown += [f"{each['kind']}: {each['what']}", *_facts(each["facts"])]
    more = len(found["violations"]) - _SHOWN
    if more > 0:
        shown.append(f"... and {more} more; all are in the output file.")
    for title in (
        "requests", "changes", "events", "checked", "latency ms",
        "seconds until other replicas show a change", "memory MiB", "measures",
    ):  # fmt: skip
        shown.append(f"\n{title}:")
        rows = found[title].items() if isinstance(found[title], dict) else enumerate(found[title])
        shown += [
            f"  {name if isinstance(name, str) else ''}  {_plain(value)}".rstrip()
            for name, value in rows
        ]
    shown.append(f"\nrollback: {found['rollback']}")
    wrong = len(found["violations"])
    verdict = f"{wrong} violations: {found['violations by kind']}" if wrong else "No violation."
    total = sum(sum(statuses.values()) for statuses in found["requests"].values())
    shown.append(f"{found['seconds'] / 60:.1f} minutes, {total:,} requests. {verdict}")
    return "\n".join(shown)


def _facts(facts: dict[str, Any]) -> list[str]:
    return [f"    {name}: {_plain(value)}" for name, value in facts.items()]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return f"{os.linesep}      ".join(value) if _is_lines(value) else str(value)


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def as_text(found: dict[str, Any]) -> str:
    """The report as JSON."""
    return json.dumps(found, indent=2, default=str) + "\n"
