"""Channels that take nothing at the moment, as all senders of a region know them."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg

from aidmesh_notification.domain.cards import Channel
from aidmesh_notification.domain.outages import Outage


async def current(conn: asyncpg.Connection) -> dict[Channel, Outage]:
    """Return the outages that are known."""
    rows = await conn.fetch("SELECT channel, since, look_at FROM channel_outage")
    return {Channel(row["channel"]): Outage(row["since"], row["look_at"]) for row in rows}


async def put(conn: asyncpg.Connection, outages: Mapping[Channel, Outage]) -> None:
    """Record outages; of a channel that is known to be away only the last word counts."""
    await conn.execute(
        """
        INSERT INTO channel_outage (channel, since, look_at)
        SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
             AS n (channel, since, look_at) ORDER BY channel
        ON CONFLICT (channel) DO UPDATE SET since = excluded.since, look_at = excluded.look_at
        """,
        list(outages),
        [each.since for each in outages.values()],
        [each.look_at for each in outages.values()],
    )


async def end(conn: asyncpg.Connection, channels: set[Channel]) -> dict[Channel, datetime]:
    """Forget outages of channels that answered; returns since when these had been away."""
    rows = await conn.fetch(
        "DELETE FROM channel_outage WHERE channel = ANY($1::text[]) RETURNING channel, since",
        sorted(channels),
    )
    return {Channel(row["channel"]): row["since"] for row in rows}
