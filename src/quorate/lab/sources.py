"""Which Debian mirror this host uses, and how: the image is built from the same one, through the same proxy. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Mirror:
    """The two archives that Debian is made of."""

    archive: str = "http://deb.debian.org/debian"
    security: str = "http://security.debian.org/debian-security"

    def sources(self, release: str) -> str:
        """Return a sources.list for the release."""
        return (
            f"deb {self.archive} {release} main\n"
            f"deb {self.archive} {release}-updates main\n"
            f"deb {self.security} {release}-security main\n"
        )


def mirror(files: Iterable[str]) -> Mirror:
    """Find the Debian mirror in the texts of a host's apt sources; Debian's own where they name none."""
    archive = security = ""
    for uri in (uri.rstrip("/") for text in files for uri in _uris(text)):
        last = urlsplit(uri).path.rsplit("/", 1)[-1]
        if last == "debian" and not archive:
            archive = uri
        elif last == "debian-security" and not security:
            security = uri
    default = Mirror()
    return Mirror(archive or default.archive, security or default.security)


def _uris(text: str) -> Iterable[str]:
    """Yield the http and https addresses of one file, in either of apt's formats."""
    for line in text.splitlines():
        one_line = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?(https?://\S+)", line)
        if one_line:
            yield one_line[1]
        deb822 = re.match(r"URIs:\s*(.*)", line, re.IGNORECASE)
        if deb822:
            yield from (uri for uri in deb822[1].split() if uri.startswith(("http://", "https://")))


def acquire_options(dump: str) -> str:
    """Return what of `apt-config dump` says how to reach the mirror: proxies, certificates, checks of dates. Pure."""
    kept = re.compile(
        r"Acquire::(?:(?:http|https)::(?:Proxy|CAInfo|Verify|Timeout)|Check-|Retries|ForceIPv|Proxy)", re.IGNORECASE
    )
    return "".join(f"{line}\n" for line in dump.splitlines() if kept.match(line))
