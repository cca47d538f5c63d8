"""What holds between the services of a region, whatever its events said."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh.quiet import RegionProbe
from aidmesh.verification.outcome import Outcome, outcome

Attempt = tuple[UUID, int]


class Need(NamedTuple):
    """A need as intake has it; `paid_by` is None where it costs nothing."""

    attempt_no: int
    state: str
    issued_attempt: int
    given: bool
    settled: str | None
    of_supply: bool
    paid_by: str | None


class Commitment(NamedTuple):
    """Money for one attempt."""

    id: UUID
    state: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What the services of one region know of its needs.

    Attributes:
        needs: by id, of intake.
        reservations: states, by need and attempt.
        odd_needs: about which payments opened a discrepancy, settled or not; not those of aid
            entered as given that was reversed since, nor those of a day outside a grant's period:
            that money is where it belongs.
        odd_commitments: about which a discrepancy is still open.
    """

    needs: Mapping[UUID, Need]
    reservations: Mapping[Attempt, str]
    commitments: Mapping[Attempt, Commitment]
    odd_needs: frozenset[UUID] = frozenset()
    odd_commitments: frozenset[UUID] = frozenset()


async def needs_of(probe: RegionProbe) -> Needs:
    """Ask the three services that serve needs."""
    needs, reservations, (commitments, odd) = await asyncio.gather(
        probe.connections["intake"].fetch(
            """
            SELECT id, attempt_no, state, issued_attempt, given, settled,
                   COALESCE(ask -> 'stock', '[]') <> '[]' OR ask ->> 'capacity' IS NOT NULL,
                   ask -> 'money' ->> 'by'
            FROM need
            """
        ),
        probe.connections["inventory"].fetch("SELECT need_id, attempt_no, state FROM reservation"),
        _money(probe.connections["payments"]),
    )
    return Needs(
        needs={row[0]: Need(*row[1:]) for row in needs},
        reservations={(row[0], row[1]): row[2] for row in reservations},
        commitments={(row[0], row[1]): Commitment(*row[2:]) for row in commitments},
        odd_needs=frozenset(row["need_id"] for row in odd),
        odd_commitments=frozenset(row["commitment_id"] for row in odd if row["is_open"]),
    )


async def _money(conn: asyncpg.Connection) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    commitments = await conn.fetch(
        "SELECT need_id, attempt_no, id, state, purpose FROM commitment WHERE need_id IS NOT NULL"
    )
    odd = await conn.fetch(
        "SELECT need_id, commitment_id, settled_at IS NULL AS is_open FROM discrepancy "
        "WHERE note IS DISTINCT FROM 'reversed' AND about <> 'outside_period'"
    )
    return commitments, odd


def holds_belong_to_live_attempts(region: str, known: Needs) -> Outcome:
    """Whatever is held or committed is held for the running attempt of a need that wants it.

    Two things may outlive it: money that a provider is owed for a service that was given, and
    money that may have left the bank when the need was withdrawn, until a person has looked.
    """

    def is_live(attempt: Attempt) -> bool:
        need = known.needs.get(attempt[0])
        return (
            need is not None
            and need.attempt_no == attempt[1]
            and need.state in ("approved", "held", "ready")
        )

    def is_owed(attempt: Attempt, commitment: Commitment) -> bool:
        need = known.needs.get(attempt[0])
        return (
            need is not None
            and (need.state, need.issued_attempt) == ("fulfilled", attempt[1])
            and (commitment.purpose, commitment.state) == ("provider", "committed")
        )

    stray = [
        ("reservation", attempt)
        for attempt, state in known.reservations.items()
        if state in ("held", "confirmed") and not is_live(attempt)
    ]
    stray += [
        ("commitment", attempt)
        for attempt, each in known.commitments.items()
        if each.state in ("held", "committed")
        and not is_live(attempt)
        and not is_owed(attempt, each)
        and each.id not in known.odd_commitments
    ]
    return outcome(
        f"{region}.holds_belong_to_live_attempts",
        "every hold belongs to the running attempt of a need that is being served",
        [
            f"{what} of need {attempt[0]} attempt {attempt[1]}: {_standing(known, attempt[0])}"
            for what, attempt in stray
        ],
    )


