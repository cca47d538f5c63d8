"""A grant that was shown while everything broke has to add up; whatever could be wrong is told."""

from collections.abc import Callable
from typing import Any

import pytest

from aidmesh.chaos.balance import Paid, paid_of, unbalanced
from aidmesh.chaos.book import Book, Json
from aidmesh_chassis.auth import Role
from unit.chaos.booking import accept

OWN, LVIV = "own", "lviv"


def holder(name: str, allotment: str, **amounts: int) -> dict[str, Any]:
    return {
        "allotment_id": allotment,
        "grantor": "kyiv",
        "holder": name,
        "received_minor": 0,
        "returned_minor": 0,
        "free_minor": 0,
        "granted_minor": 0,
        "granted_back_minor": 0,
        **amounts,
    }


def came(reference: str, amount: int | None, state: str = "received") -> dict[str, Any]:
    return {"bank_reference": reference, "received_minor": amount, "state": state}


def grant() -> dict[str, Any]:
    """900 came in two instalments; 300 are here, 30 on their way to lviv and 10 on theirs back."""
    return {
        "received_minor": 900,
        "unallotted_minor": 400,
        "allotted_minor": 450,
        "exchange_difference_minor": 0,
        "refund_due_minor": 20,
        "refunded_minor": 30,
        "budget_lines": [{"allotted_minor": 440}, {"allotted_minor": 10}],
        "instalments": [came("in-1", 500), came("in-2", 400), came("in-0", 70, "reversed"),
                        came("", None, "expected")],
        "holders": [
            holder("kyiv", OWN, received_minor=310, returned_minor=10, granted_minor=310,
                   granted_back_minor=10, free_minor=300),
            holder("lviv", LVIV, received_minor=170, returned_minor=60, granted_minor=200,
                   granted_back_minor=50),
        ],
    }  # fmt: skip


LEAST = Paid({"in-1": 500}, {OWN: 310})
MOST = Paid({"in-1": 500, "in-2": 400, "in-3": 5}, {OWN: 310, LVIV: 200})


def told(change: Callable[[dict[str, Any]], object]) -> list[str]:
    shown = grant()
    change(shown)
    return list(unbalanced(shown, LEAST, MOST))


WRONG: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda shown: shown.update(unallotted_minor=399), "900 received, 899 accounted for"),
    (lambda shown: shown["instalments"].pop(1), "900 received, 500 by instalments"),
    (lambda shown: shown["instalments"][2].update(state="received"), "970 by instalments"),
    (lambda shown: shown["budget_lines"][0].update(allotted_minor=439), "449 from its lines"),
    (lambda shown: shown["holders"][1].update(granted_minor=201), "451 sent less what came back"),
    (lambda shown: shown["holders"][1].update(granted_back_minor=49), "451 sent less"),
    (lambda shown: shown["holders"].pop(1), "450 allotted, 300 sent"),
    (lambda shown: shown["holders"].pop(0), "allotment own was accepted, and is not there"),
    (lambda shown: shown["holders"][0].update(granted_minor=309), "309 sent, 310 were accepted"),
    (lambda shown: shown["holders"][1].update(received_minor=201), "200 sent, 201 arrived"),
    (lambda shown: shown["holders"][0].update(returned_minor=9), "300 sent, 301 are there"),
    (lambda shown: shown["holders"][1].update(free_minor=-1), "more is bound and spent"),
    (lambda shown: shown["instalments"].append(came("in-1", 500)), "in-1: 1000, not 500"),
    (lambda shown: shown["instalments"].append(came("in-9", 5)), "in-9: 5, not 0"),
    (lambda shown: shown["instalments"].pop(0), "in-1 was accepted, and is not there"),
]


def test_a_grant_that_adds_up_is_left_alone() -> None:
    assert told(lambda shown: shown) == []


@pytest.mark.parametrize(("change", "what"), WRONG, ids=[what for _, what in WRONG])
def test_a_cent_that_is_not_where_it_belongs_is_told(
    change: Callable[[dict[str, Any]], object], what: str
) -> None:
    assert any(what in each for each in told(change))


def test_the_book_knows_what_must_be_there_and_what_may() -> None:
    book = Book()
    accept(book, "instalment", grant="g", amount_minor="500", reference="in-1")
    accept(book, "instalment", grant="other", amount_minor="7", reference="in-7")
    accept(book, "allot", answer={"allotment_id": OWN}, grant="g", to="kyiv", amount_minor="300")
    accept(book, "raise", allotment=OWN, grant="g", amount_minor="10")
    body: Json = {}
    facts = {"grant": "g", "amount_minor": "400", "reference": "in-2"}
    book.begin("instalment", "kyiv", "payments", "/instalments:bulk", Role.FINANCE, body, facts)
    refused = book.begin("instalment", "kyiv", "payments", "/i", Role.FINANCE, body, facts)
    refused.hear(422, {})

    assert paid_of(book.ops, "g") == Paid({"in-1": 500}, {OWN: 310})
    assert paid_of(book.ops, "g", begun_too=True).instalments == {"in-1": 500, "in-2": 400}
