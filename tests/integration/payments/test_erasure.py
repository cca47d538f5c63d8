"""What payments keeps of people who were erased, in whichever order it hears of them."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis import inbox
from aidmesh_chassis.db import Tx
from aidmesh_chassis.inbox import Letter
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import NeedId, PayeeRef
from aidmesh_contracts.intake import AidGivenV1, NeedApprovedV1, PayeeErasedV1, PayeeSealedV1
from aidmesh_contracts.values import MoneyDemand
from aidmesh_payments.domain.payout import Verb
from aidmesh_payments.handlers import sweeps
from aidmesh_payments.handlers.payouts import Step
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    withdrawn,
)
from integration.payments.paying import take_step

UNDER_WAY: Sequence[tuple[Verb, UUID]] = (("approve", MAKER), ("export", MAKER))
PAID: Sequence[tuple[Verb, UUID]] = (*UNDER_WAY, ("settle", CHECKER))


def with_payee(amount_minor: int = 5_000) -> NeedApprovedV1:
    return approved(amount_minor, payee_ref=PayeeRef(uuid4()))


def sealed(need: NeedApprovedV1) -> PayeeSealedV1:
    assert need.payee_ref is not None
    return PayeeSealedV1(
        payee_ref=need.payee_ref, need_id=need.need_id, mechanism="iban", sealed="Y2FuYXJ5"
    )


def erased(need: NeedApprovedV1) -> PayeeErasedV1:
    return PayeeErasedV1(need_id=need.need_id, payee_ref=need.payee_ref)


async def kept(desk: Desk) -> int:
    return int(await desk.value("SELECT count(*) FROM payee"))


async def steps(
    desk: Desk,
    need: NeedApprovedV1,
    verbs: Sequence[tuple[Verb, UUID]],
    settled_on: date = date(2024, 6, 2),
    reason: str | None = None,
) -> None:
    """Take a need's payout this far."""
    payout_id = await desk.value("SELECT id FROM payout WHERE need_id = $1", need.need_id)
    for verb, by in verbs:
        order = Step(payout_id, "bank-1", settled_on, reason)
        await desk.run(partial(_step, desk, verb, order, by))


async def _step(desk: Desk, verb: Verb, order: Step, by: UUID, tx: Tx) -> None:
    await take_step(desk.office, tx, verb, order, by)


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_of_what_was_never_paid_nothing_is_kept_in_any_order(
    desk: Desk, order: tuple[int, ...]
) -> None:
    await desk.purse(50_000)
    need = with_payee()
    events: list[Event] = [need, sealed(need), erased(need), withdrawn(need)]
    for place in order:
        await desk.feed(events[place])
    assert await kept(desk) == 0
    # Once more, as after a crash.
    for place in order:
        await desk.feed(events[place])
    assert await kept(desk) == 0
    assert await desk.value("SELECT count(*) FROM erased_need") == 1


async def test_others_keep_theirs(desk: Desk) -> None:
    need, other = with_payee(), with_payee()
    await desk.feed(sealed(need), sealed(other))
    await desk.feed(erased(need))
    assert await desk.value("SELECT payee_ref FROM payee") == other.payee_ref


async def test_details_registered_here_go_too(desk: Desk) -> None:
    need = approved()
    await desk.execute(
        "INSERT INTO payee (payee_ref, need_id, sealed) VALUES (gen_random_uuid(), $1, 'x')",
        need.need_id,
    )
    await desk.feed(PayeeErasedV1(need_id=need.need_id))
    assert await kept(desk) == 0


async def test_what_was_paid_is_kept_until_the_legal_date(desk: Desk) -> None:
    await desk.purse(50_000)
    need = with_payee()
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(sealed(need))
    await steps(desk, need, PAID)
    await desk.feed(erased(need))
    assert await kept(desk) == 1
    today = await desk.value("SELECT now()::date")
    await desk.execute("UPDATE payout SET settled_on = $1", date(today.year - 5, 1, 1))
    await desk.run(sweeps.forget_payees)
    assert await kept(desk) == 1
    await desk.execute("UPDATE payout SET settled_on = $1", date(today.year - 6, 12, 31))
    await desk.run(sweeps.forget_payees)
    assert await kept(desk) == 0
    # What is in the books stays there.
    assert await desk.value("SELECT spent_minor FROM allotment") == 5_000


