"""What a lab's things are called on this host.

Everything that a lab makes carries the lab's name, so that `lab down` finds it without any record of it, two labs do
not meet, and nothing of anybody else is ever touched.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from quorate.errors import InvalidInput

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def checked(name: str, what: str) -> str:
    """Return the name, or raise InvalidInput when it cannot be a host name and part of a file name."""
    if not _NAME.fullmatch(name) or name.endswith("-"):
        raise InvalidInput(
            f"{what} cannot be called {name!r}",
            hint="use lower-case letters, digits and inner dashes, at most 31, a letter first",
        )
    return name


@dataclass(frozen=True)
class Names:
    """The names that derive from a lab's name.

    A dot separates lab from machine (neither can hold one), and an underscore starts what is no machine.
    Interface names have 15 characters at most, hence the hash.
    """

    lab: str

    def __post_init__(self) -> None:
        checked(self.lab, "a lab")

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits that stand for the lab where room is short."""
        return hashlib.sha256(self.lab.encode()).hexdigest()[:8]

    @property
    def bridge(self) -> str:
        """The switch between the machines; the host has its address on it."""
        return f"qb{self.tag}"

    @property
    def veth_prefix(self) -> str:
        """How the host's ends of this lab's cables begin."""
        return f"qv{self.tag}-"

    def veth(self, number: int) -> str:
        """The host's end of a machine's cable."""
        return f"{self.veth_prefix}{number}"

    @property
    def prefix(self) -> str:
        """How this lab's network namespaces and cgroups begin."""
        return f"quorate.{self.lab}."

    def netns(self, machine: str) -> str:
        """The machine's network namespace, named only while the machine is being started."""
        return f"{self.prefix}{machine}"

    def machine(self, machine: str) -> str:
        """What nspawn calls the machine: unlike host names, different in each lab."""
        return f"{self.lab}.{machine}"

    def cgroup(self, machine: str) -> str:
        """The group in which all processes of the machine live, and nothing else."""
        return f"{self.prefix}{machine}"

    @property
    def power_cgroup(self) -> str:
        """The group of the power daemon."""
        return f"{self.prefix}_power"

    @property
    def nft_table(self) -> str:
        """The nftables table that fault injection may use on the host for this lab; `down` removes it."""
        return f"quorate_{self.tag}"

    def mac(self, number: int) -> str:
        """The hardware address of a machine's card; 0 is the bridge. It stays the same over power cycles."""
        digits = self.tag[:6]
        return f"02:51:{digits[:2]}:{digits[2:4]}:{digits[4:]}:{number:02x}"
