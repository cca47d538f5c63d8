"""Which processes of a region ended of late, and why: by the mesh's own log, and by theirs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aidmesh.doctor.findings import Finding
from aidmesh.reading.lines import Fields, moment, parse
from aidmesh.words import count

LATELY: Final = timedelta(minutes=15)
AGAIN: Final = 2
"""Who ended so many times in that time ends by itself."""
READ_BYTES_MAX: Final = 256 * 1024
SETTINGS: Final = (
    "Put it right in the environment of aidmesh up, then start that anew (docs/settings.md says "
    "what it may be)."
)


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known of a process that ended of late.

    Attributes:
        log: the file that it writes to.
        times: how many times it did.
        last: at what time of day (UTC).
        why: what it said of it, empty if nothing that can be told.
        by_settings: whether they keep it from starting.
    """

    log: Path
    times: int = 0
    last: str = ""
    why: str = ""
    by_settings: bool = False

    def finding(self, region: str, process: str, services: Sequence[str]) -> Finding:
        """What it means, and what is done about it."""
        return Finding(
            "error",
            f"{region} {process}",
            f"ended {count(self.times, 'time')} in the last 15 minutes, last at {self.last} UTC"
            f"{': ' if self.why else ''}{self.why}",
            f"What it does stands still ({', '.join(services)}); what comes in meanwhile waits.",
            SETTINGS
            if self.by_settings
            else f"The end of {self.log} says why. It is started again by itself; look at memory "
            "and disk, then at the last upgrade.",
        )


NOBODY_ENDED: Final[Mapping[str, Mapping[str, Ended]]] = MappingProxyType({})


def ended_lately(data: Path, region: str, now: datetime | None = None) -> dict[str, Ended]:
    """By name the processes of a region that ended by themselves in the last 15 minutes.

    Args:
        data: folder of the mesh.
        region: whose.
        now: until when.
    """
    since = moment(((now or datetime.now(UTC)) - LATELY).isoformat())
    found: dict[str, Ended] = {}
    for at, fields in _end_of(data / "mesh.log"):
        if at >= since and fields.get("event") == "process.died" and fields.get("region") == region:
            name = str(fields.get("process"))
            so_far = found.get(name) or Ended(data / region / "log" / f"{name}.log")
            found[name] = replace(so_far, times=so_far.times + 1, last=at[11:16])
    return {name: _with_reason(each, since) for name, each in found.items()}


def _with_reason(ended: Ended, since: str) -> Ended:
    """The same with what the process said last of why it can't go on."""
    said: dict[str, None] = {}
    by_settings = False
    for at, fields in _end_of(ended.log):
        event = fields.get("event")
        if at < since or event not in {"settings.refused", "service.failed"}:
            continue
        if by_settings is not (event == "settings.refused"):
            said.clear()
        by_settings = event == "settings.refused"
        if by_settings:
            said[f"{fields.get('setting')}: {fields.get('reason')}"] = None
        else:
            trouble = fields.get("exception")
            told = trouble if isinstance(trouble, dict) else {}
            said = {f"{told.get('type', '')}: {told.get('message', '')}": None}
    return replace(ended, why="; ".join(said), by_settings=by_settings)


def _end_of(path: Path) -> Iterator[tuple[str, Fields]]:
    """Time and content of the last lines of a log; of none that is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - READ_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        read = parse(line)
        yield read.at, read.fields
