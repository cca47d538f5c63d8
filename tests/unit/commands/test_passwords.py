"""New passwords for databases: what is written down at each step, and what services are handed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aidmesh import passwords
from aidmesh.meshfile import WITH_DATABASE, MeshError, RegionEntry, read_mesh
from aidmesh.preparing import prepare_mesh

AT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that holds kyiv and lviv."""
    names = ("kyiv", "lviv")
    prepare_mesh(tmp_path, names, {name: tmp_path / "keys" / name for name in names})
    (tmp_path / "kyiv").mkdir()
    return tmp_path


def entry_of(data: Path, region: str = "kyiv") -> RegionEntry:
    return read_mesh(data).regions[region]


def present(entry: RegionEntry) -> dict[str, str | None]:
    found = {each: entry.services[each].database_password for each in WITH_DATABASE}
    return {**found, "postgres": entry.own_postgres.password}


def test_the_next_ones_take_the_place_of_the_present_ones(data: Path) -> None:
    before, elsewhere = entry_of(data), entry_of(data, "lviv")
    assert passwords.is_over(before)
    passwords.begin(data, "kyiv")
    to_come = passwords.to_come(entry_of(data))
    assert set(to_come) == {*WITH_DATABASE, "postgres"}
    assert set(to_come.values()).isdisjoint(present(before).values())
    assert present(entry_of(data)) == present(before), "nobody uses them yet"
    assert len(entry_of(data).admin_dsns("postgres")) == 2

    passwords.begin(data, "kyiv")
    assert passwords.to_come(entry_of(data)) == to_come, "taken up where it was cut short"

    mesh = passwords.promote(data, "kyiv", to_come, AT)
    assert mesh == read_mesh(data)
    assert present(entry_of(data)) == to_come
    assert not passwords.to_come(entry_of(data))
    assert not passwords.is_over(entry_of(data)), "sessions from before go on"
    passwords.end(data, "kyiv", AT - timedelta(seconds=1))
    assert not passwords.is_over(entry_of(data)), "another time's"
    passwords.end(data, "kyiv", AT)
    assert passwords.is_over(entry_of(data))
    assert entry_of(data, "lviv") == elsewhere
    with pytest.raises(MeshError, match="no region odesa"):
        passwords.end(data, "odesa", AT)


def test_services_know_both_until_it_is_over(data: Path) -> None:
    folder = data / "kyiv"
    old = present(entry_of(data))
    passwords.put(folder, entry_of(data))
    path = passwords.file_of(folder, "payments")
    assert path.read_text() == f"{old['payments']}\n"
    first = path.stat().st_ino
    passwords.put(folder, entry_of(data))
    assert path.stat().st_ino == first, "nothing changed"
    passwords.begin(data, "kyiv")
    passwords.put(folder, entry_of(data))
    to_come = passwords.to_come(entry_of(data))
    assert path.read_text() == f"{old['payments']}\n{to_come['payments']}\n"
    passwords.promote(data, "kyiv", to_come, AT)
    passwords.put(folder, entry_of(data))
    assert path.read_text() == f"{to_come['payments']}\n"
    for each in (folder / passwords.FOLDER, *(folder / passwords.FOLDER).iterdir()):
        assert each.stat().st_mode & 0o077 == 0


def test_an_entry_in_use_learns_them_in_place(data: Path) -> None:
    used = entry_of(data)
    passwords.begin(data, "kyiv")
    passwords.promote(data, "kyiv", passwords.to_come(entry_of(data)), AT)
    passwords.take(used, entry_of(data))
    assert present(used) == present(entry_of(data))
    assert used.outbox_dsns == entry_of(data).outbox_dsns
