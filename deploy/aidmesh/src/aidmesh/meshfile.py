"""`mesh.json`: what runs in a data folder, on which ports, with which database passwords.

It is written by `aidmesh up` (or demo) and by `aidmesh topology`, which `up` follows while it runs;
it is read by all other commands, and private to its owner.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from aidmesh.embedded import free_ports
from aidmesh.embedded.ports import HOST, is_free
from aidmesh.topology.config import dials
from aidmesh_contracts.values import Region

WITH_DATABASE = ("intake", "inventory", "payments", "notification", "reporting")
SERVICES = (*WITH_DATABASE, "console")
PORTS = 4 + len(SERVICES)
"""How many ports a region takes."""
NAME = "mesh.json"
CLUSTER_SIZES = (1, 3, 5)
REPLICAS_MAX = 8


class MeshError(Exception):
    """The data folder and what was asked do not fit; the message says what to do."""


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
    """A region's PostgreSQL server, and its superuser's password."""

    host: str = HOST
    port: int
    password: str

    def renumber(self, fresh: Callable[[int], int]) -> None:
        """Let each port be what `fresh` makes of it."""
        self.port = fresh(self.port)


class NodeEntry(_Entry):
    """The ports of one NATS server; `route_port` is where the others of its cluster reach it."""

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
    for one of ours."""

    _dropped = frozenset({"admin_password", "system_password"})

    host: str = HOST
    folder: Path | None = None
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
        return ",".join(f"nats://{self.host}:{node.client_port}" for node in self.nodes)

    @property
    def monitor_ports(self) -> list[int]:
        """Where the monitor of each server is."""
        return [node.monitor_port for node in self.nodes]

    @property
    def dial(self) -> str:
        """Where peers connect; of several servers all, separated by commas."""
        return ",".join(f"{HOST}:{node.leaf_port}" for node in self.nodes)

    @property
    def routes(self) -> tuple[str, ...]:
        """Where the servers of a cluster reach each other; empty for a single one."""
        return tuple(f"{HOST}:{node.route_port}" for node in self.nodes) if self.others else ()


