"""After an erasure nothing of a person can be decrypted, with every key the region has.

The test is the thief: it has all databases of the region and all its keys, knows how everything
is encrypted, and tries each key on each thing.
"""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis import inbox
from aidmesh_chassis.auth import Role
from aidmesh_chassis.crypto import (
    DecryptionFailed,
    MasterKey,
    PersonKey,
    decrypt,
    unwrap_key,
)
from aidmesh_chassis.db import Database
from aidmesh_chassis.inbox import Letter
from aidmesh_chassis.keys import MASTER, NOTIFICATION, PAYMENTS, KeyRing
from aidmesh_chassis.outbox import Origin
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import consumers_of
from aidmesh_contracts.intake import (
    ContactSealedV1,
    NeedApprovedV1,
    NeedReadyUntilV1,
    PayeeSealedV1,
)
from aidmesh_payments.handlers import sweeps
from aidmesh_payments.handlers.payouts import Step
from integration.intake.test_privacy import PERSON
from integration.intake.world import World, only, open_world
from integration.notification.world import World as Messages
from integration.payments.offices import MAKER, Desk, confirmed, open_desk
from integration.payments.paying import take_step
from support.servers import DatabaseFactory

TABLES = """
    SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = 'public'::regnamespace
"""
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")
IBANS = ("UA213223130000026007233566001", "UA903052992990004149123456789")
CANARIES = {
    "details": "CanaryChosen",
    "contact": "canary@example.org",
    "story": "CanaryStory",
    "household": "CanaryKitchen",
    "never_paid": "CanaryUnpaid",
    "paid": "CanaryPaid",
}


@dataclass
class Region:
    """Three services that hold sealed things, and the region's keys."""

    intake: World
    payments: Desk
    messages: Messages
    keys: KeyRing
    _passed: int = 0

    @property
    def databases(self) -> Sequence[Database]:
        return self.intake.db, self.payments.db, self.messages.database

    async def settle(self) -> None:
        """Hand to payments and notification what intake published since."""
        async with self.intake.db.transaction() as tx:
            await tx.conn.execute(
                "UPDATE outbox SET status = 'acked', ack_seq = seq, acked_at = now()"
                " WHERE status = 'pending'"
            )
        events = await self.intake.published()
        await self.payments.feed(*events)
        for event in events:
            if any(type(event) in each.events for each in consumers_of("notification")):
                await self.messages.take(event)

    async def readable(self) -> set[str]:
        """The canaries that a thief of everything finds."""
        found: set[str] = set()
        for plain in await everything(self.databases, self.keys):
            found |= {name for name, canary in CANARIES.items() if canary.encode() in plain}
        return found


@pytest.fixture
async def region(database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Region]:
    intake = await open_world(await database("intake"), tmp_path)
    payments = await open_desk(await database("payments"))
    notification = Database(await database("notification"), Origin("kyiv", "notification"))
    await notification.open()
    keys = KeyRing(tmp_path / "keys", (MASTER, NOTIFICATION, PAYMENTS))
    messages = Messages(notification)
    yield Region(intake, payments, messages, keys)
    await payments.check()
    await intake.client.aclose()
    for each in (intake.db, payments.db, notification):
        await each.close()


async def everything(databases: Sequence[Database], keys: KeyRing) -> list[bytes]:
    """Whatever stands in the databases as it is, and whatever can be made of it with the keys."""
    blobs: list[bytes] = []
    ids: set[UUID] = set()
    for database in databases:
        async with database.read() as conn:
            for table in await conn.fetch(TABLES):
                for row in await conn.fetch(f'SELECT * FROM "{table["relname"]}"'):  # noqa: S608
                    ids |= {UUID(text) for text in UUIDS.findall(repr(dict(row)))}
                    blobs += [bytes(each) for each in row.values() if isinstance(each, bytes)]
                    blobs += [each.encode() for each in row.values() if isinstance(each, str)]
    blobs += [sealed for blob in blobs for sealed in _decoded(blob)]
    master = MasterKey(keys.master().reveal())
    owned = [key for blob in blobs for key in _unwrapped(master, blob, ids)]
    openers = [keys.opener(NOTIFICATION), keys.opener(PAYMENTS)]
    opened = [plain for blob in blobs for plain in _opened(blob, [master, *owned], openers, ids)]
    return blobs + opened


