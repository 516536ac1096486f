"""The cluster's certificate authority, certificates and kubeconfigs. All are valid for one year."""

import base64
import datetime
import ipaddress
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NODE_NAME = "node0"
SERVICE_ADDRESS = "10.96.0.1"  # of the service `kubernetes`: the first address of the service range
_API_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", SERVICE_ADDRESS)

# file name -> (common name = user, organisation = group)
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """A certificate authority that writes what it issues into one folder."""

    def __init__(self, folder: Path) -> None:
        """Make the authority's own key and certificate."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nnunet-local-cluster")])
        certificate = self._build(self._name, self._key.public_key(), is_authority=True, names=())
        _write(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file_name: str, user: str, group: str = "", names: Sequence[str] = ()) -> None:
        """Write `<file_name>.key` and `.crt` for a user of a group; a server gets its host `names` too."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        certificate = self._build(x509.Name(attributes), key.public_key(), is_authority=False, names=names)
        _write(self._folder / f"{file_name}.key", _pem(key))
        _write(self._folder / f"{file_name}.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, is_authority: bool, names: Sequence[str]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            # Python 3.13 and newer refuse chains without key identifiers and key usage (RFC 5280).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_key_usage(is_authority), critical=True)
        )
        if not is_authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(usage, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def write_pki(folder: Path, server_address: str) -> None:
    """Make all certificates and keys in `folder`, completely or not at all; keep what is there already."""
    if folder.is_dir():
        return
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    authority = Authority(partial)
    authority.issue("apiserver", "kube-apiserver", names=(*_API_NAMES, server_address))
    authority.issue("kubelet", f"system:node:{NODE_NAME}", "system:nodes", names=(NODE_NAME, server_address))
    for file_name, (user, group) in _CLIENTS.items():
        authority.issue(file_name, user, group)
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write(partial / "service-accounts.key", _pem(tokens))
    public = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(partial / "service-accounts.pub", public)
    partial.rename(folder)


def write_kubeconfig(path: Path, pki: Path, user: str, server: str) -> None:
    """Write the kubeconfig of `user`, one of the certificates in `pki`; `server` is the API server's URL."""

    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "nnunet-local",
        "clusters": [
            {"name": "nnunet-local", "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")},
            }
        ],
        "contexts": [{"name": "nnunet-local", "context": {"cluster": "nnunet-local", "user": user}}],
    }
    _write(path, json.dumps(config, indent=2).encode())


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
