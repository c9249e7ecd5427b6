"""How a golden root is made, step by step: Debian, the packages, and nothing that machines must not share.

Each step is killed by the kernel when its builder dies, and its mounts go with it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from threading import Timer

from quorate.errors import QuorateError
from quorate.lab.command import attempt
from quorate.lab.sources import acquire_options, mirror
from quorate.lab.spec import Progress

# Raised whenever a step below changes what comes out: it is part of the image's hash.
VERSION = 3

BASE = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tcpdump",
)

# Guests have no way out: these wait in a repository inside the image, so that installing a package can be tried
# (python3-apt is what ansible-core wants on its targets).
OFFERED = ("hello", "python3-apt", "sl")

PRESEED = """\
keystone keystone/configure_db boolean false
keystone keystone/create-admin-tenant boolean false
keystone keystone/register-endpoint boolean false
keystone keystone/configure_rabbit boolean false
keystone keystone/configure_ksat boolean false
"""

_ENABLED = {"ssh.service"}
_MASKED = (
    "console-getty.service",
    "container-getty@.service",
    "systemd-networkd-wait-online.service",
    "user@.service",  # a service manager for root's sessions: nothing of it is used, and each look would start one
)

_GUARD = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_CHROOT = 'mount -t proc proc "$1/proc" && root="$1" && shift && exec chroot "$root" "$@"'

_FILES = {
    "etc/dpkg/dpkg.cfg.d/quorate-lab": "".join(
        f"path-exclude=/usr/share/{folder}/*\n" for folder in ("doc", "man", "info", "locale", "groff", "lintian")
    )
    + "path-include=/usr/share/doc/*/copyright\npath-include=/usr/share/locale/locale.alias\n",
    "etc/systemd/journald.conf.d/quorate-lab.conf": (
        # A machine whose power was cut keeps its last words.
        "[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRuntimeMaxUse=16M\n"
    ),
    "etc/ssh/sshd_config.d/quorate-lab.conf": (
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nMaxStartups 200\nMaxSessions 200\n"
    ),
    "etc/fstab": "",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/hostname": "lab\n",
}
_REPOSITORY = "srv/apt"


@dataclass(frozen=True)
class Build:
    """One build: where, of what, and who is told."""

    root: Path
    release: str
    packages: Sequence[str]
    log: Path
    progress: Progress


def make(build: Build) -> None:
    """Fill the empty folder `build.root` with a golden root."""
    _bootstrap(build)
    _configure(build)
    _install(build)
    _repository(build)
    _finish(build)


def _bootstrap(build: Build) -> None:
    archive = mirror(_host_sources()).archive
    options = ["--variant=minbase", "--components=main"]
    _step(build, "debootstrap", [*_GUARD, "debootstrap", *options, build.release, str(build.root), archive], 900)


def _configure(build: Build) -> None:
    """Carry over how the host reaches its mirror, and keep packages from starting what they bring."""
    root = build.root
    for path, text in _FILES.items():
        _write(root / path, text)
    _write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", mode=0o755)
    _write(root / "etc/apt/sources.list", mirror(_host_sources()).sources(build.release))
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    options = acquire_options(_apt_config())
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copyfile(bundle, root / "etc/apt/build-ca.crt")
        options += 'Acquire::https::CAInfo "/etc/apt/build-ca.crt";\n'
    options += 'Acquire::Languages "none";\nDpkg::Use-Pty "0";\nDPkg::Options { "--force-unsafe-io"; };\n'
    options += 'APT::Install-Recommends "false";\n'
    _write(root / "etc/apt/apt.conf.d/99build", options)
    for folder in ("doc", "man", "info", "locale"):
        shutil.rmtree(root / "usr/share" / folder, ignore_errors=True)


def _install(build: Build) -> None:
    _inside(build, "reading package lists", ["apt-get", "-q", "update"], 300)
    _inside(build, "preseeding", ["debconf-set-selections"], 30, stdin=PRESEED)
    wanted = sorted({*BASE, *build.packages})
    _inside(
        build,
        f"installing {len(wanted)} packages and what they need",
        ["apt-get", "-q", "-y", "install", *wanted],
        1800,
    )


def _repository(build: Build) -> None:
    """Make a small repository inside the image, and the guests' only one."""
    root, folder = build.root, build.root / _REPOSITORY
    (folder / "partial").mkdir(parents=True)
    into = ["-o", f"Dir::Cache::archives=/{_REPOSITORY}"]
    _inside(
        build,
        "making the guests' repository",
        ["apt-get", "-q", "-y", "-d", *into, "install", "--reinstall", *OFFERED],
        120,
    )
    stanzas = []
    for package in sorted(folder.glob("*.deb")):
        package.chmod(0o644)
        control = _output(root, ["dpkg-deb", "-f", f"/{_REPOSITORY}/{package.name}"]).strip()
        data = package.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        stanzas.append(f"{control}\nFilename: ./{package.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    shutil.rmtree(folder / "partial")
    (folder / "lock").unlink(missing_ok=True)
    index = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(index)
    entry = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    date = formatdate(usegmt=True)
    _write(folder / "Release", f"Origin: quorate-lab\nSuite: {build.release}\nDate: {date}\nSHA256:\n{entry}")


def _finish(build: Build) -> None:
    """Switch off what the packages switched on, and take out what was only for the build or must differ by machine."""
    root = build.root
    enabled = {link.name for link in (root / "etc/systemd/system").glob("*.*/*") if link.is_symlink()}
    _inside(build, "switching services off", ["systemctl", "disable", *sorted(enabled - _ENABLED)], 120)
    _inside(build, "masking consoles", ["systemctl", "mask", *_MASKED], 30)
    _inside(build, "setting the target", ["systemctl", "set-default", "multi-user.target"], 30)
    _fit_sshd(build)
    for path in ("usr/sbin/policy-rc.d", "etc/apt/apt.conf.d/99build", "etc/apt/build-ca.crt"):
        (root / path).unlink(missing_ok=True)
    _write(root / "etc/apt/sources.list", f"deb [trusted=yes] file:/{_REPOSITORY} ./\n")
    _write(root / "etc/apt/apt.conf.d/90quorate-lab", 'Acquire::Languages "none";\n')
    for pattern in (
        "var/lib/apt/lists/*",
        "var/cache/apt/*",
        "var/log/*.log",
        "var/log/apt/*",
        "var/cache/debconf/*-old",
    ):
        _remove(root, pattern)
    _inside(build, "reading the guests' repository", ["apt-get", "-q", "update"], 60)
    for pattern in ("etc/ssh/ssh_host_*", "var/lib/systemd/random-seed", "var/cache/apt/*.bin", "root/.wget-hsts"):
        _remove(root, pattern)
    _write(root / "etc/resolv.conf", "")
    _write(root / "etc/machine-id", "")


def _fit_sshd(build: Build) -> None:
    """Newer sshds shut out whoever breaks connections, as every drill does; older ones do not know the setting."""
    line = "PerSourcePenalties no"
    # sshd refuses to look at anything before it has a key; this one goes with the others
    _inside(build, "testing sshd", ["ssh-keygen", "-A"], 60)
    (build.root / "run/sshd").mkdir(exist_ok=True)
    tried = attempt(_inner(build.root, ["/usr/sbin/sshd", "-t", "-o", line]), timeout=30)
    if tried.returncode == 0:
        with (build.root / "etc/ssh/sshd_config.d/quorate-lab.conf").open("a") as file:
            file.write(f"{line}\n")


def _inner(root: Path, argv: Sequence[str]) -> list[str]:
    return [*_GUARD, "/bin/sh", "-c", _CHROOT, "sh", str(root), *argv]


def _inside(build: Build, what: str, argv: Sequence[str], limit: float, stdin: str = "") -> None:
    _step(build, what, _inner(build.root, argv), limit, stdin)


def _output(root: Path, argv: Sequence[str]) -> str:
    return attempt(_inner(root, argv), timeout=60).stdout


def _step(build: Build, what: str, argv: Sequence[str], limit: float, stdin: str = "") -> None:
    """Run one step; its output goes to the log, its progress to the caller every few seconds."""
    begun = said = time.monotonic()
    build.progress(f"image {build.release}: {what}")
    with (
        build.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            text=True,
            errors="replace",
        ) as process,
    ):
        timer = Timer(limit, process.kill)
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for just above
            process.stdin.write(stdin)
            process.stdin.close()
            apt = _AptCount()
            for line in process.stdout:
                log.write(line)
                apt.read(line)
                now = time.monotonic()
                if now - said > 5:
                    said = now
                    build.progress(f"image {build.release}: {what}: {apt.percent}{now - begun:.0f} s")
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
    if code:
        last = " | ".join(build.log.read_text(errors="replace").strip().splitlines()[-5:])
        raise QuorateError(f"building the image failed at {what!r} ({code}): {last}", hint=f"all of it: {build.log}")


