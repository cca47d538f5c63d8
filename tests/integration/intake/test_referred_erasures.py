"""Erasures and consents taken back while a need is referred, with words that cross each other."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

import aidmesh_intake
from aidmesh_chassis import handoff
from aidmesh_chassis.auth import Role
from aidmesh_chassis.erasures import Erasure
from aidmesh_contracts.intake import NeedConfirmedV1, NeedWithdrawnV1
from aidmesh_contracts.intake_referrals import (
    ReferralConfirmedV1,
    ReferralOfferedV1,
    ReferralRefusedV1,
    ReferralWithdrawnV1,
)
from aidmesh_intake.handlers import merging, restoring
from integration.intake.referred import ASKED_ON, LVIV, Two, wait_for_parcel
from integration.intake.test_elsewhere import nothing_here
from integration.intake.test_one_person import AGREED, person, started
from integration.intake.world import only

SAID_OF_PEOPLE = "SELECT count(*) FROM handoff WHERE convert_from(payload, 'UTF8') LIKE '%sealed%'"
MIGRATION = Path(aidmesh_intake.__file__).parent / "migrations/0030_intake_ended_offers.sql"
ENDS = ("consent", "withdraw", "lapse", "cancel", "refuse")


async def end(two: Two, how: str, need_id: UUID, referral_id: UUID) -> None:
    """End an offer, one way or another, unconfirmed."""
    world = two.kyiv.world
    if how == "consent":
        path = f"/v1/persons/{await two.kyiv.person_of(need_id)}"
        changed = {"chosen_name": "Canary", "area": "UA80", "version": 1}
        answer = await world.client.put(path, json=changed, headers=world.headers())
        assert answer.status_code == 200, answer.text
    elif how == "withdraw":
        await world.post(f"/v1/referrals/{referral_id}:withdraw")
    elif how == "lapse":
        await two.kyiv.execute("UPDATE referral_out SET lapses_at = now() - interval '1 second'")
        assert await world.sweep("lapsed_offers") == 1
    elif how == "cancel":
        await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "moved_away"})
    else:
        await two.lviv.world.post(f"/v1/referrals/{referral_id}:refuse")
        await two.exchange()
    assert await two.status("kyiv", referral_id) not in ("offered", "confirmed")


@pytest.mark.parametrize("how", ENDS[:-1])
async def test_an_offer_that_is_over_reaches_no_region_that_was_dark(two: Two, how: str) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    (offered,) = await kyiv.said()
    await end(two, how, need_id, referral_id)
    # Lviv is heard again: only the end is said, of an offer that it never got.
    assert await kyiv.value(SAID_OF_PEOPLE) == 0
    (ended,) = await kyiv.said()
    assert isinstance(ended, ReferralWithdrawnV1)
    await lviv.hear("kyiv", ended)
    assert (await lviv.world.get("/v1/referrals/in"))["referrals"] == []
    # A copy that was on its way all the same is of no use any more.
    await lviv.hear("kyiv", offered)
    assert await two.status("lviv", referral_id) == "withdrawn"
    assert await lviv.value("SELECT count(*) FROM referral_in WHERE sealed IS NOT NULL") == 0
    await lviv.world.post(f"/v1/referrals/{referral_id}:take", status=409)


@pytest.mark.parametrize("how", ENDS)
async def test_an_offer_that_is_over_is_not_said_again_to_a_region_that_was_restored(
    two: Two, how: str
) -> None:
    kyiv = two.kyiv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    await two.exchange()
    await kyiv.execute("UPDATE handoff SET status = 'settled', settled_at = now()")
    await end(two, how, need_id, referral_id)
    async with kyiv.world.db.transaction() as tx:
        await handoff.again(tx.conn, ["lviv"])
    assert await kyiv.value(SAID_OF_PEOPLE) == 0
    types = "SELECT array_agg(headers ->> 'ce-type') FROM handoff WHERE status = 'waiting'"
    told = None if how == "refuse" else ["intake.referral.withdrawn.v1"]
    assert await kyiv.value(types) == told


async def test_the_end_of_an_offer_waits_whatever_is_answered_meanwhile(two: Two) -> None:
    """What is blanked is what was said of a person, never the word that ends it."""
    kyiv, lviv = two.kyiv, two.lviv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    await two.exchange()
    await lviv.world.post(f"/v1/referrals/{referral_id}:refuse")
    await end(two, "withdraw", need_id, referral_id)
    await kyiv.hear("lviv", *await lviv.said())
    assert [type(each) for each in await kyiv.said()] == [ReferralWithdrawnV1]


async def test_the_update_takes_back_what_was_said_in_offers_that_were_over(two: Two) -> None:
    kyiv = two.kyiv
    over, standing = [await two.offer(await two.waiting()) for _ in range(2)]
    await kyiv.execute("UPDATE referral_out SET status = 'lapsed' WHERE id = $1", over)
    statement = MIGRATION.read_text().partition("-- migrate: apply")[2]
    await kyiv.execute(statement.partition("-- migrate: rollback")[0])
    (said,) = await kyiv.said()
    assert isinstance(said, ReferralOfferedV1)
    assert said.referral_id == standing


async def test_who_is_erased_while_offered_is_nobody_there(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    (offered,) = await kyiv.said()
    await kyiv.erase(need_id)
    assert await kyiv.world.state(need_id) == "cancelled"
    assert await two.status("kyiv", referral_id) == "withdrawn"
    # What was said of her is not said again, and of no use to whom it reaches late.
    assert await kyiv.value(SAID_OF_PEOPLE) == 0
    await two.exchange()
    await lviv.hear("kyiv", offered)
    assert await two.status("lviv", referral_id) == "withdrawn"
    assert await lviv.value("SELECT count(*) FROM referral_in WHERE sealed IS NOT NULL") == 0
    assert await lviv.value("SELECT count(*) FROM person") == 0
    await lviv.world.post(f"/v1/referrals/{referral_id}:take", status=409)


async def test_who_takes_their_consent_back_is_offered_no_more(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    path = f"/v1/persons/{await kyiv.person_of(need_id)}"
    agreed = {"chosen_name": "Canary", "area": "UA80", "consents": {"referral": str(ASKED_ON)}}
    for version, changes, status in (
        (1, {"languages": ["uk"]}, "offered"),
        (2, {"consents": {}}, "withdrawn"),
    ):
        answer = await kyiv.world.client.put(
            path, json=agreed | changes | {"version": version}, headers=kyiv.world.headers()
        )
        assert answer.status_code == 200, answer.text
        assert await two.status("kyiv", referral_id) == status
    assert await kyiv.world.state(need_id) == "waitlisted"
    # The acceptance comes late; what was made of her there is erased.
    await two.exchange()
    await lviv.world.sweep("ended_referrals")
    assert await lviv.world.state(theirs) == "cancelled"
    assert not await lviv.is_readable(theirs)
    assert await kyiv.world.state(need_id) == "waitlisted"


async def offered_for_another(two: Two) -> tuple[UUID, UUID, str, UUID, UUID]:
    """A need of somebody who did not agree, offered in the name of who stood for them.

    Returns:
        the need, the record of whom it is for, the one that stood for it, the offer of that need,
        and an offer of that other person's own.
    """
    world = two.kyiv.world
    agreed = {"referral": str(ASKED_ON)} | AGREED
    own = await wait_for_parcel(
        two.kyiv, "UA80", agreed, ASKED_ON, chosen_name="Root", client_code="root"
    )
    theirs = await two.offer(own)
    need_id = await wait_for_parcel(two.kyiv, "UA80", {}, ASKED_ON)
    record, root = await two.kyiv.person_of(need_id), str(await two.kyiv.person_of(own))
    refer = {"to_region": "lviv", "place_area": LVIV}
    await world.post(f"/v1/needs/{need_id}:refer", refer, status=409)
    await world.merge(record, root)
    return need_id, record, root, await two.offer(need_id), theirs


@pytest.mark.parametrize("heard", [True, False])
async def test_what_was_offered_in_anothers_name_is_taken_back_when_they_are_parted(
    two: Two, *, heard: bool
) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, record, root, referral_id, own = await offered_for_another(two)
    if heard:
        await two.exchange()
    await kyiv.world.post(f"/v1/persons/{record}:unmerge", None, Role.LEAD)
    assert await two.status("kyiv", referral_id) == "withdrawn"
    assert await kyiv.world.state(need_id) == "waitlisted"
    assert await two.status("kyiv", own) == "offered"
    # Whoever stood for them is erased then: nothing that names them waits for Lviv.
    await kyiv.world.post(f"/v1/persons/{root}:erase", None, Role.LEAD)
    assert await kyiv.value(SAID_OF_PEOPLE) == 0
    await two.exchange()
    assert await lviv.value("SELECT count(*) FROM referral_in WHERE sealed IS NOT NULL") == 0
    await lviv.world.post(f"/v1/referrals/{referral_id}:take", status=409)


async def test_what_is_parted_by_a_restore_is_not_offered_in_anothers_name(two: Two) -> None:
    kyiv = two.kyiv
    need_id, record, root, referral_id, own = await offered_for_another(two)
    async with kyiv.world.db.transaction() as tx:
        stays = await restoring.part(tx, [Erasure(tx.now, "record", UUID(root))])
    assert stays == [record]
    assert await two.status("kyiv", referral_id) == "withdrawn"
    assert await kyiv.world.state(need_id) == "waitlisted"
    assert await two.status("kyiv", own) == "offered"
    await kyiv.world.post(f"/v1/persons/{root}:erase", None, Role.LEAD)
    assert await kyiv.value(SAID_OF_PEOPLE) == 0


async def asked_for_as_one(two: Two) -> tuple[UUID, str, UUID, UUID]:
    """A need that was asked for by the code of another, and is offered in the name of who stood
    for both.

    Returns:
        the need, the other's record, the offer, and one of what was asked for before.
    """
    kyiv, agreed = two.kyiv, {"referral": str(ASKED_ON)}
    root = {"chosen_name": "Root", "client_code": "root"}
    own = await wait_for_parcel(kyiv, "UA80", agreed, ASKED_ON, **root)
    other = await person(kyiv.world, "other")
    await kyiv.world.merge(other, str(await kyiv.person_of(own)))
    before = await two.offer(own)
    need_id = await wait_for_parcel(kyiv, "UA80", {}, ASKED_ON, client_code="other")
    assert await kyiv.person_of(need_id) == await kyiv.person_of(own)
    # They have had theirs this month.
    despite = {"override_reason": "shares_with_neighbors"}
    await kyiv.world.post(f"/v1/needs/{need_id}:approve", despite, Role.LEAD)
    await nothing_here(kyiv.world)
    return need_id, other, await two.offer(need_id), before


async def test_what_was_asked_for_as_one_is_offered_to_nobody_before_somebody_has_looked(
    two: Two,
) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, other, referral_id, before = await asked_for_as_one(two)
    await two.exchange()
    theirs = await two.take(referral_id)
    await lviv.hold_all(await lviv.world.published())
    await kyiv.world.post(f"/v1/persons/{other}:unmerge", None, Role.LEAD)
    assert await two.status("kyiv", referral_id) == "withdrawn"
    assert await two.status("kyiv", before) == "offered"
    seen = await kyiv.world.need(need_id)
    assert (seen["state"], seen["attention"]) == ("waitlisted", "parted")
    # Lviv had said yes already, and hears that it is not to serve them.
    await two.exchange()
    assert await two.status("lviv", referral_id) == "withdrawn"
    assert await lviv.world.sweep("ended_referrals") == 1
    assert await lviv.world.state(theirs) == "cancelled"
    assert await kyiv.world.state(need_id) == "waitlisted"
    refer = {"to_region": "lviv", "place_area": LVIV}
    refused = await kyiv.world.post(f"/v1/needs/{need_id}:refer", refer, status=409)
    assert refused["rule"] == "whose_is_open"
    await kyiv.world.post(f"/v1/needs/{need_id}:settle", {"reason": "theirs"})
    await two.offer(need_id)


async def test_what_was_asked_for_as_one_is_looked_at_where_a_restore_parts_them(two: Two) -> None:
    kyiv = two.kyiv
    need_id, other, referral_id, before = await asked_for_as_one(two)
    async with kyiv.world.db.transaction() as tx:
        stays = await restoring.part(tx, [Erasure(tx.now, "record", UUID(other))])
    assert stays == [await kyiv.person_of(need_id)]
    assert await two.status("kyiv", referral_id) == "withdrawn"
    assert await two.status("kyiv", before) == "offered"
    assert (await kyiv.world.need(need_id))["attention"] == "parted"


async def test_an_erasure_crosses_the_acceptance(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    (accepted,) = await lviv.said()
    await kyiv.erase(need_id)
    await kyiv.hear("lviv", accepted)
    assert await kyiv.world.state(need_id) == "cancelled"
    await two.exchange()
    assert await two.status("lviv", referral_id) == "withdrawn"
    await lviv.world.published()
    while await lviv.world.sweep("ended_referrals"):
        pass
    assert await lviv.world.state(theirs) == "cancelled"
    let_go = only(await lviv.world.published(), NeedWithdrawnV1)
    assert [each.need_id for each in let_go] == [theirs]
    assert not await lviv.is_readable(theirs)
    assert not await kyiv.is_readable(need_id)


async def test_an_erasure_crosses_the_confirmation(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    await kyiv.hear("lviv", *await lviv.said())
    assert await kyiv.world.state(need_id) == "referred"
    # The confirmation is not out yet. It is said all the same: the need is Lviv's by now.
    await kyiv.erase(need_id)
    said = await kyiv.said()
    assert {type(each) for each in said} == {ReferralConfirmedV1}
    published = await lviv.hear("kyiv", *said)
    assert [each.need_id for each in only(published, NeedConfirmedV1)] == [theirs]
    assert await two.status("lviv", referral_id) == "confirmed"
    assert await lviv.hear("kyiv", *said) == []
    assert await lviv.is_readable(theirs)


async def test_an_erasure_there_before_the_confirmation_gives_the_need_back(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    (accepted,) = await lviv.said()
    await lviv.erase(theirs)
    (ended,) = await lviv.said()
    assert isinstance(ended, ReferralRefusedV1)
    await kyiv.hear("lviv", ended)
    assert await two.status("kyiv", referral_id) == "refused"
    # The acceptance comes late, and is of no use.
    await kyiv.hear("lviv", accepted)
    back = await kyiv.world.need(need_id)
    assert (back["state"], back["asked_on"]) == ("waitlisted", str(ASKED_ON))
    await two.exchange()
    await lviv.world.sweep("ended_referrals")
    assert await lviv.world.state(theirs) == "cancelled"
    assert not await lviv.is_readable(theirs)


async def test_an_erasure_there_that_crosses_the_confirmation_is_for_a_person(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, referral_id, theirs = await two.accepted()
    await kyiv.hear("lviv", *await lviv.said())
    await lviv.erase(theirs)
    await two.exchange()
    assert await lviv.world.state(theirs) == "cancelled"
    assert not await lviv.is_readable(theirs)
    ours = await kyiv.world.need(need_id)
    assert (ours["state"], ours["attention"]) == ("referred", "referral_refused")
    assert await two.status("lviv", referral_id) == "refused"
    # What is final stays so; whoever still needs help is entered anew.
    await kyiv.world.post(f"/v1/needs/{need_id}:settle", {"reason": "seen_to"})
    ours = await kyiv.world.need(need_id)
    assert (ours["state"], ours["attention"]) == ("referred", None)


@pytest.mark.parametrize("behind", ["who was known", "who was referred"])
async def test_who_is_merged_while_the_sweep_looks_at_them_stays(two: Two, behind: str) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id, _, theirs = await two.accepted()
    known = await person(lviv.world, "known")
    records = [str(await lviv.person_of(theirs)), known]
    record, into = records if behind == "who was referred" else records[::-1]
    made = await lviv.world.post(f"/v1/persons/{record}:merge", {"into_person_id": into})
    await kyiv.world.post(f"/v1/needs/{need_id}:cancel", {"reason": "moved_away"})
    await two.exchange()
    async with lviv.world.db.transaction() as tx:
        vault = lviv.world.service.app.state.context.vault.open()
        await merging.confirm(tx, vault, UUID(made["merge_id"]), uuid4())
        sweep = await started(lviv.world, lviv.world.sweep("ended_referrals"))
    assert await sweep == 1
    assert await lviv.value("SELECT count(*) FROM person WHERE erased_at IS NOT NULL") == 0
    assert await lviv.world.state(theirs) == "cancelled"
    assert await lviv.world.sweep("ended_referrals") == 0
    for each in records:
        assert (await lviv.world.get(f"/v1/persons/{each}"))["person_id"] == into
