"""Forms of many rows: each row counts once, good rows stay, and every row gets an answer."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue, ValidationError

from aidmesh_chassis import taken_rows
from aidmesh_chassis.db import Tx
from aidmesh_chassis.http import Body
from aidmesh_chassis.problems import INVALID, rejected_fields
from aidmesh_chassis.taken_rows import SentRow, TakenRow
from aidmesh_contracts.ids import derive_id
from aidmesh_inventory.store import sites

ROWS_MAX = 5000
SOURCE_DEFAULT = "bulk"

Source = Annotated[str, Field(min_length=1, max_length=64)]


class Row(Body):
    """What every row has.

    Attributes:
        source: where the row comes from, such as a file's name; the body's by default.
        row_id: the row's own id there; never a name or number of a person.
    """

    source: Source | None = None
    row_id: Annotated[str, Field(min_length=1, max_length=128)]


class SiteRow(Row):
    """A row that names a site by its id or by its code."""

    site_id: UUID | None = None
    site_code: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class BulkIn(Body):
    """Rows of one form. They are checked one by one, so that a bad row rejects only itself."""

    source: Source = SOURCE_DEFAULT
    rows: Annotated[list[dict[str, JsonValue]], Field(min_length=1, max_length=ROWS_MAX)]


class RowOut(BaseModel):
    """What became of a row, by its place; `problem` is the slug of why it was rejected."""

    row: int
    status: Literal["done", "skipped", "rejected"]
    problem: str | None = None
    id: UUID | None = None
    errors: tuple[JsonValue, ...] = ()


class BulkOut(BaseModel):
    """What became of all rows, in the order in which they were sent."""

    done: int
    skipped: int
    rejected: int
    rows: list[RowOut]


R = TypeVar("R", bound=Row)


class Bulk(Generic[R]):
    """One body of a bulk form on its way: `begin`, then `done` or `reject` each of `fresh`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._answers: dict[int, RowOut] = {}
        self._keys: Mapping[int, tuple[bytes, bytes]] = {}
        self.fresh: dict[int, R] = {}

    @classmethod
    async def begin(cls, tx: Tx, form: str, body: BulkIn, model: type[R]) -> "Bulk[R]":
        """Check the rows and find out which of them are new."""
        bulk = cls(tx)
        valid: dict[int, R] = {}
        for number, raw in enumerate(body.rows):
            try:
                valid[number] = model.model_validate(raw)
            except ValidationError as error:
                bulk._answers[number] = RowOut(
                    row=number,
                    status="rejected",
                    problem=INVALID.slug,
                    errors=tuple(rejected_fields([dict(each) for each in error.errors()])),
                )
        sent = {
            number: SentRow(row.source or body.source, row.row_id, _digest_of(row))
            for number, row in valid.items()
        }
        admitted = await taken_rows.admit(tx.conn, form, sent)
        bulk._keys = admitted.keys
        bulk.fresh = {number: valid[number] for number in admitted.fresh}
        for number, result_id in admitted.same.items():
            bulk._answers[number] = RowOut(row=number, status="skipped", id=result_id)
        for number in admitted.changed:
            bulk.reject(number, "row-changed")
        return bulk

    def key(self, number: int) -> str:
        """What a row is found by: ids made from it are the same when it comes again."""
        return self._keys[number][0].hex()

    def done(self, number: int, result_id: UUID | None) -> None:
        """The row was taken in and became this."""
        self._answers[number] = RowOut(row=number, status="done", id=result_id)

    def reject(self, number: int, slug: str) -> None:
        """The row was not taken in; corrected or later it may be sent again."""
        self.fresh.pop(number, None)
        self._answers[number] = RowOut(row=number, status="rejected", problem=slug)

    def settle(self, made: Mapping[int, UUID], faults: Mapping[UUID, str]) -> None:
        """Answer rows by what they were to become, and what of that was not to be."""
        for number, result_id in made.items():
            fault = faults.get(result_id)
            if fault is None:
                self.done(number, result_id)
            else:
                self.reject(number, fault)

    async def finish(self) -> dict[str, object]:
        """Remember what was taken in; returns the answer."""
        rows = [self._answers[number] for number in sorted(self._answers)]
        await taken_rows.remember(
            self._tx.conn,
            [
                TakenRow(*self._keys[answer.row], answer.id)
                for answer in rows
                if answer.status == "done"
            ],
        )
        counts = {
            status: sum(answer.status == status for answer in rows)
            for status in ("done", "skipped", "rejected")
        }
        return {
            **counts,
            "rows": [row.model_dump(mode="json", exclude_defaults=True) for row in rows],
        }


S = TypeVar("S", bound=SiteRow)
N = TypeVar("N")


async def resolve_sites(tx: Tx, bulk: Bulk[S]) -> dict[int, UUID]:
    """The site of each fresh row; rows whose site is not known are rejected."""
    wanted = dict(bulk.fresh)
    codes = await sites.ids_by_code(
        tx.conn, sorted({row.site_code for row in wanted.values() if row.site_code is not None})
    )
    ids = await sites.areas_of(
        tx.conn, [row.site_id for row in wanted.values() if row.site_id is not None]
    )
    found: dict[int, UUID] = {}
    for number, row in wanted.items():
        site_id = row.site_id if row.site_id in ids else codes.get(row.site_code or "")
        if site_id is None:
            bulk.reject(number, "unknown-site")
        else:
            found[number] = site_id
    return found


async def add_at_sites(
    tx: Tx,
    region: str,
    form: str,
    body: BulkIn,
    model: type[S],
    new: Callable[[UUID, UUID, S], N],
    add: Callable[[Tx, Sequence[N]], Awaitable[Mapping[UUID, str]]],
) -> dict[str, object]:
    """Have rows become things at sites; returns the answer.

    Args:
        form: what the form makes, such as `beds`.
        new: the thing of an id at a site that a row describes.
        add: adds things, and returns by id why some can't be.
    """
    bulk = await Bulk.begin(tx, form, body, model)
    site_ids = await resolve_sites(tx, bulk)
    ids = {
        number: derive_id(form.removesuffix("s"), region, bulk.key(number)) for number in bulk.fresh
    }
    faults = await add(
        tx, [new(ids[number], site_ids[number], row) for number, row in bulk.fresh.items()]
    )
    bulk.settle(ids, faults)
    return await bulk.finish()


def _digest_of(row: Row) -> bytes:
    content = row.model_dump_json(exclude={"source", "row_id"})
    return hashlib.blake2b(content.encode(), digest_size=16, person=b"inventory-bulk").digest()