def ready_needs_have_their_aid(region: str, known: Needs) -> Outcome:
    """Whoever was told to come finds what they were promised: it is set aside, and paid for."""
    odd: list[str] = []
    for need_id, need in known.needs.items():
        if need.state != "ready":
            continue
        attempt = (need_id, need.attempt_no)
        reservation, commitment = known.reservations.get(attempt), known.commitments.get(attempt)
        if need.of_supply and reservation != "confirmed":
            odd.append(f"need {need_id} is ready, its reservation {reservation or 'missing'}")
        money = None if commitment is None else commitment.state
        if need.paid_by is not None and money != "committed":
            odd.append(f"need {need_id} is ready, its money {money or 'missing'}")
    return outcome(
        f"{region}.ready_needs_have_their_aid",
        "for every need that is ready its goods or place are set aside and its money is committed",
        odd,
    )


def _standing(known: Needs, need_id: UUID) -> str:
    need = known.needs.get(need_id)
    return (
        "there is no such need"
        if need is None
        else f"the need is {need.state}, attempt {need.attempt_no}"
    )


def services_agree(region: str, known: Needs) -> Outcome:
    """What intake calls fulfilled was handed over and paid, and the other way round."""
    return outcome(
        f"{region}.services_agree",
        "of every fulfilled need each part was handed over or paid, and of no other",
        [*_not_served(known), *_not_fulfilled(known)],
    )


def facts_are_booked(region: str, known: Needs) -> Outcome:
    """Aid entered as given is in the books or asked about; once it was reversed it is neither."""
    odd: list[str] = []
    for need_id, need in known.needs.items():
        if not need.given:
            continue
        commitment = known.commitments.get((need_id, 0))
        spent = commitment is not None and commitment.state == "spent"
        for booked, wanted, where in (
            (known.reservations.get((need_id, 0)) == "issued", need.of_supply, "inventory"),
            (spent or need_id in known.odd_needs, need.paid_by is not None, "payments"),
        ):
            if need.state == "fulfilled" and wanted and not booked:
                odd.append(f"aid given for need {need_id} is not booked in {where}")
            elif need.state != "fulfilled" and booked:
                odd.append(f"reversed aid of need {need_id} is still booked in {where}")
    return outcome(
        f"{region}.facts_are_booked",
        "aid entered as given is booked or asked about, and taken back when it was reversed",
        odd,
    )


def _not_served(known: Needs) -> list[str]:
    odd: list[str] = []
    for need_id, need in known.needs.items():
        if need.state != "fulfilled" or need.given:
            continue
        attempt = (need_id, need.issued_attempt)
        reservation, commitment = known.reservations.get(attempt), known.commitments.get(attempt)
        if need.of_supply and reservation != "issued":
            odd.append(f"need {need_id} is fulfilled, its reservation {reservation or 'missing'}")
        if need.paid_by is None or need_id in known.odd_needs:
            continue
        state = None if commitment is None else commitment.state
        # A provider may still be owed; a payout is the service itself.
        paid = ("spent", "committed") if need.paid_by == "provider" else ("spent",)
        if state not in paid:
            odd.append(f"need {need_id} is fulfilled, its money {state or 'missing'}")
    return odd


def _not_fulfilled(known: Needs) -> list[str]:
    """Goods or money that went out for an attempt, while intake knows of no service by it."""
    gone = {attempt for attempt, state in known.reservations.items() if state == "issued"}
    gone |= {attempt for attempt, each in known.commitments.items() if each.state == "spent"}
    odd: list[str] = []
    for need_id, attempt_no in gone:
        need = known.needs.get(need_id)
        if need is not None and (
            attempt_no == 0  # entered afterwards: see `facts_are_booked`
            or need.settled == "given_twice"  # a person answers for both services
            or (need.state, need.issued_attempt) == ("fulfilled", attempt_no)
        ):
            continue
        odd.append(f"need {need_id} attempt {attempt_no} was served: {_standing(known, need_id)}")
    return odd


async def results_agree(probe: RegionProbe) -> Outcome:
    """Reporting counts the services that intake knows, for the same people."""
    intake, reporting = probe.connections["intake"], probe.connections["reporting"]
    (served, persons), (counted, people, joined) = await asyncio.gather(
        _served(intake), _counted(reporting)
    )
    odd = [f"need {need_id} service {no} is not counted" for need_id, no in served.keys() - counted]
    odd += [f"need {need_id} service {no} is counted" for need_id, no in counted - served.keys()]
    for service in served.keys() & counted:
        row, seen = served[service], people.get(service, set())
        if row["for_whom"] == "person":
            fits = seen == {row["person_id"]}
        elif row["for_whom"] == "household":
            # People move in and out: who belonged to it then is known to its event alone.
            fits = bool(seen) and seen <= persons.keys()
        else:
            fits = not seen
        if not fits:
            odd.append(f"need {service[0]} service {service[1]} is counted for other people")
    odd += [
        f"person {one} is counted apart from {other}, into whom they were merged"
        for one, other in persons.items()
        if other is not None and joined.get(one, one) != joined.get(other, other)
    ]
    odd += [
        f"person {one} is counted as {other}, though they are two"
        for one, other in joined.items()
        if (persons.get(one) or one) != (persons.get(other) or other)
    ]
    return outcome(
        f"{probe.name}.results_agree",
        "every service is counted once in the results, for the people intake knows",
        odd,
    )


