"""What the audit says a program refuses is what the program itself refuses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from quorate.audit.estate import Text
from quorate.audit.judge import audit

POOL = """cache:
  listen: 127.0.0.1:22122
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: true
  timeout: 400
  servers:
    - 127.0.0.1:11211:1 s1
    - 127.0.0.1:11212:1 s2
"""


def rules(path: str, body: str) -> set[str]:
    came = audit([Text(path, body)], {})
    assert not came.unread
    return {finding.rule.name for finding in came.findings}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("auto_eject_hosts", "auto_eject_host"),
        ("1 s2", "1 s1"),
        ("1 s2", "1"),
        ("11212:1 s2", "11212 s2"),
        ("fnv1a_64", "md6"),
        ("fnv1a_64", "murmur"),
        ("ketama", "consistent"),
        ("ketama", "random"),
        ("timeout: 400", "timeout: 400ms"),
        ("timeout: 400", "timeout: -1"),
        ("timeout: 400", "timeout: 0"),
        ("hosts: true", "hosts: yes"),
        ("hosts: true", "hosts: false"),
        ("  timeout", '  hash_tag: "{"\n  timeout'),
        ("  timeout", '  hash_tag: "{}"\n  timeout'),
        ("  timeout", "  server_connections: 0\n  timeout"),
        ("  timeout", "  server_failure_limit: 0\n  timeout"),
        ("  timeout", "  preconnect: true\n  backlog: 512\n  tcpkeepalive: false\n  timeout"),
        ("  listen: 127.0.0.1:22122\n", ""),
        ("s2\n", "s2\nother:\n  listen: 127.0.0.1:22122\n  servers:\n    - 127.0.0.1:11211:1\n"),
        ("s2\n", "s2\nother:\n  listen: 127.0.0.1:22123\n  servers:\n    - 127.0.0.1:11211:1\n"),
    ],
)
def test_twemproxy(tmp_path: Path, old: str, new: str) -> None:
    program = shutil.which("nutcracker") or shutil.which("nutcracker", path="/usr/sbin")
    if program is None:
        pytest.skip("nutcracker is not installed")
    body = POOL.replace(old, new, 1)
    file = tmp_path / "nutcracker.yml"
    file.write_text(body, encoding="utf-8")
    came = subprocess.run([program, "-t", "-c", str(file)], capture_output=True, timeout=30, check=False)
    assert ("NUT006" in rules("nutcracker.yml", body)) == (came.returncode != 0), came.stderr


@pytest.mark.parametrize("options", ["-m 64\n-I 40m", "-m 64\n-I 32m", "-I 64m", "-m 1024\n-I 128m", "-I 1024k"])
def test_the_largest_item_of_memcached(options: str) -> None:
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("memcached is not installed")
    ends = ["-o", "hot_lru_pct=70,warm_lru_pct=70"]  # refused as well, later: it never starts
    command = [program, "-u", "root", *options.split(), *ends]
    came = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert came.returncode != 0
    assert ("MEM008" in rules("memcached.conf", options)) == ("item size limit" in came.stderr), came.stderr
