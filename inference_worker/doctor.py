"""Examines an installation: python -m inference_worker.doctor.

Checks settings, keys, disk, store, index, embedding model, language model (with one short call),
clock, and Redis and the sign-on if they are set. Prints a line for each, and what to do about
problems.
"""

from utils.interrupts import exit_quietly, handle_exit_signals

if __name__ == "__main__":
    handle_exit_signals(exit_quietly)

import argparse
import asyncio
import contextlib
import logging
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from utils.errors import DocsQAError, SettingsError
from utils.settings import Settings, build_command, is_server, load_settings

if TYPE_CHECKING:
    from database.reading.reader import IndexState

Verdict = Literal["ok", "note", "problem"]

MIN_FREE_BYTES = 1 << 30
"""Bytes; a build of the guide needs a third of it."""
MAX_SKEW_SECONDS = 60.0
"""Seconds by which the clock may differ: tokens and signed addresses expire by it."""
_TIMEOUT = 10.0
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check found."""

    subject: str
    verdict: Verdict
    detail: str
    """Of a problem, also what to do."""


def main(argv: list[str] | None = None) -> int:
    """Print what was found; 1 if there is a problem."""
    first, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="doctor", description=f"{first}\n{details}")
    parser.add_argument("--no-call", action="store_true", help="do not call the language model")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.CRITICAL)
    problems = 0
    for found in diagnoses(calls_model=not arguments.no_call):
        problems += found.verdict == "problem"
        sys.stdout.write(f"{found.verdict.upper():<8} {found.subject:<15} {found.detail}\n")
        sys.stdout.flush()
    summary = {0: "No problems", 1: "1 problem"}.get(problems, f"{problems} problems")
    sys.stdout.write(f"\n{summary}\n")
    return 1 if problems else 0


def diagnoses(*, calls_model: bool = True) -> Iterator[Diagnosis]:
    """Examine the installation that the environment describes, one part after the other."""
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Diagnosis("settings", "problem", str(error))
        return
    yield Diagnosis("settings", "ok", "valid")
    yield from _guarded("keys", _keys, settings)
    yield from _guarded("disk", _disk, settings)
    yield from _guarded("files", _files, settings)
    yield from _index(settings)
    if settings.redis_url:
        yield from _guarded("redis", _redis, settings)
    if settings.oidc_issuer:
        yield from _guarded("sign-on", _sign_on, settings)
    yield from _guarded("language model", _language_model, settings, calls_model)
    yield from _guarded("clock", _clock, settings)


def _guarded(
    subject: str, check: Callable[..., Iterator[Diagnosis]], *arguments: object
) -> Iterator[Diagnosis]:
    """The diagnoses of a check; an error that explains itself is one."""
    try:
        yield from check(*arguments)
    except DocsQAError as error:
        yield Diagnosis(subject, "problem", str(error))
    except OSError as error:
        yield Diagnosis(subject, "problem", f"{error}.")


def _keys(settings: Settings) -> Iterator[Diagnosis]:
    from inference_worker.keys.key_ring import KeyRing

    yield Diagnosis("keys", "ok", KeyRing(settings).describe())
    file = settings.keys_file
    if file and stat.S_IMODE(file.stat().st_mode) & 0o007:
        detail = f"All users of this machine may read or write {file}: chmod o-rwx {file}"
        yield Diagnosis("keys", "problem", detail)


def _disk(settings: Settings) -> Iterator[Diagnosis]:
    from database.index.disk_space import available_bytes

    places = {"index": Path(settings.database)} if not is_server(settings.database) else {}
    places["exported models"] = settings.embedding_cache_path
    for name, place in places.items():
        free = available_bytes(place)
        detail = f"{free / _GIB:.1f} GiB free for the {name}, {place}"
        if free < MIN_FREE_BYTES:
            detail += f". Free at least {MIN_FREE_BYTES // _GIB} GiB."
        yield Diagnosis("disk", "problem" if free < MIN_FREE_BYTES else "ok", detail)


def _files(settings: Settings) -> Iterator[Diagnosis]:
    """Open what the service writes, besides the index."""
    from inference_worker.limits.counters import FileCounters
    from inference_worker.logs.configuration import AuditFile

    if settings.audit_log:
        AuditFile(settings.audit_log).close()
        yield Diagnosis("files", "ok", f"the audit log, {settings.audit_log}")
    if settings.token_budget:
        FileCounters(settings.token_budget_file)
        yield Diagnosis("files", "ok", f"the count of tokens, {settings.token_budget_file}")


def _index(settings: Settings) -> Iterator[Diagnosis]:
    from database.reading.reader import reader_from
    from inference_worker.http.readiness import failed_check
    from inference_worker.logs.audit import without_credentials

    try:
        with contextlib.closing(reader_from(settings)) as reader:
            state = reader.refresh()
            yield Diagnosis("store", "ok", without_credentials(settings.database))
            yield from _described(state)
            started = time.perf_counter()
            reader.search("How do I encrypt a volume?", 1)
            seconds = time.perf_counter() - started
            yield Diagnosis("search", "ok", f"{1000 * seconds:.0f} ms")
    except DocsQAError as error:
        failed = failed_check(error)
        subject = "embeddings" if failed == "model" else failed
        yield Diagnosis(subject, "problem", str(error))


def _described(state: "IndexState") -> Iterator[Diagnosis]:
    from database.index.checks.collection_check import MIN_RECALL

    fingerprint = state.fingerprint
    detail = (
        f"{fingerprint.chunks:,} chunks of {fingerprint.documents:,} documents, built "
        f"{fingerprint.built_at}"
    )
    yield Diagnosis("index", "ok", detail)
    yield Diagnosis("embeddings", "ok", fingerprint.recipe.embedding_model)
    if fingerprint.recall < MIN_RECALL:
        detail = (
            f"Recall of dense search is {fingerprint.recall:.2f}, below {MIN_RECALL}. Build again: "
            f"{build_command()}"
        )
        yield Diagnosis("index", "problem", detail)


def _redis(settings: Settings) -> Iterator[Diagnosis]:
    from redis import Redis
    from redis.exceptions import RedisError

    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    try:
        with Redis.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT) as redis:
            redis.ping()
    except (RedisError, ValueError) as error:
        detail = (
            f"REDIS_URL: no answer ({type(error).__name__}); each replica counts for itself. Start "
            "Redis, or correct its address or password."
        )
        yield Diagnosis("redis", "problem", detail)
    else:
        yield Diagnosis("redis", "ok", "answers")


def _sign_on(settings: Settings) -> Iterator[Diagnosis]:
    from inference_worker.keys.sign_on import SignOn, SignOnUnavailableError
    from inference_worker.logs.audit import without_credentials

    issuer = settings.oidc_issuer or ""
    shown = without_credentials(issuer)
    try:
        asyncio.run(SignOn(issuer, settings).check())
    except SignOnUnavailableError as error:
        yield Diagnosis("sign-on", "problem", f"OIDC_ISSUER={shown}: {error}.")
    else:
        yield Diagnosis("sign-on", "ok", f"{shown} publishes its keys")


def _language_model(settings: Settings, calls_model: bool) -> Iterator[Diagnosis]:
    from inference_worker.generation.ollama_model import ollama_model_from
    from inference_worker.generation.providers import language_model_from
    from inference_worker.logs.audit import without_credentials

    model = language_model_from(settings)
    if model is None:
        detail = "None: answers are quoted. Set MISTRAL_API_KEY to have them written."
        yield Diagnosis("language model", "note", detail)
        return
    if not calls_model:
        yield Diagnosis("language model", "note", f"{model.name}, not called")
        return

    async def call() -> bool:
        from langchain_core.messages import HumanMessage

        try:
            if ollama := ollama_model_from(model, settings):
                await ollama.check()
            if model.is_offered:
                await model.generate([HumanMessage("Reply with one word: yes")])
            return model.is_offered
        finally:
            await model.aclose()

    started = time.perf_counter()
    try:
        is_offered = asyncio.run(call())
    except DocsQAError as error:
        reason = str(error).rstrip(".")
        detail = f"{model.name}: {reason}. Check its key, its address and the network."
        yield Diagnosis("language model", "problem", detail)
        return
    if is_offered:
        detail = f"{model.name} answered within {time.perf_counter() - started:.1f} s"
        yield Diagnosis("language model", "ok", detail)
    else:
        address = without_credentials(settings.ollama_url or "")
        detail = f"No API key, and no Ollama answers at {address}: answers are quoted."
        yield Diagnosis("language model", "note", detail)


def _clock(settings: Settings) -> Iterator[Diagnosis]:
    """Compare the clock with that of the language model's server."""
    import httpx

    address = settings.inference_base_url or settings.ollama_url or settings.mistral_base_url
    try:
        sent = time.time()
        response = httpx.get(address, timeout=_TIMEOUT)
        theirs = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (httpx.HTTPError, LookupError, ValueError):
        host = urlsplit(address).hostname
        yield Diagnosis(
            "clock", "note", f"not compared: {host} cannot be reached, or sends no date"
        )
        return
    # Its resolution is a second, and it was read between sending and receiving.
    skew = max(sent - theirs - 1.0, theirs - time.time(), 0.0)
    if skew > MAX_SKEW_SECONDS:
        detail = f"{skew:,.0f} s off, compared with {urlsplit(address).hostname}. Set it (NTP)."
        yield Diagnosis("clock", "problem", detail)
    else:
        yield Diagnosis("clock", "ok", f"matches that of {urlsplit(address).hostname}")


if __name__ == "__main__":
    sys.exit(main())
