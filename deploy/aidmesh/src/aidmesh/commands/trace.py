"""`aidmesh trace`: the story of an id, and what it waits for."""

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, refuse, run, say, tell, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aidmesh.meshfile import MeshFile
    from aidmesh.story.told import Step, Story


def trace(wanted: str, *, data: Path, json: bool = False) -> None:
    """Show what was said of an id, who took it in, and what keeps it from going on.

    The id of a need, request, person, payout, event or correlation: its region's story, which
    ends at the border with the handoff's id. Of a grant, allotment, transfer or shipment: the
    story in all regions, of those that are not of this folder as it was heard over their links.
    Below it: how its needs stand ("="), what is in the way ("!"), who does what about it (">"), and
    what could not be looked at ("?").

    Exit code 0 when nothing is in its way, 1 when something is (lines with "!"), 2 when nobody
    has spoken of it.

    Args:
        wanted: the id, or its first digits as the desk shows them.
        data: the data folder of a mesh that runs.
        json: the story as JSON.
    """
    run(_trace(wanted, data.expanduser().resolve(), json))


async def _trace(text: str, data: Path, as_json: bool) -> int:
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.story.named import whole  # noqa: PLC0415
    from aidmesh.story.read import read_story  # noqa: PLC0415

    mesh = read_mesh(data)
    wanted = whole(text) or await _named(mesh, text)
    found = await read_story(mesh, wanted)
    if as_json:
        tell(found.as_json())
    else:
        for line in _lines(found):
            say(line)
    if not found.steps and not found.now and not found.trouble:
        if not as_json:
            say(f"nobody has spoken of {wanted}")
        return EXIT_REFUSED
    return EXIT_FAILED if found.trouble else 0


async def _named(mesh: "MeshFile", text: str) -> UUID:
    from aidmesh.story.named import DIGITS_MIN, bounds, ids_between  # noqa: PLC0415

    between = bounds(text)
    if between is None:
        refuse(f"{text!r} is no id, nor the first digits of one ({DIGITS_MIN} at least)")
    named = await ids_between(mesh, *between)
    silent = f"the databases {', '.join(named.silent)} do not answer (aidmesh doctor says why)"
    if not named.found:
        if named.silent:
            refuse(f"{silent}: what begins with {text} may be there")
        refuse(f"nothing here has an id that begins with {text}")
    if len(named.found) > 1:
        each = ", ".join(f"{what} {one}" for one, what in named.found.items())
        refuse(f"{text} may be any of these: {each}")
    if named.silent:
        warn(f"{silent}: another id there may begin with {text}")
    return next(iter(named.found))


def _lines(found: "Story") -> "Iterator[str]":
    day = ""
    for step in found.steps:
        if (date := f"{step.said.at:%Y-%m-%d}") != day:
            day = date
            yield f"-- {day} (UTC)"
        yield _line(step)
    yield from (f"= {line}" for line in found.now)
    yield from (f"! {line}" for line in found.trouble)
    yield from (f"> {line}" for line in found.todo)
    yield from (f"? {line}" for line in found.gaps)


def _line(step: "Step") -> str:
    said = step.said
    event = said.type.removeprefix(f"{said.service}.").rsplit(".", 1)[0]
    where = f" -> {said.to_region} {said.state}, handoff {said.event_id}" if said.to_region else ""
    fields = " ".join(f"{name}={value}" for name, value in step.fields.items())
    by = ", ".join(said.heard_by)
    taken = ", ".join(
        f"{'' if took.region == said.region else took.region + ' '}{took.service} "
        + (
            f"+{(took.at - said.at).total_seconds() * 1000:.0f} ms"
            if took.status == "handled"
            else took.status
        )
        for took in step.took
    )
    return (
        f"{said.at:%H:%M:%S}.{said.at.microsecond // 1000:03} {said.region} {said.service:<12} "
        f"{event}{where} {fields}{f'  [{taken}]' if taken else ''}"
        f"{f'  (heard by {by})' if by else ''}"
    ).rstrip()
