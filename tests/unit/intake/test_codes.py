"""One code, however it is spelled."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aidmesh_intake.domain.codes import plain_code


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K-17", "k-17"),
        ("K-17", "К-17"),
        ("ХОЛМ 5", " холм  5 "),
        ("Йосиф-7", unicodedata.normalize("NFD", "Йосиф-7")),
        ("K-17", "K–17"),
        ("K-17", "Ｋ－17"),
    ],
)
def test_what_looks_alike_is_one_code(one: str, other: str) -> None:
    assert plain_code(one) == plain_code(other)


@pytest.mark.parametrize(
    ("one", "other"), [("K-17", "K-71"), ("K-17", "K17"), ("Ї-1", "І-1"), ("Г-1", "Ґ-1")]
)
def test_what_looks_different_is_another(one: str, other: str) -> None:
    assert plain_code(one) != plain_code(other)


@given(st.text(max_size=40))
@example("а\u0301")
def test_it_is_plain_at_once(text: str) -> None:
    assert plain_code(plain_code(text)) == plain_code(text)
