"""Whose word an HTTP client takes for who a server is."""

import ssl
from collections.abc import Iterable


def vouching(urls: Iterable[str]) -> ssl.SSLContext | bool:
    """What httpx takes as `verify` for servers at these addresses.

    True, for its list of authorities, where any of them is reached by https. Else nobody is
    trusted: to read the list takes a client twenty milliseconds, more than it needs for anything
    else before its first call.
    """
    if any(url.lower().startswith("https:") for url in urls):
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
