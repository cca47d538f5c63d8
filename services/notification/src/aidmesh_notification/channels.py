"""Ways out: each takes one message for one address, and says clearly when it did not.

A channel raises `NotSent` only when the message certainly did not leave. Anything else that
goes wrong leaves that open, and the sender treats it as `unknown`.
"""

import asyncio
import json
import os
from asyncio import LifoQueue, QueueEmpty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

import aiosmtplib

from aidmesh_chassis.privacy import PersonalText
from aidmesh_notification.config import Settings
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.texts import Rendered


class NotSent(Exception):
    """The message did not leave. `lasting` when trying again would end the same way."""

    def __init__(self, *, lasting: bool) -> None:
        super().__init__("not sent")
        self.lasting = lasting


class Interrupted(NotSent):
    """The channel was lost before it took or refused the message: no word about the message.

    Attributes:
        cause: what went wrong, without the text of any error: that may repeat the address.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(lasting=False)
        self.cause = cause


class Unreachable(Interrupted):
    """The channel is away or takes nothing from us: no other message would leave either."""


class Outlet(Protocol):
    """What the sender needs of a channel."""

    @property
    def concurrency(self) -> int:
        """How many messages it takes at once."""

    async def send(
        self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
    ) -> None:
        """Send one message, marked with the id of its way, by which a gateway reports on it.

        Its own id follows from the need that it speaks of, so it never leaves this machine.

        It ends within a time of its own: only the channel knows, when that is over, whether the
        message was given away by then.

        Raises:
            NotSent: it certainly did not leave.
        """

    async def close(self) -> None:
        """Let go of connections and files."""


class FileOutlet:
    """Appends each message as a JSON line to a file: the telephone of demonstrations and tests.

    The file holds addresses and texts, so only its owner may read it. Each message has its own id
    in it, too: by that it is seen that nothing leaves twice.
    """

    concurrency = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    async def send(
        self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
    ) -> None:
        """Append the message.

        Raises:
            Unreachable: the file can't be opened, or the disk is full.
        """
        line = json.dumps(
            {
                "message_id": str(message_id),
                "post_id": str(post_id),
                "sent_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "address": address.reveal(),
                "subject": message.subject,
                "text": message.text,
            },
            ensure_ascii=False,
        )
        data = line.encode() + b"\n"
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.fchmod(self._file, 0o600)
            written = os.write(self._file, data)
        except OSError as error:
            raise Unreachable(type(error).__name__) from None
        if written != len(data):
            raise OSError("the line was cut short")

    async def close(self) -> None:
        """Close the file; the next message opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class SmtpOutlet:
    """Mail by SMTP (RFC 5321) with a neutral sender, over a few connections that are kept.

    Args:
        sender: the From address; it must say as little as the text does.
        offer_ms_max: for all that comes before the text: connecting, naming sender and recipient.
        send_ms_max: for the text, until the server says that it has it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: Literal["starttls", "tls", "none"],
        user: str | None,
        password: str | None,
        sender: str,
        *,
        connections_max: int,
        offer_ms_max: int,
        send_ms_max: int,
    ) -> None:
        self.concurrency = connections_max
        self._host = host
        self._port = port
        self._tls = tls
        self._user = user
        self._password = password
        self._sender = sender
        self._offer_s_max = offer_ms_max / 1000
        self._send_s_max = send_ms_max / 1000
        self._idle: LifoQueue[aiosmtplib.SMTP] = LifoQueue()

    async def send(
        self, message_id: UUID, post_id: UUID, address: PersonalText, message: Rendered
    ) -> None:
        """Send a mail of plain text.

        Raises:
            Unreachable: the server is away, silent, or wants nothing of us.
            Interrupted: it was lost later on, and did not get the text.
            NotSent: it refused this mail.
        """
        recipient = address.reveal()
        data = _as_data(self._mail(post_id, recipient, message))
        kept = self._kept()
        client = kept or self._client()
        offer_until = asyncio.get_running_loop().time() + self._offer_s_max
        try:
            # The server may have let go of a conversation that was kept: that is no outage.
            with _nothing_left(Unreachable if kept is None else Interrupted):
                async with asyncio.timeout_at(offer_until):
                    await self._reach(client)
            with _nothing_left(Interrupted):
                async with asyncio.timeout_at(offer_until):
                    await _offer(client, recipient)
            async with asyncio.timeout(self._send_s_max):
                await _give(client, data)
        except BaseException:
            # A conversation that stopped half way is not taken up again.
            client.close()
            raise
        self._idle.put_nowait(client)

    async def close(self) -> None:
        """Close the connections that are kept."""
        while True:
            try:
                client = self._idle.get_nowait()
            except QueueEmpty:
                return
            client.close()

    def _mail(self, post_id: UUID, recipient: str, message: Rendered) -> bytes:
        mail = EmailMessage()
        try:
            mail["From"] = self._sender
            mail["To"] = recipient
            mail["Subject"] = message.subject
        except ValueError:
            raise NotSent(lasting=True) from None
        mail["Date"] = format_datetime(datetime.now(UTC))
        # A report about it names this, and says nothing to anybody else.
        mail["Message-ID"] = f"<{post_id}@{self._sender.rpartition('@')[2]}>"
        mail.set_content(message.text)
        return mail.as_bytes()

    def _kept(self) -> aiosmtplib.SMTP | None:
        while not self._idle.empty():
            client = self._idle.get_nowait()
            if client.is_connected:
                return client
        return None

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls == "tls",
            start_tls=self._tls == "starttls",
            local_hostname="localhost",
            # Each step's own time would add up; all of them share one here.
            timeout=None,
        )

    async def _reach(self, client: aiosmtplib.SMTP) -> None:
        """Connect and say who sends: all that comes before the mail at hand matters.

        A login or sender that is refused is our own mistake; it is tried until it is corrected.
        """
        if not client.is_connected:
            await client.connect()
        await client.mail(self._sender)


@contextmanager
def _nothing_left(trouble: type[Interrupted]) -> Iterator[None]:
    """Whatever goes wrong before the text is given: the message did not leave."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise trouble(f"{type(error).__name__} {error.code}") from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # time-outs are `OSError`s
        raise trouble(type(error).__name__) from None


