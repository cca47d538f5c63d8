"""Tokens: valid for one region, one time span, one issuer; nothing else is let in."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aidmesh_chassis.auth import LIFETIME_S_MAX, Caller, Role, Verifier, issue_token
from aidmesh_chassis.problems import Problem

KEY = Ed25519PrivateKey.generate()
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
STAFF = UUID("5f0c4a3e-0f53-4a39-9a4e-2d2d1b7a1c11")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> Verifier:
    return Verifier(KEY.public_key(), "kyiv", clock=clock, remembered_max=3)


def refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(Problem) as problem:
        verifier.verify(token)
    assert problem.value.kind.status == 401
    assert problem.value.headers == {"WWW-Authenticate": "Bearer"}


def good(**changes: object) -> dict[str, object]:
    issued_at = int(NOW.timestamp())
    claims: dict[str, object] = {
        "iss": "urn:aidmesh:issuer:kyiv", "aud": "kyiv", "sub": str(STAFF), "roles": ["lead"],
        "iat": issued_at, "exp": issued_at + 60,
    }  # fmt: skip
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims: Mapping[str, object], key: Ed25519PrivateKey = KEY) -> str:
    return jwt.encode(dict(claims), key, algorithm="EdDSA")


def test_a_token_tells_who_and_what(verifier: Verifier) -> None:
    token = issue_token(KEY, STAFF, [Role.LEAD, Role.FINANCE, Role.LEAD], "kyiv", NOW, 3600)
    caller = verifier.verify(token)
    assert caller.staff_id == STAFF
    assert caller.roles == {Role.LEAD, Role.FINANCE}
    assert verifier.verify(token) is caller
    assert verifier.verify(signed(good())).roles == {Role.LEAD}


def test_it_runs_out_even_when_remembered(verifier: Verifier, clock: Clock) -> None:
    token = issue_token(KEY, STAFF, [Role.LEAD], "kyiv", NOW, 3600)
    verifier.verify(token)
    clock.now = NOW + timedelta(seconds=3600 + 29)
    verifier.verify(token)
    clock.now = NOW + timedelta(seconds=3600 + 30)
    refused(verifier, token)
    refused(verifier, token)


def test_memory_is_bounded(verifier: Verifier) -> None:
    for _ in range(10):
        verifier.verify(issue_token(KEY, uuid4(), [Role.LEAD], "kyiv", NOW, 60))
    assert len(verifier._remembered) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "lviv"}, {"aud": None}, {"iss": "urn:aidmesh:issuer:lviv"}, {"iss": None},
        {"sub": "Olena"}, {"sub": None}, {"roles": ["king"]}, {"roles": None}, {"roles": 5},
        {"exp": None}, {"iat": None}, {"exp": int(NOW.timestamp()) - 60},
        {"exp": int(NOW.timestamp()) + LIFETIME_S_MAX + 1}, {"exp": "soon"}, {"exp": float("inf")},
        {"iat": int(NOW.timestamp()) + 31, "exp": int(NOW.timestamp()) + 60},
    ],
)  # fmt: skip
def test_claims_that_are_not_acceptable(verifier: Verifier, changes: dict[str, object]) -> None:
    try:
        token = signed(good(**changes))
    except TypeError:  # the library refuses to sign it
        head, body = (
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
            for part in ({"alg": "EdDSA", "typ": "JWT"}, good(**changes))
        )
        signature = base64.urlsafe_b64encode(KEY.sign(head + b"." + body)).rstrip(b"=")
        token = (head + b"." + body + b"." + signature).decode()
    refused(verifier, token)


def test_other_keys_and_algorithms_are_refused(verifier: Verifier) -> None:
    refused(verifier, signed(good(), Ed25519PrivateKey.generate()))
    refused(verifier, jwt.encode(good(), "", algorithm="none"))
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    refused(verifier, jwt.encode(good(), raw, algorithm="HS256"))
    for token in ("", ".", "a.b.c", "x" * 5000, signed(good())[:-4] + "AAAA", "п" * 40):
        refused(verifier, token)


@pytest.mark.parametrize("lifetime_s", [0, -1, LIFETIME_S_MAX + 1])
def test_lifetimes_are_bounded(lifetime_s: int) -> None:
    with pytest.raises(ValueError, match="lives"):
        issue_token(KEY, STAFF, [Role.LEAD], "kyiv", NOW, lifetime_s)
    with pytest.raises(ValueError, match="role"):
        issue_token(KEY, STAFF, [], "kyiv", NOW, 60)


def test_only_case_work_and_leads_see_what_is_sensitive() -> None:
    seeing = {role for role in Role if Caller(uuid4(), frozenset({role})).sees_sensitive}
    assert seeing == {Role.CASEWORKER, Role.LEAD}
    assert Caller(uuid4(), frozenset({Role.LOGISTICIAN, Role.LEAD})).sees_sensitive
    assert not Caller(uuid4(), frozenset()).sees_sensitive
