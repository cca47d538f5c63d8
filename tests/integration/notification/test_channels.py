"""Mail over a real conversation with a small SMTP server, and the spool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh_chassis.privacy import PersonalText
from aidmesh_notification.channels import FileOutlet, NotSent, SmtpOutlet, outlets_of
from aidmesh_notification.config import Settings
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.texts import Rendered

MESSAGE = Rendered(subject="Нагадування", text="Усе готово, чекаємо на вас.")
ID = UUID(int=7)
SOMEBODY = PersonalText("somebody@example.org")


class Mailbox:
    """Enough of RFC 5321 to take mail; `answers` overrides a command's reply, None hangs up."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.conversations = 0
        self.answers: dict[str, str | None] = {}

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.conversations += 1
        writer.write(b"220 mailbox\r\n")
        try:
            while line := await reader.readline():
                verb = line.split()[0].decode().upper()
                reply: str | None = self.answers.get(verb, "250 fine")
                if verb == "DATA" and reply == "250 fine":
                    writer.write(b"354 go on\r\n")
                    self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                    reply = self.answers.get("TEXT", "250 taken")
                if reply is None:
                    break
                writer.write(reply.encode() + b"\r\n")
                await writer.drain()
                if verb == "QUIT":
                    break
        finally:
            writer.close()


def outlet(port: int) -> SmtpOutlet:
    return SmtpOutlet(
        "127.0.0.1",
        port,
        "none",
        None,
        None,
        "reminder@post.example",
        connections_max=2,
        send_ms_max=2000,
    )


async def test_a_mail_says_no_more_than_its_text() -> None:
    mailbox = Mailbox()
    async with mailbox.listen() as port:
        smtp = outlet(port)
        await smtp.send(ID, SOMEBODY, MESSAGE)
        await smtp.send(ID, SOMEBODY, MESSAGE)
        await smtp.close()
    assert mailbox.conversations == 1
    assert len(mailbox.mails) == 2
    mail = message_from_bytes(mailbox.mails[0], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["From"] == "reminder@post.example"
    assert mail["Subject"] == "Нагадування"
    assert mail["Message-ID"] == f"<{ID}@post.example>"  # what a report about it names
    assert "Усе готово" in mail.get_content()
    assert set(mail.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    assert "aidmesh" not in mailbox.mails[0].decode().lower()


@pytest.mark.parametrize(
    ("command", "reply", "lasting"),
    [
        ("MAIL", "451 later", False),
        ("MAIL", "550 who are you", False),
        ("MAIL", None, False),
        ("RCPT", "450 busy", False),
        ("RCPT", "550 no such user", True),
        ("RCPT", None, False),
        ("DATA", "554 no", True),
        ("TEXT", "452 full", False),
        ("TEXT", "554 spam", True),
    ],
)
async def test_a_refusal_means_not_sent(command: str, reply: str | None, lasting: bool) -> None:
    mailbox = Mailbox()
    mailbox.answers[command] = reply
    async with mailbox.listen() as port:
        smtp = outlet(port)
        with pytest.raises(NotSent) as refusal:
            await smtp.send(ID, SOMEBODY, MESSAGE)
        assert refusal.value.lasting is lasting
        assert "somebody" not in repr(refusal.value)
        await smtp.close()


async def test_a_connection_lost_after_the_text_is_no_refusal() -> None:
    mailbox = Mailbox()
    mailbox.answers["TEXT"] = None
    async with mailbox.listen() as port:
        smtp = outlet(port)
        with pytest.raises(Exception) as trouble:  # noqa: PT011 - any class but one
            await smtp.send(ID, SOMEBODY, MESSAGE)
        assert not isinstance(trouble.value, NotSent)
        mailbox.answers.clear()
        await smtp.send(ID, SOMEBODY, MESSAGE)
        await smtp.close()


async def test_without_a_server_nothing_left() -> None:
    async with Mailbox().listen() as port:
        pass
    with pytest.raises(NotSent) as refusal:
        await outlet(port).send(ID, SOMEBODY, MESSAGE)
    assert not refusal.value.lasting


async def test_an_address_with_a_line_break_is_refused_for_good() -> None:
    async with Mailbox().listen() as port:
        with pytest.raises(NotSent) as refusal:
            await outlet(port).send(ID, PersonalText("a@b.example\r\nBcc: c@d.example"), MESSAGE)
    assert refusal.value.lasting


async def test_a_spool_that_cannot_be_written_means_not_sent(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(NotSent):
        await FileOutlet(tmp_path / "taken").send(ID, SOMEBODY, MESSAGE)


def test_the_spool_stands_in_for_the_channels_that_settings_name(tmp_path: Path) -> None:
    settings = Settings(
        region="kyiv",
        smtp_host="mail.example",
        spool_path=tmp_path / "spool.jsonl",
        spool_for=frozenset({Channel.SMS, Channel.EMAIL}),
    )
    outlets = outlets_of(settings)
    assert isinstance(outlets[Channel.EMAIL], SmtpOutlet)
    assert isinstance(outlets[Channel.SMS], FileOutlet)
    assert outlets[Channel.SMS] is outlets[Channel.FILE]
    assert outlets_of(Settings(region="kyiv")) == {}
