"""Personal data: encrypted, seen by role only, merged, erased, found in no table."""

import base64
import json
import re
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_chassis.keys import NOTIFICATION, PAYMENTS
from aidmesh_contracts.ids import CommitmentId, NeedId
from aidmesh_contracts.intake import (
    ContactSealedV1,
    NeedApprovedV1,
    NeedWaitlistedV1,
    PayeeSealedV1,
    PersonMergedV1,
)
from aidmesh_contracts.payments import CommitmentReleasedV1
from aidmesh_payments.handlers.payees import opened
from integration.intake.world import World, only, refused
from support.bodies import lax_bodies, misread_routes
from support.paging import walk
from support.routes import posts_without_key

PERSON = {
    "client_code": "CanaryCode",
    "chosen_name": "CanaryChosen",
    "legal_name": "CanaryLegal",
    "birth_year": 1987,
    "note": "CanaryNote",
    "languages": ["uk", "en"],
    "area": "UA80",
    "household_code": "CanaryHome",
    "contact": {
        "channel": "email",
        "address": "canary@example.org",
        "hours_from": "10:00",
        "hours_to": "18:00",
        "wording": "neutral",
        "safe": True,
    },
    "consents": {"contact": "2024-01-05"},
}
REQUEST = {
    "person": PERSON,
    "note": "CanaryStory",
    "answers": {"violence_at_home": True},
    "needs": [
        {
            "kind": "financial_aid",
            "payee": {
                "mechanism": "iban",
                "legal_name": "CanaryPayee",
                "iban": "UA213223130000026007233566001",
            },
        }
    ],
}


async def everything(world: World) -> str:
    """All tables of intake as one text."""
    async with world.db.read() as conn:
        tables = await conn.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        parts: list[str] = []
        for row in tables:
            found: list[asyncpg.Record] = await conn.fetch(
                f"SELECT t::text AS line FROM {row['tablename']} AS t"  # noqa: S608 - names of ours
            )
            parts += [each["line"] for each in found]
    hexes = "\n".join(parts)
    raw = b"".join(
        bytes.fromhex(word)
        for word in hexes.replace("\\x", " ").replace(",", " ").replace('"', " ").split()
        if len(word) % 2 == 0 and len(word) >= 16 and all(c in "0123456789abcdef" for c in word)
    )
    return hexes + raw.decode("latin-1")


async def create(world: World) -> dict[str, Any]:
    """A request with everything one could say."""
    found: dict[str, Any] = await world.post("/v1/requests", REQUEST, status=201)
    return found


async def test_no_plain_word_in_any_table(world: World) -> None:
    done = await create(world)
    await world.get(f"/v1/persons/{done['person_id']}")
    text = (await everything(world)).lower()
    assert "food_parcel" in text
    assert "intake.contact.sealed" in text
    for canary in ("canary", "birth_year", "ua21322313", "violence_at_home"):
        assert canary not in text, canary
    # Four digits stand in many a random id.
    assert not re.search(r"(?<![0-9a-f.:-])1987(?![0-9a-f:-])", text)


async def test_only_the_right_service_opens_what_was_sealed(world: World) -> None:
    done = await create(world)
    events = await world.published()
    (sealed,) = only(events, ContactSealedV1)
    card = json.loads(world.keys.unseal(NOTIFICATION, base64.b64decode(sealed.sealed)))
    assert card == {
        "person_id": done["person_id"],
        "version": 1,
        "language": "uk",
        "channel": "email",
        "address": "canary@example.org",
        "hours_from": "10:00",
        "hours_to": "18:00",
        "wording": "neutral",
        "safe": True,
    }
    (payee,) = only(events, PayeeSealedV1)
    opened = json.loads(world.keys.unseal(PAYMENTS, base64.b64decode(payee.sealed)))
    assert opened["legal_name"] == "CanaryPayee"
    assert opened["need_id"] == done["needs"][0]["need_id"]


@pytest.mark.parametrize(
    "payee",
    [
        {"mechanism": "iban", "legal_name": "Anna", "iban": "UA213223130000026007233566001"},
        {"mechanism": "card", "legal_name": "Anna", "card": "4111111111111111"},
        {"mechanism": "post", "legal_name": "Anna", "address": "Poshtova 1, Odesa"},
        {"mechanism": "cash", "legal_name": "Anna", "tax_number": "1234567890"},
    ],
)
async def test_payments_can_use_what_was_sealed_to_it(world: World, payee: dict[str, str]) -> None:
    await world.request("financial_aid", payee=payee)
    (sealed,) = only(await world.published(), PayeeSealedV1)
    found = opened(world.keys, base64.b64decode(sealed.sealed))
    assert sealed.mechanism == found.mechanism == payee["mechanism"]
    address = found.post_address.reveal() if found.post_address else None
    assert address == payee.get("address")


