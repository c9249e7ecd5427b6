"""The lab's network: one bridge, and a cable from it to each machine.

A machine's network namespace has a name only while the machine is being started; afterwards it lives exactly as long
as the machine's processes. A namespace that outlived its machine would go on answering for the machine's addresses,
which no real controller does once its power is gone.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from quorate.errors import Refused
from quorate.lab.command import attempt, run
from quorate.lab.names import Names
from quorate.lab.spec import Slot, Spec

_LINKS = Path("/sys/class/net")
_NAMESPACES = Path("/run/netns")

# What a machine's kernel is told before it boots; inside, /proc/sys/net can be written to as on any machine.
_SYSCTLS = {
    "net/ipv4/ip_nonlocal_bind": "1",
    "net/ipv4/conf/all/arp_notify": "1",
    "net/ipv4/conf/default/arp_notify": "1",
}

# The host stands for a client beside the controllers: it notices a lost neighbour as soon as they do.
_NEIGHBOURS = {"base_reachable_time_ms": "1000", "delay_first_probe_time": "1", "retrans_time_ms": "100"}


def refuse_overlap(spec: Spec) -> None:
    """Raise Refused when this host already reaches part of the subnet some other way."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    for destination, device in taken(routes, spec):
        raise Refused(
            f"subnet {spec.subnet} is in use on this host ({destination} on {device})",
            hint="choose another with --subnet, or take the other lab down",
        )


def taken(routes: Sequence[Mapping[str, str]], spec: Spec) -> list[tuple[str, str]]:
    """Return the routes, as `ip -json` shows them, that lead to part of the subnet. Pure."""
    found = []
    for route in routes:
        if route["dst"] == "default" or route.get("type") in {"broadcast", "multicast"}:
            continue
        network = ipaddress.IPv4Network(route["dst"], strict=False)
        # halves of the world are a default route by another name, as tunnels set it
        if network.prefixlen > 1 and network.overlaps(spec.network) and route.get("dev") != spec.names.bridge:
            found.append((route["dst"], route.get("dev", "?")))
    return found


def ensure_bridge(spec: Spec) -> None:
    """Make the bridge and give the host its address on it."""
    name, prefix = spec.names.bridge, spec.network.prefixlen
    if not _exists(name):
        # A hardware address of its own: it would otherwise change with the ports, and neighbours would forget it.
        options = f"address {spec.names.mac(0)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        _batch(f"link add {name} {options}\n")
    _batch(f"link set {name} alias quorate-lab-{spec.name}\naddr replace {spec.gateway}/{prefix} dev {name}\n")
    _batch(f"link set {name} up\n")
    for key, value in _NEIGHBOURS.items():
        Path(f"/proc/sys/net/ipv4/neigh/{name}/{key}").write_text(value, encoding="ascii")


def plug(spec: Spec, slot: Slot) -> None:
    """Make the machine's namespace and card anew, and connect its cable. The cable is as `cut` left it afterwards."""
    unplug(slot)
    _batch(f"netns add {slot.netns}\n")
    _batch(
        f"link add {slot.veth} type veth peer name eth0 address {slot.mac} netns {slot.netns}\n"
        f"link set {slot.veth} alias quorate-lab-{spec.name}-{slot.name}\n"
        f"link set {slot.veth} master {spec.names.bridge} up\n"
    )
    inside = f"link set lo up\naddr add {slot.address}/{spec.network.prefixlen} dev eth0\nlink set eth0 up\n"
    _batch(inside, slot.netns)
    script = "".join(f"echo {value} > /proc/sys/{key}\n" for key, value in _SYSCTLS.items())
    run(["ip", "netns", "exec", slot.netns, "/bin/sh", "-e"], stdin=script)


def unplug(slot: Slot) -> None:
    """Take the cable away, and the namespace's name."""
    if _exists(slot.veth):
        attempt(["ip", "link", "del", slot.veth])
    forget_namespace(slot.netns)


def forget_namespace(name: str) -> None:
    """Take a namespace's name away: it ends with the last process in it."""
    if (_NAMESPACES / name).exists():
        attempt(["ip", "netns", "del", name])


def namespace_id(name: str) -> int:
    """Return the inode by which a process's namespace is recognised; 0 when it has no name."""
    try:
        return (_NAMESPACES / name).stat().st_ino
    except FileNotFoundError:
        return 0


def cut(slot: Slot, silent: bool) -> None:
    """Pull the cable (the machine sees that its link is down), or silently: the link stays up and nothing passes."""
    if _exists(slot.veth):
        run(["ip", "link", "set", slot.veth, *(["nomaster"] if silent else ["down"])])


def mend(spec: Spec, slot: Slot) -> None:
    """Undo any cut."""
    if _exists(slot.veth):
        run(["ip", "link", "set", slot.veth, "master", spec.names.bridge, "up"])


def cable(slot: Slot) -> str:
    """Say what the cable is: plugged, pulled, silent (cut without losing the link) or absent."""
    port = _LINKS / slot.veth
    if not port.exists():
        return "absent"
    try:
        flags = int((port / "flags").read_text(), 16)
    except OSError:
        return "absent"
    if not flags & 1:
        return "pulled"
    return "plugged" if (port / "master").exists() else "silent"


def remove_all(names: Names) -> list[str]:
    """Remove every link and namespace of a lab, found by name; return what was there."""
    links = [link.name for link in _LINKS.iterdir()]
    links = [link for link in links if link.startswith(names.veth_prefix) or link == names.bridge]
    spaces = [path.name for path in _NAMESPACES.iterdir()] if _NAMESPACES.is_dir() else []
    spaces = [space for space in spaces if space.startswith(names.prefix)]
    for link in links:
        attempt(["ip", "link", "del", link])
    for space in spaces:
        attempt(["ip", "netns", "del", space])
    return [*links, *spaces]


def _exists(link: str) -> bool:
    return (_LINKS / link).exists()


def _batch(commands: str, namespace: str = "") -> None:
    """Run several ip commands in one go."""
    inside = ["-n", namespace] if namespace else []
    run(["ip", *inside, "-batch", "-"], stdin=commands)
