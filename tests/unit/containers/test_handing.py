"""What a region of containers is made of, and who is handed which keys."""

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from aidmesh.__main__ import build
from aidmesh.credentials import create_keys
from aidmesh.meshfile import SERVICES, WITH_DATABASE, MeshError, read_mesh
from aidmesh.outside.handing import ENTERED, HELD, POSTGRES, hand_out, setting_file
from aidmesh.outside.places import SECRETS, Places
from aidmesh.outside.provision import provision
from aidmesh_chassis.key_rotation import former, prepare, switch
from aidmesh_chassis.keys import PUBLICS, KeyRing
from aidmesh_chassis.nkey import read_nkey
from aidmesh_chassis.settings import SECRETS_DIR, ServiceSettings, settings_config
from aidmesh_notification.config import Settings as NotificationSettings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path / "data", tmp_path / "keys", tmp_path / "out", tmp_path / "store")
    for folder in (found.data, found.keys, found.nats, found.store):
        folder.mkdir(parents=True)
    return found


def names_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_all_it_needs_and_no_secret_of_another(places: Places, service: str) -> None:
    provision("kyiv", places)
    folder = places.out / service
    settings: ServiceSettings = import_module(f"aidmesh_{service}.config").Settings(
        _secrets_dir=folder
    )
    assert settings.region == "kyiv"
    assert settings.keys_dir == SECRETS
    assert (settings.database_url is not None) == (service in WITH_DATABASE)
    ring = KeyRing(folder, HELD[service])
    assert ring.missing == ()
    built = import_module(f"aidmesh_{service}.app").build(
        settings.model_copy(update={"keys_dir": folder})
    )
    assert built.name == service
    secrets = {name for name in names_in(folder) if name.endswith((".key", ".nk"))}
    assert secrets == {f"{name}.key" for name in HELD[service]} | (
        {f"nats/{service}.nk"} if service in WITH_DATABASE else set()
    )
    assert {f"{name}.pub" for name in PUBLICS} <= set(names_in(folder))
    if service in WITH_DATABASE:
        assert read_nkey(folder / "nats" / f"{service}.nk").public


def test_servers_have_no_secret_of_a_user(places: Places) -> None:
    mesh = provision("kyiv", places)
    assert not [name for name in names_in(places.nats) if name.endswith((".nk", ".key"))]
    config = (places.nats / "nats.conf").read_text()
    assert 'listen: "0.0.0.0:7422"' in config  # the first link needs no restart
    assert f'store_dir: "{places.store}"' in config
    password = (places.out / "postgres" / "password").read_text()
    assert password == mesh.regions["kyiv"].own_postgres.password
    settings = (places.out / "postgres" / "postgresql.conf").read_text()
    assert "fsync = 'on'" in settings
    assert "log_min_error_statement = 'panic'" in settings  # no row's values in a log
    assert POSTGRES["listen_addresses"] == "*"


def test_nothing_is_readable_by_others(places: Places) -> None:
    provision("kyiv", places)
    for folder in (places.out, places.keys):
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".pem":
                allowed = 0o640 if "postgres" in path.parts else 0o600
                assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path


def test_it_can_be_done_again_and_changes_nothing(places: Places) -> None:
    provision("kyiv", places)
    before = [names_in(folder) for folder in (places.data, places.keys, places.out)]
    provision("kyiv", places)
    assert [names_in(folder) for folder in (places.data, places.keys, places.out)] == before
    with pytest.raises(MeshError, match="holds kyiv, not lviv"):
        provision("lviv", places)
    assert list(read_mesh(places.data).regions) == ["kyiv"]


def test_keys_that_are_replaced_are_handed_out_with_their_time(places: Places) -> None:
    mesh = provision("kyiv", places)
    assert hand_out("kyiv", mesh, places) == []
    keys = places.keys / "kyiv"
    prepare(keys)
    assert set(hand_out("kyiv", mesh, places)) == set(SERVICES)
    switch(keys)
    hand_out("kyiv", mesh, places)
    (old,) = former(keys)["tokens"]
    handed = places.out / "intake" / f"tokens.{old}.pub"
    # Until then what it signed is accepted: see aidmesh_chassis.keys.TokenKey.
    assert handed.stat().st_mtime_ns == (keys / handed.name).stat().st_mtime_ns
    assert not list((places.out / "intake").glob("*.next.*"))
    ring = KeyRing(places.out / "payments", HELD["payments"])
    assert ring.missing == ()


def test_staff_are_known_to_the_desk_and_who_is_revoked_to_all(places: Places) -> None:
    mesh = provision("kyiv", places)
    keys = places.keys / "kyiv"
    for name in ("staff.jsonl", "revoked.json"):
        descriptor = os.open(keys / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.close(descriptor)
    assert set(hand_out("kyiv", mesh, places)) == set(SERVICES)
    have = {name for name in SERVICES if (places.out / name / "staff.jsonl").exists()}
    assert have == {"console"}
    assert all((places.out / name / "revoked.json").exists() for name in SERVICES)


def test_the_password_of_the_mail_server_is_handed_to_notification_alone(places: Places) -> None:
    mesh = provision("kyiv", places)
    name = "aidmesh_notification_smtp_password"
    (places.keys / "kyiv" / name).write_text("of the mail server\n")
    assert hand_out("kyiv", mesh, places) == ["notification"]
    assert hand_out("kyiv", mesh, places) == []
    assert [path.parent for path in places.out.rglob(name)] == [places.out / "notification"]
    folder = places.out / "notification"
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    password = NotificationSettings(_secrets_dir=folder).smtp_password
    assert password is not None
    assert password.get_secret_value() == "of the mail server"
    (places.keys / "kyiv" / name).unlink()
    assert hand_out("kyiv", mesh, places) == ["notification"]
    assert not (folder / name).exists()


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_setting_comes_as_a_file(places: Places, service: str) -> None:
    mesh = provision("kyiv", places)
    for name in ENTERED.get(service, ()):
        (places.keys / "kyiv" / setting_file(service, name)).write_text("entered by hand")
    hand_out("kyiv", mesh, places)
    settings: type[ServiceSettings] = import_module(f"aidmesh_{service}.config").Settings
    secret = {
        setting_file(service, name)
        for name, field in settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    if service not in WITH_DATABASE:
        secret.remove(setting_file(service, "database_url"))
    assert secret <= set(names_in(places.out / service))


def test_settings_come_from_files_where_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aidmesh_intake_region").write_text("kyiv\n")
    (tmp_path / "aidmesh_intake_http_port").write_text("8000")
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.setenv("AIDMESH_INTAKE_HTTP_PORT", "8001")

    class Settings(ServiceSettings):
        model_config = settings_config("intake")

    settings = Settings.model_validate({})
    assert (settings.region, settings.http_port) == ("kyiv", 8001)


def test_commands_know_the_data_folder_of_their_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIDMESH_DATA", str(tmp_path))
    for words in (["status"], ["dead", "list"], ["topology", "check"], ["logs", "-"]):
        _, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
        assert bound.arguments["data"] == tmp_path
    named = ["status", "--data", "/elsewhere"]
    _, bound, _ = build().parse_args(named, exit_on_error=False, print_error=False)
    assert bound.arguments["data"] == Path("/elsewhere")


def test_more_than_one_set_of_keys_is_never_made(places: Places) -> None:
    provision("kyiv", places)
    assert create_keys(places.keys / "kyiv") == ()
