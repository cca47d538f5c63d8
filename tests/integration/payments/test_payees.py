"""Payee details that are corrected after someone was registered."""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import permutations
from typing import get_args
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.accounts import Mechanism
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayeeRef, PayoutId
from aidmesh_contracts.intake import (
    NeedApprovedV1,
    NeedConfirmedV1,
    PayeeErasedV1,
    PayeeSealedV1,
)
from aidmesh_contracts.payments import CommitmentMadeV1, PayoutChangedV1
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import payees
from aidmesh_payments.handlers.needs import confirm
from aidmesh_payments.handlers.payouts import Step, give_up, redo, review_one, take_steps
from aidmesh_payments.store import payees as payee_store
from integration.payments.offices import (
    CHECKER,
    MAKER,
    Desk,
    approved,
    confirmed,
    received,
    withdrawn,
)
from support.waiting import eventually

ABOVE_LIMIT = 20_000
FINANCE = UUID(int=3)


def registered(mechanism: str | None = "iban") -> tuple[NeedApprovedV1, list[PayeeSealedV1]]:
    """A need as it was registered, without details if there is no mechanism."""
    need = approved(ABOVE_LIMIT, payee_ref=PayeeRef(uuid4()) if mechanism else None)
    if need.payee_ref is None:
        return need, []
    return need, [sealed(need, need.payee_ref, mechanism)]


def sealed(need: NeedApprovedV1, ref: PayeeRef, mechanism: str | None) -> PayeeSealedV1:
    return PayeeSealedV1.model_validate(
        {"payee_ref": ref, "need_id": need.need_id, "mechanism": mechanism, "sealed": "AAAA"}
    )


def corrected(
    need: NeedApprovedV1, version: int = 2, mechanism: str = "iban", by: UUID = MAKER
) -> PayeeSealedV1:
    made = sealed(need, PayeeRef(uuid4()), mechanism)
    return made.model_copy(update={"version": version, "replaces": need.payee_ref, "sealed_by": by})


async def drawn_up(desk: Desk) -> NeedApprovedV1:
    """A need whose payout waits for approval."""
    need, details = registered()
    await desk.feed(*details)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    return need


async def step(desk: Desk, verb: Verb, by: UUID, reason: str | None = None) -> object:
    payout_id = PayoutId(
        await desk.value("SELECT id FROM payout ORDER BY recorded_at DESC LIMIT 1")
    )
    orders = [Step(payout_id, bank_reference="b", reason=reason)]
    found = await desk.run(partial(take_steps, desk.office, verb=verb, steps=orders, by=by))
    return found[payout_id]


async def paid_to(desk: Desk) -> Sequence[object]:
    """Where the newest payout goes, and how far it is."""
    return tuple(
        await desk.value(
            "SELECT ARRAY[state, payee_ref::text, mechanism] FROM payout"
            " ORDER BY recorded_at DESC LIMIT 1"
        )
    )


@pytest.mark.parametrize("mechanism", [*get_args(Mechanism), None])
async def test_what_is_committed_says_whether_it_is_sent(
    desk: Desk, mechanism: Mechanism | None
) -> None:
    await desk.purse(ABOVE_LIMIT)
    need = approved(ABOVE_LIMIT, payee_ref=PayeeRef(uuid4()))
    assert need.payee_ref is not None
    if mechanism is not None:  # else the details are still on their way
        await desk.feed(sealed(need, need.payee_ref, mechanism))
    await desk.feed(need)
    await desk.feed(confirmed(need))
    (made,) = await desk.told_of(CommitmentMadeV1)
    assert made.sent == (None if mechanism is None else mechanism != "cash")


@pytest.mark.parametrize(
    "order", [each for each in permutations(range(4)) if each.index(0) < each.index(1)]
)
@pytest.mark.parametrize("mechanism", ["iban", None])
async def test_the_newest_details_are_paid_in_whichever_order_they_come(
    desk: Desk, order: tuple[int, ...], mechanism: str | None
) -> None:
    await desk.purse(50_000)
    need, first = registered(mechanism)
    second, third = corrected(need, 2, "card"), corrected(need, 5, "post")
    events: list[Event] = [need, confirmed(need), second, third]
    for place in order:
        await desk.feed(events[place])
    for event in first:
        await desk.feed(event)
    assert await paid_to(desk) == ("draft", str(third.payee_ref), "post")
    assert await desk.value("SELECT payee_ref FROM commitment") == third.payee_ref


