"""Manifests come back whole from their codes, in any order, or not at all."""

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_inventory.domain.manifests import PART_CHARS_MAX, Manifest, read, write

SIGNATURE = bytes(range(64))


@given(content=st.binary(min_size=1, max_size=4_000), data=st.data())
def test_codes_are_read_in_any_order_and_twice(content: bytes, data: st.DataObject) -> None:
    manifest = Manifest(content, SIGNATURE)
    texts = write(manifest)
    mixed = data.draw(st.permutations([*texts, data.draw(st.sampled_from(texts))]))
    assert read(mixed) == manifest
    assert all(len(each) < PART_CHARS_MAX + 40 for each in texts)
    if len(texts) > 1:
        left = [each for each in texts if each != data.draw(st.sampled_from(texts))]
        assert read(left) == "manifest-incomplete"


@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_a_letter_that_was_misread_is_noticed(content: bytes, data: st.DataObject) -> None:
    text = write(Manifest(content, SIGNATURE))[0]
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("aZ9_-:/"))
    if text[at] != other:
        assert isinstance(read([text[:at] + other + text[at + 1 :]]), str)


def test_what_is_no_manifest_is_none() -> None:
    one, other = write(Manifest(b"one", SIGNATURE)), write(Manifest(b"other", SIGNATURE))
    assert read(["https://example.org"]) == "manifest-damaged"
    assert read([*one, *other]) == "manifest-damaged"
    assert read([]) == "manifest-incomplete"
    assert read(write(Manifest(b"", SIGNATURE))) == "manifest-damaged"


@pytest.mark.parametrize("chars", [1, PART_CHARS_MAX])
def test_every_part_fits_into_a_code(chars: int) -> None:
    text = f"AIDMESH1:00000000:10/99:{'x' * chars}"
    assert segno.make_qr(text, error="m").symbol_size()[0] <= 130
