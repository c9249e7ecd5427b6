"""Collects what an audit reads: from folders, files, archives, and hosts over ssh. Reads only.

What was asked for and could not be read is named, always: an audit that passed over a file would say that it is well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.audit.estate import Text, Unread
from quorate.audit.kinds import kinds, names
from quorate.audit.node import Place
from quorate.audit.versions import agreed, packages, versions_of
from quorate.engine import archives
from quorate.errors import InvalidInput, Problem, Unreachable
from quorate.transport.contract import Transport
from quorate.transport.remote import gather
from quorate.transport.request import Gathered, gather_request, read_gathered
from quorate.transport.ssh import SshTransport

_HOST = re.compile(
    r"(?P<scheme>ssh://)?(?:(?P<user>[^@/:\s]+)@)?(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?/?"
)
_OWN = ("/etc/", "/usr/lib/", "/var/lib/")
"""Where this machine's own files are: elsewhere, a file's permissions are those of a copy."""
_COMPONENTS = (
    "adjutant aodh barbican blazar ceilometer_central ceph_mon ceph_osd ceph_rgw ceph_mds ceph_nfs cinder_api "
    "cinder_volumes cloudkitty designate freezer_api freezer_scheduler galera glance gnocchi haproxy heat_api horizon "
    "ironic_api ironic_compute ironic_inspector keystone magnum manila manila_data masakari_api masakari_monitors "
    "memcached mistral neutron_agents neutron_server neutron_ovn_gateway neutron_ovn_northd nova_api octavia_server "
    "repo placement rabbit_mq skyline swift_proxy swift_acc swift_obj swift_cont tacker trove_api unbound utility "
    "zookeeper zun_api"
)
"""Containers of openstack-ansible, from its inventory/env.d (July 2026)."""
_CONTAINER = re.compile(
    rf"(?P<host>.+?)[-_](?:{_COMPONENTS.replace('_', '[-_]').replace(' ', '|')})[-_]container[-_][0-9a-f]+"
)


@dataclass(frozen=True)
class Host:
    """A machine to ask over ssh, as the operator's own ssh settings have it where nothing is said."""

    name: str
    user: str | None = None
    port: int | None = None
    sudo: bool = False

    def way(self) -> Transport:
        """The way to it. Nothing is contacted yet."""
        return SshTransport(self.name, self.name, user=self.user, port=self.port, sudo=self.sudo)


@dataclass(frozen=True)
class Source:
    """A folder, a file or an archive. `host_of`: which machine a path below it is from."""

    path: Path
    host_of: Callable[[Path, Path], str]


@dataclass(frozen=True)
class Collected:
    """What was read. `unread`: what was not, and why; `remarks`: what is odd about the versions."""

    texts: tuple[Text, ...] = ()
    unread: tuple[Unread, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def sources(
    targets: Sequence[str], kolla: Sequence[Path] = (), osa: Sequence[Path] = (), *, sudo: bool = False
) -> tuple[list[Source], list[Host]]:
    """Make out what is meant. InvalidInput names everything that is neither there nor a host."""
    found = [*(Source(path, host_of_kolla) for path in kolla), *(Source(path, host_of_container) for path in osa)]
    problems = [Problem(str(one.path), 0, "", "there is no such folder") for one in found if not one.path.is_dir()]
    hosts: list[Host] = []
    for target in targets:
        if not target.startswith("ssh://") and Path(target).exists():
            found.append(Source(Path(target), host_of))
        elif host := _host(target, sudo=sudo):
            hosts.append(host)
        else:
            allowed = f"a folder, a file, {', '.join(archives.SUFFIXES)}, user@host, ssh://user@host:port"
            problems.append(Problem(target, 0, "", "there is no such file or folder, and it is no host", allowed))
    if problems:
        raise InvalidInput("nothing was read", problems=problems)
    return found, list(dict.fromkeys(hosts))


def _host(target: str, *, sudo: bool) -> Host | None:
    match = _HOST.fullmatch(target)
    if match is None or not (match["scheme"] or match["user"]) or (match["port"] and not match["scheme"]):
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    return Host(match["host"].strip("[]"), match["user"], port, sudo)


def collect(found: Sequence[Source], hosts: Sequence[Host], progress: Callable[[str], None]) -> Collected:
    """Read it all, the hosts at the same time. InvalidInput: there is nothing among it that is known."""
    texts: dict[Path, Text] = {}
    unread: list[Unread] = []
    for one in found:
        progress(f"reading {one.path}")
        _local(one, texts, unread)
    answers = ask(hosts, [host.way() for host in hosts], progress) if hosts else []
    came: list[Text] = list(texts.values())
    installed: dict[str, Mapping[str, str]] = {}
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, Unreachable):
            unread.append(Unread(Place(f"ssh://{host.name}", 0, host.name), f"{answer.why} {answer.hint}".strip()))
            continue
        installed[host.name] = versions_of(answer.packages)
        came += [Text(file.path, file.text, host.name, file.mode) for file in answer.files]
        unread += [Unread(Place(one.path, 0, host.name), one.why) for one in answer.unread]
    if not came and not unread:
        asked = ", ".join(str(one.path) for one in found) or ", ".join(host.name for host in hosts)
        raise InvalidInput(
            f"nothing was found that an audit knows: {asked}", hint="`quorate audit --help` names what is."
        )
    versions, remarks = agreed(installed)
    return Collected(tuple(came), tuple(unread), versions, tuple(remarks))


