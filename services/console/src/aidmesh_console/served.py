"""The few files that pages need besides themselves, kept in memory.

Their address holds a hash of their content, so that a phone fetches each of them once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_TYPES: Final = {
    "desk.css": "text/css; charset=utf-8",
    "desk.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    path: str
    content: bytes
    media_type: str


def static_files() -> Mapping[str, StaticFile]:
    """Every static file by its name."""
    folder = files("aidmesh_console") / "static"
    found = {}
    for name, media_type in _TYPES.items():
        content = (folder / name).read_bytes()
        version = hashlib.blake2b(content, digest_size=6).hexdigest()
        found[name] = StaticFile(f"/static/{version}/{name}", content, media_type)
    return found
