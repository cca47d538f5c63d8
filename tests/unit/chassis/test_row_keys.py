"""Rows are known again by keyed hashes that say nothing without the key."""

from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.crypto import KEY_BYTES, SecretKey
from aidmesh_chassis.row_keys import content_key, row_key

secrets = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES).map(SecretKey)
names = st.tuples(*[st.text(max_size=8)] * 3)


@given(secrets, names, names)
def test_a_row_has_one_key_and_no_other_row_has_it(
    secret: SecretKey, one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (row_key(secret, *one) == row_key(secret, *other)) == (one == other)


def test_nothing_moves_from_one_part_to_the_next() -> None:
    secret = SecretKey(bytes(KEY_BYTES))
    parts = [("ab", "c", ""), ("a", "bc", ""), ("a", "b", "c"), ("", "abc", "")]
    assert len({row_key(secret, *each) for each in parts}) == len(parts)


@given(secrets, secrets, names, st.binary(max_size=8), st.binary(max_size=8))
def test_another_key_id_or_content_gives_another_hash(
    one: SecretKey, other: SecretKey, name: tuple[str, str, str], content: bytes, changed: bytes
) -> None:
    same_key = one.reveal() == other.reveal()
    assert (row_key(one, *name) == row_key(other, *name)) == same_key
    row_id = name[2]
    known = content_key(one, row_id, content)
    assert (known == content_key(one, row_id, changed)) == (content == changed)
    assert known != content_key(one, row_id + "x", content)
    assert (known == content_key(other, row_id, content)) == same_key
