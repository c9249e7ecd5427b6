"""Keys and certificates of a lab: made here, used nowhere else, gone with the lab."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Keypair:
    """An ssh key: the private half as ssh reads it, the public half as one line."""

    private: bytes
    public: str


def new_keypair() -> Keypair:
    """Make an ssh key."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return Keypair(private, _public(key))


def keypair_at(path: Path) -> Keypair:
    """Return the ssh key in this file, making it (0600) where there is none."""
    if not path.exists():
        write_private(path, new_keypair().private)
    private = path.read_bytes()
    key = serialization.load_ssh_private_key(private, password=None)
    return Keypair(private, _public(key))


def _public(key: serialization.ssh.SSHPrivateKeyTypes) -> str:
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    draft.replace(path)


def machine_id(lab_identity: str, machine: str) -> str:
    """Return a machine id: different in each lab and for each machine, the same over power cycles. Pure."""
    digits = hashlib.sha256(f"{lab_identity} {machine}".encode()).hexdigest()
    return f"{digits[:12]}4{digits[13:16]}8{digits[17:32]}"  # a version 4 UUID, as systemd makes them


def self_signed(address: str) -> tuple[bytes, bytes]:
    """Return a key and a certificate for https on the address, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quorate lab power")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)
