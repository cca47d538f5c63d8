"""Brings restored databases as far forward as others, and the own log, can tell.

What this region told others since the backup is in its history again and, where it is about money,
in its books. What it used in ways that nobody can name is committed as a whole. What may have gone
out since then is unproven. The rest is listed for people.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received, read
from aidmesh_chassis.erasures import Erasure
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts import inventory, payments, payments_grants, payments_regions
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.intake import PersonErasedV1
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_contracts.payments_grants import AllotmentChangedV1, AllotmentSentV1, GrantChangedV1
from aidmesh_contracts.payments_waits import WaitChangedV1
from aidmesh_intake.handlers import restoring as intake_rules
from aidmesh_intake.store import restoring as intake_store
from aidmesh_inventory.handlers import restoring as inventory_rules
from aidmesh_inventory.store import restoring as inventory_store
from aidmesh_notification.store import restoring as notification_store
from aidmesh_payments.handlers import holding, reserving
from aidmesh_payments.handlers import restoring as payments_rules
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import restoring as payments_store
from aidmesh_reporting.store import restoring as reporting_store

NOT_KNOWN_WHEN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When a log was made that is gone: no log is of that time, so it is made anew."""

PAYMENTS: Final[Mapping[str, type[Event]]] = {
    event.type: event
    for event in (*payments.EVENTS, *payments_grants.EVENTS, *payments_regions.EVENTS)
}
VERSIONED: Final = {
    "inventory": inventory_store.VERSIONED,
    "payments": payments_store.VERSIONED,
    "reporting": reporting_store.VERSIONED,
}
SHARED: Final = {"payments": payments_store.SHARED}
TOLD: Final = {"inventory": inventory_store.TOLD, "payments": payments_store.TOLD}
FOLLOWS_BY_ITSELF: Final = frozenset(
    {
        inventory.StockChangedV1.type,
        inventory.CapacityChangedV1.type,
        "reporting.results.published.v1",
        WaitChangedV1.type,
        *(f"{service}.key.changed.v1" for service in ("intake", "inventory", "payments")),
        *(event.type for event in payments_rules.COMES_AGAIN),
    }
)
"""Of lost events those that nobody has to look at: what they say is told anew, or comes again."""

GIVEN: Final = frozenset(
    {
        "intake.need.fulfilled.v1",
        "inventory.reservation.issued.v1",
        "inventory.stay.settled.v1",
        "payments.commitment.spent.v1",
        "payments.payout.changed.v1",
    }
)
"""What the own log may still tell of aid and money that was given: to be entered again."""


@dataclass(slots=True)
class Forwarded:
    """What was done, for the operator.

    Attributes:
        told: events that came back into the history.
        redone: of these the ones whose money or goods are in the books again.
        left: lost events that people have to look at (GET /v1/conflicts of each service).
        reserved_minor: by allotment, what was committed as used since.
        set_aside_minor: by grant, what it had to give in the books and had not by the last word.
        unproven: how much of what may have gone out since the backup.
        erased: people and households that were erased again, each record of a person counted.
        parted: records that stay, of people of whom another record was erased: parted since.
        not_erased: those that a person has to erase: they were merged meanwhile.
    """

    told: int = 0
    redone: int = 0
    left: int = 0
    reserved_minor: dict[str, int] = field(default_factory=dict)
    set_aside_minor: dict[str, int] = field(default_factory=dict)
    unproven: dict[str, int] = field(default_factory=dict)
    erased: int = 0
    parted: list[str] = field(default_factory=list)
    not_erased: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Restored:
    """A region whose databases are in place and whose services do not run.

    Attributes:
        regions: its peers, and itself.
        dsns: of its databases, by service, as the roles that own them.
        connections: to the same databases.
    """

    region: str
    epoch: int
    taken_at: datetime
    regions: frozenset[str]
    dsns: Mapping[str, str]
    connections: Mapping[str, asyncpg.Connection]


