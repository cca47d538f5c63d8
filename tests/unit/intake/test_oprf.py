"""The function of RFC 9497, by its own test vectors (appendix A.1.1), and what makes it blind."""

import tempfile
from pathlib import Path

import pytest

from aidmesh_intake import oprf

KEY = bytes.fromhex("5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e")
BLIND = bytes.fromhex("64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706")
VECTORS = [
    (
        "00",
        "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
        "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
        (
            "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3"
            "ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6"
        ),
    ),
    (
        "5a" * 17,
        "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
        "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
        (
            "f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4"
            "f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73"
        ),
    ),
]


@pytest.mark.parametrize(("text", "blinded", "evaluated", "output"), VECTORS)
def test_it_is_the_function_of_the_standard(
    text: str, blinded: str, evaluated: str, output: str
) -> None:
    data = bytes.fromhex(text)
    assert oprf.blind(data, BLIND).hex() == blinded
    assert oprf.evaluate(KEY, bytes.fromhex(blinded)).hex() == evaluated
    assert oprf.finalize(data, BLIND, bytes.fromhex(evaluated)).hex() == output
    assert oprf.value_of(KEY, data).hex() == output


def test_the_same_input_is_never_sent_twice_alike_and_always_comes_to_the_same() -> None:
    data = b"phone:380501234567"
    key = oprf.random_scalar()
    sent, values = set(), set()
    for _ in range(50):
        scalar = oprf.random_scalar()
        element = oprf.blind(data, scalar)
        sent.add(element)
        values.add(oprf.finalize(data, scalar, oprf.evaluate(key, element)))
    assert len(sent) == 50
    assert values == {oprf.value_of(key, data)}


def test_another_key_comes_to_another_value() -> None:
    assert oprf.value_of(oprf.random_scalar(), b"x") != oprf.value_of(oprf.random_scalar(), b"x")


@pytest.mark.parametrize("element", [bytes(32), b"\xff" * 32, b"", b"x" * 31])
def test_what_is_no_element_is_refused(element: bytes) -> None:
    with pytest.raises(oprf.NoElement):
        oprf.evaluate(KEY, element)
    with pytest.raises(oprf.NoElement):
        oprf.finalize(b"x", BLIND, element)


def test_the_library_leaves_nothing_behind_in_the_temporary_folder() -> None:
    oprf.random_scalar()
    import rbcl  # noqa: PLC0415

    left = Path(rbcl._sodium._name)
    assert left.parent == Path(tempfile.gettempdir())
    assert not left.exists()
