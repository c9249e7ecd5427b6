"""Users, roles and catalog at Keystone: one program that makes what is missing of what services claim there."""

from __future__ import annotations

import json

from quorate.core.act import Run
from quorate.core.secret import reference
from quorate.core.system import Site
from quorate.openstack.options import DOMAIN, PROJECT, identity_url, region

ROLES = ("service", "admin")
"""What a service's account may do: `service` marks it as one, and they ask each other for what only admins may."""
INTERFACES = ("admin", "internal", "public")

# {url, password, region, domain, project, roles, users: [{name, password}], listings: [{type, name, url}]} on stdin.
# Everything that exists stays as it is, but for passwords that do not work and addresses that are others.
ACCOUNTS = """
import json, sys, urllib.error, urllib.parse, urllib.request
about = json.load(sys.stdin)
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
token = ""
def ask(method, path, body=None, **query):
    url = about["url"] + path + ("?" + urllib.parse.urlencode(query) if query else "")
    headers = {"Content-Type": "application/json", "X-Auth-Token": token}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    with open_(request, timeout=30) as reply:
        text = reply.read()
        return (json.loads(text) if text else None), reply.headers
def login(name, password, project):
    domain = {"id": about["domain"]}
    user = {"name": name, "password": password, "domain": domain}
    scope = {"project": {"name": project, "domain": domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    return ask("POST", "/auth/tokens", body)[1]["X-Subject-Token"]
def one(kind, name, **more):
    found = ask("GET", "/%ss" % kind, name=name, **{key: value for key, value in more.items() if key == "domain_id"})[0]
    rows = found[kind + "s"]
    return rows[0] if rows else ask("POST", "/%ss" % kind, {kind: {"name": name, **more}})[0][kind]
def works(user):
    try:
        login(user["name"], user["password"], about["project"])
        return True
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        return False
try:
    token = login("admin", about["password"], "admin")
    project = one("project", about["project"], domain_id=about["domain"])
    roles = [one("role", name) for name in about["roles"]]
    for user in about["users"]:
        made = one("user", user["name"], domain_id=about["domain"], password=user["password"])
        for role in roles:
            ask("PUT", "/projects/%s/users/%s/roles/%s" % (project["id"], made["id"], role["id"]))
        if not works(user):
            ask("PATCH", "/users/" + made["id"], {"user": {"password": user["password"], "enabled": True}})
    for want in about["listings"]:
        rows = ask("GET", "/services", type=want["type"])[0]["services"]
        made = {"service": {"type": want["type"], "name": want["name"]}}
        service = rows[0] if rows else ask("POST", "/services", made)[0]["service"]
        have = {}
        for row in ask("GET", "/endpoints", service_id=service["id"])[0]["endpoints"]:
            if row["region_id"] == about["region"]:
                have.setdefault(row["interface"], row)
        for interface in about["interfaces"]:
            row = have.get(interface)
            wanted = {"interface": interface, "region_id": about["region"], "url": want["url"]}
            if row is None:
                ask("POST", "/endpoints", {"endpoint": {"service_id": service["id"], **wanted}})
            elif row["url"] != want["url"] or not row["enabled"]:
                ask("PATCH", "/endpoints/" + row["id"], {"endpoint": {"url": want["url"], "enabled": True}})
except urllib.error.HTTPError as error:
    sys.exit("Keystone answers %s %s with HTTP %s: %s" % (error.geturl(), error.reason, error.code, error.read(500)))
"""


def accounts(site: Site, host: str, only: str = "") -> Run:
    """Make what services claim at Keystone, or what one of them does, on a controller whose own Keystone serves.

    Passwords go in by standard input.
    """
    claimed = [claim for claim in site.claims_on("identity") if only in {"", claim.name}]
    about = {
        "url": identity_url(site, site.cloud.address(host)),
        "password": reference(site.endpoint("identity").options["admin"]),
        "region": region(site),
        "domain": DOMAIN,
        "project": PROJECT,
        "roles": ROLES,
        "interfaces": INTERFACES,
        "users": [{"name": claim.name, "password": reference(claim.secret)} for claim in claimed],
        "listings": [
            {"type": one.type, "name": one.name, "url": one.url} for claim in claimed for one in claim.listings
        ],
    }
    who = ", ".join(claim.name for claim in claimed)
    return Run(
        title=f"make accounts and catalog at Keystone for {who}",
        argv=("python3", "-c", ACCOUNTS),
        stdin=json.dumps(about),
        timeout=120.0,
    )
