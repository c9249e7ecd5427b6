"""Bring the files of known names, wherever they lie, with their modes: of a controller, or of a folder of this machine.

Reads only. `pick` is all that is decided: it knows of names and links, and opens nothing, so that archives use it too.
"""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import os
import re
import stat

from quorate.transport.remote.observe import release, see_packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Json = dict[str, Any]

PARTS = ("etc", "usr/lib/sysctl.d", "var/lib/pacemaker/cib", "var/lib/rabbitmq")
"""Where a machine's configuration is, below its root. The rest of a whole machine is not walked through."""
AROUND = {"usr", "var", "proc"}
"""What beside `etc` shows that a folder is the root of a whole machine."""
LARGEST = 4 << 20  # bytes of one file: no configuration is larger, and logs and databases are
TOTAL = 24 << 20  # bytes of all of them, which have to fit into one reply of a controller
ENTRIES = 300_000  # files and folders that are looked at
SYSTEMD = "/systemd/"  # links there enable, mask or rename a unit, and say nothing of their own
HOPS = 40  # links on the way to one file, as the kernel has it


def handle(request: Json) -> Json:
    """Answer one request (`__init__.py` shows both)."""
    seen: Json = {}
    wanted = [{"id": name, "name": name} for name in request["packages"]]
    if wanted:
        with contextlib.suppress(Exception):  # no dpkg here: nothing is known of versions
            see_packages(wanted, seen, "")
    versions = {name: one["version"] for name, one in seen.items() if one["seen"] == "package"}
    return {"os": release(), "packages": versions, **gather(request["root"] or "/", request["names"])}


def gather(root: str, names: str, total: int = TOTAL) -> Json:
    """Read every file below `root` whose path `names` (a regular expression) is found in, up to `total` bytes."""
    unread: list[Json] = []
    links = _everything(root, names, unread)
    found: list[Json] = []
    left = total
    for path, target in pick(links, names, root, unread):
        shown = os.path.join(root, path)
        try:
            one = read(os.path.join(root, target), left)
        except OSError as error:
            unread.append({"path": shown, "why": error.strerror or str(error)})
            continue
        left -= len(one["text"])
        found.append({"path": shown, **one})
    return {"files": found, "unread": unread}


def _everything(root: str, names: str, unread: list[Json]) -> dict[str, str | None]:
    """Every file and link, also those of programs' folders that are links, as long as they do not lead outside."""
    known = re.compile(names)
    links: dict[str, str | None] = {}
    walked: set[str] = set()
    begin = [""]
    while begin:
        for path, link in walk(root, unread, begin, walked):
            links[path] = link
            if len(links) > ENTRIES:
                unread.append({"path": root, "why": f"it holds more than {ENTRIES} files: the rest was not looked at"})
                return links
        folders = [path for path, link in links.items() if link is not None and _holds_known(path, known)]
        targets = {follow(path, links, root) for path in folders}
        begin = sorted(one for one in targets if one and one not in walked and os.path.isdir(os.path.join(root, one)))
    return links


