"""What several commands share."""

import sys
from collections.abc import Coroutine
from typing import NoReturn

EXIT_FAILED = 1
EXIT_REFUSED = 2


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


def run(work: Coroutine[None, None, int]) -> NoReturn:
    """Run a command to its end; errors meant for a person become one message."""
    import asyncio  # noqa: PLC0415

    import asyncpg  # noqa: PLC0415
    import nats.errors  # noqa: PLC0415

    from aidmesh.embedded import EmbeddedError, FolderInUseError  # noqa: PLC0415
    from aidmesh.meshfile import MeshError  # noqa: PLC0415
    from aidmesh.topology.api import ApiError  # noqa: PLC0415
    from aidmesh.topology.provision import TopologyError  # noqa: PLC0415

    expected = (EmbeddedError, MeshError, TopologyError, ApiError, OSError, nats.errors.Error,
                asyncpg.PostgresError)  # fmt: skip
    code = EXIT_FAILED
    try:
        code = asyncio.run(work)
    except* (FolderInUseError, MeshError) as group:
        refuse(_first(group))
    except* expected as group:
        say(f"aidmesh: {_first(group)}")
    sys.exit(code)


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
