"""Links between people of two regions: somebody in each decides, and each side hears the other."""

from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis import handoff
from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_chassis.errors import Poison
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.intake_links import LinkSaidV1, Said
from aidmesh_intake.domain import link as domain
from aidmesh_intake.domain.link import Link, LinkStep
from aidmesh_intake.store import links as store


async def say(tx: Tx, link_id: UUID, said: Said, staff_id: UUID) -> Link:
    """Decide about a link.

    Raises:
        Problem: there is no such link.
        NotAllowed: it is over, or this was said already.
    """
    link = (await store.lock(tx.conn, [link_id])).get(link_id)
    if link is None or link.person_id is None:
        raise Problem(NOT_FOUND)
    step = domain.say(link, said)
    await store.save(tx.conn, [step.link], tx.now, staff_id)
    tx.hand_over(LinkSaidV1(link_id=link.id, said=said), link.region)
    tell(tx, step)
    return step.link


async def hear(tx: Tx, batch: Sequence[Received[LinkSaidV1]]) -> None:
    """Take in what other regions say; it may come before the news that there is a link. A handler.

    Raises:
        Poison: the link is another region's.
    """
    new = [Link(each.event.link_id, each.region) for each in batch]
    await store.add(tx.conn, new, {}, tx.now)
    known = await store.lock(tx.conn, [each.id for each in new])
    for each in batch:
        link = known[each.event.link_id]
        if link.region != each.region:
            raise Poison("unknown_link")
        step = domain.hear(link, each.event.said)
        known[link.id] = step.link
        tell(tx, step)
    await store.save(tx.conn, list(known.values()), tx.now)


async def end_all(tx: Tx, person_ids: Sequence[UUID]) -> None:
    """Forget the links of persons here and, by a word to them, in the other regions."""
    links = await store.lock_of(tx.conn, person_ids)
    await handoff.withdraw(tx.conn, [each.id for each in links])
    steps = [domain.end(each) for each in links]
    await store.save(tx.conn, [step.link for step in steps], tx.now)
    for step in steps:
        tx.hand_over(LinkSaidV1(link_id=step.link.id, said="gone"), step.link.region)
        tell(tx, step)


def tell(tx: Tx, step: LinkStep) -> None:
    """Tell reporting whom the whole counts once."""
    if step.event is not None:
        tx.emit(step.event)
