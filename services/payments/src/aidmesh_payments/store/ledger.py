"""Accounts, journals and postings."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from aidmesh_payments.domain.ledger import Account, Journal


async def post(conn: asyncpg.Connection, journals: Sequence[Journal]) -> None:
    """Write journals and move the balances of their accounts.

    Raises:
        asyncpg.UniqueViolationError: one of them is booked already.
    """
    if not journals:
        return
    accounts: dict[UUID, Account] = {}
    moved: dict[UUID, int] = defaultdict(int)
    postings: list[tuple[UUID, int, UUID, str, int]] = []
    for journal in journals:
        for line, posting in enumerate(journal.postings, start=1):
            account = posting.account
            accounts[account.id] = account
            moved[account.id] += posting.amount_minor
            postings.append((journal.id, line, account.id, account.currency, posting.amount_minor))
    ordered = sorted(accounts.values(), key=lambda account: account.id)
    ids = [account.id for account in ordered]
    await conn.execute(
        """
        INSERT INTO account (id, code, currency, grant_id, allotment_id)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[])
        ON CONFLICT (id) DO NOTHING
        """,
        ids,
        [account.code for account in ordered],
        [account.currency for account in ordered],
        [account.grant_id for account in ordered],
        [account.allotment_id for account in ordered],
    )
    await conn.execute(
        """
        WITH locked AS (
            SELECT id FROM account WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE account a SET balance_minor = a.balance_minor + n.moved
        FROM unnest($1::uuid[], $2::bigint[]) AS n (id, moved) JOIN locked USING (id)
        WHERE a.id = n.id
        """,
        ids,
        [moved[identity] for identity in ids],
    )
    await conn.execute(
        """
        INSERT INTO journal (id, kind, occurred_on, reference, reason, commitment_id)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::date[], $4::text[], $5::text[],
                             $6::uuid[])
        """,
        [journal.id for journal in journals],
        [journal.kind for journal in journals],
        [journal.occurred_on for journal in journals],
        [journal.reference for journal in journals],
        [journal.reason for journal in journals],
        [journal.commitment_id for journal in journals],
    )
    await conn.execute(
        """
        INSERT INTO posting (journal_id, line, account_id, currency, amount_minor)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::bigint[])
        """,
        *(list(column) for column in zip(*postings, strict=True)),
    )
