"""Client codes are a region's own: what another region calls somebody finds nobody here."""

import json
from pathlib import Path
from uuid import UUID

import aidmesh_intake
from aidmesh_chassis.keys import INTAKE, KeyRing
from aidmesh_contracts.intake_referrals import ReferralOfferedV1
from integration.intake.referred import ASKED_ON, LVIV, Two
from integration.intake.world import only

CODE = "K-107"
MIGRATION = Path(aidmesh_intake.__file__).parent / "migrations/0023_intake_codes_of_others.sql"


async def referred(two: Two, code: str = CODE) -> UUID:
    """Somebody whom Kyiv knows by a code alone is taken by Lviv; their need there."""
    referral_id = await two.offer(await two.waiting(client_code=code))
    await two.exchange()
    return await two.take(referral_id)


async def test_who_is_given_the_same_code_here_is_somebody_else(two: Two) -> None:
    lviv = two.lviv
    theirs = await referred(two)
    person_id = await lviv.person_of(theirs)
    await lviv.world.post("/v1/persons:find", {"client_code": CODE}, status=404)
    path = f"/v1/persons/{person_id}"
    shown = await lviv.world.get(path)
    assert shown["details"]["code_elsewhere"] == CODE
    assert shown["details"]["client_code"] is None
    # The desk writes the record anew with what its form shows; that gives her no code here.
    change = {"version": 1, "chosen_name": "Canary", "consents": {"referral": str(ASKED_ON)}}
    world = lviv.world
    answer = await world.client.put(path, json=change, headers=world.headers())
    assert answer.status_code == 200, answer.text
    assert answer.json()["details"]["code_elsewhere"] == CODE
    # Lviv's own K-107 is new here, with what is said of them.
    who = {"client_code": CODE, "chosen_name": "Somebody else", "area": LVIV}
    body = {"person": who, "needs": [{"kind": "hygiene_kit", "place_area": LVIV}]}
    own = (await world.post("/v1/requests", body, status=201))["person_id"]
    assert own != str(person_id)
    assert (await world.post("/v1/persons:find", {"client_code": CODE}))["person_id"] == own
    assert (await world.get(path))["details"]["chosen_name"] == "Canary"
    # So is whoever is referred later under a code that is taken here.
    again = await lviv.person_of(await referred(two, "K-108"))
    assert str(again) not in (own, str(person_id))


async def test_how_others_call_them_is_not_passed_on(two: Two) -> None:
    """Older regions do not know the field, and would not open the offer."""
    referral_id = await two.offer(await two.waiting(client_code=CODE))
    (said,) = only(await two.kyiv.said(), ReferralOfferedV1)
    await two.lviv.hear("kyiv", said)
    sealed = await two.lviv.value("SELECT sealed FROM referral_in WHERE id = $1", referral_id)
    ring: KeyRing = two.lviv.world.service.app.state.context.vault.ring
    box = json.loads(ring.unseal(INTAKE, sealed))
    assert box["details"]["client_code"] == CODE
    assert "code_elsewhere" not in box["details"]


async def test_codes_that_came_with_earlier_referrals_find_nobody_any_more(two: Two) -> None:
    lviv = two.lviv
    own = await lviv.world.post("/v1/persons", {"client_code": "L-1"}, status=201)
    theirs, changed = await referred(two), await referred(two, "K-200")
    for need_id, version in ((theirs, 1), (changed, 2)):
        # As it was before: found by the foreign code. Somebody may have made one of them Lviv's.
        await lviv.execute(
            "UPDATE person SET code_lookup = $2, version = $3 WHERE id = $1",
            await lviv.person_of(need_id),
            need_id.bytes,
            version,
        )
    statement = MIGRATION.read_text().partition("-- migrate: apply")[2]
    await lviv.execute(statement.partition("-- migrate: rollback")[0])
    query = "SELECT code_lookup FROM person WHERE id = $1"
    assert await lviv.value(query, await lviv.person_of(theirs)) is None
    assert await lviv.value(query, await lviv.person_of(changed)) == changed.bytes
    assert await lviv.value(query, UUID(own["person_id"])) is not None
