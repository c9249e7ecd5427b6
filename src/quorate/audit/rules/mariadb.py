"""MariaDB's option files as such: what it refuses to read, and what it no longer heeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from quorate.audit.estate import Estate
from quorate.audit.readers.mariadb import OPEN
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.galera import servers

_FILES = "https://mariadb.com/kb/en/configuring-mariadb-with-option-files/"
_TRIED = (10, 11)
"""From this release on mariadbd was asked about each name below; it may have been so before."""
_REFUSED: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(
        (
            "default_table_type", "innodb_adaptive_hash_index_partitions", "innodb_additional_mem_pool_size",
            "innodb_checksums", "innodb_fake_changes", "innodb_mirrored_log_groups", "innodb_support_xa",
            "innodb_use_sys_malloc", "log_slow_queries", "skip_federated", "storage_engine", "tx_isolation",
            "wsrep_applier_threads", "wsrep_replicate_myisam", "wsrep_strict_ddl",
        ),
        _TRIED,
    ),
    **dict.fromkeys(("debug_no_thread_alarm", "old_alter_table"), (11, 8)),
}  # fmt: skip
_UNHEEDED: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(
        (
            "innodb_buffer_pool_instances", "innodb_commit_concurrency", "innodb_concurrency_tickets",
            "innodb_file_format", "innodb_large_prefix", "innodb_locks_unsafe_for_binlog",
            "innodb_log_compressed_pages", "innodb_log_files_in_group", "innodb_page_cleaners",
            "innodb_rollback_segments", "innodb_scrub_log",
            "innodb_stats_sample_pages", "innodb_sync_array_size", "innodb_thread_concurrency", "innodb_undo_logs",
            "max_long_data_size", "multi_range_count", "thread_concurrency", "timed_mutexes",
        ),
        _TRIED,
    ),
    **dict.fromkeys(
        ("innodb_change_buffering", "innodb_defragment", "wsrep_causal_reads", "wsrep_load_data_splitting"), (11, 8)
    ),
}  # fmt: skip

_UNLIMITED = re.compile(r"(?i)\bGRANT\s+ALL(?:\s+PRIVILEGES)?\s+ON\s+\*\.\*\s+TO\s+[^\s@]+\s*@\s*['\"`]?%")


def _gone(names: Mapping[str, tuple[int, int]]) -> Callable[[Estate], Iterable[Hit]]:
    def find(estate: Estate) -> Iterable[Hit]:
        for server in servers(estate):
            for option in server.every:
                if option.name in names and estate.since("mariadb", names[option.name]):
                    yield Hit(option.place, f"{option.name} = {option.value}")

    return find


def unlimited(estate: Estate) -> Iterable[Hit]:
    """An account that may do everything, from everywhere, in a script or a file of SQL."""
    for document in estate.of("shell", "sql"):
        for statement in document.root.inside:
            if match := _UNLIMITED.search(" ".join(statement.words)):
                yield Hit(statement.place, match[0])


def without_group(estate: Estate) -> Iterable[Hit]:
    """Options that stand before the first group."""
    for document in estate.of("mariadb"):
        for option in document.root.all("")[0].inside[:1] if document.root.all("") else ():
            if not option.name.startswith("!"):
                yield Hit(option.place, f"{option.name} = {option.value}")


def open_quotes(estate: Estate) -> Iterable[Hit]:
    """A value that is meant to go on on the next line."""
    for document in estate.of("mariadb"):
        for group in document.root.inside:
            yield from (
                Hit(option.place, f"{option.name} = {option.value}") for option in group.inside if option.all(OPEN)
            )


RULES = (
    Rule(
        "GAL060",
        Severity.ERROR,
        "an option stands outside of any group",
        "MariaDB says `Found option without preceding group` and does not start; its clients do not, either.",
        _FILES,
        "Write [mysqld] above it.",
        "",
        without_group,
    ),
    Rule(
        "GAL061",
        Severity.ERROR,
        "a quote is not closed on its line",
        "MariaDB continues no lines: the value ends here with the quote in it, and the next line is an option of its "
        "own, which is unknown, so that the server does not start.",
        _FILES,
        "Write the whole value in one line.",
        "",
        open_quotes,
    ),
    Rule(
        "GAL062",
        Severity.ERROR,
        "this release of MariaDB does not know an option",
        "It says `unknown variable` and does not start.",
        "https://mariadb.com/kb/en/server-system-variables/",
        "Take it out, or write `loose_` before it while several releases read the same file. Appliers are "
        "wsrep_slave_threads in MariaDB; isolation is transaction_isolation.",
        "",
        _gone(_REFUSED),
    ),
    Rule(
        "GAL063",
        Severity.NOTE,
        "this release of MariaDB does not heed an option",
        "It was removed and is accepted for the sake of old files: what it asked for does not happen.",
        "https://mariadb.com/kb/en/server-system-variables/",
        "Take it out.",
        "",
        _gone(_UNHEEDED),
    ),
    Rule(
        "GAL064",
        Severity.ERROR,
        "an account may do everything, from everywhere",
        "One password, often in several files, is enough to read, change and drop every database of the cloud from any "
        "machine that reaches the port. A copy of a member needs no such account.",
        "https://mariadb.com/kb/en/mariabackup-sst-method/",
        "Give an account the databases or the privileges that it needs, and the addresses that it comes from.",
        "",
        unlimited,
    ),
)
