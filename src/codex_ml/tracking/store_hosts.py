"""Whether the address of a tracking store leads beyond this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

#: Where the drivers of databases look for a host besides the usual place.
_HOSTS = ("host", "hostaddr", "server", "hostname")
#: Keys of a query that lead to settings elsewhere, which may name any host.
_ELSEWHERE = ("odbc_connect", "dsn", "service", "servicefile")
_ELSEWHERE_OF_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE")
#: The host as SQLAlchemy reads it: a user name may hold ``?`` and ``#``, which end the host elsewhere.
_AFTER_USER = re.compile(r"[^:/]*(?::[^@]*)?@(\[[^\]]+\]|[^/:?]+)?")


def is_far(uri: str, *, environ: Mapping[str, str]) -> bool:
    """Whether *uri* names a host that is not the loopback, or leaves to others which host it is."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("", "file", "sqlite"):
        return uri.startswith("databricks")
    query = parse_qsl(urlsplit(uri).query, keep_blank_values=True)
    if any(key.lower() in _ELSEWHERE for key, _ in query):
        return True
    hosts = [host for host in _hosts(uri) if host]
    if not hosts and scheme.startswith("postgres"):
        hosts = [environ[name] for name in _ELSEWHERE_OF_LIBPQ if environ.get(name)]
    return scheme == "databricks" or not all(_is_here(part) for host in hosts for part in host.split(","))


def _hosts(uri: str) -> Iterator[str | None]:
    parts = urlsplit(uri)
    yield parts.hostname
    if found := _AFTER_USER.match(uri.partition("://")[2]):
        yield (found.group(1) or "").strip("[]")
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key.lower() in _HOSTS:
            yield value if value.startswith("/") else re.sub(r"(?<=[^:]):\d+$", "", value)


def _is_here(host: str) -> bool:
    """Loopback, or the folder of a socket."""
    if host.startswith("/") or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
