"""The feed of make_feed.py in every format that scripts/bench/feeds reads: the same products, each with the same
values, written as partners write that format.

CSV and TSV have all columns. JSON Lines and XML leave out what is empty; lists are arrays there, and elements that
repeat. In JSON whole numbers and flags are values of their own kind.
"""

import csv
import gzip
import io
import json
import multiprocessing
import os
import shutil
from xml.sax.saxutils import escape

import make_feed
import product_columns

FORMATS = ("csv", "tsv", "jsonl", "xml", "xml.gz")
# The element that is one product.
ITEM = "product"
# What shops put between CDATA's marks.
MARKED_UP = ("title", "description")
GZIP_LEVEL = 6

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<products>\n'
XML_TAIL = "</products>\n"


def make_all(rows, folder):
    """Writes the feed in every format; its path, and its bytes as text, by format."""
    make_feed.check_columns()
    starts = range(0, rows, make_feed.CHUNK_ROWS)
    paths = {name: folder / f"feed.{name}" for name in FORMATS}
    heads = {"csv": ",".join(make_feed.COLUMNS) + "\n", "tsv": "\t".join(make_feed.COLUMNS) + "\n", "xml": XML_HEAD}
    files = {name: open(paths[name], "wb") for name in FORMATS if name != "xml.gz"}
    for name, head in heads.items():
        files[name].write(head.encode())
    with multiprocessing.Pool(os.cpu_count(), make_feed.start_worker, (rows, 1, 0.0)) as pool:
        for texts in pool.imap(make_chunk, starts):
            for name, text in texts.items():
                files[name].write(text)
    files["xml"].write(XML_TAIL.encode())
    for file in files.values():
        file.close()
    with open(paths["xml"], "rb") as text, gzip.open(paths["xml.gz"], "wb", GZIP_LEVEL) as packed:
        shutil.copyfileobj(text, packed, 1 << 20)
    sizes = {name: os.path.getsize(path) for name, path in paths.items()}
    text_bytes = {**sizes, "xml.gz": sizes["xml"]}
    return {name: {"path": str(paths[name]), "bytes": text_bytes[name], "rows": rows} for name in FORMATS}


def make_chunk(start):
    """Some of the products as text, by format."""
    text, _ = make_feed.worker_chunk(start)
    kinds = product_columns.by_source()
    tsv, jsonl, xml = io.StringIO(), io.StringIO(), io.StringIO()
    tab_separated = csv.writer(tsv, delimiter="\t", lineterminator="\n")
    for cells in csv.reader(io.StringIO(text.decode(), newline="")):
        tab_separated.writerow(cells)
        filled = [(name, value) for name, value in zip(make_feed.COLUMNS, cells) if value]
        product = {name: json_value(kinds[name], value) for name, value in filled}
        jsonl.write(json.dumps(product, separators=(",", ":")) + "\n")
        elements = "".join(xml_elements(kinds[name], name, value) for name, value in filled)
        xml.write(f"  <{ITEM}>\n{elements}  </{ITEM}>\n")
    return {
        "csv": text, "tsv": tsv.getvalue().encode(), "jsonl": jsonl.getvalue().encode(),
        "xml": xml.getvalue().encode(),
    }


def json_value(kind, value):
    match kind:
        case "Integer":
            return int(value)
        case "Boolean":
            return value == "true"
        case "TextList":
            return value.split(",")
        case _:
            return value


def xml_elements(kind, name, value):
    if name in MARKED_UP:
        return f"    <{name}><![CDATA[{value}]]></{name}>\n"
    items = value.split(",") if kind == "TextList" else [value]
    return "".join(f"    <{name}>{escape(item)}</{name}>\n" for item in items)
