"""Who may be started first when nobody is left who serves: a pure decision from how far every member's data goes.

Invariant: a member is bootstrapped only if every controller was seen, or its data given up by name, none is in a
Primary component, all that hold data hold the same history, and none of them is ahead of the bootstrapped one. So no
transaction that was acknowledged is missing there: it was on the disk of the member that acknowledged it.

Invariant: data that the cluster does not have is never overwritten: whose it is must be given up by name, and even then
it is put aside first.

::

    what each controller is            what follows
    ────────────────────────────      ──────────────────────────────────────────────────────────────────────────
    any PRIMARY                        as form() grows it; what it does not have is put aside where it was given up
    else all FRESH                     as form() begins it
    else any UNKNOWN, not given up     Blocked: a Primary may live there, or data that is newer
    else only those that are stopping  Blocked for RETURN seconds, then killed, and looked at again
    else members remember each other   Blocked for RETURN seconds: they come back by themselves (pc.recovery)
    else evidence is missing of any    Blocked, naming it: its disk is empty, its position was not told, XA transactions
    else histories differ              Blocked, with each of them
    else                               stop whoever waits; bootstrap who is furthest; the others join one by one

A member whose full copy was cut off is no evidence: whatever it had was at its donor. Its half makes room once somebody
serves, not before: an empty disk that nobody can explain is evidence that is missing.

Cut off anywhere and run again, it comes to the same: what was stopped is read anew, what was bootstrapped is PRIMARY.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Step, Wave
from quorate.core.system import Blocked, Formation, Site, Terms
from quorate.systems.galera.config import UNIT, Galera
from quorate.systems.galera.form import (
    NAME,
    Stand,
    all_accounts,
    evidence_of,
    form,
    gate,
    grow,
    join,
    stand,
    stop,
)
from quorate.systems.galera.position import POSITION, Position
from quorate.systems.galera.probe import NO_UUID, Data, Status, View, disagreement, primaries_in

RETURN = 20.0
"""Seconds in which members that remember each other have found each other, or do not: 4 to 7 in the lab."""

# UUID SEQNO PEER…: looks once more, at the last moment, for what the decision rests on.
BOOTSTRAP = f"""systemctl is-active --quiet {UNIT} && exit 0
uuid=$1 seqno=$2; shift 2
for peer in "$@"; do
  if timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/4567"' "$peer" 2>/dev/null; then
    echo "a member answers at $peer:4567: not bootstrapped" >&2; exit 1
  fi
done
{POSITION}
found=$(position | sed -n 's/^position //p')
if [ "${{found%%:*}}" != "$uuid" ] || [ "${{found#*:}}" -lt "$seqno" ]; then
  echo "its data goes to $found and not to $uuid:$seqno: not bootstrapped" >&2; exit 1
fi
state=/var/lib/mysql/grastate.dat
form='# GALERA saved state\\nversion: 2.1\\nuuid:    %s\\nseqno:   %s\\nsafe_to_bootstrap: 1\\n'
printf "$form" "$uuid" "${{found#*:}}" >$state.new &&
  chown mysql:mysql $state.new && chmod 0660 $state.new && mv $state.new $state || exit 1
exec galera_new_cluster"""

ASIDE = """systemctl is-active --quiet mariadb.service && { echo "MariaDB runs" >&2; exit 1; }
kept=/var/lib/quorate/aside/mysql-$(date -u +%Y%m%dT%H%M%S)
mkdir -p -m 0700 "$kept" && find /var/lib/mysql -mindepth 1 -maxdepth 1 -exec mv -t "$kept" {} + || exit 1
exec mariadb-install-db --user=mysql --skip-test-db"""
"""Empties the data directory, as the package's installation leaves it; what was there is kept beside."""


def recover(spec: Galera, site: Site, views: Mapping[str, View | Unknown], terms: Terms) -> Formation:
    """Decide what brings the database back, or which evidence is missing."""
    names = site.cloud.names
    stands = {host: stand(views[host]) for host in names}
    evidence = tuple(evidence_of(host, stands[host], views[host]) for host in names)
    if Stand.PRIMARY in stands.values():
        return _grown(spec, site, views, terms, evidence)
    if all(what is Stand.FRESH for what in stands.values()):
        return form(spec, site, views)
    unseen = [host for host in names if stands[host] is Stand.UNKNOWN and host not in terms.given]
    if unseen and unseen == _hanging(views, unseen) and terms.waited >= RETURN:
        return (stop(unseen),)
    if unseen:
        reason = f"a Primary, or data that is newer, may be on {', '.join(unseen)}: what is there is not known"
        return Blocked(reason, evidence, passing=all(isinstance(views[host], View) for host in unseen))
    known = {host: view for host, view in views.items() if isinstance(view, View) and stands[host] is not Stand.UNKNOWN}
    waiting = [host for host in known if stands[host] in {Stand.RUNNING, Stand.WAITING}]
    if terms.waited < RETURN and _come_back(known, waiting, names):
        return Blocked(f"{', '.join(waiting)} remember each other and come back by themselves", evidence, passing=True)
    asked = {host: view for host, view in known.items() if host not in terms.given}
    witnesses = {host: view for host, view in asked.items() if stands[host] is not Stand.FRESH}
    positions = {host: at for host, view in witnesses.items() if isinstance(at := position_of(view), Position)}
    starting = [host for host in waiting if host in asked and isinstance(position_of(asked[host]), Unknown)]
    if starting:
        return Blocked(f"{', '.join(starting)}: how far its data goes is not told yet", evidence, passing=True)
    against = [*_missing(witnesses, positions), *_differing(positions)]
    if against or not positions:
        remedy = "what cannot be brought back is given up by name: --accept-loss CONTROLLER"
        return Blocked("what of the data is the newest cannot be told", (*against, *evidence, remedy))
    first = max(positions, key=lambda host: (positions[host].seqno, stands[host] is Stand.SOLE))
    return (
        *([stop(waiting)] if waiting else []),
        *_put_aside(known, terms, positions[first].uuid, positions[first].seqno),
        _bootstrap(site, first, positions[first]),
        *(wave for host, view in known.items() if host != first for wave in _joining(spec, host, view)),
    )


