"""Settings that do not fit, or that nobody knows: their names are told, never what they hold."""

from importlib import import_module
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from aidmesh.credentials import create_keys
from aidmesh.demo.mark import settings_of_a_demo
from aidmesh.meshfile import SERVICES
from aidmesh.preparing import prepare_mesh, resize
from aidmesh.region_settings import service_environment
from aidmesh_chassis.settings import (
    ServiceSettings,
    SettingsRefused,
    read_settings,
    unknown_settings,
)
from aidmesh_notification.config import Settings as Notification
from aidmesh_payments.config import Settings as Payments

TYPED = "K4narienvogel"


def settings_class(service: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = import_module(f"aidmesh_{service}.config").Settings
    return found


@pytest.mark.parametrize(
    ("kind", "name", "typed", "reason"),
    [
        (Notification, "AIDMESH_NOTIFICATION_SMTP_PORT", TYPED, "valid integer"),
        (Notification, "AIDMESH_NOTIFICATION_SMTP_TLS", TYPED, "'starttls', 'tls' or 'none'"),
        (Notification, "AIDMESH_NOTIFICATION_SPOOL_FOR", TYPED, "valid JSON"),
        (Notification, "AIDMESH_NOTIFICATION_SPOOL_FOR", f'["{TYPED}"]', "'email'"),
        (Notification, "AIDMESH_NOTIFICATION_DIGEST_FROM", "24:01", "match pattern"),
        (Notification, "AIDMESH_NOTIFICATION_DIGEST_FROM", TYPED, "match pattern"),
        (Notification, "AIDMESH_NOTIFICATION_REGION", f"{TYPED}!", "match pattern"),
        (Payments, "AIDMESH_PAYMENTS_PEER_LATE_S_MAX", "14", "greater than or equal to 15"),
        (Payments, "AIDMESH_PAYMENTS_FLOAT_LIMITS_MINOR", f'{{"{TYPED}": "x"}}', "valid integer"),
    ],
)
def test_what_does_not_fit_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[ServiceSettings],
    name: str,
    typed: str,
    reason: str,
) -> None:
    monkeypatch.setenv(f"{kind.model_config['env_prefix']}REGION", "kyiv")
    read_settings(kind)
    monkeypatch.setenv(name, typed)
    with pytest.raises(SettingsRefused) as refused:
        read_settings(kind)
    assert list(refused.value.reasons) == [name]
    assert reason in refused.value.reasons[name]
    assert typed not in str(refused.value)
    assert TYPED not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIDMESH_PAYMENTS_POOL_MAX", "1")
    with pytest.raises(SettingsRefused) as refused:
        read_settings(Payments)
    assert set(refused.value.reasons) == {"AIDMESH_PAYMENTS_REGION", "AIDMESH_PAYMENTS_POOL_MAX"}


def test_a_name_that_nobody_knows_comes_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert unknown_settings(Notification) == {}
    monkeypatch.setenv("AIDMESH_NOTIFICATION_SMTP_HOTS", "mail.example.org")
    monkeypatch.setenv("AIDMESH_NOTIFICATION_XYZ", "1")
    monkeypatch.setenv("AIDMESH_PAYMENTS_SMTP_HOST", "of another service")
    assert unknown_settings(Notification) == {
        "AIDMESH_NOTIFICATION_SMTP_HOTS": "AIDMESH_NOTIFICATION_SMTP_HOST",
        "AIDMESH_NOTIFICATION_XYZ": None,
    }
    # The same for files of a secrets folder, in which others may lie as well.
    (tmp_path / "aidmesh_inventory_pol_max").write_text("4")
    (tmp_path / "mail.txt").write_text("")

    class Inventory(ServiceSettings):
        model_config = SettingsConfigDict(env_prefix="AIDMESH_INVENTORY_", secrets_dir=tmp_path)

    assert unknown_settings(Inventory) == {
        "AIDMESH_INVENTORY_POL_MAX": "AIDMESH_INVENTORY_POOL_MAX"
    }


def test_what_is_set_by_ourselves_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys, data = tmp_path / "keys", tmp_path / "data"
    create_keys(keys)
    data.mkdir()
    mesh, _ = prepare_mesh(data, ("kyiv",), {"kyiv": keys})
    resize(mesh, None, 2)
    ours = settings_of_a_demo(data)
    for copy in (0, 1):
        ours |= service_environment("kyiv", mesh.regions["kyiv"], copy, data / "kyiv")
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    for service in SERVICES:
        assert unknown_settings(settings_class(service)) == {}
        read_settings(settings_class(service))
