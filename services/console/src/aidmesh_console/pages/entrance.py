"""Signing in and out, the quick exit, the language, and the files of the pages."""

import re
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from aidmesh_chassis.http import Routes
from aidmesh_chassis.keys import Locked
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.problems import Problem
from aidmesh_chassis.staff import StaffError, TooManyAttempts, WrongCredentials
from aidmesh_console.forms import Form
from aidmesh_console.guest import Again, Guest
from aidmesh_console.served import StaticFile
from aidmesh_console.session import COOKIE, PRE_COOKIE
from aidmesh_console.visit import Posted, Visit, from_here

log = get_logger()

# Each character can be taken in one way only: what does not fit is refused at once.
_LOCAL: Final = re.compile(r"/(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]*")
_YEAR_S: Final = 365 * 24 * 3600
_QUERY_CHARS_MAX: Final = 2_000
_FORM_S: Final = 2 * 3600


def local_path(path: str | None) -> str:
    """A path of this desk, or its first page: nobody is sent elsewhere by a link."""
    return path if path and len(path) < 200 and _LOCAL.fullmatch(path) else "/"


def local_query(query: str | None) -> dict[str, str]:
    """What the address of a page asks for, from how it is written there; nothing if it is long."""
    return dict(parse_qsl(query)) if query and len(query) < _QUERY_CHARS_MAX else {}


def router(served: Mapping[str, StaticFile]) -> Routes:
    """The routes that need nobody signed in."""
    routes = Routes(include_in_schema=False)
    by_path = {file.path: file for file in served.values()}

    @routes.get("/static/{version}/{name}")
    async def static(request: Request) -> Response:
        file = by_path.get(request.url.path)
        if file is None:
            return Response(status_code=404)
        return Response(
            file.content,
            media_type=file.media_type,
            headers={"Cache-Control": f"public, max-age={_YEAR_S}, immutable"},
        )

    @routes.get("/sign-in")
    async def show(request: Request) -> Response:
        guest = Guest(request)
        if guest.session is not None:
            return guest.go("/")
        return sign_in_page(guest, local_path(request.query_params.get("next")))

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        guest = Guest(request)
        form = Form(await request.form(max_files=0, max_fields=20))
        back, sealed = local_path(form.text("next")), form.text("kept")
        again = partial(sign_in_page, guest, back, sealed=sealed, login=form.text("login"))
        sessions = guest.desk.sessions
        pre = request.cookies.get(PRE_COOKIE, "")
        if not from_here(request) or not pre or not sessions.proves(pre, form.text("proof") or ""):
            log.warning("form.stale")
            return again(403, guest.say("problem.stale-form"))
        token = form.text("token") if guest.desk.settings.paste_token else None
        try:
            if token:
                guest.session = sessions.by_token("".join(token.split()))
            else:
                guest.session = await sessions.by_password(
                    form.text("login") or "", form.secret("password")
                )
        except TooManyAttempts as error:
            log.warning("visit.refused", cause="too_many_attempts")
            return again(429, guest.say("sign_in.wait", error.retry_s))
        except (WrongCredentials, Problem) as error:
            if isinstance(error, Locked):
                return again(423, guest.say("problem.locked"))
            log.warning("visit.refused", cause="wrong")
            wrong = guest.say("sign_in.wrong_token" if token else "sign_in.wrong")
            return again(403, wrong, token_open=bool(token))
        except StaffError:
            log.exception("staff.unreadable")
            return again(503, guest.say("problem.unknown"))
        log.info("visit.began", staff_id=str(guest.session.caller.staff_id))
        response = _begun(guest, back, sealed)
        response.delete_cookie(PRE_COOKIE)
        return response

    @routes.post("/sign-out")
    async def sign_out(request: Request, form: Posted) -> Response:
        _end(request)
        return _cleared(RedirectResponse("/sign-in?said=signed_out", status_code=303))

    @routes.get("/leave")
    async def leave(request: Request) -> Response:
        _end(request)
        target = str(request.app.state.desk.settings.leave_url)
        return _cleared(RedirectResponse(target, status_code=303))

    @routes.get("/idle")
    async def idle(request: Request) -> Response:
        _end(request)
        back = local_path(request.query_params.get("next"))
        query = {"said": "idle"} | ({"next": back} if back != "/" else {})
        return _cleared(RedirectResponse(f"/sign-in?{urlencode(query)}", status_code=303))

    @routes.get("/alive")
    async def alive(request: Request) -> Response:
        return Visit(request).keep(Response(status_code=204))

    @routes.post("/language")
    async def language(request: Request) -> Response:
        guest = Guest(request)
        form = Form(await request.form(max_files=0, max_fields=5))
        back, wanted = local_path(form.text("back")), form.shown_in
        if guest.session is None and (sealed := form.text("kept")):
            request.state.form = form  # for its language
            return sign_in_page(guest, back, sealed=sealed, ended=True)
        response = guest.go(back, **local_query(form.text("query")))
        if wanted is not None:
            guest.speak(response, wanted)
        return response

    return routes


