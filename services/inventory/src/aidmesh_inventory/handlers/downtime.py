"""Downtime of ours: people get the time back in which nobody could hand anything out."""

from aidmesh_chassis.db import Tx
from aidmesh_contracts import pickup
from aidmesh_inventory.store import clocks


async def watch(tx: Tx) -> None:
    """Look at the clocks, and remember that they were looked at. Sweeps do, every few seconds."""
    seen_at, now = await clocks.last_seen(tx.conn)
    gap = pickup.downtime(seen_at, now)
    if gap:
        await clocks.extend_all(tx.conn, seen_at, gap)


async def notice(tx: Tx) -> None:
    """Give back first what nobody looked at yet.

    For whoever starts clocks, stops them or has them go on. Requests are served before the sweeps
    run, and for long if NATS does not start: a clock that goes on after a closing would be given
    the same hours back once more, one that is stopped would lose them, and one that is started now
    would get hours in which it did not run.
    """
    if pickup.downtime(*await clocks.look(tx.conn)):
        await watch(tx)
