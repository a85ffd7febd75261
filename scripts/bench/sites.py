"""The measurement that scripts/bench/sites starts: the crawl of a generated site by Feedfleet and by Scrapy; or a crawl
whose workers are killed beside one that is left alone. README.md beside this file says what is measured and how.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import child
import nightly

HERE = Path(__file__).resolve().parent
# Requests at a time, for either crawler.
AT_ONCE = 32
DRAIN_CONNECTIONS = 8
# Answers take so long where workers are killed, so that the crawl outlives some of them.
SLOW_ANSWER_MS = 30
LOOK_SECS = 0.3
# A killed worker loses what it did in so many seconds at most, and never nearly all of what it did since the kill before,
# as a crawl that begins anew each time would.
MOST_LOST_SECS = 30
MOST_LOST_SHARE = 0.8
# What --check asks: so many times fewer CPU seconds than Scrapy.
LEAST_RATIO = 10

# Crawls have half of what a host allows; the rest is for its pictures.
FLEET = f"""# Made by scripts/bench/sites.
[workers]
max = 1
memory = "1GiB"
[leases]
visibility = "10s"
max_receives = 1000
[hosts]
concurrency = {2 * AT_ONCE}
[http]
allow_private = ["127.0.0.0/8"]
"""
PIPE = """[source]
kind = "site"
url = "{address}/"
[source.site]
follow = ["/p/*"]
product = ["/p/*"]
links = {links}
[images]
mirror = false
"""


def main():
    given = arguments()
    with nightly.folder_for(given.dir) as folder, serve(given) as site:
        alone = site.drain()
        print(f"\nThe site: {given.pages:,} pages of {given.page_kib} KiB, {given.latency_ms} ms each.")
        print(f"A visitor that drops them, {DRAIN_CONNECTIONS} connections: {alone:,.0f} pages a second.")
        if given.kill_every:
            wrong = compare_killed(given, folder, site)
        else:
            wrong = compare_crawlers(given, folder, site)
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(1 if wrong else 0)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench/sites", description="Measures the crawl of a site.")
    parser.add_argument("--pages", type=int, default=20_000, help="products, each with a page")
    parser.add_argument("--page-kib", type=int, default=64, help="KiB of a page")
    parser.add_argument("--latency-ms", type=int, help="time that an answer takes; 0, or 30 with --kill-every")
    parser.add_argument("--ignore-links", action="store_true", help="both crawlers go by the sitemaps alone")
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="kill each worker so long after it began")
    parser.add_argument("--most-seconds", type=int, default=1800, help="longest time for a crawl with killed workers")
    parser.add_argument("--peers", choices=("scrapy", "none"), default="scrapy", help="the other crawler, or none")
    parser.add_argument("--check", action="store_true", help=f"fail unless Scrapy needs {LEAST_RATIO} times the CPU")
    parser.add_argument("--dir", type=Path, help="work here and keep everything; default: a temporary folder")
    parser.add_argument("--json", help="also write the results of both crawlers to this file")
    parser.add_argument("--binaries", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.latency_ms is None:
        given.latency_ms = SLOW_ANSWER_MS if given.kill_every else 0
    if given.pages < 100 or given.page_kib < 4:
        parser.error("expected --pages of at least 100 and --page-kib of at least 4")
    if given.kill_every and (given.check or given.json):
        parser.error("--check and --json are about the other crawler: not with --kill-every")
    given.feedfleet = given.binaries / "feedfleet"
    return given


class Site:
    """The generated site, and how often it was asked."""

    def __init__(self, given, program, process, address):
        self.given, self.program, self.process, self.address = given, program, process, address

    def drain(self):
        """Pages a second with a visitor that has nothing else to do."""
        host = self.address.removeprefix("http://")
        command = [self.program, "drain", host, str(self.given.pages), str(DRAIN_CONNECTIONS)]
        rate = float(child.run(command)[0])
        self.take_stats()
        return rate

    def take_stats(self):
        """What was asked for since the last call."""
        with urllib.request.urlopen(f"{self.address}/-/stats", timeout=60) as answer:
            return json.load(answer)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        # User and system time: the 14th and 15th field of all.
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(given):
    program = given.binaries / "examples" / "shop_site"
    command = [program, "serve", str(given.pages), str(given.page_kib), str(given.latency_ms)]
    # It ends with its standard input, whatever becomes of this process.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit("the site did not start")
        yield Site(given, program, process, f"http://{address}")
    finally:
        process.stdin.close()
        process.wait()


def compare_crawlers(given, folder, site):
    """Measures both; gives what is wrong."""
    results = {"feedfleet": measured(site, lambda: crawl_by_feedfleet(given, folder / "fleet", site))}
    if given.peers == "scrapy":
        results["scrapy"] = measured(site, lambda: crawl_by_scrapy(given, folder, site))
    show(given.pages, results)
    wrong = differences(given.pages, results)
    if given.json:
        Path(given.json).write_text(json.dumps({"pages": given.pages, "results": results}, indent=2) + "\n")
    if given.check and "scrapy" in results:
        ratio = results["scrapy"]["cpu_seconds"] / results["feedfleet"]["cpu_seconds"]
        word = "ok" if ratio >= LEAST_RATIO else "FAILED"
        print(f"\n{word:9}scrapy needs {ratio:.1f} times feedfleet's CPU seconds, at least {LEAST_RATIO}")
        wrong += [f"only {ratio:.1f} times fewer CPU seconds"] if ratio < LEAST_RATIO else []
    return wrong


def measured(site, crawl):
    before = site.cpu_seconds()
    result = crawl()
    return {**result, **site.take_stats(), "site_cpu_seconds": site.cpu_seconds() - before}


def crawl_by_feedfleet(given, fleet, site):
    """The whole command: crawl, table, report."""
    nightly.say("feedfleet: the crawl")
    write_fleet(given, fleet, site)
    log = fleet / "feedfleet.log"
    with open(log, "ab") as stderr:
        output, cost = child.run([given.feedfleet, "--config", fleet, "run", "bench", "--wait", "--json"], stderr)
    report = json.loads(output)
    if report["state"] != "done":
        raise SystemExit(f"the run is {report['state']}: {report['reason']}\n{nightly.tail(log)}")
    table = fleet / "var" / "catalog" / "products"
    summed = json.loads(child.run([sys.executable, HERE / "peers.py", "sum", table])[0])
    return {**cost, **summed, "phases": report["seconds"]}


def crawl_by_scrapy(given, folder, site):
    nightly.say("scrapy: the crawl")
    out = folder / "scrapy.jsonl"
    links = "ignore" if given.ignore_links else "follow"
    _, cost = child.run([sys.executable, HERE / "site_spider.py", site.address, str(AT_ONCE), links, out])
    prices = [Decimal(json.loads(line)["price"]) for line in out.read_text().splitlines()]
    return {**cost, "rows": len(prices), "prices": str(sum(prices))}


def write_fleet(given, fleet, site):
    (fleet / "pipes").mkdir(parents=True)
    (fleet / "fleet.toml").write_text(FLEET)
    links = "false" if given.ignore_links else "true"
    (fleet / "pipes" / "bench.toml").write_text(PIPE.format(address=site.address, links=links))


def show(pages, results):
    def line(title, figure):
        return [title, *(figure(result) for result in results.values())]

    nightly.table([f"{pages:,} pages", *results], [
        line("wall, s", lambda r: f"{r['seconds']:.1f}"),
        line("pages a second", lambda r: f"{pages / r['seconds']:,.0f}"),
        line("CPU s", lambda r: f"{r['cpu_seconds']:.1f}"),
        line("CPU s a 1,000 pages", lambda r: f"{r['cpu_seconds'] / pages * 1000:.3f}"),
        line("the site's own CPU s", lambda r: f"{r['site_cpu_seconds']:.1f}"),
        line("requests for pages", lambda r: f"{r['page_requests']:,}"),
        line("most at once", lambda r: f"{r['most_at_once']}"),
        line("peak memory, MiB", lambda r: f"{r['peak_memory_bytes'] / nightly.MIB:.0f}"),
    ])


def differences(pages, results):
    wrong = []
    for name, result in results.items():
        if result["rows"] != pages:
            wrong.append(f"{name}: {result['rows']} products of {pages}")
    prices = {name: Decimal(result["prices"]) for name, result in results.items()}
    if len(set(prices.values())) > 1:
        wrong.append(f"the sums of prices differ: {prices}")
    return wrong


def compare_killed(given, folder, site):
    """Crawls once undisturbed and once with workers that are killed; gives what is wrong."""
    seconds = crawl_by_feedfleet(given, folder / "alone", site)["seconds"]
    alone = site.take_stats()
    kills = crawl_with_kills(given, folder / "killed", site)
    killed = site.take_stats()
    print(f"\nLeft alone: {alone['page_requests']:,} requests for {alone['pages']:,} pages.")
    repeats = killed["page_requests"] - killed["pages"]
    # By the whole command's time, which is longer than the crawl's: the bound is rather too low.
    rate = alone["page_requests"] / seconds
    lost_seconds = min(MOST_LOST_SECS, MOST_LOST_SHARE * given.kill_every)
    most_repeats = round(kills * (lost_seconds * rate + AT_ONCE))
    print(f"With {kills} workers killed: {killed['page_requests']:,} requests for {killed['pages']:,} pages;")
    print(f"{repeats:,} pages asked for again, of {most_repeats:,} that the kills may cost at {rate:,.0f} pages a second.")
    rows = {name: rows_of(given, folder / name) for name in ("alone", "killed")}
    lost, more = rows["alone"] - rows["killed"], rows["killed"] - rows["alone"]
    wrong = []
    if len(rows["alone"]) != given.pages:
        wrong.append(f"left alone: {len(rows['alone'])} products of {given.pages}")
    if lost or more:
        some = sorted(lost | more)[:5]
        wrong.append(f"{len(lost)} rows are not there after the kills, {len(more)} others are, such as {some}")
    if repeats > most_repeats:
        wrong.append(f"{repeats} pages were asked for again, more than {kills} kills may cost: {most_repeats}")
    if kills == 0:
        wrong.append("the crawl was over before a worker was killed: more --pages, or a shorter --kill-every")
    if not wrong:
        print(f"ok       the same {given.pages:,} rows")
    return wrong


def rows_of(given, fleet):
    """Each product's id, with the hash of all that its page gave."""
    query = "SELECT id, content_hash FROM products"
    output, _ = child.run([given.feedfleet, "--config", fleet, "sql", query, "--format", "csv"])
    return set(output.splitlines()[1:])


