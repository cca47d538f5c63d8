"""Money that needs wait for, and what could serve them, as payments works it out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View
from aidmesh_console.clients.peers import LinkState


class Offer(View):
    """Money of an own grant that could go there; of a `holder`, that could be proposed to it.

    Attributes:
        is_plain: its donor restricts nothing but programmes and time.
        as_of, link: when another holder told what it has free, and whether it is heard.
    """

    grant_id: UUID
    grant_code: str | None
    budget_line: str
    allotment_id: UUID | None
    holder: str | None
    amount_minor: int
    free_minor: int
    is_plain: bool
    as_of: datetime | None = None
    link: LinkState | None = None


class Wait(View):
    """What needs of a programme wait for in a region, as it told it last."""

    region: str
    programme: str
    currency: str
    amount_minor: int
    coming_minor: int
    as_of: datetime
    link: LinkState | None = None
    offers: tuple[Offer, ...]


class Rule(View):
    """Money that goes to those who wait without a person; `given_minor` within seven days."""

    rule_id: UUID
    programme: str | None
    currency: str
    regions: tuple[str, ...] | None
    keep_minor: int
    move_max_minor: int
    week_max_minor: int
    given_minor: int
    chosen_only: bool = False


class _Waits(Page):
    rows: tuple[Wait, ...] = Field(validation_alias="waits")


class _Rules(Page):
    rows: tuple[Rule, ...] = Field(validation_alias="rules")


_WAITS = TypeAdapter(_Waits)
_RULES = TypeAdapter(_Rules)


async def waits(link: Link) -> Sequence[Wait]:
    """What waits where, in regions that are heard."""
    pages = link.pages("/v1/waits", _WAITS)
    return [each async for page in pages for each in page.rows]


async def rules(link: Link) -> Sequence[Rule]:
    """The rules in force."""
    pages = link.pages("/v1/wait-rules", _RULES)
    return [each async for page in pages for each in page.rows]


async def serve(link: Link, body: Mapping[str, object], key: UUID) -> None:
    """Send money there, or propose to its holder that it goes there."""
    await link.post("/v1/waits:serve", ACCEPTED, body, key)


async def set_aside(link: Link, body: Mapping[str, object], key: UUID) -> None:
    """Have nothing proposed for it until more waits."""
    await link.post("/v1/waits:set-aside", ACCEPTED, body, key)


async def set_rule(link: Link, body: Mapping[str, object], key: UUID) -> None:
    """Have money sent by rule."""
    await link.post("/v1/wait-rules", ACCEPTED, body, key)


async def end_rule(link: Link, rule_id: UUID, key: UUID) -> None:
    """Have people send it again."""
    await link.post(f"/v1/wait-rules/{rule_id}:end", ACCEPTED, key=key)