def _decoded(blob: bytes) -> Iterator[bytes]:
    for text in BASE64.findall(blob):
        try:
            yield base64.b64decode(text, validate=True)
        except binascii.Error:
            continue


def _unwrapped(master: MasterKey, blob: bytes, ids: set[UUID]) -> Iterator[PersonKey]:
    if len(blob) == 1 + 24 + 32 + 16:
        for owner in (b"person:", b"household:"):
            for each in ids:
                try:
                    yield unwrap_key(master, blob, owner + each.bytes)
                except DecryptionFailed:
                    continue


def _opened(
    blob: bytes,
    secrets: Sequence[MasterKey | PersonKey],
    openers: Sequence[Callable[[bytes], bytes]],
    ids: set[UUID],
) -> Iterator[bytes]:
    if blob[:1] != b"\x01":
        return
    for unsealed in openers:
        try:
            yield unsealed(blob)
        except DecryptionFailed:
            continue
    for secret in secrets:
        for what in (b"details:", b"reasons:"):
            for each in ids:
                try:
                    yield decrypt(secret, blob, what + each.bytes)
                except DecryptionFailed:
                    continue


async def register(region: Region) -> dict[str, Any]:
    """A person in a household, with a need that is paid, one that is not, and notes."""
    world = region.intake
    payees = [
        {"mechanism": "iban", "legal_name": name, "iban": iban}
        for name, iban in zip((CANARIES["paid"], CANARIES["never_paid"]), IBANS, strict=True)
    ]
    body = {
        "person": PERSON,
        "note": CANARIES["story"],
        "answers": {"violence_at_home": True},
        "needs": [{"kind": "financial_aid", "payee": payee} for payee in payees],
    }
    done: dict[str, Any] = await world.post("/v1/requests", body, status=201)
    home = (await world.get(f"/v1/persons/{done['person_id']}"))["household_id"]
    of_household = {
        "for_whom": "household",
        "household_id": home,
        "note": CANARIES["household"],
        "needs": [{"kind": "food_parcel", "place_area": "UA80"}],
    }
    await world.post("/v1/requests", of_household, status=201)
    return done


async def pay(region: Region, need_id: str) -> None:
    """Pay what a need asks for, in payments alone."""
    row = await region.intake.need(UUID(need_id))
    async with region.intake.db.read() as conn:
        approved = await conn.fetchval(
            "SELECT payload FROM outbox WHERE headers ->> 'ce-type' = $1"
            " AND headers ->> 'ce-subject' = $2",
            NeedApprovedV1.type,
            need_id,
        )
        payee_ref = await conn.fetchval("SELECT payee_ref FROM need WHERE id = $1", UUID(need_id))
    assert approved is not None, row
    need = NeedApprovedV1.model_validate_json(approved)
    await region.payments.feed(confirmed(need))
    payout_id = await region.payments.value("SELECT id FROM payout WHERE payee_ref = $1", payee_ref)
    await region.payments.execute("UPDATE payout SET state = 'approved', approver = $1", uuid4())
    order = Step(payout_id, "bank-1")
    async with region.payments.db.transaction() as tx:
        await take_step(region.payments.office, tx, "settle", order, MAKER)


async def set_aside(database: Database, event: Event, subject: object) -> None:
    """A sealed event that could not be handled, as it lies there."""
    payload = event.model_dump_json().encode()
    letter = Letter(
        "x", uuid4(), f"private.kyiv.{event.type}", {"ce-subject": str(subject)}, payload
    )
    async with database.transaction() as tx:
        await inbox.set_aside(tx.conn, letter, "dead", "broken", None)


async def sealed_events(region: Region) -> tuple[ContactSealedV1, PayeeSealedV1]:
    """A card and payee details, of the need that is not paid, as intake published them."""
    async with region.intake.db.read() as conn:
        card, *payees = await conn.fetch(
            "SELECT payload FROM outbox WHERE stream = 'PRIVATE'"
            " ORDER BY headers ->> 'ce-type' = $1 DESC, seq",
            ContactSealedV1.type,
        )
    return (
        ContactSealedV1.model_validate_json(card["payload"]),
        PayeeSealedV1.model_validate_json(payees[-1]["payload"]),
    )


