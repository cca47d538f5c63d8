"""The first digits of an id, as the desk shows them."""

from uuid import UUID

import pytest

from aidmesh.story.named import bounds, whole

ID = UUID("d8f85470-5c1f-7d1e-9b1a-0123456789ab")


@pytest.mark.parametrize("digits", [6, 8, 9, 20, 35])
def test_whatever_begins_so_is_between(digits: int) -> None:
    found = bounds(str(ID)[:digits].upper())
    assert found is not None
    assert found[0] <= ID <= found[1]
    assert not found[0] <= UUID(int=ID.int ^ 1 << 124) <= found[1]


@pytest.mark.parametrize("text", ["", "d8f85", "d8f8547g", "need 4", str(ID)])
def test_what_is_no_beginning(text: str) -> None:
    assert bounds(text) is None


def test_a_whole_one() -> None:
    assert whole(str(ID)) == ID
    assert whole("d8f85470") is None
