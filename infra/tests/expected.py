"""What the code expects of the account, read out of the code."""

import re

from templates import INFRA

ROOT = INFRA.parent


def _constant(path, name):
    found = re.search(rf"const {name}: [^=]+= ([^;]+);", (ROOT / path).read_text())
    if not found:
        raise ValueError(f"{path} has no constant {name}")
    return found[1].strip().strip('"')


def _of_boot(name):
    found = re.search(rf'^{name}="?([^"\n]+)"?$', (INFRA / "instance/boot").read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"instance/boot has no {name}")
    return found[1]


def _default_of_leases():
    text = (ROOT / "shared/config/src/fleet.rs").read_text()
    found = re.search(r"Leases \{ visibility: Duration::from_secs\((\d+)\), max_receives: (\d+) \}", text)
    if not found:
        raise ValueError("shared/config/src/fleet.rs has no default for [leases]")
    return int(found[1]), int(found[2])


NAMES = "shared/fleet/src/names.rs"
DRAIN_HOOK = _constant(NAMES, "DRAIN_HOOK")
# What instance/boot says that it completes, and how long it stays for its console before it gives up.
BOOT_HOOK = _of_boot("boot_hook")
LINGER_SECS = int(_of_boot("linger_secs"))
VISIBILITY_SECS, MAX_RECEIVES = _default_of_leases()
RECEIVE_SLACK = int(_constant("worker/src/executor.rs", "RECEIVE_SLACK"))
# A worker is gone within this (docs/promises.md, promise 9).
GONE_SECS = 100
# A start takes no longer than this: twice what one in twenty takes (scheduler/src/simulate/settings.rs).
START_SECS = 300


def metrics():
    """Every metric, and the name of its dimension."""
    text = (ROOT / NAMES).read_text()
    table = re.search(r"pub const ALL: [^=]+= \[(.*?)\];", text, re.DOTALL)[1]
    found = re.findall(r"\((\w+), (?:Some\((\w+)\)|None)\)", table)
    return {_constant(NAMES, name): dimension and _constant(NAMES, dimension) for name, dimension in found}
