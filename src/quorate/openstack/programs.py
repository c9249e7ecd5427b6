"""Small Python programs that run on a controller, as text: some look and some change what they say.

They print JSON: what they saw, or {"down": why}. Their waits are shorter than the questions', so that what is frozen
is seen to be frozen rather than unknown. Nothing is put into them: what they need comes as arguments, as one JSON text.

All that is asked of one service is one program: to start Python is most of what a look costs.
"""

from __future__ import annotations

# {config, section, database, migrations, brings, queries}: as the service itself, through the address and with the
# account that its configuration names. `wanted` are the heads of alembic's branches in the installed programs, or,
# where `migrations` is a list, the last migration of each of Django's applications; `found` those in the database. Of
# an unfinished schema the tables are told, and those of them that hold a row which they did not bring.
_SCHEMA = """
import configparser, glob, json, re, sys, urllib.parse
PACKAGES = "/usr/lib/python3/dist-packages/"
def applications(about):
    return {} if isinstance(about["migrations"], str) else {path.split("/")[-2]: path for path in about["migrations"]}
def heads(about):
    if apps := applications(about):
        last = {app: max(glob.glob(PACKAGES + path + "/[0-9]*.py"), default="") for app, path in apps.items()}
        return sorted(app + "." + path.split("/")[-1][:-3] for app, path in last.items() if path)
    made, followed = set(), set()
    versions = PACKAGES + about["migrations"]
    field = re.compile(r"^(revision|down_revision|depends_on)\\b[^=\\n]*=\\s*(\\([^)]*\\)|\\[[^]]*\\]|.*)", re.M)
    for path in glob.glob(versions + "/**/*.py", recursive=True):
        for name, value in field.findall(open(path, encoding="utf-8").read()):
            (made if name == "revision" else followed).update(re.findall(r"['\\"]([^'\\"]+)['\\"]", value))
    return sorted(made - followed)
def connect(about, wait):
    import pymysql
    config = configparser.RawConfigParser(strict=False)
    config.read(about["config"])
    url = urllib.parse.urlsplit(config[about["section"]]["connection"])
    cursor = pymysql.connect(host=url.hostname, port=url.port, user=about["database"], password=url.password,
        database=about["database"], connect_timeout=wait, read_timeout=wait, write_timeout=wait).cursor()
    def rows(query):
        cursor.execute(query)
        return cursor.fetchall()
    return rows
def look(about, rows, wanted):
    tables = sorted(name for name, in rows("SHOW TABLES"))
    found = []
    if "alembic_version" in tables:
        found = sorted(version for version, in rows("SELECT version_num FROM alembic_version"))
    elif "django_migrations" in tables:
        last = rows("SELECT app, MAX(name) FROM django_migrations GROUP BY app")
        found = sorted(app + "." + name for app, name in last if app in applications(about))
    if found == wanted:
        return found, tables, tables
    made = {"alembic_version": "FALSE", "django_migrations": "FALSE", **about["brings"]}
    query = "SELECT EXISTS(SELECT 1 FROM `%s` WHERE %s)"
    return found, tables, [table for table in tables if rows(query % (table, made.get(table, "TRUE")))[0][0]]
def stored(about):
    import pymysql
    wanted = heads(about)
    try:
        rows = connect(about, 1)
        found, tables, held = look(about, rows, wanted)
        told = {name: rows(query) for name, query in about["queries"].items()} if found == wanted else {}
    except (pymysql.MySQLError, OSError) as error:
        return {"down": str(error.args[-1] if error.args else error)}
    return {"wanted": wanted, "schema": found, "leftover": bool(tables) and not held,
        "held": held if wanted and not found else [], "rows": told}
"""

# → the schema wanted and found, whether it is unfinished and empty, and what the queries found in a finished one.
STORED = _SCHEMA + "print(json.dumps(stored(json.loads(sys.argv[1]))))\n"

# → drops the tables of an unfinished schema that holds no data; refuses where it holds any.
_CLEAR = """
about = json.loads(sys.argv[1])
rows = connect(about, 30)
found, tables, held = look(about, rows, heads(about))
if held:
    sys.exit("refused: the schema is complete, or its tables hold data")
rows("SET FOREIGN_KEY_CHECKS = 0")
for table in tables:
    rows("DROP TABLE `%s`" % table)
"""
CLEAR = _SCHEMA + _CLEAR