async def test_payee_details_are_corrected_where_the_person_is_known(world: World) -> None:
    need_id = await world.request(
        "financial_aid",
        payee={"mechanism": "iban", "legal_name": "Old", "iban": "UA213223130000026007233566001"},
    )
    (old,) = only(await world.published(), PayeeSealedV1)
    path = f"/v1/needs/{need_id}:correct-payee"
    new = {"mechanism": "card", "legal_name": "CanaryNew", "card": "4111111111111111"}
    await world.post(path, new, Role.FINANCE, status=403)
    wrong = new | {"card": "4111111111111112"}
    assert "card_check_digit" in json.dumps(await world.post(path, wrong, status=422))
    key = str(uuid4())
    answer = await world.post(path, new, key=key)
    assert await world.post(path, new, key=key) == answer
    (sealed,) = only(await world.published(), PayeeSealedV1)
    assert sealed.payee_ref != old.payee_ref
    assert (sealed.replaces, sealed.version) == (old.payee_ref, answer["version"])
    assert sealed.sealed_by == world.staff_id
    found = opened(world.keys, base64.b64decode(sealed.sealed))
    assert found.card is not None
    assert found.card.reveal() == new["card"]
    # What it replaces is blanked, and the next attempt names the new.
    async with world.db.read() as conn:
        left = await conn.fetchval(
            "SELECT count(*) FROM outbox"
            " WHERE payload IS NOT NULL AND headers ->> 'ce-subject' = $1",
            str(old.payee_ref),
        )
    assert left == 0
    back = CommitmentReleasedV1(
        commitment_id=CommitmentId(uuid4()),
        need_id=NeedId(need_id),
        attempt_no=1,
        cause="returned",
    )
    await world.feed(back)
    await world.post(f"/v1/needs/{need_id}:approve")
    (asked,) = only(await world.published(), NeedApprovedV1)
    assert asked.payee_ref == sealed.payee_ref
    notes = [step["note"] for step in (await world.need(need_id))["timeline"]]
    assert "payee_corrected" in notes
    # Not of needs that pay nobody, nor once it is over.
    other = await world.request("food_parcel")
    refused = await world.post(f"/v1/needs/{other}:correct-payee", new, status=409)
    assert refused["rule"] == "not_of_this_kind"
    await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "not_needed"})
    assert (await world.post(path, new, status=409))["rule"] == "over"


async def test_a_postal_order_needs_an_address(world: World) -> None:
    need = {"kind": "financial_aid", "payee": {"mechanism": "post", "legal_name": "Anna"}}
    body = {"person": {"client_code": "post", "area": "UA80"}, "needs": [need]}
    await world.post("/v1/requests", body, status=422)


@pytest.mark.parametrize(
    ("payee", "rule"),
    [
        ({"mechanism": "iban", "iban": "UA213223130000026007233566002"}, "iban_check_digits"),
        ({"mechanism": "card", "card": "4111111111111112"}, "card_check_digit"),
    ],
)
async def test_a_mistyped_account_is_refused_at_the_desk(
    world: World, payee: dict[str, str], rule: str
) -> None:
    need = {"kind": "financial_aid", "payee": {"legal_name": "Anna"} | payee}
    body = {"person": {"client_code": "typo", "area": "UA80"}, "needs": [need]}
    refused = await world.post("/v1/requests", body, status=422)
    assert rule in json.dumps(refused)
    assert payee[payee["mechanism"]] not in json.dumps(refused)
    assert await world.published() == []


async def test_details_by_role_and_with_a_trace(world: World) -> None:
    path = f"/v1/persons/{(await create(world))['person_id']}"
    await world.get(path, Role.LOGISTICIAN, status=403)
    shown = await world.get(path)
    assert shown["details"]["chosen_name"] == "CanaryChosen"
    assert "contact" in shown["consents"]
    trace = (await world.get(f"{path}/access", Role.LEAD))["entries"]
    assert [entry["staff_id"] for entry in trace] == [str(world.staff_id)]


async def test_who_looked_is_read_to_the_first_of_all(world: World) -> None:
    person_id = (await create(world))["person_id"]
    path = f"/v1/persons/{person_id}"
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO person_access (staff_id, person_id, why, at) SELECT $1, $2, 'shown',"
            " now() - interval '1 second' * (each / 2) FROM generate_series(1, 250) AS each",
            uuid4(),
            UUID(person_id),
        )

    async def get(query: dict[str, str]) -> Any:
        return await world.get(f"{path}/access", Role.LEAD, status=200, **query)

    entries = await walk(get, "entries", rows_max=20)
    moments = [datetime.fromisoformat(entry["at"]) for entry in entries]
    assert len(moments) == 250
    assert moments == sorted(moments, reverse=True)


