"""A region that holds money and the office of another one that pays, without a broker."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_chassis.keys import PAYMENTS, KeyRing, create_region_keys
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayeeRef, PayoutId
from aidmesh_contracts.intake import NeedApprovedV1, PayeeSealedV1
from aidmesh_contracts.payments import KeyChangedV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import Stream, event_type_of
from aidmesh_payments.domain.orders import OrderVerb
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import assigning, book, orders, payees, payouts
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.handlers.payees import Payee
from aidmesh_payments.handlers.payouts import Step
from integration.payments.offices import CHECKER, MAKER, Desk, approved, confirmed

IBAN = "UA213223130000026007233566001"
NAME = "Canary Kanarenko"
PURPOSE = "=Transfer 7"
SEALER = UUID(int=4)
"""Who enters and corrects where payments go."""


@dataclass
class Side:
    """One region with its keys.

    Attributes:
        seen: handoffs that were put on the wire already.
    """

    desk: Desk
    keys: KeyRing
    seen: set[UUID] = field(default_factory=set)

    @property
    def region(self) -> str:
        return self.desk.office.region

    async def said(self) -> list[Event]:
        """What it hands over and tells the world, once."""
        async with self.desk.db.read() as conn:
            rows = await conn.fetch(
                "SELECT event_id, subject, payload FROM handoff WHERE status = 'waiting'"
                " ORDER BY created_at, event_id"
            )
        fresh = [row for row in rows if row["event_id"] not in self.seen]
        self.seen |= {row["event_id"] for row in fresh}
        handed = [
            REGISTRY[event_type_of(row["subject"])].model_validate_json(row["payload"])
            for row in fresh
        ]
        await self.desk.run(partial(book.tell_allotments, self.desk.office))
        return [*handed, *(e for e in await self.desk.told() if e.stream is Stream.EVENTS)]

    async def sweep(self) -> None:
        """What this region does by itself."""
        await self.desk.run(partial(assigning.assign, self.desk.office, self.keys, PURPOSE))
        await self.desk.run(partial(orders.read_boxes, self.desk.office, self.keys))


@dataclass
class Two:
    """lviv holds money of a grant that kyiv gave and pays."""

    kyiv: Side
    lviv: Side

    async def exchange(self) -> None:
        """Deliver until nothing more is said."""
        while True:
            await self.kyiv.sweep()
            await self.lviv.sweep()
            from_kyiv, from_lviv = await self.kyiv.said(), await self.lviv.said()
            if not from_kyiv and not from_lviv:
                return
            await self.lviv.desk.feed(*from_kyiv, region="kyiv")
            await self.kyiv.desk.feed(*from_lviv, region="lviv")

    async def need(self, amount_minor: int = 5_000, mechanism: str = "iban") -> NeedApprovedV1:
        """A need at lviv whose payout waits for approval."""
        need = approved(amount_minor, payee_ref=PayeeRef(uuid4()))
        for event in (self.details(need, mechanism=mechanism), need, confirmed(need)):
            await self.lviv.desk.feed(event)
        return need

    def details(
        self, need: NeedApprovedV1, version: int = 0, mechanism: str = "iban"
    ) -> PayeeSealedV1:
        """Whom a need pays, sealed as intake does; with a version, as they were corrected."""
        payee = Payee.model_validate(
            {"mechanism": mechanism, "legal_name": NAME, "iban": IBAN, "post_address": "Box 7"}
        )
        box = payees.sealed(payee, self.lviv.keys.public(PAYMENTS))
        return PayeeSealedV1.model_validate(
            {
                "payee_ref": uuid4() if version else need.payee_ref,
                "need_id": need.need_id,
                "mechanism": mechanism,
                "sealed": base64.b64encode(box).decode(),
                "version": version,
                "replaces": need.payee_ref if version else None,
                "sealed_by": SEALER,
            }
        )

    async def approve(self, need: NeedApprovedV1) -> PayoutId:
        """Have the payout of a need approved, by the maker."""
        payout_id = PayoutId(
            await self.lviv.desk.value(
                "SELECT id FROM payout WHERE need_id = $1 ORDER BY payout_no DESC", need.need_id
            )
        )
        assert await self.hold(payout_id, "approve") is None
        return payout_id

    async def hold(self, payout_id: PayoutId, verb: Verb, by: UUID = MAKER) -> object:
        """Take a step at the holder."""
        step = [Step(payout_id, bank_reference="here")]
        lviv = self.lviv.desk
        found = await lviv.run(
            partial(payouts.take_steps, lviv.office, verb=verb, steps=step, by=by)
        )
        return found[payout_id]

    async def pay(
        self, payout_id: PayoutId, verb: OrderVerb, by: UUID = CHECKER, reason: str | None = None
    ) -> PayoutRefusal | str | None:
        """Take a step at the paying office; a text where it knows no such order."""
        kyiv = self.kyiv.desk
        step = [Step(payout_id, bank_reference="bank-7", reason=reason)]
        found = await kyiv.run(
            partial(orders.take_steps, kyiv.office, verb=verb, steps=step, by=by)
        )
        refusal: PayoutRefusal | str | None = found.get(payout_id, "unknown")
        return refusal

    async def states(self, payout_id: PayoutId) -> Sequence[object]:
        """The state of a payout at its holder and at the paying office."""
        return (
            await self.lviv.desk.value("SELECT state FROM payout WHERE id = $1", payout_id),
            await self.kyiv.desk.value("SELECT state FROM paying_order WHERE id = $1", payout_id),
        )


async def two(kyiv: Desk, lviv: Desk, folder: Path, amount_minor: int = 1_000_000) -> Two:
    """Both regions with keys that the other knows, and money at lviv."""
    sides = []
    for desk in (kyiv, lviv):
        create_region_keys(folder / desk.office.region)
        sides.append(Side(desk, KeyRing(folder / desk.office.region, [PAYMENTS])))
    pair = Two(*sides)
    for one, other in ((pair.kyiv, pair.lviv), (pair.lviv, pair.kyiv)):
        public = base64.b64encode(one.keys.public(PAYMENTS).raw).decode()
        key = KeyChangedV1(purpose="seal", public=public, version=1)
        await other.desk.feed(key, region=one.region)
    await kyiv.allot(await kyiv.grant(amount_minor), amount_minor, to="lviv")
    await pair.exchange()
    return pair


async def take_step(office: Office, tx: Tx, verb: Verb, step: Step, by: UUID) -> None:
    """Take one step with one payout. Raises `Problem`."""
    payouts.done(await payouts.take_steps(office, tx, verb, [step], by), step)
