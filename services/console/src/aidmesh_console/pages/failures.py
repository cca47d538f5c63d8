"""What people see when something is not as it should be."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import get_contextvars

from aidmesh_chassis.problems import Problem
from aidmesh_console.clients.link import Away, ClientError, Refused
from aidmesh_console.guest import Guest
from aidmesh_console.pages.entrance import ended, was_given_to
from aidmesh_console.visit import SignInFirst, StaleForm


def install(app: FastAPI) -> None:
    """Have every error of the desk shown as a page."""
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(StaleForm, _stale_form)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _not_found)
    app.add_exception_handler(ClientError, _client)
    app.add_exception_handler(Exception, _unexpected)


def _page(request: Request, status: int, slug: str, **values: str) -> Response:
    guest = Guest(request)
    key = f"problem.{slug}"
    detail = guest.say(key if guest.say.has(key) else "problem.unknown", **values)
    return guest.page("problem", status, heading=guest.say("problem"), detail=detail)


async def _sign_in_first(request: Request, error: Exception) -> Response:
    return ended(request)


async def _stale_form(request: Request, error: Exception) -> Response:
    guest = Guest(request)
    if was_given_to(guest):
        return guest.page("kept", 403)  # of a visit before this one, which the same person made
    request.state.form = None  # who knows whose it is: nothing of it is shown
    return _page(request, 403, "stale-form")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return _page(request, error.kind.status, error.kind.slug)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    slug = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
    return _page(request, error.status_code, slug.get(error.status_code, "unknown"))


class LongBodies:
    """Shows a page where a form is longer than is taken, which nobody reads: plain ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def shown(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                kind = dict(message.get("headers", ())).get(b"content-type", b"")
                replaced = kind.startswith(b"text/plain")
                if replaced:
                    page = _page(Request(scope), 413, "body-too-large")
                    await page(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, shown)


async def _not_found(request: Request, error: Exception) -> Response:
    return _page(request, 404, "not-found")


async def _client(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return _page(request, error.status, error.slug)
    assert isinstance(error, Away)  # noqa: S101
    guest = Guest(request)
    service = guest.say.code("service", error.service)
    if guest.session is not None and guest.again is not None:
        return guest.page("kept", 503, detail=guest.say("problem.away", service=service))
    return _page(request, 503, "away", service=service)


async def _unexpected(request: Request, error: Exception) -> Response:
    number = str(get_contextvars().get("correlation_id", ""))
    return _page(request, 500, "unexpected", number=number)
