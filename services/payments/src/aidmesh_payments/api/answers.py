"""What routes answer, as `/docs` shows it: the base of all, and what concerns several regions.

Amounts are in minor units of their currency. A field of a row that is not here is an error, not a
field less: the tests find it.
"""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_chassis.peers import LinkState


class Answer(BaseModel):
    """Base of all of them."""

    model_config = ConfigDict(extra="forbid")


class Page(Answer):
    """`next` is the cursor of the page that follows."""

    next: str | None


class Regions(Page):
    """Whom money may be allotted to: `region` is the own one."""

    region: str
    regions: list[str]


class Standing(Answer):
    """How a region stands that is or was gone, since when, and from which epoch on it is heard."""

    region: str
    standing: str
    epoch: int
    since: datetime


class Declaration(Answer):
    """A region that a lead holds for lost, until another one decides."""

    region: str
    reason: str
    asked_by: UUID
    asked_at: datetime


class Reissue(Answer):
    """What was taken back of a lost region's allotment, by figures of `figures_as_of`."""

    allotment_id: UUID
    epoch: int
    holder: str
    amount_minor: int
    currency: str
    figures_as_of: datetime | None
    booked_at: datetime


class Debt(Answer):
    """What this region owes of an allotment since it was held for lost."""

    allotment_id: UUID
    grantor: str
    currency: str
    owed_minor: int


class Standings(Answer):
    """How regions stand; `left_out` names the lists that have more."""

    standings: list[Standing]
    asked: list[Declaration]
    reissued: list[Reissue]
    owed: list[Debt]
    left_out: list[str]


class Offer(Answer):
    """Money of an own grant that could go there; of a `holder`, that could be proposed to it.

    Attributes:
        is_plain: its donor restricts nothing but programmes and time; else a person has to say
            whether it fits.
        as_of, link: when a `holder` said so, and whether it is heard.
    """

    grant_id: UUID
    grant_code: str | None
    budget_line: str
    allotment_id: UUID | None
    holder: str | None
    amount_minor: int
    free_minor: int
    is_plain: bool
    as_of: datetime | None
    link: LinkState | None


class Wait(Answer):
    """What is waited for in a region.

    Attributes:
        chosen_minor: of it for needs that somebody chose to be served from elsewhere by rule.
        coming_minor: what was sent for it or is proposed.
    """

    region: str
    programme: str
    currency: str
    amount_minor: int
    chosen_minor: int
    coming_minor: int
    as_of: datetime
    link: LinkState | None
    offers: list[Offer]


class WaitPage(Page):
    """What is waited for, by region."""

    waits: list[Wait]


class WaitRule(Answer):
    """A rule in force; `given_minor` is what it moved or proposed within seven days."""

    rule_id: UUID
    programme: str | None
    currency: str
    regions: list[str] | None
    keep_minor: int
    move_max_minor: int
    week_max_minor: int
    chosen_only: bool
    set_at: datetime
    set_by: UUID
    given_minor: int


class WaitRulePage(Page):
    """Rules in force, the oldest first."""

    rules: list[WaitRule]


class Rebalancing(Answer):
    """What this region proposed to a holder of its grant.

    Attributes:
        proposed_by: None for a rule.
        prepared_minor: what somebody there wants to give back.
        hindrance: the problem that keeps the money from going on.
        is_overdue: the time is over, and the holder was not heard.
        arrived: what went on is there.
        as_of, link: when the holder was last heard of it, and whether it is heard now.
        to_link: whether the region is heard to which it goes on.
    """

    id: UUID
    grant_id: UUID
    grant_code: str
    budget_line: str
    allotment_id: UUID
    holder: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    state: str
    proposed_by: UUID | None
    signed_by: UUID | None
    prepared_minor: int | None
    answer_reason: str | None
    returned_minor: int | None
    hindrance: str | None
    lapses_at: datetime
    proposed_at: datetime
    changed_at: datetime
    is_overdue: bool
    arrived: bool
    as_of: datetime | None
    link: LinkState | None
    to_link: LinkState | None


class RebalancingPage(Page):
    """Proposals, the newest first."""

    rebalancings: list[Rebalancing]


class ReturnAsk(Answer):
    """What a grantor asks of this region's money, or would send here.

    Attributes:
        told_state: what the grantor said last.
        state: None of what another region decides.
        booked: the grantor has what went back.
        as_of, link: when the grantor told of it last, and whether it is heard now.
    """

    id: UUID
    grant_id: UUID
    grant_code: str | None
    budget_line: str | None
    allotment_id: UUID
    grantor: str
    holder: str
    to_region: str
    amount_minor: int
    currency: str
    reason: str
    told_state: str
    state: str | None
    prepared_minor: int | None
    prepared_by: UUID | None
    decided_by: UUID | None
    answer_reason: str | None
    lapses_at: datetime
    heard_at: datetime
    changed_at: datetime
    free_minor: int | None
    booked: bool
    as_of: datetime
    link: LinkState | None


class ReturnAskPage(Page):
    """What is asked, the newest first."""

    asks: list[ReturnAsk]
