"""What TLS between the balancer and memcached costs: the same load on three servers without and with it, interleaved.

`python bench/balancer_tls.py [--rounds N] [--seconds S]`: 50 connections, 90 per cent gets, values of 100 bytes and of
2 KB. The last line is one JSON object: for each size of value `throughput` and `p99` (with TLS divided by without,
median of the ratios within each round), `cpu_us` and `cpu_us_tls` (CPU microseconds of the balancer for a request).
Exit code 1 if any reply was wrong or missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import balancer_figures
import daemons

SERVERS = 3
SIZES = (100, 2048)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make one that signs itself, for 127.0.0.1."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def ready(daemon: daemons.Daemon, port: int) -> None:
    """Return when a server listens that speaks TLS."""
    while (
        daemon.process.poll() is None
        and subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode
    ):
        pass


def measure(ports: Sequence[int], section: str, size: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Run the load once through a balancer in front of these servers."""
    (port,) = daemons.ports(1)
    file = folder / "balancer.toml"
    file.write_text(daemons.quorate_toml(port, ports, 1, 1) + section, encoding="utf-8")
    command = [sys.executable, "-m", "quorate.balancer", "-c", str(file)]
    with daemons.running(command, port, folder / "log") as balancer:
        wanted = ["-c", "50", "-d", "1", "-g", "90", "-v", str(size), "-k", "1", "-f"]
        proxy = f"proxy:{balancer.process.pid}"
        return daemons.load(["-p", str(port), "-P", proxy, *wanted, "-w", str(seconds / 4), "-s", str(seconds)])


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    asked = parser.parse_args()
    result: dict[str, Any] = {}
    faults = 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-bench-")))
        cert, key = certificate(folder)
        plain, secured = daemons.ports(SERVERS), daemons.ports(SERVERS)
        for port in plain:
            stack.enter_context(daemons.running(daemons.memcached_command(port), port, folder / f"{port}.log"))
        for port in secured:
            command = [*daemons.memcached_command(port), "-Z", "-o", f"ssl_chain_cert={cert},ssl_key={key}"]
            daemon = daemons.Daemon(command, folder / f"{port}.log")
            stack.callback(daemon.stop)
            ready(daemon, port)
        for size in SIZES:
            rounds = [
                (
                    measure(plain, "", size, asked.seconds, folder),
                    measure(secured, f'[tls]\nca = "{cert}"\n', size, asked.seconds, folder),
                )
                for _ in range(asked.rounds)
            ]
            faults += sum(run[fault] for pair in rounds for run in pair for fault in balancer_figures.FAULTS)
            result[f"v{size}"] = {
                "throughput": round(median(tls["throughput"] / bare["throughput"] for bare, tls in rounds), 3),
                "p99": round(median(tls["p99_us"] / bare["p99_us"] for bare, tls in rounds), 3),
                "cpu_us": round(median(bare["cpu_us"]["proxy"] for bare, _ in rounds), 2),
                "cpu_us_tls": round(median(tls["cpu_us"]["proxy"] for _, tls in rounds), 2),
            }
    sys.stdout.write(json.dumps({**result, "rounds": asked.rounds, "faults": faults}) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
