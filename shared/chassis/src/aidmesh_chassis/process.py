"""The process of a service: its command line, its event loop, its end.

`serve` runs one service or all of a region in one process: each has its own pool, its own
broker connection and its own port; they share nothing but the event loop.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import structlog
import uvloop

from aidmesh_chassis import logs, tracing
from aidmesh_chassis.migrating import migrate
from aidmesh_chassis.running import Running, bound_by
from aidmesh_chassis.service import Service
from aidmesh_chassis.settings import (
    ServiceSettings,
    SettingsRefused,
    read_settings,
    unknown_settings,
)
from aidmesh_chassis.starting import EXIT_REFUSED

log = logs.get_logger()

UNKNOWN: Final = "unknown"
"""The region of what is told before any service's settings could be read."""


def _collect_rarely() -> None:
    """Let the garbage collector look at fewer objects, less often (decision 0016).

    A batch makes tens of thousands of objects that live until it is committed; the default of
    700 has the collector walk them again and again in vain.
    """
    # What was imported stays for good. Looking through it for the little that is garbage (1,600
    # objects of 170,000) would take a tenth of a start.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()  # see `starting`


async def serve(services: Sequence[Service]) -> None:
    """Run services until SIGTERM or SIGINT.

    Raises:
        RuntimeError: one of them can't go on; the process should end and be started anew.
    """
    _collect_rarely()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = [asyncio.create_task(Running(service).run()) for service in services]
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait([*running, waiter], return_when=asyncio.FIRST_COMPLETED)
    for task in (*running, waiter):
        task.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    tracing.close(service.app.state.spans for service in services)
    for result in results:
        if isinstance(result, BaseExceptionGroup):
            log.critical("service.failed", exc_info=result)
    if not stop.is_set():
        raise RuntimeError("a service ended by itself")


def main(name: str, migrations: Path | None, also: Sequence[str] = ()) -> None:
    """The command line of a service: `run` or `migrate`.

    Args:
        name: the service's name.
        migrations: its folder of migrations, None where it has no database.
        also: further commands that it has, for who has mistyped one.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    known = ["run", *(["migrate"] if migrations is not None else [])]
    if command not in known:
        sys.exit(f"usage: python -m aidmesh_{name} {' | '.join([*known, *also])}")
    (service,) = put_together([name], name)
    if command == "run":
        run([service])
        return
    assert migrations is not None  # noqa: S101 - else it is not among the known ones
    url = service.settings.database_url
    assert url is not None  # noqa: S101 - else it could not be built
    password_file = service.settings.database_password_file
    asyncio.run(migrate(url.get_secret_value(), [migrations], password_file))


def put_together(names: Sequence[str], called: str) -> list[Service]:
    """Build services by their settings, with logs on before: what they say while built is found.

    Ends the process when one can't be built; of settings each that is wrong is told first.

    Args:
        names: of the services.
        called: what the process is called in lines that are about none of them.
    """
    kinds: dict[str, type[ServiceSettings]] = {
        name: import_module(f"aidmesh_{name}.config").Settings for name in names
    }
    settings: dict[str, ServiceSettings] = {}
    refused: dict[str, SettingsRefused] = {}
    for name, kind in kinds.items():
        try:
            settings[name] = read_settings(kind)
        except SettingsRefused as error:
            refused[name] = error
    first = next(iter(settings.values()), None)
    logs.configure(
        called,
        UNKNOWN if first is None else first.region,
        level="info" if first is None else first.log_level,
    )
    for name, kind in kinds.items():
        with structlog.contextvars.bound_contextvars(service=name):
            for setting, closest in unknown_settings(kind).items():
                log.warning("settings.unknown", setting=setting, closest=closest)
    services = [] if refused else _built(settings, refused)
    for name, each in refused.items():
        with structlog.contextvars.bound_contextvars(service=name):
            for setting, reason in each.reasons.items():
                log.critical("settings.refused", setting=setting, reason=reason)
    if refused:
        sys.exit(EXIT_REFUSED)
    return services


def _built(
    settings: Mapping[str, ServiceSettings], refused: dict[str, SettingsRefused]
) -> list[Service]:
    services = []
    for name, each in settings.items():
        build: Callable[[ServiceSettings], Service] = import_module(f"aidmesh_{name}.app").build
        with structlog.contextvars.bound_contextvars(**bound_by(name, each)):
            try:
                services.append(build(each))
            except SettingsRefused as error:
                refused[name] = error
            except Exception as error:
                log.critical("service.failed", exc_info=error)
                raise SystemExit(1) from error
    return services


def run(services: Sequence[Service]) -> None:
    """Run services on the fastest event loop there is, until told to stop."""
    uvloop.run(serve(services))
