"""Creates uvicorn's server with the limits on connections that the settings name."""

from functools import partial
from typing import cast

import uvicorn
from fastapi import FastAPI

from inference_worker.http.server.connections import (
    ConnectionLimits,
    ConnectionRegistry,
    Networks,
    affordable_connections,
)
from inference_worker.http.server.protocol import LimitedProtocol
from utils.settings import Settings

BACKLOG = 256
"""Connections that wait to be accepted, and that are accepted at once."""


def limited_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Create the server of an app from `create_app`."""
    total = affordable_connections(
        settings.max_connections, BACKLOG, reserved=settings.inference_concurrency
    )
    registry = ConnectionRegistry(
        ConnectionLimits(total, settings.max_connections_per_address),
        app.state.metrics.count_refusal,
    )
    proxies = settings.trusted_proxies
    protocol = partial(LimitedProtocol, registry, app.state.load, Networks(proxies))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=cast("type[LimitedProtocol]", protocol),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            # By default, uvicorn trusts X-Forwarded-For from clients on this machine.
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )
