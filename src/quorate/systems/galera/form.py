"""How the cluster is formed and grown: a pure decision from what was seen of every controller.

Invariant: a member is bootstrapped only if every controller was seen, none runs MariaDB or waits for the others, and
no member but the bootstrapped one holds anything: either all are fresh, or one holds the whole history and says so
itself (`safe_to_bootstrap`: it was alone in the cluster at its end). Where a Primary lives, or may live, members join.

Invariant: a member joins only if the copy that it may receive destroys nothing that the Primary does not have.

::

    what each controller is        what follows
    ─────────────────────────      ─────────────────────────────────────────────────────────────
    any PRIMARY                    missing accounts; the others join one by one (unknown ones: left)
    else any UNKNOWN               Blocked: a Primary may live there
    else any RUNNING or WAITING    Blocked: it has no quorum, or pc.recovery may bring it back
    else all FRESH                 bootstrap the first, accounts, join the others
    else one SOLE, others FRESH    bootstrap that one, accounts, join the others
    else                           Blocked: it needs `quorate recover`

Each act may be cut off and run again: a bootstrap that finds MariaDB running does nothing, one that finds another
member on the network refuses, and the SQL says IF NOT EXISTS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Impact, Step, Wave
from quorate.core.secret import reference
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.galera.config import HEALTH_ACCOUNT, HEALTH_SECRET, UNIT, Galera, donors
from quorate.systems.galera.position import Position
from quorate.systems.galera.probe import (
    CLIENT,
    NO_UUID,
    Contents,
    Data,
    Saved,
    Status,
    View,
    disagreement,
    primaries_in,
)

NAME = "galera"
SETTLE = 60.0

BOOTSTRAP = """systemctl is-active --quiet mariadb.service && exit 0
if [ "$1" = fresh ] && grep -qs '^uuid: *[0-9a-f-]*[1-9a-f]' /var/lib/mysql/grastate.dat; then
  echo "this controller has a history by now: not bootstrapped" >&2; exit 1
fi
shift
for peer in "$@"; do
  if timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/4567"' "$peer" 2>/dev/null; then
    echo "a member answers at $peer:4567: not bootstrapped" >&2; exit 1
  fi
done
exec galera_new_cluster"""
"""Looks once more, at the last moment, for what the plan took for granted."""


STOP = f"""timeout 15 systemctl stop {UNIT} && exit 0
systemctl kill --signal=KILL {UNIT}
exec systemctl stop {UNIT}"""
"""A member that waits may not hear that it is to stop, for minutes (seen with MariaDB 11.8). It has nothing to lose."""


class Stand(Enum):
    """What one controller is, as far as forming goes."""

    UNKNOWN = "not known"
    PRIMARY = "in a Primary component"
    RUNNING = "running without a Primary"
    WAITING = "starting with a history, perhaps waiting for the others"
    FRESH = "fresh"
    SOLE = "the last of its cluster"
    HOLDER = "stopped, with data"


def stand(view: View | Unknown) -> Stand:
    """Say what a controller is. In doubt it is UNKNOWN: it may be a Primary."""
    if isinstance(view, Unknown):
        return Stand.UNKNOWN
    if isinstance(view.status, Status):
        return Stand.PRIMARY if view.status.is_primary else Stand.RUNNING
    data = view.data
    if isinstance(view.unit, Unknown) or isinstance(data, Unknown):
        return Stand.UNKNOWN
    starting = view.unit == "activating"
    stopped = view.unit in {"inactive", "failed"} and not data.process
    if data.bootstrap or not (starting or stopped):
        return Stand.UNKNOWN
    if data.is_fresh:
        return Stand.FRESH
    if isinstance(data.saved, Saved) and data.history != NO_UUID and data.saved.safe_to_bootstrap:
        return Stand.SOLE
    return Stand.WAITING if starting else Stand.HOLDER


def form(spec: Galera, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Decide what brings every controller into one Primary component, or why that cannot be decided."""
    names = site.cloud.names
    stands = {host: stand(views[host]) for host in names}
    evidence = tuple(evidence_of(host, stands[host], views[host]) for host in names)
    if Stand.PRIMARY in stands.values():
        return grow(spec, site, views, evidence)
    unseen = [host for host in names if stands[host] is Stand.UNKNOWN]
    if unseen:
        return Blocked(f"a Primary may live on {', '.join(unseen)}: what runs there is not known", evidence)
    busy = [host for host in names if stands[host] in {Stand.RUNNING, Stand.WAITING}]
    if busy:
        return Blocked(
            f"{', '.join(busy)}: MariaDB runs or starts without a Primary; it comes back by itself once the others do, "
            "else it is for `quorate recover`",
            evidence,
        )
    holders = [host for host in names if stands[host] is not Stand.FRESH]
    if holders and (len(holders) > 1 or stands[holders[0]] is not Stand.SOLE):
        return Blocked(
            f"nobody runs and {', '.join(holders)} holds data: what of it is the newest is for `quorate recover`",
            evidence,
        )
    first = holders[0] if holders else names[0]
    waiting = [host for host in names if views[host].unit == "activating"]  # type: ignore[union-attr]  # all are known
    return (
        *([stop(waiting)] if waiting else []),
        _bootstrap(site, first, fresh=not holders),
        *(join(spec, host, Stand.FRESH) for host in names if host != first),
    )


