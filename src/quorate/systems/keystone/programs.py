"""Keystone: the small Python programs that run on a controller, as text: two that look and one that clears.

They print JSON: what they saw, or {"down": why}. Their waits are shorter than the questions', so that what is frozen
is seen to be frozen rather than unknown. Nothing is put into them: what they need comes as arguments.
"""

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

# As the service itself: through the same address and account, which its configuration file holds. `wanted` are the
# heads of alembic's two branches in the installed programs, `found` those in the database. Of an unfinished schema
# the tables are told, and whether any holds a row (but for the root domain, which the schema itself brings).
_LOOK = """
import configparser, glob, json, sys, urllib.parse
import pymysql
def rows(query):
    cursor.execute(query)
    return cursor.fetchall()
def look():
    tables = sorted(name for name, in rows("SHOW TABLES"))
    found = sorted(v for v, in rows("SELECT version_num FROM alembic_version")) if "alembic_version" in tables else []
    if found == wanted:
        return found, tables, True
    kept = {"alembic_version": "FALSE", "project": "id <> '<<keystone.domain.root>>'"}
    query = "SELECT EXISTS(SELECT 1 FROM `%s` WHERE %s)"
    return found, tables, any(rows(query % (table, kept.get(table, "TRUE")))[0][0] for table in tables)
versions = "/usr/lib/python3/dist-packages/keystone/common/sql/migrations/versions"
wanted = sorted(open(path).read().strip() for path in glob.glob(versions + "/*_HEAD"))
config = configparser.RawConfigParser(strict=False)
config.read(sys.argv[1])
url = urllib.parse.urlsplit(config["database"]["connection"])
def connect(wait):
    return pymysql.connect(host=url.hostname, port=url.port, user=url.username, password=url.password,
        database=url.path.strip("/"), connect_timeout=wait, read_timeout=wait, write_timeout=wait).cursor()
"""

# CONFIG → the schema wanted and found, whether it is unfinished and empty, and where the catalog has the API.
_DATABASE = """
try:
    cursor = connect(1)
    found, tables, data = look()
    catalog = rows("SELECT e.interface, e.region_id, e.url FROM endpoint e JOIN service s ON e.service_id = s.id"
        " WHERE s.type = 'identity' AND e.enabled") if found == wanted else ()
    print(json.dumps({"wanted": wanted, "schema": found, "leftover": bool(tables) and not data,
        "catalog": sorted(catalog)}))
except (pymysql.MySQLError, OSError) as error:
    print(json.dumps({"down": str(error.args[-1] if error.args else error)}))
"""
DATABASE = _LOOK + _DATABASE

# CONFIG → drops the tables of an unfinished schema that holds no data; refuses where it holds any.
_CLEAR = """
cursor = connect(30)
found, tables, data = look()
if data:
    sys.exit("refused: the schema is complete, or its tables hold data")
cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
for table in tables:
    cursor.execute("DROP TABLE `%s`" % table)
"""
CLEAR = _LOOK + _CLEAR
