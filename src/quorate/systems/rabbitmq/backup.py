"""What of RabbitMQ only a backup brings back: what was declared there. Messages are of the moment, and not in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.backup import Saving
from quorate.core.observed import Unknown
from quorate.core.stand import Stand
from quorate.core.system import Site
from quorate.systems.rabbitmq.config import RabbitSpec
from quorate.systems.rabbitmq.form import evidence_of, stand_of
from quorate.systems.rabbitmq.probe import View

_CTL = "/usr/sbin/rabbitmqctl"
# Its own words go elsewhere: what it prints is the definitions. The facts are how many there are of each kind.
TAKE = f"""set -e
umask 077; folder=$(mktemp -d /var/tmp/quorate-backup.XXXXXX); trap 'rm -rf "$folder"' EXIT; trap 'exit 1' TERM HUP
chown rabbitmq "$folder"
{_CTL} --quiet export_definitions "$folder/definitions.json" >&2
cat "$folder/definitions.json"
python3 -I -c 'import json, sys
found = json.load(open(sys.argv[1]))
about = {{kind: len(several) for kind, several in found.items() if isinstance(several, list)}}
version = found.get("rabbitmq_version", "")
print(json.dumps({{"about": {{"version": version, **about}}}}), file=sys.stderr)' "$folder/definitions.json"
"""
PUT_BACK = f"""set -e
umask 077; folder=$(mktemp -d /var/tmp/quorate-restore.XXXXXX); trap 'rm -rf "$folder"' EXIT; trap 'exit 1' TERM HUP
cat >"$folder/definitions.json"
chown -R rabbitmq "$folder"
{_CTL} --quiet import_definitions "$folder/definitions.json"
"""


def backups(_spec: RabbitSpec, _site: Site) -> Sequence[Saving]:
    """Virtual hosts, accounts, policies, exchanges, queues and bindings, as any node tells them."""
    return (
        Saving(
            name="messaging",
            what="RabbitMQ's definitions",
            take=("sh", "-c", TAKE, "take"),
            put_back=("sh", "-c", PUT_BACK, "put-back"),
            formed=True,
        ),
    )


def holders(_spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown]) -> Mapping[str, str]:
    """Say which controllers hold messages, or may hold some."""
    stands = {host: stand_of(views[host]) for host in site.cloud.names}
    return {host: evidence_of(host, what, views[host]) for host, what in stands.items() if what is not Stand.FRESH}
