"""A payments office on a real database, and the events that are fed to it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

from aidmesh_chassis import standings
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.outbox import Origin
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    AllotmentId,
    GrantId,
    NeedId,
    PayeeRef,
    RequestId,
    SiteId,
    TransferId,
)
from aidmesh_contracts.intake import NeedApprovedV1, NeedConfirmedV1, NeedToldV1, NeedWithdrawnV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.restriction import UNRESTRICTED, Restriction
from aidmesh_contracts.streams import Stream, event_type_of
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.checks import CHECKS
from aidmesh_payments.consumers import subscriptions
from aidmesh_payments.domain.grants import Line, Override
from aidmesh_payments.handlers import allotting, book, grants, instalments
from aidmesh_payments.handlers.allotting import Order
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.store import grants as grant_store

MAKER, CHECKER = UUID(int=1), UUID(int=2)
REGIONS = frozenset({"kyiv", "lviv"})
DAYS = 7
"""How long cash waits for whoever was told."""
E = TypeVar("E", bound=Event)


@dataclass
class Desk:
    """One region's payments, without a broker: handlers are called with real transactions."""

    office: Office
    db: Database
    read_to: int = 0

    async def feed(
        self,
        *events: Event,
        region: str | None = None,
        at: datetime | None = None,
        epoch: int = 1,
    ) -> None:
        """Handle events as one batch, as the consumers of the subscriptions do."""
        batch = [received(event, region or self.office.region, at, epoch) for event in events]
        async with self.db.transaction() as tx:
            if region not in (None, self.office.region):
                late = await standings.set_aside(tx.conn, "payments-world", batch)
                batch = [item for item in batch if item.event_id not in late]
            for subscription in subscriptions(self.office):
                handlers = subscription.handlers
                for handler in dict.fromkeys(handlers.values()):
                    group = [item for item in batch if handlers.get(type(item.event)) is handler]
                    if group:
                        await handler(tx, group)

    async def run(self, act: Callable[[Tx], Awaitable[Any]]) -> Any:
        """Run something in a transaction."""
        async with self.db.transaction() as tx:
            return await act(tx)

    async def told(self) -> list[Event]:
        """The events published since the last call."""
        async with self.db.read() as conn:
            rows = await conn.fetch(
                "SELECT seq, subject, payload FROM outbox WHERE seq > $1 ORDER BY seq", self.read_to
            )
        if rows:
            self.read_to = rows[-1]["seq"]
        return [
            REGISTRY[event_type_of(row["subject"])].model_validate_json(row["payload"])
            for row in rows
        ]

    async def told_of(self, kind: type[E]) -> list[E]:
        """Of the events published since the last call, those of one class."""
        return [event for event in await self.told() if isinstance(event, kind)]

    async def value(self, query: str, *args: object) -> Any:
        """One value of a query."""
        async with self.db.read() as conn:
            return await conn.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> None:
        """Change the database behind the service's back."""
        async with self.db.transaction() as tx:
            await tx.conn.execute(query, *args)

    async def grant(
        self,
        amount_minor: int = 1_000_000,
        currency: str = "UAH",
        restriction: Restriction = UNRESTRICTED,
        lines: Sequence[Line] | None = None,
        received: bool = True,
    ) -> GrantId:
        """A grant that came in whole."""
        grant_id, donor_id = GrantId(uuid4()), uuid4()

        async def act(tx: Tx) -> None:
            await grant_store.insert_donor(tx.conn, donor_id, f"donor {donor_id}")
            await grants.pledge(
                self.office,
                tx,
                grants.NewGrant(
                    id=grant_id,
                    donor_id=donor_id,
                    code=f"g{grant_id.hex}",
                    currency=currency,
                    amount_minor=amount_minor,
                    period=(date(2020, 1, 1), date(2040, 12, 31)),
                    restriction=restriction,
                    lines=tuple(lines or [Line("aid", amount_minor, 0)]),
                    overhead_bp=0,
                    paying_office=self.office.region,
                ),
                MAKER,
            )
            if received:
                await _take_in(tx, grant_id, amount_minor)

        await self.run(act)
        return grant_id

    async def take_in(self, grant_id: GrantId, amount_minor: int) -> None:
        """An instalment that came in."""
        await self.run(lambda tx: _take_in(tx, grant_id, amount_minor))

    async def allot(
        self,
        grant_id: GrantId,
        amount_minor: int,
        *,
        to: str | None = None,
        currency: str = "UAH",
        line: str = "aid",
        valid_until: date | None = None,
        override: Override | None = None,
        allotment_id: AllotmentId | None = None,
        **more: Any,
    ) -> AllotmentId:
        """An allotment, by default to the region itself and a new one."""
        order = Order(
            allotment_id=allotment_id or AllotmentId(uuid4()),
            transfer_id=TransferId(uuid4()),
            grant_id=grant_id,
            budget_line=line,
            to_region=to or self.office.region,
            amount_minor=amount_minor,
            currency=currency,
            valid_until=valid_until,
            **more,
        )
        await self.run(lambda tx: allotting.allot(self.office, tx, order, MAKER, override))
        return order.allotment_id

    async def purse(self, amount_minor: int, **grant: Any) -> AllotmentId:
        """An allotment of a fresh grant of that size."""
        return await self.allot(await self.grant(amount_minor, **grant), amount_minor)

    async def check(self) -> None:
        """What `aidmesh verify` asks of the books."""
        async with self.db.read() as conn:
            for check in CHECKS:
                odd = [row[0] for row in await conn.fetch(check.sql)]
                assert not odd, (check.name, odd)


