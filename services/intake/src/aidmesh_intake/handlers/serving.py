"""Services and confirmed starts by the row: each row counts once, and the good ones stay."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from aidmesh_chassis import taken_rows
from aidmesh_chassis.crypto import SecretKey
from aidmesh_chassis.db import Tx
from aidmesh_chassis.row_keys import content_key, row_key
from aidmesh_chassis.taken_rows import TakenRow
from aidmesh_contracts.days import day_of
from aidmesh_intake.domain import commands
from aidmesh_intake.domain.need import Need
from aidmesh_intake.domain.served_rows import TAKEN_BEFORE, TWICE, ServedRow, hindrances
from aidmesh_intake.handlers import acting
from aidmesh_intake.handlers.acting import Outcome

FORM: Final = "served"


@dataclass(frozen=True, slots=True)
class Served:
    """That a need was served.

    Attributes:
        row_id: the row's own id at its source.
        served_on: the day in Kyiv, None for today.
    """

    row_id: str
    need_id: UUID
    served_on: date | None


async def serve(
    tx: Tx,
    source: str,
    served: Sequence[Served],
    staff_id: UUID,
    visible: Callable[[Need], bool],
) -> list[Outcome]:
    """Record services that take nothing from stock, places or money, and confirm starts.

    Args:
        source: where the rows come from; a row is known by it and its `row_id`.
        visible: needs that the caller may see; others are not there.
    """
    today = day_of(tx.now)
    secret = await taken_rows.secret(tx.conn)
    rows = [_row(secret, source, each, today) for each in served]
    # Two senders of one source would both find a row new; the second waits for the first.
    await taken_rows.lock_sources(tx.conn, FORM, [source])
    known = await taken_rows.known(tx.conn, {row.key for row in rows})
    against = hindrances(rows, {key: taken.content_hash for key, taken in known.items()}, today)
    fresh = [row for row, rule in zip(rows, against, strict=True) if rule is None]
    # Another row for the same need finds it served by the first, whatever day it names.
    days = {row.need_id: row.served_on for row in reversed(fresh)}
    outcomes = await acting.act(
        tx,
        [row.need_id for row in fresh],
        lambda need: commands.serve(need, days[need.id]),
        staff_id,
        visible=visible,
    )
    await taken_rows.remember(
        tx.conn,
        [
            TakenRow(row.key, row.content, row.need_id)
            for row, outcome in zip(fresh, outcomes, strict=True)
            if outcome.rule is None and not outcome.missing
        ],
    )
    of_key = {row.key: outcome for row, outcome in zip(fresh, outcomes, strict=True)}
    answers: list[Outcome] = []
    for row, rule in zip(rows, against, strict=True):
        if rule is None:
            answers.append(of_key[row.key])
        elif rule == TWICE:
            first = of_key[row.key]
            taken = first.rule is None and not first.missing
            answers.append(Outcome(None, rule=TAKEN_BEFORE) if taken else first)
        else:
            answers.append(Outcome(None, rule=rule))
    return answers


def _row(secret: SecretKey, source: str, served: Served, today: date) -> ServedRow:
    content = f"{served.need_id} {served.served_on}".encode()
    return ServedRow(
        key=row_key(secret, FORM, source, served.row_id),
        content=content_key(secret, served.row_id, hashlib.sha256(content).digest()),
        need_id=served.need_id,
        served_on=served.served_on or today,
    )