async def roll_forward(
    at: Restored,
    public: Sequence[Lost],
    local: Sequence[Lost],
    sent_here: Sequence[Received[AllotmentSentV1]],
    erasures: Sequence[Erasure],
) -> Forwarded:
    """Do all of it; begun once, on databases as they came out of the backup.

    Args:
        public: lost events that others have, or the own log.
        local: lost events of the own log that never left the region.
        sent_here: transfers of money to this region that are in others' logs.
        erasures: all that the list outside backups names.
    """
    done = Forwarded(told=len(public))
    await prepare(at, public)
    await _doubt(at, done)
    handled = await redo_money(at, _of("payments", public), _of("payments", local), sent_here, done)
    goods = await redo_goods(at, _of("inventory", public))
    done.redone += len(goods)
    handled += goods
    for service, conn in at.connections.items():
        left = [
            event
            for event in restoring.newest(_of(service, public))
            if event.type not in FOLLOWS_BY_ITSELF and event not in handled
        ]
        left += [event for event in restoring.newest(_of(service, local)) if event.type in GIVEN]
        await restoring.leave_to_people(conn, at.region, left)
        done.left += len(left)
    heard = [
        Erasure(at.taken_at, "record", UUID(event.aggregate))
        for event in local
        if event.type == PersonErasedV1.type
    ]
    await erase(at, erasures, heard, done)
    return done


async def prepare(at: Restored, public: Sequence[Lost]) -> None:
    """Have what was told in the history again, and states told above all that anybody heard."""
    await _put_back(at, public)
    for service, conn in at.connections.items():
        async with conn.transaction():
            await restoring.begin(conn, at.region, at.epoch, at.taken_at)
            await restoring.raise_versions(
                conn, at.region, VERSIONED.get(service, ()), SHARED.get(service, ())
            )
            await restoring.tell_keys_again(conn)
            await restoring.tell_again(conn, at.epoch, TOLD.get(service, ()), _of(service, public))
            if service == "reporting":
                await reporting_store.publish_again(conn)


async def _put_back(at: Restored, public: Sequence[Lost]) -> None:
    highest = 0
    for conn in at.connections.values():
        found = await conn.fetchval(
            "SELECT max(ack_seq) FROM outbox WHERE status = 'acked' AND stream = 'EVENTS'"
        )
        highest = max(highest, found or 0)
    numbered = [(event, highest + number) for number, event in enumerate(public, start=1)]
    for service, conn in at.connections.items():
        mine = [each for each in numbered if _service(each[0]) == service]
        await restoring.put_back(conn, mine, NOT_KNOWN_WHEN)


async def redo_money(
    at: Restored,
    public: Sequence[Lost],
    local: Sequence[Lost],
    sent_here: Sequence[Received[AllotmentSentV1]],
    done: Forwarded,
) -> list[Lost]:
    """Book anew what is about money; returns the lost events that are in the books again."""
    office = Office(at.region, {}, lambda: at.regions, is_restoring=True)
    database = Database(at.dsns["payments"], Origin(at.region, "payments", at.epoch), pool_max=2)
    await database.open()
    handled: list[Lost] = []
    try:
        async with database.transaction() as tx:
            await holding.receive(office, tx, sent_here)
        await _refund(office, database, public)
        async with database.transaction() as tx:
            await payments_store.raise_terms(tx.conn, at.region)
        async with database.transaction() as tx:
            await payments_rules.end_holds(office, tx)
        for event in public:
            received = _read(event)
            if received is None:
                continue
            try:
                async with database.transaction() as tx:
                    if await payments_rules.redo(office, tx, received):
                        handled.append(event)
            except (Problem, Poison):
                continue  # a person sees to it
        done.redone = sum(event.type not in FOLLOWS_BY_ITSELF for event in handled)
        states = _last_states(public)
        unbooked = await _remake(office, database, states.values())
        handled += [
            event
            for event in public
            if event.type == AllotmentChangedV1.type and event.aggregate not in unbooked
        ]
        told = [received.event for event in local if (received := _read(event)) is not None]
        async with database.transaction() as tx:
            reserved = await reserving.reserve(office, tx, states, told)
        async with database.transaction() as tx:
            heard = {state.grant_id: state.unallotted_minor for state in _grants(public)}
            set_aside = await payments_rules.settle(tx, heard)
        async with database.transaction() as tx:
            await payments_rules.end_recalls(replace(office, is_restoring=False), tx)
        async with database.transaction() as tx:
            versions = [(state.allotment_id, state.version) for state in states.values()]
            await payments_store.rise_above(tx.conn, "allotment", versions)
            granted = [(state.grant_id, state.version) for state in _grants(public)]
            await payments_store.rise_above(tx.conn, "donor_grant", granted)
    finally:
        await database.close()
    done.reserved_minor = {str(key): amount for key, amount in reserved.items()}
    done.set_aside_minor = {str(key): amount for key, amount in set_aside.items()}
    return handled


