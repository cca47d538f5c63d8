"""`aidmesh dead`: messages that could not be handled, and what becomes of them."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, names, refuse, run, say, tell, warn

if TYPE_CHECKING:
    import asyncpg

    from aidmesh.meshfile import MeshFile
    from aidmesh_chassis.letters import Letter

BY_CHARS_MAX = 60
NOTE_CHARS_MAX = 500
ANSWER_S_MAX = 30.0


def show_all(
    *, data: Path, regions: str | None = None, every: bool = False, json: bool = False
) -> None:
    """List the letters that wait for a person. Exit code 1 when there is one.

    Exit code 2 when a database that may keep one does not answer: those of the others are listed,
    and it is said which is missing.

    Args:
        data: the data folder of a mesh that runs.
        regions: only those, such as kyiv,lviv.
        every: those too that are tried again by themselves.
        json: as JSON: one list, empty where no letter waits.
    """
    run(_list(data.expanduser().resolve(), names(regions), every, json), unreached=EXIT_REFUSED)


def show(letter: str, *, data: Path, json: bool = False) -> None:
    """Show one letter: what came, why it could not be handled, what was decided.

    Sealed payloads stay sealed. Exit code 2 when there is no such letter, or its database does not
    answer.

    Args:
        letter: as listed, such as kyiv/payments/12.
        data: the data folder of a mesh that runs.
        json: as JSON.
    """
    run(_show(data.expanduser().resolve(), letter, json), unreached=EXIT_REFUSED)


def retry(letter: str, *, reason: str, by: str, data: Path, json: bool = False) -> None:
    """Have a letter handled again, now. Do it when its cause is mended.

    Exit code 1 when it can't be: it is over, or its sealed payload was blanked; 2 when its database
    does not answer; 1 where it stops answering meanwhile, for then it may be done or not.

    Args:
        letter: as listed, such as kyiv/payments/12.
        reason: why it will go well now; kept with the letter.
        by: who decides; kept with the letter.
        data: the data folder of a mesh that runs.
        json: as JSON.
    """
    from aidmesh_chassis import letters  # noqa: PLC0415

    run(
        _decide(data.expanduser().resolve(), letter, letters.retry, by, reason, json),
        unreached=EXIT_REFUSED,
    )


def drop(letter: str, *, reason: str, by: str, data: Path, json: bool = False) -> None:
    """Have a letter never handled: what it says is lost to this service, for good.

    Should it come again, it counts as taken in; no retry or replay brings it back. The sender of a
    handoff has its answer within five minutes, and is told nothing else: see to what it waits for.

    Exit code 1 when it is over or handled already, 2 when its database does not answer; 1 where it
    stops answering meanwhile, for then it may be done or not.

    Args:
        letter: as listed, such as kyiv/payments/12.
        reason: why nothing is missed; kept with the letter.
        by: who decides; kept with the letter.
        data: the data folder of a mesh that runs.
        json: as JSON.
    """
    from aidmesh_chassis import letters  # noqa: PLC0415

    run(
        _decide(data.expanduser().resolve(), letter, letters.drop, by, reason, json),
        unreached=EXIT_REFUSED,
    )


async def _list(data: Path, regions: tuple[str, ...] | None, every: bool, as_json: bool) -> int:
    import asyncio  # noqa: PLC0415

    from aidmesh.connecting import SEE  # noqa: PLC0415
    from aidmesh.meshfile import WITH_DATABASE, AwayError, read_mesh  # noqa: PLC0415

    mesh = read_mesh(data)
    chosen = chosen_regions(data, mesh, regions)
    places = [(region, service) for region in chosen for service in WITH_DATABASE]
    found = await asyncio.gather(
        *(
            _kept(*place, mesh.regions[place[0]].admin_dsn(place[1]), every, as_json)
            for place in places
        ),
        return_exceptions=True,
    )
    silent: list[tuple[str, str]] = []
    told: list[dict[str, object] | str] = []
    dead = False
    for place, each in zip(places, found, strict=True):
        if isinstance(each, AwayError):
            silent.append(place)
        elif isinstance(each, BaseException):
            raise each
        else:
            told += each.told
            dead = dead or each.is_dead
    if as_json and (told or not silent):
        tell(told)
    for line in () if as_json else told:
        say(str(line))
    if silent:
        for region in chosen:
            of_it = [service for where, service in silent if where == region]
            if len(of_it) == len(WITH_DATABASE):
                warn(f"the databases of {region} do not answer{SEE}")
                continue
            for service in of_it:
                warn(f"the database of {service} in {region} did not answer{SEE}: its letters are "
                     "not among these")  # fmt: skip
        return EXIT_REFUSED
    if not dead and not as_json:
        say("no letter waits for a person")
    return EXIT_FAILED if dead else 0


class _Kept(NamedTuple):
    """What is shown of a service's letters, and whether one waits for a person."""

    told: "list[dict[str, object] | str]"
    is_dead: bool