def _joining(spec: Galera, host: str, view: View) -> Sequence[Wave]:
    """Let it join; what a copy that was cut off has left first makes room: MariaDB does not start on it."""
    return (*([_aside(host, "")] if _copying(view) else []), join(spec, host, Stand.HOLDER))


def _copying(view: View) -> bool:
    return isinstance(view.data, Data) and view.data.copying


def _hanging(views: Mapping[str, View | Unknown], hosts: Sequence[str]) -> list[str]:
    """Who was told to stop. What they hold is asked once they have."""
    return [host for host in hosts if isinstance(view := views[host], View) and view.unit == "deactivating"]


def position_of(view: View) -> Position | Unknown | None:
    """How far a member's data goes; None where it has no say: it was only about to receive everything."""
    if isinstance(view.status, Status):
        return Position(view.status.state_uuid, view.status.last_committed)
    if _copying(view):
        return None
    if isinstance(view.data, Data) and view.data.is_empty:
        return Unknown(why="it was a member once, and its data is gone or not mounted")
    at = view.position
    if isinstance(at, Position) and (at.uuid == NO_UUID or at.seqno < 0):
        return Unknown(why="its data belongs to no history, or says not how far it goes")
    return at


def _come_back(known: Mapping[str, View], waiting: Sequence[str], names: Sequence[str]) -> bool:
    """Whether all that were together remember each other and look for each other."""
    at = [view.position for host, view in known.items() if host in waiting]
    remembered = [one for one in at if isinstance(one, Position) and one.together]
    return (
        len(remembered) == len(names)
        and len({one.together for one in remembered}) == 1
        and remembered[0].together <= {one.own for one in remembered}
    )


def _missing(witnesses: Mapping[str, View], positions: Mapping[str, Position]) -> Iterator[str]:
    for host, view in witnesses.items():
        at = position_of(view)
        if isinstance(at, Unknown):
            yield f"{host}: how far its data goes is not known: {at.why}"
        elif host in positions and positions[host].prepared:
            count = positions[host].prepared
            yield f"{host}: {count} prepared XA transactions wait for a decision (XA RECOVER, then COMMIT or ROLLBACK)"


def _differing(positions: Mapping[str, Position]) -> Iterator[str]:
    if len({at.uuid for at in positions.values()}) > 1:
        yield from (f"{host}: another history: {at.uuid} up to {at.seqno}" for host, at in positions.items())


def _put_aside(known: Mapping[str, View], terms: Terms, uuid: str, seqno: int) -> Sequence[Wave]:
    """What of the given up ones the cluster will not have."""
    lost = {
        host: f"{at.seqno - seqno} transactions" if isinstance(at, Position) and at.uuid == uuid else "its own data"
        for host, view in known.items()
        if host in terms.given and not (_copying(view) or (isinstance(view.data, Data) and view.data.is_empty))
        for at in [position_of(view)]
        if not (isinstance(at, Position) and at.uuid == uuid and at.seqno <= seqno)
    }
    return [_aside(host, what) for host, what in lost.items()]


def _aside(host: str, what: str) -> Wave:
    """Make room for a copy. `what`: that is given up by it; empty: nothing is."""
    step = Step(
        host=host,
        title=f"put the data of {host} aside",
        acts=(
            SetUnit(name=UNIT, verb="stop"),
            Run(title=f"put the data of {host} aside", argv=("sh", "-c", ASIDE), timeout=1800.0),
        ),
        irreversible=f"{what}: given up; kept below /var/lib/quorate/aside on {host}" if what else "",
    )
    title = f"what {host} holds is {'given up' if what else 'half a copy, and makes room'}"
    return Wave(title=f"galera: {title}", system=NAME, steps=(step,))


def _bootstrap(site: Site, host: str, at: Position) -> Wave:
    peers = [site.cloud.address(name) for name in site.cloud.names if name != host]
    acts = (
        Run(
            title=f"bootstrap the cluster on {host}, whose data goes to {at.uuid}:{at.seqno}",
            argv=("sh", "-c", BOOTSTRAP, "bootstrap", at.uuid, str(at.seqno), *peers),
            timeout=900.0,
        ),
        SetUnit(name=UNIT, enabled=True, verb="start"),
        all_accounts(site),
    )
    step = Step(host=host, title=f"bootstrap galera on {host}", acts=acts)
    return Wave(title="galera: bootstrap", system=NAME, steps=(step,), gate=gate(host))


def _grown(
    spec: Galera, site: Site, views: Mapping[str, View | Unknown], terms: Terms, evidence: tuple[str, ...]
) -> Formation:
    """Let the others join the Primary that lives; what of the given up ones it does not have is put aside first."""
    primaries = primaries_in(views)
    split = disagreement(primaries)
    if split:
        return Blocked(split, evidence)
    primary = next(iter(primaries.values()))
    known = {host: view for host, view in views.items() if isinstance(view, View) and host not in primaries}
    halves = [_aside(host, "") for host, view in known.items() if _copying(view)]
    aside = [*_put_aside(known, terms, primary.state_uuid, primary.last_committed), *halves]
    grown = grow(spec, site, views, evidence, given=frozenset(step.host for wave in aside for step in wave.steps))
    return grown if isinstance(grown, Blocked) else (*aside, *grown)
