"""A certificate for the loopback, made for one run, and a bundle of those that are trusted."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def make_certificate(folder: Path) -> Path:
    """Write a key and its own certificate into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-ins")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    file = folder / "stand-ins.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return file


def make_bundle(folder: Path, certificate: Path) -> Path:
    """Write the machine's trusted certificates and ours, for ``SSL_CERT_FILE``.

    All of them, since that is what a client reads when it opens a connection.
    """
    known = ssl.get_default_verify_paths().cafile or certifi.where()
    ours = certificate.read_text(encoding="ascii").partition("-----BEGIN CERTIFICATE-----")
    file = folder / "trusted.pem"
    file.write_text(
        Path(known).read_text(encoding="utf-8") + "\n" + ours[1] + ours[2], encoding="utf-8"
    )
    return file
