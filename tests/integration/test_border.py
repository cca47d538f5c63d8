"""What of a need crosses the border is told of it: its referrals and payouts, by real databases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh.doctor.examine import stuck
from aidmesh.meshfile import WITH_DATABASE, MeshFile, RegionEntry
from aidmesh.story.links import SEE_LINK
from aidmesh.story.read import read_story
from aidmesh.story.standing import (
    ASKED_BACK,
    BY_OFFICE,
    BY_PAYOUT,
    MAYBE_PAID,
    NO_DETAILS,
    ON_TRIAL,
)
from aidmesh.story.told import Story
from aidmesh_chassis import restoring
from aidmesh_contracts.ids import NeedId, PayeeRef
from aidmesh_payments.domain.payout import PayoutRefusal
from integration.intake.referred import Two as Referring
from integration.intake.sides import two_sides
from integration.intake.world import confirmed as set_aside
from integration.intake.world import held, open_world
from integration.payments.offices import approved, confirmed, open_desk
from integration.payments.paying import Two as Paying
from integration.payments.paying import two as paying
from integration.test_heard import headers
from integration.test_lacks import asked_for, closed, region_of
from support.servers import DatabaseFactory

LETTER = """
    INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
    VALUES ('intake-handoff', $1, $2, $3, '{}', 'dead', 'bug')
"""
HERE = "1 approved payouts wait to be paid, the oldest for 4 days"
THERE = "1 approved payouts wait for another region's office, the oldest for 4 days"
AN_HOUR_AGO = "UPDATE handoff SET created_at = now() - interval '1 hour' RETURNING event_id"


@pytest.fixture
async def mesh(database: DatabaseFactory) -> MeshFile:
    """Two regions whose databases are there."""
    return MeshFile(regions={"kyiv": await region_of(database), "lviv": await region_of(database)})


async def fetch(entry: RegionEntry, service: str, query: str, *args: object) -> Sequence[object]:
    """The values of a query's first column."""
    conn = await asyncpg.connect(entry.admin_dsn(service))
    try:
        return [row[0] for row in await conn.fetch(query, *args)]
    finally:
        await conn.close()


def one_by_one(mesh: MeshFile) -> Callable[[str], Awaitable[str]]:
    """The databases of a service: that of the first region, then that of the next."""
    entries = iter(mesh.regions.values())

    async def given(service: str) -> str:
        return next(entries).admin_dsn(service)

    return given


@asynccontextmanager
async def offices(mesh: MeshFile, folder: Path) -> AsyncIterator[Paying]:
    """lviv, which holds money, and kyiv, which pays it."""
    kyiv, lviv = [
        await open_desk(entry.admin_dsn("payments"), region)
        for region, entry in mesh.regions.items()
    ]
    yield await paying(kyiv, lviv, folder)
    for desk in (kyiv, lviv):
        await desk.check()
        await desk.db.close()


async def payouts_that_wait(mesh: MeshFile) -> list[str]:
    """What the doctor says of payouts at lviv."""
    found = [
        each
        for service in WITH_DATABASE
        for each in await stuck("lviv", mesh.regions["lviv"], service)
    ]
    return [each.what for each in found if "payouts" in each.what]


def lines_of(story: Story, name: str) -> list[str]:
    return [line for line in story.trouble if line.startswith(name)]


async def test_a_need_that_was_offered_to_another_region_leads_to_the_handoff(
    mesh: MeshFile, tmp_path: Path
) -> None:
    kyiv, lviv = mesh.regions.values()
    async with two_sides(one_by_one(mesh), tmp_path) as sides:
        two = Referring(*sides)
        need_id = await two.waiting()
        referral_id = await two.offer(need_id)
        (person_id,) = await fetch(kyiv, "intake", "SELECT person_id FROM need")
        (handoff,) = await fetch(kyiv, "intake", AN_HOUR_AGO)
        (stuck_here,) = await stuck("kyiv", kyiv, "intake")
        assert stuck_here.what == (
            "1 handoffs have no answer, the oldest for 60 minutes; "
            f"the oldest: aidmesh trace {referral_id} (to lviv, 0 tries)"
        )
        for wanted in (need_id, person_id):
            assert isinstance(wanted, UUID)
            told = await read_story(mesh, wanted)
            (line,) = lines_of(told, "intake.referral.offered for lviv has no answer for 60 min")
            assert line.endswith(f"handoff {handoff}")
            (step,) = [step for step in told.steps if step.said.to_region == "lviv"]
            assert (step.said.about, step.said.state) == (str(referral_id), "waiting")
            until = await two.kyiv.value("SELECT lapses_at FROM referral_out")
            assert any(
                f"lviv was asked to help and may accept it until {until:%Y-%m-%d %H:%M}" in line
                for line in told.todo
            )

        # What failed of it is named where it failed: there, and here of an answer.
        offered = "handoff.kyiv.lviv.intake.referral.offered.v1"
        await fetch(lviv, "intake", LETTER, handoff, offered, headers(referral_id))
        refused = "handoff.lviv.kyiv.intake.referral.refused.v1"
        await fetch(kyiv, "intake", LETTER, uuid4(), refused, headers(referral_id))
        told = await read_story(mesh, need_id)
        assert lines_of(told, "intake.referral.offered failed in lviv intake (bug)")
        assert lines_of(told, "intake.referral.refused failed in kyiv intake (bug)")
        assert {step.said.region for step in told.steps} == {"kyiv"}


