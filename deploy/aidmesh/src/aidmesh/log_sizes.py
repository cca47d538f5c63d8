"""Keeps the logs that are written here from filling the disk."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.logs import get_logger

log = get_logger()

LOG_BYTES_MAX: Final = 64 * 1024**2
LOOK_S: Final = 60.0


async def keep_short(paths: Callable[[], Iterable[Path]]) -> None:
    """Shorten logs that have grown too large, until cancelled.

    Args:
        paths: the logs that there are now, of writers that append.
    """
    while goes_on():
        await asyncio.sleep(LOOK_S)
        for path in paths():
            try:
                await asyncio.to_thread(shorten, path)
            except OSError as error:
                log.warning("log.not_shortened", file=path.name, reason=type(error).__name__)


def shorten(path: Path) -> None:
    """Begin a log anew that is beyond its bound, and keep the one before it as `<name>.1`.

    What is written meanwhile may be lost. Where there is no room for the one before, it is lost:
    what fills the disk stops more than logs.

    Raises OSError when it can't be shortened.
    """
    if not path.exists() or path.stat().st_size <= LOG_BYTES_MAX:
        return
    before = path.with_name(f"{path.name}.1")
    try:
        shutil.copyfile(path, before)
    except OSError:
        before.unlink(missing_ok=True)
    os.truncate(path, 0)