def grow(
    spec: Galera,
    site: Site,
    views: Mapping[str, View | Unknown],
    evidence: tuple[str, ...],
    given: Collection[str] = (),
) -> Formation:
    """Bring the others to the Primary that was seen. What was not seen is left alone: joining it needs a look first.

    `given`: whose data is put aside before.
    """
    stands = {host: stand(views[host]) for host in site.cloud.names}
    primaries = primaries_in(views)
    split = disagreement(primaries)
    if split:
        return Blocked(split, evidence)
    known = {host: view for host, view in views.items() if isinstance(view, View)}
    readable = [host for host in site.cloud.names if host in primaries and isinstance(known[host].contents, Contents)]
    contents = known[readable[0]].contents if readable else None
    if not isinstance(contents, Contents):
        return Blocked("no member of the Primary component said which databases and accounts exist", evidence)
    joining = [host for host, what in stands.items() if what not in {Stand.PRIMARY, Stand.UNKNOWN}]
    primary = primaries[readable[0]]
    asked = [host for host in joining if host not in given]
    lost = [loss for host in asked for loss in _would_be_lost(host, known[host].data, primary, contents)]
    if lost:
        return Blocked("joining would overwrite what the cluster does not have", tuple(lost))
    missing = account_sql(site, contents)
    waves = [_accounts(readable[0], missing)] if missing else []
    return (*waves, *(_lent(site, primaries, host, join(spec, host, stands[host])) for host in joining))


def _lent(site: Site, primaries: Mapping[str, Status], host: str, wave: Wave) -> Wave:
    """Say who gives the copy, and so serves nobody meanwhile: the first that the joining one asks."""
    if not wave.steps or wave.steps[0].irreversible:
        return wave  # it may need what it missed only
    donor = next(name for name in donors(site.cloud, host).split(",") if name in primaries)
    return wave.model_copy(update={"impact": Impact(pauses={}, left=len(primaries) - 1, least=1, donor=donor)})


def occupied(_spec: Galera, site: Site, views: Mapping[str, View | Unknown], host: str) -> str:
    """Say why the place is not free for an empty machine: data lies there, or a member runs that is not seen."""
    view = views[host]
    what = stand(view)
    if isinstance(view, Unknown) or what is Stand.PRIMARY:
        return ""
    if what is not Stand.FRESH:
        return f"its MariaDB is no empty one: {evidence_of(host, what, view)}"
    primaries = primaries_in(views)
    counted = max((status.size for status in primaries.values()), default=0)
    if counted > len(primaries) + (site.cloud.arbiter is not None):
        return f"the others count {counted} members, of which {len(primaries)} were seen"
    return ""


def _would_be_lost(host: str, data: Data | Unknown, primary: Status, contents: Contents) -> Iterator[str]:
    """What a full copy onto this controller would destroy, as far as it can be seen without starting it."""
    if isinstance(data, Unknown) or data.is_empty:
        return
    saved = data.saved
    if not isinstance(saved, Saved) or saved.uuid == NO_UUID:
        foreign = sorted(set(data.schemas) - contents.databases)
        if foreign:
            yield f"{host} holds databases that the cluster does not have: {', '.join(foreign)}"
    elif saved.uuid != primary.state_uuid:
        yield f"{host} holds another history: {saved.uuid} up to {saved.seqno}; the cluster has {primary.state_uuid}"
    elif saved.seqno > primary.last_committed:
        yield f"{host} has transactions up to {saved.seqno}; the cluster ends at {primary.last_committed}"


def stop(hosts: Sequence[str]) -> Wave:
    """Stop members that serve nobody."""
    act = Run(title=f"stop {UNIT}", argv=("sh", "-c", STOP))
    steps = tuple(Step(host=host, title=f"stop waiting on {host}", acts=(act,)) for host in hosts)
    return Wave(title="galera: stop members that wait for a cluster that does not exist", system=NAME, steps=steps)


