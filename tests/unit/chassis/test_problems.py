"""The catalogue of problems, and what an answer tells."""

import json

import pytest
from pydantic import BaseModel, Field, ValidationError

from aidmesh_chassis.problems import (
    CONFLICT,
    ERRORS_MAX,
    PROBLEMS,
    TOO_MANY,
    Problem,
    problem_of_status,
    rejected_fields,
    retry_after,
)


def test_the_catalogue_is_sound() -> None:
    assert len({kind.slug for kind in PROBLEMS}) == len(PROBLEMS)
    for kind in PROBLEMS:
        assert 400 <= kind.status <= 599
        assert kind.uri == f"urn:aidmesh:problem:{kind.slug}"
        assert kind.slug == kind.slug.lower().replace("_", "-")
        assert kind.title
        assert kind.what_to_do.endswith(".")


def test_a_problem_says_what_to_do() -> None:
    assert Problem(CONFLICT, "Load it again.", needs=3).body() == {
        "type": "urn:aidmesh:problem:conflict",
        "title": CONFLICT.title,
        "status": 409,
        "detail": "Load it again.",
        "needs": 3,
    }
    assert Problem(CONFLICT).body()["detail"] == CONFLICT.what_to_do


def test_retry_after_is_at_least_a_second() -> None:
    response = retry_after(TOO_MANY, 0).response()
    assert response.headers["retry-after"] == "1"
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body))["status"] == 429


@pytest.mark.parametrize("status", [400, 404, 406, 410, 418, 599])
def test_any_status_becomes_a_problem(status: int) -> None:
    problem = problem_of_status(status, {"Allow": "GET"})
    assert problem.body()["status"] == status
    assert problem.headers == {"Allow": "GET"}


def test_no_value_is_repeated() -> None:
    class Row(BaseModel, extra="forbid"):
        kind: str = Field(pattern="^[a-z]+$", max_length=5)
        count: int = Field(ge=1)

    class Rows(BaseModel):
        rows: list[Row]

    with pytest.raises(ValidationError) as invalid:
        Rows.model_validate(
            {"rows": [{"kind": "Olena K", "count": -77, "+380 50": 1, "Олена": 1}] * 100}
        )
    told = rejected_fields(dict(error) for error in invalid.value.errors())
    assert len(told) == ERRORS_MAX
    assert told[:4] == [
        {"field": "rows.0.kind", "rule": "string_too_long", "max_length": 5},
        {"field": "rows.0.count", "rule": "greater_than_equal", "ge": 1},
        {"field": "rows.0.***", "rule": "extra_forbidden"},
        {"field": "rows.0.***", "rule": "extra_forbidden"},
    ]