class _AptCount:
    """How far apt is, from what it prints; its status channel on standard output breaks some packages' scripts."""

    def __init__(self) -> None:
        self._total = self._done = 0

    def read(self, line: str) -> None:
        """Take one line."""
        found = re.search(r"(\d+) newly installed", line)
        if found:
            self._total = int(found[1])
        self._done += line.startswith(("Unpacking ", "Setting up "))

    @property
    def percent(self) -> str:
        """Say it, or nothing where apt is not at work."""
        return f"{min(99, 50 * self._done // self._total)} %, " if self._total else ""


def _environment() -> dict[str, str]:
    """Return a clean environment: nothing of the caller's but the proxies."""
    kept = {key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    configured = re.search(r'^Acquire::http::Proxy "(http[^"]+)";', _apt_config(), re.MULTILINE)
    if configured:
        kept.setdefault("http_proxy", configured[1])
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **kept}


def _host_sources() -> list[str]:
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.[ls]*"))]
    return [file.read_text(errors="replace") for file in files if file.is_file()]


def _apt_config() -> str:
    """Return the host's apt configuration; a host without apt has none to carry over."""
    return attempt(["apt-config", "dump"], timeout=10).stdout if shutil.which("apt-config") else ""


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link that leads out of the root
    path.write_text(text)
    path.chmod(mode)


def _remove(root: Path, pattern: str) -> None:
    for path in root.glob(pattern):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
