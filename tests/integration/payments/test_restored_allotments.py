"""What an office allotted after the backup that it was restored from is allotted again."""

from datetime import date
from functools import partial
from pathlib import Path

import pytest

from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import GrantId
from aidmesh_payments.domain.grants import Line, Override
from aidmesh_payments.domain.money import Rate
from aidmesh_payments.handlers import correcting, grants
from aidmesh_payments.handlers.correcting import Amendment
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import CHECKER, MAKER, Desk, exchange
from integration.payments.restored import (
    Backup,
    agree,
    backed_up,
    give_back,
    hear_again,
    over,
    restored_office,
    rows_of,
    two_offices,
)
from support.servers import DatabaseFactory

LINES = """
    SELECT g.unallotted_minor, g.exchange_difference_minor, g.refund_due_minor, l.code,
           l.allotted_minor
    FROM donor_grant g JOIN budget_line l ON l.grant_id = g.id ORDER BY g.id, l.code
"""
GIVEN = """
    SELECT id, budget_line, amount_minor, granted_minor, returned_minor, rate, valid_until
    FROM grant_allotment ORDER BY id
"""
OLDER = """
    UPDATE outbox
    SET payload = convert_to(
        (convert_from(payload, 'UTF8')::jsonb - 'given' - 'unallotted_minor')::text, 'UTF8')
    WHERE stream = 'EVENTS'
"""
MORE = Override(CHECKER, "winter")


