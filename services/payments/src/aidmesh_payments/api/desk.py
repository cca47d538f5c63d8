"""What the routes share: who may do what, and how lists are read."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final, Protocol
from uuid import UUID

import asyncpg
from fastapi import Depends
from pydantic import Field, StringConstraints, TypeAdapter

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Page
from aidmesh_chassis.keys import KeyRing
from aidmesh_chassis.peers import LinkOf, LinkState
from aidmesh_contracts.days import day_of, is_future
from aidmesh_payments.handlers.office import Office
from aidmesh_payments.problems import problem
from aidmesh_payments.store.queries.rows import Row

ROWS_MAX = 5000

Reader = Annotated[Caller, Depends(require(Role.FINANCE, Role.APPROVER, Role.LEAD, Role.ONCALL))]
Finance = Annotated[Caller, Depends(require(Role.FINANCE, Role.LEAD))]
Approver = Annotated[Caller, Depends(require(Role.APPROVER, Role.LEAD))]
Payer = Annotated[Caller, Depends(require(Role.FINANCE, Role.APPROVER, Role.LEAD))]
Lead = Annotated[Caller, Depends(require(Role.LEAD))]
Worker = Annotated[
    Caller, Depends(require(Role.CASEWORKER, Role.FINANCE, Role.APPROVER, Role.LEAD))
]

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Minor = Annotated[int, Field(gt=0, le=10**15, description="Minor units of the currency")]


def moved_on(on: date | None, now: datetime) -> date:
    """The day on which money moved: today, if nobody says. Raises `Problem` for one to come."""
    if on is not None and is_future(on, now):
        raise problem("day-in-future")
    return on or day_of(now)


_WHAT_FOR: Final = frozenset(
    {"allotment_id", "grant_code", "budget_line", "programme", "cost_category", "code"}
)


def seen_by(caller: Caller, row: Mapping[str, object]) -> dict[str, object]:
    """A row about a need as the caller may see it.

    Money has to be moved by those who may not see what a sensitive need is: they see how much
    and when, not what for.
    """
    hides = bool(row["sensitive"]) and not caller.sees_sensitive
    return {
        name: None if hides and name in _WHAT_FOR else value
        for name, value in row.items()
        if name != "sensitive"
    }


class ReadPage(Protocol):
    """Reads rows that come after a moment and an id."""

    def __call__(
        self, conn: asyncpg.Connection, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Awaitable[list[Row]]: ...


_NONE: Final[Mapping[str, str]] = {}
_AFTER: TypeAdapter[tuple[datetime, UUID]] = TypeAdapter(tuple[datetime, UUID])


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with."""

    office: Office
    db: Database
    keys: KeyRing
    payment_purpose: str
    link: LinkOf

    def with_links(self, holdings: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
        """Allotments, each with whether its holder is heard (None for the own region)."""
        return [{**each, "link": self.link(str(each["holder"]))} for each in holdings]

    async def page(
        self,
        page: Page,
        name: str,
        moment: str,
        read: ReadPage,
        links: Mapping[str, str] = _NONE,
    ) -> dict[str, object]:
        """One page of rows that are in the order of a moment and their id.

        Args:
            page: which.
            name: of the rows in the answer.
            moment: the field that they are in the order of.
            read: reads them.
            links: by a field to add, the one with the region whose link it tells of, if any.
        """
        async with self.db.read() as conn:
            rows = await read(conn, after=page.after(_AFTER), limit=page.limit + 1)
        kept, following = page.cut(rows, lambda row: (row[moment], row["id"]))
        linked = [
            {**row, **{link: self._link(row[region]) for link, region in links.items()}}
            for row in kept
        ]
        return {name: linked, "next": following}

    def _link(self, region: object) -> LinkState | None:
        return None if region is None else self.link(str(region))
