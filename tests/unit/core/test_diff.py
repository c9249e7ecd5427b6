from __future__ import annotations

from typing import Any

import pytest

from quorate.core.act import Install, MakeDirectory, RemoveFile, SetSysctl, WriteFile
from quorate.core.diff import HIDDEN, Change, content_digest, difference
from quorate.core.observed import Absent, PackageSeen, PathSeen, SysctlSeen, Unknown
from quorate.core.resource import Directory, File, Gone, Package, Sysctl
from quorate.core.secret import Secrets, reference
from worlds.clouds import NO_SECRETS, file_seen

PACKAGE = Package("haproxy", preseed=("haproxy haproxy/x boolean true",))
DIRECTORY = Directory("/etc/x", mode=0o750, owner="haproxy", group="haproxy")
FILE = File("/etc/x/x.conf", "a = 1\nb = 2\n", mode=0o640, owner="root", group="haproxy")
SYSCTL = Sysctl("net.ipv4.ip_nonlocal_bind", "1")

INSTALL = Install(packages=("haproxy",), preseed=PACKAGE.preseed)
MAKE = MakeDirectory(path="/etc/x", mode=0o750, owner="haproxy", group="haproxy")
WRITE = WriteFile(path="/etc/x/x.conf", content=FILE.content, mode=0o640, owner="root", group="haproxy")
SET = SetSysctl(name="net.ipv4.ip_nonlocal_bind", value="1")
EQUAL_DIRECTORY = PathSeen(kind="directory", mode=0o750, owner="haproxy", group="haproxy", mtime=1.0)


def change(act: Any, *lines: str) -> Change:
    return Change((act,), lines)


GONE = Gone("/etc/x/old")
CASES: dict[str, tuple[Any, Any, Change | None]] = {
    "gone and absent": (GONE, Absent(), None),
    "gone and there": (GONE, file_seen(FILE), change(RemoveFile(path="/etc/x/old"), "- /etc/x/old")),
    "package absent": (PACKAGE, Absent(), change(INSTALL, "+ package haproxy")),
    "package installed": (PACKAGE, PackageSeen(version="3.0.11"), None),
    "directory absent": (DIRECTORY, Absent(), change(MAKE, "+ /etc/x/")),
    "directory equal": (DIRECTORY, EQUAL_DIRECTORY, None),
    "directory mode": (
        DIRECTORY,
        EQUAL_DIRECTORY.model_copy(update={"mode": 0o755}),
        change(MAKE, "~ /etc/x/", "  mode 0755 → 0750"),
    ),
    "directory owner": (
        DIRECTORY,
        EQUAL_DIRECTORY.model_copy(update={"owner": "root"}),
        change(MAKE, "~ /etc/x/", "  owner root:haproxy → haproxy:haproxy"),
    ),
    "directory group": (
        DIRECTORY,
        EQUAL_DIRECTORY.model_copy(update={"group": "adm"}),
        change(MAKE, "~ /etc/x/", "  owner haproxy:adm → haproxy:haproxy"),
    ),
    "file absent": (FILE, Absent(), change(WRITE, "+ /etc/x/x.conf (2 lines)")),
    "file equal": (FILE, file_seen(FILE), None),
    "file equal, too long to be shown": (FILE, file_seen(FILE).model_copy(update={"text": None}), None),
    "file content": (
        FILE,
        file_seen(FILE, text="a = 1\nb = 3\n"),
        change(WRITE, "~ /etc/x/x.conf", "@@ -2 +2 @@", "-b = 3", "+b = 2"),
    ),
    "file mode": (FILE, file_seen(FILE, mode=0o644), change(WRITE, "~ /etc/x/x.conf", "  mode 0644 → 0640")),
    "file owner": (
        FILE,
        file_seen(FILE, owner="haproxy"),
        change(WRITE, "~ /etc/x/x.conf", "  owner haproxy:haproxy → root:haproxy"),
    ),
    "file everything": (
        FILE,
        file_seen(FILE, text="a = 1\n", mode=0o600, group="root"),
        change(
            WRITE,
            "~ /etc/x/x.conf",
            "  mode 0600 → 0640",
            "  owner root:root → root:haproxy",
            "@@ -1,0 +2 @@",
            "+b = 2",
        ),
    ),
    "file line endings": (
        FILE,
        file_seen(FILE, text="a = 1\r\nb = 2\r\n"),
        change(WRITE, "~ /etc/x/x.conf", "  line endings differ"),
    ),
    "sysctl absent": (SYSCTL, Absent(), change(SET, "+ sysctl net.ipv4.ip_nonlocal_bind=1")),
    "sysctl equal": (SYSCTL, SysctlSeen(value="1", kept="1"), None),
    "sysctl live differs": (
        SYSCTL,
        SysctlSeen(value="0", kept="1"),
        change(SET, "~ sysctl net.ipv4.ip_nonlocal_bind: 0 (1 for the next boot) → 1"),
    ),
    "sysctl not kept": (
        SYSCTL,
        SysctlSeen(value="1", kept=None),
        change(SET, "~ sysctl net.ipv4.ip_nonlocal_bind: 1 (not kept for the next boot) → 1"),
    ),
    "sysctl kept differs": (
        SYSCTL,
        SysctlSeen(value="1", kept="0"),
        change(SET, "~ sysctl net.ipv4.ip_nonlocal_bind: 1 (0 for the next boot) → 1"),
    ),
}


@pytest.mark.parametrize(("resource", "seen", "wanted"), CASES.values(), ids=CASES)
def test_difference(resource: Any, seen: Any, wanted: Change | None) -> None:
    assert difference(resource, seen, NO_SECRETS) == wanted


