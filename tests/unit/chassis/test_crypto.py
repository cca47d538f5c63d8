"""Encryption: what goes in comes out, and only under the same key and in the same place."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.crypto import (
    DecryptionFailed,
    MasterKey,
    PersonKey,
    PrivateKey,
    PublicKey,
    SecretKey,
    decrypt,
    encrypt,
    keyed_hash,
    seal,
    unseal,
    unwrap_key,
    wrap_key,
)

KEY = PersonKey.random()
PAIR = PrivateKey.random()


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_decrypt_undoes_encrypt(plaintext: bytes, aad: bytes) -> None:
    assert decrypt(KEY, encrypt(KEY, plaintext, aad), aad) == plaintext


@given(st.binary(max_size=300))
def test_unseal_undoes_seal(plaintext: bytes) -> None:
    assert unseal(PAIR, seal(PAIR.public, plaintext)) == plaintext


def flipped(data: st.DataObject, box: bytes) -> bytes:
    bit = data.draw(st.integers(0, len(box) * 8 - 1))
    changed = bytearray(box)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    with pytest.raises(DecryptionFailed):
        decrypt(KEY, flipped(data, encrypt(KEY, b"Olena", b"row")), b"row")
    with pytest.raises(DecryptionFailed):
        unseal(PAIR, flipped(data, seal(PAIR.public, b"Olena")))


@given(st.integers(0, 60))
def test_cut_short_is_noticed(length: int) -> None:
    box = encrypt(KEY, b"", b"")
    with pytest.raises(DecryptionFailed):
        decrypt(KEY, box[: min(length, len(box) - 1)], b"")
    sealed = seal(PAIR.public, b"")
    with pytest.raises(DecryptionFailed):
        unseal(PAIR, sealed[: min(length, len(sealed) - 1)])


def test_wrong_key_or_place_fails_without_telling() -> None:
    box = encrypt(KEY, b"Olena", b"person:1")
    for key, aad in ((PersonKey.random(), b"person:1"), (KEY, b"person:2")):
        with pytest.raises(DecryptionFailed) as failed:
            decrypt(key, box, aad)
        assert "Olena" not in str(failed.value)
        assert failed.value.__cause__ is None
    with pytest.raises(DecryptionFailed):
        unseal(PrivateKey.random(), seal(PAIR.public, b"Olena"))


def test_equal_plaintexts_look_different() -> None:
    assert encrypt(KEY, b"x", b"") != encrypt(KEY, b"x", b"")
    assert seal(PAIR.public, b"x") != seal(PAIR.public, b"x")


def test_a_wrapped_key_opens_only_under_its_master_and_owner() -> None:
    master = MasterKey.random()
    wrapped = wrap_key(master, KEY, b"person:1")
    assert unwrap_key(master, wrapped, b"person:1").reveal() == KEY.reveal()
    with pytest.raises(DecryptionFailed):
        unwrap_key(master, wrapped, b"person:2")
    with pytest.raises(DecryptionFailed):
        unwrap_key(MasterKey.random(), wrapped, b"person:1")
    # Data encrypted under the master cannot be passed off as a key.
    with pytest.raises(DecryptionFailed):
        unwrap_key(master, encrypt(master, bytes(32), b"person:1"), b"person:1")


def test_keyed_hash_depends_on_key_and_purpose() -> None:
    assert keyed_hash(KEY, b"+380501234567") == keyed_hash(KEY, b"+380501234567")
    assert len(keyed_hash(KEY, b"")) == 32
    assert len({
        keyed_hash(KEY, b"a"),
        keyed_hash(KEY, b"b"),
        keyed_hash(PersonKey.random(), b"a"),
        keyed_hash(KEY, b"a", purpose=b"import"),
    }) == 4  # fmt: skip


def test_keys_hide() -> None:
    assert repr(KEY) == str(KEY) == "PersonKey(***)"
    assert KEY.reveal().hex() not in f"{KEY} {[KEY]} {vars(type(KEY))}"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32"):
            SecretKey(wrong)
        with pytest.raises(ValueError, match="32"):
            PublicKey(wrong)
