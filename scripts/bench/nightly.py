"""The measurement that scripts/bench/nightly starts: a first load, a night with 1 % changed, a night with
10 % changed, by Feedfleet and by its peers. README.md beside this file says what is measured and how.

This process stays small: the kernel counts a parent's memory as its child's for a moment, and the peak
memory of the children is one of the results.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import make_feed
import product_columns

HERE = Path(__file__).resolve().parent
PEERS = ("duckdb-delete-insert", "duckdb-merge", "delta-rs-merge")
# Each measurement: its title, the night, the fraction that changed.
FIRST = ("first load", 1, 0.0)
NIGHTS = (("1 % night", 2, 0.01), ("10 % night", 2, 0.10))
MIB = 1 << 20

# What --check asks of Feedfleet.
MOST_WALL = 0.25
MOST_BYTES = 0.05
MOST_MEMORY = 1 << 30

FLEET = """# Made by scripts/bench/nightly.
[workers]
max = 1
memory = "1GiB"
"""


def main():
    given = arguments()
    with folder_for(given.dir) as folder:
        feeds = make_feeds(folder, given.rows)
        results = {"feedfleet": measure_feedfleet(folder, given.feedfleet, feeds)}
        for peer in given.peers:
            results[peer] = measure_peer(folder, peer, feeds, given.peer_seconds)
    wrong = differences(feeds, results)
    show_feedfleet(feeds, results["feedfleet"])
    show_side_by_side(feeds, results)
    failed = show_checks(results) if given.check else []
    if given.json:
        Path(given.json).write_text(json.dumps({"feeds": feeds, "results": results}, indent=2) + "\n")
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(1 if failed or wrong else 0)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench/nightly", description="Measures a night's load.")
    parser.add_argument("--rows", type=int, default=200_000, help="products; 1000000 is the full size")
    parser.add_argument("--dir", type=Path, help="work here and keep everything; default: a temporary folder")
    parser.add_argument("--check", action="store_true", help="fail where Feedfleet is past its limits")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {', '.join(PEERS)}; or none")
    parser.add_argument("--peer-seconds", type=int, default=1800, help="longest time for one load of a peer")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--feedfleet", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.peers = [] if given.peers == "none" else given.peers.split(",")
    unknown = [peer for peer in given.peers if peer not in PEERS]
    if unknown or given.rows < 1000:
        parser.error(f"unknown peers: {unknown}" if unknown else "expected --rows of at least 1000")
    return given


@contextmanager
def folder_for(chosen):
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="feedfleet-bench-") as folder:
            yield Path(folder)
        return
    chosen.mkdir(parents=True, exist_ok=True)
    if any(chosen.iterdir()):
        raise SystemExit(f"{chosen} is not empty")
    yield chosen.resolve()


def say(text):
    print(text, file=sys.stderr, flush=True)


def make_feeds(folder, rows):
    """Makes the three feeds; what is in each, by its title."""
    feeds = {}
    for number, (title, night, changed) in enumerate((FIRST, *NIGHTS)):
        path = folder / f"feed-{number}.csv"
        say(f"making the feed of the {title}")
        command = [sys.executable, HERE / "make_feed.py", "--rows", str(rows), "--night", str(night)]
        command += ["--changed", str(changed), "--out", path]
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        feeds[title] = {**json.loads(made.stdout), "path": str(path)}
    return feeds


def measure_feedfleet(folder, binary, feeds):
    """Runs the pipe on each feed; the nights both begin from the state of the first load."""
    current = folder / "feed.csv"
    first = folder / "fleet"
    write_fleet(first, current)
    measured = {FIRST[0]: run_feedfleet(binary, first, current, FIRST[0], feeds)}
    for number, (title, _, _) in enumerate(NIGHTS, 1):
        fleet = folder / f"fleet-{number}"
        shutil.copytree(first, fleet)
        measured[title] = run_feedfleet(binary, fleet, current, title, feeds)
    return measured


def write_fleet(fleet, feed):
    kinds = product_columns.by_source()
    lines = ["[source]", 'kind = "feed"', f"url = {json.dumps(str(feed))}", 'format = "csv"', "", "[map]"]
    for name in make_feed.COLUMNS:
        match kinds[name]:
            case "Decimal":
                lines.append(f'{name} = {{ field = "{name}", as = "money" }}')
            case "TextList":
                lines.append(f'{name} = {{ field = "{name}", split = "," }}')
            case _:
                lines.append(f'{name} = "{name}"')
    lines += ["", "[images]", "mirror = false", ""]
    (fleet / "pipes").mkdir(parents=True)
    (fleet / "fleet.toml").write_text(FLEET)
    (fleet / "pipes" / "bench.toml").write_text("\n".join(lines))


def run_feedfleet(binary, fleet, current, title, feeds):
    """One run of the pipe, from the command's start to its end."""
    say(f"feedfleet: {title}")
    # The partner puts tonight's file in the place of yesterday's.
    place = current.with_suffix(".new")
    os.link(feeds[title]["path"], place)
    os.replace(place, current)
    command = [binary, "--config", fleet, "run", "bench", "--wait", "--json"]
    log = fleet / "feedfleet.log"
    status, output, wall, peak = timed(command, log)
    if status != 0:
        raise SystemExit(f"feedfleet ended with status {status}:\n{output}\n{tail(log)}")
    report = json.loads(output)
    if report["state"] != "done":
        raise SystemExit(f"the run is {report['state']}: {report['reason']}\n{tail(log)}")
    summed = subprocess.run(
        [sys.executable, HERE / "peers.py", "sum", fleet / "var" / "catalog" / "products"],
        check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )
    return {
        "seconds": wall,
        "phases": report["seconds"],
        "bytes_written": report["bytes"]["written"],
        "peak_memory_bytes": max(report["peak_memory_bytes"], peak),
        "counts": report["counts"],
        **json.loads(summed.stdout),
    }