@pytest.mark.parametrize("resource", [PACKAGE, DIRECTORY, FILE, GONE, SYSCTL], ids=lambda resource: resource.id)
def test_what_could_not_be_seen_stays_unknown(resource: Any) -> None:
    seen = Unknown(why="permission denied")
    assert difference(resource, seen, NO_SECRETS) == seen


@pytest.mark.parametrize(
    ("resource", "kind", "why"),
    [
        (DIRECTORY, "file", "/etc/x is a file, not a directory: move it away by hand"),
        (DIRECTORY, "other", "/etc/x is a other, not a directory: move it away by hand"),
        (FILE, "directory", "/etc/x/x.conf is a directory, not a file: move it away by hand"),
        (FILE, "other", "/etc/x/x.conf is a other, not a file: move it away by hand"),
        (GONE, "directory", "/etc/x/old is a directory, not a file: move it away by hand"),
    ],
)
def test_something_else_in_the_way_is_never_replaced(resource: Any, kind: str, why: str) -> None:
    seen = EQUAL_DIRECTORY.model_copy(update={"kind": kind})
    assert difference(resource, seen, NO_SECRETS) == Unknown(why=why)


def test_a_content_too_long_to_show_is_told_by_its_digests() -> None:
    seen = file_seen(FILE, text="other\n").model_copy(update={"text": None})
    found = difference(FILE, seen, NO_SECRETS)
    assert isinstance(found, Change)
    assert found.lines[1] == f"  content differs: {seen.sha256[:12]} → {content_digest(FILE, NO_SECRETS)[:12]}"


# --- secrets ---------------------------------------------------------------------------------------------------------

SECRETS = Secrets({"db.password": "Str0ngNow", "db.peer": "PeerNow77", "fencing.c1": "admin"})
DB, PEER, BMC = reference("db.password"), reference("db.peer"), reference("fencing.c1")


def shown(content: str, lies: str) -> list[str]:
    file = File("/etc/db.conf", content)
    found = difference(file, file_seen(file, text=lies), SECRETS)
    assert isinstance(found, Change)
    return [line for line in found.lines[1:] if not line.startswith("@@")]


SECRET_CASES: dict[str, tuple[str, str, list[str]]] = {
    "an older secret that nobody knows": (
        f"a = 1\npw = {DB}\n",
        "a = 1\npw = 0lder\n",
        [f"-pw = {HIDDEN}", f"+pw = {DB}"],
    ),
    "the secret of another place": (f"pw = {DB}\n", "pw = PeerNow77\n", [f"-pw = {HIDDEN}", f"+pw = {DB}"]),
    "a known secret where none should be": ("pw = none\n", "pw = Str0ngNow\n", [f"-pw = {DB}", "+pw = none"]),
    "written without blanks": (f"pw = {DB}\n", "pw=0lder\n", [f"-pw={HIDDEN}", f"+pw = {DB}"]),
    "indented": (f"pw = {DB}\n", "\t pw  =0lder\n", [f"-\t pw  ={HIDDEN}", f"+pw = {DB}"]),
    "the same key, built otherwise": (
        f"url = mysql://db:{DB}@vip/db\n",
        "url = mysql://root:0lder@10.0.0.1/db\n",
        [f"-url = {HIDDEN}", f"+url = mysql://db:{DB}@vip/db"],
    ),
    "what follows the older secret": (
        f"url = db:{DB}@vip\n",
        "url = db:0lder@old\n",
        [f"-url = db:{HIDDEN}", f"+url = db:{DB}@vip"],
    ),
    "two in one line, both older": (f"x {DB} {PEER}\n", "x 0lder 0lder2\n", [f"-x {HIDDEN}", f"+x {DB} {PEER}"]),
    "two in one line, the first older": (
        f"x {DB} {PEER}\n",
        "x 0lder PeerNow77\n",
        [f"-x {HIDDEN}", f"+x {DB} {PEER}"],
    ),
    "two in one line, the second older": (
        f"x {DB} {PEER}\n",
        "x Str0ngNow 0lder\n",
        [f"-x {DB} {HIDDEN}", f"+x {DB} {PEER}"],
    ),
    "a whole file": (f"{DB}\n", "0lder\nand more\n", [f"-{HIDDEN}", f"-{HIDDEN}", f"+{DB}"]),
    "a whole file without its newline": (f"{DB}", "Str0ngNow\n", ["  a secret in it differs"]),
    "other lines are shown": (f"a = 1\npw = {DB}\n", "a = 2\npw = Str0ngNow\n", ["-a = 2", "+a = 1"]),
    "a secret that is also a plain word": ("user = admin\n", "user = root\n", ["-user = root", f"+user = {BMC}"]),
}


@pytest.mark.parametrize(("content", "lies", "wanted"), SECRET_CASES.values(), ids=SECRET_CASES)
def test_secrets_are_masked(content: str, lies: str, wanted: list[str]) -> None:
    assert shown(content, lies) == wanted


def test_a_file_that_holds_the_right_secret_is_as_it_should_be() -> None:
    file = File("/etc/db.conf", f"pw = {DB}\n")
    assert difference(file, file_seen(file, SECRETS), SECRETS) is None
    assert difference(file, file_seen(file, Secrets({"db.password": "0lder"})), SECRETS) is not None


def test_the_act_holds_the_reference_and_not_the_value() -> None:
    found = difference(File("/etc/db.conf", f"pw = {DB}\n"), Absent(), SECRETS)
    assert isinstance(found, Change)
    assert isinstance(found.acts[0], WriteFile)
    assert found.acts[0].content == f"pw = {DB}\n"
