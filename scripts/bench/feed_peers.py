#!/usr/bin/env python3
"""Reads a feed with one of the readers that Feedfleet is measured against, on one thread.

    feed_peers.py READER FORMAT FILE

READER is one of READERS below, FORMAT one of feed_formats.FORMATS. Prints one line of JSON: the rows, and the seconds
and CPU seconds from opening the file to its last row. What is read is dropped.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

# Before any of the libraries is loaded.
os.environ.update({"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"})

import feed_formats
import make_feed
import peers
import product_columns

DELIMITERS = {"csv": ",", "tsv": "\t"}
BATCH_BYTES = 1 << 20
BATCH_ROWS = 10_000


def polars_text(form, file):
    """Columns as the file has them: text, but for what JSON has of its own."""
    import polars

    if form in DELIMITERS:
        return polars.read_csv(file, infer_schema=False, separator=DELIMITERS[form])
    kinds = product_columns.by_source()
    types = {"Integer": polars.Int64, "Boolean": polars.Boolean, "TextList": polars.List(polars.String)}
    return polars.read_ndjson(file, schema={name: types.get(kinds[name], polars.String) for name in make_feed.COLUMNS})


def count_polars_text(form, file):
    return polars_text(form, file).height


def count_polars(form, file):
    """The types of the product table, and a hash of each row."""
    return peers.polars_typed(polars_text(form, file)).height


def count_duckdb(form, file):
    """The types of the product table, and a hash of each row."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    batches = connection.execute(peers.duckdb_select(file, form)).to_arrow_reader(BATCH_ROWS)
    return sum(batch.num_rows for batch in batches)


def count_pyarrow(form, file):
    """The types of the product table as far as the library makes them, and no hash."""
    import pyarrow
    from pyarrow import csv
    from pyarrow import json as lines

    kinds = product_columns.by_source()
    types = {"Integer": pyarrow.int64(), "Boolean": pyarrow.bool_(), "Timestamp": pyarrow.timestamp("us", "UTC")}
    if form == "jsonl":
        types["TextList"] = pyarrow.list_(pyarrow.string())
    columns = {name: types.get(kinds[name], pyarrow.string()) for name in make_feed.COLUMNS}
    if form == "jsonl":
        batches = lines.open_json(
            file,
            read_options=lines.ReadOptions(use_threads=False, block_size=BATCH_BYTES),
            parse_options=lines.ParseOptions(explicit_schema=pyarrow.schema(list(columns.items()))),
        )
    else:
        batches = csv.open_csv(
            file,
            read_options=csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES),
            parse_options=csv.ParseOptions(delimiter=DELIMITERS[form]),
            convert_options=csv.ConvertOptions(column_types=columns),
        )
    with batches:
        return sum(batch.num_rows for batch in batches)


def count_lxml(form, file):
    """The name and text of each of a product's elements; no types, no hash."""
    import gzip

    from lxml import etree

    rows = 0
    with gzip.open(file) if form == "xml.gz" else open(file, "rb") as text:
        for _, element in etree.iterparse(text, tag=feed_formats.ITEM):
            product = [(field.tag, field.text) for field in element]
            rows += bool(product)
            # What was read must not stay in memory.
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    return rows


READERS = {
    "polars": count_polars, "polars, text alone": count_polars_text, "duckdb": count_duckdb,
    "pyarrow": count_pyarrow, "lxml iterparse": count_lxml,
}
# What each can read.
READS = {reader: ("xml", "xml.gz") if "lxml" in reader else ("csv", "tsv", "jsonl") for reader in READERS}


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def load_library(reader):
    """Importing is not measured."""
    import importlib

    names = {"polars": ["polars"], "duckdb": ["duckdb", "pyarrow"], "pyarrow": ["pyarrow.csv", "pyarrow.json"]}
    for name in names.get(reader.partition(",")[0], ["gzip", "lxml.etree"]):
        importlib.import_module(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("format", choices=feed_formats.FORMATS)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    if given.format not in READS[given.reader]:
        parser.error(f"{given.reader} reads {', '.join(READS[given.reader])}")
    load_library(given.reader)
    began, cpu = time.monotonic(), cpu_seconds()
    rows = READERS[given.reader](given.format, str(given.file))
    cpu, seconds = cpu_seconds() - cpu, time.monotonic() - began
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
