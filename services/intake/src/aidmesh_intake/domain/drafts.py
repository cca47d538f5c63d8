"""A request as it was asked for, before it is taken in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from aidmesh_intake.domain.asks import Ask
from aidmesh_intake.domain.dates import PlannedAs
from aidmesh_intake.domain.kinds import ForWhom, Kind
from aidmesh_intake.domain.persons import Consents, Details, Payee


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """Someone a request is for: found by code if they are known, else made."""

    details: Details
    languages: tuple[str, ...] = ()
    area: str | None = None
    origin_area: str | None = None
    household_code: str | None = None
    consents: Consents | None = None

    @property
    def is_somebody(self) -> bool:
        """Whether anything is said of a person, and not only where a household is, say."""
        return self.details != Details() or bool(self.consents)


@dataclass(frozen=True, slots=True)
class NeedDraft:
    """One need of a request, checked against its kind.

    Attributes:
        needed_until: where hours count, the instant after which it is of no use.
    """

    id: UUID
    kind: Kind
    quantity: int
    ask: Ask
    planned_on: date
    needed_by: date | None
    place_area: str
    site_id: UUID | None
    payee: Payee | None = None
    headcount: int | None = None
    given_on: date | None = None
    needed_until: datetime | None = None
    planned_as: PlannedAs = PlannedAs.COMING


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it was asked for.

    Attributes:
        person: one who is registered, what is said of someone or of a household, or None.
        site_id: the site that it is for, or where it was asked for.
        answers: of triage.
    """

    id: UUID
    for_whom: ForWhom
    person: UUID | PersonDraft | None
    household_id: UUID | None
    site_id: UUID | None
    source: str
    asked_on: date
    caseworker: UUID | None
    needs: tuple[NeedDraft, ...]
    answers: Mapping[str, bool]
    note: str | None = None

    @property
    def described(self) -> PersonDraft | None:
        """Whom it describes, to be found or made: of a household that only has its code, nobody."""
        if not isinstance(self.person, PersonDraft):
            return None
        if self.for_whom is ForWhom.HOUSEHOLD and not self.person.is_somebody:
            return None
        return self.person

    @property
    def has_reasons(self) -> bool:
        """Whether anything was said that is kept encrypted."""
        return bool(self.answers) or self.note is not None
