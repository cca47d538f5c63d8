"""What the desk asks of intake: kinds of need, persons, requests and needs."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.catalogue_views import Catalogue, Kind
from aidmesh_console.clients.intake_views import (
    Household,
    Merges,
    Need,
    NeedPage,
    NeedWhole,
    Person,
    Reasons,
    Registered,
    Report,
    Waiting,
    Waitlist,
)
from aidmesh_console.clients.link import ACCEPTED, ROWS_MAX, Link, Query, Refused, Upload, View


class _Found(View):
    person_id: UUID


_KINDS = TypeAdapter(Catalogue)
_KIND = TypeAdapter(Kind)
_NEEDS = TypeAdapter(NeedPage)
_NEED = TypeAdapter(NeedWhole)
_REASONS = TypeAdapter(Reasons)
_PERSON = TypeAdapter(Person)
_HOUSEHOLD = TypeAdapter(Household)
_FOUND = TypeAdapter(_Found)
_MERGES = TypeAdapter(Merges)
_REGISTERED = TypeAdapter(Registered)
_WAITLIST = TypeAdapter(Waitlist)
_REPORT = TypeAdapter(Report)
_COUNTS = TypeAdapter(dict[str, int])
_IMPORT_MS_MAX = 300_000


class Intake:
    """What the desk asks of intake."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def catalogue(self) -> Catalogue:
        """The catalogue, with kinds that have ended."""
        return await self.link.get("/v1/kinds", _KINDS)

    async def kind(self, code: str) -> Kind:
        """One kind of need."""
        return await self.link.get(f"/v1/kinds/{code}", _KIND)

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

    async def merges(self, person_id: UUID | None = None, after: str | None = None) -> Merges:
        """A page of what is to be confirmed; of one person also what was merged into them."""
        query: Query = {
            "limit": ROWS_MAX,
            "person_id": str(person_id) if person_id else None,
            "after": after,
        }
        return await self.link.get("/v1/merges", _MERGES, query)

    async def decide_merge(self, merge_id: UUID, step: str, key: UUID) -> None:
        """Confirm or withdraw what somebody proposed."""
        await self.link.post(f"/v1/merges/{merge_id}:{step}", ACCEPTED, key=key)

    async def unmerge(self, person_id: UUID, key: UUID) -> None:
        """Let a merged record stand for itself again."""
        await self.link.post(f"/v1/persons/{person_id}:unmerge", ACCEPTED, key=key)

    async def household(self, household_id: UUID) -> Household:
        """Who belongs to a household."""
        return await self.link.get(f"/v1/households/{household_id}", _HOUSEHOLD)

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
        attention: bool = False,
        to_tell: bool = False,
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
            "attention": attention or None,
            "to_tell": to_tell or None,
            "after": after,
            "limit": limit,
        }
        return await self.link.get("/v1/needs", _NEEDS, query)

    async def to_tell(self, rows_max: int) -> Sequence[Need]:
        """The first `rows_max` ready needs whose person no message reached, most urgent first."""
        found: list[Need] = []
        async for page in self.link.pages("/v1/needs", _NEEDS, {"to_tell": True}):
            found += [each for each in page.needs if each.by_voice]
            if len(found) >= rows_max:
                break
        return found[:rows_max]

    async def need(self, need_id: UUID) -> NeedWhole:
        """One need with its history."""
        return await self.link.get(f"/v1/needs/{need_id}", _NEED)

    async def reasons(self, request_id: UUID) -> Reasons:
        """A request's answers and note; intake remembers who looked."""
        return await self.link.get(f"/v1/requests/{request_id}", _REASONS)

    async def counts(self, states: Sequence[str]) -> Mapping[str, int]:
        """How many needs are in each of some states."""
        return await self.link.get("/v1/needs-by-state", _COUNTS, {"state": states})

    async def waitlist(self, after: str | None = None) -> Waitlist:
        """A page of what needs wait for, the longest queues first."""
        return await self.link.get("/v1/waitlist", _WAITLIST, {"limit": ROWS_MAX, "after": after})

    async def queues(self) -> Sequence[Waiting]:
        """All of what needs wait for, the longest queues first."""
        pages = self.link.pages("/v1/waitlist", _WAITLIST)
        return [each async for page in pages for each in page.rows]

    async def act(self, need_id: UUID, step: str, body: Mapping[str, Any], key: UUID) -> None:
        """Approve, tell, cancel, serve and so on: `step` is its name."""
        await self.link.post(f"/v1/needs/{need_id}:{step}", ACCEPTED, body, key)
