"""Keystone: the identity service, alike on every controller, its data in the shared database.

Tokens are Fernet: no controller stores them, and any controller accepts what another issued as long as all hold the
same keys. The keys come from `secrets.yaml` and lie on every controller before its API first starts.

config.py   its section of cloud.yaml, the files and the unit; what it offers, needs and claims
probe.py    what is asked (API, keys, schema and catalog in the database) and how answers are read
judge.py    views → verdict
form.py     views → the schema, the bootstrap and the first start
migration.py  how one sees that a token is issued, and what in the catalog still names another place
"""

from quorate.core.keys import Keyring
from quorate.core.system import Function, Kept, System
from quorate.systems.keystone.config import (
    INHERITED,
    ROTATED,
    KeystoneSpec,
    claims,
    endpoints,
    resources,
    secrets,
    warnings,
)
from quorate.systems.keystone.drills import DRILLS
from quorate.systems.keystone.form import form
from quorate.systems.keystone.judge import judge
from quorate.systems.keystone.migration import answers, strays, unusable
from quorate.systems.keystone.probe import KeystoneView, held, questions, read

SYSTEM: System[KeystoneSpec, KeystoneView] = System(
    name="keystone",
    summary="the identity service on every controller",
    spec=KeystoneSpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    endpoints=endpoints,
    claims=claims,
    secrets=secrets,
    offers=("identity",),
    needs=("database", "cache", "virtual-ip"),
    spares=("cache",),
    settle=60.0,
    warnings=warnings,
    functions=lambda _spec, _site: (
        Function("token_issue", "issue a token", lingers=("database",)),
        Function("token_validation", "validate a token", lingers=("database",)),
    ),
    drills=DRILLS,
    keeps=(Kept("issued tokens", on="keys"),),
    keys=Keyring(ROTATED, held),
    inherits=INHERITED,
    answers=answers,
    strays=strays,
    unusable=unusable,
)
