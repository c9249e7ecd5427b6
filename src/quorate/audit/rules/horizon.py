"""Horizon: sessions that do not survive a controller, and what a dashboard must not show to the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quorate.audit.configs import several
from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node
from quorate.audit.readers.horizon import COMPUTED
from quorate.audit.rule import Hit, Rule, Severity

_REFERENCE = "https://docs.openstack.org/horizon/latest/configuration/settings.html"
_DEPLOYMENT = "https://docs.openstack.org/horizon/latest/admin/sessions.html"
_DJANGO = "https://docs.djangoproject.com/en/4.2/ref/settings/"
_CACHE_SESSIONS = "django.contrib.sessions.backends.cache"


def _settings(estate: Estate) -> Iterator[Node]:
    """Every machine's settings as one, the snippets of `local_settings.d` last."""
    found: dict[str, list[Document]] = {}
    for one in sorted(estate.of("horizon"), key=lambda one: (".d/" in one.text.path, one.text.path)):
        found.setdefault(one.host, []).append(one)
    for documents in found.values():
        yield Node(("",), documents[0].place, tuple(node for one in documents for node in one.root.inside))


def _cache(root: Node) -> Node | None:
    return root.last("CACHES", "default", "BACKEND")


def lost_sessions(estate: Estate) -> Iterable[Hit]:
    """Sessions in the memory of a process."""
    for root in _settings(estate):
        backend = _cache(root)
        kept = backend and backend.value.endswith((".LocMemCache", ".DummyCache"))
        if backend and kept and root.get("SESSION_ENGINE") == _CACHE_SESSIONS:
            yield Hit(backend.place, f"sessions in {backend.value}")


def one_copy(estate: Estate) -> Iterable[Hit]:
    """Sessions in memcached, of which there is one copy."""
    for root in _settings(estate):
        backend, engine = _cache(root), root.last("SESSION_ENGINE")
        if engine and engine.value == _CACHE_SESSIONS and backend and "memcache" in backend.value.lower():
            yield Hit(engine.place, f"sessions in {backend.value} alone", (backend.place,))


def own_secret(estate: Estate) -> Iterable[Hit]:
    """A key that each controller makes for itself."""
    for root in _settings(estate) if several(estate, "horizon") else ():
        found = root.last("SECRET_KEY")
        if found and found.words[1:2] == (COMPUTED,) and "secret_key.generate" in found.value:
            yield Hit(found.place, f"SECRET_KEY {found.value}")


def weak_secret(estate: Estate) -> Iterable[Hit]:
    """A key that others know, or guess."""
    for root in _settings(estate):
        found = root.last("SECRET_KEY")
        if found and len(found.words) == 2 and (len(found.value) < 16 or _sample(found.value)):
            yield Hit(found.place, f"a sample, or {len(found.value)} characters: SECRET_KEY")


def _sample(key: str) -> bool:
    return any(word in key.lower() for word in ("changeme", "change_me", "insecure", "secret_key", "your-", "example"))


def any_host(estate: Estate) -> Iterable[Hit]:
    """Names that anybody may claim."""
    for root in _settings(estate):
        found = root.last("ALLOWED_HOSTS")
        star = found and (found.value == "*" or any(node.value == "*" for node in found.inside))
        if found and star:
            yield Hit(found.place, "ALLOWED_HOSTS = ['*']")


def debug(estate: Estate) -> Iterable[Hit]:
    """Pages that show what is inside."""
    for root in _settings(estate):
        found = root.last("DEBUG")
        if found and found.words[1:] == ("True",):
            yield Hit(found.place, "DEBUG = True")


def plain_cookies(estate: Estate) -> Iterable[Hit]:
    """Cookies of a site with TLS that go without it as well."""
    for root in _settings(estate):
        tls = root.last("SECURE_PROXY_SSL_HEADER")
        if tls is None or tls.words[1:] == ("None",):
            continue
        for name in ("CSRF_COOKIE_SECURE", "SESSION_COOKIE_SECURE"):
            found = root.last(name)
            if found is None or found.words[1:] == ("False",):
                yield Hit((found or tls).place, f"{name} is not True, and the site has TLS", (tls.place,))


def old_identity(estate: Estate) -> Iterable[Hit]:
    """An API that Keystone does not have any more."""
    for root in _settings(estate):
        for found in (root.last("OPENSTACK_KEYSTONE_URL"), root.last("OPENSTACK_API_VERSIONS", "identity")):
            if found and ("/v2.0" in found.value or found.value in {"2", "2.0"}):
                yield Hit(found.place, f"{found.name} = {found.value}")


