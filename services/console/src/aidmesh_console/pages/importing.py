"""Import: a file of requests, first tried, then taken in. The desk keeps nothing of it."""

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aidmesh_chassis.http import Routes
from aidmesh_chassis.problems import MALFORMED, Problem
from aidmesh_chassis.routing import BulkRoute
from aidmesh_console.clients.intake_views import Report
from aidmesh_console.clients.link import Away, ClientError, Refused, Upload
from aidmesh_console.forms import Form
from aidmesh_console.roles import Act
from aidmesh_console.visit import Visit, prove, visitor

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
FORMATS: Final = ("csv", "xlsx", "ndjson")
PROBLEMS_SHOWN: Final = 200
_FORM_BYTES_MAX: Final = FILE_BYTES_MAX + 128 * 1024
_FIELDS_MAX: Final = 8

routes = Routes(route_class=BulkRoute, include_in_schema=False)
Worker = Annotated[Visit, Depends(visitor(Act.IMPORT))]


@routes.get("/import")
async def show(visit: Worker) -> Response:
    """An empty form."""
    return _page(visit, {})


@routes.post("/import", max_body_size=_FORM_BYTES_MAX)
async def take(request: Request, visit: Worker) -> Response:
    """Try a file; take it in only if it was tried just as it is now."""
    form, file = await _posted(request, visit)
    source = form.code("source")
    columns = columns_of(form.text("mapping") or "")
    if columns is None:
        form.faults["mapping"] = "mapping"
    if file is None:
        form.faults["file"] = "file"
    if form.faults or source is None or columns is None or file is None:
        wrong = visit.say("register.faults", len(form.faults))
        return _page(visit, form.values, form.faults, status=422, wrong=wrong)
    try:
        sites = await visit.inventory.sites()
    except ClientError as error:
        return _failed(visit, form, error)
    columns["sites"] = {each.code: str(each.site_id) for each in sites}
    mapping = json.dumps(columns, sort_keys=True)
    seen = _seen(file, source, form.text("mapping") or "")
    wants_in = form.checked("take_in")
    dry_run = not wants_in or form.text("seen") != seen
    key = uuid4() if dry_run else form.key
    try:
        report = await visit.intake.take_in(file, source, mapping, key, dry_run=dry_run)
    except ClientError as error:
        return _failed(visit, form, error)
    other = visit.say("import.other_file") if wants_in and dry_run else None
    return _page(visit, form.values, report=report, seen=seen if dry_run else None, wrong=other)


def columns_of(text: str) -> dict[str, object] | None:
    """What to do with columns that have other names: a line `column = field` each.

    A column without a field is left out. Returns None where a line makes no sense.
    """
    columns: dict[str, str] = {}
    ignored: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        column, equals, field = (part.strip() for part in line.rpartition("="))
        if not equals or not column:
            return None
        if field:
            columns[column] = field
        else:
            ignored.append(column)
    return {"columns": columns, "ignore": ignored}


async def _posted(request: Request, visit: Visit) -> tuple[Form, Upload | None]:
    """The fields and the file, read in memory: a file full of names never touches the disk."""
    body = await request.body()

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=_FIELDS_MAX)
    parser.spool_max_size = _FORM_BYTES_MAX
    try:
        data = await parser.parse()
    except (MultiPartException, KeyError):
        raise Problem(MALFORMED) from None
    try:
        form = Form(data)
        prove(request, visit, form)
        return form, await _file_of(data)
    finally:
        await data.close()


async def _file_of(data: FormData) -> Upload | None:
    part = data.get("file")
    if not isinstance(part, UploadFile):
        return None
    ending = (part.filename or "").rpartition(".")[2].lower()
    content = await part.read()
    return Upload(content, ending) if content and ending in FORMATS else None


def _seen(file: Upload, source: str, mapping: str) -> str:
    """What tells whether the same file is sent again, read in the same way."""
    digest = hashlib.sha256(file.content)
    for part in (file.format, source, "\n".join(mapping.splitlines())):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def _failed(visit: Visit, form: Form, error: ClientError) -> Response:
    wrong = visit.problem(error)
    if isinstance(error, Away):
        # It may be on its way all the same: the same key makes a second try harmless.
        seen = form.text("seen")
        return _page(visit, form.values, status=503, wrong=wrong, seen=seen, key=form.key)
    values = dict(form.values)
    if isinstance(error, Refused) and error.columns:
        asked = [f"{column} =" for column in error.columns]
        values["mapping"] = "\n".join((*values.get("mapping", "").splitlines(), *asked))
        wrong = f"{wrong} {visit.say('import.say_columns')}"
    elif isinstance(error, Refused) and error.rule:
        where = visit.say("import.line", line=error.line) if error.line else ""
        wrong = f"{wrong} {where} {visit.say.code('rule', error.rule)}"
    return _page(visit, values, status=409, wrong=wrong)


def _page(
    visit: Visit,
    values: Mapping[str, str],
    faults: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wrong: str | None = None,
    report: Report | None = None,
    seen: str | None = None,
    key: UUID | None = None,
) -> Response:
    problems: Sequence[object] = report.problems[:PROBLEMS_SHOWN] if report else ()
    return visit.page(
        "import",
        status,
        values=values,
        faults=faults or {},
        wrong=wrong,
        report=report,
        problems=problems,
        more_problems=len(report.problems) - len(problems) if report else 0,
        seen=seen,
        key=key or uuid4(),
        formats=FORMATS,
    )
