"""A record's successor: the same but for what was named, by the same rules as the library's."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_intake.domain.need import State
from aidmesh_intake.domain.records import replace
from unit.intake.builders import need


@given(st.sampled_from(State), st.integers(min_value=1), st.booleans())
def test_only_what_is_named_differs(state: State, version: int, woken: bool) -> None:
    before = need()
    was = dataclasses.asdict(before)
    after = replace(before, state=state, version=version, woken=woken)
    assert after == dataclasses.replace(before, state=state, version=version, woken=woken)
    assert hash(after) == hash(dataclasses.replace(after))
    assert dataclasses.asdict(before) == was


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="no such field"):
        replace(need(), stat=State.READY)  # type: ignore[call-arg]


def test_what_follows_cannot_be_changed_either() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(need(), version=2).version = 3  # type: ignore[misc]
