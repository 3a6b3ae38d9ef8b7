"""Creates the app from its parts, each of which tests can replace."""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline

from database.changing.changer import SplitDocument
from database.index.fingerprint import Recipe
from database.reading.reader import Reader, reader_from
from inference_worker.answering.answerer import Answerer
from inference_worker.answering.metrics import Metrics
from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.ollama_model import ollama_model_from
from inference_worker.generation.providers import language_model_from
from inference_worker.http.access.description import describe_access
from inference_worker.http.access.key_check import KeyCheck
from inference_worker.http.access.rate_limits import RateLimits
from inference_worker.http.admission import Admission, Load
from inference_worker.http.conditional_get import ConditionalGet
from inference_worker.http.documents.change_queue import ChangeQueue
from inference_worker.http.documents.routes import router as documents_router
from inference_worker.http.documents.upload_parser import UploadParser
from inference_worker.http.middleware import BodyLimit, RequestTracker
from inference_worker.http.openai import chat
from inference_worker.http.openapi import describe_limits
from inference_worker.http.problems import install_error_handlers
from inference_worker.http.routes import router
from inference_worker.http.trusted_hosts import TrustedHosts
from inference_worker.keys.key_ring import KeyRing
from inference_worker.limits.usage import usage_limits_from
from inference_worker.logs.audit import audit, changed_settings
from utils.errors import DocsQAError
from utils.priority import yield_to_event_loop
from utils.settings import VERSION, Settings

