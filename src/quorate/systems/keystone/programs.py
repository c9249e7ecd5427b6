"""Keystone: the small Python programs that ask its API from a controller, as text (see openstack/programs.py)."""

from __future__ import annotations

# ADDRESS PORT → the status of the health check and of /v3, and the version served.
API = """
import http.client, json, sys
def get(path):
    api = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=0.8)
    api.request("GET", path)
    reply = api.getresponse()
    return reply.status, reply.read()
try:
    health, words = get("/healthcheck")
    status, body = get("/v3")
    print(json.dumps({"health": health, "status": status, "version": json.loads(body)["version"]["id"]}))
except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
    print(json.dumps({"down": str(error) or type(error).__name__}))
"""

# {url, user, password, domain, project, patience} on stdin → a token for that project, as soon as one is issued; fails
# when there was none within `patience` seconds, and says what was answered last.
ISSUE = """
import json, sys, time, urllib.error, urllib.request
about = json.load(sys.stdin)
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
domain = {"id": about["domain"]}
user = {"name": about["user"], "password": about["password"], "domain": domain}
scope = {"project": {"name": about["project"], "domain": domain}}
body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
until = time.monotonic() + about["patience"]
why = "nothing"
while time.monotonic() < until:
    request = urllib.request.Request(about["url"] + "/auth/tokens", json.dumps(body).encode(),
        {"Content-Type": "application/json"}, method="POST")
    try:
        with open_(request, timeout=10) as reply:
            if reply.headers["X-Subject-Token"]:
                sys.exit(0)
    except urllib.error.HTTPError as error:
        why = "HTTP %s" % error.code
    except OSError as error:
        why = str(error)
    time.sleep(0.2)
sys.exit("%s issues no token to %s: %s" % (about["url"], about["user"], why))
"""
