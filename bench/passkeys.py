"""Part `passkeys`: the CPU time of one verified assertion, and what loading fido2 costs a process."""

import json
import os
import subprocess
import sys
import time
from statistics import median

from bench.measure import percentile
from bench.sites import ROOT
from bench.table import Table
from twofactor import cose, webauthn
from twofactor.tests.softkey import SoftKey

ORIGIN = "https://example.com"
EXPECTED = webauthn.Expected(challenge=bytes(32), rp_id="example.com", origins=[ORIGIN])
OPTIONS = {"challenge": "A" * 43, "rpId": "example.com"}  # the same challenge in base64url
ALGORITHMS = {cose.ES256: "ES256", cose.ED25519: "Ed25519", cose.RS256: "RS256"}
# A process that has loaded the app loads fido2.
LOAD = """
import django, time
from pathlib import Path
django.setup()
import twofactor.urls

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

before, began = resident(), time.process_time()
import fido2.cbor, fido2.cose, fido2.webauthn
print((time.process_time() - began) * 1000, (resident() - before) / 1024)
"""


def assertions(*, rounds: int) -> Table:
    """Verify assertions of a key in software, without the database and the request around them."""
    table = Table("One verified assertion", ("algorithm", "CPU ms", "p95"))
    for algorithm, name in ALGORITHMS.items():
        times = [cost_of_one(SoftKey(algorithm)) for _ in range(rounds + 1)][1:]  # the first one loads fido2
        table.add(name, f"{median(times):.2f}", f"{percentile(times, 95):.2f}")
    return table


def cost_of_one(key: SoftKey) -> float:
    """Return the CPU time of one assertion by this key, in milliseconds."""
    answer, public_key = json.dumps(key.get(OPTIONS, origin=ORIGIN)), key.public_key
    began = time.process_time()
    webauthn.verify_assertion(answer, EXPECTED, public_key=public_key, user_handle=b"", backup_eligible=True)
    return (time.process_time() - began) * 1000


def loading(*, rounds: int) -> Table:
    """Load fido2 in new processes, as the first passkey page does. The memory is read from /proc."""
    table = Table("Loading fido2", ("CPU ms", "MB"))
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "twofactor.tests.settings"}
    command = [sys.executable, "-c", LOAD]
    runs = [subprocess.check_output(command, cwd=ROOT, env=env, text=True).split() for _ in range(rounds)]
    table.add(*(f"{median(float(run[at]) for run in runs):.1f}" for at in (0, 1)))
    return table
