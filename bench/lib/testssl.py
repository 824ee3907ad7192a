"""Debian's testssl.sh against a stage, and what of its findings is a fault."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from .errors import Void
from .stage import Stage

CHECKS = ["--protocols", "--std", "--fs", "--server-preference", "--server-defaults", "--headers"]
SLOW = ["--vulnerable"]

PROTOCOLS = {"SSLv2": False, "SSLv3": False, "TLS1": False, "TLS1_1": False, "TLS1_2": True, "TLS1_3": True}
GOOD = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)")
VULNERABILITIES = {"heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "fallback_SCSV", "SWEET32",
                   "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"}
KNOWN = {
    "BREACH": "names every compressed answer; it takes a secret and the attacker's own text in one page: `compress = false` there",
    "cipher_order": "all suites are strong, so the client's order counts: who has no AES in hardware takes ChaCha20",
    "secure_renego": "testssl.sh asks without a server name here, and is refused; rustls knows no renegotiation",
    "HSTS": "not for local names",
    "cert_revocation": "of the local authority",
    "DNS_CAArecord": "of the made-up name",
    "engine_problem": "of the openssl that testssl.sh uses",
}



def program() -> str | None:
    """testssl.sh, if it is there."""
    return shutil.which("testssl") or shutil.which("testssl.sh")


def scan(port: int, host: str, root: Path, quick: bool = False, keep: Path | None = None) -> list[dict]:
    """What it finds at a port of loopback. `quick` leaves out the vulnerabilities."""
    with tempfile.TemporaryDirectory() as folder:
        out = keep or Path(folder) / "found.json"
        out.unlink(missing_ok=True)  # testssl.sh writes over nothing
        command = [program(), "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--add-ca", str(root), "--jsonfile",
                   str(out), *CHECKS, *([] if quick else SLOW), f"https://{host}:{port}/"]
        began = time.monotonic()
        said = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        print(f"testssl.sh: {time.monotonic() - began:.0f} s")
        try:
            return json.loads(out.read_text())
        except (OSError, ValueError):
            raise Void(f"testssl.sh: {said.stdout}{said.stderr}") from None


def accepted(stage: Stage, host: str, root: Path) -> list[str]:
    """Which of all suites up to TLS 1.2 that OpenSSL knows the door takes, each offered alone."""
    def context(suites: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(root))
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{suites}:@SECLEVEL=0")
        return context

    taken = []
    for suite in [one["name"] for one in context("ALL:COMPLEMENTOFALL").get_ciphers() if one["protocol"] != "TLSv1.3"]:
        try:
            with context(suite).wrap_socket(socket.create_connection(("127.0.0.1", stage.https)), server_hostname=host):
                taken.append(suite)
        except ssl.SSLError:
            pass  # refused
    return taken


def judge(found: list[dict], suites: list[str], quick: bool, more: dict[str, str] | None = None) -> int:
    """Prints it; 0 where nothing is worse than OK but what is known, here or in `more`, else 1."""
    by_id, wrong = {one["id"]: one for one in found}, []
    for protocol, wanted in PROTOCOLS.items():
        said = by_id[protocol]["finding"]
        if said.startswith("offered") != wanted:
            wrong.append(f"{protocol}: {said}")
    print(f"suites of TLS 1.2: {' '.join(suites)}")
    wrong += [f"not forward secret, or no AEAD: {suite}" for suite in suites if not GOOD.fullmatch(suite)]
    if not suites:
        wrong.append("no suite of TLS 1.2 was taken")
    if not quick:
        wrong += [f"not looked at: {name}" for name in sorted(VULNERABILITIES - by_id.keys())]
    for one in found:
        if one["severity"] not in ("OK", "INFO"):
            known = {**KNOWN, **(more or {})}.get(one["id"].split(" ")[0])
            line = f"{one['severity']:<8} {one['id']}: {one['finding']}"
            print(f"known    {line}\n         ({known})") if known else wrong.append(line)
    print(f"{len(found)} findings, {sum(one['severity'] == 'OK' for one in found)} OK")
    for line in wrong:
        print(f"NOT OK   {line}")
    return 1 if wrong else 0
