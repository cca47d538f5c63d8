"""Messages after a restore: what may have left since the backup is not sent again."""

import asyncpg


async def doubt_queued(conn: asyncpg.Connection) -> int:
    """Take what waits to be sent for being sent by nobody who can be asked; returns how much.

    The sweep over messages that were cut short does with it what it does after a crash: a person
    decides, unless its template may be sent twice.
    """
    result = await conn.execute(
        """
        UPDATE message SET state = 'sending', claim_id = COALESCE(claim_id, gen_random_uuid()),
               claimed_until = now(), changed_at = now()
        WHERE state IN ('queued', 'sending')
        """
    )
    return int(result.split()[-1])
