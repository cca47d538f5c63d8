"""Declaring a region lost, and letting it in again, by two offices."""

from functools import partial

from aidmesh_chassis import conflicts, standings
from aidmesh_payments.handlers import lost
from integration.payments.offices import CHECKER, MAKER, Desk

FREE = "SELECT unallotted_minor FROM donor_grant"
GONE = "SELECT sum(amount_minor - returned_minor)::bigint FROM grant_allotment"
OWED = "SELECT COALESCE(sum(owed_minor), 0)::bigint FROM taken_back"
UNTOLD = "SELECT COALESCE(sum(untold_minor), 0)::bigint FROM taken_back"
THERE = "SELECT sum(received_minor - returned_minor)::bigint FROM allotment"


async def declare_lost(desk: Desk, region: str) -> None:
    """Two leads say so."""
    await desk.run(lambda tx: lost.declare(desk.office, tx, region, "flooded", MAKER))
    await desk.run(lambda tx: lost.confirm(tx, region, CHECKER))


async def close_conflicts(desk: Desk) -> int:
    """A person has seen to all that was set aside; returns how many there were."""
    async with desk.db.transaction() as tx:
        rows = await conflicts.listed(tx.conn, None, 1_000)
        for row in rows:
            await conflicts.close(tx.conn, row["event_id"], "seen to", CHECKER)
    return len(rows)


async def come_back(desk: Desk) -> None:
    """What `aidmesh topology rejoin` and the gate bring about."""
    async with desk.db.read() as conn:
        stand = (await standings.known(conn))[desk.office.region]
    desk.db.origin.epoch = max(desk.db.origin.epoch, stand.epoch)
    await desk.run(partial(lost.tell_again, desk.office))


async def restore(desk: Desk, peer: Desk) -> None:
    """What is left of a restore if nothing was forgotten: a new epoch, which is heard first."""
    desk.db.origin.epoch += 1
    heard = {desk.office.region: desk.db.origin.epoch}
    await peer.run(lambda tx: standings.raise_epochs(tx.conn, heard))