async def _take_in(tx: Tx, grant_id: GrantId, amount_minor: int) -> None:
    instalment_id, today = uuid4(), date(2024, 6, 1)
    expected = instalments.Expected(instalment_id, grant_id, amount_minor, today)
    came = instalments.Came(instalment_id, amount_minor, today, f"bank {instalment_id}")
    assert await instalments.enter(tx, [expected], [came], MAKER) == [None]


def received(event: E, region: str, at: datetime | None = None, epoch: int = 1) -> Received[E]:
    """Wrap an event as it comes from the wire."""
    identity = new_event_id()
    return Received(
        event=event,
        event_id=identity,
        correlation_id=identity,
        occurred_at=at or datetime.now(UTC),
        region=region,
        epoch=epoch,
        version=None,
        content_hash=b"x" * 16,
    )


async def open_desk(dsn: str, region: str = "kyiv") -> Desk:
    """Open an office on a migrated database."""
    db = Database(dsn, Origin(region, "payments"))
    await db.open()
    return Desk(Office(region, {"UAH": 10_000}, lambda: REGIONS), db)


def approved(
    amount_minor: int = 5_000,
    *,
    need_id: NeedId | None = None,
    attempt_no: int = 1,
    by: str = "payout",
    priority: int = 1,
    asked_on: date = date(2024, 6, 1),
    programme: str = "relief",
    kind: str = "financial_aid",
    currency: str = "UAH",
    area: str = "UA80",
    payee_ref: PayeeRef | None = None,
    site_id: SiteId | None = None,
    hold_s: int = 600,
    sensitive: bool = False,
) -> NeedApprovedV1:
    """A need that costs money."""
    return NeedApprovedV1(
        need_id=need_id or NeedId(uuid4()),
        attempt_no=attempt_no,
        request_id=RequestId(uuid4()),
        kind=kind,
        programme=programme,
        priority=priority,
        asked_on=asked_on,
        planned_on=date(2024, 6, 10),
        place_area=area,
        site_id=site_id,
        money=MoneyDemand.model_validate(
            {
                "amount_minor": amount_minor,
                "currency": currency,
                "cost_category": "cash",
                "by": by,
            }
        ),
        payee_ref=payee_ref,
        hold_s=hold_s,
        sensitive=sensitive,
    )


def confirmed(need: NeedApprovedV1) -> NeedConfirmedV1:
    """Its hold is to become firm."""
    return NeedConfirmedV1(
        need_id=need.need_id, attempt_no=need.attempt_no, with_money=True, with_supply=False
    )


def withdrawn(need: NeedApprovedV1, reason: str = "cancelled") -> NeedWithdrawnV1:
    """Its attempt is over."""
    return NeedWithdrawnV1.model_validate(
        {"need_id": need.need_id, "attempt_no": need.attempt_no, "reason": reason}
    )


def told(need: NeedApprovedV1, told_at: datetime | None = None) -> NeedToldV1:
    """The person was told that it is ready, now by default."""
    return NeedToldV1(
        need_id=need.need_id,
        attempt_no=need.attempt_no,
        told_at=told_at or datetime.now(UTC),
        how="in_person",
        collect_days=DAYS,
    )


async def public(desk: Desk) -> list[Event]:
    """What other regions hear, once they have been told."""
    await desk.run(partial(book.tell_allotments, desk.office))
    return [event for event in await desk.told() if event.stream is Stream.EVENTS]


async def exchange(one: Desk, other: Desk) -> None:
    """Deliver until nothing more is said."""
    while True:
        from_one, from_other = await public(one), await public(other)
        if not from_one and not from_other:
            return
        await other.feed(*from_one, region=one.office.region)
        await one.feed(*from_other, region=other.office.region)
