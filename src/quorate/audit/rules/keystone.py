"""Keystone: tokens that nobody issues any more, keys that go too soon, ways in that need no password."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.audit.configs import YES, Config, configs
from quorate.audit.estate import Estate
from quorate.audit.rule import Hit, Rule, Severity

_GUIDE = "https://docs.openstack.org/keystone/latest"
_OPTIONS = f"{_GUIDE}/configuration/config-options.html"
_FERNET = f"{_GUIDE}/admin/fernet-token-faq.html"
_OWN_DRIVERS = (
    "application_credential", "assignment", "catalog", "credential", "endpoint_filter", "endpoint_policy", "federation",
    "identity", "identity_mapping", "oauth1", "policy", "resource", "revoke", "role", "shadow_users", "trust",
    "unified_limit", "domain_config",
)  # fmt: skip
_GONE_PROVIDERS = frozenset(("uuid", "pki", "pkiz"))


def _keystones(estate: Estate) -> tuple[Config, ...]:
    return configs(estate, "keystone")


def provider(estate: Estate) -> Iterable[Hit]:
    """Kinds of tokens that Keystone does not make any more."""
    for one in _keystones(estate):
        found = one.option("token", "provider")
        word = found.value.lower() if found else ""
        if found and (word in _GONE_PROVIDERS or word.startswith("keystone.token.providers.")):
            yield Hit(found.place, f"[token] provider = {found.value}")


def class_paths(estate: Estate) -> Iterable[Hit]:
    """Drivers that are named by their classes."""
    for one in _keystones(estate):
        for section in _OWN_DRIVERS:
            found = one.option(section, "driver")
            if found and found.value.startswith("keystone."):
                yield Hit(found.place, f"[{section}] driver = {found.value}")


def admin_token(estate: Estate) -> Iterable[Hit]:
    """A password that is nobody's."""
    for one in _keystones(estate):
        found = one.option("DEFAULT", "admin_token")
        if found and found.value not in {"", "<None>"}:
            yield Hit(found.place, "[DEFAULT] admin_token is set")


def few_keys(estate: Estate) -> Iterable[Hit]:
    """Keys that are thrown away while tokens of theirs are in use."""
    for one in _keystones(estate):
        for section in ("fernet_tokens", "fernet_receipts"):
            number = one.number(section, "max_active_keys")
            found = one.option(section, "max_active_keys")
            if found and number is not None and number < 3:
                yield Hit(found.place, f"[{section}] max_active_keys = {found.value}")


def insecure_debug(estate: Estate) -> Iterable[Hit]:
    """Errors that tell a stranger whether an account exists."""
    for one in _keystones(estate):
        found = one.option("DEFAULT", "insecure_debug")
        if found and found.value.lower() in YES:
            yield Hit(found.place, f"[DEFAULT] insecure_debug = {found.value}")


def own_keys(estate: Estate) -> Iterable[Hit]:
    """Keys in a folder that does not outlive a start."""
    for one in _keystones(estate):
        for section in ("fernet_tokens", "fernet_receipts", "credential"):
            found = one.option(section, "key_repository")
            if found and found.value.startswith(("/tmp/", "/run/", "/var/run/", "/dev/shm/")):  # noqa: S108 - to be found
                yield Hit(found.place, f"[{section}] key_repository = {found.value}")


def short_window(estate: Estate) -> Iterable[Hit]:
    """Long work that is given up because its token ran out."""
    for one in _keystones(estate):
        found = one.option("token", "allow_expired_window")
        if found and one.number("token", "allow_expired_window") == 0:
            yield Hit(found.place, "[token] allow_expired_window = 0")


def own_server(estate: Estate) -> Iterable[Hit]:
    """Options of the server that Keystone had before it ran in a web server."""
    for one in _keystones(estate):
        for name in ("bind_host", "public_bind_host", "admin_bind_host", "public_port", "admin_port"):
            for section in ("DEFAULT", "eventlet_server"):
                if found := one.option(section, name):
                    yield Hit(found.place, f"[{section}] {name} = {found.value}")


RULES = (
    Rule(
        "KEY001",
        Severity.ERROR,
        "a kind of token that Keystone does not make any more",
        "UUID and PKI tokens were removed; Keystone does not find the provider and does not start.",
        f"{_OPTIONS}#token",
        "Write [token] provider = fernet, and give all controllers the same keys before they serve.",
        "",
        provider,
    ),
    Rule(
        "KEY002",
        Severity.WARNING,
        "the token that makes anybody an administrator is set",
        "Whoever reads the file, a backup or a log has all rights over the cloud: it does not run out, belongs to "
        "nobody and cannot be revoked.",
        f"{_OPTIONS}#DEFAULT.admin_token",
        "Take it out. `keystone-manage bootstrap` makes the first administrator.",
        "",
        admin_token,
    ),
    Rule(
        "KEY003",
        Severity.ERROR,
        "fewer than three Fernet keys",
        "One key is staged and one signs. With no third one, a rotation throws away the key that signed all tokens in "
        "use: everybody has to log in again, and work that is under way fails.",
        _FERNET,
        "Write at least 3, and no fewer than (token expiration + allow_expired_window) / time between rotations + 2.",
        "",
        few_keys,
    ),
    Rule(
        "KEY004",
        Severity.ERROR,
        "a driver that is named by its class",
        "Keystone looks drivers up by their short names only, finds none of that name, and does not start.",
        "https://docs.openstack.org/releasenotes/keystone/: drivers are loaded by entry point",
        "Write the short name: sql, ldap, templated, fernet.",
        "",
        class_paths,
    ),
    Rule(
        "KEY005",
        Severity.WARNING,
        "errors tell strangers too much",
        "With insecure_debug Keystone's answers say why a login failed: which accounts exist, and which do not.",
        f"{_OPTIONS}#DEFAULT.insecure_debug",
        "Take it out.",
        "",
        insecure_debug,
    ),
    Rule(
        "KEY006",
        Severity.ERROR,
        "keys in a folder that is empty after a restart of the machine",
        "After a power cut Keystone has no keys: it does not serve, all tokens are void, and without the credential "
        "keys what they encrypted (EC2 and TOTP secrets) is lost.",
        f"{_OPTIONS}#fernet_tokens.key_repository",
        "Keep the keys below /etc/keystone, on every controller the same.",
        "power-cut: Keystone on the returned controller answers 500",
        own_keys,
    ),
    Rule(
        "KEY007",
        Severity.WARNING,
        "services may not finish what an expired token began",
        "A snapshot or a migration that takes longer than the rest of the user's token fails in the middle: services "
        "ask Keystone to accept the expired token for that, and it does not.",
        f"{_OPTIONS}#token.allow_expired_window",
        "Leave it at 172800, two days.",
        "",
        short_window,
    ),
    Rule(
        "KEY008",
        Severity.ERROR,
        "Keystone does not listen where this says",
        "Keystone has no server of its own since Newton: the web server that runs it says where it listens. The option "
        "is read past, and Keystone may listen on every address.",
        "https://docs.openstack.org/releasenotes/keystone/newton.html",
        "Write the address into the configuration of uWSGI, Apache or whoever runs Keystone.",
        "",
        own_server,
    ),
)