async def test_contact_is_sealed_anew_when_it_changes(world: World) -> None:
    done = await create(world)
    await world.published()
    path = f"/v1/persons/{done['person_id']}"
    body = {name: value for name, value in PERSON.items() if name != "household_code"}
    body["contact"] = None
    answer = await world.client.put(path, json=body | {"version": 1}, headers=world.headers())
    assert answer.status_code == 200, answer.text
    (sealed,) = only(await world.published(), ContactSealedV1)
    card = json.loads(world.keys.unseal(NOTIFICATION, base64.b64decode(sealed.sealed)))
    assert (sealed.version, card["safe"]) == (2, False)
    assert "address" not in card
    answer = await world.client.put(path, json=body | {"version": 1}, headers=world.headers())
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("channel", "address", "rule"),
    [
        ("email", "canary@example", "not_an_email_address"),
        ("sms", "067 000 00 00", "not_a_phone_number"),
    ],
)
async def test_an_address_that_nobody_could_be_reached_at_is_refused_where_it_is_entered(
    world: World, channel: str, address: str, rule: str
) -> None:
    contact = {"channel": channel, "address": address}
    need = {"kind": "food_parcel", "place_area": "UA80"}
    for path, body, field in (
        ("/v1/persons", {"contact": contact}, "body.contact.address"),
        ("/v1/requests", {"person": {"contact": contact}, "needs": [need]},
         "body.person.contact.address"),
    ):  # fmt: skip
        refused = await world.post(path, body, status=422)
        assert {"field": field, "rule": rule} in refused["errors"]
        assert address not in json.dumps(refused)
    assert await world.published() == []


async def test_marks_of_safety_are_no_consent(world: World) -> None:
    """What was ticked is kept, and nothing that was not."""
    silent = {name: value for name, value in PERSON.items() if name != "consents"}
    made = await world.post("/v1/persons", silent, status=201)
    need = {"kind": "food_parcel", "place_area": "UA80"}
    body = {"person": silent | {"client_code": "CanaryOther"}, "needs": [need]}
    asked = await world.post("/v1/requests", body, status=201)
    for person_id in (made["person_id"], asked["person_id"]):
        shown = await world.get(f"/v1/persons/{person_id}")
        assert shown["consents"] == {}
        assert shown["details"]["contact"]["safe"] is True
    change = json.loads(json.dumps(silent))
    del change["household_code"]
    change["contact"]["hours_to"] = "19:00"
    path = f"/v1/persons/{made['person_id']}"
    answer = await world.client.put(path, json=change | {"version": 1}, headers=world.headers())
    assert answer.json()["consents"] == {}
    cards = only(await world.published(), ContactSealedV1)
    opened = [json.loads(world.keys.unseal(NOTIFICATION, base64.b64decode(each.sealed)))
              for each in cards]  # fmt: skip
    assert [card["safe"] for card in opened] == [False, False, False]
    assert not any("address" in card for card in opened)


async def test_a_contact_is_not_safe_before_all_of_it_is(world: World) -> None:
    await world.post(
        "/v1/persons",
        {"contact": {"channel": "email", "address": "canary@example.org", "safe": True}},
        status=422,
    )
    await world.post(
        "/v1/persons",
        {"contact": {"channel": "email", "address": "canary@example.org"}},
        status=201,
    )
    (sealed,) = only(await world.published(), ContactSealedV1)
    card = world.keys.unseal(NOTIFICATION, base64.b64decode(sealed.sealed))
    assert b"canary" not in card


async def test_two_records_of_one_person(world: World) -> None:
    first = (await world.post("/v1/persons", {"client_code": "one"}, status=201))["person_id"]
    second = (await world.post("/v1/persons", {"client_code": "two"}, status=201))["person_id"]
    await world.merge(second, first)
    (merged,) = only(await world.published(), PersonMergedV1)
    assert (str(merged.person_id), str(merged.into_person_id)) == (second, first)
    answer = await world.post("/v1/persons:find", {"client_code": "two"})
    assert answer["person_id"] == first
    await world.merge(first, second, status=409)
    await world.request("food_parcel", "two")
    page = await world.get("/v1/needs", person_id=first)
    assert len(page["needs"]) == 1


async def test_sensitive_kinds_are_seen_by_role(world: World) -> None:
    secret = await world.request("hiv_test")
    plain = await world.request("hygiene_kit")
    seen = await world.get("/v1/needs", Role.LOGISTICIAN)
    assert [row["need_id"] for row in seen["needs"]] == [str(plain)]
    await world.get(f"/v1/needs/{secret}", Role.LOGISTICIAN, status=404)
    kinds = (await world.get("/v1/kinds", Role.LOGISTICIAN))["kinds"]
    assert "hiv_test" not in {kind["code"] for kind in kinds}
    assert len((await world.get("/v1/needs"))["needs"]) == 2


