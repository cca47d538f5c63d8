"""A visit: genuine, alive, renewed from the staff file, ended for good."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aidmesh_chassis.auth import Role, Verifier
from aidmesh_chassis.key_rotation import prepare, switch
from aidmesh_chassis.keys import LOOK_S, TOKENS, KeyRing, create_region_keys
from aidmesh_chassis.staff import StaffFile, WrongCredentials
from aidmesh_console.config import Settings
from aidmesh_console.session import KEPT_S, Session, Sessions

PASSWORD = "correct horse battery"


class Clock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """Sessions of a region with one caseworker, anna."""

    def __init__(self, folder: Path) -> None:
        create_region_keys(folder)
        self.clock = Clock()
        self.keys = KeyRing(folder, [TOKENS])
        self.staff = StaffFile(folder / "staff.jsonl", passes=1, memory_bytes=8192)
        self.staff.add("anna", PASSWORD, [Role.CASEWORKER])
        self.settings = Settings(region="kyiv", keys_dir=folder)
        self.verifier = Verifier(self.keys.token_keys, "kyiv", clock=self.clock)
        self.sessions = self.again()

    def again(self) -> Sessions:
        """The desk after a restart."""
        return Sessions(self.settings, self.keys, self.staff, self.verifier, self.clock)

    async def begin(self) -> Session:
        return await self.sessions.by_password("anna", PASSWORD)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "keys")


async def test_a_cookie_carries_the_visit_even_over_a_restart(rig: Rig) -> None:
    session = await rig.begin()
    cookie = rig.sessions.cookie(session)
    assert len(cookie) < 3500
    found = rig.again().read(cookie)
    assert found is not None
    assert found.caller == session.caller
    assert found.visit_id == session.visit_id


def test_a_form_that_came_too_late_is_kept_for_a_while_even_over_a_restart(rig: Rig) -> None:
    kept = rig.sessions.keeping("/register?a=b", "/register", "mark", [("note", "чекає")])
    sealed = rig.sessions.sealed(kept)
    assert sealed is not None
    rig.clock.now += KEPT_S - 1
    assert rig.again().unsealed(sealed) == kept
    rig.clock.now += 1
    assert rig.again().unsealed(sealed) is None


async def test_a_wrong_password_begins_nothing(rig: Rig) -> None:
    with pytest.raises(WrongCredentials):
        await rig.sessions.by_password("anna", "something else altogether")


async def test_a_changed_cookie_is_worth_nothing(rig: Rig) -> None:
    cookie = rig.sessions.cookie(await rig.begin())
    for place in range(0, len(cookie), 7):
        other = "0" if cookie[place] != "0" else "1"
        assert rig.sessions.read(cookie[:place] + other + cookie[place + 1 :]) is None


@given(st.text(max_size=200))
def test_nonsense_is_nobody(text: str) -> None:
    assert _NOBODY.read(text) is None


async def test_an_idle_visit_ends(rig: Rig) -> None:
    cookie = rig.sessions.cookie(await rig.begin())
    rig.clock.now += rig.settings.idle_s_max - 1
    assert rig.sessions.read(cookie) is not None
    rig.clock.now += 2
    assert rig.sessions.read(cookie) is None


async def test_a_visit_is_renewed_but_not_beyond_its_end(rig: Rig) -> None:
    session = await rig.begin()
    first = session.token
    while rig.clock.now < session.began_at + rig.settings.visit_s_max - 600:
        rig.clock.now += 600
        found = rig.sessions.read(rig.sessions.cookie(session))
        assert found is not None
        session = found
    assert session.token != first
    rig.clock.now += 700
    assert rig.sessions.read(rig.sessions.cookie(session)) is None


async def test_who_is_no_longer_staff_is_out_when_the_token_would_be_renewed(rig: Rig) -> None:
    session = await rig.begin()
    rig.staff.set_disabled("anna", disabled=True)
    for _ in range(4):
        rig.clock.now += 600
        found = rig.sessions.read(rig.sessions.cookie(session))
        if found is None:
            return
        session = found
    pytest.fail("somebody who is no longer staff is still there after 40 minutes")


async def test_other_roles_come_with_the_renewal(rig: Rig) -> None:
    session = await rig.begin()
    rig.staff.set_roles("anna", [Role.LEAD])
    rig.clock.now += rig.settings.idle_s_max - 1
    found = rig.sessions.read(rig.sessions.cookie(session))
    assert found is not None
    rig.clock.now += 600
    found = rig.sessions.read(rig.sessions.cookie(found))
    assert found is not None
    assert found.roles == {Role.LEAD}


async def test_an_ended_visit_stays_ended(rig: Rig) -> None:
    session = await rig.begin()
    cookie = rig.sessions.cookie(session)
    rig.sessions.end(session)
    assert rig.sessions.read(cookie) is None


async def test_a_proof_belongs_to_one_visit(rig: Rig) -> None:
    one, two = await rig.begin(), await rig.begin()
    proof = rig.sessions.proof(one.visit_id)
    assert rig.sessions.proves(one.visit_id, proof)
    assert not rig.sessions.proves(two.visit_id, proof)
    assert not rig.sessions.proves(one.visit_id, "")
    assert not rig.sessions.proves(one.visit_id, "\u00e4")


@pytest.fixture(scope="module", autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sessions for the property test, which may not ask for a fixture per example."""
    global _NOBODY
    _NOBODY = Rig(tmp_path_factory.mktemp("nobody") / "keys").sessions


_NOBODY: Sessions


async def test_a_visit_goes_on_when_the_key_that_signs_is_replaced(rig: Rig) -> None:
    times = itertools.count(step=LOOK_S)
    rig.keys = KeyRing(rig.keys.folder, [TOKENS], clock=lambda: next(times))
    rig.verifier = Verifier(rig.keys.token_keys, "kyiv", clock=rig.clock)
    rig.sessions = rig.again()
    session = await rig.begin()
    cookie, proof = rig.sessions.cookie(session), rig.sessions.proof(session.visit_id)
    prepare(rig.keys.folder)
    switch(rig.keys.folder)
    found = rig.sessions.read(cookie)
    assert found is not None
    assert rig.sessions.proves(session.visit_id, proof)
    fresh = rig.sessions.proof(session.visit_id)
    assert fresh != proof
    assert rig.sessions.proves(session.visit_id, fresh)
    assert rig.again().read(rig.sessions.cookie(await rig.begin())) is not None
