"""`aidmesh provision` and `aidmesh supervise`: a region whose servers somebody else runs."""

from pathlib import Path

from aidmesh.commands.common import refuse, report, run

READY = Path("/tmp/ready")  # noqa: S108 - in a container of its own


def provision(region: str, *, encrypt: bool = False, json: bool = False) -> None:
    """Make keys, passwords and configurations of a region of containers, and hand them out.

    Done before anything else is started, and at every start: what is there stays. The volumes are
    those of compose.yaml.

    Args:
        region: its name.
        encrypt: have NATS encrypt the messages it stores; it stays so.
        json: as JSON.
    """
    from aidmesh.meshfile import MeshError  # noqa: PLC0415
    from aidmesh.outside.places import Places  # noqa: PLC0415
    from aidmesh.outside.provision import provision as provide  # noqa: PLC0415
    from aidmesh_chassis.keys import KeyFileError  # noqa: PLC0415

    try:
        provide(region, Places(), encrypt=encrypt)
    except (MeshError, KeyFileError, OSError) as error:
        refuse(str(error))
    report(json, {"region": region}, f"{region}: keys, passwords and configurations are there")


def supervise(*, ready: Path = READY) -> None:
    """Keep a region of containers in order: databases, streams, gate, links and keys.

    Runs until it is told to stop; provision comes before it.

    Args:
        ready: file that is there while the region's gate is open.
    """
    run(_supervise(ready))


async def _supervise(ready: Path) -> int:
    from aidmesh.mesh import cancelled_by_signals  # noqa: PLC0415
    from aidmesh.outside.places import Places  # noqa: PLC0415
    from aidmesh.outside.supervise import supervise as keep  # noqa: PLC0415
    from aidmesh_chassis import logs  # noqa: PLC0415

    logs.configure("supervisor", "all")
    with cancelled_by_signals():
        await keep(Places(), ready)
    return 0