async def test_an_approval_is_void_when_the_details_change(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await drawn_up(desk)
    assert await step(desk, "approve", CHECKER) is None
    await desk.told()
    change = corrected(need, by=MAKER)
    await desk.feed(change)
    assert await paid_to(desk) == ("draft", str(change.payee_ref), "iban")
    assert [(e.state, e.version) for e in await desk.told_of(PayoutChangedV1)] == [("draft", 3)]
    # Whoever typed the new account does not approve it, nor is it exported unseen.
    assert await step(desk, "export", CHECKER) is PayoutRefusal.WRONG_STATE
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None
    # The same message once more changes nothing.
    await desk.feed(change.model_copy(update={"version": 1, "payee_ref": PayeeRef(uuid4())}))
    assert await paid_to(desk) == ("approved", str(change.payee_ref), "iban")


async def test_what_is_on_a_list_goes_where_the_list_says(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await drawn_up(desk)
    await step(desk, "approve", CHECKER)
    await step(desk, "export", CHECKER)
    change = corrected(need)
    await desk.feed(change)
    assert await paid_to(desk) == ("exported", str(need.payee_ref), "iban")
    # The bank does not take it: drawn up again it goes to the new account.
    assert await step(desk, "reject", CHECKER, "AC01") is None
    payout_id = PayoutId(await desk.value("SELECT id FROM payout"))
    await desk.run(lambda tx: redo(desk.office, tx, payout_id, CHECKER, None))
    assert await paid_to(desk) == ("draft", str(change.payee_ref), "iban")


@pytest.mark.parametrize("held", [False, True])
async def test_whoever_corrects_before_it_is_drawn_up_does_not_approve_it(
    desk: Desk, held: bool
) -> None:
    await desk.purse(50_000)
    need, first = registered()
    await desk.feed(*first)
    events: list[Event] = [corrected(need, by=MAKER)]
    events.insert(0 if held else 1, need)
    for event in events:
        await desk.feed(event)
    await desk.feed(confirmed(need))
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def test_whoever_corrects_what_is_on_a_list_does_not_approve_it_anew(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await drawn_up(desk)
    await step(desk, "approve", CHECKER)
    await step(desk, "export", CHECKER)
    await desk.feed(corrected(need, by=MAKER))
    # On the list are the old details: whoever approved those may be asked for the new ones.
    assert await desk.value("SELECT sealed_by FROM payout") is None
    await step(desk, "reject", CHECKER, "AC01")
    payout_id = PayoutId(await desk.value("SELECT id FROM payout"))
    await desk.run(lambda tx: redo(desk.office, tx, payout_id, FINANCE, None))
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", FINANCE) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def on_its_way(
    desk: Desk, amount_minor: int = ABOVE_LIMIT, mechanism: Mechanism = "iban"
) -> tuple[NeedConfirmedV1, PayeeSealedV1]:
    """A payout that was drawn up before its details came, and those, entered by the maker."""
    need = approved(amount_minor, payee_ref=PayeeRef(uuid4()))
    assert need.payee_ref is not None
    details = sealed(need, need.payee_ref, mechanism).model_copy(update={"sealed_by": MAKER})
    await desk.feed(need)
    return confirmed(need), details


async def test_whoever_entered_details_that_came_late_does_not_approve_them(desk: Desk) -> None:
    await desk.purse(50_000)
    for event in await on_its_way(desk):
        await desk.feed(event)
    assert await desk.value("SELECT (mechanism, sealed_by) FROM payout") == ("iban", MAKER)
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def test_nobody_approves_much_money_of_which_nobody_knows_where_it_goes(desk: Desk) -> None:
    await desk.purse(50_000)
    drawn_up, details = await on_its_way(desk)
    await desk.feed(drawn_up)
    for by in (MAKER, CHECKER):
        assert await step(desk, "approve", by) is PayoutRefusal.NO_DETAILS
    await desk.feed(details)
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def at_once(desk: Desk, first: PayeeSealedV1 | NeedConfirmedV1, second: Event) -> None:
    """Handle two events by two transactions that are open at the same time."""
    async with desk.db.transaction() as tx:
        if isinstance(first, PayeeSealedV1):
            await payees.keep(tx, [received(first, "kyiv")])
        else:
            await confirm(desk.office, tx, [received(first, "kyiv")])
        feeding = asyncio.create_task(desk.feed(second))
        await eventually(lambda: waits_for_a_lock(desk), 10)
    await feeding


async def waits_for_a_lock(desk: Desk) -> bool:
    """Whether somebody waits for whoever holds a row."""
    return bool(
        await desk.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock')"
        )
    )


@pytest.mark.parametrize("details_first", [True, False])
@pytest.mark.parametrize("mechanism", ["iban", "cash"])
async def test_details_that_come_while_it_is_drawn_up_say_how_it_goes_and_who_said_so(
    desk: Desk, mechanism: Mechanism, *, details_first: bool
) -> None:
    await desk.purse(50_000)
    drawn_up, details = await on_its_way(desk, mechanism=mechanism)
    if details_first:
        await at_once(desk, details, drawn_up)
    else:
        await at_once(desk, drawn_up, details)
    assert await desk.value("SELECT (mechanism, sealed_by) FROM payout") == (mechanism, MAKER)
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def test_details_that_come_while_money_is_set_aside_are_known_when_it_is_drawn_up(
    desk: Desk,
) -> None:
    await desk.purse(50_000)
    need = approved(ABOVE_LIMIT, payee_ref=PayeeRef(uuid4()))
    assert need.payee_ref is not None
    details = sealed(need, need.payee_ref, "cash")
    await at_once(desk, details, need)
    await desk.feed(confirmed(need))
    assert await desk.value("SELECT mechanism FROM payout") == "cash"


async def test_one_person_may_do_all_of_little_whenever_its_details_come_and_another_reviews_it(
    desk: Desk,
) -> None:
    await desk.purse(50_000)
    drawn_up, details = await on_its_way(desk, amount_minor=5_000)
    await at_once(desk, details, drawn_up)
    assert await step(desk, "settle", FINANCE) is None
    payout_id = PayoutId(await desk.value("SELECT id FROM payout"))
    with pytest.raises(Problem) as refused:
        await desk.run(lambda tx: review_one(tx, payout_id, MAKER))
    assert refused.value.kind.slug == "second-person-needed"
    await desk.run(lambda tx: review_one(tx, payout_id, CHECKER))


async def test_little_is_approved_before_its_details_come(desk: Desk) -> None:
    await desk.purse(50_000)
    drawn_up, details = await on_its_way(desk, amount_minor=5_000)
    await desk.feed(drawn_up)
    assert await step(desk, "approve", MAKER) is None
    await desk.feed(details)
    assert (await paid_to(desk))[0] == "approved"


async def test_whoever_entered_details_for_what_came_back_does_not_approve_them(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await drawn_up(desk)
    await step(desk, "approve", CHECKER)
    assert await step(desk, "reject", CHECKER, "AC01") is None
    payout_id, ref = PayoutId(await desk.value("SELECT id FROM payout")), PayeeRef(uuid4())
    details = (ref, need.need_id, "iban", b"box", 0, MAKER)
    await desk.run(lambda tx: payee_store.put(tx.conn, [details]))
    await desk.run(lambda tx: redo(desk.office, tx, payout_id, FINANCE, ref))
    assert await step(desk, "approve", MAKER) is PayoutRefusal.SECOND_PERSON
    assert await step(desk, "approve", CHECKER) is None


async def test_later_attempts_use_what_was_corrected(desk: Desk) -> None:
    await desk.purse(50_000)
    need = await drawn_up(desk)
    await step(desk, "approve", CHECKER)
    assert await step(desk, "reject", CHECKER, "AC01") is None
    payout_id = PayoutId(await desk.value("SELECT id FROM payout"))
    await desk.run(lambda tx: give_up(desk.office, tx, payout_id))
    change = corrected(need)
    await desk.feed(change)
    # Even if the approval was sent before the correction.
    again = need.model_copy(update={"attempt_no": 2})
    await desk.feed(again)
    await desk.feed(confirmed(again))
    assert await paid_to(desk) == ("draft", str(change.payee_ref), "iban")


async def test_of_whom_was_erased_no_correction_is_kept(desk: Desk) -> None:
    await desk.purse(50_000)
    need, first = registered()
    change = corrected(need)
    await desk.feed(*first)
    await desk.feed(PayeeErasedV1(need_id=need.need_id, payee_ref=change.payee_ref))
    await desk.feed(change)
    assert await desk.value("SELECT count(*) FROM payee") == 0
    await desk.feed(need)
    await desk.feed(withdrawn(need))
