"""How `aidmesh verify` reads streams and logs: frames, closed connections, planted values."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from aidmesh.quiet import RegionProbe
from aidmesh.verification import streams
from aidmesh.verification import wire as wire_module
from aidmesh.verification.privacy import Canaries, logs_are_clean, logs_in
from aidmesh.verification.wire import Frame, Wire, WireError, parse
from aidmesh_contracts.streams import Stream

words = st.text(st.sampled_from("аbє ґ+'\"\\/7"), min_size=1, max_size=6)


def wire_form(frame: Frame, *, new: bool) -> bytes:
    account = "kyiv.HASH." if new else ""
    reply = f"$JS.ACK.{account}LOCAL.c1.1.{frame.seq}.1.1700000000000000000.0"
    sizes = f"{len(frame.head)} {len(frame.head) + len(frame.body)}"
    line = f"HMSG {frame.subject} 1 {reply} {sizes}\r\n".encode()
    return line + frame.head + frame.body + b"\r\n"


frames_of_any_size = st.lists(
    st.builds(
        Frame,
        st.integers(1, 10**9),
        st.just("local.kyiv.intake.need.ready.v1"),
        st.just(b"NATS/1.0\r\nce-id: x\r\n\r\n"),
        st.binary(max_size=40) | st.just(b"HMSG \r\nPING\r\n"),
    ),
    max_size=6,
)


@given(frames_of_any_size, st.booleans(), st.data())
def test_frames_are_the_same_however_they_are_cut(
    frames: list[Frame], new: bool, data: st.DataObject
) -> None:
    sent = b"PING\r\n".join(wire_form(frame, new=new) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    found: list[Frame] = []
    controls: list[bytes] = []
    rest = b""
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        rest += sent[start:end]
        came, lines, used = parse(rest)
        found += came
        controls += lines
        rest = rest[used:]

    assert found == frames
    assert controls == [b"PING"] * max(0, len(frames) - 1)
    assert rest == b""


class Conversation:
    """A server that answers each request for messages with what comes next."""

    def __init__(self, *answers: bytes, then: bytes = b"") -> None:
        self.answers = list(answers)
        self.then = then
        self.asked = 0
        self.coming: list[bytes] = []

    async def read(self, _: int) -> bytes:
        await asyncio.sleep(0)
        return self.coming.pop(0) if self.coming else self.then

    def write(self, data: bytes) -> None:
        if b"MSG.NEXT" in data:
            self.asked += 1
            self.coming += [self.answers.pop(0)] if self.answers else []

    async def drain(self) -> None: ...

    def jsm(self, *, timeout: float) -> "Conversation":
        assert timeout
        return self

    async def add_consumer(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(name="c1", num_pending=3)

    async def frames(self) -> list[Frame]:
        """All that is read of it."""
        wire = Wire(cast("asyncio.StreamReader", self), cast("asyncio.StreamWriter", self))
        came = wire.read(cast("Client", self), "LOCAL", 0, headers_only=True)
        return [frame async for frames in came for frame in frames]


def status(words: str) -> bytes:
    head = f"NATS/1.0 {words}\r\n\r\n".encode()
    return f"HMSG _INBOX.verify.x 1 {len(head)} {len(head)}\r\n".encode() + head + b"\r\n"


async def test_who_is_not_heard_asks_again_and_reads_each_message_once() -> None:
    three = [Frame(seq, "local.x", b"NATS/1.0\r\n\r\n", b"{}") for seq in (1, 2, 3)]
    first, second, third = (wire_form(frame, new=False) for frame in three)
    server = Conversation(
        status("503"), first + status("408 Request Timeout"), second + third, then=b"PING\r\n"
    )
    assert await server.frames() == three
    assert server.asked == 3


class Cut:
    """A region's server that holds three events, and closes connections after one message."""

    def __init__(self, times: int) -> None:
        self.times = times

    @asynccontextmanager
    async def wired(self, _: object) -> AsyncIterator["Cut"]:
        yield self

    async def read(
        self, _: object, stream: str, after_seq: int, *, headers_only: bool
    ) -> AsyncIterator[list[Frame]]:
        """What comes until it is cut."""
        assert headers_only
        for seq in range(after_seq + 1, 4 if stream == Stream.EVENTS else 0):
            head = f"NATS/1.0\r\nce-id: {UUID(int=seq)}\r\n\r\n".encode()
            yield [Frame(seq, "aid.x", head, b"")]
            if self.times:
                self.times -= 1
                raise WireError("the server closed the connection")


async def test_a_reader_whose_connection_was_closed_reads_on_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe = cast("RegionProbe", SimpleNamespace(entry=None, client=None))
    monkeypatch.setattr(streams, "wired", Cut(2).wired)
    reads = await streams.read_streams(probe, None, world_is_a_copy=False)
    assert reads[Stream.EVENTS].ids == [str(UUID(int=seq)) for seq in (1, 2, 3)]

    monkeypatch.setattr(streams, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(streams, "wired", Cut(2).wired)
    with pytest.raises(WireError):
        await streams.read_streams(probe, None, world_is_a_copy=False)


async def test_pings_alone_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "READ_S_MAX", 0.3)
    with pytest.raises(TimeoutError):
        await Conversation(then=b"PING\r\n").frames()


def test_a_status_is_no_message() -> None:
    head = b"NATS/1.0 409 Consumer Deleted\r\n\r\n"
    line = f"HMSG _INBOX.verify.x 1 {len(head)} {len(head)}\r\n".encode()

    with pytest.raises(WireError, match="Consumer Deleted"):
        parse(line + head + b"\r\n")


@given(st.lists(words, min_size=1, max_size=8), st.binary(max_size=20), words)
def test_a_planted_value_is_found_in_each_form(
    values: list[str], before: bytes, other: str
) -> None:
    canaries = Canaries(values)

    for value in values:
        for form in (value, json.dumps(value)[1:-1], quote(value, safe="")):
            assert canaries.are_in(before + form.encode() + b"!")
    shown = other.encode()
    forms = [f for v in values for f in (v, json.dumps(v)[1:-1], quote(v, safe=""))]
    assert canaries.are_in(shown) == any(form.encode() in shown for form in forms)


def test_logs_of_servers_are_linked_in(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "log").mkdir(parents=True)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "postgres").symlink_to("../postgres/log")
    (tmp_path / "postgres" / "log" / "postgres-Mon.log").write_text("x" * 100 + "Kanarka-7")

    outcome = logs_are_clean("kyiv.logs", logs_in(tmp_path / "log"), Canaries(["Kanarka-7"]))

    assert not outcome.ok
    assert "postgres-Mon.log" in outcome.detail
