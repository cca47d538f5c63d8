"""Migrations are files of pogo-migrate, and mean the same to it as to `migrating`."""

from pathlib import Path

import pytest
from pogo_core.migration import Migration, read_sql_migration

from aidmesh.meshfile import WITH_DATABASE
from aidmesh_chassis.migrating import CHASSIS_MIGRATIONS, migrations_of, statements

FOLDERS = [CHASSIS_MIGRATIONS, *(each for name in WITH_DATABASE for each in migrations_of(name))]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.parent.name)
def files(request: pytest.FixtureRequest) -> list[Path]:
    """The migrations of a folder, in the order of their names."""
    folder: Path = request.param
    found = sorted(folder.glob("*.sql"))
    assert found
    return found


def test_each_depends_on_what_comes_before_it_by_name(files: list[Path]) -> None:
    known = [Migration(file.stem, file, None) for file in files]
    first, *others = [each.load() for each in known]

    assert not first.depends
    for each in others:
        assert each.depends
        assert max(each.depends_ids) < each.id


def test_pogo_applies_the_same_statements(files: list[Path]) -> None:
    for file in files:
        *_, in_transaction, applied, _ = read_sql_migration(file)
        assert in_transaction, f"{file.name}: a folder is applied in one transaction"
        assert "".join("".join(applied).split()) == "".join(statements(file).split())


@pytest.mark.parametrize("missing", ["-- migrate: apply\n", "-- migrate: rollback\n"])
def test_half_a_migration_is_none(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "0001_half.sql"
    whole = "-- A.\n-- depends:\n-- migrate: apply\nSELECT 1;\n-- migrate: rollback\nSELECT 2;\n"
    file.write_text(whole.replace(missing, ""), encoding="utf-8")

    with pytest.raises(ValueError, match=r"0001_half\.sql is no migration"):
        statements(file)
