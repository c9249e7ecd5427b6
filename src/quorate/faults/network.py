"""What is done to the network by the controllers themselves: packets are dropped by their kernels (nftables).

All rules are in one table of our own, `inet quorate_drill`, which replaces itself when it is loaded and is deleted by
the cure; whatever else filters packets there goes on doing so. Rules drop what a host receives, so nothing that is
dropped is refused: whoever sent it waits, as on a broken network.

A partition lets ssh pass between the controllers too, because an operator may sit on one of them. What is cut off as a
whole cannot be reached until its own timer mends it (deadman.py): those faults are proved by a neighbour, whom the host
no longer answers. Rules are gone with the power: a host that is fenced meanwhile comes back connected.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from quorate.core.drill import Process
from quorate.core.fault import MACHINE, Fault, Hit, Loss, OnHost, Proof
from quorate.faults.deadman import armed
from quorate.faults.onhost import later, note, proof, python, shell, unit
from quorate.faults.partition import Grudge, at_risk, lost
from quorate.model.cloud import Cloud

TABLE = "quorate_drill"
SSH_PORT = 22
"""sshd's own default; `ssh.port` of the cloud file goes first."""
RETURNS = 60.0
"""Seconds that a host which was cut off has for answering again: its timer, and ssh's own patience between attempts."""


def partitioned(cloud: Cloud, kind: str, summary: str, grudge: Grudge, hold: float) -> Fault:
    """Let every host drop what those send whom the map says, from all of their addresses."""
    deaf = [host for host, drops in grudge.items() if drops]
    return Fault(
        kind,
        summary,
        tuple(Hit(host, MACHINE, Loss.SPLIT) for host in at_risk(grudge)),
        inject=tuple(_drop_from(cloud, host, grudge[host], kind) for host in deaf),
        heal=tuple(_mend(host) for host in deaf),
        proof=tuple(_ruled(host, kind) for host in deaf),
        hold=hold,
        lost=lost(grudge),
    )


def port_deaf(cloud: Cloud, process: Process, host: str, hold: float) -> Fault:
    """Let nobody but the host itself reach the port of a process. A virtual IP's port of that number is the proxy's."""
    kind = f"{process.word}-port-deaf"
    own = ", ".join(str(address) for address in cloud.controllers[host].addresses.values())
    rule = f'ip daddr {{ {own} }} meta l4proto {{ tcp, udp }} th dport {process.port} drop comment "{kind}"'
    return Fault(
        kind,
        f"port {process.port} of {process.word} on {host} hears only {host} itself",
        (Hit(host, process.word, Loss.SILENT),),
        inject=(OnHost(host, ("nft", "-f", "-"), _table(rule)),),
        heal=(_mend(host),),
        proof=(_ruled(host, kind),),
        hold=hold,
        lost=1,
    )


def cut_off(cloud: Cloud, host: str, hold: float) -> Fault:
    """Let the host drop everything that it receives and that it would send; it mends itself when `hold` is over.

    Of ARP too: it would otherwise go on answering for a virtual IP that another host has taken over.
    """
    kind = "silent-cut"
    chains = (
        f'chain {way} {{ type filter hook {way} priority raw; {name} != "lo" drop; }}'
        for way, name in (("input", "iifname"), ("output", "oifname"), ("forward", "oifname"))
    )
    arp = (f"chain {way} {{ type filter hook {way} priority 0; drop; }}" for way in ("input", "output"))
    rules = f"{_fresh('inet', *chains)}{_fresh('arp', *arp)}"
    mend = f"{_UNDO_ACT}nft '{_gone('inet')}; {_gone('arp')}'\n"
    fault = Fault(
        kind,
        f"nothing reaches {host} and nothing leaves it; its link stays up",
        (Hit(host, MACHINE, Loss.SILENT),),
        inject=(later(host, kind, f"nft -f - <<'END'\n{rules}END\n"),),
        heal=(shell(host, mend, unit("act", kind), note(f"{kind}.act"), timeout=RETURNS),),
        proof=_unheard(cloud, host),
        hold=hold,
        lost=1,
    )
    return armed(fault, slack=0.0)


def unplugged(cloud: Cloud, host: str, hold: float) -> Fault:
    """Take down the interfaces of all the cloud's networks; the host brings them up itself when `hold` is over.

    The kernel forgets routes, and addresses of IPv6, of an interface that is down: they are kept and put back.
    """
    kind = "cable-pulled"
    interfaces = tuple(dict.fromkeys(network.interface for network in cloud.networks.values()))
    kept = note(kind)
    mend = f"{_UNDO_ACT}{_BRING_UP}"
    downs = "".join(_take_down(interface, f"{kept}-{interface}") for interface in interfaces)
    fault = Fault(
        kind,
        f"{host}'s interfaces {' and '.join(interfaces)} are taken down",
        (Hit(host, MACHINE, Loss.SILENT),),
        inject=(later(host, kind, downs),),
        heal=(shell(host, mend, unit("act", kind), note(f"{kind}.act"), kept, *interfaces, timeout=RETURNS),),
        proof=_unheard(cloud, host),
        hold=hold,
        lost=1,
    )
    return armed(fault, slack=0.0)


