"""A certificate authority of the local world's own, and its server certificates."""

import datetime
import ipaddress
import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from taktgate.edge.files import publish

log = logging.getLogger(__name__)

LIFETIME = datetime.timedelta(days=365)
CLOCK_TOLERANCE = datetime.timedelta(days=1)
SHORTEST_REST = datetime.timedelta(days=7)
"""A kept authority that ends sooner is replaced."""
_CA_FILE, _KEY_FILE = "ca.pem", "ca-key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A key with its certificate, as PEM texts."""

    key_pem: str
    certificate_pem: str
    expires_at: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """Signs server certificates; its own certificate is the world's trust bundle."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def ca_file(self) -> Path:
        """The PEM file that clients must trust."""
        return self.directory / _CA_FILE

    @property
    def trust_bundle(self) -> str:
        """The CA certificate as PEM text, as the workload API returns it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(
        self, common_name: str, names: Iterable[str], *, is_server: bool
    ) -> IssuedCertificate:
        """Return a new key with its certificate for *names* (DNS, IP address or URI)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(
            subject=common_name,
            public_key=key.public_key(),
            issuer=self.certificate.subject,
            signer=self.key,
            is_ca=False,
            hosts=names,
            use=ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH,
        )
        return IssuedCertificate(
            key_pem=_pem_key(key).decode("ascii"),
            certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"),
            expires_at=certificate.not_valid_after_utc,
        )

    def server_context(self, name: str, hosts: Iterable[str]) -> ssl.SSLContext:
        """Return a server-side TLS context (1.2 or newer) for *hosts* (IP addresses or names)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(
            subject=name,
            public_key=key.public_key(),
            issuer=self.certificate.subject,
            signer=self.key,
            is_ca=False,
            hosts=hosts,
        )
        path = self.directory / f"{name}.pem"
        pem = _pem_key(key) + certificate.public_bytes(serialization.Encoding.PEM)
        publish(path, pem, mode=0o600)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context


def open_authority(directory: Path) -> CertificateAuthority:
    """Return the authority kept in *directory*, or a new one when none there is fit for use."""
    kept = _kept_authority(directory)
    return create_authority(directory) if kept is None else kept


def create_authority(
    directory: Path, *, lifetime: datetime.timedelta = LIFETIME
) -> CertificateAuthority:
    """Create a new certificate authority whose files live in *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Taktgate local test CA")])
    certificate = _signed(
        subject="Taktgate local test CA",
        public_key=key.public_key(),
        issuer=subject,
        signer=key,
        is_ca=True,
        hosts=(),
        lifetime=lifetime,
    )
    authority = CertificateAuthority(directory=directory, key=key, certificate=certificate)
    # The certificate comes last: after a kill between the two the pair does not fit, and is not
    # taken for a kept one.
    publish(directory / _KEY_FILE, _pem_key(key), mode=0o600)
    publish(authority.ca_file, authority.trust_bundle.encode("ascii"), mode=0o644)
    return authority


def _kept_authority(directory: Path) -> CertificateAuthority | None:
    try:
        key = serialization.load_pem_private_key((directory / _KEY_FILE).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((directory / _CA_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("kept CA cannot be read, making a new one", extra={"reason": str(error)})
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _is_fit(certificate, key):
        log.warning("kept CA ends soon or is not one, making a new one")
        return None
    return CertificateAuthority(directory=directory, key=key, certificate=certificate)


def _is_fit(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    rest = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return certificate.public_key() == key.public_key() and rest >= SHORTEST_REST


def _signed(
    *,
    subject: str,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    is_ca: bool,
    hosts: Iterable[str],
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    lifetime: datetime.timedelta = LIFETIME,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False).add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
    return builder.sign(signer, hashes.SHA256())


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    if "://" in host:
        return x509.UniformResourceIdentifier(host)
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