# Everything of one service: {units, account, apis, schemas, shared, brought, groups, config, kept}, each for itself.
# Units: the state of each, and whether its first process is stopped (SIGSTOP): systemd calls that active. Not by
# `systemctl show`, for which systemd gathers all that it knows of a unit: on a busy controller a look waited for that.
# Keystone: how it answers the service's own account. A password costs it a third of a second of a processor: the token
# is kept (for root alone, gone at boot), and Keystone asked whether it is still good, every 15 s where looks are many.
# Groups: how many members each has, as etcd's gateway says, and how long its unit has been active.
# APIs: what each says of its health, and to that account. Services remember good tokens themselves, so that their own
# answer would not tell of a password that is wrong by now. Nothing is asked where no API wants a token.
_LOOK = """
import base64, hashlib, http.client, os, subprocess, threading, time
about = json.loads(sys.argv[1])
until = time.monotonic() + 5
seen = {"units": {}, "account": {}, "apis": {}, "schemas": {}, "store": {}, "brought": {}, "groups": {}}
since = {}
def why(error):
    return str(error) or type(error).__name__
def ask(place, method, path, headers={}, body=None, wait=1):
    api = http.client.HTTPConnection(*place, timeout=min(wait, max(0.05, until - time.monotonic())))
    try:
        api.request(method, path, body, headers)
        reply = api.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        api.close()
def first(unit):
    try:
        pid = open("/sys/fs/cgroup/system.slice/%s/cgroup.procs" % unit).readline().strip()
        said = open("/proc/%s/stat" % pid).read().rpartition(")")[2].split()
        return said[0] in "Tt", int(said[19]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return False, None
def units():
    asked = ["systemctl", "is-active", "--", *about["units"]]
    for unit, state in zip(about["units"], subprocess.run(asked, capture_output=True, text=True).stdout.split()):
        stopped, since[unit] = first(unit)
        seen["units"][unit] = "stopped by a signal" if state == "active" and stopped else state
def login(own, keystone, tokens):
    user = {"name": own["username"], "password": own["password"], "domain": {"id": own["user_domain_id"]}}
    scope = {"project": {"name": own["project_name"], "domain": {"id": own["project_domain_id"]}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    status, headers, text = ask(keystone, "POST", tokens, {"Content-Type": "application/json"}, json.dumps(body), 2)
    if status != 201:
        return status, None
    found = [headers["X-Subject-Token"], json.loads(text)["token"]["project"]["id"]]
    draft = about["kept"] + ".new"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(found, file)
    os.replace(draft, about["kept"])
    return status, found
def account():
    config = configparser.RawConfigParser(strict=False)
    config.read(about["config"])
    own = config[about["account"]]
    url = urllib.parse.urlsplit(own["auth_url"])
    keystone, tokens = (url.hostname, url.port), url.path + "/auth/tokens?nocatalog"
    try:
        found, age = json.load(open(about["kept"])), time.time() - os.stat(about["kept"]).st_mtime
    except (OSError, ValueError):
        found, age = None, 0
    try:
        if found and 0 <= age < 15:
            return 200, found
        if found and ask(keystone, "GET", tokens, {"X-Auth-Token": found[0], "X-Subject-Token": found[0]})[0] == 200:
            os.utime(about["kept"])
            return 200, found
        return login(own, keystone, tokens)
    except (OSError, http.client.HTTPException) as error:
        return why(error), found
def private(api, found):
    if not api["private"]:
        return 0
    if not found:
        return "no token to ask with"
    try:
        path = api["private"].replace("{project}", found[1])
        return ask((api["address"], api["port"]), "GET", path, {"X-Auth-Token": found[0]}, wait=3)[0]
    except (OSError, http.client.HTTPException) as error:
        return why(error)
def health(name, api):
    try:
        seen["apis"][name] = {"health": ask((api["address"], api["port"]), "GET", api["health"], wait=0.8)[0]}
    except (OSError, http.client.HTTPException) as error:
        seen["apis"][name] = {"down": why(error)}
def apis():
    serving = [name for name, said in seen["apis"].items() if "health" in said]
    tells = serving if any(api["private"] for api in about["apis"].values()) else ()
    found = None
    if tells or not about["apis"] and "active" in seen["units"].values():
        status, found = account()
        seen["account"] = {"status": status}
    for name in serving:
        seen["apis"][name].update(private=private(about["apis"][name], found))
def store():
    try:
        seen["store"] = {"store": open(about["shared"] + "/.quorate-store").read().strip()}
    except FileNotFoundError:
        seen["store"] = {"store": ""}
    except OSError as error:
        seen["store"] = {"down": error.strerror}
def brought():
    for path in about["brought"]:
        try:
            seen["brought"][path] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        except FileNotFoundError:
            seen["brought"][path] = ""
        except OSError as error:
            print(why(error), file=sys.stderr)
def group(name, one):
    encoded = lambda text: base64.b64encode(text.encode()).decode()
    key = "tooz/groups/" + one["group"]
    body = json.dumps({"key": encoded(key + "/"), "range_end": encoded(key + "0"), "keys_only": True})
    try:
        status, _, text = ask((one["address"], one["port"]), "POST", "/v3/kv/range", {}, body)
        if status != 200:
            raise OSError("the coordination answers HTTP %s" % status)
        keys = {row["key"] for row in json.loads(text).get("kvs", [])} - {encoded(key + "/")}
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - since[name + ".service"]
        seen["groups"][name] = {"members": len(keys), "age": round(age, 1)}
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        seen["groups"][name] = {"unknown": why(error)}
def schema(name, one):
    try:
        seen["schemas"][name] = stored(one)
    except (ImportError, LookupError) as error:  # its packages, or its configuration, are still to come
        seen["schemas"][name] = {"unknown": why(error)}
def together(*tasks):
    threads = [threading.Thread(target=task, args=args, daemon=True) for task, *args in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
together((units,), (store,), (brought,), *((health, *item) for item in about["apis"].items()))
schemas, groups = about["schemas"].items(), about["groups"].items()
together((apis,), *((schema, *item) for item in schemas), *((group, *item) for item in groups))
print(json.dumps(seen), flush=True)
os._exit(0)
"""
LOOK = _SCHEMA + _LOOK

# FOLDER → gives the store a name that no other has, unless it has one.
NAME_IT = """
import os, secrets, sys
try:
    file = os.open(sys.argv[1] + "/.quorate-store", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
except FileExistsError:
    sys.exit(0)
os.write(file, secrets.token_hex(16).encode() + b"\\n")
os.fsync(file)
"""
