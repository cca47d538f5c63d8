"""Intake as the desk sees it: kinds of need, persons, requests and needs."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, JsonValue, TypeAdapter

from aidmesh_chassis.privacy import PersonalText, PersonalYear
from aidmesh_console.clients.link import ACCEPTED, Link, Query, Refused, Upload, View


class StockTake(View):
    """Pieces of an item for each unit of a need."""

    item: str
    quantity: int = 1


class CapacityTake(View):
    """A bed, or a slot with a professional."""

    resource: Literal["bed", "slot"]
    code: str
    minutes: int | None = None


class Price(View):
    """What one unit costs from a day on."""

    from_on: date
    amount_minor: int
    currency: str = "UAH"


class MoneyTake(View):
    """Money for each unit; `payout` pays the person."""

    prices: tuple[Price, ...] = ()
    by: Literal["payout", "provider"]
    amount_given: bool = False
    amount_minor_max: int | None = None

    @property
    def currency(self) -> str:
        """The currency of the latest price."""
        return self.prices[-1].currency if self.prices else "UAH"

    def price_on(self, day: date) -> Price | None:
        """The price of a day."""
        begun = [price for price in self.prices if price.from_on <= day]
        return max(begun or self.prices, key=lambda price: price.from_on, default=None)


class Kind(View):
    """One kind of need of the catalogue."""

    code: str
    names: Mapping[str, str]
    programme: str
    sensitivity: str = "none"
    for_whom: tuple[str, ...] = ("person", "household")
    headcount: bool = False
    stock: tuple[StockTake, ...] = ()
    capacity: CapacityTake | None = None
    money: MoneyTake | None = None
    unit: str = "piece"
    within_hours: int | None = None
    active: bool = True


class BlockedBy(View):
    """What a waiting need waits for."""

    resource: str
    code: str


class Need(View):
    """A need as lists show it: a band and dates, never the reasons.

    Attributes:
        message: what became of the message to the person, None before there was one.
        attention: a conflict that a person should look at.
        confirmed_start: it is served when its start is confirmed, after its appointment was kept.
        needed_until: where hours count, the instant after which it is of no use.
        ends_soon: it is not served, and its last day is today or tomorrow.
    """

    need_id: UUID
    kind: str
    state: str
    band: str
    quantity: int
    place_area: str
    site_id: UUID | None
    at_site_id: UUID | None
    asked_on: date
    needed_by: date | None
    needed_until: datetime | None = None
    told_at: datetime | None
    message: str | None = None
    attention: str | None = None
    confirmed_start: bool = False
    attended_on: date | None = None
    ends_soon: bool = False


class NeedPage(View):
    """A page of needs; `next` is the cursor of the following one."""

    needs: tuple[Need, ...]
    next: str | None


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
    headcount: int | None
    ask: Ask
    blocked_by: BlockedBy | None
    wait: str | None
    ahead: int | None
    served_on: date | None
    given: bool
    reason: str | None
    timeline: tuple[Step, ...]
    chosen: bool = False


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


class Details(View):
    """What is known of a person; hides itself wherever it is not asked to show."""

    client_code: PersonalText | None = None
    chosen_name: PersonalText | None = None
    legal_name: PersonalText | None = None
    birth_year: PersonalYear | None = None
    contact: Contact | None = None
    note: PersonalText | None = None


class Person(View):
    """A person, for a caseworker; `version` is told back when they are changed."""

    person_id: UUID
    version: int
    details: Details
    languages: tuple[str, ...]
    area: str | None
    origin_area: str | None
    household_id: UUID | None = None
    consents: Mapping[str, date]


class Merge(View):
    """A record behind another: proposed, or merged and in force."""

    merge_id: UUID
    person_id: UUID
    into_person_id: UUID
    state: Literal["proposed", "merged"]
    proposed_by: UUID | None
    proposed_at: datetime


class _Merges(View):
    merges: tuple[Merge, ...]


class _Found(View):
    person_id: UUID


class _NeedMade(View):
    need_id: UUID
    kind: str
    state: str


class Registered(View):
    """What became of a request."""

    request_id: UUID
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


class _Kinds(View):
    kinds: tuple[Kind, ...]


class Waitlist(View):
    """A page of what is waited for, the longest queues first."""

    rows: tuple[Waiting, ...] = Field(validation_alias="waiting")
    next: str | None = None


_KINDS = TypeAdapter(_Kinds)
_NEEDS = TypeAdapter(NeedPage)
_NEED = TypeAdapter(NeedWhole)
_REASONS = TypeAdapter(Reasons)
_PERSON = TypeAdapter(Person)
_FOUND = TypeAdapter(_Found)
_MERGES = TypeAdapter(_Merges)
_REGISTERED = TypeAdapter(Registered)
_WAITLIST = TypeAdapter(Waitlist)
_REPORT = TypeAdapter(Report)
_COUNTS = TypeAdapter(dict[str, int])
_IMPORT_MS_MAX = 300_000
ROWS_MAX = 200
"""How many rows of a list intake gives at once."""


class Intake:
    """What the desk asks of intake."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def kinds(self) -> tuple[Kind, ...]:
        """The catalogue, as far as new requests may name it."""
        answer = await self.link.get("/v1/kinds", _KINDS)
        return tuple(kind for kind in answer.kinds if kind.active)

    async def find(self, client_code: str) -> UUID | None:
        """The person of a client code, None if there is none here."""
        body = {"client_code": client_code}
        try:
            return (await self.link.post("/v1/persons:find", _FOUND, body)).person_id
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def person(self, person_id: UUID) -> Person:
        """A person's details; intake remembers who looked."""
        return await self.link.get(f"/v1/persons/{person_id}", _PERSON)

    async def change_person(self, person_id: UUID, body: Mapping[str, Any]) -> None:
        """Write a person anew; refused if somebody else did since `version`."""
        await self.link.put(f"/v1/persons/{person_id}", ACCEPTED, body)

    async def merge(self, person_id: UUID, into: UUID, key: UUID) -> None:
        """Say that two records are one person; somebody else confirms it, `into` for both."""
        body = {"into_person_id": str(into)}
        await self.link.post(f"/v1/persons/{person_id}:merge", ACCEPTED, body, key)

    async def merges(self, person_id: UUID | None = None) -> Sequence[Merge]:
        """What is to be confirmed; of one person also what was merged into them."""
        query: Query = {"limit": ROWS_MAX, "person_id": str(person_id) if person_id else None}
        return (await self.link.get("/v1/merges", _MERGES, query)).merges

    async def decide_merge(self, merge_id: UUID, step: str, key: UUID) -> None:
        """Confirm or withdraw what somebody proposed."""
        await self.link.post(f"/v1/merges/{merge_id}:{step}", ACCEPTED, key=key)

    async def unmerge(self, person_id: UUID, key: UUID) -> None:
        """Let a merged record stand for itself again."""
        await self.link.post(f"/v1/persons/{person_id}:unmerge", ACCEPTED, key=key)

    async def leave(self, household_id: UUID, person_id: UUID, key: UUID) -> None:
        """A person belongs to their household no more."""
        body = {"person_ids": [str(person_id)]}
        await self.link.post(f"/v1/households/{household_id}:leave", ACCEPTED, body, key)

    async def erase(self, person_id: UUID, key: UUID) -> None:
        """Erase a person, for good."""
        await self.link.post(f"/v1/persons/{person_id}:erase", ACCEPTED, key=key)

    async def take_in(
        self, file: Upload, source: str, mapping: str, key: UUID, *, dry_run: bool
    ) -> Report:
        """Take a file of requests in, or only say what would become of it."""
        query: Query = {"source": source, "format": file.format, "dry_run": dry_run}
        return await self.link.send_file(
            "/v1/requests:import", _REPORT, file, {"mapping": mapping}, query, key, _IMPORT_MS_MAX
        )

    async def register(self, request: Mapping[str, Any], key: UUID) -> Registered:
        """Enter a request with its needs, and the person where they are new."""
        return await self.link.post("/v1/requests", _REGISTERED, request, key)

    async def correct_payee(self, need_id: UUID, payee: Mapping[str, Any], key: UUID) -> None:
        """Seal new payee details of a need to the paying office."""
        await self.link.post(f"/v1/needs/{need_id}:correct-payee", ACCEPTED, payee, key)

    async def needs(
        self,
        *,
        states: Sequence[str] = (),
        kind: str | None = None,
        area: str | None = None,
        band: str | None = None,
        person_id: UUID | None = None,
        request_id: UUID | None = None,
        to_tell: bool = False,
        attention: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> NeedPage:
        """A page of needs, the most urgent first."""
        query: Query = {
            "state": states or None,
            "kind": kind,
            "area": area,
            "band": band,
            "person_id": str(person_id) if person_id else None,
            "request_id": str(request_id) if request_id else None,
            "to_tell": to_tell or None,
            "attention": attention or None,
            "after": after,
            "limit": limit,
        }
        return await self.link.get("/v1/needs", _NEEDS, query)

    async def need(self, need_id: UUID) -> NeedWhole:
        """One need with its history."""
        return await self.link.get(f"/v1/needs/{need_id}", _NEED)

    async def reasons(self, request_id: UUID) -> Reasons:
        """A request's answers and note; intake remembers who looked."""
        return await self.link.get(f"/v1/requests/{request_id}", _REASONS)

    async def counts(self) -> Mapping[str, int]:
        """How many needs are in each state."""
        return await self.link.get("/v1/needs-by-state", _COUNTS)

    async def waitlist(self, after: str | None = None) -> Waitlist:
        """A page of what needs wait for, the longest queues first."""
        return await self.link.get("/v1/waitlist", _WAITLIST, {"limit": ROWS_MAX, "after": after})

    async def act(self, need_id: UUID, step: str, body: Mapping[str, Any], key: UUID) -> None:
        """Approve, tell, cancel, serve and so on: `step` is its name."""
        await self.link.post(f"/v1/needs/{need_id}:{step}", ACCEPTED, body, key)
