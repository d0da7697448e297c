# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test, by openssl(1): certificates good and bad, and lists of revoked ones."""

import os
import subprocess

# Of `openssl ca`: dates in the past, serial numbers, revocation.
CONFIG = """
[ca]
default_ca = this
[this]
dir = {dir}
database = {dir}/index.txt
new_certs_dir = {dir}/issued
serial = {dir}/serial
crlnumber = {dir}/crlnumber
certificate = {dir}/ca.crt
private_key = {dir}/ca.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
[v3_ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
PAST = ("20200101000000Z", "20200201000000Z")
FUTURE = ("20700101000000Z", "20700201000000Z")
NOW = ("20200101000000Z", "20700101000000Z")


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(map(str, words))}:\n{done.stderr}"
    return done.stdout


class Identity:
    """A certificate with its key: names of files."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key


class Authority:
    """A CA whose files are in a directory of its own; `ca` is its certificate, `crl` its list (after make_crl)."""

    def __init__(self, directory, name="test-ca"):
        self.dir = os.path.join(str(directory), name)
        os.makedirs(os.path.join(self.dir, "issued"))
        self.config = os.path.join(self.dir, "ca.cnf")
        self.ca = os.path.join(self.dir, "ca.crt")
        self.crl = os.path.join(self.dir, "ca.crl")
        self._write("ca.cnf", CONFIG.format(dir=self.dir))
        self._write("index.txt", "")
        self._write("serial", "1000\n")
        self._write("crlnumber", "01\n")
        key = self._key("ca")
        openssl(
            *("req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", 3650, "-out", self.ca),
            *("-config", self.config, "-extensions", "v3_ca"),
        )

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def _key(self, name):
        path = os.path.join(self.dir, f"{name}.key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        os.chmod(path, 0o600)
        return path

    def issue(self, name, san=None, usage=None, valid=NOW, file=None):
        """An Identity for that common name. san: "DNS:host-b,IP:192.0.2.2"; usage: "clientAuth"; file: its files' name."""
        file = file or name
        key = self._key(file)
        request, cert = (os.path.join(self.dir, f"{file}.{end}") for end in ("csr", "crt"))
        lines = ["basicConstraints = CA:false"]
        if san:
            lines.append(f"subjectAltName = {san}")
        if usage:
            lines.append(f"extendedKeyUsage = {usage}")
        extensions = self._write(f"{file}.ext", "\n".join(lines) + "\n")
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request, "-config", self.config)
        openssl(
            *("ca", "-batch", "-notext", "-config", self.config, "-in", request, "-out", cert),
            *("-startdate", valid[0], "-enddate", valid[1], "-extfile", extensions),
        )
        return Identity(cert, key)

    def revoke(self, identity):
        openssl("ca", "-config", self.config, "-revoke", identity.cert)

    def make_crl(self, days=30):
        """Writes the list of what is revoked now; days 0: one that is out of date at once."""
        words = ["-crldays", days] if days else ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"]
        openssl("ca", "-config", self.config, "-gencrl", "-out", self.crl, *words)
        return self.crl
