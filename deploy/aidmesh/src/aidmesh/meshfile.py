"""`mesh.json`: what runs in a data folder, on which ports, with which database passwords.

It is written by `aidmesh up` (or demo) and by `aidmesh topology`, which `up` follows while it runs;
it is read by all other commands, and private to its owner. `aidmesh topology render` writes one of
regions whose servers run elsewhere, so that the other commands find them.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from aidmesh.embedded.ports import HOST
from aidmesh.topology.config import dials
from aidmesh_contracts.values import Region

WITH_DATABASE = ("intake", "inventory", "payments", "notification", "reporting")
SERVICES = (*WITH_DATABASE, "console")
NAME = "mesh.json"


class MeshError(Exception):
    """The data folder and what was asked do not fit; the message says what to do."""


class AwayError(ConnectionError):
    """Servers of a region do not answer; the message says whose, and what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    _dropped: ClassVar[frozenset[str]] = frozenset()
    """What older files hold and nobody needs any more."""

    @model_validator(mode="before")
    @classmethod
    def _forget(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in cls._dropped}


class PostgresEntry(_Entry):
    """A region's PostgreSQL server, its superuser's password, and the one that is to come."""

    host: str = HOST
    port: int
    password: str
    next_password: str | None = None

    def renumber(self, fresh: Callable[[int], int]) -> None:
        """Let each port be what `fresh` makes of it."""
        self.port = fresh(self.port)


class NodeEntry(_Entry):
    """Where one NATS server is; `route_port` is where the others of its cluster reach it."""

    host: str = HOST
    client_port: int
    monitor_port: int
    leaf_port: int
    route_port: int | None = None

    def renumber(self, fresh: Callable[[int], int]) -> None:
        """Let each port be what `fresh` makes of it."""
        self.client_port = fresh(self.client_port)
        self.monitor_port = fresh(self.monitor_port)
        self.leaf_port = fresh(self.leaf_port)
        if self.route_port is not None:
            self.route_port = fresh(self.route_port)


class NatsEntry(NodeEntry):
    """A region's NATS server; its keys are in the keys folder. `store_key_id` tells which of them
    its store is encrypted with, None if it is not. `others` form a cluster with it. `folder` is
    where its configuration lies when somebody else runs it, at `host`, see aidmesh.outside; None
    for one of ours. `ca_file` is what vouches for servers whose clients are on other machines, and
    have what they say encrypted."""

    _dropped = frozenset({"admin_password", "system_password"})

    folder: Path | None = None
    ca_file: Path | None = None
    leaf_host: str = HOST
    """Where it listens for links: on this machine alone, until a region elsewhere was let in."""
    store_key_id: str | None = None
    others: list[NodeEntry] = []

    @property
    def nodes(self) -> list[NodeEntry]:
        """All servers."""
        return [self, *self.others]

    @property
    def url(self) -> str:
        """Where clients connect; of several servers all, separated by commas."""
        scheme = "nats" if self.ca_file is None else "tls"
        return ",".join(f"{scheme}://{node.host}:{node.client_port}" for node in self.nodes)

    @property
    def monitors(self) -> list[tuple[str, int]]:
        """Host and port of each server's monitor."""
        return [(node.host, node.monitor_port) for node in self.nodes]

    @property
    def dial(self) -> str:
        """Where peers connect; of several servers all, separated by commas."""
        return ",".join(f"{node.host}:{node.leaf_port}" for node in self.nodes)

    @property
    def routes(self) -> tuple[str, ...]:
        """Where the servers of a cluster reach each other; empty for a single one."""
        return tuple(f"{node.host}:{node.route_port}" for node in self.nodes) if self.others else ()


class ServiceEntry(_Entry):
    """One service of a region; console has no database and no broker connection.

    `replica_ports` are those of further copies that share its work. Where copies are on machines
    of their own `addresses` has the URL of each instead, and `database_url` says where its database
    is, with role and password.
    """

    _dropped = frozenset({"nats_password"})

    host: str = HOST
    http_port: int | None = None
    database_password: str | None = None
    next_database_password: str | None = None
    replica_ports: list[int] = []
    addresses: list[str] = []
    database_url: str | None = None

    @property
    def url(self) -> str:
        """Where its HTTP API is."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where the HTTP API of each copy is."""
        return self.addresses or [f"http://{self.host}:{port}" for port in self.ports]

    @property
    def ports(self) -> list[int]:
        """All ports that it takes on this machine."""
        return [] if self.http_port is None else [self.http_port, *self.replica_ports]

    def renumber(self, fresh: Callable[[int], int]) -> None:
        """Let each port be what `fresh` makes of it."""
        if self.http_port is not None:
            self.http_port = fresh(self.http_port)
        self.replica_ports = [fresh(port) for port in self.replica_ports]


