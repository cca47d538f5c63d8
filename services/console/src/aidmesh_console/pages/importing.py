"""Import: a file of requests, first tried, then taken in. The desk keeps nothing of it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from glob import escape
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aidmesh_chassis.http import Routes
from aidmesh_chassis.privacy import MASK
from aidmesh_chassis.problems import MALFORMED, Problem
from aidmesh_chassis.routing import BulkRoute
from aidmesh_console.clients.intake_views import Report, RowProblem
from aidmesh_console.clients.link import Away, ClientError, Refused, Upload
from aidmesh_console.forms import Form
from aidmesh_console.i18n import Speaker
from aidmesh_console.import_columns import COLUMNS, NEEDED, column_of, example, name_of, names
from aidmesh_console.pages.common import AREAS
from aidmesh_console.roles import Act
from aidmesh_console.visit import Visit, prove, visitor

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
FORMATS: Final = ("csv", "xlsx", "ndjson")
PROBLEMS_SHOWN: Final = 200
COLUMNS_MAX: Final = 400
"""As many as a file may have."""
_FORM_BYTES_MAX: Final = FILE_BYTES_MAX + 512 * 1024
_FIELDS_MAX: Final = 2 * COLUMNS_MAX + 8

routes = Routes(route_class=BulkRoute, include_in_schema=False)
Worker = Annotated[Visit, Depends(visitor(Act.IMPORT))]


@routes.get("/import")
async def show(visit: Worker) -> Response:
    """An empty form."""
    return _page(visit, {})


@routes.get("/import/columns")
async def columns(visit: Worker) -> Response:
    """What a file may hold: every column, and the codes of kinds, areas and sites."""
    kinds, sites = await asyncio.gather(
        visit.hear(visit.intake.catalogue()), visit.hear(visit.inventory.sites())
    )
    say = visit.say
    codes = {
        "kinds": [
            (say.name(each.names, each.code), each.code)
            for each in (kinds.value.kinds if kinds.value else ())
            if each.active
        ],
        "areas": [(say.code("area", each), each) for each in AREAS],
        "sites": [(each.name, each.code) for each in sites.value or () if each.status == "open"],
    }
    return visit.page(
        "import_columns",
        columns=[(each, name_of(say, each), how) for each, how in COLUMNS.items()],
        needed=NEEDED,
        missing=(kinds, sites),
        codes={
            name: sorted(rows, key=lambda each: say.order(each[0])) for name, rows in codes.items()
        },
    )


@routes.get("/import/example.csv")
async def example_file(visit: Worker) -> Response:
    """A file of three requests, to be filled in with others."""
    headers = {"Content-Disposition": 'attachment; filename="example.csv"'}
    # By the mark in front spreadsheets see that it is UTF-8.
    content = example(visit.say).encode("utf-8-sig")
    return visit.keep(Response(content, media_type="text/csv; charset=utf-8", headers=headers))


@routes.post("/import", max_body_size=_FORM_BYTES_MAX)
async def take(request: Request, visit: Worker) -> Response:
    """Try a file; take it in only if it was tried just as it is now."""
    form, file = await _posted(request, visit)
    source = form.code("source")
    pasted = pasted_columns(form.text("mapping") or "")
    if pasted is None:
        form.faults["mapping"] = "mapping"
    if file is None:
        form.faults["file"] = "file"
    meant = _chosen(form) | (pasted or {})
    if form.faults or source is None or pasted is None or file is None:
        wrong = visit.say("register.faults", len(form.faults))
        return _page(visit, form.values, form.faults, status=422, wrong=wrong, meant=meant)
    try:
        sites = await visit.inventory.sites()
    except ClientError as error:
        return _failed(visit, form, meant, error)
    read_as: dict[str, object] = {
        # What the desk calls columns, and over it what whoever sent the file says.
        "columns": {**names(), **{name: field for name, field in meant.items() if field}},
        "ignore": [escape(name) for name, field in meant.items() if not field],
        "header": form.checked("header"),
    }
    seen = _seen(file, source, json.dumps(read_as, sort_keys=True))
    mapping = json.dumps(
        {**read_as, "sites": {each.code: str(each.site_id) for each in sites}}, sort_keys=True
    )
    wants_in = form.checked("take_in")
    dry_run = not wants_in or form.text("seen") != seen
    key = uuid4() if dry_run else form.key
    try:
        report = await visit.intake.take_in(file, source, mapping, key, dry_run=dry_run)
    except ClientError as error:
        return _failed(visit, form, meant, error)
    other = visit.say("import.other_file") if wants_in and dry_run else None
    return _page(
        visit, form.values, report=report, seen=seen if dry_run else None, wrong=other, meant=meant
    )


def pasted_columns(text: str) -> dict[str, str] | None:
    """What columns of other names mean, of lines that were kept: `column = field` each.

    A field may be named in any language of the desk; it is empty where the column is left out.
    Returns None where a line makes no sense.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, equals, field = (part.strip() for part in line.rpartition("="))
        column = column_of(field) if field else ""
        if not equals or not name or column is None:
            return None
        found[name] = column
    return found


