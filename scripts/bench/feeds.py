"""The measurement that scripts/bench/feeds starts: the same products in five formats, read by Feedfleet and by other
readers, one after the other on one core. README.md beside this file says what is measured and how.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

import child
import feed_formats
import feed_peers
import make_feed
import nightly
import product_columns

HERE = Path(__file__).resolve().parent
OURS = "feedfleet"
# A feed's format, as a pipe calls it.
PIPE_FORMATS = {"csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "xml": "xml", "xml.gz": "xml"}
# What --check asks: at least so many times the bytes a second of a reader that does the same work.
LEAST = (
    ("csv", "polars", 2.0),
    ("jsonl", "polars", 2.0),
    ("xml", "lxml iterparse", 8.0),
)


def main():
    given = arguments()
    with nightly.folder_for(given.dir) as folder:
        nightly.say(f"making the feeds: {given.rows:,} products in {len(feed_formats.FORMATS)} formats")
        feeds = feed_formats.make_all(given.rows, folder)
        pipes = {form: write_pipe(folder, form, feed["path"]) for form, feed in feeds.items()}
        # From here on: this process waits, its children have one core between them.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        measured = measure(given, feeds, pipes)
    wrong = differences(feeds, measured)
    show(feeds, measured)
    failed = show_checks(feeds, measured, given.formats) if given.check else []
    if given.json:
        Path(given.json).write_text(json.dumps({"feeds": feeds, "results": measured}, indent=2) + "\n")
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(1 if failed or wrong else 0)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench/feeds", description="Measures the reading of feeds.")
    parser.add_argument("--rows", type=int, default=50_000, help="products: 1.3 KB each as CSV, 4 KB as XML")
    parser.add_argument("--rounds", type=int, default=3, help="how often; the medians count")
    parser.add_argument(
        "--formats", default=",".join(feed_formats.FORMATS), help=f"some of {', '.join(feed_formats.FORMATS)}"
    )
    parser.add_argument(
        "--peers", default=",".join(sorted({name.partition(",")[0] for name in feed_peers.READERS})),
        help="the other readers, by the beginnings of their names; or none",
    )
    parser.add_argument("--dir", type=Path, help="work here and keep everything; default: a temporary folder")
    parser.add_argument("--check", action="store_true", help="fail where Feedfleet is slower than it should be")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--reader", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.formats = given.formats.split(",")
    chosen = [] if given.peers == "none" else given.peers.split(",")
    given.peers = [name for name in feed_peers.READERS if name.startswith(tuple(chosen))]
    unknown = [form for form in given.formats if form not in feed_formats.FORMATS]
    unknown += [name for name in chosen if not any(peer.startswith(name) for peer in given.peers)]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    if given.rows < 1000 or given.rounds < 1:
        parser.error("expected --rows of at least 1000 and --rounds of at least 1")
    return given


def write_pipe(folder, form, feed):
    """Every field to the column of its name. Lists are texts in a cell, or the format's own."""
    kinds = product_columns.by_source()
    lines = ["[source]", 'kind = "feed"', f"url = {json.dumps(feed)}", f'format = "{PIPE_FORMATS[form]}"']
    if PIPE_FORMATS[form] == "xml":
        lines.append(f'item = "{feed_formats.ITEM}"')
    lines += ["", "[map]"]
    for name in make_feed.COLUMNS:
        if kinds[name] == "TextList" and form in feed_peers.DELIMITERS:
            lines.append(f'{name} = {{ field = "{name}", split = "," }}')
        else:
            lines.append(f'{name} = "{name}"')
    path = folder / f"{form}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(given, feeds, pipes):
    """The rounds' results by format and reader. All readers take turns: what else the machine does falls upon each."""
    measured = {form: {OURS: []} for form in given.formats}
    for form, readers in measured.items():
        readers.update({peer: [] for peer in given.peers if form in feed_peers.READS[peer]})
    for number in range(given.rounds):
        nightly.say(f"round {number + 1} of {given.rounds}")
        for form, readers in measured.items():
            for reader, results in readers.items():
                feed = feeds[form]["path"]
                if reader == OURS:
                    command = [given.reader, pipes[form], feed]
                else:
                    command = [sys.executable, HERE / "feed_peers.py", reader, form, feed]
                results.append(run(command, reader))
    return measured


def run(command, reader):
    """What the command says, with the CPU seconds of Feedfleet's whole process."""
    output, cost = child.run(command)
    result = json.loads(output)
    if reader == OURS:
        result["cpu_seconds"] = cost["cpu_seconds"]
    return result


def differences(feeds, measured):
    """Where what was read is not what was written."""
    wrong, digests = [], {}
    for form, readers in measured.items():
        for reader, results in readers.items():
            rows = {result["rows"] for result in results}
            if rows != {feeds[form]["rows"]}:
                wrong.append(f"{reader}, {form}: {rows} rows, expected {feeds[form]['rows']}")
        ours = readers[OURS][0]
        if ours["refused"] or ours["warnings"]:
            wrong.append(f"{form}: {ours['refused']} products refused, {ours['warnings']} fields left empty")
        digests[form] = ours["digest"]
    if len(set(digests.values())) > 1:
        wrong.append(f"the formats do not give the same rows: {digests}")
    return wrong


def speed(feed, results):
    """MB of text a CPU second, of the middle round."""
    return feed["bytes"] / 1e6 / statistics.median(result["cpu_seconds"] for result in results)


def show(feeds, measured):
    forms = list(measured)
    rows = {reader: [reader] for readers in measured.values() for reader in readers}
    for form in forms:
        for reader, row in rows.items():
            results = measured[form].get(reader)
            row.append(f"{speed(feeds[form], results):.0f}" if results else "")
    nightly.table(["MB a CPU second", *forms], rows.values())
    rows = {reader: [f"times {reader}"] for reader in rows if reader != OURS}
    for form in forms:
        ours = speed(feeds[form], measured[form][OURS])
        for reader, row in rows.items():
            results = measured[form].get(reader)
            row.append(f"{ours / speed(feeds[form], results):.2f}" if results else "")
    if rows:
        nightly.table(["feedfleet is", *forms], rows.values())
    sizes = ", ".join(f"{form} {feeds[form]['bytes'] / 1e6:.0f} MB" for form in forms)
    print(f"\n{feeds[forms[0]]['rows']:,} products, {len(make_feed.COLUMNS)} columns: {sizes} of text.")


def show_checks(feeds, measured, forms):
    """Prints each of the least ratios; gives those that are not reached."""
    failed = []
    print()
    for form, peer, least in LEAST:
        if form not in forms or peer not in measured[form]:
            print(f"{'not run':9}{form} beside {peer}")
            continue
        ratio = speed(feeds[form], measured[form][OURS]) / speed(feeds[form], measured[form][peer])
        print(f"{'ok' if ratio >= least else 'FAILED':9}{form}: {ratio:.2f} times {peer}, at least {least:g}")
        failed += [form] if ratio < least else []
    return failed


if __name__ == "__main__":
    main()
