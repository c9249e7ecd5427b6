"""Secrets that are none: readable by others, known to everybody, seen in the list of processes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from quorate.audit.configs import ALL, EVERY, LOOPBACK, YES, Config, configs, databases, option_name, transport
from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node, Place
from quorate.audit.readers.ini import PASTE
from quorate.audit.rule import Hit, Rule, Severity

_SECRET = re.compile(
    r"(?i)(password|passwd|admin_token|secret|secret_key|auth_encryption_key|metadata_proxy_shared_secret"
    r"|memcache_secret_key|fixed_key|hmac_keys|user_domain_password)"
)
_GUESSES = frozenset(
    (
        "password", "passw0rd", "secret", "secrete", "admin", "openstack", "changeme", "change_me", "default", "root",
        "test", "123456", "stackops", "nomoresecret", "verybadpass", "wspass", "root_pass", "admin_pass", "rabbit_pass",
        "guest", "letmein", "qwerty",
    )
)  # fmt: skip
_PLACEHOLDER = re.compile(r"<.*>|[A-Z]+_(DB)?PASS|[A-Z_]*PASSWORD|[A-Z]+_SECRET")
"""As the installation guides write them: NOVA_PASS, KEYSTONE_DBPASS, METADATA_SECRET."""
_COMMAND = re.compile(
    r"\b(?:mysql|mariadb|mysqladmin|mariadb-admin|mysqldump|mariadb-dump|mariabackup)\b[^;|&]*?\s"
    r"(?:-p\S+|--password[= ]\S+)"
    r"|\bopenstack\b[^;|&]*?\s--(?:os-)?password[= ]\S+"
    r"|\bcurl\b[^;|&]*?\s(?:-u|--user)[= ]?[^\s:]+:\S+"
)
_COMMAND_LENGTH = 4096
"""Characters of a command that are looked at: the pattern looks again from each name of a program."""
_HEAT_KEY = "notgood but just long enough i t"


def _secrets(one: Config) -> Iterator[tuple[Node, str, str, str]]:
    """Every password that a service's files hold: where, what it is, itself, and whose it is."""
    for section in one.sections:
        for option in section.inside:
            if _SECRET.fullmatch(option_name(option.name)) and option.value not in {"", "<None>"}:
                yield option, f"[{section.name}] {option.name}", option.value, one.value(section.name, "username")
    for found in (transport(one), *databases(one)):
        for peer in found[1].peers if found else ():
            if found and peer.password:
                yield found[0], f"{found[0].name} for {peer.user} at {peer.host}", peer.password, peer.user or ""


def guessed(estate: Estate) -> Iterable[Hit]:
    """Passwords that stand in guides."""
    for one in configs(estate, *ALL):
        for node, what, secret, user in _secrets(one):
            if secret.lower() in _GUESSES or _PLACEHOLDER.fullmatch(secret):
                yield Hit(node.place, f"{what}, a word of a guide")
            elif secret == user:
                yield Hit(node.place, f"{what}, the account's own name")
    for document in estate.of("pacemaker"):
        for node in document.root.walk():
            if len(node.words) == 3 and _SECRET.search(node.words[1]) and node.words[2].lower() in _GUESSES:
                yield Hit(node.place, f"{node.words[1]}, a word of a guide")


def guest(estate: Estate) -> Iterable[Hit]:
    """The account that RabbitMQ lets in from its own machine only."""
    for one in configs(estate, *EVERY):
        found = transport(one)
        away = [peer for peer in found[1].peers if peer.user == "guest"] if found else []
        if found and any(not LOOPBACK.fullmatch(peer.host) for peer in away):
            yield Hit(found[0].place, "transport_url with the account guest")


def readable(estate: Estate) -> Iterable[Hit]:
    """Files with secrets that anybody on the machine may read."""
    for document in estate.of(*ALL, PASTE, "horizon"):
        mode = document.text.mode
        if mode is not None and mode & 0o004 and (what := _held(document)):
            yield Hit(Place(document.text.path, 0, document.host), f"mode {mode:04o}, with {what}")


def _held(document: Document) -> str:
    for section in document.root.inside:
        if section.name == "SECRET_KEY" and len(section.words) == 2:
            return section.name
        for option in section.inside:
            if _SECRET.fullmatch(option_name(option.name)) and option.value not in {"", "<None>"}:
                return option.name
            if re.search(r"://[^/\s:]*:[^/\s@]+@", option.value):
                return option.name
    return ""


def on_command_line(estate: Estate) -> Iterable[Hit]:
    """Passwords in the arguments of a command."""
    for document in estate.documents:
        for node in document.root.walk():
            if len(node.words) > 1 and (match := _COMMAND.search(node.value[:_COMMAND_LENGTH])):
                yield Hit(node.place, f"{node.name}: {match[0].split()[0]} is given a password")


def heat_key(estate: Estate) -> Iterable[Hit]:
    """Heat's key, as it is in the source."""
    for one in configs(estate, "heat"):
        found = one.option("DEFAULT", "auth_encryption_key")
        place = one.option("keystone_authtoken", "auth_url", "auth_type") or one.option("database", "connection")
        if found and found.value == _HEAT_KEY:
            yield Hit(found.place, "auth_encryption_key is the default")
        elif found is None and place and one.has("keystone_authtoken") and one.has("database"):
            yield Hit(Place(place.place.path, 0, one.host), "there is no auth_encryption_key")