def _end(request: Request) -> None:
    guest = Guest(request)
    if guest.session is not None:
        guest.desk.sessions.end(guest.session)
        log.info("visit.ended", staff_id=str(guest.session.caller.staff_id))


def _cleared(response: Response) -> Response:
    response.delete_cookie(COOKIE)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def ended(request: Request) -> Response:
    """Where the visit is over that a page belonged to: sign in anew, and go on there.

    What was typed into a form is given to the browser to keep, sealed.
    """
    guest, form = Guest(request), Guest(request).form
    if request.method == "GET":
        back = guest.here if guest.here not in {"/", "/leave"} else None
        said = "ended" if COOKIE in request.cookies else None
        return guest.go("/sign-in", next=back, said=said)
    sealed = None
    if form is not None and guest.again is not None and from_here(request):
        again, whose = guest.again, form.text("whose") or ""
        sessions = guest.desk.sessions
        sealed = sessions.sealed(sessions.keeping(again.action, guest.here, whose, again.fields))
    return sign_in_page(guest, guest.here, 403, sealed=sealed, ended=True)


def was_given_to(guest: Guest) -> bool:
    """Whether the form that came was given to whoever is signed in, be it in another visit."""
    if guest.form is None or guest.session is None or not from_here(guest.request):
        return False
    whose = guest.form.text("whose") or ""
    return guest.desk.sessions.marks(guest.session.caller.staff_id, whose)


def _begun(guest: Guest, back: str, sealed: str | None) -> Response:
    """Where somebody goes who has signed in; what they had typed before is offered to them."""
    kept = guest.desk.sessions.unsealed(sealed) if sealed else None
    if kept is None or guest.session is None:
        return guest.go(back, said="not_kept" if sealed else None)
    if not guest.desk.sessions.marks(guest.session.caller.staff_id, kept.whose):
        return guest.go(back, said="kept_for_another")
    guest.here, guest.query, guest.again = kept.back, "", Again(kept.action, kept.fields)
    return guest.page("kept")


def sign_in_page(
    guest: Guest,
    back: str,
    status: int = 200,
    wrong: str | None = None,
    *,
    login: str | None = None,
    token_open: bool = False,
    sealed: str | None = None,
    ended: bool = False,
) -> Response:
    """The page to sign in at.

    Args:
        back: the path to go on to.
        login: the name that was typed; a password is never shown again.
        sealed: a form that came too late, for the browser to keep.
        ended: whether a form came too late.
    """
    pre = guest.request.cookies.get(PRE_COOKIE) or secrets.token_urlsafe(24)
    settings = guest.desk.settings
    if sealed:
        guest.here, guest.query = back, ""
    else:
        guest.here, guest.query = "/sign-in", urlencode({"next": back})
    response = guest.page(
        "sign_in",
        status,
        proof=guest.desk.sessions.proof(pre),
        next=back,
        wrong=wrong,
        login=login,
        sealed=sealed,
        ended=ended,
        paste_token=settings.paste_token,
        token_open=token_open,
    )
    response.set_cookie(
        PRE_COOKIE, pre, max_age=_FORM_S, secure=settings.https, httponly=True, samesite="strict"
    )
    return response