def timed(command, log, limit_secs=None):
    """Status, output, seconds, and peak memory with that of its own children."""
    output = log.with_suffix(".out")
    with open(output, "wb") as stdout, open(log, "ab") as stderr:
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        while True:
            ended, status, usage = os.wait4(child.pid, os.WNOHANG if limit_secs else 0)
            if ended:
                break
            if time.monotonic() - began > limit_secs:
                child.kill()
                os.wait4(child.pid, 0)
                raise TimeoutError(f"over {limit_secs} s")
            time.sleep(0.05)
        wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, output.read_text(), wall, usage.ru_maxrss * 1024


def tail(log):
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def measure_peer(folder, peer, feeds, limit_secs):
    """As Feedfleet; a peer that fails has None from there on."""
    home = folder / peer
    home.mkdir()
    state = home / "first"
    measured = {FIRST[0]: run_peer(peer, feeds[FIRST[0]], state, FIRST[0], limit_secs)}
    for title, _, _ in NIGHTS:
        measured[title] = None
        if measured[FIRST[0]] is not None:
            copy = home / "night"
            shutil.copytree(state, copy)
            measured[title] = run_peer(peer, feeds[title], copy, title, limit_secs)
            shutil.rmtree(copy)
    return measured


def run_peer(peer, feed, state, title, limit_secs):
    say(f"{peer}: {title}")
    log = state.with_suffix(".log")
    # Should memory run out, the kernel ends the peer rather than anything else.
    give_way = 'echo 1000 >/proc/self/oom_score_adj 2>/dev/null; exec "$0" "$@"'
    command = ["sh", "-c", give_way, sys.executable, HERE / "peers.py", "load", peer, feed["path"], state]
    try:
        status, output, _, _ = timed(command, log, limit_secs)
    except TimeoutError as error:
        say(f"{peer}: {error}")
        return None
    if status != 0:
        say(f"{peer}: status {status}\n{tail(log)}")
        return None
    return json.loads(output)


