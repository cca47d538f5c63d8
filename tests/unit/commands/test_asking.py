"""Who is trusted in calls to a region's services."""

import ssl

import pytest

from aidmesh.asking import authorities


@pytest.mark.parametrize(
    ("urls", "known"),
    [
        ([], False),
        (["http://127.0.0.1:7001", "http://127.0.0.1:7002"], False),
        (["http://127.0.0.1:7001", "https://intake.example.org"], True),
    ],
)
def test_authorities_are_known_only_where_somebody_has_to_be_trusted(
    urls: list[str], known: bool
) -> None:
    context = authorities(urls)

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert bool(context.cert_store_stats()["x509_ca"]) is known
