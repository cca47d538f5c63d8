"""Somebody at the desk, signed in or not: what is shown to them, in which language, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Match

from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.staff import StaffError, StaffFile
from aidmesh_console import i18n
from aidmesh_console.clients.link import (
    PAGES_MAX,
    ROWS_MAX,
    Away,
    ClientError,
    NotAsked,
    Refused,
)
from aidmesh_console.config import Settings
from aidmesh_console.forms import Form
from aidmesh_console.roles import Act, may, menu
from aidmesh_console.served import StaticFile
from aidmesh_console.session import COOKIE, Sessions
from aidmesh_contracts.days import day_of

log = get_logger()

LANGUAGE_COOKIE: Final = "desk_language"
LANGUAGE_S: Final = 365 * 24 * 3600
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Desk:
    """What the desk is made of; one per process."""

    settings: Settings
    sessions: Sessions
    http: httpx.AsyncClient
    static: Mapping[str, StaticFile]
    staff: StaffFile


@dataclass(frozen=True, slots=True)
class Again:
    """A form as it was sent, to be shown again: where it went, and its fields."""

    action: str
    fields: Sequence[tuple[str, str]]


def short(number: UUID) -> str:
    """The first digits of an id: enough to call a need by, over a counter."""
    return number.hex[:8].upper()


@cache
def templates() -> Environment:
    """The pages, compiled once in a process.

    Everything is escaped; a name that is not there is an error, not a hole.
    """
    jinja = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals["today"] = i18n.today
    jinja.globals["day_of"] = day_of
    jinja.globals["new_key"] = uuid4
    jinja.filters["short"] = short
    jinja.globals["languages"] = i18n.LANGUAGES
    return jinja


class Guest:
    """Someone at the desk who need not be signed in."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.desk: Desk = request.app.state.desk
        self.session = self.desk.sessions.read(request.cookies.get(COOKIE))
        self.cut: set[str] = set()
        """Lists of which a page of the desk has not all."""
        self.spent: set[str] = set()
        """Keys under which something was refused: none of them is sent a second time."""

    @property
    def form(self) -> Form | None:
        """The form that came with the request, once it was read."""
        form: Form | None = getattr(self.request.state, "form", None)
        return form

    @cached_property
    def say(self) -> i18n.Speaker:
        """Says things in the language of whoever is there."""
        shown_in = self.form.shown_in if self.form else None
        asked = shown_in or self.request.cookies.get(LANGUAGE_COOKIE)
        return i18n.Speaker(i18n.choose(asked, self.request.headers.get("accept-language")))

    @cached_property
    def here(self) -> str:
        """The path of a page to come back to: this one, or the nearest above where a form went."""
        path = self.request.url.path
        if self.request.method in {"GET", "HEAD"}:
            return path
        while path != "/" and not _is_page(self.request, path):
            path = path.rpartition("/")[0] or "/"
        return path

    @cached_property
    def query(self) -> str:
        """What the address of `here` asks for, as it is written there."""
        return self.request.url.query

    @cached_property
    def again(self) -> Again | None:
        """The form that this page answers, if it answers one."""
        if self.form is None:
            return None
        url = self.request.url
        action = f"{url.path}?{url.query}" if url.query else url.path
        sent = [each for each in self.form.sent if each[1] not in self.spent]
        return Again(action, sent)

    def page(self, name: str, status: int = 200, **values: object) -> Response:
        """A whole page: the template of this name, filled in."""
        if self.form and self.form.shown_in:
            status = 200
        template = templates().get_template(f"{name}.html")
        text = template.render(
            say=self.say,
            session=self.session,
            menu=menu(self.session.roles) if self.session else (),
            act=Act,
            may=self.may,
            path=self.request.url.path,
            here=self.here,
            query=self.query,
            again=self.again,
            answers_form=self.request.method == "POST",
            region=self.desk.settings.region,
            idle_s=self.desk.settings.idle_s_max,
            static={name: file.path for name, file in self.desk.static.items()},
            said=self._said(),
            form_proof=self._proof_field(),
            problem=self.problem,
            who=self.who,
            cut=sorted(self.say.code("list", each) for each in self.cut),
            cut_rows=PAGES_MAX * ROWS_MAX,
            **values,
        )
        return self.keep(HTMLResponse(text, status_code=status))

    def go(self, path: str, **query: object) -> Response:
        """Send the browser to another page of the desk (after a form: a reload is harmless)."""
        asked = {name: str(value) for name, value in query.items() if value is not None}
        target = f"{path}?{urlencode(asked)}" if asked else path
        return self.keep(RedirectResponse(target, status_code=303))

    def keep(self, response: Response) -> Response:
        """Carry the visit on with this answer, and the language that was asked for."""
        if self.form and self.form.shown_in:
            self.speak(response, self.form.shown_in)
        if self.session is not None:
            settings = self.desk.settings
            response.set_cookie(
                COOKIE,
                self.desk.sessions.cookie(self.session),
                max_age=settings.idle_s_max,
                path="/",
                secure=settings.https,
                httponly=True,
                samesite="strict",
            )
        return response

    def speak(self, response: Response, language: str) -> None:
        """Have this browser shown its pages in this language from now on."""
        response.set_cookie(
            LANGUAGE_COOKIE,
            language,
            max_age=LANGUAGE_S,
            secure=self.desk.settings.https,
            httponly=True,
            samesite="strict",
        )

    def may(self, act: Act) -> bool:
        """Whether the one who is there may do it."""
        return self.session is not None and may(self.session.roles, act)

    def who(self, staff_id: UUID) -> str:
        """What to call a member of staff: the name they sign in by, else a part of their id."""
        return self._logins.get(staff_id) or self.say("staff.unknown", number=short(staff_id))

    @cached_property
    def _logins(self) -> Mapping[UUID, str]:
        """Read for each page that names anybody: staff are added while the desk runs."""
        try:
            return {each.staff_id: each.login for each in self.desk.staff.all()}
        except StaffError:
            log.exception("staff.unreadable")
            return {}

    def problem(self, error: ClientError) -> str:
        """What to tell about a refusal or a silence."""
        if isinstance(error, NotAsked):
            return self.say("problem.not-asked")
        if isinstance(error, Away):
            return self.say("problem.away", service=self.say.code("service", error.service))
        if isinstance(error, Refused):
            return self.refusal(error.slug)
        return self.say("problem.unknown")

    def refusal(self, slug: str | None) -> str:
        """What to tell about a problem of this kind."""
        key = f"problem.{slug}"
        return self.say(key) if self.say.has(key) else self.say("problem.unknown")

    def fault(self, form: Form) -> str:
        """What to tell about the first field of a form that means nothing."""
        return self.say(f"fault.{next(iter(form.faults.values()))}")

    def _said(self) -> str | None:
        """The notice that goes with this page: one of ours, never text out of the address."""
        code = self.request.query_params.get("said", "")
        key = f"said.{code}"
        return self.say(key) if code and self.say.has(key) else None

    def _proof_field(self) -> Markup:
        if self.session is None:
            return Markup()
        sessions = self.desk.sessions
        proof = sessions.proof(self.session.visit_id)
        whose = sessions.mark(self.session.caller.staff_id)
        return Markup(
            '<input type="hidden" name="proof" value="{}">'
            '<input type="hidden" name="whose" value="{}">'
        ).format(proof, whose)


def _is_page(request: Request, path: str) -> bool:
    """Whether something is shown at a path; what should be an id there is one."""
    scope = {**request.scope, "path": path, "method": "GET"}
    for route in request.app.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            named = found.get("path_params", {})
            return all(_is_id(named[name]) for name in named if name.endswith("_id"))
    return False


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