class RegionEntry(_Entry):
    """One region. `epoch` is raised by every restore; `keys` is its folder of keys.

    `restoring` is there while a restore is not finished: the time at which it was begun.
    `sessions_since` is there while those with the databases are ended that were begun before, with
    passwords that are no longer accepted. `postgres` is None where each service names its own
    database, see `is_elsewhere`.
    """

    epoch: int = 1
    restoring: str | None = None
    sessions_since: AwareDatetime | None = None
    keys: Path
    postgres: PostgresEntry | None = None
    nats: NatsEntry
    services: dict[str, ServiceEntry]

    @property
    def is_elsewhere(self) -> bool:
        """Whether its servers run on machines of their own, and somebody there starts them: it is
        looked at from here, and mended, but neither run nor set up."""
        return self.postgres is None

    @property
    def own_postgres(self) -> PostgresEntry:
        """The server that is ours. Raises MeshError where none is."""
        if self.postgres is None:
            raise MeshError("its databases are on machines of their own")
        return self.postgres

    def dsn(self, service: str) -> str:
        """The database URL of a service, as the role that owns it."""
        named = self.services[service].database_url
        if named is not None:
            return named
        password = self.services[service].database_password
        if password is None:
            raise MeshError(f"{service} has no database")
        return self._dsn(service, password, service)

    def admin_dsn(self, database: str) -> str:
        """A database URL as the superuser; as its owner where the server is not ours."""
        return self.dsn(database) if self.postgres is None else self.admin_dsns(database)[0]

    def admin_dsns(self, database: str) -> list[str]:
        """As `admin_dsn`, of a server that is ours.

        Two while the password is being replaced: either may be the right one.
        """
        server = self.own_postgres
        known = (server.password, server.next_password)
        return [self._dsn("postgres", each, database) for each in known if each is not None]

    @property
    def server_dsns(self) -> list[str]:
        """A database on each PostgreSQL server."""
        if self.postgres is not None:
            return [self.admin_dsn("postgres")]
        dsns = [self.dsn(service) for service in WITH_DATABASE]
        return list({urlsplit(dsn).netloc.rpartition("@")[2]: dsn for dsn in dsns}.values())

    @property
    def ports(self) -> list[int]:
        """All ports that it takes."""
        nodes = [
            (node.client_port, node.monitor_port, node.leaf_port, node.route_port)
            for node in self.nats.nodes
        ]
        return [
            *([] if self.postgres is None else [self.postgres.port]),
            *(port for node in nodes for port in node if port is not None),
            *(port for service in self.services.values() for port in service.ports),
        ]

    @property
    def outbox_dsns(self) -> list[str]:
        """All databases with an outbox, as the superuser."""
        return [self.admin_dsn(service) for service in WITH_DATABASE]

    def _dsn(self, role: str, password: str, database: str) -> str:
        server = self.own_postgres
        return f"postgresql://{role}:{password}@{server.host}:{server.port}/{database}"


class Elsewhere(_Entry):
    """A region on another machine: `host:port` of its leaf listener (several separated by commas),
    None where it dials."""

    address: str | None = None


class Retired(_Entry):
    """A region that has retired; `entry` says how its data, which is kept, can be read, if it ran
    here."""

    since: AwareDatetime
    entry: RegionEntry | None = None


class MeshFile(_Entry):
    """All regions of a data folder, those that they are linked with on other machines, and those
    that were and have retired."""

    _dropped = frozenset({"links"})

    regions: dict[str, RegionEntry]
    elsewhere: dict[str, Elsewhere] = {}
    retired: dict[str, Retired] = {}

    def peers(self, region: str) -> list[str]:
        """The other regions that it is linked with."""
        return sorted((set(self.regions) | set(self.elsewhere)) - {region})

    def dial(self, region: str, peer: str) -> str | None:
        """`host:port` where a region dials a peer, several separated by commas; None where the peer
        dials."""
        if peer in self.elsewhere:
            return self.elsewhere[peer].address
        return self.regions[peer].nats.dial if dials(region, peer) else None

    def keys_of(self, region: str, peer: str) -> Path:
        """Where what a region needs of a peer's keys lies; all public."""
        if peer in self.elsewhere:
            return self.regions[region].keys / "peers" / peer
        return self.regions[peer].keys


def read_mesh(data: Path) -> MeshFile:
    """What runs in a data folder. Raises MeshError when it holds no mesh."""
    path = data / NAME
    try:
        mesh = MeshFile.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise MeshError(f"{data} holds no mesh; start one with aidmesh up --data {data}") from error
    except ValidationError as error:  # never its text: it would show passwords
        raise MeshError(f"{path} cannot be read by this version of aidmesh") from error
    for entry in mesh.regions.values():  # a folder that is carried about names its own files
        entry.keys = data / entry.keys
        if entry.nats.ca_file is not None:
            entry.nats.ca_file = data / entry.nats.ca_file
    return mesh


def write_mesh(data: Path, mesh: MeshFile) -> None:
    """Replace `mesh.json`, readable by its owner only."""
    fresh = data / f".{NAME}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(mesh.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(data / NAME)


@contextmanager
def changing_mesh(data: Path) -> Iterator[MeshFile]:
    """Read `mesh.json`, and write what was made of it; one at a time.

    Raises as `read_mesh` and `check_ours`.
    """
    check_ours(read_mesh(data))  # no lock is left in a folder that holds none
    with locked_mesh(data):
        mesh = read_mesh(data)
        yield mesh
        write_mesh(data, mesh)


@contextmanager
def locked_mesh(data: Path) -> Iterator[None]:
    """Be alone in changing `mesh.json`."""
    with (data / f".{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_ours(mesh: MeshFile) -> None:
    """Raise MeshError if somebody else runs a region, so that it can't be changed from here."""
    if others := sorted(name for name, entry in mesh.regions.items() if entry.is_elsewhere):
        raise MeshError(
            f"the servers of {', '.join(others)} run on machines of their own: this folder only "
            "says where; change them there, and run aidmesh topology render again"
        )


def check_name(region: str) -> None:
    """Raise MeshError unless it can be a region's name."""
    try:
        TypeAdapter[str](Region).validate_python(region)
    except ValidationError as error:
        raise MeshError(
            f"{region!r} is no region: 2 to 20 lower-case letters and digits, a letter first"
        ) from error


def check_not_retired(mesh: MeshFile, region: str) -> None:
    """Raise MeshError if a region of that name has retired: what it told is still its own."""
    if region in mesh.retired:
        raise MeshError(f"{region} has retired, and its name is not used again")


def new_password() -> str:
    """192 random bits that need no quoting anywhere."""
    return secrets.token_urlsafe(24)
