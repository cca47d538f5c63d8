"""Answers relays that ask whether they may publish.

A relay asks `gate.<region>` at every connection. The answer is yes only after the region's logs
have been compared with what was acknowledged (see aidmesh.topology.recover), and only for the
connection over which that was done: when the server restarts the gate is closed again.
"""

import json
from collections.abc import Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg

from aidmesh.topology.api import JetStreamApi
from aidmesh_contracts.streams import GATE_SUBJECT, Stream

INBOXES = "_INBOX"
"""What every reply subject begins with that a service may listen to."""


class Gate:
    """The responder of one region. Call `close` when the connection breaks."""

    def __init__(self, client: Client, region: str, epoch: int) -> None:
        """Closed, until `open` is called. `epoch` is raised by every restore of the region."""
        self._client = client
        self._region = region
        self.epoch = epoch
        self._streams: Mapping[str, str] | None = None

    async def start(self) -> None:
        """Begin to answer."""
        await self._client.subscribe(GATE_SUBJECT.format(region=self._region), cb=self._answer)
        await self._client.flush()

    @property
    def is_open(self) -> bool:
        """Whether relays are told to publish."""
        return self._streams is not None

    async def open(self) -> None:
        """Tell relays from now on that they may publish, and when each stream was created."""
        self._streams = await stream_created(JetStreamApi(self._client))

    def close(self) -> None:
        """Tell relays from now on to wait."""
        self._streams = None

    async def _answer(self, message: Msg) -> None:
        if not message.reply.startswith(INBOXES):  # it would be said as the supervisor
            return
        answer = {"open": self.is_open, "epoch": self.epoch, "streams": self._streams or {}}
        await message.respond(json.dumps(answer).encode())


async def stream_created(api: JetStreamApi) -> dict[str, str]:
    """When each of the region's streams was created (RFC 3339): another time, another log."""
    created: dict[str, str] = {}
    for stream in Stream:
        info = await api.stream_info(stream.value)
        if info is not None:
            created[stream.value] = str(info["created"])
    return created
