"""The process of a service: its command line, its event loop, its end.

`serve` runs one service or all of a region in one process: each has its own pool, its own
broker connection and its own port; they share nothing but the event loop.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from aidmesh_chassis import logs, tracing
from aidmesh_chassis.migrating import migrate
from aidmesh_chassis.running import Running
from aidmesh_chassis.service import Service

log = logs.get_logger()


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


def main(
    name: str, build: Callable[[], Service], migrations: Path | None, also: Sequence[str] = ()
) -> None:
    """The command line of a service: `run` or `migrate`.

    Args:
        name: the service's name.
        build: its composition root.
        migrations: its folder of migrations, None where it has no database.
        also: further commands that it has, for who has mistyped one.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "migrate" and migrations is not None:
        service = build()
        logs.configure(name, service.settings.region, level=service.settings.log_level)
        url = service.settings.database_url
        if url is None:
            sys.exit(f"AIDMESH_{name.upper()}_DATABASE_URL is not set")
        password_file = service.settings.database_password_file
        asyncio.run(migrate(url.get_secret_value(), [migrations], password_file))
    elif command == "run":
        service = build()
        logs.configure(name, service.settings.region, level=service.settings.log_level)
        run([service])
    else:
        known = ["run", *(["migrate"] if migrations is not None else []), *also]
        sys.exit(f"usage: python -m aidmesh_{name} {' | '.join(known)}")


def run(services: Sequence[Service]) -> None:
    """Run services on the fastest event loop there is, until told to stop."""
    uvloop.run(serve(services))