async def test_what_the_region_gave_itself_is_on_its_budget_lines(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    lines = [Line("a", 60_000, 0), Line("b", 40_000, 0)]
    grant_id = await kyiv.grant(100_000, lines=lines)
    euro = await kyiv.grant(1_000, currency="EUR")
    known = await kyiv.allot(euro, 2_000, rate=Rate("50", date(2024, 6, 1), "bank"))
    backup = await backed_up(dsn, tmp_path)
    for line, amount in (("b", 40_000), ("a", 60_000)):  # told in this order, too
        await kyiv.allot(grant_id, amount, line=line, valid_until=date(2039, 1, 1))
        await exchange(kyiv, lviv)
    rate = Rate("41.5", date(2024, 6, 2), "by hand")
    await kyiv.allot(euro, 20_000, rate=rate)
    await kyiv.allot(euro, 4_000, allotment_id=known, rate=rate)
    await exchange(kyiv, lviv)
    restored = await _restored(dsn, fresh, backup=backup, was=kyiv, lviv=lviv)
    await over(restored, lviv)


async def test_what_two_people_let_exceed_a_line_is_given_all_the_same(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(100_000, lines=[Line("a", 60_000, 0), Line("b", 40_000, 0)])
    backup = await backed_up(dsn, tmp_path)
    for region in ("kyiv", "lviv"):
        await kyiv.allot(grant_id, 45_000, line="b", to=region, override=MORE)
    await exchange(kyiv, lviv)
    restored = await _restored(dsn, fresh, backup=backup, was=kyiv, lviv=lviv)
    await over(restored, lviv)


@pytest.mark.parametrize("holder", ["kyiv", "lviv"])
async def test_what_came_back_and_was_given_again_is_given_once(
    database: DatabaseFactory, tmp_path: Path, holder: str
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(50_000)
    first = await kyiv.allot(grant_id, 50_000, to=holder)
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    desk = {"kyiv": kyiv, "lviv": lviv}[holder]
    await give_back(desk, first, 50_000)
    await exchange(kyiv, lviv)
    await kyiv.allot(grant_id, 50_000, to="lviv")
    await exchange(kyiv, lviv)
    restored = await _restored(dsn, fresh, backup=backup, was=kyiv, lviv=lviv)
    # A holder's word comes again, and is known.
    await exchange(restored, lviv)
    assert await restored.value("SELECT unallotted_minor FROM donor_grant") == 0
    await over(restored, lviv)


async def test_what_is_gone_in_ways_that_nobody_told_of_is_not_given_again(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    refunded, own = await kyiv.grant(50_000), await kyiv.grant(40_000)
    backup = await backed_up(dsn, tmp_path)
    today = date(2024, 6, 3)
    for step in (
        partial(grants.demand_back, demand_id=CHECKER, reason="spent less", by=MAKER),
        partial(grants.refund, refund_id=CHECKER, reference="bank-9"),
    ):
        await kyiv.run(partial(step, grant_id=refunded, amount_minor=20_000, on=today))
    await kyiv.allot(own, 30_000)  # and the disks are gone before others hear how it stands
    before = await rows_of(kyiv, "SELECT id, unallotted_minor FROM donor_grant ORDER BY 1")
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await rows_of(restored, "SELECT id, unallotted_minor FROM donor_grant ORDER BY 1") == (
        before
    )
    # People find out that the donor has it, or that nobody has.
    entry = partial(correcting.withdraw_demand, entry_id=MAKER, by=MAKER)
    await restored.run(partial(entry, grant_id=own, amount_minor=30_000, reason="found", on=today))
    assert await restored.value("SELECT unallotted_minor FROM donor_grant WHERE id = $1", own) == (
        40_000
    )
    await over(restored, lviv)


async def test_of_what_an_older_region_gave_itself_nothing_is_given_again(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    lines = [Line("a", 60_000, 0), Line("b", 40_000, 0)]
    grant_id = await kyiv.grant(100_000, lines=lines)
    euro = await kyiv.grant(1_000, currency="EUR")
    backup = await backed_up(dsn, tmp_path)
    await kyiv.allot(grant_id, 40_000, line="b")
    await exchange(kyiv, lviv)
    await kyiv.allot(grant_id, 60_000, line="a")
    await kyiv.allot(euro, 20_000, rate=Rate("41.5", date(2024, 6, 2), "by hand"))
    await exchange(kyiv, lviv)
    await kyiv.execute(OLDER)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    # The line is a guess, and of which worth it was a person has to say.
    left = "SELECT unallotted_minor FROM donor_grant WHERE id = $1"
    assert await restored.value(left, grant_id) == 0
    [conflict] = await rows_of(
        restored, "SELECT event_type FROM conflict WHERE event_type NOT LIKE '%.grant.%'"
    )
    assert conflict["event_type"] == "payments.allotment.changed.v1"
    await over(restored, lviv)


async def test_a_return_of_which_nobody_heard_is_lent_and_served_first(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(50_000)
    own = await kyiv.allot(grant_id, 50_000)
    backup = await backed_up(dsn, tmp_path)
    await give_back(kyiv, own, 20_000)
    await kyiv.allot(grant_id, 20_000, to="lviv")  # told before how the own one stands
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    for event in await restored.told():
        if event.stream == "EVENTS":
            await lviv.feed(event, region="kyiv", epoch=2)
    figures = "SELECT (unallotted_minor, allotted_minor, refund_due_minor) FROM donor_grant"
    assert await restored.value(figures) == (0, 70_000, 0)
    await give_back(restored, own, 20_000)
    assert await restored.value(figures) == (0, 50_000, 20_000)
    await over(restored, lviv)


async def test_what_a_donor_changed_holds_again_and_what_changes_next_is_heard(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    old = await kyiv.grant(50_000)
    await kyiv.allot(old, 10_000, to="lviv")
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    young = await kyiv.grant(30_000)
    for grant_id in (old, young):
        for last_day in (date(2041, 1, 1), date(2042, 1, 1)):
            await _amend(kyiv, grant_id, Amendment(70_000, last_day, {"aid": 70_000}, "more"))
        await kyiv.allot(grant_id, 20_000, to="lviv")
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    promised = "SELECT (amount_minor, period_to) FROM donor_grant WHERE id = $1"
    last_day_of = "SELECT (restriction ->> 'valid_to')::date FROM grant_terms WHERE grant_id = $1"
    for grant_id in (old, young):
        assert await restored.value(promised, grant_id) == (70_000, date(2042, 1, 1))
        assert await restored.value(last_day_of, grant_id) == date(2042, 1, 1)
        await _amend(restored, grant_id, Amendment(None, date(2030, 1, 1), {}, "less"))
    await exchange(restored, lviv)
    for grant_id in (old, young):
        assert await lviv.value(last_day_of, grant_id) == date(2030, 1, 1)
    await agree(restored, lviv)
    await over(restored, lviv)


async def test_what_a_donor_changed_and_nobody_tells_stands_in_the_way_of_no_later_change(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(50_000)
    await kyiv.allot(grant_id, 10_000, to="lviv")
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    for last_day in (date(2041, 1, 1), date(2042, 1, 1)):
        await _amend(kyiv, grant_id, Amendment(None, last_day, {}, "longer"))
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    without = frozenset({"payments.grant.changed.v1"})
    restored = await restored_office(dsn, fresh, backup, lviv, without=without)
    await _amend(restored, grant_id, Amendment(None, date(2030, 1, 1), {}, "less"))
    await exchange(restored, lviv)
    last_day_of = "SELECT (restriction ->> 'valid_to')::date FROM grant_terms"
    assert await lviv.value(last_day_of) == date(2030, 1, 1)
    await over(restored, lviv)


async def _restored(dsn: str, fresh: str, *, backup: Backup, was: Desk, lviv: Desk) -> Desk:
    """Kyiv restored, with all money where it was."""
    lines, given = await rows_of(was, LINES), await rows_of(was, GIVEN)
    await was.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    assert await rows_of(restored, GIVEN) == given
    assert await rows_of(restored, LINES) == lines
    left = "SELECT array_agg(event_type) FROM conflict WHERE event_type NOT LIKE '%.grant.%'"
    assert await restored.value(left) is None
    await hear_again(restored, lviv)
    await agree(restored, lviv)
    return restored


async def _amend(desk: Desk, grant_id: GrantId, amendment: Amendment) -> None:
    await desk.run(partial(_amended, office=desk.office, grant_id=grant_id, amendment=amendment))


async def _amended(tx: Tx, *, office: Office, grant_id: GrantId, amendment: Amendment) -> None:
    await correcting.amend(office, tx, grant_id, amendment, MAKER)