async def test_a_thief_of_everything_finds_nothing_of_the_erased(region: Region) -> None:
    await region.payments.purse(10_000_000)
    done = await register(region)
    needs = [each["need_id"] for each in done["needs"]]
    for need_id in needs:
        if await region.intake.state(UUID(need_id)) == "requested":
            body = {"override_reason": "both_are_needed"}
            await region.intake.post(f"/v1/needs/{need_id}:approve", body, Role.LEAD)
    card, payee = await sealed_events(region)
    await set_aside(region.messages.database, card, card.person_id)
    await set_aside(region.payments.db, payee, payee.payee_ref)
    await region.settle()
    await pay(region, needs[0])
    assert await region.readable() == set(CANARIES)

    receipt = await region.intake.post(f"/v1/persons/{done['person_id']}:erase", None, Role.LEAD)
    assert len(receipt["erased_household_ids"]) == 1
    # Intake's own database is clean at once, the others' when they have heard of it.
    own = await everything([region.intake.db], region.keys)
    assert not [plain for plain in own if b"anary" in plain]
    await region.settle()
    assert await region.readable() == {"paid"}

    # What comes late, or again, is not kept.
    await region.payments.feed(payee)
    await region.messages.take(card)
    await set_aside(region.payments.db, payee, payee.payee_ref)
    await region.payments.run(sweeps.forget_payees)
    assert await region.readable() == {"paid"}

    # On the legal date the record goes too.
    await region.payments.execute("UPDATE payout SET settled_on = settled_on - 366 * 6")
    await region.payments.run(sweeps.forget_payees)
    assert await region.readable() == set()


async def test_until_when_something_was_of_use_is_forgotten(region: Region) -> None:
    """The hour at which PEP ends tells when the exposure was."""
    until = datetime.now(UTC) + timedelta(hours=67)
    exposed_at = (until - timedelta(hours=72)).isoformat()
    need_id = await region.intake.request("pep_navigation", exposed_at=exposed_at)
    (ready,) = only(await region.intake.published(), NeedReadyUntilV1)
    await set_aside(region.messages.database, ready, ready.person_id)
    await region.settle()
    await region.messages.take(ready)
    tables = {"need", "outbox", "message", "dead_letter"}
    assert await telling(region, until) == tables
    person_id = (await region.intake.need(need_id))["person_id"]
    await region.intake.post(f"/v1/persons/{person_id}:erase", None, Role.LEAD)
    assert await telling(region, until) == tables - {"need", "outbox"}
    await region.settle()
    assert await telling(region, until) == set()


async def telling(region: Region, at: datetime) -> set[str]:
    """The tables of any service in which an instant stands, as a time or in a text."""
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    found = set()
    for database in region.databases:
        async with database.read() as conn:
            for table in await conn.fetch(TABLES):
                for row in await conn.fetch(f'SELECT * FROM "{table["relname"]}"'):  # noqa: S608
                    if any(
                        each == at
                        or (isinstance(each, str) and text in each)
                        or (isinstance(each, bytes) and text.encode() in each)
                        for each in row.values()
                    ):
                        found.add(table["relname"])
    return found


async def test_everyone_else_stays_readable(region: Region) -> None:
    done = await register(region)
    other = await region.intake.post(
        "/v1/requests",
        {
            "person": {"client_code": "other", "area": "UA80"},
            "needs": [{"kind": "food_parcel"}],
            "note": "another life",
        },
        status=201,
    )
    await region.settle()
    await region.intake.post(f"/v1/persons/{other['person_id']}:erase", None, Role.LEAD)
    await region.settle()
    assert await region.readable() == set(CANARIES)
    opened = await everything(region.databases, region.keys)
    assert not [plain for plain in opened if b"another life" in plain]
    shown = await region.intake.get(f"/v1/persons/{done['person_id']}")
    assert json.dumps(shown).count("CanaryChosen") == 1
