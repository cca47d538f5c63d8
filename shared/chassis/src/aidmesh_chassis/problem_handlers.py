"""Renders every error of an app as problem details.

Apart from `problems`: the operators' command needs those, and FastAPI takes a while to import.
"""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from aidmesh_chassis.problems import (
    INVALID,
    MALFORMED,
    UNSUPPORTED_MEDIA,
    Problem,
    problem_of_status,
    rejected_fields,
)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class
    return error.response()


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = error.errors()
    if any(each.get("type") == "json_invalid" for each in errors):
        return Problem(MALFORMED).response()
    # FastAPI hands a body that is not declared as JSON to the model as bytes.
    if isinstance(error.body, bytes) and any(each.get("loc") == ("body",) for each in errors):
        return Problem(UNSUPPORTED_MEDIA).response()
    return Problem(INVALID, errors=rejected_fields(errors)).response()


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem_of_status(error.status_code, error.headers).response()


def install(app: FastAPI) -> None:
    """Have every error of `app` rendered as problem details.

    Unexpected exceptions are not here: the request middleware of `http` logs and answers them.
    """
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
