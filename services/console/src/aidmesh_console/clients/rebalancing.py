"""Money between regions as the desk sees it: proposals, asks, and giving back."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import Field, TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View
from aidmesh_console.clients.peers import LinkState


class Proposal(View):
    """What this region proposed to a holder of its grant.

    Attributes:
        prepared_minor: what somebody there wants to give back.
        hindrance: the problem that keeps the money from going on.
        is_overdue: the time is over, and the holder was not heard.
        arrived: what went on is there.
        as_of, link: when the holder was last heard of it, and whether it is heard.
        to_link: whether the region is heard that it goes on to.
    """

    id: UUID
    grant_id: UUID
    grant_code: str
    budget_line: str
    holder: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    state: str
    proposed_by: UUID | None = None
    signed_by: UUID | None = None
    prepared_minor: int | None = None
    answer_reason: str | None = None
    returned_minor: int | None = None
    hindrance: str | None = None
    lapses_at: datetime
    proposed_at: datetime
    is_overdue: bool = False
    arrived: bool = False
    as_of: datetime | None = None
    link: LinkState | None = None
    to_link: LinkState | None = None


class Proposals(Page):
    """A page of proposals."""

    rows: tuple[Proposal, ...] = Field(validation_alias="rebalancings")


class Ask(View):
    """What a grantor asks of this region's money; `state` is None of money that would come here.

    Attributes:
        told_state: what the grantor said last.
        booked: the grantor has what went back.
        as_of, link: when the grantor told of it last, and whether it is heard.
    """

    id: UUID
    grant_code: str | None = None
    budget_line: str | None = None
    grantor: str
    holder: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    told_state: str
    state: str | None = None
    prepared_minor: int | None = None
    prepared_by: UUID | None = None
    answer_reason: str | None = None
    free_minor: int | None = None
    lapses_at: datetime
    booked: bool = False
    as_of: datetime | None = None
    link: LinkState | None = None


class Asks(Page):
    """A page of asks."""

    rows: tuple[Ask, ...] = Field(validation_alias="asks")


_PROPOSALS = TypeAdapter(Proposals)
_ASKS = TypeAdapter(Asks)


class Rebalancing:
    """What the desk asks of payments about money that moves between holders."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def proposals(self, after: str | None = None) -> Proposals:
        """What this region proposed, the newest first."""
        return await self.link.get("/v1/rebalancings", _PROPOSALS, {"after": after})

    async def asks(self, after: str | None = None) -> Asks:
        """What is asked of this region, and what would come here; the newest first."""
        return await self.link.get("/v1/return-asks", _ASKS, {"after": after})

    async def propose(self, body: Mapping[str, object], key: UUID) -> None:
        """Propose that a holder gives money back for another one."""
        await self.link.post("/v1/rebalancings", ACCEPTED, body, key)

    async def act(self, proposal_id: UUID, step: str, key: UUID) -> None:
        """Sign, withdraw, try again or keep: `step` is its name."""
        await self.link.post(f"/v1/rebalancings/{proposal_id}:{step}", ACCEPTED, key=key)

    async def answer(
        self, proposal_id: UUID, step: str, body: Mapping[str, object], key: UUID
    ) -> None:
        """Prepare, consent or decline: `step` is its name."""
        await self.link.post(f"/v1/return-asks/{proposal_id}:{step}", ACCEPTED, body, key)

    async def act_on_allotment(
        self, allotment_id: UUID, step: str, body: Mapping[str, object], key: UUID
    ) -> None:
        """Return free money, or recall what another region has: `step` is its name."""
        await self.link.post(f"/v1/allotments/{allotment_id}:{step}", ACCEPTED, body, key)
