"""Mail over a real conversation with a small SMTP server, and the spool."""

import socket
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from aidmesh_chassis.privacy import PersonalText
from aidmesh_notification.channels import (
    FileOutlet,
    Interrupted,
    NotSent,
    SmtpOutlet,
    Unreachable,
    outlets_of,
)
from aidmesh_notification.config import Settings
from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.texts import Rendered
from integration.notification.mailbox import PATIENT_MS, SHORT_MS, SILENCE, Mailbox, outlet

MESSAGE = Rendered(subject="Нагадування", text="Усе готово, чекаємо на вас.")
ID, POST_ID = UUID(int=7), UUID(int=8)
SOMEBODY = PersonalText("somebody@example.org")


async def test_a_mail_says_no_more_than_its_text() -> None:
    mailbox = Mailbox()
    async with mailbox.listen() as port:
        smtp = outlet(port)
        await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        await smtp.close()
    assert mailbox.conversations == 1
    assert len(mailbox.mails) == 2
    mail = message_from_bytes(mailbox.mails[0], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["From"] == "reminder@post.example"
    assert mail["Subject"] == "Нагадування"
    assert mail["Message-ID"] == f"<{POST_ID}@post.example>"  # what a report about it names
    assert "Усе готово" in mail.get_content()
    assert set(mail.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    assert "aidmesh" not in mailbox.mails[0].decode().lower()
    assert str(ID) not in mailbox.mails[0].decode()  # it follows from the need


@pytest.mark.parametrize(
    ("command", "reply", "trouble", "lasting"),
    [
        ("MAIL", "421 closing", Unreachable, False),
        ("MAIL", "451 later", Unreachable, False),
        ("MAIL", "550 who are you", Unreachable, False),
        ("MAIL", None, Unreachable, False),
        ("RCPT", "421 closing", Interrupted, False),
        ("RCPT", "450 busy", NotSent, False),
        ("RCPT", "550 no such user", NotSent, True),
        ("RCPT", None, Interrupted, False),
        ("DATA", "451 later", NotSent, False),
        ("DATA", "554 no", NotSent, True),
        ("DATA", "250 what", Interrupted, False),
        ("DATA", None, Interrupted, False),
        ("TEXT", "421 closing", Interrupted, False),
        ("TEXT", "452 full", NotSent, False),
        ("TEXT", "554 spam", NotSent, True),
    ],
)
async def test_a_refusal_means_not_sent(
    command: str, reply: str | None, trouble: type[NotSent], lasting: bool
) -> None:
    mailbox = Mailbox()
    mailbox.answers[command] = reply
    async with mailbox.listen() as port:
        smtp = outlet(port)
        with pytest.raises(NotSent) as refusal:
            await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        assert type(refusal.value) is trouble
        assert refusal.value.lasting is lasting
        assert "somebody" not in repr(refusal.value)
        await smtp.close()


@pytest.mark.parametrize("reply", [None, SILENCE, "354 go on", "nonsense"])
async def test_what_became_of_a_text_without_a_clear_answer_is_open(reply: str | None) -> None:
    mailbox = Mailbox()
    mailbox.answers["TEXT"] = reply
    async with mailbox.listen() as port:
        smtp = outlet(port, send_ms_max=SHORT_MS if reply == SILENCE else PATIENT_MS)
        with pytest.raises(Exception) as trouble:  # noqa: PT011 - any class but one
            await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        assert not isinstance(trouble.value, NotSent)
        mailbox.answers.clear()
        # A conversation of which nobody knows how it stands is not gone on with.
        await outlet(port).send(ID, POST_ID, SOMEBODY, MESSAGE)
        await smtp.close()
    assert len(mailbox.mails) == 2


@pytest.mark.parametrize("step", ["EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_falls_silent_before_the_text_has_none(step: str) -> None:
    mailbox = Mailbox()
    mailbox.answers["EHLO"] = "250-mailbox\r\n250-AUTH PLAIN\r\n250 STARTTLS"
    mailbox.answers["AUTH"] = "235 welcome"
    mailbox.answers[step] = SILENCE
    async with mailbox.listen() as port:
        smtp = outlet(
            port,
            offer_ms_max=SHORT_MS,
            tls="starttls" if step == "STARTTLS" else "none",
            user="somebody" if step == "AUTH" else None,
        )
        with pytest.raises(NotSent) as refusal:
            await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        assert not refusal.value.lasting
        await smtp.close()
    assert mailbox.mails == []


async def test_a_server_that_greets_nobody_has_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # it never accepts
        smtp = outlet(listening.getsockname()[1], offer_ms_max=SHORT_MS)
        with pytest.raises(Unreachable):
            await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)


async def test_a_server_that_lets_nobody_connect_has_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        # Who comes when the queue is full waits outside until somebody is let in.
        queued = [socket.socket() for _ in range(4)]
        for waiting in queued:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with pytest.raises(Unreachable):
            await outlet(port, offer_ms_max=SHORT_MS).send(ID, POST_ID, SOMEBODY, MESSAGE)
        for waiting in queued:
            waiting.close()


async def test_a_login_that_is_refused_is_no_word_about_the_message() -> None:
    mailbox = Mailbox()
    mailbox.answers["EHLO"] = "250-mailbox\r\n250 AUTH PLAIN"
    mailbox.answers["AUTH"] = "535 who are you"
    async with mailbox.listen() as port:
        with pytest.raises(Unreachable) as trouble:
            await outlet(port, user="somebody").send(ID, POST_ID, SOMEBODY, MESSAGE)
    assert trouble.value.cause == "SMTPAuthenticationError 535"


async def test_a_conversation_that_was_kept_and_lost_is_no_outage() -> None:
    mailbox = Mailbox()
    async with mailbox.listen() as port:
        smtp = outlet(port)
        await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        mailbox.answers["MAIL"] = None
        with pytest.raises(Interrupted) as trouble:
            await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        assert not isinstance(trouble.value, Unreachable)
        mailbox.answers.clear()
        await smtp.send(ID, POST_ID, SOMEBODY, MESSAGE)
        await smtp.close()
    assert len(mailbox.mails) == 2


async def test_no_line_of_a_text_ends_it() -> None:
    mailbox = Mailbox()
    lines = "one\n.\n..two\nQUIT"
    async with mailbox.listen() as port:
        smtp = outlet(port)
        await smtp.send(ID, POST_ID, SOMEBODY, Rendered(subject="x", text=lines))
        await smtp.close()
    [raw] = mailbox.mails
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail.get_content().splitlines() == lines.splitlines()


async def test_without_a_server_nothing_left() -> None:
    async with Mailbox().listen() as port:
        pass
    with pytest.raises(Unreachable):
        await outlet(port).send(ID, POST_ID, SOMEBODY, MESSAGE)


async def test_an_address_with_a_line_break_is_refused_for_good() -> None:
    async with Mailbox().listen() as port:
        with pytest.raises(NotSent) as refusal:
            await outlet(port).send(
                ID, POST_ID, PersonalText("a@b.example\r\nBcc: c@d.example"), MESSAGE
            )
    assert refusal.value.lasting


async def test_a_spool_that_cannot_be_written_means_not_sent(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(Unreachable):
        await FileOutlet(tmp_path / "taken").send(ID, POST_ID, SOMEBODY, MESSAGE)


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