def _refused(code: int) -> NotSent:
    """What an answer means that is not the one wanted."""
    if code == aiosmtplib.SMTPStatus.domain_unavailable or code // 100 not in (4, 5):
        return Interrupted(f"answer {code}")
    return NotSent(lasting=code >= 500)


async def _offer(client: aiosmtplib.SMTP, recipient: str) -> None:
    """Name the recipient and wait until the server asks for the text."""
    try:
        await client.rcpt(recipient)
    except aiosmtplib.SMTPResponseException as error:
        raise _refused(error.code) from None
    except ValueError:
        raise NotSent(lasting=True) from None
    reply = await client.execute_command(b"DATA")
    if reply.code != aiosmtplib.SMTPStatus.start_input:
        raise _refused(reply.code)


async def _give(client: aiosmtplib.SMTP, data: bytes) -> None:
    """Give the text away and wait for the server's word on it.

    `aiosmtplib.SMTP.data` asks and gives in one: of an answer that fails to come it does not tell
    to which of the two.

    Raises:
        Interrupted: there was nobody any more to give it to.
        NotSent: refused.
        SMTPException: the answer is none, so that nobody knows.
    """
    with _nothing_left(Interrupted):
        if client.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        client.protocol.write(data)
    reply = await client.protocol.read_response()
    match reply.code // 100:
        case 2:
            return
        case 4 | 5:
            raise _refused(reply.code)
        case _:
            raise aiosmtplib.SMTPResponseException(reply.code, "no answer to a text")


def _as_data(mail: bytes) -> bytes:
    """The mail as it follows DATA: whole lines, of which none but the last is a single dot."""
    lines = mail.splitlines()
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


def outlets_of(settings: Settings) -> Mapping[Channel, Outlet]:
    """Return the channels that are set up; a message for any other one fails."""
    outlets: dict[Channel, Outlet] = {}
    if settings.smtp_host is not None:
        password = settings.smtp_password
        outlets[Channel.EMAIL] = SmtpOutlet(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_tls,
            settings.smtp_user,
            None if password is None else password.get_secret_value(),
            settings.smtp_from,
            connections_max=settings.smtp_connections_max,
            offer_ms_max=settings.offer_ms_max,
            send_ms_max=settings.send_ms_max,
        )
    if settings.spool_path is not None:
        spool = FileOutlet(settings.spool_path)
        for channel in {Channel.FILE, *settings.spool_for}:
            outlets.setdefault(channel, spool)
    return outlets
