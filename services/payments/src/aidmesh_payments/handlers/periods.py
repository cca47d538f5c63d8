"""Money that was spent on a day that its grant is not for: a fact, and a person looks."""

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from aidmesh_contracts.ids import AllotmentId, CommitmentId, derive_id
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.store import discrepancies, grant_terms
from aidmesh_payments.store.discrepancies import Discrepancy

ABOUT = "outside_period"


async def question(
    conn: asyncpg.Connection, spent: Sequence[Commitment], undone: Collection[CommitmentId]
) -> None:
    """Open a discrepancy for each spending outside its grant's period, once.

    Args:
        undone: whose spending was reversed, which nobody has to look at any more.
    """
    if undone:
        await discrepancies.close_of_spendings(conn, "outside_period", undone, "reversed")
    if spent:
        terms = await grant_terms.restrictions(conn, (each.allotment_id for each in spent))
        await discrepancies.open_discrepancies(
            conn, [_of(each) for each in spent if not _is_covered(each, terms)]
        )


def _is_covered(commitment: Commitment, terms: Mapping[AllotmentId, Restriction]) -> bool:
    assert commitment.spent_on is not None  # noqa: S101 - it is spent
    return terms[AllotmentId(commitment.allotment_id)].covers(commitment.spent_on)


def _of(commitment: Commitment) -> Discrepancy:
    assert commitment.need_id is not None  # noqa: S101 - it is a need's
    assert commitment.spent_on is not None  # noqa: S101 - it is spent
    return Discrepancy(
        id=derive_id("discrepancy", ABOUT, commitment.id, commitment.spend_no),
        about=ABOUT,
        need_id=commitment.need_id,
        programme=commitment.programme,
        amount_minor=commitment.amount_minor,
        currency=commitment.currency,
        occurred_on=commitment.spent_on,
        cost_category=None,
        commitment_id=commitment.id,
    )
