"""What a lost region says too late is set aside, in one transaction with what is not."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from aidmesh_chassis import conflicts, handoff, inbox, peer_keys, standings
from aidmesh_chassis.consuming import Inlet
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.outbox import Origin, row_of
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.standings import Follower
from aidmesh_contracts.base import Event
from aidmesh_contracts.intake import HandoffTakenV1, KeyChangedV1
from aidmesh_contracts.payments_regions import RegionChangedV1
from support.servers import DatabaseFactory, NatsRegion
from support.services import relaying
from support.waiting import eventually

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Wire:
    """A message of another region, as the server would bring it."""

    def __init__(self, event: Event, region: str, epoch: int = 1, at: datetime = NOW) -> None:
        row = row_of(
            event,
            Origin(region, event.producer(), epoch),
            at,
            cause=None,
            event_id=new_event_id(),
            version=None,
        )
        self.subject = row.subject
        self.headers: dict[str, str] | None = json.loads(row.headers)
        self.data = row.payload
        self.settled = ""

    async def ack(self) -> None:
        self.settled = "ack"

    async def nak(self, delay: float | None = None) -> None:
        self.settled = "nak"

    async def term(self) -> None:
        self.settled = "term"

    async def in_progress(self) -> None:
        pass


def key(number: int) -> KeyChangedV1:
    return KeyChangedV1(purpose="seal", public="eA==", version=number)


def stands(region: str, standing: str, epoch: int, since: datetime = NOW) -> RegionChangedV1:
    return RegionChangedV1.model_validate(
        {"region": region, "standing": standing, "epoch": epoch, "since": since}
    )


class Service:
    """Takes in keys, and notes their versions in the order they had effect."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.taken: list[int] = []
        self.inlet = Inlet(
            database, "intake-world", {KeyChangedV1: self._note, RegionChangedV1: Follower()}
        )

    async def _note(self, tx: Tx, batch: Sequence[Received[KeyChangedV1]]) -> None:
        self.taken += [item.event.version for item in batch]

    async def take(self, *messages: Wire) -> None:
        await self.inlet.take(messages)
        assert {message.settled for message in messages} == {"ack"}

    async def take_parked(self) -> int:
        """Try letters until none is due; returns how many were."""
        tried = 0
        while letters := await self.inlet.take_parked():
            tried += letters
        return tried

    async def kept(self) -> list[int]:
        """Of which epochs contents are kept with conflicts."""
        async with self.database.read() as conn:
            rows = await conn.fetch(
                "SELECT epoch FROM conflict WHERE payload IS NOT NULL ORDER BY epoch"
            )
        return [row["epoch"] for row in rows]

    async def conflicts(self) -> list[tuple[str, int]]:
        async with self.database.read() as conn:
            rows = await conflicts.listed(conn, None, 100)
        return [(row["region"], row["epoch"]) for row in rows]


@pytest.fixture
async def service(database: DatabaseFactory) -> Service:
    opened = Database(await database("intake"), Origin("kyiv", "intake"))
    await opened.open()
    return Service(opened)


async def test_a_fence_stands_before_or_after_a_batch(service: Service) -> None:
    await service.take(Wire(key(1), "odesa"), Wire(key(2), "lviv"))
    again = Wire(key(3), "odesa")
    await service.take(again)
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"), Wire(key(4), "lviv"))
    late = Wire(key(5), "odesa")
    await service.take(late, Wire(key(6), "lviv"))
    await service.take(late, again)  # known already, the one way and the other
    assert service.taken == [1, 2, 3, 4, 6]
    assert await service.conflicts() == [("odesa", 1)]

    await service.take(Wire(stands("odesa", "member", 2), "lviv"))
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))  # it comes late and is known
    await service.take(Wire(key(7), "odesa", epoch=1), Wire(key(8), "odesa", epoch=2))
    assert service.taken[-1] == 8
    assert 7 not in service.taken
    assert await service.conflicts() == [("odesa", 1), ("odesa", 1)]
    async with service.database.transaction() as tx:
        [first, _] = await conflicts.listed(tx.conn, None, 100)
        assert await conflicts.close(tx.conn, first["event_id"], "seen", UUID(int=1))
        assert not await conflicts.close(tx.conn, first["event_id"], "seen", UUID(int=1))
        assert await conflicts.count_open(tx.conn, ["odesa"]) == 1
        assert await standings.epoch_of(tx.conn, "odesa") == 2
    await service.database.close()


