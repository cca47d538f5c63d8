"""One parcel, all the way: asked for, waited for, set aside, handed over, undone, counted."""

from uuid import UUID, uuid4

from support.running import Staff
from support.waiting import eventually


async def _services(staff: Staff, kind: str) -> int:
    answer = await staff.get(
        "lead",
        "reporting",
        "/results",
        params={"from": "2024-01-01", "to": "2030-12-31", "by": "kind"},
    )
    return sum(row["services"] for row in answer["lines"] if row.get("kind") == kind)


async def test_a_parcel_from_the_first_word_to_the_result(kyiv: Staff) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8001")
    await kyiv.item("food_parcel")
    before = await _services(kyiv, "food_parcel")

    need = await kyiv.ask("food_parcel", place_area="UA8001", site_id=str(site))
    waiting = await kyiv.becomes(need, "waitlisted")
    assert waiting["blocked_by"]["code"] == "food_parcel"

    await kyiv.receive(site, "food_parcel", 1)
    await kyiv.becomes(need, "ready")
    held = await kyiv.reservation(need)
    assert held["state"] == "confirmed"

    await kyiv.post("caseworker", "intake", f"/needs/{need}:told")
    reservation = held["reservation_id"]
    await kyiv.post("caseworker", "inventory", f"/reservations/{reservation}:issue")
    done = await kyiv.becomes(need, "fulfilled")
    assert done["service_no"] == 1

    async def counted() -> bool:
        return await _services(kyiv, "food_parcel") == before + 1

    await eventually(counted)

    undo = {"reason": "wrong_person"}
    await kyiv.post("caseworker", "inventory", f"/reservations/{reservation}:undo", undo)
    await kyiv.becomes(need, "ready")

    async def uncounted() -> bool:
        return await _services(kyiv, "food_parcel") == before

    await eventually(uncounted)
    await kyiv.post("caseworker", "inventory", f"/reservations/{reservation}:issue")
    again = await kyiv.becomes(need, "fulfilled")
    assert again["service_no"] == 2
    await eventually(counted)


async def test_the_last_parcel_goes_to_one_and_the_other_waits_until_it_comes_back(
    kyiv: Staff,
) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}", area="UA8002")
    await kyiv.item("hygiene_kit")
    await kyiv.receive(site, "hygiene_kit", 1)
    needs = [
        await kyiv.ask("hygiene_kit", place_area="UA8002", site_id=str(site)) for _ in range(3)
    ]

    async def one_ready() -> list[UUID]:
        states = {need: (await kyiv.need(need))["state"] for need in needs}
        assert sorted(states.values()) == ["ready", "waitlisted", "waitlisted"], states
        return [need for need, state in states.items() if state == "ready"]

    ready = await eventually(one_ready)
    assert isinstance(ready, list)
    await kyiv.post("caseworker", "intake", f"/needs/{ready[0]}:cancel", {"reason": "moved_away"})
    needs.remove(ready[0])
    await kyiv.becomes(ready[0], "cancelled")

    async def next_ready() -> bool:
        return sorted([(await kyiv.need(need))["state"] for need in needs]) == [
            "ready",
            "waitlisted",
        ]

    await eventually(next_ready)


async def test_a_repeated_request_counts_once(kyiv: Staff) -> None:
    body = {
        "for_whom": "person",
        "person": {"client_code": f"c-{uuid4().hex}", "area": "UA80"},
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    key = str(uuid4())
    first = await kyiv.post("caseworker", "intake", "/requests", body, key=key)
    again = await kyiv.post("caseworker", "intake", "/requests", body, key=key)
    assert first["needs"][0]["need_id"] == again["needs"][0]["need_id"]
    body["needs"] = [{"kind": "hygiene_kit", "place_area": "UA80"}]
    await kyiv.post("caseworker", "intake", "/requests", body, key=key, status=422)
