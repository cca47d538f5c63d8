"""`aidmesh replay`: hand events of a stream to a service once more."""

from pathlib import Path
from typing import TYPE_CHECKING

from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED, refuse, run, say, warn
from aidmesh.commands.dead import BY_CHARS_MAX, NOTE_CHARS_MAX

if TYPE_CHECKING:
    from aidmesh.replaying import Choice, Found
    from aidmesh_contracts.consumers import Consumer

SHOWN_MAX = 20


def replay(
    region: str,
    durable: str,
    *,
    data: Path,
    reason: str,
    by: str,
    event: str | None = None,
    from_seq: int = 1,
    since: str | None = None,
    apply: bool = False,
    json: bool = False,
) -> None:
    """Hand events of a stream to a service that has not taken them in.

    Without --apply it only says how many that would be. What the service knows already is left
    out, and what a person dropped: its inbox would skip it. Exit code 1 when it is more than 10,000
    events, 2 when servers of the region do not answer.

    Args:
        region: of this folder.
        durable: of the service, such as payments-local; topology plan and status name them.
        data: the data folder of a mesh that runs.
        reason: why; kept with each event's letter.
        by: who asks for it; kept with each event's letter.
        event: only this one, by its id.
        from_seq: only from this sequence of the stream on.
        since: only what happened from then on: 15m, 2h, 1d, or a moment such as
            2026-11-26T12:00:00Z, in UTC where it names no offset.
        apply: do it.
        json: as JSON.
    """
    from datetime import datetime  # noqa: PLC0415
    from uuid import UUID  # noqa: PLC0415

    from aidmesh.reading.lines import FilterError, moment  # noqa: PLC0415
    from aidmesh.replaying import Choice  # noqa: PLC0415
    from aidmesh_contracts.consumers import CONSUMERS  # noqa: PLC0415

    known = {consumer.durable: consumer for consumer in CONSUMERS}
    if durable not in known:
        refuse(f"{durable} is no durable; there are {', '.join(sorted(known))}")
    by, reason = by.strip(), reason.strip()
    if not (0 < len(by) <= BY_CHARS_MAX and 0 < len(reason) <= NOTE_CHARS_MAX):
        refuse(f"say who (1-{BY_CHARS_MAX} characters) and why (1-{NOTE_CHARS_MAX})")
    try:
        ids = frozenset() if event is None else frozenset({UUID(event)})
        time = None if since is None else datetime.fromisoformat(moment(since))
    except FilterError as error:
        refuse(str(error))
    except ValueError:
        refuse(f"{event} is no id of an event")
    choice = Choice(ids, max(1, from_seq), time)
    folder = data.expanduser().resolve()
    run(
        _replay(folder, region, known[durable], choice, by, reason, apply, json),
        unreached=EXIT_REFUSED,
    )


async def _replay(
    data: Path,
    region: str,
    consumer: "Consumer",
    choice: "Choice",
    by: str,
    reason: str,
    apply: bool,
    as_json: bool,
) -> int:
    from aidmesh.connecting import close_database, connect, connect_database, nats_of  # noqa: PLC0415
    from aidmesh.meshfile import read_mesh  # noqa: PLC0415
    from aidmesh.replaying import TooManyError, find, hand_over  # noqa: PLC0415
    from aidmesh.topology.api import JetStreamApi  # noqa: PLC0415
    from aidmesh.topology.rights import READER  # noqa: PLC0415
    from aidmesh.verification.wire import wired  # noqa: PLC0415

    mesh = read_mesh(data)
    if region not in mesh.regions:
        refuse(f"{data} has no region {region}; it has {', '.join(mesh.regions)}")
    entry = mesh.regions[region]
    conn = await connect_database(region, entry.admin_dsn(consumer.service), answer_s_max=60)
    client = None
    try:
        with nats_of(region):
            client = await connect(entry, READER)
        async with wired(entry) as wire:
            api = JetStreamApi(client)
            try:
                found = await find(api, wire, conn, consumer, choice)
            except TooManyError as error:
                warn(f"{error}; narrow it with --from-seq or --since")
                return EXIT_FAILED
            handed = 0
            if apply:
                handed = await hand_over(api, conn, consumer, found.missing, by, reason)
    finally:
        await close_database(conn)
        if client is not None:
            await client.close()
    _tell(consumer, found, handed, apply=apply, as_json=as_json)
    return 0


def _tell(consumer: "Consumer", found: "Found", handed: int, *, apply: bool, as_json: bool) -> None:
    import json  # noqa: PLC0415

    if as_json:
        missing = [
            {"seq": seq, "event_id": str(event_id), "type": event_type}
            for seq, event_id, event_type in found.missing
        ]
        content = {"durable": consumer.durable, "known": found.known, "missing": missing}
        say(json.dumps({**content, "handed_over": handed}, indent=1))
        return
    for seq, event_id, event_type in found.missing[:SHOWN_MAX]:
        say(f"#{seq} {event_id} {event_type}")
    if len(found.missing) > SHOWN_MAX:
        say(f"and {len(found.missing) - SHOWN_MAX} more")
    say(
        f"{consumer.durable}: {found.known} known already, {len(found.missing)} not; "
        + (f"{handed} handed over" if apply else "nothing done, say --apply to hand them over")
    )