async def waiting_agrees(probe: RegionProbe) -> Outcome:
    """Reporting counts as waiting what intake's waitlist holds, for the same.

    What intake told before needs had versions reporting cannot know exactly.
    """
    listed, counted = await asyncio.gather(
        probe.connections["intake"].fetch(
            """
            SELECT id, place_area, blocked_resource, blocked_code, blocked_quantity FROM need
            WHERE state = 'waitlisted' AND NOT pending
            """
        ),
        probe.connections["reporting"].fetch(
            """
            SELECT need_id, area, resource, code, quantity, version FROM waiting w
            WHERE NOT EXISTS (
                SELECT FROM unlisted u WHERE u.need_id = w.need_id AND u.version > w.version)
            """
        ),
    )
    waits = {row[0]: tuple(row)[1:] for row in listed}
    seen = {row[0]: tuple(row)[1:-1] for row in counted}
    unknown = {row["need_id"] for row in counted if row["version"] == 0}
    return outcome(
        f"{probe.name}.waiting_agrees",
        "what waits is counted as waiting, and nothing else",
        [
            f"need {need_id} counts as waiting for {seen.get(need_id)}, not {waits.get(need_id)}"
            for need_id in (waits.keys() | seen.keys()) - unknown
            if waits.get(need_id) != seen.get(need_id)
        ],
    )


async def totals_agree(probe: RegionProbe) -> Outcome:
    """Inventory and payments know how much waits for goods and money as intake last told."""
    told, goods, money = await asyncio.gather(
        probe.connections["intake"].fetch("SELECT key, quantity, version FROM waiting_told"),
        probe.connections["inventory"].fetch("SELECT key, quantity, version FROM waiting"),
        probe.connections["payments"].fetch("SELECT key, amount_minor, version FROM waiting_money"),
    )
    ours = {row["key"]: tuple(row)[1:] for row in told}
    theirs = {row["key"]: tuple(row)[1:] for row in (*goods, *money)}
    return outcome(
        f"{probe.name}.waiting_totals_agree",
        "others are asked for what waits here as intake told it",
        [
            f"{key}: intake told {ours.get(key)}, who asks for it has {theirs.get(key)}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ],
    )


async def _served(
    conn: asyncpg.Connection,
) -> tuple[dict[Attempt, asyncpg.Record], dict[UUID, UUID | None]]:
    needs = await conn.fetch(
        "SELECT id, service_no, for_whom, person_id FROM need WHERE state = 'fulfilled'"
    )
    persons = await conn.fetch("SELECT id, merged_into FROM person")
    return (
        {(row["id"], row["service_no"]): row for row in needs},
        {row["id"]: row["merged_into"] for row in persons},
    )


async def _counted(
    conn: asyncpg.Connection,
) -> tuple[set[Attempt], dict[Attempt, set[UUID]], dict[UUID, UUID]]:
    services = await conn.fetch(
        "SELECT need_id, service_no FROM service s WHERE NOT EXISTS (SELECT FROM reversal r "
        "WHERE r.need_id = s.need_id AND r.service_no = s.service_no)"
    )
    people: dict[Attempt, set[UUID]] = {}
    for row in await conn.fetch("SELECT need_id, service_no, person_id FROM service_person"):
        people.setdefault((row["need_id"], row["service_no"]), set()).add(row["person_id"])
    joined = await conn.fetch("SELECT person_id, root_id FROM same_person")
    return (
        {(row["need_id"], row["service_no"]) for row in services},
        people,
        {row["person_id"]: row["root_id"] for row in joined},
    )


async def erased_everywhere(probe: RegionProbe) -> Outcome:
    """Notification has no contact left of whom intake erased."""
    erased, kept = await asyncio.gather(
        probe.connections["intake"].fetch("SELECT person_id FROM erased_person"),
        probe.connections["notification"].fetch(
            "SELECT person_id FROM contact WHERE sealed IS NOT NULL"
        ),
    )
    left = {row["person_id"] for row in erased} & {row["person_id"] for row in kept}
    return outcome(
        f"{probe.name}.erased_everywhere",
        "notification keeps no contact of an erased person",
        [f"person {person_id}" for person_id in left],
    )
