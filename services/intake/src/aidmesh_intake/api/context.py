"""What every route works with."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from aidmesh_chassis.auth import Caller, Role, require
from aidmesh_chassis.db import Database
from aidmesh_chassis.erasures import Journal
from aidmesh_chassis.peers import LinkOf
from aidmesh_chassis.problems import CONFLICT, INVALID, NOT_FOUND, Problem, ProblemType
from aidmesh_intake.domain.asks import AskError
from aidmesh_intake.domain.limits import Override
from aidmesh_intake.domain.need import NotAllowed
from aidmesh_intake.handlers.acting import Outcome
from aidmesh_intake.store.catalogue import Catalogue
from aidmesh_intake.vault import Vault

IMPORTS_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True)
class Context:
    """Put together by `app.build`.

    Attributes:
        link: whether another region is heard.
        import_turns: each import takes two connections of the pool; others wait for their turn.
        lookups_day_max: how many blind queries a region is sent within 24 hours.
        erasures: the list that outlives backups.
    """

    region: str
    database: Database
    vault: Vault
    catalogue: Catalogue
    import_turns: asyncio.Semaphore
    link: LinkOf
    lookups_day_max: int
    erasures: Journal


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Ctx = Annotated[Context, Depends(_context)]
Caseworker = Annotated[Caller, Depends(require(Role.CASEWORKER, Role.LEAD))]
Lead = Annotated[Caller, Depends(require(Role.LEAD))]
Staff = Annotated[Caller, Depends(require())]
Teller = Annotated[Caller, Depends(require(Role.CASEWORKER, Role.LEAD, Role.LOGISTICIAN))]

STEP_NOT_ALLOWED: Final = ProblemType(
    "step-not-allowed",
    409,
    "The need's state does not allow this",
    "Load the need again, look where it stands now (`rule` says what is in the way), then decide.",
)
HINDERED: Final = ProblemType(
    "needs-a-decision",
    409,
    "A limit or a duplicate speaks against this",
    "Look at what the person got before; to approve all the same, somebody else than who entered"
    " the request, or a lead, repeats it with `override_reason`.",
)
SECOND_PERSON: Final = ProblemType(
    "second-person-needed",
    409,
    "This takes a second person",
    "Ask a colleague or a lead to look at it and do this step: nobody decides it alone about what"
    " they entered themselves.",
)
NO_CONSENT: Final = ProblemType(
    "no-consent-to-referral",
    409,
    "The person has not agreed to be referred",
    "Ask them whether another region may be told of them, and record their consent; only then"
    " refer them.",
)
PERSON_ERASED: Final = ProblemType(
    "person-erased",
    410,
    "This person was erased",
    "Names, codes and contacts are gone for good. What was given stays as a count; if they come"
    " back, register them anew.",
)
OTHER_HOUSEHOLD: Final = ProblemType(
    "other-household",
    409,
    "The person does not belong to this household",
    "If they moved, let them leave their household or join this one (`:leave`, `:join`), then send"
    " the request again; if not, name their own household, or none.",
)
RULE_IN_FORCE: Final = ProblemType(
    "rule-in-force",
    409,
    "There is a rule for this already",
    "End it first.",
)
NO_CONSENT_TO_LOOKUP: Final = ProblemType(
    "no-consent-to-lookup",
    409,
    "The person has not agreed to be looked for",
    "Ask them whether other regions may be asked if they are known there, and record their"
    " consent; only then ask.",
)
LINK_NOT_ALLOWED: Final = ProblemType(
    "link-not-allowed",
    409,
    "This cannot be done with this query or link",
    "`rule` says why: it is over, was said or asked before, or the record has nothing to compare.",
)
TOO_MANY_LOOKUPS: Final = ProblemType(
    "too-many-lookups",
    429,
    "This region was asked as often as it answers in a day",
    "Ask again tomorrow. The limit keeps whoever steals a key from trying out telephone numbers.",
)
CATALOGUE_FULL: Final = ProblemType(
    "catalogue-full",
    409,
    "The catalogue has as many kinds of need as it may have",
    "Change a kind that is no longer used (`active` is false) instead of adding one.",
)
UNMAPPED: Final = ProblemType(
    "unmapped-columns",
    422,
    "Some columns of the file are not known",
    "Map each of the named columns to a field, or list it under `ignore`; then send it again."
    " `***` stands for their names where no column is known, since the first line may be"
    " somebody's data: if it does hold names, set `header` to true in the mapping to be told them.",
)
UNREADABLE: Final = ProblemType(
    "unreadable-file",
    422,
    "The file cannot be read",
    "Send CSV or NDJSON in UTF-8, or XLSX, with one header line, and name the format.",
)
ROW_CHANGED: Final = ProblemType(
    "row-changed",
    409,
    "This row was sent before with other content",
    "Correct what it recorded through the need's own route, or give a new row a new row_id.",
)
PROBLEMS: Final = (
    STEP_NOT_ALLOWED,
    HINDERED,
    SECOND_PERSON,
    NO_CONSENT,
    PERSON_ERASED,
    OTHER_HOUSEHOLD,
    RULE_IN_FORCE,
    NO_CONSENT_TO_LOOKUP,
    LINK_NOT_ALLOWED,
    TOO_MANY_LOOKUPS,
    CATALOGUE_FULL,
    UNMAPPED,
    UNREADABLE,
    ROW_CHANGED,
)
"""Intake's part of the catalogue of problems."""


def kind_of(outcome: Outcome) -> ProblemType:
    """The problem of a step that was not done though the need is there."""
    if outcome.own:
        return SECOND_PERSON
    return HINDERED if outcome.hindered else STEP_NOT_ALLOWED


def override_by(caller: Caller, reason: str | None) -> Override | None:
    """The caller answers for what limits and duplicates say, if they gave a reason."""
    if reason is None:
        return None
    return Override(reason, caller.staff_id, as_lead=Role.LEAD in caller.roles)


def not_allowed(error: NotAllowed) -> Problem:
    """A step that came too late or too early."""
    return Problem(STEP_NOT_ALLOWED, rule=error.rule)


def invalid(field: str, rule: str) -> Problem:
    """A field that breaks a rule of the domain."""
    return Problem(INVALID, errors=[{"field": field, "rule": rule}])


def unfit(error: AskError, place: str) -> Problem:
    """A need that does not fit its kind."""
    return invalid(f"{place}.{error.field}", error.rule)


def not_found() -> Problem:
    """Nothing of that id, or nothing that this caller may see."""
    return Problem(NOT_FOUND)


def stale() -> Problem:
    """Someone else changed it first."""
    return Problem(CONFLICT)


def only(found: Collection[object]) -> None:
    """Refuse when a lookup found nothing."""
    if not found:
        raise not_found()
