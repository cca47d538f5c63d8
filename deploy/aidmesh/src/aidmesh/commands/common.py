"""What several commands share."""

import sys
from collections.abc import Coroutine, Mapping
from typing import Final, NoReturn

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "it is done, and nothing is wrong",
    EXIT_FAILED: "something failed, is wrong or was not found: a person should look",
    EXIT_REFUSED: "it can't be done as it was asked; nothing was begun and nothing changed",
    EXIT_INTERRUPTED: "it was interrupted by Ctrl-C",
}
"""What the exit code of any command means."""


def names(text: str | None) -> tuple[str, ...] | None:
    """`kyiv,lviv` as names, in the order given, each once; None stays None."""
    if text is None:
        return None
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def refuse(message: str) -> NoReturn:
    """End with a message for the person and exit code 2; nothing was changed."""
    print(f"aidmesh: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(EXIT_REFUSED)


def say(line: str) -> None:
    """One line for the person."""
    print(line, flush=True)  # noqa: T201


def warn(line: str) -> None:
    """One line for the person, apart from what a machine reads."""
    print(f"aidmesh: {line}", file=sys.stderr, flush=True)  # noqa: T201


def tell(found: object) -> None:
    """What was found, as JSON for a machine."""
    import json  # noqa: PLC0415

    say(json.dumps(found, indent=1, ensure_ascii=False))


def report(as_json: bool, fields: Mapping[str, object], *lines: str) -> None:
    """What was done: `fields` for a machine, or the lines for a person."""
    if as_json:
        tell(fields)
    for line in () if as_json else lines:
        say(line)


def run(work: Coroutine[None, None, int], *, unreached: int = EXIT_FAILED) -> NoReturn:
    """Run a command to its end; errors meant for a person become one message.

    Args:
        work: the command.
        unreached: the exit code when servers of a region do not answer; that of a refusal for a
            command that has not begun then, or whose failure would be taken for an answer.
    """
    import asyncio  # noqa: PLC0415

    import asyncpg  # noqa: PLC0415
    import nats.errors  # noqa: PLC0415

    from aidmesh.embedded.errors import EmbeddedError, FolderInUseError  # noqa: PLC0415
    from aidmesh.meshfile import AwayError, MeshError  # noqa: PLC0415
    from aidmesh.topology.api import ApiError  # noqa: PLC0415
    from aidmesh.topology.provision import TopologyError  # noqa: PLC0415

    expected = (EmbeddedError, MeshError, TopologyError, ApiError, OSError, nats.errors.Error,
                asyncpg.PostgresError, asyncpg.InterfaceError)  # fmt: skip

    def on_stray(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # Seen from asyncpg while a database was being started. A task that failed is never hidden.
        forgotten = context.get("message") == "Future exception was never retrieved"
        if not (forgotten and isinstance(context.get("exception"), ConnectionError)):
            loop.default_exception_handler(context)

    async def all_of_it() -> int:
        asyncio.get_running_loop().set_exception_handler(on_stray)
        return await work

    try:
        sys.exit(asyncio.run(all_of_it()))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except (*expected, BaseExceptionGroup) as error:
        first = _first(error)
        if isinstance(first, FolderInUseError | MeshError):
            refuse(str(first))
        if not isinstance(first, expected):
            raise
        warn(_said(first))
        sys.exit(unreached if isinstance(first, AwayError) else EXIT_FAILED)


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "a server did not answer in time; aidmesh doctor says which"
    return str(error) or type(error).__name__


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