def _chosen(form: Form) -> dict[str, str]:
    """What was chosen for each column that the page asked about."""
    found: dict[str, str] = {}
    for number in range(COLUMNS_MAX):
        name = form.values.get(f"column_{number}")
        if name is None:
            break
        field = form.values.get(f"field_{number}", "")
        found[name] = field if field in COLUMNS else ""
    return found


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
    for part in (file.format, source, mapping):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def _failed(visit: Visit, form: Form, meant: Mapping[str, str], error: ClientError) -> Response:
    wrong = visit.problem(error)
    if isinstance(error, Away):
        # It may be on its way all the same: the same key makes a second try harmless.
        seen, key = form.text("seen"), form.key
        return _page(visit, form.values, status=503, wrong=wrong, seen=seen, key=key, meant=meant)
    hidden = isinstance(error, Refused) and MASK in error.columns
    if isinstance(error, Refused) and error.columns:
        if not hidden:
            meant = {**meant, **dict.fromkeys(error.columns, "")}
        wrong = visit.say("import.no_names" if hidden else "import.say_columns")
    elif isinstance(error, Refused) and error.rule:
        where = visit.say("import.line", line=error.line) if error.line else ""
        wrong = f"{wrong} {where} {visit.say.code('rule', error.rule)}"
    return _page(visit, form.values, status=409, wrong=wrong, meant=meant, ask_header=hidden)


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
    meant: Mapping[str, str] | None = None,
    ask_header: bool = False,
) -> Response:
    meant = meant or {}
    problems = report.problems[:PROBLEMS_SHOWN] if report else ()
    return visit.page(
        "import",
        status,
        values=values,
        faults=faults or {},
        wrong=wrong,
        report=report,
        problems=[(each.line, *_told(visit.say, each, meant)) for each in problems],
        more_problems=len(report.problems) - len(problems) if report else 0,
        seen=seen,
        key=key or uuid4(),
        formats=FORMATS,
        meant=list(meant.items()),
        kept="\n".join(f"{name} = {field}" for name, field in meant.items()),
        fields=[(each, name_of(visit.say, each)) for each in COLUMNS],
        ask_header=ask_header or "header" in values,
    )


def _told(say: Speaker, problem: RowProblem, meant: Mapping[str, str]) -> tuple[str, str]:
    """Which column a fault is in, as the file calls it and as the desk does, and what is wrong."""
    fields = ("site_code", "site_id") if problem.column == "site_id" else (problem.column,)
    theirs = [name for name, field in meant.items() if field in fields]
    column = " · ".join((*theirs, name_of(say, problem.column)))
    rule = say.code("rule", problem.rule)
    how = COLUMNS.get(problem.column)
    if problem.rule == "not_one_of_the_words" and how is not None:
        rule = f"{rule}: {', '.join(how.words)}"
    return column, rule
