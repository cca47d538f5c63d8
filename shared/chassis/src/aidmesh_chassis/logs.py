"""Structured logs: JSON lines for machines, colors on a terminal, no personal data on either.

`configure` sets up structlog and takes over stdlib logging (server, broker client, driver), so
that every line of a process passes the same redaction and has the same shape: `event` from a
documented vocabulary, `ts`, `level`, `service`, `region`, and the ids bound to the context
(`request_id`, `correlation_id`, `need_id`, `event_id`, …). A line that cannot be written is
dropped: logging never fails the work that it tells of.
"""

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NoReturn, TextIO, cast
from uuid import UUID

import structlog
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict, FilteringBoundLogger

from aidmesh_chassis.redaction import (
    Loggable,
    exception_fields,
    redact_foreign_text,
    redact_mapping,
    redact_text,
)

REPEATS_MAX: Final = 120
"""Lines of one event and level per minute; what comes beyond is counted, not written."""
_WINDOW_S: Final = 60.0
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEYS_MAX: Final = 512
# One line per request is promised, so these are never suppressed.
_UNLIMITED: Final = frozenset({"http.request", "http.probe"})
_OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "faststream", "nats",
                        "asyncpg", "asyncio")  # fmt: skip

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The W3C trace context of the request or message at hand, passed on with what it causes."""

CORRELATION: ContextVar[str | None] = ContextVar("correlation", default=None)
"""The correlation id of the request at hand: events that it causes carry it on."""


@contextmanager
def carrying(correlation_id: UUID | None, traceparent: str | None) -> Iterator[None]:
    """Have what is said meanwhile go back to what was kept of its cause, if anything was."""
    if correlation_id is None:
        yield
        return
    correlation = CORRELATION.set(str(correlation_id))
    trace = TRACEPARENT.set(traceparent)
    try:
        yield
    finally:
        TRACEPARENT.reset(trace)
        CORRELATION.reset(correlation)


def get_logger() -> FilteringBoundLogger:
    """The logger: `log.info("need.approved", need_id=…)`; names are from the vocabulary."""
    return cast("FilteringBoundLogger", structlog.get_logger())


class Deferred:
    """Lines about a transaction, written when it has committed: until then nothing has happened.

    What costs something to put together is asked for by `is_enabled_for`.
    """

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, dict[str, object]]] = []

    def is_enabled_for(self, level: int) -> bool:
        """Whether lines of this level (`logging.DEBUG`, …) are written at all."""
        return get_logger().is_enabled_for(level)

    def debug(self, event: str, **fields: object) -> None:
        """Tell what only somebody who looks closely wants to know."""
        self._lines.append((logging.DEBUG, event, fields))

    def info(self, event: str, **fields: object) -> None:
        """Tell what happened."""
        self._lines.append((logging.INFO, event, fields))

    def warning(self, event: str, **fields: object) -> None:
        """Tell what somebody should look at."""
        self._lines.append((logging.WARNING, event, fields))

    def write(self) -> None:
        """Write the lines; called once, after the commit."""
        if self._lines:
            logger = get_logger()
            for level, event, fields in self._lines:
                logger.log(level, event, **fields)
            self._lines.clear()


def counted(word: str, ids: Collection[UUID]) -> dict[str, object]:
    """Fields of a line about several of a kind: how many, and which one where it is only one."""
    fields: dict[str, object] = {f"{word}s": len(ids)}
    if len(ids) == 1:
        fields[f"{word}_id"] = str(next(iter(ids)))
    return fields


def ms_since(started: float) -> float:
    """Milliseconds since a moment by `time.perf_counter`, as `duration_ms` tells them."""
    return round((time.perf_counter() - started) * 1000, 1)


def bind_need(need_id: object) -> None:
    """Name the need that the request at hand is about in all its lines.

    Args:
        need_id: as it stands in the path; what is no id is not written.
    """
    if isinstance(need_id, str) and _UUID.fullmatch(need_id):
        structlog.contextvars.bind_contextvars(need_id=need_id.lower())


def configure(
    service: str,
    region: str,
    *,
    level: str = "info",
    stream: TextIO | None = None,
    repeats_max: int = REPEATS_MAX,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Set up logging for this process; a later call replaces an earlier one.

    `service` and `region` are the defaults of lines whose context binds no others. `stream` is
    standard output when not given. Raises ValueError for an unknown `level`.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {level}.")
    out = stream or sys.stdout
    writer = _Writer(
        out,
        _colored() if out.isatty() else _json_line,
        {"service": service, "region": region},
        _Limiter(repeats_max, clock),
    )
    structlog.configure(
        processors=[writer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge(writer))
    root.setLevel(max(number, logging.INFO))
    adopt(*_OWN_HANDLERS)
    # Ours is written by the request middleware; uvicorn's would hold paths and addresses.
    logging.getLogger("uvicorn.access").disabled = True
    # These tell every address that they ask for, ids and all.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of every migration that it applies: `database.migrated` tells of them.
    logging.getLogger("pogo_core").setLevel(logging.ERROR)


def adopt(*names: str) -> None:
    """Have stdlib loggers that brought handlers of their own write through ours alone."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


