"""`aidmesh up`: run a mesh on this machine."""

import time
from pathlib import Path

from aidmesh.commands.common import names, refuse, run, say


def up(
    *,
    data: Path,
    keys: Path | None = None,
    regions: str | None = None,
    apart: bool = False,
    servers_only: bool = False,
    ports_from: int | None = None,
    encrypt: bool = False,
    nodes: int | None = None,
    replicas: int | None = None,
) -> None:
    """Run a mesh on this machine until Ctrl-C.

    Args:
        data: folder of all state; made when missing.
        keys: folder with a folder of keys per region, outside the data folder; see `keys init`.
            A demo, in which nobody is real, has its own.
        regions: names separated by commas; those the folder holds already when not given.
        apart: run each service in a process of its own instead of one process per region.
        servers_only: run PostgreSQL and NATS, but no services.
        ports_from: look for free ports from this one on.
        encrypt: have NATS encrypt the messages it stores, those that are there already as well;
            it stays so. The key is in the folder of keys.
        nodes: run each region's NATS as a cluster of so many servers, 3 or 5, or 1 for none; it
            stays so. What is in the streams is made anew from the databases.
        replicas: run each service so many times; it stays so.
    """
    import os  # noqa: PLC0415

    from aidmesh.demo.mark import is_demo, settings_of_a_demo  # noqa: PLC0415

    data = data.expanduser().resolve()
    if is_demo(data):
        keys = data / "keys" if keys is None else keys.expanduser().resolve()
        os.environ |= settings_of_a_demo(data)
    elif keys is None:
        refuse("name the folder of keys with --keys; aidmesh keys init makes it")
    else:
        keys = keys.expanduser().resolve()
        if keys.is_relative_to(data):
            refuse("keys must not lie in the data folder: who takes one must not have the other")
    run(_up(data, keys, names(regions), apart, servers_only, ports_from, encrypt, nodes, replicas))


async def _up(
    data: Path,
    keys: Path,
    regions: tuple[str, ...] | None,
    apart: bool,
    servers_only: bool,
    ports_from: int | None,
    encrypt: bool,
    nodes: int | None,
    replicas: int | None,
) -> int:
    import asyncio  # noqa: PLC0415

    from aidmesh.mesh import cancelled_by_signals, running_mesh  # noqa: PLC0415
    from aidmesh.meshfile import SERVICES, MeshError  # noqa: PLC0415

    def keys_of(region: str) -> Path:
        folder = keys / region
        if not folder.is_dir():
            raise MeshError(
                f"{folder} is missing; make it with aidmesh keys init --keys {keys} "
                f"--regions {region}"
            )
        return folder

    started = time.monotonic()
    with cancelled_by_signals():
        async with running_mesh(
            data,
            regions,
            keys_of,
            services=() if servers_only else SERVICES,
            apart=apart,
            ports_from=ports_from,
            encrypt=encrypt,
            nodes=nodes,
            replicas=replicas,
            announce=say,
        ) as mesh:
            for name, entry in mesh.file.regions.items():
                address = entry.nats.url if servers_only else entry.services["console"].url
                say(f"{name:<12} {address}")
            say(f"Running after {time.monotonic() - started:.1f} s; Ctrl-C stops it.")
            await asyncio.Event().wait()
    return 0