async def test_what_is_said_before_it_is_heard_that_it_counts_is_taken_up_then(
    service: Service,
) -> None:
    """A region that has rejoined is heard over one link before those who let it in over another."""
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    early = [Wire(key(number), "odesa", epoch=2) for number in (1, 2, 3)]
    await service.take(*early, Wire(key(4), "odesa", epoch=1))
    await service.take(*early)
    assert sorted(await service.conflicts()) == [("odesa", 1)] + [("odesa", 2)] * 3
    async with service.database.transaction() as tx:
        first = UUID((early[0].headers or {})["ce-id"])
        assert await conflicts.close(tx.conn, first, "seen to", UUID(int=1))
    assert await service.take_parked() == 0
    assert service.taken == []

    await service.take(Wire(stands("odesa", "member", 2), "lviv"), Wire(key(5), "odesa", epoch=2))
    # What came in the same batch came before the news.
    assert await service.take_parked() == 4
    assert service.taken == [1, 2, 3, 5]
    assert await service.conflicts() == [("odesa", 1)]
    async with service.database.read() as conn:
        letters = await conn.fetch("SELECT status, note, decided_by FROM dead_letter ORDER BY id")
    assert {each["status"] for each in letters} == {"done"}
    assert [(each["note"], each["decided_by"]) for each in letters] == [
        ("seen to", str(UUID(int=1))),
        *[(None, None)] * 3,
    ]

    await service.take(*early)  # WORLD was made anew
    assert await service.take_parked() == 0
    assert service.taken == [1, 2, 3, 5]
    await service.database.close()


async def test_a_state_that_is_taken_up_after_a_newer_one_changes_nothing(
    service: Service,
) -> None:
    database = service.database
    inlet = Inlet(
        database, "intake-world", {KeyChangedV1: peer_keys.know, RegionChangedV1: Follower()}
    )
    publics = {number: bytes([number]) * 32 for number in (1, 2)}
    older, newer = (
        KeyChangedV1(purpose="seal", public=base64.b64encode(public).decode(), version=number)
        for number, public in publics.items()
    )
    await inlet.take([Wire(stands("odesa", "lost", 1), "lviv")])
    await inlet.take([Wire(older, "odesa", epoch=2)])
    await inlet.take([Wire(stands("odesa", "member", 2), "lviv")])
    await inlet.take([Wire(newer, "odesa", epoch=2)])
    assert await inlet.take_parked() == 1
    async with database.read() as conn:
        assert await peer_keys.public_of(conn, "odesa", "seal") == publics[2]
        assert await inbox.open_letters(conn) == {}
    await database.close()


async def test_of_a_region_that_nobody_has_let_in_nothing_is_tried(service: Service) -> None:
    """It was restored while it was held for lost: its epoch is higher, and it is let in above."""
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(key(1), "odesa", epoch=2), Wire(key(2), "odesa", epoch=1))
    assert await service.kept() == [2]
    async with service.database.read() as conn:
        assert await inbox.open_letters(conn) == {}
        rows = await conflicts.listed(conn, None, 10)
    assert {row["epoch"]: row["may_count"] for row in rows} == {1: False, 2: True}

    await service.take(Wire(stands("odesa", "member", 3), "lviv"))
    assert await service.take_parked() == 0
    assert service.taken == []
    assert await service.kept() == []
    assert len(await service.conflicts()) == 2
    await service.database.close()


async def test_what_was_fenced_before_it_was_heard_to_count_never_does(service: Service) -> None:
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(key(2), "odesa", epoch=2), Wire(key(3), "odesa", epoch=3))
    await service.take(Wire(stands("odesa", "lost", 2), "lviv"))
    assert await service.kept() == [3]
    await service.take(Wire(stands("odesa", "member", 2), "lviv"))  # what it takes back comes late
    assert await service.take_parked() == 0
    await service.take(Wire(stands("odesa", "member", 3), "lviv"))
    assert await service.take_parked() == 1
    assert service.taken == [3]
    assert await service.conflicts() == [("odesa", 2)]
    await service.database.close()


async def test_what_is_taken_up_after_the_region_was_lost_again_is_a_conflict_again(
    service: Service,
) -> None:
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(key(1), "odesa", epoch=2))
    await service.take(Wire(stands("odesa", "member", 2), "lviv"))
    await service.take(Wire(stands("odesa", "lost", 2), "lviv"))
    assert await service.take_parked() == 1
    assert service.taken == []
    assert await service.conflicts() == [("odesa", 2)]
    assert await service.kept() == []
    await service.database.close()


