"""An authority on loopback: Let's Encrypt's `pebble` with `pebble-challtestsrv` as its name server (Debian's package `pebble`).

All names lead to 127.0.0.1. Pebble 2.4 knows neither ARI nor profiles. `with Pebble(…) as authority:`; both end with the block.
"""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from .errors import Void
from .stage import end, free_port

NEEDED = ("pebble", "pebble-challtestsrv", "openssl")
PATIENCE = 20.0  # seconds until it listens


def missing() -> list[str]:
    """Programs that are not there."""
    return [name for name in NEEDED if not shutil.which(name)]


class Pebble:
    """`http` and `https` are the ports it proves names at; so many of a hundred good nonces are refused."""

    def __init__(self, http: int, https: int, nonce_reject: int = 0):
        self.http, self.https, self.nonce_reject = http, https, nonce_reject
        self.port, self.management, self.dns, self.names = (free_port() for _ in range(4))
        self._ends, self._authority = contextlib.ExitStack(), None

    def __enter__(self) -> "Pebble":
        with self._ends:
            self.folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-pebble-")))
            self.folder.chmod(0o755)
            self.root = self._certify()
            config = {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                      "certificate": str(self.folder / "own.pem"), "privateKey": str(self.folder / "own.key"),
                      "httpPort": self.http, "tlsPort": self.https, "ocspResponderURL": "", "externalAccountBindingRequired": False}
            (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))
            none = [word for kind in ("-http01", "-https01", "-tlsalpn01") for word in (kind, "")]
            self._run("names", ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", *none, "-dns01", f"127.0.0.1:{self.dns}",
                                "-management", f"127.0.0.1:{self.names}"])
            self._ends.callback(self.stop)
            self.start()
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._ends.close()

    @property
    def directory(self) -> str:
        """URL of its directory."""
        return f"https://localhost:{self.port}/dir"

    def start(self) -> None:
        """An authority that knows nothing of a former one; its issuer is another one too."""
        command = ["pebble", "-config", str(self.folder / "pebble.json"), "-strict", "-dnsserver", f"127.0.0.1:{self.dns}"]
        own = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": str(self.nonce_reject)}
        self._authority = self._run("pebble", command, env={**os.environ, **own})
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._manage("/roots/0")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise Void(f"pebble does not answer:\n{self.said()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends the authority; names go on being known."""
        if self._authority:
            end(self._authority, 15)
            self._authority = None

    def issuer(self) -> str:
        """PEM of the root that its certificates are checked with."""
        return self._manage("/roots/0")

    def orders(self) -> int:
        """How many were placed since it began."""
        return len(re.findall(r"There are now \d+ orders in the db", self.said()))

    def certificates(self) -> int:
        """How many it gave."""
        return self.said().count("Issued certificate serial")

    def revoked(self, serial: str) -> bool:
        """Whether the certificate of this serial number, in hexadecimal, was revoked."""
        return "Revoked" in self._manage(f"/cert-status-by-serial/{serial.lower().lstrip('0')}")

    def lead(self, name: str, address: str | None) -> None:
        """For the authority, a name leads there; `None`: to 127.0.0.1 again."""
        verb = ("add-a", {"host": f"{name}.", "addresses": [address]}) if address else ("clear-a", {"host": f"{name}."})
        self._tell(*verb)

    def records(self, wait_for: Path | None = None) -> Path:
        """A command for records, as a user would write it. Where `wait_for` is given, it hangs as long as there is no such file."""
        script = self.folder / "record.py"
        waits = f"\nwhile verb == 'set' and not os.path.exists({str(wait_for)!r}):\n    time.sleep(0.05)" if wait_for else ""
        script.write_text(f"""import json, os, sys, time, urllib.request
verb, name, value = sys.argv[1:]{waits}
body = json.dumps({{"host": name + ".", "value": value}}).encode()
path = {{"set": "set-txt", "unset": "clear-txt"}}[verb]
urllib.request.urlopen("http://127.0.0.1:{self.names}/" + path, body, 5)
""")
        return script

    def said(self) -> str:
        """What it has said."""
        return (self.folder / "pebble.out").read_text(errors="replace")

    def _run(self, name: str, command: list[str], **more) -> subprocess.Popen:
        with open(self.folder / f"{name}.out", "ab") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder, **more)
        self._ends.callback(end, process, 15)
        return process

    def _tell(self, verb: str, body: dict) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{self.names}/{verb}", json.dumps(body).encode(), 5)

    def _manage(self, path: str) -> str:
        context = ssl.create_default_context(cafile=str(self.root))
        with urllib.request.urlopen(f"https://localhost:{self.management}{path}", timeout=5, context=context) as answer:
            return answer.read().decode()

    def _certify(self) -> Path:
        """A root, and the certificate of its directory."""
        def run(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        run("req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=bench root", "-days", "2")
        run("req", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost")
        (self.folder / "own.ext").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        run("x509", "-req", "-in", "own.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "2", "-extfile", "own.ext",
            "-out", "own.pem")
        return self.folder / "root.pem"