async def test_a_need_that_was_taken_on_trial_says_whom_it_waits_for(
    mesh: MeshFile, tmp_path: Path
) -> None:
    async with two_sides(one_by_one(mesh), tmp_path) as sides:
        two = Referring(*sides)
        _, _, theirs = await two.accepted()
        (accepted,) = await fetch(mesh.regions["lviv"], "intake", AN_HOUR_AGO)
        told = await read_story(mesh, theirs)
        (line,) = told.now
        assert line.endswith("; taken on trial, waits until kyiv confirms it")
        assert ON_TRIAL.format(region="kyiv", link=SEE_LINK) in told.todo
        (line,) = lines_of(told, "intake.referral.accepted for kyiv has no answer")
        assert line.endswith(f"handoff {accepted}")
        assert {step.said.region for step in told.steps} == {"lviv"}, "the offer is another story"


async def test_a_need_whose_payout_another_office_pays_leads_to_the_handoff(
    mesh: MeshFile, tmp_path: Path
) -> None:
    async with offices(mesh, tmp_path) as pair:
        need = await pair.need()
        payout_id = await pair.approve(need)
        await pair.lviv.sweep()
        (handoff,) = await fetch(mesh.regions["lviv"], "payments", AN_HOUR_AGO)
        told = await read_story(mesh, need.need_id)
        (line,) = lines_of(told, "payments.payout.assigned for kyiv has no answer for 60 min")
        assert line.endswith(f"handoff {handoff}")
        (step,) = [step for step in told.steps if step.said.to_region == "kyiv"]
        assert step.said.about == str(payout_id)


async def test_what_is_advised_about_a_payout_is_what_payments_lets_be_done(
    mesh: MeshFile, tmp_path: Path
) -> None:
    world = await open_world(mesh.regions["lviv"].admin_dsn("intake"), tmp_path, "lviv")
    try:
        need_id, _ = await asked_for(world, "food_parcel")
        await world.feed(held(need_id))
        await world.feed(set_aside(need_id))
    finally:
        await closed(world)
    need = approved(need_id=NeedId(need_id), payee_ref=PayeeRef(uuid4()))

    async def advised() -> str:
        return (await read_story(mesh, need_id)).todo[-1]

    async with offices(mesh, tmp_path) as pair:
        lviv = pair.lviv.desk
        for event in (need, confirmed(need)):
            await lviv.feed(event)
        assert await advised() == NO_DETAILS[1]
        await lviv.feed(pair.details(need))
        assert await advised() == BY_PAYOUT["draft"][1]
        await lviv.run(lambda tx: restoring.doubt(tx.conn, "need", [need_id]))
        assert await advised() == MAYBE_PAID[1]
        await lviv.execute("DELETE FROM unproven")
        payout_id = await pair.approve(need)
        assert await advised() == BY_PAYOUT["approved"][1]
        await lviv.execute("UPDATE payout SET recorded_at = now() - interval '4 days'")
        assert await payouts_that_wait(mesh) == [HERE]
        await pair.lviv.sweep()
        assert await payouts_that_wait(mesh) == [f"{THERE}; the oldest: aidmesh trace {need_id}"]
        assert await advised() == BY_OFFICE["approved"][1].format(link=SEE_LINK)
        assert await pair.hold(payout_id, "settle") == PayoutRefusal.PAID_ELSEWHERE
        assert await pair.hold(payout_id, "cancel") is None
        assert await advised() == ASKED_BACK[1].format(link=SEE_LINK)


async def test_the_doctor_names_the_allotment_of_money_in_transit(mesh: MeshFile) -> None:
    kyiv = mesh.regions["kyiv"]
    desk = await open_desk(kyiv.admin_dsn("payments"))
    try:
        for day in (3, 4, 2):
            allotment_id = await desk.allot(await desk.grant(), 10_000, to="lviv")
            await desk.execute(
                "UPDATE transfer SET recorded_at = now() - make_interval(days => $2)"
                " WHERE allotment_id = $1",
                allotment_id,
                day,
            )
        oldest = await desk.value("SELECT allotment_id FROM transfer ORDER BY recorded_at LIMIT 1")
    finally:
        await desk.db.close()
    (transit,) = [each for each in await stuck("kyiv", kyiv, "payments") if "transit" in each.what]
    assert transit.what == (
        "3 transfers of money are in transit, the oldest for 4 days; "
        f"the oldest: aidmesh trace {oldest}"
    )
    told = await read_story(mesh, oldest)
    assert told.steps
    (line,) = told.now
    assert line.startswith("kyiv: money ")
    assert " to lviv is in_transit since " in line
    assert line.endswith(": waits until lviv has it")
    assert told.todo == (f"it is credited there by itself; {SEE_LINK}",)
