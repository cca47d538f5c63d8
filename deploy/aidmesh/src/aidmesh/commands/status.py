"""`aidmesh status`: how is the mesh, and how fresh is what each region knows of the others?"""

from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, run, say, tell


def status(*, data: Path, json: bool = False) -> None:
    """Show services, what waits, and each region's links: since when, how far behind.

    Exit code 0 when nothing needs a person, 1 when something does (lines with "!"), 2 when the
    folder holds no mesh.

    Args:
        data: the data folder of a mesh.
        json: print everything as JSON.
    """
    run(_status(data.expanduser().resolve(), json))


async def _status(data: Path, as_json: bool) -> int:
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.status import status_of  # noqa: PLC0415
    from aidmesh.status_table import table  # noqa: PLC0415

    found = await status_of(read_mesh(data))
    if as_json:
        tell(found.as_json())
    else:
        for line in table(found):
            say(line)
    return EXIT_FAILED if found.attention else 0
