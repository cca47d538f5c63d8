"""A mail server that is away or silent: what did not leave waits for it."""

from uuid import uuid4

import pytest

from aidmesh_notification.domain.cards import Channel
from integration.notification.mailbox import PATIENT_MS, SHORT_MS, SILENCE, Mailbox, outlet
from integration.notification.world import World, ready


async def wait_for_somebody(world: World, people: int = 1) -> None:
    """Have messages queued for so many people."""
    persons = [uuid4() for _ in range(people)]
    await world.take(*(world.card(person) for person in persons))
    await world.take(*(ready(person) for person in persons))


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_what_a_silent_server_never_asked_for_waits(world: World, step: str) -> None:
    mailbox = Mailbox()
    mailbox.answers[step] = SILENCE
    await wait_for_somebody(world)
    async with mailbox.listen() as port:
        smtp = outlet(port, offer_ms_max=SHORT_MS)
        await world.sender({Channel.EMAIL: smtp}).run_once()
        await smtp.close()
    assert [row["state"] for row in await world.messages()] == ["queued"]
    assert await world.emitted() == []


async def test_what_a_server_fell_silent_over_is_for_a_person(world: World) -> None:
    mailbox = Mailbox()
    mailbox.answers["TEXT"] = SILENCE
    await wait_for_somebody(world)
    async with mailbox.listen() as port:
        smtp = outlet(port, offer_ms_max=PATIENT_MS, send_ms_max=SHORT_MS)
        await world.sender({Channel.EMAIL: smtp}).run_once()
        await smtp.close()
    assert [row["state"] for row in await world.messages()] == ["unknown"]
