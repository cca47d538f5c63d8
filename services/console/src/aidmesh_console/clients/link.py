"""One service over HTTP: bounded, with the token of whoever is signed in.

ClientError
├── Refused   the service said no, with a problem (RFC 9457)
└── Away      it did not answer, or not in a way that the desk understands
    └── NotAsked  it was not asked: the form is only to be shown again
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from structlog.contextvars import get_contextvars

from aidmesh_chassis.logs import TRACEPARENT, get_logger

log = get_logger()

T = TypeVar("T")
P = TypeVar("P", bound="Page")
_SLUG: Final = "urn:aidmesh:problem:"
Query = Mapping[str, str | int | bool | Sequence[str] | None]
ROWS_MAX: Final = 200
"""How many rows of a list a service gives at once."""
PAGES_MAX: Final = 25
"""How many pages of one list are put together; what does not fit is said on the page."""


class View(BaseModel):
    """What the desk reads of an answer; fields that it does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Page(View):
    """A page of a list; `next` is the cursor of the following one."""

    next: str | None = None


class Fault(View):
    """One field that a service did not accept, and the rule it broke."""

    field: str = ""
    rule: str = ""


class _ProblemBody(View):
    type: str = "about:blank"
    errors: tuple[Fault, ...] = ()
    columns: tuple[str, ...] = ()
    rule: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way through the desk; only ever in memory.

    Attributes:
        format: `csv`, `xlsx` or `ndjson`.
    """

    content: bytes
    format: str


class ClientError(Exception):
    """A service did not do what the desk asked for."""


class Refused(ClientError):
    """The service said no.

    Attributes:
        slug: which problem, such as `conflict`; the desk has a text for it.
        faults: fields that were not accepted.
        columns: columns of a file that nobody knows.
        rule, line: why and where a file could not be read.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        faults: tuple[Fault, ...] = (),
        *,
        columns: tuple[str, ...] = (),
        rule: str = "",
        line: int | None = None,
    ) -> None:
        super().__init__(slug)
        self.status = status
        self.slug = slug
        self.faults = faults
        self.columns = columns
        self.rule = rule
        self.line = line