async def test_what_was_noted_of_it_stays_where_it_had_a_letter_before(service: Service) -> None:
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(key(1), "odesa", epoch=2))
    async with service.database.transaction() as tx:
        event_id = await tx.conn.fetchval(
            """
            INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason)
            SELECT durable, event_id, subject, headers, payload, 'done', 'KeyError' FROM conflict
            RETURNING event_id
            """
        )
        assert await conflicts.close(tx.conn, event_id, "asked them", UUID(int=1))
    await service.take(Wire(stands("odesa", "member", 2), "lviv"))
    assert await service.take_parked() == 1
    async with service.database.read() as conn:
        letters = await conn.fetch("SELECT status, note, decided_by FROM dead_letter")
    assert [tuple(each) for each in letters] == [("done", "asked them", str(UUID(int=1)))]
    await service.database.close()


async def test_of_one_region_that_is_let_in_nothing_of_another_is_taken_up(
    service: Service,
) -> None:
    for region in ("odesa", "lviv"):
        await service.take(Wire(stands(region, "lost", 1), "dnipro"))
        await service.take(Wire(key(1), region, epoch=2))
    await service.take(Wire(stands("odesa", "member", 2), "dnipro"))
    assert await service.take_parked() == 1
    assert await service.conflicts() == [("lviv", 2)]
    await service.database.close()


async def test_to_a_service_that_is_younger_what_happened_before_is_history(
    service: Service,
) -> None:
    await service.take(Wire(stands("odesa", "lost", 1, since=LONG_AGO), "lviv"))
    before = datetime(2019, 1, 1, tzinfo=UTC)
    await service.take(Wire(key(1), "odesa", at=before), Wire(key(2), "odesa", at=NOW))
    assert service.taken == [1]
    await service.database.close()


async def test_a_fenced_region_moves_no_fence(service: Service) -> None:
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(stands("lviv", "lost", 1), "odesa"))
    await service.take(Wire(key(1), "lviv"))
    assert service.taken == [1]
    await service.database.close()


async def test_what_waits_for_a_region_that_is_gone_is_over(service: Service) -> None:
    async with service.database.transaction() as tx:
        tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=1)), "odesa")
        tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=2)), "lviv")
    await service.take(Wire(stands("odesa", "retired", 1), "odesa"))
    async with service.database.transaction() as tx:
        assert [each.region for each in await handoff.waiting(tx.conn)] == ["lviv"]
        with pytest.raises(Problem):
            await standings.check(tx.conn, "odesa")
        await standings.check(tx.conn, "lviv")
    await service.take(Wire(key(1), "odesa"))  # it retired in order: what is late is no conflict
    assert service.taken == [1]
    await service.database.close()


async def test_what_was_said_in_vain_is_said_again_once_in_the_new_epoch(service: Service) -> None:
    database = service.database
    async with database.transaction() as tx:
        for number in (1, 2, 3):
            tx.emit(key(number))
        assert await standings.tell_again(tx, ()) == 0  # nobody held this region for lost
    await service.take(Wire(stands("kyiv", "member", 2), "lviv"))
    database.origin.epoch = 2
    for expected in (2, 1, 0, 0):
        async with database.transaction() as tx:
            assert await standings.tell_again(tx, (), limit=2) == expected
    async with database.read() as conn:
        rows = await conn.fetch(
            "SELECT event_id::text AS id, headers::json ->> 'ce-id' AS ce,"
            " headers::json ->> 'Nats-Msg-Id' AS msg, headers::json ->> 'aid-epoch' AS epoch,"
            " payload FROM outbox ORDER BY seq"
        )
    first, again = rows[:3], rows[3:]
    assert [each["epoch"] for each in rows] == ["1"] * 3 + ["2"] * 3
    assert all(each["id"] == each["ce"] == each["msg"] for each in again)
    assert len({each["id"] for each in rows}) == 6
    assert [each["payload"] for each in again] == [each["payload"] for each in first]
    await database.close()


async def handoffs(database: Database) -> list[asyncpg.Record]:
    """What was handed over, in the order in which it is due."""
    async with database.read() as conn:
        return await conn.fetch(
            """
            SELECT event_id::text AS id, headers::json ->> 'ce-id' AS ce,
                   headers::json ->> 'Nats-Msg-Id' AS msg, (headers ->> 'aid-epoch')::int AS epoch,
                   status, payload, payload_hash, created_at
            FROM handoff ORDER BY status = 'waiting', next_at, event_id
            """
        )