def _bootstrap(site: Site, host: str, *, fresh: bool) -> Wave:
    peers = [site.cloud.address(name) for name in site.cloud.names if name != host]
    acts = (
        Run(
            title=f"bootstrap the cluster on {host}",
            argv=("sh", "-c", BOOTSTRAP, "bootstrap", "fresh" if fresh else "grown", *peers),
        ),
        SetUnit(name=UNIT, enabled=True, verb="start"),
        all_accounts(site),
    )
    step = Step(host=host, title=f"bootstrap galera on {host}", acts=acts)
    return Wave(title="galera: bootstrap", system=NAME, steps=(step,), gate=gate(host))


def join(spec: Galera, host: str, what: Stand) -> Wave:
    """Start a member that finds a Primary."""
    step = Step(
        host=host,
        title=f"join galera on {host}",
        acts=(SetUnit(name=UNIT, enabled=True, verb="start", timeout=spec.join_timeout),),
        irreversible="" if what is Stand.FRESH else "its data is replaced by a full copy where it missed too much",
    )
    return Wave(title=f"galera: {host} joins", system=NAME, steps=(step,), gate=gate(host))


def _accounts(host: str, sql: str) -> Wave:
    step = Step(host=host, title="make databases and accounts", acts=(_sql(sql),))
    return Wave(title="galera: databases and accounts", system=NAME, steps=(step,), gate=gate(host))


def gate(host: str) -> Gate:
    """Wait until it is well."""
    return Gate(system=NAME, members=(host,), timeout=SETTLE)


def _sql(sql: str) -> Run:
    """Passwords go in by standard input: not in the process list, not in the client's history file."""
    return Run(title="make databases and accounts", argv=CLIENT, stdin=sql, timeout=30.0)


def all_accounts(site: Site) -> Run:
    """Make every database and account that is not there."""
    return _sql(account_sql(site, None))


def account_sql(site: Site, contents: Contents | None) -> str:
    """The SQL for what is missing (None: assume that nothing is there); empty if nothing is.

    An account that exists is left as it is: its password cannot be compared without knowing it, so a changed secret
    needs `ALTER USER` by hand.
    """
    network = site.cloud.management.subnet
    origin = f"{network.network_address}/{network.netmask}"
    lines = []
    if contents is None or (HEALTH_ACCOUNT, "localhost") not in contents.accounts:
        lines.append(_create(HEALTH_ACCOUNT, "localhost", HEALTH_SECRET))
    lines += [f"DROP USER ''@'{host}';" for name, host in sorted(contents.accounts if contents else ()) if not name]
    for claim in site.claims_on("database"):
        name = claim.name
        pattern = name.replace("_", "\\_")
        if contents is None or name not in contents.databases:
            lines.append(f"CREATE DATABASE IF NOT EXISTS `{name}`;")
        if contents is None or (name, origin) not in contents.accounts:
            lines.append(_create(name, origin, claim.secret))
        if contents is None or (name, name) not in contents.grants:
            lines.append(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO `{name}`@`{origin}`;")
    return "".join(f"{line}\n" for line in lines)


def _create(name: str, host: str, secret: str) -> str:
    """Only the hash is replicated: Galera keeps each statement in its cache file, in the clear."""
    statement = f"CREATE USER IF NOT EXISTS `{name}`@`{host}` IDENTIFIED BY PASSWORD "
    return f"EXECUTE IMMEDIATE CONCAT('{statement}', QUOTE(PASSWORD('{reference(secret)}')));"


def evidence_of(host: str, what: Stand, view: View | Unknown) -> str:
    """What was seen of a controller that decides whether a cluster may be formed, in words."""
    if isinstance(view, Unknown):
        return f"{host}: not seen: {view.why}"
    said = [what.value, f"{UNIT} {view.unit.why if isinstance(view.unit, Unknown) else view.unit}"]
    data = view.data
    if isinstance(data, Unknown):
        return f"{host}: {'; '.join(said)}; data directory not seen: {data.why}"
    saved = data.saved
    if isinstance(saved, Unknown):
        said.append(saved.why)
    elif saved is not None:
        said.append(f"history {saved.uuid} seqno {saved.seqno} safe_to_bootstrap {int(saved.safe_to_bootstrap)}")
    if isinstance(view.position, Position):
        said.append(f"its data goes to {view.position.uuid}:{view.position.seqno}")
    if data.schemas:
        said.append(f"databases {', '.join(data.schemas)}")
    if data.was_member and data.is_empty:
        said.append("it was a member once, and its data is gone or not mounted")
    return f"{host}: {'; '.join(said)}"