class ServiceEntry(_Entry):
    """One service of a region; console has no database and no broker connection.

    `replica_ports` are those of further copies that share its work.
    """

    _dropped = frozenset({"nats_password"})

    host: str = HOST
    http_port: int
    database_password: str | None = None
    replica_ports: list[int] = []

    @property
    def url(self) -> str:
        """Where its HTTP API is."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def urls(self) -> list[str]:
        """Where the HTTP API of each copy is."""
        return [f"http://{self.host}:{port}" for port in (self.http_port, *self.replica_ports)]

    def renumber(self, fresh: Callable[[int], int]) -> None:
        """Let each port be what `fresh` makes of it."""
        self.http_port = fresh(self.http_port)
        self.replica_ports = [fresh(port) for port in self.replica_ports]


class RegionEntry(_Entry):
    """One region. `epoch` is raised by every restore; `keys` is its folder of keys.

    `restoring` is there while a restore is not finished: the time at which it was begun.
    """

    epoch: int = 1
    restoring: str | None = None
    keys: Path
    postgres: PostgresEntry
    nats: NatsEntry
    services: dict[str, ServiceEntry]

    def dsn(self, service: str) -> str:
        """The database URL of a service, as the role that owns it."""
        password = self.services[service].database_password
        if password is None:
            raise MeshError(f"{service} has no database")
        return self._dsn(service, password, service)

    def admin_dsn(self, database: str) -> str:
        """A database URL as the superuser."""
        return self._dsn("postgres", self.postgres.password, database)

    @property
    def ports(self) -> list[int]:
        """All ports that it takes."""
        nodes = [
            (node.client_port, node.monitor_port, node.leaf_port, node.route_port)
            for node in self.nats.nodes
        ]
        return [
            self.postgres.port,
            *(port for node in nodes for port in node if port is not None),
            *(
                port
                for service in self.services.values()
                for port in (service.http_port, *service.replica_ports)
            ),
        ]

    @property
    def outbox_dsns(self) -> list[str]:
        """All databases with an outbox, as the superuser."""
        return [self.admin_dsn(service) for service in WITH_DATABASE]

    def _dsn(self, role: str, password: str, database: str) -> str:
        return (
            f"postgresql://{role}:{password}@{self.postgres.host}:{self.postgres.port}/{database}"
        )


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
        return MeshFile.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise MeshError(f"{data} holds no mesh; start one with aidmesh up --data {data}") from error
    except ValidationError as error:  # never its text: it would show passwords
        raise MeshError(f"{path} cannot be read by this version of aidmesh") from error


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
    """Read `mesh.json`, and write what was made of it; one at a time. Raises as `read_mesh`."""
    read_mesh(data)  # no lock is left in a folder that holds none
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


def prepare_mesh(
    data: Path,
    regions: tuple[str, ...] | None,
    keys: Mapping[str, Path],
    *,
    ports_from: int | None = None,
) -> tuple[MeshFile, list[str]]:
    """Read or make the mesh of a data folder; also returns lines on what a person should know.

    `regions` None means those that are there already. `keys` has a folder per region. Ports once
    chosen are kept; only those that another program took meanwhile are replaced.

    Raises MeshError when regions that are there were not named, or a name is not one.
    """
    with locked_mesh(data):
        return _prepare(data, regions, keys, ports_from)


def _prepare(
    data: Path, regions: tuple[str, ...] | None, keys: Mapping[str, Path], ports_from: int | None
) -> tuple[MeshFile, list[str]]:
    mesh = read_mesh(data) if (data / NAME).exists() else MeshFile(regions={})
    wanted = tuple(mesh.regions) if regions is None else regions
    missing = sorted(set(mesh.regions) - set(wanted))
    if missing:
        raise MeshError(f"{data} also holds {', '.join(missing)}; name all its regions, or none")
    if not wanted:
        raise MeshError("name at least one region")
    news: list[str] = []
    known = sum(len(entry.ports) for entry in mesh.regions.values())
    ports = _ports(max(len(wanted) * PORTS, known), ports_from)
    for region in wanted:
        if region in mesh.regions:
            mesh.regions[region].keys = keys[region]
            news += _replace_taken(region, mesh.regions[region], ports)
        else:
            add_region(mesh, region, keys[region], ports)
    write_mesh(data, mesh)
    return mesh, news


def add_region(mesh: MeshFile, region: str, keys: Path, ports: Iterator[int]) -> None:
    """Give a new region ports and passwords; it is linked with every other one.

    Raises MeshError when the name is taken or is none.
    """
    check_name(region)
    if region in mesh.regions or region in mesh.elsewhere:
        raise MeshError(f"there is a region {region} already")
    check_not_retired(mesh, region)
    mesh.regions[region] = _new_region(keys, ports)


def _new_region(keys: Path, ports: Iterator[int]) -> RegionEntry:
    return RegionEntry(
        keys=keys,
        postgres=PostgresEntry(port=next(ports), password=new_password()),
        nats=NatsEntry(
            client_port=next(ports),
            monitor_port=next(ports),
            leaf_port=next(ports),
        ),
        services={
            service: ServiceEntry(
                http_port=next(ports),
                database_password=new_password() if service in WITH_DATABASE else None,
            )
            for service in SERVICES
        },
    )


def _replace_taken(region: str, entry: RegionEntry, ports: Iterator[int]) -> list[str]:
    news = []

    def fresh(old: int) -> int:
        if is_free(old):
            return old
        new = next(ports)
        news.append(f"{region}: port {old} is used by another program, {new} takes its place")
        return new

    entry.postgres.renumber(fresh)
    for node in entry.nats.nodes:
        node.renumber(fresh)
    for service in entry.services.values():
        service.renumber(fresh)
    return news


def _ports(count: int, start: int | None) -> Iterator[int]:
    yield from free_ports(count, start=start)


def resize(mesh: MeshFile, nodes: int | None, replicas: int | None) -> None:
    """Have every region run on so many NATS servers, and each of its services so many times.

    Args:
        nodes: 1, 3 or 5; None for as many as there are.
        replicas: copies of each service; None for as many as there are.

    Raises MeshError when it cannot be.
    """
    if nodes is not None and nodes not in CLUSTER_SIZES:
        raise MeshError("a region runs on 1, 3 or 5 NATS servers: more than half have to run")
    if replicas is not None and not 1 <= replicas <= REPLICAS_MAX:
        raise MeshError(f"a service runs 1 to {REPLICAS_MAX} times")
    taken = {port for entry in mesh.regions.values() for port in entry.ports}
    ports = (port for port in free_ports(len(taken) + _ports_max(mesh)) if port not in taken)
    for entry in mesh.regions.values():
        if nodes is not None and nodes != len(entry.nats.nodes):
            entry.nats.route_port = next(ports) if nodes > 1 else None
            entry.nats.others = [
                NodeEntry(
                    client_port=next(ports),
                    monitor_port=next(ports),
                    leaf_port=next(ports),
                    route_port=next(ports),
                )
                for _ in range(nodes - 1)
            ]
        if replicas is not None:
            for service in entry.services.values():
                if len(service.urls) != replicas:
                    service.replica_ports = [next(ports) for _ in range(replicas - 1)]


def _ports_max(mesh: MeshFile) -> int:
    """The most ports that `resize` may need."""
    return len(mesh.regions) * (4 * max(CLUSTER_SIZES) + len(SERVICES) * REPLICAS_MAX)


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
