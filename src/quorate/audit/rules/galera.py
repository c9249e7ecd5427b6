"""Galera's members as their option files say them: what is durable, what is replicated, who is let in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node, Place
from quorate.audit.rule import Hit, Rule, Severity

GUIDE = "https://mariadb.com/kb/en/configuring-mariadb-galera-cluster/"
VARIABLES = "https://mariadb.com/kb/en/galera-cluster-system-variables/"
_GROUPS = re.compile(r"(mysqld|server|mariadb|mariadbd|galera|client-server)(?:-(\d+\.\d+))?")
_ROOT = re.compile(r"(?:(?:^|/)(?:etc|mysql|mariadb)/|^)(?:my|mariadb)\.cnf$")


@dataclass(frozen=True)
class Server:
    """What one mariadbd reads.

    `options`: of each name the one that counts, the last; `every`: all of them, in the order in which they are read;
    `whole`: its first file was seen, and what that includes, so that what is not said is not set.
    """

    host: str
    options: Mapping[str, Node]
    every: tuple[Node, ...]
    whole: bool

    def get(self, name: str, default: str = "") -> str:
        """The value of an option, or the default where it is not said."""
        return self.options[name].value if name in self.options else default

    @property
    def replicates(self) -> bool:
        """Whether it is meant to be a member of a cluster."""
        provider = self.get("wsrep_provider", "none")
        return provider.lower() != "none" or "wsrep_cluster_address" in self.options or is_on(self, "wsrep_on")

    def place(self) -> Place:
        """Where it is said that it is a member, for what is missing."""
        names = ("wsrep_cluster_address", "wsrep_provider", "wsrep_on")
        return next(self.options[name].place for name in names if name in self.options)


def is_on(server: Server, name: str) -> bool:
    """Whether a switch is on; a name alone turns it on."""
    return name in server.options and server.get(name).lower() in ("", "1", "on", "true", "yes")


def servers(estate: Estate) -> Iterator[Server]:
    """Every mariadbd whose option files were read, one a host."""
    hosts: dict[str, list[Document]] = {}
    for document in estate.of("mariadb"):
        hosts.setdefault(document.host, []).append(document)
    release = estate.version("mariadb")
    for host, documents in hosts.items():
        documents.sort(key=lambda one: (not _ROOT.search(one.text.path), one.text.path))
        groups = [group for one in documents for group in one.root.inside if _is_read(group.name, release)]
        every = tuple(option for group in groups for option in group.inside if not option.name.startswith("!"))
        yield Server(host, {option.name: option for option in every}, every, _is_whole(documents))


def _is_whole(documents: list[Document]) -> bool:
    """Whether the first file is there, and something of everything that it includes."""
    first, *others = documents
    included = [node.value.rstrip("/").rpartition("/")[2] for node in first.root.walk() if "!include" in node.name]
    seen = {part for other in others for part in other.text.path.split("/")}
    return bool(_ROOT.search(first.text.path)) and seen.issuperset(included)


def _is_read(group: str, release: tuple[int, ...] | None) -> bool:
    match = _GROUPS.fullmatch(group)
    return match is not None and (not match[2] or release is None or ".".join(map(str, release[:2])) == match[2])


def members(estate: Estate) -> Iterator[Server]:
    """Every server that is meant to be a member of a cluster."""
    return (server for server in servers(estate) if server.replicates)


def having(name: str, wrong: Callable[[str], bool]) -> Callable[[Estate], Iterable[Hit]]:
    """Find members with an option whose value is wrong, where it is said."""

    def find(estate: Estate) -> Iterable[Hit]:
        for member in members(estate):
            if name in member.options and wrong(member.get(name).strip().lower()):
                yield Hit(member.options[name].place, f"{name} = {member.get(name)}")

    return find


def table_locks(estate: Estate) -> Iterable[Hit]:
    """Lock mode 0 or 1, said, or by default with several appliers."""
    for member in members(estate):
        mode = member.options.get("innodb_autoinc_lock_mode")
        if mode is not None and mode.value in ("0", "1"):
            yield Hit(mode.place, f"innodb_autoinc_lock_mode = {mode.value}")
        elif mode is None and member.whole and member.get("wsrep_slave_threads", "1") != "1":
            threads = member.options["wsrep_slave_threads"]
            yield Hit(threads.place, f"wsrep_slave_threads = {threads.value}, and innodb_autoinc_lock_mode is not set")


def not_rows(estate: Estate) -> Iterable[Hit]:
    """Statements in the binary log, said or by default."""
    for member in members(estate):
        written = member.options.get("binlog_format")
        if written is not None and written.value.lower() in ("statement", "mixed", "0", "1"):
            yield Hit(written.place, f"binlog_format = {written.value}")
        elif written is None and member.whole:
            yield Hit(member.place(), "binlog_format is not set: MIXED")


def blocking_copies(estate: Estate) -> Iterable[Hit]:
    """A full copy by rsync or mysqldump, said or by default."""
    for member in members(estate):
        method = member.options.get("wsrep_sst_method")
        if method is not None and method.value.lower() in ("rsync", "rsync_wan", "mysqldump"):
            yield Hit(method.place, f"wsrep_sst_method = {method.value}")
        elif method is None and member.whole:
            yield Hit(member.place(), "wsrep_sst_method is not set: rsync")


def needless_accounts(estate: Estate) -> Iterable[Hit]:
    """An account for copies that log in nowhere."""
    for member in members(estate):
        method = member.get("wsrep_sst_method", "rsync" if member.whole else "").lower()
        if "wsrep_sst_auth" in member.options and method.startswith("rsync"):
            account = member.get("wsrep_sst_auth").partition(":")[0]
            yield Hit(
                member.options["wsrep_sst_auth"].place, f"the account {account!r} (wsrep_sst_auth), with {method}"
            )


def copies_as_root(estate: Estate) -> Iterable[Hit]:
    """Copies with the account that may do everything, and a password in a file."""
    for member in members(estate):
        user, _, password = member.get("wsrep_sst_auth").partition(":")
        if user == "root" and password and not member.get("wsrep_sst_method").startswith("rsync"):
            yield Hit(member.options["wsrep_sst_auth"].place, "root (wsrep_sst_auth)")


def query_cache(estate: Estate) -> Iterable[Hit]:
    """The query cache, where it is not coherent."""
    if estate.since("mariadb", (10, 1, 2)) is False:
        yield from having("query_cache_size", lambda value: value not in ("0", "0m"))(estate)


def lonely_rows(estate: Estate) -> Iterable[Hit]:
    """Another engine than InnoDB, unless its replication was asked for."""
    for member in members(estate):
        engine = member.options.get("default_storage_engine")
        asked = member.get("wsrep_mode").lower() + " replicate_myisam" * is_on(member, "wsrep_replicate_myisam")
        if (
            engine is None
            or engine.value.lower() in ("innodb", "xtradb")
            or f"replicate_{engine.value.lower()}" in asked
        ):
            continue
        yield Hit(engine.place, f"default_storage_engine = {engine.value}")


def logs_in_tables(estate: Estate) -> Iterable[Hit]:
    """A log of queries that is on, and written into a table."""
    for member in members(estate):
        logs = any(is_on(member, name) for name in ("general_log", "slow_query_log", "log_slow_query"))
        if logs and "table" in member.get("log_output").lower().split(","):
            yield Hit(member.options["log_output"].place, f"log_output = {member.get('log_output')}")


RULES = (
    Rule(
        "GAL001",
        Severity.WARNING,
        "commits are acknowledged before they are on disk",
        "With 0 or 2 the log is flushed about once a second. Members that crash shortly after each other, as on a "
        "power cut of the rack, all lose what they acknowledged last: Jepsen saw committed transactions vanish.",
        "https://jepsen.io/blog/2026-03-16-mariadb-galera-cluster-12.1.2",
        "Write innodb_flush_log_at_trx_commit = 1.",
        "all-at-once: acknowledged rows that are not found afterwards",
        having("innodb_flush_log_at_trx_commit", lambda value: value in ("0", "2")),
    ),
    Rule(
        "GAL002",
        Severity.WARNING,
        "auto-increment locks whole tables",
        "Such a lock holds on one member only. Galera's manual warns of inserts that fail and of deadlocks that nobody "
        "resolves, so that the member stands still.",
        "https://galeracluster.com/library/documentation/configuration.html",
        "Write innodb_autoinc_lock_mode = 2.",
        "",
        table_locks,
    ),
    Rule(
        "GAL003",
        Severity.ERROR,
        "the binary log is not by rows",
        "Galera replicates rows only. MariaDB refuses to start as a member with any other format, also with its own "
        "default, MIXED.",
        GUIDE,
        "Write binlog_format = ROW.",
        "",
        not_rows,
    ),
    Rule(
        "GAL004",
        Severity.ERROR,
        "new tables are made in an engine that is not replicated",
        "Rows of MyISAM, Aria or MEMORY tables stay on the member that wrote them: the others never have them.",
        GUIDE,
        "Write default_storage_engine = InnoDB.",
        "power-cut: rows written through the lost member are missing on the others",
        lonely_rows,
    ),
    Rule(
        "GAL005",
        Severity.ERROR,
        "pages may be torn by a crash",
        "Without the doublewrite buffer a page that was half written when the power went is lost, and the member has "
        "to copy everything anew. MariaDB's manual says that it must stay on for Galera.",
        GUIDE,
        "Leave innodb_doublewrite out, or write 1.",
        "power-cut: the member does not start again from its own data",
        having("innodb_doublewrite", lambda value: value in ("0", "off", "false")),
    ),
    Rule(
        "GAL006",
        Severity.WARNING,
        "a full copy stops the member that gives it",
        "While rsync or mysqldump run, the donor accepts no writes: with three members, two are out of service for as "
        "long as the copy takes. rsync is what MariaDB takes where nothing is said.",
        "https://mariadb.com/kb/en/introduction-to-state-snapshot-transfers-ssts/",
        "Write wsrep_sst_method = mariabackup, and an account for it.",
        "database-stopped on a member with an empty data folder: writes fail while it copies",
        blocking_copies,
    ),
    Rule(
        "GAL007",
        Severity.NOTE,
        "an account for copies that nobody uses",
        "wsrep_sst_auth is read by mariabackup and mysqldump only. rsync ignores it: a password lies in a file, and an "
        "account in the database, for nothing.",
        f"{VARIABLES}#wsrep_sst_auth",
        "Take wsrep_sst_auth out and drop the account, or write wsrep_sst_method = mariabackup.",
        "",
        needless_accounts,
    ),
    Rule(
        "GAL008",
        Severity.WARNING,
        "copies are made with root's password",
        "Whoever reads this file may do everything in the database. A copy by mariabackup needs four privileges.",
        "https://mariadb.com/kb/en/mariabackup-sst-method/",
        "Make an account with RELOAD, PROCESS, LOCK TABLES and BINLOG MONITOR at localhost, and name it here.",
        "",
        copies_as_root,
    ),
    Rule(
        "GAL009",
        Severity.ERROR,
        "the query cache of this release does not see what others write",
        "Before MariaDB 10.1.2 the cache is not told of rows that arrive from other members: reads are old.",
        GUIDE,
        "Write query_cache_size = 0 and query_cache_type = 0.",
        "",
        query_cache,
    ),
    Rule(
        "GAL010",
        Severity.WARNING,
        "queries are logged into tables",
        "Galera supports the general and the slow query log in files only.",
        "https://mariadb.com/kb/en/mariadb-galera-cluster-known-limitations/",
        "Write log_output = FILE.",
        "",
        logs_in_tables,
    ),
)
