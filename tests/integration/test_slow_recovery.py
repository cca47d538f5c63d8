"""A log is put back for as long as it takes: a start waits while it grows, and no longer."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
from nats.aio.client import Client

from aidmesh import tending
from aidmesh.credentials import seed_file
from aidmesh.embedded.errors import StartError
from aidmesh.mesh import running_mesh
from aidmesh.meshfile import RegionEntry
from aidmesh.tending import GATE_SECONDS_MAX
from aidmesh.topology import progress
from aidmesh.topology import recover as recovery
from aidmesh.topology.api import JetStreamApi, section
from aidmesh.topology.connections import connect_as
from aidmesh.topology.history import Published
from aidmesh.topology.rights import SUPERVISOR
from support.servers import KeysOf, keys_in

BATCHES = 4
HISTORY = """
    INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash,
                        status, ack_seq, stream_created, acked_at)
    SELECT id, 'LOCAL', 'local.kyiv.intake.need.ready.v1',
           jsonb_build_object('Nats-Msg-Id', id), '{}', 'hash',
           'acked', number, '2026-01-01', now()
    FROM (SELECT gen_random_uuid() AS id, number FROM generate_series(1, $1::int) AS number) AS made
"""


class Slow:
    """A server to which each batch takes nearly as long as a start waits, by the clock of a test.

    Attributes:
        sent: the ids of what was published.
        wants: what is done before a batch is published.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        self.wants: Callable[[], None] = lambda: None
        self._publish = recovery.publish_batch
        self._now_s = 0.0
        clock = SimpleNamespace(monotonic=lambda: self._now_s)
        monkeypatch.setattr(tending, "time", clock)
        monkeypatch.setattr(progress, "time", clock)
        monkeypatch.setattr(recovery, "publish_batch", self.publish)
        monkeypatch.setattr(recovery, "BATCH_MAX", 10)

    def passes(self, share: float) -> None:
        """Have a share of the bound pass."""
        self._now_s += share * GATE_SECONDS_MAX

    async def publish(self, client: Client, batch: Sequence[Published]) -> int:
        """As the real one, for as long as the clock says."""
        self.wants()
        last = await self._publish(client, batch)
        self.sent += [row.headers["Nats-Msg-Id"] for row in batch]
        return last


@pytest.fixture
async def keys(tmp_path: Path) -> KeysOf:
    """Of a region whose log lost a history of some batches."""
    found = keys_in(tmp_path / "keys")
    async with running_mesh(tmp_path / "data", ("kyiv",), found, services=()) as mesh:
        conn = await asyncpg.connect(mesh.file.regions["kyiv"].dsn("intake"))
        await conn.execute(HISTORY, BATCHES * 10)
        await conn.close()
    return found


async def test_a_start_waits_for_a_log_that_is_put_back_slowly_and_says_how_far_it_is(
    tmp_path: Path, keys: KeysOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    slow.wants = lambda: slow.passes(0.9)
    said: list[str] = []
    data = tmp_path / "data"
    async with running_mesh(data, None, keys, services=(), announce=said.append) as mesh:
        assert mesh.regions["kyiv"].warden.gate.is_open
        assert await of_the_history(mesh.file.regions["kyiv"]) == set(slow.sent)
    told = [line for line in said if "LOCAL" in line]
    assert told == [
        f"kyiv: LOCAL is put back from the databases, {events} of 40 events so far"
        for events in (0, 10, 20, 30, 40)
    ]
    assert (data / "mesh.log").read_text().count('"stream.recovering"') == len(told)


async def test_a_start_ends_when_nothing_is_put_back_any_more_and_the_next_one_goes_on(
    tmp_path: Path, keys: KeysOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)

    def stuck_half_way() -> None:
        if len(slow.sent) == 20:
            slow.passes(0.6)
            raise ConnectionResetError("by peer")

    slow.wants = stuck_half_way
    with pytest.raises(ExceptionGroup) as raised:
        async with running_mesh(tmp_path / "data", None, keys, services=()):
            pass
    (error,) = raised.value.exceptions
    assert isinstance(error, StartError)
    assert str(error) == (
        "kyiv: the gate stays closed, and nothing has moved for 120 s: LOCAL is put back from the "
        "databases, 20 of 40 events so far (at the last try: by peer)"
    )
    slow.wants = lambda: None
    async with running_mesh(tmp_path / "data", None, keys, services=()) as mesh:
        assert mesh.regions["kyiv"].warden.gate.is_open
    assert len(slow.sent) == len(set(slow.sent)) == BATCHES * 10, "nothing was published twice"


async def test_a_log_that_loses_what_was_put_back_is_begun_anew(
    tmp_path: Path, keys: KeysOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    publish = recovery.publish_batch
    spoilt: list[object] = []

    async def spoil(client: Client, batch: Sequence[Published]) -> int:
        if len(slow.sent) == 20 and not spoilt:
            api = JetStreamApi(client)
            state = section(await api.stream_info("LOCAL") or {}, "state")
            spoilt.append(await api.change("STREAM.MSG.DELETE.LOCAL", {"seq": state["last_seq"]}))
            raise ConnectionResetError
        return await publish(client, batch)

    monkeypatch.setattr(recovery, "publish_batch", spoil)
    async with running_mesh(tmp_path / "data", None, keys, services=()) as mesh:
        entry = mesh.file.regions["kyiv"]
        client = await connect_as(entry.nats.url, seed_file(entry.keys, SUPERVISOR))
        api = JetStreamApi(client)
        state = section(await api.stream_info("LOCAL") or {}, "state")
        first, last = int(str(state["first_seq"])), int(str(state["last_seq"]))
        there = [await api.message_id("LOCAL", seq) for seq in range(first, last + 1)]
        await client.close()
        assert sorted(map(str, there)) == sorted(await of_the_history(entry))


async def of_the_history(entry: RegionEntry) -> set[str]:
    conn = await asyncpg.connect(entry.dsn("intake"))
    rows = await conn.fetch("SELECT event_id::text AS id FROM outbox WHERE stream = 'LOCAL'")
    await conn.close()
    return {row["id"] for row in rows}
