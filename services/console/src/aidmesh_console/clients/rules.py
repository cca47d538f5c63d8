"""What regions do for each other by rule, as inventory and intake have it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View


class AcceptRule(View):
    """Under which conditions an ask is accepted without a person; `given` within seven days."""

    rule_id: UUID
    item: str | None
    site_id: UUID | None
    regions: tuple[str, ...] | None
    keep_pieces: int
    keep_days: int
    ask_max: int
    week_max: int
    given: int


class _AcceptRules(Page):
    rows: tuple[AcceptRule, ...]


class AskRule(View):
    """What is asked for as soon as it is proposed, up to so many pieces at once."""

    rule_id: UUID
    item: str
    to_site_id: UUID
    regions: tuple[str, ...] | None
    open_max: int
    chosen_only: bool = False


class _AskRules(Page):
    rows: tuple[AskRule, ...]


class ReferRule(View):
    """A kind of need that is offered by itself, up to so many at once."""

    rule_id: UUID
    kind: str
    regions: tuple[str, ...] | None
    open_max: int
    hours: int
    chosen_only: bool = False


class _ReferRules(Page):
    rows: tuple[ReferRule, ...]


_ASK: Final = TypeAdapter(_AskRules)
_REFER: Final = TypeAdapter(_ReferRules)
_ACCEPT: Final = TypeAdapter(_AcceptRules)


async def accept_rules(link: Link) -> Sequence[AcceptRule]:
    """By which rules asks of others are accepted."""
    pages = link.pages("/v1/accept-rules", _ACCEPT)
    return [each async for page in pages for each in page.rows]


async def ask_rules(link: Link) -> Sequence[AskRule]:
    """By which rules others are asked."""
    pages = link.pages("/v1/ask-rules", _ASK)
    return [each async for page in pages for each in page.rows]


async def refer_rules(link: Link) -> Sequence[ReferRule]:
    """By which rules needs are offered to others."""
    pages = link.pages("/v1/refer-rules", _REFER)
    return [each async for page in pages for each in page.rows]


async def set_rule(link: Link, path: str, body: Mapping[str, Any], key: UUID) -> None:
    """Set a rule; `path` says of which sort, such as `/v1/accept-rules`."""
    await link.post(path, ACCEPTED, body, key)


async def end_rule(link: Link, path: str, rule_id: UUID, key: UUID) -> None:
    """End a rule of a sort."""
    await link.post(f"{path}/{rule_id}:end", ACCEPTED, {}, key)
