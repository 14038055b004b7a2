"""How a lab is served: where, to whom, and with which files of a person's own."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import InputError

PORT = 8765
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser on this machine may call it."""
HOST_NAME = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,255}")
LEAST_TOKEN = 16
MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class LabSettings:
    """Where the lab listens, the token that every request must then bring, and the files that its pages offer.

    ``host`` other than loopback needs a token. ``names`` are further names that browsers may call it by.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    names: tuple[str, ...] = ()
    stores: tuple[Path, ...] = ()
    regimes: tuple[Path, ...] = ()
    programmes: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be served, or not safely."""
        if not 0 <= self.port <= MOST_PORT:
            raise InputError("--port", f"a whole number from 0 to {MOST_PORT}", self.port)
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise InputError("--token", f"at least {LEAST_TOKEN} characters", f"{len(self.token)} characters")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise InputError("--token", "letters, digits and signs of ASCII, without a space", "another character")
        if astray := [name for name in self.names if not HOST_NAME.fullmatch(name)]:
            raise InputError("--name", "a name that a browser may call it by, as lab.example.org", astray[0])
        if self.token is None and not is_loopback(self.host):
            raise InputError("--host", "127.0.0.1, or another address with a --token", self.host)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that a Host header may have, without their port."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return (*LOCAL_NAMES, *(without_port(name) for name in (own, *self.names)))

    def answers_to(self, host: str) -> bool:
        """Whether a Host header may name this lab: by a name it has, or by an address where it listens beyond this machine.

        The check is against other sites' names that are pointed here; an address is nobody's name.
        """
        name = without_port(host)
        return name in self.hosts or (not is_loopback(self.host) and is_address(name))


def without_port(host: str) -> str:
    """The name in a Host header: small letters, no port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def is_address(host: str) -> bool:
    """Whether the name in a Host header is an IP address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
