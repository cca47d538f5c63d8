"""What `mesh.json` says of regions that run on this machine: made, grown, moved to other ports."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aidmesh.embedded.ports import free_ports, is_free
from aidmesh.meshfile import (
    NAME,
    SERVICES,
    WITH_DATABASE,
    MeshError,
    MeshFile,
    NatsEntry,
    NodeEntry,
    PostgresEntry,
    RegionEntry,
    ServiceEntry,
    check_name,
    check_not_retired,
    check_ours,
    locked_mesh,
    new_password,
    read_mesh,
    write_mesh,
)

PORTS: Final = 4 + len(SERVICES)
"""How many ports a region takes."""

CLUSTER_SIZES: Final = (1, 3, 5)
REPLICAS_MAX: Final = 8


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

    Raises MeshError when regions that are there were not named, a name is not one, or somebody else
    runs them.
    """
    with locked_mesh(data):
        return _prepare(data, regions, keys, ports_from)


def _prepare(
    data: Path, regions: tuple[str, ...] | None, keys: Mapping[str, Path], ports_from: int | None
) -> tuple[MeshFile, list[str]]:
    mesh = read_mesh(data) if (data / NAME).exists() else MeshFile(regions={})
    check_ours(mesh)
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

    if entry.postgres is not None:
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
