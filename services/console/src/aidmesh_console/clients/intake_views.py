"""What intake shows the desk: requests and their needs, persons, what waits."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_console.clients.catalogue_views import CapacityTake, Limit, StockTake
from aidmesh_console.clients.link import Page, View

_PASSED_BY_MESSAGE: Final = frozenset({None, "sent"})
"""What is told of the message of a need whose person has it, or soon will."""


class BlockedBy(View):
    """What a waiting need waits for."""

    resource: str
    code: str


class Lack(View):
    """What else a waiting need lacked, and why."""

    blocked_by: BlockedBy
    wait: str


class EarlierNeed(View):
    """A need that counts against another; `on` is the day of its service, done or planned."""

    need_id: UUID
    kind: str
    quantity: int
    on: date
    served: bool


class Objection(View):
    """What speaks against approving a need.

    Attributes:
        limit: None for a duplicate.
        earlier: what was counted, the latest first; none where the need exceeds the limit alone.
        hidden: how many more were counted.
    """

    what: Literal["limit", "duplicate"]
    limit: Limit | None = None
    earlier: tuple[EarlierNeed, ...] = ()
    hidden: int = 0


class Need(View):
    """A need as lists show it: a band and dates, never the reasons.

    Attributes:
        message: what became of the message to the person, None before there was one.
        attention: a conflict that a person should look at.
        confirmed_start: it is served when its start is confirmed, after its appointment was kept.
        needed_until: where hours count, the instant after which it is of no use.
        ends_soon: it is not served, and its last day is today or tomorrow.
        to_come: whether the person has to come for it; None where that is not known.
    """

    need_id: UUID
    kind: str
    state: str
    band: str
    for_whom: str = "person"
    quantity: int
    place_area: str
    site_id: UUID | None
    at_site_id: UUID | None
    asked_on: date
    needed_by: date | None
    needed_until: datetime | None = None
    told_at: datetime | None
    message: str | None = None
    to_come: bool | None = None
    attention: str | None = None
    confirmed_start: bool = False
    attended_on: date | None = None
    ends_soon: bool = False

    @property
    def by_voice(self) -> bool:
        """Whether it is ready, and no message told its person, or soon will."""
        return (
            self.state == "ready"
            and self.told_at is None
            and self.message not in _PASSED_BY_MESSAGE
        )


class NeedPage(Page):
    """A page of needs; `next` is the cursor of the following one."""

    needs: tuple[Need, ...]


class Origin(View):
    """The offer of another region that a need was made of."""

    region: str
    referral_id: UUID


class Step(View):
    """One entry of a need's history.

    Attributes:
        overrode: the `limit` or `duplicate` that `staff_id` let it pass, for `override_reason`.
    """

    at: datetime
    note: str
    detail: str | None
    staff_id: UUID | None = None
    overrode: str | None = None
    override_reason: str | None = None


class Ask(View):
    """What a need takes; nothing at all for a service that intake itself records."""

    stock: tuple[StockTake, ...] = ()
    capacity: CapacityTake | None = None
    money: Mapping[str, JsonValue] | None = None

    @property
    def of_nothing(self) -> bool:
        """Whether nobody but intake has a part in it."""
        return not self.stock and self.capacity is None and self.money is None

    @property
    def pays_out(self) -> bool:
        """Whether a person is paid."""
        return self.money is not None and self.money.get("by") == "payout"


class NeedWhole(Need):
    """A need with its history; `ahead` is how many are served before it, `chosen` that somebody
    chose it to be served from elsewhere by rule."""

    request_id: UUID
    person_id: UUID | None
    household_id: UUID | None = None
    headcount: int | None
    ask: Ask
    blocked_by: BlockedBy | None
    wait: str | None
    also_lacks: Lack | None = None
    ahead: int | None
    served_on: date | None
    given: bool
    reason: str | None
    referred_from: Origin | None = None
    timeline: tuple[Step, ...]
    chosen: bool = False
    objection: Objection | None = None


class Answer(View):
    """An answer of triage and what it counts; hides itself in logs."""

    answer: str = Field(repr=False)
    yes: bool = Field(repr=False)
    points: int = Field(repr=False)


class Scored(View):
    """A need's points: of its kind and of the answers."""

    need_id: UUID
    points: int
    kind_points: int
    rule_version: int


class Reasons(View):
    """Why a request has its points; `reasons` says whether they are shown, none, or erased."""

    reasons: Literal["shown", "none", "erased"]
    needs: tuple[Scored, ...]
    answers: tuple[Answer, ...]
    answer_points: int | None
    note: PersonalText | None

    def of(self, need_id: UUID) -> Scored | None:
        """The points of one need."""
        return next((each for each in self.needs if each.need_id == need_id), None)


class Contact(View):
    """How a person may be reached."""

    channel: str
    address: PersonalText
    hours_from: str | None = None
    hours_to: str | None = None
    wording: str | None = None
    safe: bool = False
    marks: tuple[str, ...] = ()


class Details(View):
    """What is known of a person; hides itself wherever it is not asked to show."""

    client_code: PersonalText | None = None
    code_elsewhere: PersonalText | None = None
    chosen_name: PersonalText | None = None
    legal_name: PersonalText | None = None
    birth_year: PersonalYear | None = None
    contact: Contact | None = None
    note: PersonalText | None = None


class Person(View):
    """A person, for a caseworker; `version` is told back when they are changed.

    They belong to `household_ids`, their own record's and those of records merged into it."""

    person_id: UUID
    version: int
    details: Details
    languages: tuple[str, ...]
    area: str | None
    origin_area: str | None
    household_id: UUID | None = None
    household_ids: tuple[UUID, ...] = ()
    consents: Mapping[str, date]


class Household(View):
    """Who belongs to a household."""

    person_ids: tuple[UUID, ...]


class Merge(View):
    """A record behind another: proposed, or merged and in force.

    `households_differ` says that one of the two belongs to a household and the other does not."""

    merge_id: UUID
    person_id: UUID
    into_person_id: UUID
    state: Literal["proposed", "merged"]
    proposed_by: UUID | None
    proposed_at: datetime
    households_differ: bool = False


class Merges(Page):
    """A page of records behind others."""

    merges: tuple[Merge, ...]


class _NeedMade(View):
    need_id: UUID
    kind: str
    state: str


class Registered(View):
    """What became of a request; `person_id` is whom it is for, if it is for somebody."""

    request_id: UUID
    person_id: UUID | None
    needs: tuple[_NeedMade, ...]


class Waiting(View):
    """How many needs wait for the same thing."""

    resource: str
    code: str
    site_id: UUID | None
    area: str | None
    needs: int
    oldest_asked_on: date


class RowProblem(View):
    """Why a row of a file is not taken in: never the value itself."""

    line: int
    column: str
    rule: str


class Report(View):
    """What became of a file's rows, or would become of them."""

    state: str
    rows_total: int
    accepted: int
    skipped: int
    rejected: int
    problems: tuple[RowProblem, ...] = ()


class Waitlist(Page):
    """A page of what is waited for, the longest queues first."""

    rows: tuple[Waiting, ...] = Field(validation_alias="waiting")
