"""wsrep_provider_options: the timers by which members miss each other, and switches that end its safety."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from quorate.audit.estate import Estate
from quorate.audit.near import MISSPELT, nearest
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.galera import Server, members

_PARAMETERS = "https://galeracluster.com/library/documentation/galera-parameters.html"
_NAMES = """
base_dir base_host base_port cert.length_check cert.log_conflicts cert.max_length cert.optimistic_pa debug
evs.auto_evict evs.causal_keepalive_period evs.debug_log_mask evs.delay_margin evs.delayed_keep_period evs.evict
evs.inactive_check_period evs.inactive_timeout evs.info_log_mask evs.install_timeout evs.join_retrans_period
evs.keepalive_period evs.max_install_timeouts evs.send_window evs.stats_report_period evs.suspect_timeout
evs.use_aggregate evs.user_send_window evs.version evs.view_forget_timeout gcache.debug gcache.dir gcache.encryption
gcache.encryption_cache_page_size gcache.encryption_cache_size gcache.freeze_purge_at_seqno gcache.keep_pages_size
gcache.keep_plaintext_size gcache.mem_size gcache.name gcache.page_size gcache.recover gcache.size gcomm.thread_prio
gcs.check_appl_proto gcs.fc_auto_evict_threshold gcs.fc_auto_evict_window gcs.fc_debug gcs.fc_factor gcs.fc_limit
gcs.fc_master_slave gcs.fc_single_primary gcs.max_packet_size gcs.max_throttle gcs.recv_q_hard_limit
gcs.recv_q_soft_limit gcs.stateless gcs.sync_donor gcs.vote_policy gmcast.group gmcast.isolate gmcast.listen_addr
gmcast.mcast_addr gmcast.mcast_port gmcast.mcast_ttl gmcast.mira gmcast.peer_addr gmcast.peer_timeout gmcast.segment
gmcast.time_wait gmcast.version ist.keep_keys ist.recv_addr ist.recv_bind pc.announce_timeout pc.bootstrap
pc.checksum pc.ignore_quorum pc.ignore_sb pc.linger pc.npvo pc.recovery pc.version pc.wait_prim pc.wait_prim_timeout
pc.wait_restored_prim_timeout pc.weight protonet.backend protonet.version repl.causal_read_timeout repl.commit_order
repl.key_format repl.max_ws_size repl.proto_max signal socket.checksum socket.dynamic socket.non_blocking
socket.recv_buf_size socket.send_buf_size socket.ssl socket.ssl_ca socket.ssl_cert socket.ssl_cipher
socket.ssl_compression socket.ssl_key socket.ssl_password_file socket.ssl_reload
"""
_KNOWN = frozenset(_NAMES.split())
"""Of Galera 26.4 and its forks; what is not here and like none of these may be a newer one's."""
_DEFAULTS = {"suspect_timeout": 5.0, "inactive_timeout": 15.0, "keepalive_period": 1.0, "inactive_check_period": 0.5}
"""Seconds, of the timers `evs.*` (gcomm/src/defaults.cpp)."""
_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def options(member: Server) -> Mapping[str, str]:
    """The provider's options by name: pairs between semicolons."""
    pairs = (part.partition("=") for part in member.get("wsrep_provider_options").split(";"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def line(member: Server) -> Node:
    """Where they are said."""
    return member.options["wsrep_provider_options"]


def speaking(estate: Estate) -> Iterable[tuple[Server, Mapping[str, str]]]:
    """Members that give the provider options, with these."""
    return ((one, options(one)) for one in members(estate) if "wsrep_provider_options" in one.options)


def seconds(period: str) -> float | None:
    """How long an ISO 8601 period is; None where it is none."""
    match = _PERIOD.fullmatch(period.upper())
    if match is None or not any(match.groups()):
        return None
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


def size(text: str) -> int | None:
    """How many bytes `128M` are; None where it is no size."""
    match = re.fullmatch(r"(\d+)([kmgt]?)", text.lower())
    return int(match[1]) * _UNITS[match[2]] if match else None


def timers(given: Mapping[str, str]) -> Mapping[str, float] | None:
    """The timers of membership as they are in force; None where one that is given is no period."""
    found = dict(_DEFAULTS)
    for name in (*_DEFAULTS, "install_timeout"):
        if f"evs.{name}" in given:
            period = seconds(given[f"evs.{name}"])
            if period is None:
                return None
            found[name] = period
    found.setdefault("install_timeout", found["inactive_timeout"] / 2)
    return found


def no_quorum(estate: Estate) -> Iterable[Hit]:
    """Switches by which a minority goes on."""
    for member, given in speaking(estate):
        for name in ("pc.ignore_sb", "pc.ignore_quorum"):
            if given.get(name, "").lower() in ("1", "yes", "true", "on"):
                yield Hit(line(member).place, f"{name} = {given[name]}")


def refused_timers(estate: Estate) -> Iterable[Hit]:
    """Timers that the provider refuses (gcomm/src/evs_proto.cpp, check_range)."""
    for member, given in speaking(estate):
        found = timers(given)
        if found is None or not any(f"evs.{name}" in given for name in found):
            continue
        suspect, inactive = found["suspect_timeout"], found["inactive_timeout"]
        keepalive, check, install = found["keepalive_period"], found["inactive_check_period"], found["install_timeout"]
        slack = 1e-9
        for wrong, what in (
            (keepalive > suspect / 3 + slack, f"keepalive_period {keepalive:g} s is over a third of {suspect:g} s"),
            (check > suspect / 2 + slack, f"inactive_check_period {check:g} s is over half of {suspect:g} s"),
            (install > inactive + slack, f"install_timeout {install:g} s is over inactive_timeout {inactive:g} s"),
            (install < keepalive, f"install_timeout {install:g} s is under keepalive_period {keepalive:g} s"),
            (min(suspect, inactive, keepalive) < 0.1, "a timer is under 0.1 s"),
        ):
            if wrong:
                yield Hit(line(member).place, f"evs.*: {what}")


def late_suspicion(estate: Estate) -> Iterable[Hit]:
    """A member that is dead before it is suspected."""
    for member, given in speaking(estate):
        found = timers(given)
        if found and found["suspect_timeout"] > found["inactive_timeout"]:
            suspect, inactive = found["suspect_timeout"], found["inactive_timeout"]
            yield Hit(line(member).place, f"evs.suspect_timeout {suspect:g} s, evs.inactive_timeout {inactive:g} s")


def misspelt(estate: Estate) -> Iterable[Hit]:
    """Names that are none, and nearly one."""
    for member, given in speaking(estate):
        for name in islice((one for one in given if one not in _KNOWN), MISSPELT):
            if meant := nearest(name, _KNOWN, 0.8):
                yield Hit(line(member).place, f"{name} (is it {meant}?)")


def replaced(estate: Estate) -> Iterable[Hit]:
    """Several of these lines: only the last one counts, as a whole."""
    for member in members(estate):
        found = [option for option in member.every if option.name == "wsrep_provider_options"]
        for option in found[:-1]:
            if option.value != found[-1].value:
                yield Hit(option.place, f"wsrep_provider_options = {option.value}", (found[-1].place,))


def short_history(estate: Estate) -> Iterable[Hit]:
    """A cache of write sets that lasts for minutes."""
    for member in members(estate):
        given = options(member)
        known = "wsrep_provider_options" in member.options or member.whole
        room = size(given.get("gcache.size", "128M"))
        if known and room is not None and room <= 128 << 20:
            place = line(member).place if "wsrep_provider_options" in member.options else member.place()
            yield Hit(place, f"gcache.size = {given['gcache.size']}" if "gcache.size" in given else "128M by default")


def forgotten_history(estate: Estate) -> Iterable[Hit]:
    """A cache of write sets that is thrown away at a crash."""
    for member, given in speaking(estate):
        for name in ("gcache.recover", "pc.recovery"):
            if given.get(name, "").lower() in ("0", "no", "false", "off"):
                yield Hit(line(member).place, f"{name} = {given[name]}")


RULES = (
    Rule(
        "GAL040",
        Severity.ERROR,
        "a minority goes on writing",
        "When the network parts, both sides stay Primary and take writes. They never become one again: one side's data "
        "has to be thrown away.",
        _PARAMETERS,
        "Take pc.ignore_sb and pc.ignore_quorum out; with two members add garbd.",
        "partition-halves: both sides acknowledge writes",
        no_quorum,
    ),
    Rule(
        "GAL041",
        Severity.ERROR,
        "timers that Galera refuses",
        "The provider holds each timer against the others when it starts, and does not start.",
        "https://github.com/codership/galera/blob/4.x/gcomm/src/evs_proto.cpp",
        "Keep evs.keepalive_period at a third of evs.suspect_timeout or less, evs.inactive_check_period at half of it "
        "or less, and evs.install_timeout between evs.keepalive_period and evs.inactive_timeout.",
        "",
        refused_timers,
    ),
    Rule(
        "GAL042",
        Severity.WARNING,
        "a member is given up before it is suspected",
        "Dropping a silent member is agreed on when all suspect it; evs.inactive_timeout is the limit after which one "
        "goes on without. Shorter than evs.suspect_timeout, members decide alone.",
        _PARAMETERS,
        "Make evs.inactive_timeout longer than evs.suspect_timeout: 15 s and 5 s, or 3 s and 1 s.",
        "silent-cut: how long writes stand still",
        late_suspicion,
    ),
    Rule(
        "GAL043",
        Severity.ERROR,
        "the provider does not know an option",
        "One unknown name, and Galera does not start at all.",
        _PARAMETERS,
        "Write the name as it is in the manual.",
        "",
        misspelt,
    ),
    Rule(
        "GAL044",
        Severity.WARNING,
        "the provider's options are replaced by a later line",
        "The last wsrep_provider_options counts, as a whole. What the earlier one said is not in force.",
        "https://mariadb.com/kb/en/wsrep_provider_options/",
        "Write all options in one line, in one file.",
        "",
        replaced,
    ),
    Rule(
        "GAL045",
        Severity.NOTE,
        "a member that was away has to copy everything",
        "It catches up only from what the others still hold: gcache.size, 128 MB by default, of what was written. "
        "After that a full copy is made.",
        _PARAMETERS,
        "Write gcache.size in wsrep_provider_options: what is written in the longest repair, often 1G or more.",
        "power-cut: how long the member takes until it is Synced",
        short_history,
    ),
    Rule(
        "GAL046",
        Severity.WARNING,
        "what is needed after a power cut is thrown away",
        "Without pc.recovery nobody is Primary after all machines went down, until a person comes; without "
        "gcache.recover a member that is behind then has to copy everything.",
        _PARAMETERS,
        "Take pc.recovery out, it is on by default; write gcache.recover=yes.",
        "all-at-once: whether, and when, the members are Primary again",
        forgotten_history,
    ),
)