# --- rules -------------------------------------------------------------------------------------------------------


def _drop_from(cloud: Cloud, host: str, senders: Iterable[str], kind: str) -> OnHost:
    """Drop by address, and by the hardware address behind it: a virtual IP is on whoever holds it at the time."""
    ssh = cloud.ssh.port or SSH_PORT
    addresses = [str(a) for sender in sorted(senders) for a in cloud.controllers[sender].addresses.values()]
    rules = (
        f"tcp dport {ssh} accept",
        f"tcp sport {ssh} accept",
        f'ip saddr {{ {", ".join(addresses)} }} drop comment "{kind}"',
        f'ether saddr @neighbours drop comment "{kind}"',
    )
    return shell(host, _LOAD, *addresses, stdin=_table(*rules, sets="set neighbours { type ether_addr; }"))


def _table(*rules: str, sets: str = "") -> str:
    """Write our table with these rules for what a host receives from others, and the sets that they name."""
    lines = ("type filter hook input priority raw; policy accept;", 'iifname "lo" accept', *rules)
    chain = "".join(f"  {line}\n" for line in lines)
    return _fresh("inet", sets, f"chain input {{\n{chain} }}")


def _fresh(family: str, *parts: str) -> str:
    """Write a table that takes the place of the one that is there, all at once."""
    body = "".join(f" {part}\n" for part in parts)
    return f"{_gone(family)}\ntable {family} {TABLE} {{\n{body}}}\n"


def _gone(family: str) -> str:
    """Delete a table that may not be there: adding what is there changes nothing, so both together never fail."""
    return f"add table {family} {TABLE}; delete table {family} {TABLE}"


def _mend(host: str) -> OnHost:
    return OnHost(host, ("nft", _gone("inet")))


def _ruled(host: str, kind: str) -> Proof:
    """Prove by the kernel's own list of its rules."""
    return proof(host, f'nft list table inet {TABLE} 2>/dev/null | grep -qF "\\"$1\\""', kind)


# --- who can no longer be asked ----------------------------------------------------------------------------------


def _unheard(cloud: Cloud, host: str) -> tuple[Proof, ...]:
    """Prove by a neighbour who asks for its hardware address (ARP), which no firewall answers for and none hides."""
    asker = next((name for name in cloud.names if name != host), None)
    if asker is None:
        return ()
    asked = (cloud.management.interface, cloud.address(asker), cloud.address(host))
    return (Proof(python(asker, _ASK, *asked, timeout=5.0)),)


def _take_down(interface: str, kept: str) -> str:
    """Write the commands: keep what the kernel will forget, then take it down."""
    name, kept = shlex.quote(interface), shlex.quote(kept)
    return (
        f"ip -4 route save dev {name} > {kept}.route4\n"
        f"ip -6 route save dev {name} > {kept}.route6 || :\n"
        f"ip -6 address save dev {name} > {kept}.address6 || :\n"
        f"ip link set {name} down\n"
    )


_LOAD = """\
nft -f -
for address; do ip neigh show to "$address"; done |
  sed -n 's/.* lladdr \\([0-9a-f:]*\\).*/add element inet TABLE neighbours { \\1 }/p' | nft -f -
""".replace("TABLE", TABLE)

_UNDO_ACT = """\
systemctl stop "$1.timer" 2>/dev/null || :
rm -f "$2"
"""

_BRING_UP = """\
kept=$3
shift 3
for interface; do
  [ -e "$kept-$interface.route4" ] || continue
  ip link set "$interface" up
  ip address restore < "$kept-$interface.address6" || :
  ip route restore < "$kept-$interface.route4"
  ip route restore < "$kept-$interface.route6" || :
  rm -f "$kept-$interface".*
done
"""

_ASK = """\
import socket, sys, time
interface, mine, asked = sys.argv[1:]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
wire.bind((interface, 0x0806))
mac, source, target = wire.getsockname()[4], socket.inet_aton(mine), socket.inet_aton(asked)
request = bytes.fromhex("0001080006040001") + mac + source + bytes(6) + target
end = time.monotonic() + 1.5
said = "took"
while said == "took" and (left := end - time.monotonic()) > 0:
    wire.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + request)
    wire.settimeout(min(left, 0.3))
    try:
        frame = wire.recv(100)
        while frame[20:22] != b"\\x00\\x02" or frame[28:32] != target:
            frame = wire.recv(100)
        said = "no"
    except TimeoutError:
        pass
print(said)
"""