async def test_what_is_on_its_way_is_kept_until_it_is_known(desk: Desk) -> None:
    await desk.purse(50_000)
    need = with_payee()
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(sealed(need))
    await steps(desk, need, UNDER_WAY)
    await desk.feed(erased(need), withdrawn(need))
    await desk.run(sweeps.forget_payees)
    assert await kept(desk) == 1
    await steps(desk, need, [("reject", MAKER)], reason="AC04")
    await desk.run(sweeps.forget_payees)
    assert await kept(desk) == 0


async def test_aid_that_was_given_to_them_is_a_payment_record(desk: Desk) -> None:
    await desk.purse(50_000)
    need_id, ref = NeedId(uuid4()), PayeeRef(uuid4())
    money = MoneyDemand(amount_minor=500, currency="UAH", cost_category="cash", by="payout")
    today = await desk.value("SELECT now()::date")
    await desk.feed(
        AidGivenV1(
            need_id=need_id,
            kind="financial_aid",
            programme="relief",
            served_on=today,
            place_area="UA80",
            money=money,
        )
    )
    await desk.feed(PayeeSealedV1(payee_ref=ref, need_id=need_id, mechanism="cash", sealed="AAAA"))
    await desk.feed(PayeeErasedV1(need_id=need_id, payee_ref=ref))
    assert await kept(desk) == 1


async def set_aside(desk: Desk, ref: PayeeRef | None, payload: bytes = b"\xffsealed") -> None:
    """Details that could not be handled; what came may be no event at all."""
    headers = {"ce-subject": str(ref)}
    letter = Letter("payments-private", uuid4(), "private.kyiv.x", headers, payload)
    await desk.run(lambda tx: inbox.set_aside(tx.conn, letter, "dead", "broken", None))


async def letters_left(desk: Desk) -> list[str]:
    """Whose sealed details letters hold."""
    left: list[str] = await desk.value(
        "SELECT COALESCE(array_agg(headers ->> 'ce-subject' ORDER BY id), '{}') FROM dead_letter"
        " WHERE payload <> '' AND status = 'dead'"
    )
    return left


async def test_sealed_letters_that_were_set_aside_are_blanked(desk: Desk) -> None:
    need, later, other = with_payee(), with_payee(), with_payee()
    await set_aside(desk, need.payee_ref)
    await set_aside(desk, other.payee_ref)
    await desk.feed(erased(need), erased(later))
    # This one could not be handled after its tombstone was there.
    await set_aside(desk, later.payee_ref)
    await desk.run(sweeps.forget_payees)
    assert await letters_left(desk) == [str(other.payee_ref)]


def correction(need: NeedApprovedV1, version: int, replaces: PayeeRef | None) -> PayeeSealedV1:
    news = {"payee_ref": PayeeRef(uuid4()), "version": version, "replaces": replaces}
    return sealed(need).model_copy(update=news)


async def test_letters_with_details_that_were_corrected_twice_are_blanked(desk: Desk) -> None:
    need, other = with_payee(), with_payee()
    second = correction(need, 2, need.payee_ref)
    third = correction(need, 3, second.payee_ref)
    for each in (sealed(need), second, sealed(other)):
        await set_aside(desk, each.payee_ref, each.model_dump_json().encode())
    await desk.feed(second, third)
    assert await letters_left(desk) == [str(other.payee_ref)]
    # The one in between comes once more, and cannot be handled; the tombstone names the last.
    for _ in range(2):
        await set_aside(desk, second.payee_ref, second.model_dump_json().encode())
        await desk.feed(PayeeErasedV1(need_id=need.need_id, payee_ref=third.payee_ref))
        assert await letters_left(desk) == [str(other.payee_ref)]
    await set_aside(desk, need.payee_ref, sealed(need).model_dump_json(indent=1).encode())
    await desk.run(sweeps.forget_payees)
    assert await letters_left(desk) == [str(other.payee_ref)]
