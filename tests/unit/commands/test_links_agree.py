"""When two regions say the same of a person who is known in both."""

from uuid import UUID

import pytest

from aidmesh.verification.links import Linked, odd_links

ID = UUID(int=7)
OURS = Linked("lviv", "yes", "open", has_person=True)
THEIRS = Linked("kyiv", "open", "yes", has_person=True)
ELSEWHERE = {"kyiv": {"odesa"}, "lviv": {"odesa"}}


def odd(ours: Linked | None, theirs: Linked | None) -> int:
    links = {
        "kyiv": {} if ours is None else {ID: ours},
        "lviv": {} if theirs is None else {ID: theirs},
    }
    return len(odd_links(links, ELSEWHERE))


@pytest.mark.parametrize(
    ("ours", "theirs"), [(OURS, THEIRS), (OURS._replace(other="odesa"), None), (None, None)]
)
def test_what_agrees_or_is_elsewhere_is_not_odd(ours: Linked | None, theirs: Linked | None) -> None:
    assert odd(ours, theirs) == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, None),
        (None, THEIRS),
        (OURS, THEIRS._replace(other="odesa")),
        (OURS, THEIRS._replace(theirs="no")),
        (OURS, THEIRS._replace(mine="gone")),
        (OURS, THEIRS._replace(has_person=False)),
        (OURS._replace(other="dnipro"), None),
    ],
)
def test_whatever_differs_is_odd(ours: Linked | None, theirs: Linked | None) -> None:
    assert odd(ours, theirs) >= 1
