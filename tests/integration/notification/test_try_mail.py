"""`aidmesh try-mail` before a small mail server."""

import asyncio
from email import message_from_bytes, policy

import pytest

from aidmesh.__main__ import build
from aidmesh.commands.common import EXIT_FAILED, EXIT_REFUSED
from integration.notification.mailbox import Mailbox

ADDRESS = "operator@example.org"
PREFIX = "AIDMESH_NOTIFICATION_SMTP_"


def _code() -> object:
    with pytest.raises(SystemExit) as ended:
        build()(["try-mail", ADDRESS])
    return ended.value.code


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings of a mail server on this machine."""
    for name, value in (("HOST", "127.0.0.1"), ("TLS", "none"), ("FROM", "note@post.example")):
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("command", "reply", "code", "told"),
    [
        ("NOOP", "", 0, "took it"),
        ("MAIL", "550 who are you", EXIT_FAILED, "takes nothing from this sender"),
        ("RCPT", "550 no such user", EXIT_FAILED, "refused it, for good"),
        ("DATA", "451 later", EXIT_FAILED, "refused it, for now"),
        ("DATA", None, EXIT_FAILED, "was lost on the way"),
        ("TEXT", None, EXIT_FAILED, "Nobody knows whether it left"),
    ],
)
async def test_what_the_mail_server_answers_is_told(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: str, reply: str | None, code: int, told: str,
) -> None:  # fmt: skip
    mailbox = Mailbox()
    mailbox.answers[command] = reply
    async with mailbox.listen() as port:
        environment.setenv(PREFIX + "PORT", str(port))
        assert await asyncio.to_thread(_code) == code
    written = capsys.readouterr()
    assert told in written.out + written.err
    assert ADDRESS not in written.out + written.err
    if code == 0:
        mail = message_from_bytes(mailbox.mails[0], policy=policy.default)
        assert (mail["From"], mail["To"]) == ("note@post.example", ADDRESS)
        assert b"aidmesh" not in mailbox.mails[0].lower()


def test_a_server_that_is_away_is_told(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv(PREFIX + "PORT", "1")
    assert _code() == EXIT_FAILED
    assert "cannot be reached" in capsys.readouterr().out


def test_without_a_server_nothing_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code() == EXIT_REFUSED
    assert f"{PREFIX}HOST" in capsys.readouterr().err
