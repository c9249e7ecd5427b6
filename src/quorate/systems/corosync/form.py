"""How a running membership takes a new key: once it lies on every disk, all load it in the same moment.

The preparation of an apply puts the key on the disks; the next apply finds it there and loads it. A controller that
missed the first must not be left behind by the second: it would not be heard any more, and be fenced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.act import SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.corosync.config import CorosyncSpec
from quorate.systems.corosync.probe import View


def form(spec: CorosyncSpec, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Reload all running members where one has not loaded its key. Nothing on a new cluster: starting loads it."""
    del spec
    seen = {name: view for name, view in views.items() if isinstance(view, View)}
    running = tuple(name for name in site.cloud.names if name in seen and seen[name].running is True)
    if all(seen[name].key_loaded is not False for name in running):
        return ()
    evidence = tuple(f"{name}: {view.why}" for name, view in views.items() if isinstance(view, Unknown))
    evidence += tuple(f"{name}: {v.key_loaded.why}" for name, v in seen.items() if isinstance(v.key_loaded, Unknown))
    if evidence:
        return Blocked("a new key must be loaded everywhere at once, and not every controller was seen", evidence)
    late = [name for name in running if seen[name].key_loaded is False]
    # One reload is one for all: two at once, of which one comes when its controller has the new key and the next has
    # not, would part them. The others' own reloads then only note what they have loaded.
    waves = [_load("load the new key everywhere", late[:1])]
    return (*waves, _load("note that it is loaded", late[1:])) if late[1:] else waves


def _load(title: str, hosts: Sequence[str]) -> Wave:
    steps = tuple(
        Step(
            host=name,
            title=f"{title}: {name}",
            acts=(SetUnit(name="corosync.service", verb="reload"),),
            diff=("! load the key that lies on the disk",),
        )
        for name in hosts
    )
    return Wave(title=title, steps=steps, gate=Gate(system="corosync", members=tuple(hosts), timeout=30.0))