def differences(feeds, results):
    """Where a result is not the feed's content."""
    wrong = []
    for title, feed in feeds.items():
        counts = results["feedfleet"][title]["counts"]
        expected = {name: feed[name] for name in ("new", "changed", "removed")} | {"live": feed["rows"]}
        found = {name: counts[name] for name in expected}
        if found != expected:
            wrong.append(f"feedfleet, {title}: {found}, expected {expected}")
        prices = results["feedfleet"][title]["prices"]
        for name, measured in results.items():
            if measured[title] is None:
                continue
            seen = (measured[title]["rows"], measured[title]["prices"])
            if seen != (feed["rows"], prices):
                wrong.append(f"{name}, {title}: rows and prices {seen}, expected {(feed['rows'], prices)}")
    return wrong


def table(heads, rows):
    print()
    print(f"{heads[0]:24}" + "".join(f"{head:>14}" for head in heads[1:]))
    for title, *values in rows:
        print(f"{title:24}" + "".join(f"{value:>14}" for value in values))


def show_feedfleet(feeds, measured):
    first = measured[FIRST[0]]
    every = list(measured.values())
    rows = [
        ["wall, s", *(f"{m['seconds']:.2f}" for m in every)],
        ["  of the first load", *(f"{m['seconds'] / first['seconds']:.3f}" for m in every)],
        ["bytes written, MB", *(f"{m['bytes_written'] / 1e6:.2f}" for m in every)],
        ["  of the first load", *(f"{m['bytes_written'] / first['bytes_written']:.4f}" for m in every)],
        ["peak memory, MiB", *(f"{m['peak_memory_bytes'] / MIB:.0f}" for m in every)],
    ]
    phases = sorted({phase for m in every for phase in m["phases"]})
    rows += [[f"  {phase}, s", *(f"{m['phases'].get(phase, 0):.2f}" for m in every)] for phase in phases]
    feed = feeds[FIRST[0]]
    table([f"feedfleet, {feed['rows']:,} rows", *measured], rows)
    print(f"\nThe first feed: {feed['bytes'] / 1e6:.0f} MB, {len(make_feed.COLUMNS)} columns.")


def show_side_by_side(feeds, results):
    def line(name, measured, figure):
        return [name, *("failed" if m is None else figure(m, feeds[title]) for title, m in measured.items())]

    def speed(measured, feed):
        return f"{feed['rows'] / measured['seconds']:,.0f}"

    def memory(measured, _):
        return f"{measured['peak_memory_bytes'] / MIB:,.0f}"

    table(["rows a second", *feeds], [line(name, m, speed) for name, m in results.items()])
    table(["peak memory, MiB", *feeds], [line(name, m, memory) for name, m in results.items()])


def show_checks(results):
    """Prints each of Feedfleet's limits; gives those that it is past."""
    measured = results["feedfleet"]
    first, night = measured[FIRST[0]], measured[NIGHTS[0][0]]
    peak = max(m["peak_memory_bytes"] for m in measured.values())
    checks = [
        ("a 1 % night's wall time of the first load's", night["seconds"] / first["seconds"], MOST_WALL),
        ("a 1 % night's bytes of the first load's", night["bytes_written"] / first["bytes_written"], MOST_BYTES),
        ("peak memory in GiB", peak / (1 << 30), MOST_MEMORY / (1 << 30)),
    ]
    for peer, title in ((peer, title) for peer in results if peer != "feedfleet" for title, _, _ in NIGHTS):
        if results[peer][title] is not None:
            share = measured[title]["seconds"] / results[peer][title]["seconds"]
            checks.append((f"a {title}'s wall time of that of {peer}", share, 1))
    print()
    for text, value, most in checks:
        print(f"{'ok' if value <= most else 'FAILED':7}{text}: {value:.3f}, at most {most:g}")
    return [text for text, value, most in checks if value > most]


if __name__ == "__main__":
    main()