async def _remake(
    office: Office, database: Database, states: Iterable[AllotmentChangedV1]
) -> set[str]:
    """Have what the region gave itself; returns the allotments that a person has to see to."""
    unbooked: set[str] = set()
    for state in states:
        try:
            async with database.transaction() as tx:
                await payments_rules.remake(office, tx, state)
        except Problem:
            unbooked.add(str(state.allotment_id))
    return unbooked


async def redo_goods(at: Restored, public: Sequence[Lost]) -> list[Lost]:
    """Have shipments again that left; returns the lost events that are in the books again.

    What is being prepared then is told anew, above all that others know of it.
    """
    database = Database(at.dsns["inventory"], Origin(at.region, "inventory", at.epoch), pool_max=2)
    await database.open()
    handled: list[Lost] = []
    try:
        for event in restoring.newest(public):
            if event.type != ShipmentChangedV1.type:
                continue
            said = ShipmentChangedV1.model_validate_json(event.payload)
            try:
                async with database.transaction() as tx:
                    if await inventory_rules.redo(tx, at.region, said):
                        handled.append(event)
            except Poison:
                continue  # a person sees to it
        async with database.transaction() as tx:
            await inventory_rules.tell_preparing(tx, at.region)
    finally:
        await database.close()
    return handled


async def _refund(office: Office, database: Database, public: Sequence[Lost]) -> None:
    events = [received.event for event in public if (received := _read(event)) is not None]
    sent = [event for event in events if isinstance(event, AllotmentSentV1)]
    held = list(_last_states(public).values())
    for state in _grants(public):
        try:
            async with database.transaction() as tx:
                await payments_rules.refund(office, tx, state, sent, held)
        except Problem:
            continue  # a person sees to it: the event is left to them in any case


def _grants(public: Sequence[Lost]) -> list[GrantChangedV1]:
    """How grants stood when others heard of them last."""
    heard = [_read(event) for event in restoring.newest(public)]
    return [
        received.event
        for received in heard
        if received is not None and isinstance(received.event, GrantChangedV1)
    ]


def _last_states(
    public: Sequence[Lost],
) -> dict[AllotmentId, AllotmentChangedV1]:
    states = {}
    for event in restoring.newest(public):
        received = _read(event) if event.type == AllotmentChangedV1.type else None
        if received is not None and isinstance(received.event, AllotmentChangedV1):
            states[received.event.allotment_id] = received.event
    return states


async def _doubt(at: Restored, done: Forwarded) -> None:
    needs = await intake_store.open_needs(at.connections["intake"])
    for service in ("notification", "payments"):
        await restoring.doubt(at.connections[service], "need", needs)
    done.unproven["needs"] = len(needs)
    done.unproven["messages"] = await notification_store.doubt_queued(
        at.connections["notification"]
    )
    for about, ids in await payments_store.open_payments(at.connections["payments"]):
        await restoring.doubt(at.connections["payments"], about, ids)
        done.unproven[f"{about}s"] = len(ids)


async def erase(
    at: Restored, listed: Sequence[Erasure], heard: Sequence[Erasure], done: Forwarded
) -> None:
    """Do erasures again.

    Args:
        listed: by the list outside backups: with every household.
        heard: from the own log, which names records of persons alone.
    """
    both = [*listed, *heard]
    named = {each.id for each in listed}
    database = Database(at.dsns["intake"], Origin(at.region, "intake", at.epoch), pool_max=2)
    await database.open()
    try:
        async with database.transaction() as tx:
            done.parted = [str(each) for each in await intake_rules.part(tx, both)]
        for erasure in {(each.kind, each.id): each for each in both}.values():
            homes_too = erasure.id not in named
            try:
                async with database.transaction() as tx:
                    again = intake_rules.erase_again(tx, erasure, homes_too=homes_too)
                    done.erased += await again
            except Problem:
                done.not_erased.append(f"{erasure.kind} {erasure.id}")
    finally:
        await database.close()


def _read(event: Lost) -> Received[Event] | None:
    try:
        return read(event.subject, event.headers, event.payload, PAYMENTS)
    except Poison:
        return None


def _service(event: Lost) -> str:
    return event.subject.split(".")[2]


def _of(service: str, events: Sequence[Lost]) -> list[Lost]:
    return [event for event in events if _service(event) == service]
