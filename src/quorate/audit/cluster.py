"""Pacemaker's configuration as Pacemaker understands it: resources, what they are in, and who stays with whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from quorate.audit.estate import Estate
from quorate.audit.node import Node

HOLDERS = ("group", "clone", "ms", "bundle")
CONSTRAINTS = ("location", "colocation", "order", "ticket")
OFF = ("false", "no", "off", "0", "n")
ON = ("true", "yes", "on", "1", "y")


def setting(resource: Node, name: str, word: str = "param") -> Node | None:
    """A parameter of a resource, or with `word` "meta" a meta attribute."""
    found = [node for node in resource.all(word) if node.words[1] == name]
    return found[-1] if found else None


def said(node: Node | None) -> str:
    """The value of a property, a parameter or a meta attribute; "" where it is not set."""
    return " ".join(node.words[2:]) if node else ""


@dataclass(frozen=True)
class Cluster:
    """What one machine has of Pacemaker's configuration, all its files together."""

    host: str
    root: Node

    @property
    def whole(self) -> bool:
        """Whether it looks like all of it, and not like a part that somebody wrote down: it has properties."""
        return bool(self.root.all("property"))

    @cached_property
    def resources(self) -> Mapping[str, Node]:
        """Everything that can be started, by id."""
        return {node.words[1]: node for node in self.root.all("primitive", *HOLDERS)}

    @cached_property
    def primitives(self) -> tuple[Node, ...]:
        """Resources that are started by an agent, and are no fencing devices."""
        return tuple(node for node in self.root.all("primitive") if not agent(node).startswith("stonith:"))

    @property
    def devices(self) -> tuple[Node, ...]:
        """Fencing devices."""
        return tuple(node for node in self.root.all("primitive") if agent(node).startswith("stonith:"))

    @cached_property
    def vips(self) -> tuple[Node, ...]:
        """Addresses that move."""
        return tuple(node for node in self.primitives if agent(node).endswith((":IPaddr2", ":IPaddr")))

    @cached_property
    def holders(self) -> Mapping[str, tuple[Node, ...]]:
        """In what each resource is, the nearest first, by id."""
        direct: dict[str, Node] = {}
        for holder in self.root.all(*HOLDERS):
            for member in holder.all("member"):
                direct.setdefault(member.value, holder)
        return {name: tuple(_above(name, direct)) for name in direct}

    def family(self, name: str) -> frozenset[str]:
        """A resource and all that hold it, by id: what a constraint may name to mean it."""
        return frozenset((name, *(holder.words[1] for holder in self.holders.get(name, ()))))

    def property(self, *names: str) -> Node | None:
        """A property of the cluster, by any of its names."""
        found = [node for node in self.root.all("property") if node.words[1] in names]
        return found[0] if found else None

    def meta(self, resource: Node, name: str) -> str:
        """A meta attribute: the resource's own, that of what holds it, or the default for all; "" if there is none."""
        for one in (resource, *self.holders.get(resource.words[1], ())):
            if found := setting(one, name, "meta"):
                return said(found)
        return next((said(node) for node in self.root.all("rsc_defaults") if node.words[1] == name), "")


def _above(name: str, direct: Mapping[str, Node]) -> Iterator[Node]:
    seen = {name}
    while (holder := direct.get(name)) is not None and holder.words[1] not in seen:
        yield holder
        name = holder.words[1]
        seen.add(name)


def agent(primitive: Node) -> str:
    """By what it is started, as `ocf:heartbeat:IPaddr2`; "" or the name of a template where that says it."""
    return primitive.words[2] if len(primitive.words) > 2 else ""


@lru_cache(maxsize=1)
def clusters(estate: Estate) -> tuple[Cluster, ...]:
    """Pacemaker's configuration on every machine that has some."""
    return tuple(Cluster(host, root) for host, root in estate.merged("pacemaker").items())
