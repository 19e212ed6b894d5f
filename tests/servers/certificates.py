"""Certificates with openssl: self-signed ones for the servers here, and what an issued one really says."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def openssl(*arguments: str | Path, text: str = "") -> str:
    done = subprocess.run(
        ["/usr/bin/openssl", *map(str, arguments)], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class KeyPair:
    certificate: Path
    key: Path


def self_signed(directory: Path, *names: str) -> KeyPair:
    """A certificate that nobody trusts. Names are as in subjectAltName: "DNS:localhost", "IP:127.0.0.1"."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(directory / "self-signed.pem", directory / "self-signed.key")
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
        "-subj", "/CN=self-signed", "-addext", f"subjectAltName={','.join(names)}",
        "-out", pair.certificate, "-keyout", pair.key,
    )  # fmt: skip
    return pair


def new_key(file: Path) -> None:
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file)


def dated(
    file: Path, key: Path, name: str, begin: float, end: float, *, extensions: str = "", serial: str = "01"
) -> None:
    """A self-signed certificate whose life begins and ends then. Extensions are lines of openssl's configuration."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "index").write_text("")
        Path(scratch, "serial").write_text(f"{serial}\n")
        config = Path(scratch, "ca.conf")
        config.write_text(
            f"[ca]\ndefault_ca = this\n[this]\ndatabase = {scratch}/index\nserial = {scratch}/serial\n"
            f"new_certs_dir = {scratch}\ndefault_md = sha256\npolicy = any\nx509_extensions = extensions\n"
            f"[any]\ncommonName = supplied\n[extensions]\n{extensions}\n"
        )
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", f"{scratch}/csr")
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(date)) for date in (begin, end)]
        openssl(
            "ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key, "-in", f"{scratch}/csr",
            "-startdate", dates[0], "-enddate", dates[1], "-out", file,
        )  # fmt: skip


@dataclass(frozen=True)
class Certificate:
    names: frozenset[str]
    subject: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    public_key: str


def split_chain(pem: str) -> list[str]:
    return _PEM.findall(pem)


def read(pem: str) -> Certificate:
    """What the first certificate in `pem` says."""
    text = openssl(
        "x509", "-noout", "-subject", "-issuer", "-serial", "-dates", "-ext", "subjectAltName",
        "-nameopt", "RFC2253", text=pem,
    )  # fmt: skip
    fields = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))
    return Certificate(
        names=frozenset(re.findall(r"DNS:([^,\s]+)", text)),
        subject=fields["subject"],
        issuer=fields["issuer"],
        serial=fields["serial"],
        not_before=fields["notBefore"],
        not_after=fields["notAfter"],
        public_key=openssl("x509", "-noout", "-pubkey", text=pem),
    )


def public_key_of(private_key: Path) -> str:
    return openssl("pkey", "-in", private_key, "-pubout")


def verify(directory: Path, chain: list[str], root: str, name: str) -> None:
    """Fails unless the chain leads from a certificate for `name` to the root."""
    files = {"leaf": chain[0], "intermediates": "".join(chain[1:]), "root": root}
    for file, text in files.items():
        (directory / f"{file}.pem").write_text(text)
    openssl(
        "verify", "-no-CAfile", "-no-CApath", "-CAfile", directory / "root.pem",
        "-untrusted", directory / "intermediates.pem", "-purpose", "sslserver", "-verify_hostname", name,
        directory / "leaf.pem",
    )  # fmt: skip