def no_verify(estate: Estate) -> Iterable[Hit]:
    """Certificates that nobody looks at."""
    for root in _settings(estate):
        found = root.last("OPENSTACK_SSL_NO_VERIFY")
        if found and found.words[1:] == ("True",):
            yield Hit(found.place, "OPENSTACK_SSL_NO_VERIFY = True")


def gone_client(estate: Estate) -> Iterable[Hit]:
    """A client of memcached that Django does not have any more."""
    since = estate.since("horizon", (25,))
    for root in _settings(estate) if since else ():
        backend = _cache(root)
        if backend and backend.value.endswith("memcached.MemcachedCache"):
            yield Hit(backend.place, backend.value)


RULES = (
    Rule(
        "HZN001",
        Severity.ERROR,
        "sessions are kept in one process's memory",
        "The next request of a user goes to another process or controller, which does not know him: he has to log in "
        "again and again.",
        _DEPLOYMENT,
        "Keep sessions in the database (SESSION_ENGINE = 'django.contrib.sessions.backends.db'), or a CACHES backend "
        "of memcached with all servers.",
        "standby of the controller that serves: the user is logged out",
        lost_sessions,
    ),
    Rule(
        "HZN002",
        Severity.NOTE,
        "sessions are kept in memcached alone",
        "memcached does not replicate: who has his session on a server that is lost is logged out.",
        _DEPLOYMENT,
        "Write SESSION_ENGINE = 'django.contrib.sessions.backends.cached_db', or db, with a database.",
        "power-cut on a controller: its share of the users is logged out",
        one_copy,
    ),
    Rule(
        "HZN003",
        Severity.WARNING,
        "SECRET_KEY is made by each controller for itself",
        "What one controller signs (sessions in cookies, forms, messages) the next one refuses: users are logged out "
        "when the load balancer sends them elsewhere, unless somebody has copied the file.",
        f"{_REFERENCE}#secret-key",
        "Write one key, the same on all controllers, or distribute the file that it is kept in.",
        "standby of the controller that serves: the user is logged out",
        own_secret,
    ),
    Rule(
        "HZN004",
        Severity.ERROR,
        "a SECRET_KEY that others know",
        "Whoever knows the key signs sessions and password resets of his own.",
        f"{_DJANGO}#secret-key",
        "Write 50 or more characters of chance, the same on all controllers, in a file that only Horizon reads.",
        "",
        weak_secret,
    ),
    Rule(
        "HZN005",
        Severity.WARNING,
        "the dashboard answers to any name",
        "Whoever can have a user send a forged Host header gets links, redirects and cached pages with a name of his "
        "own.",
        f"{_DJANGO}#allowed-hosts",
        "List the names and addresses that browsers use, and the virtual IP.",
        "",
        any_host,
    ),
    Rule(
        "HZN006",
        Severity.ERROR,
        "the dashboard runs in debug mode",
        "An error shows settings and variables to whoever caused it, every query is kept in memory, and any name is "
        "answered.",
        f"{_DJANGO}#debug",
        "Write DEBUG = False.",
        "",
        debug,
    ),
    Rule(
        "HZN007",
        Severity.WARNING,
        "cookies go over connections without TLS as well",
        "One request by http:// is enough, and whoever listens has the session.",
        f"{_DJANGO}#session-cookie-secure",
        "Write CSRF_COOKIE_SECURE = True and SESSION_COOKIE_SECURE = True.",
        "",
        plain_cookies,
    ),
    Rule(
        "HZN008",
        Severity.ERROR,
        "the dashboard asks for an API that Keystone does not have",
        "Identity v2.0 was removed in Queens: nobody can log in.",
        f"{_REFERENCE}#openstack-api-versions",
        "Write http://VIP:5000/v3, and identity version 3.",
        "",
        old_identity,
    ),
    Rule(
        "HZN009",
        Severity.WARNING,
        "the dashboard looks at no certificate",
        "Whoever is between it and the APIs reads passwords and tokens.",
        f"{_REFERENCE}#openstack-ssl-no-verify",
        "Take it out, and name the authority in OPENSTACK_SSL_CACERT.",
        "",
        no_verify,
    ),
    Rule(
        "HZN010",
        Severity.ERROR,
        "a cache client that this Django does not have",
        "Django 4.1 removed MemcachedCache: the dashboard answers 500 to everything.",
        "https://docs.djangoproject.com/en/4.2/releases/4.1/#features-removed-in-4-1",
        "Write django.core.cache.backends.memcached.PyMemcacheCache.",
        "",
        gone_client,
    ),
)
