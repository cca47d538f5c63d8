"""`aidmesh rebuild`: a region's results, made anew from nothing but events."""

import sys
from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, refuse, report, run, warn


def rebuild(region: str, *, data: Path, from_stream: bool = False, json: bool = False) -> None:
    """Make a region's results anew, from zero, out of the events that reporting kept.

    Services go on meanwhile; what reporting takes in waits for the end. It changes no figure that
    was right. Exit code 1 when it was broken off: then nothing has changed.

    Args:
        region: of this folder.
        data: the data folder of a mesh that runs.
        from_stream: read the region's streams from their start first, and keep what reporting
            lost: after its database was lost, or letters of its were dropped.
        json: as JSON.
    """
    run(_rebuild(data.expanduser().resolve(), region, from_stream, json))


async def _rebuild(data: Path, region: str, from_stream: bool, as_json: bool) -> int:
    from pydantic import SecretStr  # noqa: PLC0415

    from aidmesh.credentials import seed_file  # noqa: PLC0415
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.topology.rights import READER  # noqa: PLC0415
    from aidmesh_chassis import logs  # noqa: PLC0415
    from aidmesh_chassis.service import open_database  # noqa: PLC0415
    from aidmesh_reporting.app import NAME  # noqa: PLC0415
    from aidmesh_reporting.config import Settings  # noqa: PLC0415
    from aidmesh_reporting.rebuild import run as rebuild_all  # noqa: PLC0415

    mesh = read_mesh(data)
    if region not in mesh.regions:
        refuse(f"{data} has no region {region}; it has {', '.join(mesh.regions)}")
    entry = mesh.regions[region]
    settings = Settings(
        region=region,
        database_url=SecretStr(entry.dsn(NAME)),
        nats_url=entry.nats.url,
        nats_ca_file=entry.nats.ca_file,
        reader_seed_file=seed_file(entry.keys, READER),
    )
    logs.configure(NAME, region, level="warning", stream=sys.stderr)
    try:
        events = await rebuild_all(open_database(NAME, settings), settings, from_stream=from_stream)
    except EOFError as error:
        warn(f"not rebuilt: {error}")
        return EXIT_FAILED
    report(
        as_json,
        {"region": region, "events": events, "from_stream": from_stream},
        f"{region}: results made anew from {events} events",
    )
    return 0
