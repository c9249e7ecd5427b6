"""Horizon: its section of cloud.yaml, what it is made of, its files and unit; what it offers, claims and warns of."""

from __future__ import annotations

from pydantic import Field

from quorate.core.observed import Answers
from quorate.core.resource import File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Claim, Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud
from quorate.openstack import probe
from quorate.openstack.options import TIMES, connection, identity_url, ini
from quorate.openstack.resources import api_files, frontend, unit_path, uwsgi_path
from quorate.openstack.service import Api, Schema, Sections, Service, ServiceSpec

KIND = "dashboard"
PORT = 80
"""Where browsers come, at the virtual IP."""
SERVER_PORT = 8090
"""Where a controller's own server listens: it is not root, so that it may not have port 80."""
FOLDER = "/etc/openstack-dashboard"
SETTINGS = f"{FOLDER}/local_settings.py"
WSGI = f"{FOLDER}/quorate-wsgi.py"
KEY_SECRET = "horizon.secret_key"  # noqa: S105 - the name of a secret
_MANAGE = "/usr/share/openstack-dashboard/manage.py"


class HorizonSpec(ServiceSpec):
    """The dashboard, at `http://VIP/`. Part of the cloud where the file names it: `horizon: {}` will do."""

    names: tuple[str, ...] = Field(
        default=(), description="Names by which browsers may come, beside the virtual IP: others are refused."
    )


def _options(spec: HorizonSpec, site: Site, host: str) -> Sections:
    """What differs from cloud to cloud and from controller to controller. The settings read it."""
    hosts = (site.cloud.vip, *spec.names, site.cloud.address(host))
    return {
        "database": {"connection": connection(site, SERVICE.name, SERVICE.secret("database"), TIMES)},
        "dashboard": {
            "secret_key": reference(KEY_SECRET),
            "allowed_hosts": ",".join(hosts),
            "keystone_url": identity_url(site),
            "keystone_host": site.endpoint("identity").address,
        },
    }


SERVICE = Service(
    name="horizon",
    summary="the dashboard on every controller",
    # The last one is what probes read the database with, too. No Apache: the dashboard does not depend on it.
    packages=("openstack-dashboard", "uwsgi-core", "uwsgi-plugin-python3", "python3-pymysql"),
    config=f"{FOLDER}/quorate.conf",
    options=_options,
    apis=(
        Api(
            "horizon",
            KIND,
            SERVER_PORT,
            WSGI,
            # A page through all of Django that needs neither Keystone nor the database; the form to log in would do as
            # well, and costs a processor seven times as much, nine times a second on three controllers.
            health="/header/",
            forks=True,
            more=(
                "# Scripts and styles, as the package has put them together.",
                "static-map = /static=/var/lib/openstack-dashboard/static",
                "# No slow browser holds a thread of the application for a file.",
                "offload-threads = 1",
                "# The load balancer's checks name no host, which Django refuses.",
                "route-if = empty:${HTTP_HOST} addvar:HTTP_HOST=%(address)",
                "# Sessions that ran out stay in the database until somebody removes them.",
                f"cron2 = hour=4,minute=23,unique=1 {_MANAGE} clearsessions",
            ),
        ),
    ),
    schemas=(
        Schema(
            "horizon",
            section="database",
            migrations=tuple(f"django/contrib/{app}/migrations" for app in ("auth", "contenttypes", "sessions")),
            sync=(_MANAGE, "migrate", "--noinput"),
            brings={"django_content_type": "FALSE", "auth_permission": "FALSE"},
        ),
    ),
)
_SERVER = SERVICE.apis[0]


def resources(spec: HorizonSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Everything but the running server: its first start belongs to `form`, behind the tables."""
    server = api_files(
        _SERVER,
        user=SERVICE.user,
        summary=SERVICE.summary,
        folder=FOLDER,
        address=site.cloud.address(host),
        workers=spec.workers,
        threads=spec.threads,
    )
    inputs = (SERVICE.config, SETTINGS, WSGI, uwsgi_path(FOLDER, _SERVER), unit_path(_SERVER))
    return (
        *(Package(name) for name in SERVICE.packages),
        File(SERVICE.config, ini(SERVICE.options(spec, site, host)), mode=0o640, group=SERVICE.user),
        File(SETTINGS, render(__package__, "local_settings.py.j2", config=SERVICE.config)),
        File(WSGI, render(__package__, "wsgi.py.j2")),
        *server,
        Unit(f"{_SERVER.name}.service", state="formed", inputs=inputs),
    )


def read(answers: Answers) -> probe.View:
    """Read the answers of one controller."""
    return probe.read(SERVICE, answers)


def endpoints(_spec: HorizonSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """The usual port of the web at the virtual IP."""
    return (Endpoint(KIND, cloud.vip, PORT, frontend(_SERVER)),)


def claims(_spec: HorizonSpec, _cloud: Cloud) -> tuple[Claim, ...]:
    """A database. No account at Keystone: whoever is logged in has one."""
    return (Claim("database", SERVICE.name, SERVICE.secret("database")),)


def secrets(_spec: HorizonSpec, _cloud: Cloud) -> tuple[SecretSpec, ...]:
    """The password of its database, and the key that sessions are signed with."""
    return (SecretSpec(SERVICE.secret("database")), SecretSpec(KEY_SECRET, kind="hex"))


def warnings(_spec: HorizonSpec, _cloud: Cloud) -> tuple[str, ...]:
    """There is no TLS yet."""
    return (
        "horizon: whoever can listen on the way reads the passwords that browsers send: it is served by plain HTTP",
    )
