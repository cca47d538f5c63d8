"""A client of NATS that forgets no connection, and reads and writes headers fast."""

import re
from collections.abc import Callable, Mapping

from nats.aio.client import Client as NatsClient
from nats.protocol.command import hpub_cmd

_BLANKS = " \t\n\r\v\f"  # of bytes; text has more of them

_PLAIN = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [!-~](?:[ -~]*[!-~])?\r\n)+")
"""Headers with nothing about them that nats-py would strip, replace or refuse."""


class Client(NatsClient):
    """Lets go of a connection whose handshake failed; reads and writes headers fast.

    nats-py opens the next connection in its place and forgets it, when it connects anew and when it
    is not to: a server that dies or stands still while it is dialed leaves a socket open each time.
    """

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            if self._transport is not None:
                close: Callable[[], object] = self._transport.close  # without types of its own
                close()
            raise

    async def _send_publish(
        self,
        subject: str,
        reply: str,
        payload: bytes,
        payload_size: int,
        headers: dict[str, str] | None,
    ) -> None:
        """Send a message; headers that nothing is amiss with are written in one go.

        nats-py matches, strips and encodes each of them by itself, which for the 16 of an event
        takes four times as long, and was 7 % of what a region's services compute under load.
        """
        block = written(headers) if subject and headers else None
        if block is None:
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        await self._send_command(hpub_cmd(subject, reply, block, payload))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Read `Name: value` lines as nats-py does, in a fifth of its time.

        That one looks at each character of each name, in Python: 35 us for the 14 headers of an
        event, which were 7 % of what a region's services compute under load. Lines without a
        colon, and names that cannot be (blanks inside, not ASCII), are left out here too.
        """
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            name = name.strip(_BLANKS)
            if colon and name.isascii() and name.split() == [name]:
                headers[name] = value.strip(_BLANKS)
        return headers


def written(headers: Mapping[str, str]) -> bytes | None:
    """Headers as they go over the wire.

    Returns:
        None where a line would end early, and where there is something to strip or to refuse.
    """
    block = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if block.count("\n") != len(headers) or _PLAIN.fullmatch(block) is None:
        return None
    return f"NATS/1.0\r\n{block}\r\n".encode()