log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""Interval for polling the pointer, so that a new index is served within two seconds."""
SCRUB_SECONDS = 60.0
"""Interval at which the served index is verified as it is stored, or more:"""
SCRUB_SHARE = 0.05
"""of the time, verifying takes at most this share."""
SNAPSHOT_RETRY_SECONDS = 10.0
MIN_COMPRESSED_BYTES = 1024
"""Of a response; events are never compressed, as they would be held back."""


def create_app(
    settings: Settings,
    *,
    reader: Reader | None = None,
    llm: LanguageModel | None = None,
    splitter: Callable[[Recipe], SplitDocument] | None = None,
) -> FastAPI:
    """Create the app; the parts that are not given are created from the settings.

    Raises:
        SettingsError: a part cannot be created from the settings.
    """
    reader = reader or reader_from(settings)
    llm = llm or language_model_from(settings)
    ollama = ollama_model_from(llm, settings)
    keys = KeyRing(settings)
    limits = usage_limits_from(settings)
    if llm:
        llm.spending = limits.spending
    metrics = Metrics()
    metrics.register_budget(limits.budget)
    answerer = Answerer(reader, llm, settings, metrics)
    load = Load(
        answerer.capacity,
        max_wait=settings.max_wait_seconds,
        llm_calls=settings.inference_concurrency,
        count_refusal=metrics.count_refusal,
    )
    changes = ChangeQueue(reader, answerer, settings, splitter)
    from inference_worker.http.mcp.server import McpEndpoint  # takes a second to import

    mcp = McpEndpoint(answerer, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(initializer=yield_to_event_loop))
        background = [
            asyncio.create_task(_follow_index(settings, reader)),
            asyncio.create_task(load.watch()),
            asyncio.create_task(_scrub(reader)),
        ]
        if ollama:
            url = settings.ollama_url
            log.info("Answers are quoted: no MISTRAL_API_KEY, and no Ollama at %s yet", url)
            background.append(asyncio.create_task(ollama.prepare()))
        elif llm:
            log.info("Answers are written by %s", llm.name)
        else:
            log.info("Answers are quoted: MISTRAL_API_KEY is not set")
        log.info("%s", keys.describe())
        audit("service started", version=VERSION, settings=changed_settings(settings))
        await answerer.prepare()
        changes.start()
        async with mcp.running():
            yield
        await changes.stop()
        for task in background:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await answerer.aclose()
        await limits.aclose()
        await asyncio.to_thread(reader.close)

    app: FastAPI = FastAPIOffline(
        title=f"Ask about {settings.product_name}",
        description=f"Answers questions about {settings.product_name} from passages of "
        f"{settings.corpus_description}.",
        version=VERSION,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redoc_url=None,
        lifespan=lifespan,
    )
    # What the routes use, see `from_app`.
    app.state.settings = settings
    app.state.reader = reader
    app.state.answerer = answerer
    app.state.metrics = metrics
    app.state.load = load
    app.state.changes = changes
    app.state.upload_parser = UploadParser(settings)
    app.state.keys = keys
    app.state.limits = limits
    _install_http(app)
    app.router.routes.append(mcp.route)
    return app


def _install_http(app: FastAPI) -> None:
    settings: Settings = app.state.settings
    metrics: Metrics = app.state.metrics
    for routes in (router, documents_router, chat.router):
        app.include_router(routes)
    app.add_middleware(
        BodyLimit, limit=settings.max_body_bytes, upload_limit=settings.max_upload_bytes
    )
    app.add_middleware(Admission, load=app.state.load)
    app.add_middleware(ConditionalGet)
    app.add_middleware(GZipMiddleware, minimum_size=MIN_COMPRESSED_BYTES, compresslevel=5)
    app.add_middleware(
        RateLimits,
        limiter=app.state.limits.limiter,
        settings=settings,
        count_refusal=metrics.count_refusal,
    )
    app.add_middleware(KeyCheck, keys=app.state.keys)
    app.add_middleware(TrustedHosts, allowed=settings.allowed_hosts)
    app.add_middleware(RequestTracker, metrics=metrics)
    install_error_handlers(app)
    describe_limits(app, settings)
    describe_access(app, app.state.keys)


async def _follow_index(settings: Settings, reader: Reader) -> None:
    """Import the snapshot that the settings name if there is no index; then follow the index."""
    while settings.snapshot_url:
        from database.snapshot.initial_pull import pull_at_start

        try:
            await asyncio.to_thread(pull_at_start, settings)
            break
        except DocsQAError as error:
            log.warning("No snapshot yet: %s", error)
        except Exception:
            log.exception("Unexpected error while importing a snapshot")
        with contextlib.suppress(DocsQAError):
            await asyncio.to_thread(reader.refresh)  # /readyz then names what is missing
        await asyncio.sleep(SNAPSHOT_RETRY_SECONDS)
    await _poll(reader)


async def _poll(reader: Reader) -> None:
    """Poll the index: load a new one, and reconnect after an outage."""
    logged = ""
    served = None
    while True:
        try:
            state = await asyncio.to_thread(reader.refresh)
            if served is None or not served.is_same_build(state.live):
                _exempt_from_collection(is_first=served is None)
                served = state.live
            logged = ""
        except DocsQAError as error:
            if str(error) != logged:
                log.warning("Not ready: %s", error)
                logged = str(error)
        except Exception as error:
            if repr(error) != logged:
                log.exception("Unexpected error while polling the index")
                logged = repr(error)
        await asyncio.sleep(WATCH_SECONDS)


def _exempt_from_collection(*, is_first: bool) -> None:
    """Exempt what is loaded now from garbage collection.

    A full collection would otherwise visit all chunks and terms, which stops all threads: 0.2 s
    for 12,600 chunks, at any time. One is needed when an index has replaced another.
    """
    if not is_first:
        gc.unfreeze()
        gc.collect()
    gc.freeze()


async def _scrub(reader: Reader) -> None:
    """Verify the served index as it is stored, at intervals."""
    wait = SCRUB_SECONDS
    while True:
        await asyncio.sleep(wait)
        started = time.monotonic()
        try:
            await asyncio.to_thread(reader.scrub)
        except DocsQAError as error:
            log.info("The index could not be verified: %s", error)
        except Exception:
            log.exception("Unexpected error while verifying the index")
        wait = max(SCRUB_SECONDS, (time.monotonic() - started) / SCRUB_SHARE)
