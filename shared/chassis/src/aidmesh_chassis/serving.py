"""Serves an app over HTTP for as long as its service runs."""

import asyncio

import uvicorn
from fastapi import FastAPI

from aidmesh_chassis.settings import ServiceSettings

KEEP_ALIVE_S_MAX = 30
STOP_S_MAX = 5


async def serve_http(app: FastAPI, settings: ServiceSettings) -> None:
    """Answer requests until cancelled; those under way may then end, within `STOP_S_MAX`."""
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S_MAX,
            timeout_graceful_shutdown=STOP_S_MAX,
            lifespan="on",
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving  # bounded by timeout_graceful_shutdown
        raise


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: `serve` has them for the whole process."""

    def capture_signals(self) -> "_NoSignals":  # type: ignore[override]
        return _NoSignals()


class _NoSignals:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
