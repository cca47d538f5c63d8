"""The lines that a service writes, as a collector of logs would get them."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from aidmesh_chassis import logs


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
        structlog.reset_defaults()
        root = logging.getLogger()
        for handler in [each for each in root.handlers if type(each).__module__ == logs.__name__]:
            root.removeHandler(handler)
