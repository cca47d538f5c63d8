"""Errors as callers see them: RFC 9457 problem details with a stable `type` that say what to do.

    Problem                 raised anywhere below a route; rendered by `problem_handlers`
    └── Locked (keys.py)    the key for personal data is not loaded

A `ProblemType` is a row of a catalogue: the chassis's own are in `PROBLEMS`, each service lists
its own beside its API, and the documentation is generated from both. Nothing of a problem may
hold personal data: `detail` is written by us, and of a rejected body only the names of fields
and the rules they broke are told, never a value.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 50
"""How many rejected fields one answer names."""


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: what documentation and clients can rely on.

    `what_to_do` is the default detail and speaks to the person or program that called.
    """

    slug: str
    status: int
    title: str
    what_to_do: str

    @property
    def uri(self) -> str:
        """The stable `type` member."""
        return f"urn:aidmesh:problem:{self.slug}"


def _chassis(slug: str, status: HTTPStatus, title: str, what_to_do: str) -> ProblemType:
    return ProblemType(slug, int(status), title, what_to_do)


MALFORMED = _chassis(
    "malformed-request",
    HTTPStatus.BAD_REQUEST,
    "The request cannot be read",
    "Send well-formed UTF-8 JSON without NUL characters, and header values as documented.",
)
UNAUTHENTICATED = _chassis(
    "unauthenticated",
    HTTPStatus.UNAUTHORIZED,
    "Sign in first",
    "Send a valid bearer token of this region; sign in again if it has run out.",
)
FORBIDDEN = _chassis(
    "forbidden",
    HTTPStatus.FORBIDDEN,
    "Your role does not allow this",
    "Ask someone with one of the named roles, or ask a lead to give you one.",
)
NOT_FOUND = _chassis(
    "not-found",
    HTTPStatus.NOT_FOUND,
    "There is nothing here",
    "Check the address and the id; what belongs to another region is asked for there.",
)
METHOD_NOT_ALLOWED = _chassis(
    "method-not-allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This cannot be done here",
    "Use one of the methods named in the Allow header.",
)
CONFLICT = _chassis(
    "conflict",
    HTTPStatus.CONFLICT,
    "Something changed in the meantime",
    "Load it again, look at what changed, then decide again.",
)
IN_PROGRESS = _chassis(
    "in-progress",
    HTTPStatus.CONFLICT,
    "The first attempt is still running",
    "Wait as long as Retry-After says, then repeat the same request with the same key.",
)
TOO_LARGE = _chassis(
    "body-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large",
    "Send fewer rows at once, or use the bulk form of this route.",
)
UNSUPPORTED_MEDIA = _chassis(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "This kind of content is not understood",
    "Send the Content-Type that the documentation of this route names.",
)
INVALID = _chassis(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Some fields are not acceptable",
    "Correct the fields named under errors and send the request again.",
)
KEY_REUSED = _chassis(
    "idempotency-key-reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "This Idempotency-Key was used for another request",
    "Use a new key for a new request; repeat a request unchanged under its own key.",
)
LOCKED = _chassis(
    "locked",
    HTTPStatus.LOCKED,
    "Personal data is locked",
    "Have the on-call operator run `aidmesh unlock`; work that needs no personal data goes on.",
)
PEER_KEY_UNKNOWN = _chassis(
    "peer-key-unknown",
    HTTPStatus.CONFLICT,
    "Nothing can be sealed for this region yet",
    "Its key comes with its events as soon as the link to it is up; `region` says whose. Try again "
    "then.",
)
REGION_GONE = _chassis(
    "region-gone",
    HTTPStatus.CONFLICT,
    "This region is gone",
    "It was declared lost or has retired; choose another one. `region` says which.",
)
TOO_MANY = _chassis(
    "too-many-requests",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many attempts",
    "Wait as long as Retry-After says, then try again.",
)
UNEXPECTED = _chassis(
    "unexpected",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something went wrong on our side",
    "Repeat the request with the same Idempotency-Key; if it fails again, give the on-call "
    "operator the correlation id.",
)
UNAVAILABLE = _chassis(
    "unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Not available right now",
    "Wait as long as Retry-After says, then repeat the request with the same Idempotency-Key.",
)
TOOK_TOO_LONG = _chassis(
    "took-too-long",
    HTTPStatus.GATEWAY_TIMEOUT,
    "The request took too long and was stopped",
    "Repeat it with the same Idempotency-Key, with fewer rows if it has many.",
)

PROBLEMS: Final[tuple[ProblemType, ...]] = (
    MALFORMED,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    CONFLICT,
    IN_PROGRESS,
    TOO_LARGE,
    UNSUPPORTED_MEDIA,
    INVALID,
    KEY_REUSED,
    LOCKED,
    PEER_KEY_UNKNOWN,
    REGION_GONE,
    TOO_MANY,
    UNEXPECTED,
    UNAVAILABLE,
    TOOK_TOO_LONG,
)
"""The chassis's part of the catalogue."""

_BY_STATUS: Final[Mapping[int, ProblemType]] = {
    kind.status: kind
    for kind in PROBLEMS
    if kind not in (IN_PROGRESS, KEY_REUSED, PEER_KEY_UNKNOWN, REGION_GONE)
}


class Problem(Exception):
    """An answer that is not a success. Free of personal data, `detail` and `extra` too.

    `detail` says what to do, the type's own words by default; `extra` are further members.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: JsonValue,
    ) -> None:
        super().__init__(kind.slug)
        self.kind = kind
        self.detail = kind.what_to_do if detail is None else detail
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self) -> dict[str, JsonValue]:
        """The members as they are sent."""
        return {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> Response:
        """The whole answer."""
        return JSONResponse(
            self.body(),
            status_code=self.kind.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def retry_after(kind: ProblemType, seconds: int) -> Problem:
    """A problem that passes by itself; `seconds` is when it is worth trying again."""
    return Problem(kind, headers={"Retry-After": str(max(1, seconds))})


# A key of a rejected object comes from the caller, so it is named only if it looks like the name
# of a field; anything else (a phone number as a key, say) is masked.
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]{0,63}")
# Facts about the rule, fixed in our code, that pydantic passes along; the rest of its context
# and its messages may repeat the input.
_RULE_FACTS: Final = {
    "ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "max_digits",
    "decimal_places", "pattern", "expected",
}  # fmt: skip


def rejected_fields(errors: Iterable[Mapping[str, object]]) -> list[JsonValue]:
    """Of pydantic's errors, the names of the fields and the rules they broke: never a value."""
    told: list[JsonValue] = []
    for error in errors:
        location = error.get("loc")
        parts = location if isinstance(location, tuple | list) else ()
        row: dict[str, JsonValue] = {
            "field": ".".join(
                str(part) if isinstance(part, int) or _FIELD.fullmatch(str(part)) else "***"
                for part in parts
            ),
            "rule": str(error.get("type")),
        }
        context = error.get("ctx")
        if isinstance(context, Mapping):
            row.update(
                (name, fact if isinstance(fact, int | float | str) else str(fact))
                for name, fact in context.items()
                if name in _RULE_FACTS
            )
        told.append(row)
        if len(told) == ERRORS_MAX:
            break
    return told


def problem_of_status(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem that goes with an HTTP status that a library answered with."""
    kind = _BY_STATUS.get(status)
    if kind is None:
        try:
            title = HTTPStatus(status).phrase
        except ValueError:
            title = "Error"
        kind = ProblemType(f"http-{status}", status, title, "See the HTTP status.")
    return Problem(kind, headers=headers)
