"""Hidden values: validated like plain ones, shown only when asked to."""

import copy
import json
import pickle

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from aidmesh_chassis.privacy import REVEAL, PersonalText, PersonalYear


class Card(BaseModel):
    name: PersonalText
    year: PersonalYear | None = None
    more: list[PersonalText] = []


CARD = Card.model_validate({"name": "  Olena ", "year": 1990, "more": ["Lviv"]})


def test_plain_values_are_validated_into_hidden_ones() -> None:
    assert CARD.name == PersonalText("Olena")
    assert CARD.name.reveal() == "Olena"
    assert CARD.year is not None
    assert CARD.year.reveal() == 1990
    assert Card.model_validate_json(CARD.model_dump_json(context=dict(REVEAL))) == CARD
    assert Card(name=CARD.name).name is CARD.name


@pytest.mark.parametrize(
    "shown",
    [
        str(CARD.name), repr(CARD.name), f"{CARD.name:>20}", "%s" % CARD.name,  # noqa: UP031
        repr(CARD), str(CARD), CARD.model_dump_json(), repr(CARD.model_dump()),
        json.dumps(CARD.model_dump(mode="json")), repr({"a": [CARD.name]}),
        str(ValueError(CARD.name)),
    ],
)  # fmt: skip
def test_values_do_not_show(shown: str) -> None:
    assert "Olena" not in shown
    assert "1990" not in shown
    assert "Lviv" not in shown
    assert "***" in shown


def test_revealing_is_explicit() -> None:
    assert CARD.model_dump(mode="json", context=dict(REVEAL)) == {
        "name": "Olena", "year": 1990, "more": ["Lviv"],
    }  # fmt: skip
    for context in ({}, {"reveal": False}, {"reveal": "yes"}, {"other": True}):
        assert CARD.model_dump(context=context)["name"] == "***"


def test_neither_pickled_nor_encoded() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(CARD.name)
    with pytest.raises(TypeError):
        json.dumps({"name": CARD.name})
    assert copy.deepcopy(CARD) == CARD


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "x" * 4001}, {"name": 5}, {}])
def test_rules_hold(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Card.model_validate(wrong)


def test_compares_by_value_and_class() -> None:
    assert PersonalText("a") == PersonalText("a")
    assert PersonalText("a") != PersonalText("b")
    assert PersonalText("a") != "a"
    assert len({PersonalText("a"), PersonalText("a")}) == 1


def test_schema_says_what_is_personal() -> None:
    adapter = TypeAdapter(PersonalText)
    for schema in (adapter.json_schema(), adapter.json_schema(mode="serialization")):
        assert schema["type"] == "string"
        assert schema["x-personal"] is True
    assert TypeAdapter(PersonalYear).json_schema()["type"] == "integer"
