"""`aidmesh doctor`: what is set up wrong, what is stuck, and what to do about it."""

from pathlib import Path

from aidmesh.commands.common import EXIT_FAILED, run, say, tell


def doctor(*, data: Path, json: bool = False) -> None:
    """Find and explain what is set up wrong, and work that is stuck.

    Looks at files, servers, streams and databases, and changes nothing. Errors come first; a note
    is somebody's ordinary work that has waited for long.

    Exit code 0 when there is no error or warning, 1 when there is, 2 when the folder holds no
    mesh.

    Args:
        data: the data folder of a mesh.
        json: as JSON.
    """
    run(_doctor(data.expanduser().resolve(), json))


async def _doctor(data: Path, as_json: bool) -> int:
    from aidmesh.doctor.examine import examine  # noqa: PLC0415
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415

    found = await examine(data, read_mesh(data))
    if as_json:
        tell([each.as_json() for each in found])
    for each in () if as_json else found:
        say(f"{each.harm:<8} {each.where}: {each.what}")
        say(f"         {each.why}")
        say(f"         -> {each.do}")
    if not found and not as_json:
        say("nothing is wrong")
    return EXIT_FAILED if any(each.harm != "note" for each in found) else 0