async def test_counts_are_of_what_a_role_may_see(world: World) -> None:
    for kind in ("hiv_test", "hygiene_kit"):
        await world.request(kind)
    approvals = only(await world.published(), NeedApprovedV1)
    assert {each.kind: each.sensitive for each in approvals} == {
        "hiv_test": True,
        "hygiene_kit": False,
    }
    events = await world.feed(*(refused(each) for each in approvals))
    assert {each.kind: each.sensitive for each in only(events, NeedWaitlistedV1)} == {
        "hiv_test": True,
        "hygiene_kit": False,
    }
    for roles, codes in [
        ((Role.LOGISTICIAN,), {"hygiene_kit"}),
        ((Role.FINANCE, Role.APPROVER, Role.ONCALL), {"hygiene_kit"}),
        ((Role.CASEWORKER,), {"hygiene_kit", "hiv_test"}),
        ((Role.LEAD,), {"hygiene_kit", "hiv_test"}),
    ]:
        waiting = (await world.get("/v1/waitlist", *roles))["waiting"]
        assert {row["code"] for row in waiting} == codes
        assert await world.get("/v1/needs-by-state", *roles) == {"waitlisted": len(codes)}


async def test_locked_keys_stop_only_what_needs_them(world: World) -> None:
    need_id = await world.request("food_parcel")
    world.service.app.state.context.vault.ring.lock()
    answer = await world.post("/v1/requests", REQUEST, status=423)
    assert answer["type"] == "urn:aidmesh:problem:locked"
    await world.post(f"/v1/needs/{need_id}:cancel", {"reason": "moved_away"})
    await world.get("/v1/needs")


async def test_pages_are_read_by_key(world: World) -> None:
    for n in range(5):
        await world.request("hygiene_kit", f"page-{n}")
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"limit": "2"} | ({"after": after} if after else {})
        page = await world.get(f"/v1/needs?{urlencode(query)}")
        seen += [row["need_id"] for row in page["needs"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_a_lead_changes_the_catalogue(world: World) -> None:
    kind = await world.get("/v1/kinds/food_parcel")
    kind["collect_days"] = 3
    path = "/v1/kinds/food_parcel"
    answer = await world.client.put(path, json=kind, headers=world.headers(Role.LEAD))
    assert answer.status_code == 409
    kind["version"] = 2
    assert (await world.client.put(path, json=kind, headers=world.headers())).status_code == 403
    answer = await world.client.put(path, json=kind, headers=world.headers(Role.LEAD))
    assert answer.status_code == 200, answer.text
    assert (await world.get(path))["collect_days"] == 3


async def test_a_new_kind_brings_its_programme_for_whoever_buys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await world.get("/v1/kinds", Role.FINANCE)
    assert {"food", "prevention"} <= set(known["programmes"])
    kind = {
        "code": "winter_kit",
        "names": {"uk": "Зимовий набір", "en": "Winter kit", "de": "Winterpaket"},
        "programme": "winter_aid",
        "sensitivity": "violence",
        "stock": [{"item": "blanket", "quantity": 2}],
    }
    lead = world.headers(Role.LEAD)
    answer = await world.client.put("/v1/kinds/winter_kit", json=kind, headers=lead)
    assert answer.status_code == 200, answer.text
    told = await world.get("/v1/kinds", Role.FINANCE)
    assert "winter_aid" in told["programmes"]
    assert "winter_kit" not in {each["code"] for each in told["kinds"]}
    everything = (await world.get("/v1/kinds", Role.LEAD))["kinds"]
    assert "winter_kit" in {each["code"] for each in everything}

    # The package's `kinds` is the router.
    monkeypatch.setattr(import_module("aidmesh_intake.api.kinds"), "KINDS_MAX", len(everything))
    more = kind | {"code": "winter_boots"}
    full = await world.client.put("/v1/kinds/winter_boots", json=more, headers=lead)
    assert (full.status_code, full.json()["type"]) == (409, "urn:aidmesh:problem:catalogue-full")
    changed = kind | {"version": 2, "active": False}
    kept = await world.client.put("/v1/kinds/winter_kit", json=changed, headers=lead)
    assert kept.status_code == 200, kept.text


def test_every_post_honors_the_idempotency_key(world: World) -> None:
    assert posts_without_key(world.service.app) == []
    assert lax_bodies(world.service.app) == set()
    assert misread_routes(world.service.app) == []


async def test_a_request_sent_twice_is_one(world: World) -> None:
    key = f"key-{datetime.now(UTC).timestamp()}"
    first = await world.post("/v1/requests", REQUEST, status=201, key=key)
    second = await world.post("/v1/requests", REQUEST, status=201, key=key)
    assert first == second
    assert len((await world.get("/v1/needs"))["needs"]) == 1
