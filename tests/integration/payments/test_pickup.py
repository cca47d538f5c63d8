"""Cash that waits to be fetched: its clock, and what makes it stand still."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PayeeRef, PayoutId, SiteId
from aidmesh_contracts.intake import NeedApprovedV1, PayeeSealedV1
from aidmesh_contracts.inventory import AlertChangedV1, SiteChangedV1
from aidmesh_contracts.payments import CommitmentHeldV1, CommitmentReleasedV1, CommitmentSpentV1
from aidmesh_contracts.pickup import ends_at
from aidmesh_payments.domain.payout import PayoutRefusal, Verb
from aidmesh_payments.handlers import sweeps
from aidmesh_payments.handlers.payouts import Step, redo, take_steps
from integration.payments.offices import CHECKER, DAYS, Desk, approved, confirmed, told

SITE = SiteId(uuid4())


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


async def stood_still(desk: Desk, *, hours: int) -> bool:
    """Whether the clocks of all cash that waits stood still for so long."""
    clocks = await desk.value(
        "SELECT array_agg(ARRAY[collect_from, collect_by]) FROM commitment WHERE cause IS NULL"
    )
    longer = [until - ends_at(started_at, DAYS) for started_at, until in clocks]
    return all(abs(each - timedelta(hours=hours)) < timedelta(minutes=5) for each in longer)


async def waiting(desk: Desk, *needs: NeedApprovedV1, passed: timedelta) -> None:
    """Cash for these needs, whose people were told so long ago."""
    await desk.feed(*needs)
    await desk.feed(*(confirmed(need) for need in needs))
    await desk.feed(*(told(need) for need in needs))
    await desk.execute(
        "UPDATE commitment SET collect_from = collect_from - $1::interval,"
        " collect_by = collect_by - $1::interval",
        passed,
    )
    await desk.told()


async def goes_back(desk: Desk) -> set[object]:
    """Run the sweep; the needs whose cash went back."""
    await desk.run(partial(sweeps.expire_collections, desk.office))
    found = await desk.told_of(CommitmentReleasedV1)
    assert {each.cause for each in found} <= {"not_collected"}
    return {each.need_id for each in found}


def site(
    version: int, closed_at: datetime | None = None, reopened_at: datetime | None = None
) -> SiteChangedV1:
    is_closed = closed_at is not None and reopened_at is None
    return SiteChangedV1(
        site_id=SITE,
        area="UA80",
        site_type="center",
        status="closed" if is_closed else "open",
        version=version,
        closed_at=closed_at,
        reopened_at=reopened_at,
    )


def alert(began_at: datetime, ended_at: datetime | None = None) -> tuple[AlertChangedV1, ...]:
    """An alert over Kyiv, as it is told of: when it begins, and when it has ended."""
    alert_id = uuid4()
    begun = AlertChangedV1(alert_id=alert_id, area="UA80", began_at=began_at, version=1)
    if ended_at is None:
        return (begun,)
    return begun, begun.model_copy(update={"ended_at": ended_at, "version": 2})


async def test_cash_that_nobody_fetches_goes_back(desk: Desk) -> None:
    await desk.purse(50_000)
    bank_ref = PayeeRef(uuid4())
    cash, late, bank = approved(3_000), approved(3_000), approved(3_000, payee_ref=bank_ref)
    await waiting(desk, cash, bank, passed=timedelta(days=DAYS + 1))
    await desk.feed(
        PayeeSealedV1(payee_ref=bank_ref, need_id=bank.need_id, mechanism="iban", sealed="AAAA")
    )
    await desk.feed(late)
    await desk.feed(confirmed(late))
    await desk.feed(told(late))
    await desk.told()
    assert await goes_back(desk) == {cash.need_id}


async def steps(desk: Desk, *verbs: Verb, by: UUID = CHECKER) -> list[object]:
    """Take steps with every payout; what was refused."""
    refused: list[object] = []
    for verb in verbs:
        ids = await desk.value("SELECT array_agg(id) FROM payout")
        orders = [Step(PayoutId(each), bank_reference="cash desk") for each in ids]
        outcomes = await desk.run(partial(take_steps, desk.office, verb=verb, steps=orders, by=by))
        refused += [each for each in outcomes.values() if each is not None]
    return refused


@pytest.mark.parametrize("way", [("approve", "export"), ("approve", "export", "accept")])
async def test_a_payment_list_does_not_stop_the_clock(desk: Desk, way: tuple[Verb, ...]) -> None:
    await desk.purse(3_000)
    need, next_one = approved(3_000), approved(3_000)
    await waiting(desk, need, passed=timedelta(days=DAYS - 1))
    assert await steps(desk, *way) == []
    assert await goes_back(desk) == set()
    await desk.execute("UPDATE commitment SET collect_from = collect_from - interval '2 days',"
                       " collect_by = collect_by - interval '2 days'")  # fmt: skip
    assert await goes_back(desk) == {need.need_id}
    assert (
        await desk.value("SELECT state || ' ' || reason FROM payout") == "cancelled not_collected"
    )
    assert await desk.value("SELECT free FROM (SELECT received_minor - committed_minor AS free"
                            " FROM allotment) AS f") == 3_000  # fmt: skip
    await desk.feed(next_one)
    assert [each.need_id for each in await desk.told_of(CommitmentHeldV1)] == [next_one.need_id]
    assert await goes_back(desk) == set()


async def test_the_clock_starts_when_told_although_it_is_listed(desk: Desk) -> None:
    await desk.purse(3_000)
    need = approved(3_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    assert await steps(desk, "approve", "export") == []
    await desk.feed(told(need))
    assert await stood_still(desk, hours=0)


async def test_cash_that_was_fetched_all_the_same_is_settled_late(desk: Desk) -> None:
    await desk.purse(6_000)
    need = approved(3_000)
    await waiting(desk, need, passed=timedelta(days=DAYS + 1))
    await steps(desk, "approve", "export")
    assert await goes_back(desk) == {need.need_id}
    again = need.model_copy(update={"attempt_no": 2})
    await desk.feed(again)
    assert await steps(desk, "settle") == []
    spent = await desk.told_of(CommitmentSpentV1)
    assert [(each.attempt_no, each.fulfils) for each in spent] == [(1, True)]
    assert await goes_back(desk) == set()


async def test_a_person_may_say_that_nobody_came(desk: Desk) -> None:
    await desk.purse(50_000)
    bank_ref = PayeeRef(uuid4())
    cash, bank = approved(3_000), approved(3_000, payee_ref=bank_ref)
    await desk.feed(
        PayeeSealedV1(payee_ref=bank_ref, need_id=bank.need_id, mechanism="iban", sealed="AAAA")
    )
    await waiting(desk, cash, bank, passed=timedelta(0))
    await steps(desk, "approve", "export")
    assert await steps(desk, "not_collected") == [PayoutRefusal.WRONG_STATE]
    [released] = await desk.told_of(CommitmentReleasedV1)
    assert (released.need_id, released.cause) == (cash.need_id, "not_collected")


async def test_what_comes_back_from_a_bank_and_is_paid_in_cash_waits_from_then_on(
    desk: Desk,
) -> None:
    await desk.purse(50_000)
    refs = [PayeeRef(uuid4()), PayeeRef(uuid4())]
    need = approved(3_000, payee_ref=refs[0])
    for ref, mechanism in zip(refs, ("iban", "cash"), strict=True):
        await desk.feed(
            PayeeSealedV1.model_validate(
                {"payee_ref": ref, "need_id": need.need_id, "mechanism": mechanism,
                 "sealed": "AAAA"}
            )
        )  # fmt: skip
    await waiting(desk, need, passed=timedelta(days=DAYS + 1))
    assert await desk.value("SELECT collect_by FROM commitment") is None
    payout_id = PayoutId(await desk.value("SELECT id FROM payout"))
    await steps(desk, "approve", "export")
    reject = [Step(payout_id, reason="AC01")]
    await desk.run(lambda tx: take_steps(desk.office, tx, "reject", reject, CHECKER))
    await desk.run(lambda tx: redo(desk.office, tx, payout_id, CHECKER, refs[1]))
    assert await goes_back(desk) == set()
    assert await desk.value("SELECT collect_from > now() - interval '1 hour' FROM commitment")
    assert await stood_still(desk, hours=0)


async def test_how_they_are_paid_may_come_after_they_were_told(desk: Desk) -> None:
    await desk.purse(50_000)
    ref = PayeeRef(uuid4())
    need = approved(3_000, payee_ref=ref)
    await waiting(desk, need, passed=timedelta(days=DAYS + 1))
    assert await goes_back(desk) == set()
    await desk.feed(
        PayeeSealedV1(payee_ref=ref, need_id=need.need_id, mechanism="cash", sealed="AAAA")
    )
    assert await goes_back(desk) == {need.need_id}


async def test_word_that_came_late_starts_the_clock_late(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(3_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    await desk.feed(told(need, ago(days=30)))
    await desk.told()
    assert await goes_back(desk) == set()


async def test_the_last_word_to_the_person_counts(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(3_000)
    await waiting(desk, need, passed=timedelta(days=DAYS - 1))
    # The message came back, so somebody tells them: they have all the days that they hear of.
    again = told(need)
    await desk.feed(again)
    until = "SELECT collect_by FROM commitment"
    assert await desk.value(until) == ends_at(again.told_at, DAYS)
    assert await stood_still(desk, hours=0)
    # Word of the first time that comes once more, or only now, shortens nothing.
    await desk.feed(told(need, ago(days=DAYS - 1)))
    await desk.feed(again)
    assert await desk.value(until) == ends_at(again.told_at, DAYS)
    await desk.execute("UPDATE commitment SET collect_from = collect_from - interval '8 days',"
                       " collect_by = collect_by - interval '8 days'")  # fmt: skip
    assert await goes_back(desk) == {need.need_id}


async def test_of_two_words_at_once_the_last_counts(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(3_000)
    await desk.feed(need)
    await desk.feed(confirmed(need))
    last = told(need)
    await desk.feed(last, told(need, ago(minutes=10)))
    assert await desk.value("SELECT collect_from FROM commitment") == last.told_at


async def test_who_is_told_again_of_fewer_days_keeps_those_they_had(desk: Desk) -> None:
    await desk.purse(50_000)
    await desk.feed(site(2, ago(days=4), ago(days=1)))
    need = approved(3_000, site_id=SITE)
    await waiting(desk, need, passed=timedelta(days=5))
    await desk.feed(told(need).model_copy(update={"collect_days": 4}))
    # Two of seven days are left, and three in which the door was closed.
    await desk.execute("UPDATE commitment SET collect_by = now() - interval '1 minute'")
    assert await goes_back(desk) == set()
    assert await stood_still(desk, hours=72)


async def test_nobody_waits_for_cash_that_was_fetched_or_goes_to_a_bank(desk: Desk) -> None:
    await desk.purse(50_000)
    ref = PayeeRef(uuid4())
    cash, bank = approved(3_000), approved(3_000, payee_ref=ref)
    await desk.feed(
        PayeeSealedV1(payee_ref=ref, need_id=bank.need_id, mechanism="iban", sealed="AAAA")
    )
    await waiting(desk, cash, bank, passed=timedelta(days=2))
    assert await steps(desk, "settle") == []
    clocks = "SELECT array_agg((collect_from, collect_by) ORDER BY id) FROM commitment"
    before = await desk.value(clocks)
    await desk.feed(told(cash), told(bank))
    assert await desk.value(clocks) == before


CLOSED = (ago(days=5), ago(days=3))


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_closed_site_stops_the_clock_in_whichever_order_it_is_told(
    desk: Desk, order: tuple[int, ...]
) -> None:
    await desk.purse(50_000)
    here, elsewhere = approved(3_000, site_id=SITE), approved(3_000)
    events: list[Event] = [site(1), site(2, CLOSED[0]), site(3, *CLOSED)]
    for place in order:
        await desk.feed(events[place])
    assert await desk.value("SELECT status || version FROM site") == "open3"
    await waiting(desk, here, elsewhere, passed=timedelta(days=DAYS + 1))
    assert await goes_back(desk) == {elsewhere.need_id}
    # Two days were lost: they are added to its own.
    assert await stood_still(desk, hours=48)
    await desk.execute(
        "UPDATE commitment SET collect_from = collect_from - interval '3 days',"
        " collect_by = collect_by - interval '3 days' WHERE state = 'committed'"
    )
    assert await goes_back(desk) == {here.need_id}


async def test_while_a_site_is_closed_nothing_there_goes_back(desk: Desk) -> None:
    await desk.purse(50_000)
    here = approved(3_000, site_id=SITE)
    closed_at = ago(minutes=1)
    await desk.feed(site(2, closed_at))
    await waiting(desk, here, passed=timedelta(days=DAYS + 2))
    # It ran out long before, but nobody looked: whoever came now would stand before a door.
    assert await goes_back(desk) == set()
    await desk.feed(site(3, closed_at, datetime.now(UTC)))
    assert await goes_back(desk) == {here.need_id}


async def test_an_alert_stops_the_clocks_of_its_area(desk: Desk) -> None:
    await desk.purse(50_000)
    await desk.feed(site(1))
    at_site, in_city = approved(3_000, site_id=SITE, area="UA46"), approved(3_000, area="UA80")
    lviv = approved(3_000, area="UA46")
    begun = alert(ago(hours=60))
    await desk.feed(*begun)
    await waiting(desk, at_site, in_city, lviv, passed=timedelta(days=DAYS + 2))
    # A site lies where inventory says, whatever area the need was asked for in.
    assert await goes_back(desk) == {lviv.need_id}
    over = begun[0].model_copy(update={"ended_at": ago(hours=10), "version": 2})
    await desk.feed(over)
    await desk.feed(*begun)
    assert await goes_back(desk) == set()
    assert await stood_still(desk, hours=50)


async def test_alert_and_closing_at_once_count_once(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(3_000, site_id=SITE, area="UA80")
    closed = (ago(hours=40), ago(hours=20))
    await desk.feed(site(2, closed[0]), site(3, *closed), *alert(ago(hours=30), ago(hours=10)))
    await waiting(desk, need, passed=timedelta(days=DAYS + 1))
    assert await goes_back(desk) == set()
    assert await stood_still(desk, hours=30)


async def test_downtime_of_ours_is_given_back(desk: Desk) -> None:
    await desk.purse(50_000)
    need = approved(3_000)
    await waiting(desk, need, passed=timedelta(days=DAYS - 1))
    assert await goes_back(desk) == set()
    await desk.execute("UPDATE pickup_clock SET seen_at = now() - interval '14 minutes'")
    assert await goes_back(desk) == set()
    assert await desk.value("SELECT count(*) FROM pause") == 0
    await desk.execute("UPDATE pickup_clock SET seen_at = now() - interval '40 hours'")
    await desk.execute(
        "UPDATE commitment SET collect_from = collect_from - interval '2 days',"
        " collect_by = collect_by - interval '2 days'"
    )
    assert await goes_back(desk) == set()
    assert await stood_still(desk, hours=40)


@pytest.mark.parametrize("told_late", [False, True])
async def test_a_blackout_beside_an_alert_is_given_back_once_however_often_we_start(
    desk: Desk, told_late: bool
) -> None:
    await desk.purse(50_000)
    need = approved(3_000, area="UA80")
    begun, ended = alert(ago(hours=32), ago(hours=10))
    # Its last day began, or was about to, when the alert did; two hours later the power went.
    await waiting(desk, need, passed=timedelta(days=DAYS + 1))
    await desk.feed(begun)
    await desk.execute("INSERT INTO pickup_clock (seen_at) VALUES (now() - interval '30 hours')")
    if told_late:
        assert await goes_back(desk) == set()
    await desk.feed(ended)
    for _ in range(2):
        assert await goes_back(desk) == set()
    assert await stood_still(desk, hours=32)


async def test_cash_that_stands_still_keeps_nobody_else_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "LIMIT", 2)
    await desk.purse(50_000)
    still = [approved(1_000, site_id=SITE) for _ in range(3)]
    await waiting(desk, *still, passed=timedelta(days=30))
    await desk.feed(site(2, ago(days=1)))
    free = approved(1_000)
    await waiting(desk, free, passed=timedelta(days=DAYS + 1))
    assert await goes_back(desk) == {free.need_id}