def crawl_with_kills(given, fleet, site):
    """Has one worker after the other do the same run; gives how many were killed."""
    nightly.say(f"feedfleet: the crawl, a worker killed every {given.kill_every:g} s")
    write_fleet(given, fleet, site)
    child.run([given.feedfleet, "--config", fleet, "run", "bench"])
    deadline = time.monotonic() + given.most_seconds
    kills = 0
    with open(fleet / "feedfleet.log", "ab") as log:
        while True:
            before = len(report_of(given, fleet)["attempts"])
            command = [given.feedfleet, "--config", fleet, "worker"]
            worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                if is_done(given, fleet, worker, before, deadline):
                    worker.send_signal(signal.SIGTERM)
                    worker.wait(timeout=60)
                    return kills
            finally:
                # What it started ends with it.
                worker.kill()
                worker.wait()
            kills += 1


def is_done(given, fleet, worker, before, deadline):
    """Whether the run, which had `before` attempts, ends while the worker has time. That begins with its attempt."""
    began = None
    while began is None or time.monotonic() - began < given.kill_every:
        report = report_of(given, fleet)
        if report["state"] == "done":
            return True
        if report["state"] in ("dead", "held", "superseded"):
            raise SystemExit(f"the run is {report['state']}: {report['reason']}")
        if began is None and len(report["attempts"]) > before:
            began = time.monotonic()
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended by itself: {nightly.tail(fleet / 'feedfleet.log')}")
        if time.monotonic() > deadline:
            raise SystemExit(f"no end after {given.most_seconds} s: do the workers live long enough to save anything?")
        time.sleep(LOOK_SECS)
    return False


def report_of(given, fleet):
    return json.loads(child.run([given.feedfleet, "--config", fleet, "runs", "show", "bench", "--json"])[0])


if __name__ == "__main__":
    main()
