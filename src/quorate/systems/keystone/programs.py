"""Keystone: the small Python program that looks at its API on a controller, as text (see openstack/programs.py)."""

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