class Away(ClientError):
    """No answer. A change that was asked for may have been made all the same."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.service = service


class NotAsked(Away):
    """Nothing was sent, since the form is only to be shown again, as if nobody had answered."""


_QUESTIONS: Final = (":find", ":lookup")
"""How a path ends that is posted to and changes nothing: its question is no matter for a URL."""


class Link:
    """One service, for one visit."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        service: str,
        base: str,
        token: str,
        cut: set[str] | None = None,
        spent: set[str] | None = None,
        *,
        asks_only: bool = False,
    ) -> None:
        """Make a link.

        Args:
            cut: takes the names of lists that have more than the desk puts together.
            spent: takes the keys of what was refused: tried again, it is something new.
            asks_only: whatever would change something raises `NotAsked`.
        """
        self._http = http
        self._service = service
        self._base = base.rstrip("/")
        self._token = token
        self._cut = set() if cut is None else cut
        self._spent = set() if spent is None else spent
        self._asks_only = asks_only

    async def get(self, path: str, answer: TypeAdapter[T], query: Query | None = None) -> T:
        """Read something. Raises `ClientError`."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        response = await self._send("GET", path, params=asked)
        return self._understood(response, answer)

    async def pages(
        self, path: str, answer: TypeAdapter[P], query: Query | None = None
    ) -> AsyncIterator[P]:
        """Read a list page by page, up to `PAGES_MAX`. Raises `ClientError`.

        Whoever needs all of it reads on to the end; a list that has none is noted as cut.
        """
        after: str | None = None
        for _ in range(PAGES_MAX):
            asked: Query = {**(query or {}), "limit": ROWS_MAX, "after": after}
            page = await self.get(path, answer, asked)
            yield page
            after = page.next
            if after is None:
                return
        log.warning("list.cut", of=self._service, rows_max=PAGES_MAX * ROWS_MAX)
        self._cut.add(path.rpartition("/")[2])

    async def get_file(self, path: str) -> bytes:
        """Read a file as it is. Raises `ClientError`."""
        return (await self._send("GET", path)).content

    async def post(
        self,
        path: str,
        answer: TypeAdapter[T],
        body: Mapping[str, object] | None = None,
        key: UUID | None = None,
    ) -> T:
        """Have something done, at most once for one `key`. Raises `ClientError`."""
        headers = {} if key is None else {"Idempotency-Key": str(key)}
        response = await self._send("POST", path, json=dict(body or {}), headers=headers)
        return self._understood(response, answer)

    async def send_file(
        self,
        path: str,
        answer: TypeAdapter[T],
        file: Upload,
        fields: Mapping[str, str],
        query: Query,
        key: UUID,
        wait_ms_max: int,
    ) -> T:
        """Pass a file on, at most once for one `key`. Raises `ClientError`."""
        headers = {
            "Idempotency-Key": str(key),
            # A retry is recognized by its bytes, so the boundary must not change with each try.
            "Content-Type": f"multipart/form-data; boundary={key.hex}",
        }
        asked = {name: value for name, value in query.items() if value is not None}
        response = await self._send(
            "POST",
            path,
            params=asked,
            headers=headers,
            data=fields,
            files={"file": (f"file.{file.format}", file.content, "application/octet-stream")},
            wait_ms_max=wait_ms_max,
        )
        return self._understood(response, answer)

    async def put(self, path: str, answer: TypeAdapter[T], body: Mapping[str, object]) -> T:
        """Set something. Raises `ClientError`."""
        return self._understood(await self._send("PUT", path, json=dict(body)), answer)

    async def readiness(self, answer: TypeAdapter[T]) -> T:
        """What the service says of itself. Raises `ClientError` when it can't work."""
        return await self.get("/readyz", answer)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bool | Sequence[str]] | None = None,
        json: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        wait_ms_max: int | None = None,
    ) -> httpx.Response:
        if self._asks_only and method != "GET" and not path.endswith(_QUESTIONS):
            raise NotAsked(self._service)
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        correlation_id = get_contextvars().get("correlation_id")
        if correlation_id:
            sent["X-Correlation-Id"] = str(correlation_id)
        if trace := TRACEPARENT.get():
            sent["traceparent"] = trace
        try:
            response = await self._http.request(
                method,
                self._base + path,
                params=params,
                json=json,
                data=data,
                files=files,
                headers=sent,
                timeout=httpx.USE_CLIENT_DEFAULT if wait_ms_max is None else wait_ms_max / 1000,
            )
        except httpx.HTTPError as error:
            log.warning("service.away", of=self._service, cause=type(error).__name__)
            raise Away(self._service) from None
        if response.status_code >= 400:
            problem = self._problem(response)
            if isinstance(problem, Refused) and "Idempotency-Key" in sent:
                self._spent.add(sent["Idempotency-Key"])
            raise problem
        return response

    def _problem(self, response: httpx.Response) -> ClientError:
        try:
            body = _ProblemBody.model_validate_json(response.content)
        except ValidationError:
            body = _ProblemBody()
        if response.status_code >= 500:
            log.warning("service.away", of=self._service, cause=str(response.status_code))
            return Away(self._service)
        slug = body.type.removeprefix(_SLUG)
        return Refused(
            response.status_code,
            slug,
            body.errors,
            columns=body.columns,
            rule=body.rule,
            line=body.line,
        )

    def _understood(self, response: httpx.Response, answer: TypeAdapter[T]) -> T:
        try:
            return answer.validate_json(response.content or b"{}")
        except ValidationError as error:
            fields = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
            log.error("service.puzzled", of=self._service, fields=fields[:5])
            raise Away(self._service) from None


class Accepted(View):
    """An answer of which the desk needs nothing but that it is one."""


ACCEPTED: Final = TypeAdapter(Accepted)
