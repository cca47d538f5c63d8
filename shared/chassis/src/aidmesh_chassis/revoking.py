"""Tokens that end before their time: of staff who were disabled or given other roles.

One small JSON file beside the keys, `{"<staff id>": <seconds since the epoch>}`, says for whom
tokens issued up to then are void. It holds no name and no secret, so every service may read it.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from aidmesh_chassis.logs import get_logger

log = get_logger()

REVOKED_FILE: Final = "revoked.json"
LOOK_S: Final = 1.0
_CONTENT: Final = TypeAdapter(dict[UUID, int])


class Revocations:
    """What the file says, at most `LOOK_S` old.

    A file that cannot be read leaves what was known before: it would be a way to let everybody
    in, or nobody.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = -LOOK_S
        self._stamp: tuple[int, int] | None = None
        self._until: dict[UUID, int] = {}

    def void(self, staff_id: UUID, issued_at: int) -> bool:
        """Whether a token of this member of staff, issued then, is void."""
        now = self._clock()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._look()
        until = self._until.get(staff_id)
        return until is not None and issued_at <= until

    def _look(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._until = _CONTENT.validate_json(self._path.read_bytes())
                self._stamp = stamp
        except FileNotFoundError:
            return  # nobody's yet; or it was taken away, which lets nobody in
        except (OSError, ValidationError) as error:
            log.error("revocations.unreadable", cause=type(error).__name__)


def revoke(path: Path, staff_id: UUID, now: int, kept_s: int) -> None:
    """Make every token of a member of staff void that was issued up to `now`.

    Args:
        path: of the file; the caller sees to it that nobody else changes it.
        now: seconds since the epoch.
        kept_s: entries older than this go, since such tokens have ended by themselves.

    Raises:
        OSError, ValueError: it cannot be written, or is damaged.
    """
    until = _CONTENT.validate_json(path.read_bytes()) if path.exists() else {}
    until = {each: at for each, at in until.items() if at > now - kept_s} | {staff_id: now}
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({str(each): at for each, at in until.items()}, file)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)
