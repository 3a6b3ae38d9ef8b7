"""Puts the service together; everything it needs can be passed in."""

import asyncio
import contextlib
import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database.changing.changer import SplitDocument
from database.index.fingerprint import Recipe
from database.reading.reader import Reader, reader_from
from inference_worker.answering.answerer import Answerer
from inference_worker.answering.metrics import Metrics
from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.providers import language_model_from
from inference_worker.http import problems
from inference_worker.http.body_limit import BodyLimit
from inference_worker.http.documents.change_queue import ChangeQueue
from inference_worker.http.documents.routes import router as documents_router
from inference_worker.http.documents.upload_parser import UploadParser
from inference_worker.http.openai import chat
from inference_worker.http.request_metrics import RequestMetrics
from inference_worker.http.routes import router
from utils.errors import DocsQAError
from utils.settings import VERSION, Settings

log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""Between two looks at the pointer: a new index is noticed within two seconds."""
SNAPSHOT_RETRY_SECONDS = 10.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(
    settings: Settings,
    *,
    reader: Reader | None = None,
    llm: LanguageModel | None = None,
    splitter: Callable[[Recipe], SplitDocument] | None = None,
) -> FastAPI:
    """Make the service.

    Args:
        settings: The settings.
        reader: Finds passages; made from the settings unless given.
        llm: Writes answers; made from the settings unless given, None there without a key.
        splitter: Makes what splits documents as an index was; made from the settings unless given.

    Raises:
        SettingsError: the settings cannot make a service.
    """
    reader = reader or reader_from(settings)
    llm = llm or language_model_from(settings)
    metrics = Metrics()
    answerer = Answerer(reader, llm, settings, metrics)
    changes = ChangeQueue(reader, answerer, settings, splitter)
    from inference_worker.http.mcp.server import McpEndpoint  # takes a second to import

    mcp = McpEndpoint(
        answerer,
        version=VERSION,
        most_characters=settings.max_question_characters,
        allowed_hosts=settings.mcp_allowed_hosts,
        allowed_origins=settings.mcp_allowed_origins,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log.info(
            "Answers are written by %s", llm.name if llm else "quoting: no MISTRAL_API_KEY is set"
        )
        watching = asyncio.create_task(_begin_and_watch(settings, reader))
        await answerer.prepare()
        changes.start()
        async with mcp.running():
            yield
        await changes.stop()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await answerer.aclose()
        await asyncio.to_thread(reader.close)

    app: FastAPI = FastAPIOffline(
        title="SageMaker documentation, asked",
        description="Answers questions over the AWS SageMaker documentation from its passages.",
        version=VERSION,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.reader = reader
    app.state.answerer = answerer
    app.state.metrics = metrics
    app.state.changes = changes
    app.state.upload_parser = UploadParser(settings)
    app.include_router(router)
    app.include_router(documents_router)
    app.include_router(chat.router)
    app.router.routes.append(mcp.route)
    app.add_middleware(
        BodyLimit, limit=settings.max_body_bytes, upload_limit=settings.max_upload_bytes
    )
    app.add_middleware(RequestId)
    app.add_middleware(RequestMetrics, metrics=metrics)
    problems.install_error_handlers(app)
    return app


async def _begin_and_watch(settings: Settings, reader: Reader) -> None:
    """Where there is no index and a snapshot is named, begin with that; then follow the index."""
    while settings.snapshot_url:
        from database.snapshot.initial_pull import pull_at_start

        try:
            await asyncio.to_thread(pull_at_start, settings)
            break
        except DocsQAError as error:
            log.warning("No snapshot yet: %s", error)
        except Exception:
            log.exception("Unforeseen while a snapshot was pulled")
        with contextlib.suppress(DocsQAError):
            await asyncio.to_thread(reader.refresh)  # /readyz then says what is missing
        await asyncio.sleep(SNAPSHOT_RETRY_SECONDS)
    await _watch(reader)


async def _watch(reader: Reader) -> None:
    """Open the index, follow it when it moves, and come back to it when it was away."""
    said = ""
    while True:
        try:
            await asyncio.to_thread(reader.refresh)
            said = ""
        except DocsQAError as error:
            if str(error) != said:
                log.warning("Not ready: %s", error)
                said = str(error)
        except Exception:
            log.exception("Unforeseen while looking at the index")
        await asyncio.sleep(WATCH_SECONDS)


class RequestId:
    """Gives each request an id, the caller's own if it is plain, and says it in the response.

    Also tells browsers to take a response for nothing but what it says it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)