@dataclass(slots=True)
class _Repeats:
    level: str
    seen: int = 0
    suppressed: int = 0


class _Limiter:
    """Counts lines per event and level in windows of a minute; memory is bounded."""

    def __init__(self, repeats_max: int, clock: Callable[[], float]) -> None:
        self._repeats_max = repeats_max
        self._clock = clock
        self._window_ends = clock() + _WINDOW_S
        self._keys: dict[str, _Repeats] = {}

    def admit(self, event: str, level: str) -> bool:
        """Whether this line is to be written."""
        if event in _UNLIMITED:
            return True
        key = f"{level} {event}"
        repeats = self._keys.get(key)
        if repeats is None:
            # Event names are few; if something makes up names, the surplus shares one budget.
            key = key if len(self._keys) < _KEYS_MAX else f"{level} (other)"
            repeats = self._keys.setdefault(key, _Repeats(level))
        repeats.seen += 1
        if repeats.seen <= self._repeats_max:
            return True
        repeats.suppressed += 1
        return False

    def ended(self) -> list[dict[str, Loggable]]:
        """When a window is over: a line for each event of which lines were suppressed."""
        now = self._clock()
        if now < self._window_ends:
            return []
        told: list[dict[str, Loggable]] = [
            {
                "event": "log.suppressed",
                "level": "warning",
                "of": key.split(" ", 1)[1],
                "of_level": repeats.level,
                "suppressed": repeats.suppressed,
            }
            for key, repeats in self._keys.items()
            if repeats.suppressed
        ]
        self._keys.clear()
        self._window_ends = now + _WINDOW_S
        return told


class _Writer:
    """The whole of the processor chain: redact, limit, render, write."""

    def __init__(
        self,
        stream: TextIO,
        render: Callable[[dict[str, Loggable]], str],
        defaults: dict[str, str],
        limiter: _Limiter,
    ) -> None:
        self._stream = stream
        self._render = render
        self._defaults = defaults
        self._limiter = limiter
        self._lock = threading.Lock()

    def __call__(self, logger: object, method: str, event_dict: EventDict) -> NoReturn:
        """The structlog processor; nothing is left to do for the logger behind it."""
        self.write("error" if method == "exception" else method, event_dict)
        raise structlog.DropEvent

    def write(self, level: str, fields: MutableMapping[str, object]) -> None:
        event = redact_text(str(fields.pop("event", "")))
        error = _exception(fields.pop("exc_info", None))
        merged: dict[object, object] = {}
        merged.update(get_contextvars())
        merged.update(fields)
        with self._lock:
            suppressed = self._limiter.ended()
            admitted = self._limiter.admit(event, level)
        for row in suppressed:
            self._emit({**self._head(str(row["event"]), "warning"), **row})
        if not admitted:
            return
        line = self._head(event, level)
        line.update(self._defaults)
        line.update(redact_mapping(merged))
        if error is not None:
            line["exception"] = cast("Loggable", exception_fields(error))
        self._emit(line)

    def _head(self, event: str, level: str) -> dict[str, Loggable]:
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"ts": ts, "level": level, "event": event, **self._defaults}

    def _emit(self, line: dict[str, Loggable]) -> None:
        try:
            text = self._render(line) + "\n"
            with self._lock:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            # The disk is full, or whoever read our output has gone.
            return


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        found = cast("tuple[object, BaseException | None, TracebackType | None]", given)
        return found[1]
    return sys.exc_info()[1] if given else None


def _json_line(line: dict[str, Loggable]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _colored() -> Callable[[dict[str, Loggable]], str]:
    console = structlog.dev.ConsoleRenderer(colors=True, timestamp_key="ts", event_key="event")

    def render(line: dict[str, Loggable]) -> str:
        fields: EventDict = dict(line)
        trouble = fields.pop("exception", None)
        text = str(console(None, str(line["level"]), fields))
        if isinstance(trouble, dict):
            text += f"\n    {trouble['type']}: {trouble.get('message', '')}"
            at = trouble.get("at")
            text += "".join(f"\n      {place}" for place in at) if isinstance(at, list) else ""
        return text

    return render


class _Bridge(logging.Handler):
    """Lines of libraries: one event name, the library's logger and words as fields."""

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = redact_foreign_text(record.getMessage())
        except (TypeError, ValueError):
            message = redact_foreign_text(str(record.msg))
        self._writer.write(
            record.levelname.lower(),
            {
                "event": "library.log",
                "logger": record.name,
                "message": message,
                "exc_info": record.exc_info,
            },
        )
