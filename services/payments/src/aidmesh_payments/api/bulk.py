"""Forms of many rows: each row counts once, good rows stay, and every row gets an answer."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel

from aidmesh_chassis import taken_rows
from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body
from aidmesh_chassis.taken_rows import SentRow, TakenRow
from aidmesh_payments.api.desk import Text


class RowBody(Body):
    """A row of a bulk form; (source, row_id) is what makes it come only once."""

    source: Text | None = None
    row_id: Text


class RowResult(BaseModel):
    """What became of a row."""

    row: int
    status: Literal["done", "skipped", "rejected"]
    problem: str | None = None
    id: UUID | None = None


R = TypeVar("R", bound=RowBody)
K = TypeVar("K", bound=UUID)


@dataclass(frozen=True, slots=True)
class Bulk(Generic[R]):
    """One form on its way: `begin`, then `done` or `reject` each of `fresh`, then `finish`.

    Attributes:
        fresh: the rows that are new, by their places.
    """

    fresh: Mapping[int, R]
    _keys: Mapping[int, tuple[bytes, bytes]]
    _results: dict[int, RowResult]

    @classmethod
    async def begin(cls, tx: Tx, form: str, source: str, rows: Sequence[R]) -> "Bulk[R]":
        """Set aside rows that came before: the same are skipped, changed ones rejected."""
        sent = (SentRow(row.source or source, row.row_id, _digest_of(row)) for row in rows)
        admitted = await taken_rows.admit(tx.conn, form, dict(enumerate(sent)))
        results = {
            place: RowResult(row=place, status="skipped", id=made)
            for place, made in admitted.same.items()
        }
        fresh = {place: rows[place] for place in admitted.fresh}
        bulk = cls(fresh, admitted.keys, results)
        for place in admitted.changed:
            bulk.reject(place, "row-changed")
        return bulk

    def reject(self, place: int, slug: str) -> None:
        """Answer a row with a problem."""
        self._results[place] = RowResult(row=place, status="rejected", problem=slug)

    def done(self, place: int, made: UUID) -> None:
        """Answer a row that had its effect."""
        self._results[place] = RowResult(row=place, status="done", id=made)

    def answer(self, place: int, about: UUID, refusal: str | None) -> None:
        """Answer a row by why it was refused, or None when it had its effect."""
        if refusal is None:
            self.done(place, about)
        else:
            self.reject(place, str(refusal))

    def settle(self, wanted: Mapping[int, K], outcomes: Mapping[K, str | None]) -> None:
        """Answer rows by what they are about: why each of that was refused, or None.

        No two are about the same: what was done once answers one row. What has no outcome is not
        known.
        """
        assert len(set(wanted.values())) == len(wanted)  # noqa: S101 - see above
        for place, each in wanted.items():
            self.answer(place, each, outcomes.get(each, "unknown-row"))

    async def finish(self, tx: Tx) -> Mapping[str, object]:
        """Remember what rows made, and return the answer; rejected rows may come again."""
        made = [(place, self._results[place].id) for place in self.fresh]
        await taken_rows.remember(
            tx.conn, [TakenRow(*self._keys[place], id_) for place, id_ in made if id_ is not None]
        )
        answers = [self._results[place] for place in sorted(self._results)]
        return {"rows": [answer.model_dump(mode="json") for answer in answers]}


def _digest_of(row: RowBody) -> bytes:
    return hashlib.sha256(row.model_dump_json(exclude={"source", "row_id"}).encode()).digest()
