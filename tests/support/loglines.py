"""The lines that a service writes, as a collector of logs would get them."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from aidmesh_chassis import logs


def to_read() -> None:
    """Have what is logged in this process written for whoever reads a test that failed.

    By itself structlog draws each traceback with its source and every value, in seconds: tests that
    break something on purpose log hundreds.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )


class Lines:
    """What was written so far."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    @property
    def text(self) -> str:
        """All of it."""
        return self._stream.getvalue()


@contextmanager
def written(service: str, level: str = "info") -> Iterator[Lines]:
    """Collect what is written meanwhile."""
    stream = io.StringIO()
    logs.configure(service, "kyiv", level=level, stream=stream)
    try:
        yield Lines(stream)
    finally:
        to_read()
        root = logging.getLogger()
        for handler in [each for each in root.handlers if type(each).__module__ == logs.__name__]:
            root.removeHandler(handler)