def unverified(estate: Estate) -> Iterable[Hit]:
    """Certificates that nobody looks at."""
    for one in configs(estate, *ALL):
        for section in one.sections:
            for option in section.inside:
                name = option_name(option.name)
                if name in {"insecure", "api_insecure", "glance_api_insecure", "auth_insecure"} and _yes(option):
                    yield Hit(option.place, f"[{section.name}] {option.name} = {option.value}")


def _yes(option: Node) -> bool:
    return option.value.lower() in YES


def talkative(estate: Estate) -> Iterable[Hit]:
    """Logs with all that is said."""
    for one in configs(estate, *EVERY):
        found = one.option("DEFAULT", "debug")
        if found and _yes(found):
            yield Hit(found.place, f"[DEFAULT] debug = {found.value}")


def plain_identity(estate: Estate) -> Iterable[Hit]:
    """Passwords on their way in clear text."""
    for one in configs(estate, *EVERY):
        found = one.option("keystone_authtoken", "auth_url")
        match = re.match(r"http://\[?([^/\]:]+)", found.value) if found else None
        if found and match and not LOOPBACK.fullmatch(match[1]):
            yield Hit(found.place, f"[keystone_authtoken] auth_url = {found.value}")


def no_service_role(estate: Estate) -> Iterable[Hit]:
    """Tokens of anybody that pass for those of a service."""
    for one in configs(estate, *EVERY):
        found = one.option("keystone_authtoken", "service_token_roles_required")
        if found and found.value.lower() not in YES:
            yield Hit(found.place, f"service_token_roles_required = {found.value}")


RULES = (
    Rule(
        "SEC001",
        Severity.ERROR,
        "a file with secrets that everybody on the machine may read",
        "Any account of the machine, and any program that is broken into, has the password.",
        "https://docs.openstack.org/security-guide/identity/checklist.html",
        "chmod o-rwx, with the service's group as its group.",
        "",
        readable,
    ),
    Rule(
        "SEC002",
        Severity.ERROR,
        "a password out of a guide",
        "It is the first that anybody tries.",
        "https://docs.openstack.org/install-guide/environment-security.html",
        "Write one of chance: openssl rand -hex 16.",
        "",
        guessed,
    ),
    Rule(
        "SEC003",
        Severity.ERROR,
        "RabbitMQ's account guest, from another machine",
        "RabbitMQ lets guest in from its own machine only: at any other node the service is refused. Where that was "
        "changed, anybody who knows the name may come in.",
        "https://www.rabbitmq.com/docs/access-control#loopback-users",
        "Make an account with a password of chance, and remove guest.",
        "power-cut on the service's own node: it cannot log in at the others",
        guest,
    ),
    Rule(
        "SEC004",
        Severity.ERROR,
        "a password among the arguments of a command",
        "Everybody on the machine sees it in the list of processes while it runs, and it stays in logs and histories.",
        "https://dev.mysql.com/doc/refman/8.4/en/password-security-user.html",
        "Put it into a file that only this program may read: --defaults-extra-file for MariaDB's clients.",
        "",
        on_command_line,
    ),
    Rule(
        "SEC005",
        Severity.ERROR,
        "Heat encrypts with the key that is in its source",
        "Trusts and hidden parameters in Heat's database are encrypted with a key that everybody can look up.",
        "https://docs.openstack.org/heat/latest/configuration/config-options.html: auth_encryption_key",
        "Write 32 characters of chance, the same on all controllers: openssl rand -hex 16.",
        "",
        heat_key,
    ),
    Rule(
        "SEC006",
        Severity.WARNING,
        "a service looks at no certificate",
        "Whoever is between two services reads passwords and tokens, though there is TLS.",
        "https://docs.openstack.org/security-guide/secure-communication/introduction-to-ssl-and-tls.html",
        "Take it out, and name the authority in cafile.",
        "",
        unverified,
    ),
    Rule(
        "SEC007",
        Severity.NOTE,
        "a service logs all that is said",
        "Debug output may hold tokens, passwords of new accounts and user data, and fills the disk sooner.",
        "https://docs.openstack.org/security-guide/identity/checklist.html",
        "Write debug = false.",
        "disk-full",
        talkative,
    ),
    Rule(
        "SEC008",
        Severity.NOTE,
        "a service sends its password in clear text",
        "Whoever can listen on the way to Keystone has the account of the service, which may do everything with it.",
        "https://docs.openstack.org/security-guide/identity/checklist.html#check-identity-04-is-tls-enabled-for-identity",
        "Give Keystone TLS and write https://, or see to it that nobody else is on that network.",
        "",
        plain_identity,
    ),
    Rule(
        "SEC009",
        Severity.WARNING,
        "any token passes for a service's",
        "A user may send his own token as that of a service: expired tokens are accepted from him, too.",
        "https://docs.openstack.org/keystonemiddleware/latest/middlewarearchitecture.html: "
        "service_token_roles_required",
        "Write service_token_roles_required = true, and give the accounts of services the role service.",
        "",
        no_service_role,
    ),
)