async def test_what_was_handed_over_in_vain_is_handed_over_anew_once_in_the_new_epoch(
    service: Service,
) -> None:
    database = service.database
    for number in (1, 2, 3):
        async with database.transaction() as tx:
            tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=number)), "lviv")
    first = await handoffs(database)
    await service.take(Wire(stands("kyiv", "member", 2), "lviv"))
    database.origin.epoch = 2
    async with database.transaction() as tx:
        tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=4)), "lviv")  # it counts as it is
    for expected in (2, 1, 0, 0):
        async with database.transaction() as tx:
            assert await standings.tell_again(tx, (), limit=2) == expected
    old, waiting = (await handoffs(database))[:3], (await handoffs(database))[3:]
    assert {(each["status"], each["epoch"], each["payload"]) for each in old} == {
        ("ended", 1, None)
    }
    assert {each["id"] for each in old} == {each["id"] for each in first}
    assert [each["epoch"] for each in waiting] == [2] * 4
    assert len({each["id"] for each in [*old, *waiting]}) == 7
    assert all(each["id"] == each["ce"] == each["msg"] for each in waiting)
    content = ("payload", "payload_hash", "created_at")  # and so in their order
    assert [[each[name] for name in content] for each in waiting[:3]] == [
        [each[name] for name in content] for each in first
    ]
    await database.close()


async def test_nothing_is_handed_over_anew_that_is_answered_or_is_not_to_be_said(
    service: Service,
) -> None:
    database = service.database
    async with database.transaction() as tx:
        for number, region in ((1, "lviv"), (2, "lviv"), (3, "odesa")):
            tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=number)), region)
        tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=4)), "lviv", awaits_answer=False)
    settled = await handoffs(database)
    async with database.transaction() as tx:
        await handoff.withdraw(tx.conn, [UUID(int=1)])
        await tx.conn.execute(
            "UPDATE handoff SET status = 'settled', settled_at = now()"
            " WHERE headers ->> 'ce-subject' = $1",
            str(UUID(int=2)),
        )
    await service.take(Wire(stands("odesa", "lost", 1), "lviv"))
    await service.take(Wire(stands("kyiv", "member", 2), "lviv"))
    database.origin.epoch = 2
    async with database.transaction() as tx:
        assert await standings.tell_again(tx, ()) == 0
    left = await handoffs(database)
    assert {each["id"] for each in left} == {each["id"] for each in settled}
    assert sorted(each["status"] for each in left) == ["ended", "settled", "waiting", "withdrawn"]
    await database.close()


async def test_what_a_restored_region_is_handed_over_again_is_of_the_new_epoch(
    service: Service,
) -> None:
    database = service.database
    async with database.transaction() as tx:
        tx.hand_over(HandoffTakenV1(handoff_id=UUID(int=1)), "lviv")
        await tx.flush()
        await tx.conn.execute("UPDATE handoff SET status = 'settled', settled_at = now()")
    await service.take(Wire(stands("kyiv", "member", 2), "lviv"))
    database.origin.epoch = 2
    async with database.transaction() as tx:
        assert await standings.tell_again(tx, ()) == 0
    await service.take(Wire(key(1), "lviv", epoch=2))  # it may have forgotten what it answered
    async with database.transaction() as tx:
        assert await standings.tell_again(tx, ()) == 1
    assert [(each["status"], each["epoch"]) for each in await handoffs(database)] == [
        ("ended", 1),
        ("waiting", 2),
    ]
    await database.close()


async def epochs_written(database: Database) -> list[int]:
    async with database.read() as conn:
        rows = await conn.fetch(
            "SELECT (headers ->> 'aid-epoch')::int AS epoch FROM outbox ORDER BY seq"
        )
    return [row["epoch"] for row in rows]


async def test_what_an_open_transaction_says_in_an_epoch_that_is_over_is_said_again_too(
    service: Service,
) -> None:
    database = service.database
    await service.take(Wire(stands("kyiv", "member", 2), "lviv"))
    async with database.transaction() as late:
        late.emit(key(1))
        database.origin.epoch = 2
        async with database.transaction() as tx:
            tx.emit(key(2))
        for _ in range(2):
            async with database.transaction() as tx:
                assert await standings.tell_again(tx, ()) == 0
    async with database.transaction() as tx:
        assert await standings.tell_again(tx, ()) == 1
    assert sorted(await epochs_written(database)) == [1, 2, 2]
    await database.close()


async def test_a_service_that_starts_anew_knows_its_epoch_before_the_gate_tells_it(
    nats_region: NatsRegion, database: DatabaseFactory
) -> None:
    dsn = await database("intake")
    before = Database(dsn, Origin("kyiv", "intake"))
    await before.open()
    nats_region.warden.gate.epoch = 3
    async with relaying("intake", nats_region, before) as relay:
        await eventually(lambda: relay.is_open)
    await before.close()

    anew = Database(dsn, Origin("kyiv", "intake"))
    await anew.open()
    async with anew.transaction() as tx:
        tx.emit(key(1))
    assert await epochs_written(anew) == [3]
    await anew.close()
