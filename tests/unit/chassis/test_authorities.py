"""Authorities are asked for wherever a server has a certificate, and nobody is where none has."""

import ssl

import pytest

from aidmesh_chassis.authorities import vouching


@pytest.mark.parametrize(
    "urls",
    [
        ["https://desk.example"],
        ["HTTPS://desk.example"],
        ["http://127.0.0.1:8101/", "https://payments.example:8103/"],
    ],
)
def test_whoever_is_reached_by_https_must_be_vouched_for(urls: list[str]) -> None:
    assert vouching(urls) is True


def test_where_nobody_is_reached_by_https_no_certificate_would_be_believed() -> None:
    trusted = vouching(["http://127.0.0.1:8101/", "http://intake:8000/"])
    assert isinstance(trusted, ssl.SSLContext)
    assert (trusted.verify_mode, trusted.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert trusted.cert_store_stats()["x509_ca"] == 0
