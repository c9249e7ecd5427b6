"""From the CIB as it was seen to the CIB as it should be: what is ours is added, changed and removed, the rest is kept.

One controller does it for all, in one request that the cluster applies as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, fromstring, tostring

from quorate.core.act import Run
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.pacemaker.cib import PREFIX, PROPERTIES, desired
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.probe import View, reference

SETTLE = 60.0
_SETTLED = Run(
    title="wait until the cluster has settled",
    argv=("crm_resource", "--wait", "--timeout=60s"),
    timeout=75.0,
)


def form(spec: PacemakerSpec, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Bring the CIB to what it should be, on a member with quorum; on a new cluster, once all have joined."""
    wanted = desired(spec, site)
    seen = [name for name in site.cloud.names if isinstance(views.get(name), View)]
    believed = reference(views)
    known = _configuration(views, [believed[0], *seen] if believed else seen)
    if believed is None:
        return _first(site, wanted, known, seen, views)
    if known is None:
        return Blocked("the CIB could not be read", tuple(_whys(views)))
    found = difference(known, wanted)
    if not found.lines:
        return ()
    online = [name for name in seen if believed[1].nodes.get(name) == "online"]
    return (_configure(believed[0], wanted, found, online),)


def _configuration(views: Mapping[str, View | Unknown], holders: Sequence[str]) -> Element | None:
    """Take the CIB of the first who shows it; with quorum, all have the same."""
    for name in holders:
        view = views[name]
        if isinstance(view, View) and isinstance(view.configuration, str):
            return fromstring(view.configuration)  # noqa: S314 - the controller's own cluster manager wrote it
    return None


def _first(
    site: Site, wanted: Element, known: Element | None, seen: Sequence[str], views: Mapping[str, View | Unknown]
) -> Formation:
    """Nobody has quorum: Pacemaker is about to be started, or to elect a leader. The gate waits for it."""
    most = len(site.cloud.names) // 2 + 1
    if len(seen) < most:
        reason = f"{len(seen)} of {len(site.cloud.names)} controllers can be seen, {most} are needed for a quorum"
        return Blocked(reason, tuple(_whys(views)))
    found = difference(Element("configuration") if known is None else known, wanted)
    wait = Wave(title="wait until every member is online", steps=(), gate=_gate(seen))
    return (wait, _configure(seen[0], wanted, found, seen)) if found.lines else (wait,)


def _configure(host: str, wanted: Element, found: Difference, members: Sequence[str]) -> Wave:
    return Wave(title="configure the cluster", steps=(_step(host, wanted, found),), gate=_gate(members))


def _gate(members: Sequence[str]) -> Gate:
    return Gate(system="pacemaker", members=tuple(members), timeout=SETTLE)


def _whys(views: Mapping[str, View | Unknown]) -> Iterator[str]:
    for name, view in views.items():
        for part in (view,) if isinstance(view, Unknown) else (view.status, view.configuration):
            if isinstance(part, Unknown):
                yield f"{name}: {part.why}"


@dataclass(frozen=True)
class Difference:
    """What differs: whether something is to be put in, what is to be taken out, and how it reads."""

    puts: bool
    stale: tuple[Element, ...]
    lines: tuple[str, ...]


def difference(current: Element, wanted: Element) -> Difference:
    """Compare what is ours, element by element; the order of attributes and all blanks do not count."""
    before, after = dict(_owned(current)), dict(_owned(wanted))
    names = {element.get("name") for element in wanted.iterfind(f"crm_config/*[@id='{PROPERTIES}']/nvpair")}
    stale: list[Element] = []
    for parent in current.iter():
        for element in parent:
            me = element.get("id", "")
            rival = parent.get("id") == PROPERTIES and element.get("name") in names and me not in after
            gone = me in before and me not in after and not _inside_stale(parent, stale)
            if rival or gone or (me in after and set(element.attrib) - set(after[me].attrib) and not len(element)):
                stale.append(element)
    lines, puts = [], False
    for me, element in after.items():
        old = before.get(me)
        if old is None or _line(old) != _line(element):
            puts = True
            lines += [f"- {_line(old)}"] if old is not None else []
            lines.append(f"+ {_line(element)}")
    lines += [f"- {_line(part)}" for element in stale if element.get("id") not in after for part in element.iter()]
    return Difference(puts, tuple(stale), tuple(lines))


def _owned(configuration: Element) -> Iterator[tuple[str, Element]]:
    for element in configuration.iter():
        if element.get("id", "").startswith(PREFIX):
            yield element.get("id", ""), element


def _inside_stale(parent: Element, stale: list[Element]) -> bool:
    return any(parent is inner for element in stale for inner in element.iter())


def _line(element: Element) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in sorted(element.attrib.items()))
    return f"<{element.tag}{attributes}>"


def _step(host: str, wanted: Element, found: Difference) -> Step:
    """Take out what is stale (constraints before what they name), then put everything in; both may be done twice."""
    acts = [_delete(element) for element in sorted(found.stale, key=lambda element: element.tag == "primitive")]
    if found.puts or any(_has_heir(element, wanted) for element in found.stale):
        put = Run(
            title="put the cluster's configuration into the CIB",
            argv=("cibadmin", "--modify", "--allow-create", "--scope", "configuration", "--xml-pipe"),
            stdin=tostring(wanted, encoding="unicode"),
        )
        acts.append(put)
    return Step(host=host, title=f"configure the cluster on {host}", acts=(*acts, _SETTLED), diff=found.lines)


def _has_heir(element: Element, wanted: Element) -> bool:
    return any(element.get("id") == other.get("id") for other in wanted.iter())


def _delete(element: Element) -> Run:
    """Take the first element of this kind and id out; it is no mistake when it is gone already."""
    me = Element(element.tag, id=element.get("id", ""))
    return Run(
        title=f"take {element.get('id')} out of the CIB",
        argv=("cibadmin", "--delete", "--scope", "configuration", "--xml-pipe"),
        stdin=tostring(me, encoding="unicode"),
    )
