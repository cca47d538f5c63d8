"""A mail server that answers as a test has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from aidmesh_notification.channels import SmtpOutlet

SILENCE: Final = ""
"""An answer that never comes."""
PATIENT_MS: Final = 60_000
"""Longer than any machine is busy: for what must not run out."""
SHORT_MS: Final = 200
"""For what must."""


class Mailbox:
    """Enough of RFC 5321 to take mail.

    Attributes:
        answers: by command what it replies instead; None hangs up. `TEXT` is what follows DATA.
        mails: the texts as they were meant, without the dots that travel with them.
    """

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.conversations = 0
        self.answers: dict[str, str | None] = {}

    @asynccontextmanager
    async def listen(self, port: int = 0) -> AsyncIterator[int]:
        """Answer on this port, a free one for 0."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.conversations += 1
        writer.write(b"220 mailbox\r\n")
        try:
            while line := await reader.readline():
                verb = line.split()[0].decode().upper()
                reply = self.answers.get(verb, "250 fine")
                if verb == "DATA" and reply == "250 fine":
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(text[:-3].replace(b"\r\n..", b"\r\n."))
                    reply = self.answers.get("TEXT", "250 taken")
                if reply is None:
                    break
                if reply != SILENCE:
                    writer.write(reply.encode() + b"\r\n")
                    await writer.drain()
                if verb == "QUIT":
                    break
        finally:
            writer.close()


def outlet(
    port: int,
    *,
    offer_ms_max: int = PATIENT_MS,
    send_ms_max: int = PATIENT_MS,
    tls: Literal["starttls", "tls", "none"] = "none",
    user: str | None = None,
) -> SmtpOutlet:
    """Sends to the server on this port."""
    return SmtpOutlet(
        "127.0.0.1",
        port,
        tls,
        user,
        user,
        "reminder@post.example",
        connections_max=2,
        offer_ms_max=offer_ms_max,
        send_ms_max=send_ms_max,
    )
