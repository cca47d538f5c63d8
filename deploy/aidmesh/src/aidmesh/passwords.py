"""New passwords for the roles of a region's PostgreSQL, while its services go on.

A role has one password, so it is the services that know two for a while: of those in their file any
may be the right one. The command writes down which are to come; whoever supervises the region does
the rest, and does it again if it was cut short:

    to come     in `mesh.json`, and handed to the services beside the present ones
    renewed     all roles at once, then they take the place of the present ones
    over        sessions from before are ended, idle ones first; services open new ones
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from aidmesh.credentials import write_file
from aidmesh.meshfile import (
    WITH_DATABASE,
    MeshError,
    MeshFile,
    RegionEntry,
    changing_mesh,
    new_password,
)

FOLDER: Final = "passwords"
"""Where the services of a region of our own find theirs, in the region's data folder."""


def begin(data: Path, region: str) -> None:
    """Write down passwords to come; those of a time that was cut short are used.

    Raises MeshError when the folder holds no mesh, or no such region.
    """
    with changing_mesh(data) as mesh:
        entry = _entry_of(mesh, region)
        server = entry.own_postgres
        server.next_password = server.next_password or new_password()
        for service in WITH_DATABASE:
            each = entry.services[service]
            each.next_database_password = each.next_database_password or new_password()


def _entry_of(mesh: MeshFile, region: str) -> RegionEntry:
    """Raises MeshError when it has retired meanwhile."""
    if region not in mesh.regions:
        raise MeshError(f"there is no region {region} any more")
    return mesh.regions[region]


def to_come(entry: RegionEntry) -> dict[str, str]:
    """The passwords that are to come, by role; empty when none are."""
    found = {service: entry.services[service].next_database_password for service in WITH_DATABASE}
    found["postgres"] = entry.own_postgres.next_password
    return {role: password for role, password in found.items() if password is not None}


def is_over(entry: RegionEntry) -> bool:
    """Whether nothing is left to be done for new passwords."""
    return not to_come(entry) and entry.sessions_since is None


def promote(data: Path, region: str, renewed: dict[str, str], at: datetime) -> MeshFile:
    """Write down that roles have these passwords since a moment; returns what `mesh.json` holds.

    Raises as `begin`.
    """
    with changing_mesh(data) as mesh:
        entry = _entry_of(mesh, region)
        entry.sessions_since = at
        server = entry.own_postgres
        if server.next_password == renewed["postgres"]:
            server.password, server.next_password = renewed["postgres"], None
        for service in WITH_DATABASE:
            each = entry.services[service]
            if each.next_database_password == renewed[service]:
                each.database_password, each.next_database_password = renewed[service], None
    return mesh


def end(data: Path, region: str, since: datetime) -> MeshFile:
    """Write down that no session is left from before a moment; returns what `mesh.json` holds.

    Raises as `begin`.
    """
    with changing_mesh(data) as mesh:
        entry = _entry_of(mesh, region)
        if entry.sessions_since == since:
            entry.sessions_since = None
    return mesh


def take(entry: RegionEntry, fresh: RegionEntry) -> None:
    """Have an entry that is in use know the passwords of the one that was read anew."""
    server, server_now = entry.own_postgres, fresh.own_postgres
    server.password, server.next_password = server_now.password, server_now.next_password
    for service in WITH_DATABASE:
        each, now = entry.services[service], fresh.services[service]
        each.database_password = now.database_password
        each.next_database_password = now.next_database_password


def lines(entry: RegionEntry, service: str) -> str:
    """What a service is handed: each password that may be the right one, on a line of its own."""
    each = entry.services[service]
    known = (each.database_password, each.next_database_password)
    return "".join(f"{password}\n" for password in known if password is not None)


def file_of(folder: Path, service: str) -> Path:
    """Where a service finds its passwords, in a region's data folder."""
    return folder / FOLDER / service


def put(folder: Path, entry: RegionEntry) -> None:
    """Bring the files of all services up to date. Raises OSError.

    Args:
        folder: the region's data folder, which is there.
        entry: of the region.
    """
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for service in WITH_DATABASE:
        path, text = file_of(folder, service), lines(entry, service)
        if not path.is_file() or path.read_text(encoding="ascii") != text:
            write_file(path, text)
