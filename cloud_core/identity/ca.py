"""A small certificate authority: its own certificate, and those of the mesh's NATS servers.

P-256, because every TLS library on every board speaks it. Clients pin the authority, not a server.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_core.issuer import write_secret
from protocol.errors import ConflictError

AUTHORITY_DAYS, SERVER_DAYS = 3650, 730
RENEW_DAYS = 60
"""A server's certificate that ends sooner is made anew by the next `init`."""
LEEWAY = timedelta(days=1)
"""Clocks differ: what is made now was valid yesterday."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose signature clients look for."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def kept(cls, certificate: Path, key: Path, now: float) -> "Authority":
        """Return the one in these files, made there when there is none: the mesh's, or your own.

        Raises `ConflictError` for a file that is not what it should be.
        """
        if not certificate.exists() and not key.exists():
            made = _made(now)
            write_secret(key, _key_pem(made.key))
            write_secret(certificate, _pem(made.certificate))
            return made
        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise ConflictError(
                f"{certificate} and {key} are not a certificate and its key, in PEM",
                "give both, without a passphrase, or neither: one is made",
            ) from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ConflictError(f"{key} is not an elliptic curve key", "use P-256")
        return cls(found, private)

    def pem(self) -> str:
        """What clients pin."""
        return _pem(self.certificate)

    def server(self, host: str, certificate: Path, key: Path, now: float) -> None:
        """Write a server's certificate and its key, unless there is one that lasts."""
        if _lasts(certificate, key, self.certificate, host, now):
            return
        private = ec.generate_private_key(ec.SECP256R1())
        names = [_name(host), x509.DNSName("localhost"), _name("127.0.0.1")]
        builder = _builder(host, self.certificate.subject, private, now, SERVER_DAYS)
        made = (
            builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        write_secret(key, _key_pem(private))
        write_secret(certificate, _pem(made))


def ends(certificate: Path) -> float:
    """Return when a certificate ends, in seconds since the epoch; raise `ConflictError`."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise ConflictError(f"{certificate} is not a certificate in PEM") from error
    return found.not_valid_after_utc.timestamp()


def _made(now: float) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tiermesh")])
    usage = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        _builder("tiermesh", name, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(made, key)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - LEEWAY)
        .not_valid_after(start + timedelta(days=days))
    )


def _lasts(certificate: Path, key: Path, by: x509.Certificate, host: str, now: float) -> bool:
    """Whether it is there, for this host, of this authority, and good for a while."""
    if not certificate.exists() or not key.exists():
        return False
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    soon = datetime.fromtimestamp(now, UTC) + timedelta(days=RENEW_DAYS)
    return found.issuer == by.subject and _name(host) in names and found.not_valid_after_utc > soon


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
