"""The raw JetStream API.

Configurations travel as the JSON the server sent: a client library's classes drop fields that
they don't know, and writing such a copy back would reset them.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

from nats.aio.client import Client
from nats.errors import NoRespondersError

from aidmesh.topology.administering import administrator_of, on_behalf
from aidmesh.topology.rights import CHANGES

REQUEST_SECONDS_MAX = 5.0
RESTORE_SECONDS_MAX = 30.0
NOT_FOUND = 404
MESSAGE_ID = "Nats-Msg-Id"

Json = dict[str, object]


class ApiError(Exception):
    """The server refused a request; `code` is like an HTTP status."""

    def __init__(self, subject: str, code: int, description: str) -> None:
        super().__init__(f"{subject}: {description} ({code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class JetStreamApi:
    """Requests to the server that `client` is connected to, as a user who may make them.

    `seconds_max` is how long an answer may take: whoever looks is told soon that there is none,
    whoever restores a region, where little else answers in time, waits longer. To change something
    the client has to be a supervisor's; `administrator` is what that takes, see `administering`.
    """

    client: Client
    seconds_max: float = REQUEST_SECONDS_MAX
    administrator: Client | None = None

    @asynccontextmanager
    async def administering(self) -> AsyncIterator["JetStreamApi"]:
        """For several changes over one connection; without it each makes its own.

        Raises OSError, TimeoutError or nats.errors.Error when no server answers.
        """
        if self.administrator is not None:
            yield self
            return
        async with administrator_of(self.client) as administrator:
            yield replace(self, administrator=administrator)

    async def request(self, operation: str, body: Json | None = None) -> Json:
        """Ask `$JS.API.<operation>`, which changes nothing.

        Raises ApiError when refused, nats.errors.Error or TimeoutError when there is no answer.
        """
        return await self._ask(self.client, "$JS.API", operation, body)

    async def change(self, operation: str, body: Json | None = None) -> Json:
        """Ask for something that changes a stream or a durable; as `request` and `administering`.

        A server that was started with a configuration of before takes it in the region's account.
        """
        async with self.administering() as api:
            client = cast("Client", api.administrator)
            try:
                return await self._ask(client, CHANGES, operation, body, on_behalf(client))
            except NoRespondersError:
                return await self.request(operation, body)

    async def _ask(
        self,
        client: Client,
        prefix: str,
        operation: str,
        body: Json | None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        payload = b"" if body is None else json.dumps(body).encode()
        reply = await client.request(
            f"{prefix}.{operation}",
            payload,
            timeout=self.seconds_max,
            headers=None if headers is None else dict(headers),
        )
        answer = cast("Json", json.loads(reply.data))
        error = answer.get("error")
        if error is not None:
            details = cast("dict[str, object]", error)
            raise ApiError(
                operation, int(str(details.get("code", 0))), str(details.get("description", ""))
            )
        return answer

    async def stream_info(self, stream: str) -> Json | None:
        """Configuration, creation time and state of a stream; None when there is none."""
        return await self._found(f"STREAM.INFO.{stream}")

    async def consumer_info(self, stream: str, durable: str) -> Json | None:
        """Configuration and state of a durable; None when there is none."""
        return await self._found(f"CONSUMER.INFO.{stream}.{durable}")

    async def message_id(self, stream: str, seq: int) -> str | None:
        """The id under which the message at this sequence was published; None when none is there.

        A message without an id gives an empty text.
        """
        try:
            answer = await self.request(f"STREAM.MSG.GET.{stream}", {"seq": seq})
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        headers = base64.b64decode(str(section(answer, "message").get("hdrs") or "")).decode()
        for line in headers.splitlines():
            name, _, value = line.partition(":")
            if name == MESSAGE_ID:
                return value.strip()
        return ""

    async def create_stream(self, config: Json) -> Json:
        """Create a stream; a stream of that name with another configuration is refused."""
        return await self.change(f"STREAM.CREATE.{config['name']}", config)

    async def update_stream(self, config: Json) -> Json:
        """Replace a stream's configuration by this, complete, one."""
        return await self.change(f"STREAM.UPDATE.{config['name']}", config)

    async def delete_stream(self, stream: str) -> None:
        """Delete a stream with its messages and consumers."""
        await self.change(f"STREAM.DELETE.{stream}")

    async def put_consumer(self, stream: str, config: Json, *, action: str) -> Json:
        """Create or update a durable (`action` is "create" or "update"), nothing else."""
        return await self.change(
            f"CONSUMER.CREATE.{stream}.{config['durable_name']}",
            {"stream_name": stream, "config": config, "action": action},
        )

    async def delete_consumer(self, stream: str, durable: str) -> None:
        """Delete a durable."""
        await self.change(f"CONSUMER.DELETE.{stream}.{durable}")

    async def names(self, operation: str, key: str) -> list[str]:
        """All names of a paged listing, such as ("STREAM.NAMES", "streams")."""
        found: list[str] = []
        while True:
            page = await self.request(operation, {"offset": len(found)})
            names = cast("list[str] | None", page.get(key)) or []
            found += names
            if not names or len(found) >= int(str(page.get("total", 0))):
                return found

    async def consumers(self, stream: str) -> list[Json]:
        """What `consumer_info` says, of all that a stream has."""
        found: list[Json] = []
        while True:
            page = await self.request(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
            infos = cast("list[Json] | None", page.get("consumers")) or []
            found += infos
            if not infos or len(found) >= int(str(page.get("total", 0))):
                return found

    async def _found(self, operation: str) -> Json | None:
        try:
            return await self.request(operation)
        except ApiError as error:
            if error.code == NOT_FOUND:
                return None
            raise


def section(answer: Json, name: str) -> Json:
    """A nested object of an answer; empty when absent."""
    return cast("Json", answer.get(name) or {})