async def _kept(region: str, service: str, dsn: str, every: bool, as_json: bool) -> _Kept:
    """The letters of a service. Raises AwayError."""
    from aidmesh.connecting import close_database  # noqa: PLC0415

    told: list[dict[str, object] | str] = []
    is_dead = False
    conn = await connect(region, dsn)
    try:
        after = 0
        while page := await _page(conn, region, service, after, every):
            after = page[-1].letter_id
            for each in page:
                is_dead = is_dead or each.status == "dead"
                place = f"{region}/{service}/{each.letter_id}"
                told.append(_as_json(place, each) if as_json else _line(place, each))
    finally:
        await close_database(conn)
    return _Kept(told, is_dead)


async def _page(
    conn: "asyncpg.Connection", region: str, service: str, after: int, every: bool
) -> "Sequence[Letter]":
    """Letters after that one. Raises AwayError: a silence is no answer, as exit code 1 would be."""
    from aidmesh.connecting import database_of  # noqa: PLC0415
    from aidmesh_chassis import letters  # noqa: PLC0415

    with database_of(region, service):
        return await letters.listed(conn, after=after, all_open=every)


async def _show(data: Path, place: str, as_json: bool) -> int:
    import json  # noqa: PLC0415

    from aidmesh.connecting import close_database, database_of  # noqa: PLC0415
    from aidmesh_chassis import letters  # noqa: PLC0415

    conn, number = await _open(data, place)
    region, service, _ = place.split("/")
    try:
        with database_of(region, service):
            found = await letters.one(conn, number)
    finally:
        await close_database(conn)
    if found is None:
        refuse(f"there is no letter {place}; aidmesh dead list shows those that wait")
    fields = _as_json(place, found)
    if as_json:
        tell(fields)
        return 0
    for name, value in fields.items():
        if value is not None:
            say(f"{name:<12} {value if isinstance(value, str | int) else json.dumps(value)}")
    return 0


async def _decide(
    data: Path,
    place: str,
    decision: "Callable[[asyncpg.Connection, int, str, str], Awaitable[bool]]",
    by: str,
    reason: str,
    as_json: bool,
) -> int:
    from aidmesh.connecting import close_database  # noqa: PLC0415

    by, reason = careful_reason(by, reason)
    conn, number = await _open(data, place)
    try:
        done = await decision(conn, number, by, reason)
    finally:
        await close_database(conn)
    if as_json:
        tell({"letter": place, "done": done})
    else:
        say(f"{place}: {'done' if done else 'not changed; aidmesh dead show says how it stands'}")
    return 0 if done else EXIT_FAILED


async def _open(data: Path, place: str) -> "tuple[asyncpg.Connection, int]":
    from aidmesh.meshfile import WITH_DATABASE, read_mesh  # noqa: PLC0415

    region, _, rest = place.partition("/")
    service, _, number = rest.partition("/")
    mesh = read_mesh(data)
    is_one = region in mesh.regions and service in WITH_DATABASE and number.isascii()
    if not is_one or not number.isdecimal() or len(number) > 18:
        refuse(f"{place} is no letter: say region/service/number as aidmesh dead list does")
    return await connect(region, mesh.regions[region].admin_dsn(service)), int(number)


def careful_reason(by: str, reason: str) -> tuple[str, str]:
    """Who decides and why, trimmed; what is kept with a letter has to say something."""
    by, reason = by.strip(), reason.strip()
    if not (0 < len(by) <= BY_CHARS_MAX and 0 < len(reason) <= NOTE_CHARS_MAX):
        refuse(f"say who (1-{BY_CHARS_MAX} characters) and why (1-{NOTE_CHARS_MAX})")
    return by, reason


def chosen_regions(
    data: Path, mesh: "MeshFile", regions: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Those that were named, which have to be there; all where none was."""
    if unknown := sorted(set(regions or ()) - set(mesh.regions)):
        refuse(f"{data} has no region {', '.join(unknown)}; it has {', '.join(mesh.regions)}")
    return regions or tuple(mesh.regions)


async def connect(region: str, dsn: str) -> "asyncpg.Connection":
    """A connection to a service's database. Raises AwayError when it does not answer."""
    from aidmesh.connecting import connect_database  # noqa: PLC0415

    return await connect_database(region, dsn, answer_s_max=ANSWER_S_MAX)


def _line(place: str, letter: "Letter") -> str:
    event = ".".join(letter.subject.split(".")[-4:])
    return (
        f"{place:<28} {letter.status:<8} {letter.first_at:%Y-%m-%d %H:%M} {event} "
        f"{letter.durable}: {letter.reason} ({letter.attempts} attempts)"
    )


def _as_json(place: str, letter: "Letter") -> dict[str, object]:
    import json  # noqa: PLC0415

    sealed = letter.subject.startswith(("private.", "handoff."))
    try:
        payload: object = "(sealed)" if sealed else json.loads(letter.payload)
    except ValueError:
        payload = f"({len(letter.payload)} bytes that are no JSON)"
    return {
        "letter": place,
        "status": letter.status,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "durable": letter.durable,
        "subject": letter.subject,
        "event_id": str(letter.event_id),
        "about": letter.headers.get("ce-subject"),
        "correlation": letter.headers.get("aid-correlation"),
        "first_at": letter.first_at.isoformat(timespec="seconds"),
        "changed_at": letter.changed_at.isoformat(timespec="seconds"),
        "retry_at": letter.retry_at and letter.retry_at.isoformat(timespec="seconds"),
        "decided_by": letter.decided_by,
        "note": letter.note,
        "payload": payload,
    }