def ask(
    hosts: Sequence[Host], ways: Sequence[Transport], progress: Callable[[str], None]
) -> list[Gathered | Unreachable]:
    """Ask every host in one round trip, and close all ways at the end."""
    request = gather_request(names(), packages())

    async def one(host: Host, way: Transport) -> Gathered | Unreachable:
        progress(f"asking {host.name}")
        try:
            return read_gathered(host.name, await way.run(request.argv, request.stdin, timeout=request.timeout))
        except Unreachable as error:
            return error
        finally:
            await way.close()

    async def everyone() -> list[Gathered | Unreachable]:
        return await asyncio.gather(*(one(host, way) for host, way in zip(hosts, ways, strict=True)))

    return asyncio.run(everyone())


def _local(source: Source, texts: dict[Path, Text], unread: list[Unread]) -> None:
    """Read one source of this machine; what was read before, under another name, is not read again."""
    path = source.path
    if path.is_dir():
        root = path if path.name else path.resolve()
        came = gather.gather(str(root), names(), archives.TOTAL)
    elif archives.is_archive(path):
        root, came = path, archives.gathered(path, names())
    else:
        root, came = path.parent.parent, _one_file(path)
    for one in came["files"]:
        real = Path(one["path"]).resolve()
        if real not in texts:
            mode = one["mode"] if archives.is_archive(path) or str(real).startswith(_OWN) else None
            texts[real] = Text(one["path"], one["text"], _host_name(source, root, one["path"]), mode)
    unread += [
        Unread(Place(one["path"], 0, _host_name(source, root, one["path"])), one["why"]) for one in came["unread"]
    ]


def _one_file(path: Path) -> dict[str, list[dict[str, object]]]:
    """A file that was named is read whatever it is; that nobody knows its kind is worth a word."""
    if not re.search(names(), str(path)):
        return {"files": [], "unread": [{"path": str(path), "why": "its name is of no kind that an audit knows"}]}
    try:
        return {"files": [{"path": str(path), **gather.read(str(path.resolve()), gather.LARGEST)}], "unread": []}
    except OSError as error:
        return {"files": [], "unread": [{"path": str(path), "why": error.strerror or str(error)}]}


def _host_name(source: Source, root: Path, path: str) -> str:
    """Name the machine of a path, which may be the source itself."""
    whole = Path(path)
    return source.host_of(root, whole.relative_to(root)) if whole.is_relative_to(root) else ""


def host_of(root: Path, path: Path) -> str:
    """Say which machine a file below `root` is from: the folder above `etc`, or the first one below, or `root`."""
    folders = path.parts[:-1]
    if "etc" in folders:
        return _above(folders) if folders[0] != "etc" else _above((*root.absolute().parts, "etc"))
    above = root.absolute().parts
    if "etc" in above:
        return _above(above)
    if folders and not _of_program(folders[0]):
        return folders[0]
    return root.absolute().name


def host_of_kolla(root: Path, path: Path) -> str:
    """Say which machine: the folder above `etc`, or the one machine whose /etc/kolla this is."""
    return host_of(root, path) if "etc" in path.parts[:-1] or "etc" in root.absolute().parts else root.absolute().name


def host_of_container(_root: Path, path: Path) -> str:
    """Say on which machine a container of openstack-ansible is: infra1_galera_container-1a2b3c4d is on infra1."""
    match = _CONTAINER.fullmatch(path.parts[0])
    return match["host"] if match else path.parts[0]


def _above(parts: Iterable[str]) -> str:
    """Name the folder above the last `etc`; of this machine's own it is the root, which has no name."""
    several = [part for part in parts if part != "rootfs"]
    place = len(several) - 1 - several[::-1].index("etc")
    return several[place - 1].strip("/") if place else ""


def _of_program(folder: str) -> bool:
    """Whether a folder is a program's and no machine's."""
    known = {part for kind in kinds() for path in kind.paths for part in path.split("/")[:-1]}
    return folder in known or any(folder == kind.name or folder.startswith(f"{kind.name}-") for kind in kinds())
