"""Bulk import of requests: a file as the body, or as a part of a form."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aidmesh_chassis.http import Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.privacy import MASK
from aidmesh_chassis.problems import INVALID, MALFORMED, Problem, rejected_fields
from aidmesh_chassis.routing import BULK_BODY_BYTES_MAX, BulkRoute
from aidmesh_contracts.values import Code
from aidmesh_intake.api.context import UNMAPPED, UNREADABLE, Caseworker, Ctx, invalid
from aidmesh_intake.handlers.importing import File, Importer
from aidmesh_intake.handlers.reading import (
    COLUMNS_MAX,
    ColumnMapping,
    Format,
    Rows,
    Unmapped,
    Unreadable,
    read_rows,
)

router = Routes(prefix="/v1", tags=["imports"], route_class=BulkRoute)
_TYPES: Final[dict[str, Format]] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
FIELDS_MAX: Final = 20
"""Of a form, so that each that is not known can be named."""
_FORM_FIELDS: Final = ("file", "mapping")
_FORM_TAKES: Final = (
    "A form takes `file` and `mapping`, each once. All else, `dry_run` too, goes into the address: "
    "`POST /v1/requests:import?source=kobo&dry_run=true`. Nothing was imported."
)
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
                "schema": {"type": "string", "format": "binary"}
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "mapping": {
                            "type": "string",
                            "description": "JSON: columns, ignore, constants, sites, header",
                        },
                    },
                }
            },
        },
    }
}


class Rejection(BaseModel):
    """Why a row was rejected, without the value.

    Attributes:
        line: of the file, as spreadsheets number their rows; the header is 1.
        column: by its name in `docs/import.md`, whatever the file calls it; `row` for all of it.
        rule: a code, listed there.
        ge, le: the first and the last that is possible, where the rule is about days.
    """

    model_config = ConfigDict(extra="forbid")

    line: int
    column: str
    rule: str
    ge: str | None = None
    le: str | None = None


class ImportView(BaseModel):
    """How far an import has come.

    Attributes:
        accepted, skipped, rejected: rows so far, of `rows_total`.
        problems: the first thousand.
    """

    model_config = ConfigDict(extra="forbid")

    import_id: UUID
    state: str
    rows_total: int
    accepted: int
    skipped: int
    rejected: int
    problems: list[Rejection]


@router.post("/requests:import", openapi_extra=_BODY)
async def import_requests(
    request: Request,
    ctx: Ctx,
    caller: Caseworker,
    once: Once,
    source: Code,
    dry_run: bool = False,
    file_format: Annotated[Format | None, Query(alias="format")] = None,
    mapping: Annotated[str | None, Query(max_length=8192, description="JSON")] = None,
) -> Response:
    """Take in a file of requests, one need in each row; the good rows stay.

    Sent again after it was cut off, it goes on where it was. Sent again whole, its rows are
    skipped, and those that were rejected are tried again: a kind may be known by now, or a day
    have come. Rows are known by `source` and `row_id`.
    """
    vault = ctx.vault.open()
    importer = Importer(ctx.database, ctx.catalogue, vault, caller.staff_id)
    await request.body()  # an upload may take its time, without a transaction that idles
    # The work has transactions of its own. This one holds the key's lock for as long as it takes,
    # so that the same request, or another under the same key, is not begun a second time.
    async with ctx.import_turns, ctx.database.transaction() as guard:
        if known := await once.replay(guard):
            return known
        file = await _file(request, source, file_format, mapping or "{}")
        report = await (importer.dry_run(file, guard) if dry_run else importer.run(file, guard))
        return await once.answer(guard, 200, report.body())


@router.get("/imports/{import_id}", response_model_exclude_none=True)
async def get_import(import_id: UUID, ctx: Ctx, caller: Caseworker) -> ImportView:
    """How far an import has come, and what was rejected: line, column, rule.

    Of a file that was sent several times it is the last.
    """
    importer = Importer(ctx.database, ctx.catalogue, ctx.vault.open(), caller.staff_id)
    body = (await importer.report(import_id)).body()
    body.pop("by_state")  # of a run only: it is not kept
    return ImportView.model_validate(body)


async def _file(request: Request, source: str, file_format: Format | None, mapping: str) -> File:
    body, name, mapping_part = await _body(request)
    kind = file_format or _format_of(request.headers.get("content-type", ""), name)
    try:
        columns = ColumnMapping.model_validate_json(mapping_part or mapping)
    except ValidationError:
        raise invalid("mapping", "malformed") from None
    rows = await _rows(body, kind, columns)
    return File(source, rows, body + b"\0" + columns.model_dump_json().encode())


async def _rows(body: bytes, kind: Format, columns: ColumnMapping) -> Rows:
    try:
        return await asyncio.to_thread(read_rows, body, kind, columns)
    except Unreadable as error:
        raise Problem(UNREADABLE, rule=error.rule, line=error.line) from None
    except Unmapped as error:
        # The names go back to who sent them and nowhere else: a problem is neither logged nor kept.
        # Where none is known, the first line may be no header but the first person of a list.
        names = [name if error.are_names else MASK for name in error.columns[:COLUMNS_MAX]]
        raise Problem(UNMAPPED, columns=list(names)) from None


async def _body(request: Request) -> tuple[bytes, str, str | None]:
    """The file's bytes, its name and the mapping of the form."""
    body = await request.body()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body, "", None

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=FIELDS_MAX)
    # Never to disk: the file is full of names.
    parser.spool_max_size = BULK_BODY_BYTES_MAX
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Problem(MALFORMED) from None
    try:
        _only_known(form)
        part, mapping = form.get("file"), form.get("mapping")
        if not isinstance(part, UploadFile):
            raise invalid("file", "missing")
        return await part.read(), part.filename or "", mapping if isinstance(mapping, str) else None
    finally:
        await form.close()


def _only_known(form: FormData) -> None:
    """Refuse what would be ignored: a `dry_run` in the form must not import for real.

    Raises:
        Problem: there is another field, or one of them twice.
    """
    names = Counter(name for name, _ in form.multi_items())
    errors: list[Mapping[str, object]] = [
        {
            "loc": ("body", name),
            "type": "given_twice" if name in _FORM_FIELDS else "extra_forbidden",
        }
        for name, count in names.items()
        if name not in _FORM_FIELDS or count > 1
    ]
    if errors:
        raise Problem(INVALID, _FORM_TAKES, errors=rejected_fields(errors))


def _format_of(content_type: str, name: str) -> Format:
    for ending in ("csv", "xlsx", "ndjson"):
        if name.lower().endswith(f".{ending}"):
            return ending
    found = _TYPES.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        raise invalid("query.format", "missing")
    return found
