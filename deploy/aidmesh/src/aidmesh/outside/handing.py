"""Hands each service and server what it needs of the keys and passwords, and nothing else.

What is replaced in the folder of keys is handed out anew within a moment, in an order in which no
service misses a key: secret halves first, then public ones, and what is gone goes last.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aidmesh.credentials import FOLDER
from aidmesh.embedded.postgres import SETTINGS, settings_text
from aidmesh.meshfile import SERVICES, WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.outside.places import HTTP_PORT, SECRETS, Places
from aidmesh.passwords import lines
from aidmesh.region_settings import service_settings
from aidmesh.topology.cluster import ANY_HOST, OWN, PEERS
from aidmesh_chassis.keys import INTAKE, INVENTORY, MASTER, NOTIFICATION, PAYMENTS, TOKENS
from aidmesh_chassis.revoking import REVOKED_FILE

HELD: Final[Mapping[str, tuple[str, ...]]] = {
    "intake": (MASTER, INTAKE),
    "inventory": (MASTER, INVENTORY),
    "payments": (PAYMENTS,),
    "notification": (NOTIFICATION,),
    "reporting": (),
    "console": (TOKENS,),
}
"""The secret keys that each service works with."""

ENTERED: Final[Mapping[str, tuple[str, ...]]] = {"notification": ("SMTP_PASSWORD",)}
"""Secret settings that only the operator knows, by service. They lie in the folder of keys, as a
file that is named as the service's own (see `setting_file`), so they are in no environment."""

_ONE_AT_A_TIME: Final = threading.Lock()

STAFF_FILE: Final = "staff.jsonl"
PASSWORDS: Final = "database.passwords"
OWN_MODE: Final = 0o600
GROUP_MODE: Final = 0o640
"""PostgreSQL has an account of its own, which is of our group in its container."""

POSTGRES: Final[Mapping[str, str]] = {
    name: value
    for name, value in {
        **SETTINGS,
        "listen_addresses": "*",
        "unix_socket_directories": "/var/run/postgresql",
        "logging_collector": "off",  # the engine has the log
        "log_destination": "stderr",
    }.items()
    if not name.startswith(("log_directory", "log_filename", "log_rotation", "log_truncate"))
}


@dataclass(frozen=True, slots=True)
class Handed:
    """A file: what it holds, and its time where that means something."""

    data: bytes
    mtime_ns: int | None = None
    mode: int = OWN_MODE


def setting_file(service: str, field: str) -> str:
    """What the file that holds a service's setting is called."""
    return f"aidmesh_{service}_{field.lower()}"


def for_service(region: str, entry: RegionEntry, name: str) -> dict[str, Handed]:
    """Its keys, all public ones, and a file for each of its settings (see its `config`)."""
    entered = {setting_file(name, field) for field in ENTERED.get(name, ())}
    names = [
        path.name
        for path in entry.keys.iterdir()
        if path.suffix == ".pub"
        or (path.suffix == ".key" and path.name.partition(".")[0] in HELD[name])
        or path.name == REVOKED_FILE
        or (path.name == STAFF_FILE and name == "console")
        or path.name in entered
    ]
    files = _copies(entry.keys, names)
    settings = service_settings(region, entry, name, SECRETS, listen=(ANY_HOST, HTTP_PORT))
    if name in WITH_DATABASE:
        files |= _copies(entry.keys, [f"{FOLDER}/{name}.nk"])
        files[PASSWORDS] = Handed(lines(entry, name).encode())
        settings["DATABASE_PASSWORD_FILE"] = str(SECRETS / PASSWORDS)
    return files | {
        setting_file(name, field): Handed(value.encode()) for field, value in settings.items()
    }


def for_postgres(entry: RegionEntry) -> dict[str, Handed]:
    """The superuser's password, and the settings."""
    return {
        "password": Handed(entry.own_postgres.password.encode(), mode=GROUP_MODE),
        "postgresql.conf": Handed(settings_text(POSTGRES).encode(), mode=GROUP_MODE),
    }


def for_nats(entry: RegionEntry, peers: list[str]) -> dict[str, Handed]:
    """A folder of keys without the secret ones of its users."""
    names = [f"{FOLDER}/{each}" for each in OWN]
    names += [f"peers/{peer}/{FOLDER}/{each}" for peer in peers for each in PEERS]
    return _copies(entry.keys, names)


def hand_out(region: str, mesh: MeshFile, places: Places) -> list[str]:
    """Bring to everybody what has changed; returns who was handed something.

    Raises OSError when a key cannot be read.
    """
    with _ONE_AT_A_TIME:
        return _hand_out(region, mesh, places)


def _hand_out(region: str, mesh: MeshFile, places: Places) -> list[str]:
    entry = mesh.regions[region]
    changed = [
        name for name in SERVICES if put(places.out / name, for_service(region, entry, name))
    ]
    if put(places.out / "postgres", for_postgres(entry)):
        changed.append("postgres")
    if put(places.nats / "keys", for_nats(entry, mesh.peers(region))):
        changed.append("nats")
    return changed


def put(folder: Path, files: Mapping[str, Handed]) -> bool:
    """Have a folder hold these files, by relative name, and no others; whether anything changed."""
    changed = False
    for name in sorted(files, key=_turn):
        path, wanted = folder / name, files[name]
        if not _is_as(path, wanted):
            changed = True
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            _replace(path, wanted)
    for path in [each for each in folder.rglob("*") if each.is_file()]:
        if str(path.relative_to(folder)) not in files:
            changed = True
            path.unlink()
    return changed


def _copies(folder: Path, names: list[str]) -> dict[str, Handed]:
    return {
        name: Handed((folder / name).read_bytes(), (folder / name).stat().st_mtime_ns)
        for name in names
    }


def _turn(name: str) -> tuple[int, str]:
    order = {".key": 0, ".nk": 0, ".pub": 1}
    return order.get(Path(name).suffix, 2), name


def _is_as(path: Path, wanted: Handed) -> bool:
    try:
        same_time = wanted.mtime_ns in {None, path.stat().st_mtime_ns}
        return same_time and path.read_bytes() == wanted.data
    except FileNotFoundError:
        return False


def _replace(path: Path, wanted: Handed) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, wanted.mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(wanted.data)
        file.flush()
        os.fsync(descriptor)
    if wanted.mtime_ns is not None:
        os.utime(part, ns=(wanted.mtime_ns, wanted.mtime_ns))
    part.replace(path)
