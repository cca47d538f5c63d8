"""The configuration file of a nats-server, and what the server has taken up of it; blocking."""

import http.client
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aidmesh.fetching import get_json
from aidmesh.topology.api import Json

CONFIG: Final = "nats.conf"
MONITOR_SECONDS_MAX: Final = 2.0


def write_config(folder: Path, config: str, files: Mapping[str, str]) -> Path:
    """Write a configuration and the files that it names; each is old or new, never half.

    Args:
        folder: of the configuration, which is there.
        config: its text.
        files: others beside it, by name.
    """
    for name, text in files.items():
        _replace(folder / name, text)
    return _replace(folder / CONFIG, config)


def monitored(monitor_port: int, host: str, path: str) -> Json | None:
    """What a server's monitor answers; None if it does not."""
    try:
        return get_json(f"http://{host}:{monitor_port}{path}", MONITOR_SECONDS_MAX)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def loaded_at(monitor_port: int, host: str) -> str | None:
    """When the configuration that a server works with was loaded; None if it does not answer."""
    found = (monitored(monitor_port, host, "/varz") or {}).get("config_load_time")
    return None if found is None else str(found)


def _replace(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    return part.replace(path)
