"""Who knows that something is ready: told once, and anew when it has changed or went astray."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from aidmesh_contracts.ids import MessageId, NeedId
from aidmesh_contracts.intake import NeedApprovedV1, NeedReadyV1, NeedToldV1
from aidmesh_contracts.inventory import ReservationReleasedV1
from aidmesh_contracts.notification import MessageSentV1, MessageSuppressedV1
from integration.intake.world import World, confirmed, held, money_held, money_made, only, refused


async def test_whoever_is_paid_in_another_way_than_they_were_told_is_told_again(
    world: World,
) -> None:
    payee = {"mechanism": "cash", "legal_name": "Canary Payee"}
    need_id = await world.request("financial_aid", payee=payee)
    parcel = await world.request("food_parcel")
    # As it was asked for before it was kept how.
    async with world.db.transaction() as tx:
        await tx.conn.execute("UPDATE need SET sent = NULL WHERE id = $1", need_id)
    await world.published()
    news = await world.feed(
        money_held(need_id, 360_000), money_made(need_id, 360_000, sent=False)
    )  # fmt: skip
    (told,) = only(news, NeedReadyV1)
    assert told.to_come is True
    await world.post(f"/v1/needs/{need_id}:told")
    assert (await world.get("/v1/needs", to_tell=True))["needs"] == []
    rows = {row["need_id"]: row["to_come"] for row in (await world.get("/v1/needs"))["needs"]}
    assert rows == {str(need_id): True, str(parcel): True}
    await world.published()

    card = {"mechanism": "card", "legal_name": "Canary Payee", "card": "4111111111111111"}
    await world.post(f"/v1/needs/{need_id}:correct-payee", card)
    (again,) = only(await world.published(), NeedReadyV1)
    assert (again.attempt_no, again.in_person, again.to_come) == (told.attempt_no, True, False)
    (listed,) = (await world.get("/v1/needs", to_tell=True))["needs"]
    assert (listed["message"], listed["to_come"]) == ("changed", False)
    await world.post(f"/v1/needs/{need_id}:told")
    assert len(only(await world.published(), NeedToldV1)) == 1
    # Another card changes nothing of it.
    await world.post(f"/v1/needs/{need_id}:correct-payee", card)
    assert only(await world.published(), NeedReadyV1) == []
    assert (await world.get("/v1/needs", to_tell=True))["needs"] == []


async def test_who_was_told_just_before_the_site_closed_is_looked_after(world: World) -> None:
    need_id = await world.request("shelter_night")
    await world.feed(held(need_id), confirmed(need_id))
    await world.published()
    gone = ReservationReleasedV1(
        reservation_id=held(need_id).reservation_id,
        need_id=NeedId(need_id),
        attempt_no=1,
        cause="relocated",
    )
    (approved,) = only(await world.feed(gone), NeedApprovedV1)
    await world.feed(refused(approved))
    assert (await world.get("/v1/needs", attention=True))["needs"] == []
    # The message had left; the news of that waited for the others of its batch.
    left = MessageSentV1(
        message_id=MessageId(uuid4()),
        need_id=NeedId(need_id),
        attempt_no=1,
        sent_at=datetime.now(UTC),
    )
    await world.feed(left)
    (row,) = (await world.get("/v1/needs", attention=True))["needs"]
    assert (row["need_id"], row["attention"]) == (str(need_id), "told_to_come")
    assert row["state"] == "waitlisted"
    # Nothing was given, so it is no service that is settled: somebody has told them.
    path = f"/v1/needs/{need_id}:settle"
    for reason in ("given_twice", "taken_back", "theirs"):
        refused_for = await world.post(path, {"reason": reason}, status=409)
        assert refused_for["rule"] == "not_of_this_kind"
    await world.post(path, {"reason": "seen_to"})
    assert (await world.get("/v1/needs", attention=True))["needs"] == []
    seen = await world.need(need_id)
    assert (seen["state"], seen["timeline"][-1]["note"]) == ("waitlisted", "settled_seen_to")


async def test_told_in_person_when_no_message_goes_out(world: World) -> None:
    need_id = await world.request("food_parcel")
    await world.post(f"/v1/needs/{need_id}:told", status=409)
    await world.feed(held(need_id), confirmed(need_id))
    await world.feed(
        MessageSuppressedV1(
            message_id=MessageId(uuid4()),
            need_id=NeedId(need_id),
            attempt_no=1,
            reason="no_safe_contact",
        )
    )
    (row,) = (await world.get("/v1/needs", to_tell=True))["needs"]
    assert row["message"] == "no_safe_contact"
    answer = await world.post("/v1/needs:told", {"rows": [{"need_id": str(need_id)}]})
    assert answer["rows"][0]["status"] == "done"
    assert only(await world.published(), NeedToldV1)[0].how == "in_person"
    answer = await world.post("/v1/needs:told", {"rows": [{"need_id": str(need_id)}]})
    assert answer["rows"][0]["status"] == "skipped"


@pytest.mark.parametrize("in_order", [True, False])
async def test_whom_a_message_did_not_reach_is_told_again(world: World, in_order: bool) -> None:
    need_id = await world.request("food_parcel")
    await world.feed(held(need_id), confirmed(need_id))
    about = {"message_id": MessageId(uuid4()), "need_id": NeedId(need_id), "attempt_no": 1}
    sent = MessageSentV1.model_validate({**about, "sent_at": datetime.now(UTC)})
    bounced = MessageSuppressedV1.model_validate({**about, "reason": "failed"})
    for event in (sent, bounced) if in_order else (bounced, sent):
        await world.feed(event)
    (row,) = (await world.get("/v1/needs", to_tell=True))["needs"]
    assert (row["message"], row["told_at"]) == ("failed", None)
    await world.post(f"/v1/needs/{need_id}:told")
    (told,) = only(await world.published(), NeedToldV1)
    assert told.how == "in_person"
    await world.feed(bounced)  # says nothing new to somebody who was told in person
    assert (await world.get("/v1/needs", to_tell=True))["needs"] == []
