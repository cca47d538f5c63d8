"""Erasures and consents taken back while a need is referred, with words that cross each other."""

from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.intake import NeedConfirmedV1, NeedWithdrawnV1
from aidmesh_contracts.intake_referrals import ReferralConfirmedV1, ReferralRefusedV1
from aidmesh_intake.handlers import merging
from integration.intake.referred import ASKED_ON, Two
from integration.intake.test_one_person import person, started
from integration.intake.world import only


async def test_who_is_erased_while_offered_is_nobody_there(two: Two) -> None:
    kyiv, lviv = two.kyiv, two.lviv
    need_id = await two.waiting()
    referral_id = await two.offer(need_id)
    (offered,) = await kyiv.said()
    await kyiv.erase(need_id)
    assert await kyiv.world.state(need_id) == "cancelled"
    assert await two.status("kyiv", referral_id) == "withdrawn"
    # What was said of her is not said again, and of no use to whom it reaches late.
    assert (
        await kyiv.value(
            "SELECT count(*) FROM handoff WHERE convert_from(payload, 'UTF8') LIKE '%sealed%'"
        )
        == 0
    )
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
