"""Cash of which word came late, between intake and payments: its need is served and paid once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import pytest

from aidmesh.quiet import RegionProbe
from aidmesh.verification import across
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, PayoutId
from aidmesh_contracts.intake import NeedApprovedV1, NeedFulfilledV1, NeedReversedV1
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import allotting
from aidmesh_payments.handlers.commitments import settle_discrepancy
from aidmesh_payments.handlers.payouts import Step, take_steps
from integration.intake.world import World, only, open_world
from integration.payments.offices import CHECKER, MAKER, Desk, open_desk
from support.servers import DatabaseFactory

CASH = 360_000
KIND = "financial_aid"


@dataclass
class Office:
    """Intake, payments, and what they said to each other."""

    intake: World
    desk: Desk
    inventory: Database
    said: list[Event] = field(default_factory=list)

    async def settle(self) -> None:
        """Hand every message on until nobody has anything to say."""
        while news := [*await self.intake.published(), *await self.desk.told()]:
            self.said += news
            await self.desk.feed(*news)
            news = await self.intake.feed(*news)
            self.said += news
            await self.desk.feed(*news)

    async def time_passes(self) -> None:
        """Whatever may be asked for again is asked for."""
        async with self.intake.db.connection() as conn:
            await conn.execute("UPDATE need SET retry_at = now() WHERE retry_at IS NOT NULL")
        for name in ("overdue_attempts", "retries", "last_days", "pending_growth", "old_growth"):
            while await self.intake.sweep(name):
                await self.settle()

    async def step(self, payout_id: PayoutId, *verbs: Verb) -> None:
        """Take steps with a payout; who approves it does not settle it."""
        for verb in verbs:
            order = Step(payout_id, bank_reference="desk", reason="AC04")
            by = MAKER if verb == "settle" else CHECKER
            act = partial(take_steps, self.desk.office, verb=verb, steps=[order], by=by)
            outcomes: dict[PayoutId, PayoutRefusal | None] = await self.desk.run(act)
            assert outcomes == {payout_id: None}

    async def payout(self, need_id: UUID, attempt_no: int) -> PayoutId:
        """The payout of an attempt."""
        query = """
            SELECT p.id FROM payout p JOIN commitment c ON c.id = p.commitment_id
            WHERE c.need_id = $1 AND c.attempt_no = $2
        """
        found: PayoutId = await self.desk.value(query, need_id, attempt_no)
        return found

    async def odds(self) -> list[str]:
        """What a person has to settle in payments."""
        found: list[str] = await self.desk.value(
            "SELECT COALESCE(array_agg(about), '{}') FROM discrepancy WHERE settled_at IS NULL"
        )
        return found

    async def find_money(self, purse: AllotmentId) -> None:
        """A person settles the one discrepancy that is open."""
        odd = await self.desk.value("SELECT id FROM discrepancy WHERE settled_at IS NULL")
        office = self.desk.office
        await self.desk.run(lambda tx: settle_discrepancy(office, tx, odd, purse, MAKER, "found"))
        await self.settle()

    async def verify(self) -> None:
        """What `aidmesh verify` asks of each and of both together."""
        await self.desk.check()
        async with (
            self.intake.db.connection() as intake,
            self.desk.db.connection() as payments,
            self.inventory.connection() as inventory,
        ):
            services = {"intake": intake, "payments": payments, "inventory": inventory}
            known = await across.needs_of(RegionProbe("kyiv", Mock(), Mock(), services))
        for check in (across.holds_belong_to_live_attempts, across.services_agree):
            outcome = check("kyiv", known)
            assert outcome.ok, outcome.detail


@pytest.fixture
async def office(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Office]:
    """The office of kyiv."""
    intake = await open_world(await database("intake"), tmp_path)
    desk = await open_desk(await database("payments"))
    inventory = Database(await database("inventory"), Origin("kyiv", "inventory"))
    await inventory.open()
    office = Office(intake, desk, inventory)
    yield office
    await office.verify()
    await intake.client.aclose()
    for each in (intake.db, desk.db, inventory):
        await each.close()


GIVEN_UP: tuple[Verb, ...] = ("approve", "export", "not_collected")
STOPPED: tuple[Verb, ...] = ("approve", "cancel")


async def lapsed(
    office: Office, *, recalled: bool, verbs: tuple[Verb, ...] = GIVEN_UP
) -> tuple[UUID, PayoutId]:
    """A need whose cash was on a list and is said not to have been fetched, or was stopped.

    The same money is set aside for it anew, unless that was recalled.
    """
    purse = await office.desk.purse(CASH)
    need_id = await office.intake.request(KIND)
    await office.settle()
    assert await office.intake.state(need_id) == "ready"
    payout_id = await office.payout(need_id, 1)
    await office.step(payout_id, *verbs)
    if recalled:
        act = partial(allotting.recall, office.desk.office, allotment_id=purse, reason="donor_cut")
        await office.desk.run(act)
    await office.settle()
    if not recalled:
        await ask_again(office, need_id)
    left = "requested" if verbs == STOPPED else "waitlisted"
    assert await office.intake.state(need_id) == (left if recalled else "ready")
    return need_id, payout_id


async def ask_again(office: Office, need_id: UUID) -> None:
    """A caseworker asks for it again, unless that was done already."""
    if await office.intake.state(need_id) != "ready":
        await office.intake.post(f"/v1/needs/{need_id}:approve")
        await office.settle()


def services(office: Office, need_id: UUID) -> int:
    """How often the need was served, less what was taken back."""
    served = [each for each in only(office.said, NeedFulfilledV1) if each.need_id == need_id]
    back = [each for each in only(office.said, NeedReversedV1) if each.need_id == need_id]
    return len(served) - len(back)


async def test_cash_whose_money_is_missing_serves_its_need_once(office: Office) -> None:
    need_id, payout_id = await lapsed(office, recalled=True)
    await office.step(payout_id, "settle")
    await office.settle()
    assert await office.intake.state(need_id) == "fulfilled"
    [served] = only(office.said, NeedFulfilledV1)
    assert (served.quantity, served.unit, served.shares) == (CASH, "uah", ())
    assert await office.odds() == ["no_money"]
    await office.verify()

    # Nothing asks for it again, also not when there is money.
    asked = len(only(office.said, NeedApprovedV1))
    purse = await office.desk.purse(CASH)
    await office.settle()
    await office.time_passes()
    assert len(only(office.said, NeedApprovedV1)) == asked

    await office.find_money(purse)
    assert await office.odds() == []
    assert services(office, need_id) == 1
    assert (await office.intake.need(need_id))["attention"] is None
    spent = "SELECT spent_minor FROM allotment WHERE id = $1"
    assert await office.desk.value(spent, purse) == CASH


@pytest.mark.parametrize("found", [False, True])
async def test_cash_that_comes_back_was_no_service(office: Office, found: bool) -> None:
    need_id, payout_id = await lapsed(office, recalled=True)
    await office.step(payout_id, "settle")
    await office.settle()
    if found:
        await office.find_money(await office.desk.purse(CASH))
    await office.step(payout_id, "return")
    await office.settle()
    assert services(office, need_id) == 0
    assert await office.odds() == []
    await office.verify()

    # It can be paid again, and is a service then.
    await office.desk.purse(CASH)
    await office.settle()
    await ask_again(office, need_id)
    attempt_no = (await office.intake.need(need_id))["attempt_no"]
    await office.step(await office.payout(need_id, attempt_no), "approve", "settle")
    await office.settle()
    assert await office.intake.state(need_id) == "fulfilled"
    assert services(office, need_id) == 1


@pytest.mark.parametrize("recalled", [False, True])
@pytest.mark.parametrize("verbs", [(), ("approve",)])
@pytest.mark.parametrize("ended", [GIVEN_UP, STOPPED])
async def test_what_a_second_attempt_drew_up_is_not_paid(
    office: Office, recalled: bool, verbs: tuple[Verb, ...], ended: tuple[Verb, ...]
) -> None:
    need_id, first = await lapsed(office, recalled=recalled, verbs=ended)
    if recalled:
        await office.desk.purse(CASH)
        await office.settle()
        await ask_again(office, need_id)
    attempt_no = (await office.intake.need(need_id))["attempt_no"]
    assert attempt_no > 1
    second = await office.payout(need_id, attempt_no)
    await office.step(second, *verbs)

    await office.step(first, "settle")
    await office.settle()
    assert await office.intake.state(need_id) == "fulfilled"
    assert services(office, need_id) == 1
    assert await office.odds() == (["no_money"] if recalled else [])
    assert await office.desk.value("SELECT state FROM payout WHERE id = $1", second) == "cancelled"
    assert (await office.intake.need(need_id))["attention"] is None
    await office.verify()
    await office.time_passes()
    assert await office.intake.state(need_id) == "fulfilled"


@pytest.mark.parametrize("ended", [GIVEN_UP, STOPPED])
async def test_two_payments_are_seen_by_a_person(office: Office, ended: tuple[Verb, ...]) -> None:
    need_id, first = await lapsed(office, recalled=False, verbs=ended)
    second = await office.payout(need_id, 2)
    await office.step(second, "approve", "settle")
    await office.settle()
    await office.step(first, "settle")
    await office.settle()
    assert services(office, need_id) == 1
    assert (await office.intake.need(need_id))["attention"] == "served_by_two_attempts"
    assert await office.odds() == ["paid_twice"]