def walk(root: str, unread: list[Json], begin: list[str], walked: set[str]) -> Iterator[tuple[str, str | None]]:
    """Every file and link below these folders, by its path from `root`, and where a link leads.

    Links to folders are not gone into. `walked`: the folders that were; none is walked twice.
    """
    folders = list(begin)
    while folders:
        folder = folders.pop()
        if folder in walked:
            continue
        walked.add(folder)
        try:
            with os.scandir(os.path.join(root, folder)) as several:
                entries = sorted(several, key=lambda one: one.name)
        except OSError as error:
            unread.append({"path": os.path.join(root, folder), "why": error.strerror or str(error)})
            continue
        names = {entry.name for entry in entries}
        whole = "etc" in names and bool(names & AROUND)
        for entry in reversed(entries):
            path = os.path.join(folder, entry.name)
            if entry.is_symlink():
                yield path, _link(os.path.join(root, path))
            elif not entry.is_dir(follow_symlinks=False):
                yield path, None
            elif not whole:
                folders.append(path)
        if whole:
            parts = (os.path.join(folder, part) for part in PARTS)
            folders += [part for part in parts if os.path.isdir(os.path.join(root, part))]


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def pick(links: Mapping[str, str | None], names: str, root: str, unread: list[Json]) -> Iterator[tuple[str, str]]:
    """Choose what is read: a path, and the path of the file that it leads to. Nothing is chosen twice.

    `links`: every path, with where it leads where it is a link. A link that leads outside of `root` is not followed but
    named in `unread`, as is one that leads nowhere.
    """
    known = re.compile(names)
    wanted = sorted(
        path
        for path, link in links.items()
        if known.search(f"/{root}/{path}") and (link is None or SYSTEMD not in f"/{root}/{path}")
    )
    chosen = {path for path in wanted if links[path] is None}
    yield from ((path, path) for path in wanted if path in chosen)
    for path, link in links.items():
        if link is not None and _holds_known(path, known) and not _is_there(path, links, root):
            unread.append({"path": os.path.join(root, path), "why": f"a link to a folder that was not given: {link}"})
    for path in wanted:
        if links[path] is None:
            continue
        target = follow(path, links, root)
        if target is None:
            unread.append({"path": os.path.join(root, path), "why": f"a link that leads outside: {links[path]}"})
        elif links.get(target, "") is not None:
            unread.append({"path": os.path.join(root, path), "why": f"a link that leads to no file: {links[path]}"})
        elif target not in chosen:
            chosen.add(target)
            yield path, target


def _holds_known(path: str, known: re.Pattern[str]) -> bool:
    """Whether a folder of that name may be a program's: /etc/nova, where a deployer made it a link to another place."""
    name = os.path.basename(path)
    return "." not in name and any(known.search(f"/{path}/{name}.{ending}") for ending in ("conf", "cfg"))


def _is_there(path: str, links: Mapping[str, str | None], root: str) -> bool:
    target = follow(path, links, root)
    return target is not None and any(other == target or other.startswith(f"{target}/") for other in links)


def follow(path: str, links: Mapping[str, str | None], root: str) -> str | None:
    """Say where a path leads, from `root`; None for outside.

    An absolute link is one of the machine whose folder `etc` the path lies in, as that machine sees it.
    """
    left, done, hops = path.split("/")[::-1], list[str](), 0
    while left:
        part = left.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not done:
                return None
            done.pop()
            continue
        done.append(part)
        if (link := links.get("/".join(done))) is not None:
            hops += 1
            done.pop()
            if link.startswith("/"):
                base = _base(path, link, root)
                if base is None:
                    return None
                done, link = base
            if hops > HOPS:
                return path
            left += link.split("/")[::-1]
    return "/".join(done)


def _base(path: str, link: str, root: str) -> tuple[list[str], str] | None:
    """Where an absolute link begins: at the root of its machine, which may be `root` or below it or above it."""
    if "etc" in (parts := path.split("/")):
        return parts[: parts.index("etc")], link
    above = f"{root.rstrip('/')}/"
    return ([], link.removeprefix(above)) if link.startswith(above) else None


def read(path: str, left: int) -> Json:
    """Read one file: its mode and its text. OSError says why not. `left`: how many bytes may still be read."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no file")
        data = file.read(min(LARGEST, left) + 1)
    return {"mode": stat.S_IMODE(status.st_mode), "text": text_of(data, left)}


def text_of(data: bytes, left: int) -> str:
    """Make what was read a text. OSError: it is too long. What is no UTF-8 is replaced, not refused."""
    if len(data) > LARGEST:
        raise OSError(f"it is longer than {LARGEST >> 20} MiB: no configuration is")
    if len(data) > left:
        raise OSError("so much was read before that there is no room for it")
    return data.decode(errors="replace")
