"""keepalived: who takes the address, when, and who looks whether anybody answers there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from quorate.audit.estate import Estate
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.vrrp import Instance, advertised, includes, instances

_MANUAL = "keepalived.conf(5), https://www.keepalived.org/manpage.html"
_SOURCE = "https://github.com/acassen/keepalived/blob/master/keepalived/vrrp/vrrp.c"
_PROCESS_ONLY = re.compile(
    r"\b(killall5?\s+-0|kill\s+-(0|s\s+0)|pidof|pgrep|systemctl\s+(-\S+\s+)*(is-active|status)|service\s+\S+\s+status"
    r"|test\s+-[ef]\s+\S*\.pid|ps\s+\S+.*grep)\b"
)
_ASKS = re.compile(r"\b(curl|wget|socat|nc|ncat|openssl|http)\b")
_EXAMPLES = frozenset(
    ("1111", "1234", "12345", "123456", "12345678", "admin", "changeme", "keepalived", "pass", "password", "secret")
)
SLOW_S = 3
HEEDED = 8
"""Characters of auth_pass that count. (keepalived.conf(5).)"""


def one_number_for_strangers(estate: Estate) -> Iterable[Hit]:
    """One virtual_router_id in a network for instances of two machines that move different addresses."""
    before: dict[float, list[Instance]] = {}
    for one in instances(estate):
        said = one.node.last("virtual_router_id")
        if said is None or one.vrid is None or one.node.all("unicast_peer"):
            continue
        others = before.setdefault(one.vrid, [])
        for other in others:
            if one.host != other.host and not one.vips & other.vips and one.networks & other.networks:
                told = f"{one.name} on {one.host} and {other.name} on {other.host}: {said.value}"
                yield Hit(said.place, told, (other.node.place,))
                break
        others.append(one)


def one_number_twice(estate: Estate) -> Iterable[Hit]:
    """One virtual_router_id for two instances of an interface."""
    seen: dict[tuple[object, ...], Instance] = {}
    for one in instances(estate):
        six = any(":" in vip for vip in one.vips)
        said = one.node.last("virtual_router_id")
        if said and one.vrid is not None and one.vips:
            first = seen.setdefault((one.host, one.node.get("interface"), one.vrid, six), one)
            if first is not one:
                yield Hit(said.place, f"{one.name} and {first.name}: {said.value}", (first.node.place,))


def no_effect(estate: Estate) -> Iterable[Hit]:
    """`nopreempt` where keepalived takes it back."""
    for one in instances(estate):
        for node in one.node.all("nopreempt"):
            if one.node.get("state") == "MASTER":
                yield Hit(node.place, f"{one.name}: nopreempt with state MASTER")


def failing_and_staying(estate: Estate) -> Iterable[Hit]:
    """Checks whose failure lowers a priority that nobody heeds any more."""
    for one in instances(estate):
        for script in one.scripts if one.stays else ():
            if one.weight(script):
                told = f"{one.name}: nopreempt, and {script.value} has weight {one.weight(script)}"
                yield Hit(one.node.place, told, (script.place,))


def back_again(estate: Estate) -> Iterable[Hit]:
    """Addresses that return to a machine as soon as that does. Where checks have weights, priorities must be heeded."""
    for one in instances(estate):
        chosen = one.node.all("nopreempt", "preempt_delay") or any(map(one.weight, one.scripts))
        if not (chosen or one.partial or one.number("priority") == 255):
            yield Hit(one.node.place, f"{one.name}: no nopreempt")


def alive_or_not(estate: Estate) -> Iterable[Hit]:
    """Checks that ask whether there is a process."""
    for root in estate.merged("keepalived").values():
        for script in root.all("vrrp_script"):
            command = script.last("script")
            if command and _PROCESS_ONLY.search(command.value) and not _ASKS.search(command.value):
                yield Hit(command.place, f"{script.value}: {command.value}")
        for process in root.all("vrrp_track_process"):
            yield Hit(process.place, f"vrrp_track_process {process.value}: {process.get('process')}")
    for document in estate.of("keepalived-script"):
        if not any(_ASKS.search(node.value) for node in document.root.inside):
            for node in document.root.inside:
                if _PROCESS_ONLY.search(node.value):
                    yield Hit(node.place, node.value)


def nobody_looks(estate: Estate) -> Iterable[Hit]:
    """Addresses that stay where HAProxy does not answer."""
    proxied = {document.host for document in estate.of("haproxy")}
    for one in instances(estate):
        looks = one.tracked or one.includes
        if one.host in proxied and one.vips and not (looks or one.partial):
            yield Hit(one.node.place, f"{one.name}: no track_script")


def no_such_script(estate: Estate) -> Iterable[Hit]:
    """Checks that are tracked and not there."""
    for one in instances(estate):
        there = {script.value for script in one.file.all("vrrp_script")}
        for block in one.node.all("track_script") if not one.includes else ():
            for entry in block.inside:
                if entry.name not in there and entry.name.isidentifier():
                    yield Hit(entry.place, f"{one.name} tracks {entry.name}")


def never_run(estate: Estate) -> Iterable[Hit]:
    """Checks that nobody tracks."""
    for root in estate.merged("keepalived").values():
        tracked = {entry.name for node in root.walk() if node.name == "track_script" for entry in node.inside}
        for script in root.all("vrrp_script") if root.all("vrrp_instance") and not includes(root) else ():
            if script.value not in tracked:
                yield Hit(script.place, f"vrrp_script {script.value}")


def example_password(estate: Estate) -> Iterable[Hit]:
    """Passwords that examples have."""
    for one in instances(estate):
        said = one.node.last("authentication", "auth_pass")
        if said and said.value.lower() in _EXAMPLES:
            yield Hit(said.place, f"{one.name}: the password of an example")


def unheeded(estate: Estate) -> Iterable[Hit]:
    """Passwords, or parts of them, that count for nothing."""
    for one in instances(estate):
        said = one.node.last("authentication", "auth_pass")
        if said and one.version == "3":
            yield Hit(said.place, f"{one.name}: authentication with vrrp_version 3")
        elif said and len(said.value) > HEEDED and "$" not in said.value:
            yield Hit(said.place, f"{one.name}: {len(said.value)} characters, of which {HEEDED} count")


def strict(estate: Estate) -> Iterable[Hit]:
    """Addresses that take no packets."""
    for root in estate.merged("keepalived").values():
        said = root.last("global_defs", "vrrp_strict")
        for one in root.all("vrrp_instance") if said else ():
            if said and one.get("priority") != "255" and not one.all("accept"):
                yield Hit(said.place, f"vrrp_strict, and {one.value} has no accept", (one.place,))
                break


def slow(estate: Estate) -> Iterable[Hit]:
    """Addresses whose holder is missed late."""
    for one in instances(estate):
        said = one.node.last("advert_int")
        if said and advertised(one) >= SLOW_S:
            yield Hit(said.place, f"{one.name}: advert_int {said.value}")


RULES = (
    Rule(
        "KAL020",
        Severity.ERROR,
        "machines that move different addresses use one virtual_router_id in a network",
        "Each takes the advertisements of the other for its own: the one with the lower priority never takes its "
        "addresses, which are then nowhere.",
        _MANUAL,
        "Give each set of addresses of a network a virtual_router_id of its own.",
        "",
        one_number_for_strangers,
    ),
    Rule(
        "KAL002",
        Severity.ERROR,
        "one virtual_router_id stands for two instances on an interface",
        "keepalived refuses the second, or takes the advertisements of one for those of the other, so that one of the "
        "addresses is nowhere.",
        _SOURCE,
        "Give each instance of a network a virtual_router_id of its own.",
        "",
        one_number_twice,
    ),
    Rule(
        "KAL008",
        Severity.ERROR,
        "a failed check does not move the address",
        "The failure only lowers the priority, and with nopreempt no other controller takes over from one that still "
        "advertises, however low: the address stays where nobody answers.",
        _SOURCE,
        "Give the script weight 0 (leave it out): its failure takes the controller out at once.",
        "proxy-killed on the holder: the VIP stays",
        failing_and_staying,
    ),
    Rule(
        "KAL010",
        Severity.ERROR,
        "nobody looks whether HAProxy answers",
        "keepalived moves the address only when a whole machine, or its interface, is lost. When HAProxy fails, "
        "clients are sent to a controller where nobody listens.",
        _MANUAL,
        "Add a vrrp_script that asks HAProxy something, and a track_script that names it.",
        "proxy-killed on the holder: the VIP stays and all APIs are gone",
        nobody_looks,
    ),
    Rule(
        "KAL011",
        Severity.ERROR,
        "a check that is tracked does not exist",
        "keepalived leaves it out, with a line in its log: nothing is checked.",
        _MANUAL,
        "Correct the name, or write the vrrp_script.",
        "proxy-killed on the holder: the VIP stays",
        no_such_script,
    ),
    Rule(
        "KAL012",
        Severity.WARNING,
        "a check that nobody tracks is never run",
        "keepalived runs a script only if an instance tracks it.",
        _MANUAL,
        "Name it in the instance's track_script.",
        "proxy-killed on the holder: the VIP stays",
        never_run,
    ),
    Rule(
        "KAL013",
        Severity.WARNING,
        "the check only asks whether there is a process",
        "A process that hangs is there as well: `kill -0` succeeds for a HAProxy that is frozen, and the address "
        "stays.",
        "kill(2): signal 0 only checks that the process exists, https://man7.org/linux/man-pages/man2/kill.2.html",
        "Ask through it: `curl -fsm 2 http://VIP:PORT/health` or `show info` on its socket, with a timeout.",
        "proxy-frozen on the holder: the VIP stays and all APIs hang",
        alive_or_not,
    ),
    Rule(
        "KAL014",
        Severity.WARNING,
        "nopreempt is taken back",
        "keepalived clears it where the first state is MASTER: the address returns to this controller whenever it "
        "comes back.",
        _MANUAL,
        "Write `state BACKUP` on all controllers.",
        "reboot: the VIP moves a second time",
        no_effect,
    ),
    Rule(
        "KAL015",
        Severity.ERROR,
        "vrrp_strict closes the address",
        "Without `accept`, keepalived drops all packets to the address on a controller that has it: nothing on the "
        "VIP answers.",
        _MANUAL,
        "Take vrrp_strict out of global_defs.",
        "",
        strict,
    ),
    Rule(
        "KAL016",
        Severity.WARNING,
        "the password is that of an example",
        "Whoever is on the network takes the address with it. It is sent in the clear as well: only unicast and a "
        "closed network keep others out.",
        _MANUAL,
        "Use unicast_peer, and leave authentication out, or take a random password.",
        "",
        example_password,
    ),
    Rule(
        "KAL017",
        Severity.NOTE,
        "authentication does not do what it says",
        "VRRP 3 has none, and keepalived heeds only eight characters of auth_pass.",
        _MANUAL,
        "Leave it out, or write eight random characters.",
        "",
        unheeded,
    ),
    Rule(
        "KAL018",
        Severity.WARNING,
        "a lost holder is missed after nine seconds or more",
        "Another controller takes over three advertisements and a bit after the last one.",
        _MANUAL,
        "Write `vrrp_version 3` and `advert_int 0.2`, or leave it out (1 s).",
        "power-cut of the holder: the VIP is gone for more than three times advert_int",
        slow,
    ),
    Rule(
        "KAL019",
        Severity.NOTE,
        "the address moves a second time when the controller comes back",
        "The one with the highest priority takes it back as soon as it hears the others: all connections are lost "
        "once more.",
        _MANUAL,
        "Write `state BACKUP` and `nopreempt` on all controllers.",
        "reboot: two gaps instead of one",
        back_again,
    ),
)
