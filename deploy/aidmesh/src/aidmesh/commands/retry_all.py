"""`aidmesh dead retry-all`: what failed is handled again, all of it or what has one cause."""

from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import names, refuse, run, say, tell
from aidmesh.commands.dead import careful_reason, chosen_regions, connect

if TYPE_CHECKING:
    from aidmesh_chassis.letters import Waiting


def retry_all(
    *,
    data: Path,
    reason: str | None = None,
    by: str | None = None,
    regions: str | None = None,
    services: str | None = None,
    cause: str | None = None,
    event: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Have all messages handled again that wait as dead letters. Do it when their cause is mended.

    What can't be handled still is a dead letter again; what was handled meanwhile is not handled
    twice; what was dropped stays so.

    Args:
        data: the data folder of a mesh that runs.
        reason: why it will go well now; kept with each letter.
        by: who decides; kept with each letter.
        regions: only those, such as kyiv,lviv.
        services: only letters of those, such as intake,payments.
        cause: only letters with this reason, as aidmesh dead list shows it.
        event: only of this event, such as need.ready.
        dry_run: only say how many there are; needs neither reason nor by.
        json: as JSON.
    """
    from aidmesh_chassis.letters import Waiting  # noqa: PLC0415

    decided = None if dry_run else careful_reason(by or "", reason or "")
    which = Waiting(cause, event)
    run(
        _retry_all(
            data.expanduser().resolve(), names(regions), names(services), which, decided, json
        )
    )


async def _retry_all(
    data: Path,
    regions: tuple[str, ...] | None,
    services: tuple[str, ...] | None,
    which: "Waiting",
    decided: tuple[str, str] | None,
    as_json: bool,
) -> int:
    from aidmesh.connecting import close_database  # noqa: PLC0415
    from aidmesh.meshfile import WITH_DATABASE, read_mesh  # noqa: PLC0415
    from aidmesh.words import count  # noqa: PLC0415
    from aidmesh_chassis import letters  # noqa: PLC0415

    mesh = read_mesh(data)
    chosen = chosen_regions(data, mesh, regions)
    if unknown := sorted(set(services or ()) - set(WITH_DATABASE)):
        refuse(f"no letters are kept by {', '.join(unknown)}, but by {', '.join(WITH_DATABASE)}")
    found: list[dict[str, object]] = []
    for region in chosen:
        for service in services or WITH_DATABASE:
            conn = await connect(region, mesh.regions[region].admin_dsn(service))
            try:
                number = (
                    await letters.count_dead(conn, which)
                    if decided is None
                    else await letters.retry_dead(conn, which, *decided)
                )
            finally:
                await close_database(conn)
            if number:
                found.append({"region": region, "service": service, "letters": number})
                if not as_json:
                    does = "would be handled" if decided is None else "to be handled"
                    say(f"{region} {service}: {count(number, 'letter')} {does} again")
    if as_json:
        tell(found)
    elif not found:
        say("no letter that is meant waits for a person")
    return 0
