#!/usr/bin/env python3
"""Reads a product table with other people's readers and compares every row with what is expected.

    check_readers.py TABLE_DIR EXPECTED.jsonl

TABLE_DIR is the Delta table `products`. EXPECTED.jsonl has one object a row with pipe, id, title, price
(a number, its text, or null), content_hash (hexadecimal) and run; content_hash is compared unless every row
leaves it out. The readers are the Python package deltalake and DuckDB's extension `delta`, whose binary
comes from the package duckdb-extension-delta.

Ends with status 0 when each reader sees exactly these rows, 1 when one differs or fails, 2 when the
arguments are of no use, 3 when a reader is not there.
"""

import importlib.util
import json
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

HASH = "content_hash"
COLUMNS = ("pipe", "id", "title", "price", HASH, "run")
SHOWN = 5
PRICE_STEP = Decimal("0.0001")


class NotAvailable(Exception):
    """A reader is not installed; says what is missing."""


def row(values):
    """The row as it is compared: prices to four places, hashes in lower case."""
    pipe, id_, title, price, content_hash, run = values
    if price is not None:
        price = str(Decimal(str(price)).quantize(PRICE_STEP))
    if content_hash is not None:
        content_hash = content_hash.lower()
    return (pipe, id_, title, price, content_hash, None if run is None else int(run))


def expected_rows(path):
    """The rows, and whether they have content hashes."""
    items = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                items.append((number, json.loads(line, parse_float=Decimal)))
    with_hash = any(HASH in item for _, item in items)
    rows = Counter()
    for number, item in items:
        missing = [name for name in COLUMNS if name not in item and (with_hash or name != HASH)]
        if missing:
            raise ValueError(f"{path}, line {number}: no {', '.join(missing)}")
        rows[row(item.get(name) for name in COLUMNS)] += 1
    return rows, with_hash


def without_hash(values):
    return tuple(None if name == HASH else value for name, value in zip(COLUMNS, values))


def read_with_deltalake(table):
    try:
        from deltalake import DeltaTable, QueryBuilder
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    query = """SELECT pipe, id, title, CAST(price AS VARCHAR) AS price,
                      encode(content_hash, 'hex') AS content_hash, run FROM products"""
    # The query engine honours deletion vectors; reading the files one by one would not.
    answer = QueryBuilder().register("products", DeltaTable(str(table))).execute(query)
    return zip(*(answer_column.to_pylist() for answer_column in columns_of(answer.read_all())))


def columns_of(answer):
    return [answer.column(name) for name in COLUMNS]


def read_with_duckdb(table):
    try:
        import duckdb
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    extension = delta_extension(duckdb.__version__)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"LOAD {quoted(extension)}")
        query = f"""SELECT pipe, id, title, CAST(price AS VARCHAR), hex(content_hash), run
                    FROM delta_scan({quoted(table)})"""
        return connection.execute(query).fetchall()


def delta_extension(version):
    """The extension's binary inside its package: nothing is fetched or installed."""
    package = importlib.util.find_spec("duckdb_extension_delta")
    if package is None or package.origin is None:
        raise NotAvailable("no package duckdb-extension-delta")
    binary = Path(package.origin).parent / "extensions" / f"v{version}" / "delta.duckdb_extension"
    if not binary.is_file():
        raise NotAvailable(f"package duckdb-extension-delta is not for DuckDB {version}")
    return binary


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


READERS = {"deltalake": read_with_deltalake, "duckdb": read_with_duckdb}


def check(name, table, expected, with_hash):
    """Whether the reader sees the expected rows; prints the verdict."""
    try:
        rows = map(row, READERS[name](table))
        found = Counter(rows if with_hash else map(without_hash, rows))
    except NotAvailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader throws is its verdict on the table
        print(f"FAILED {name}: {type(error).__name__}: {error}")
        return False
    if found == expected:
        print(f"OK {name} {found.total()} rows")
        return True
    print(f"DIFFERENT {name}: {found.total()} rows, expected {expected.total()}")
    for label, rows in (("missing", expected - found), ("unexpected", found - expected)):
        for item in sorted(rows.elements(), key=repr)[:SHOWN]:
            print(f"  {label}: {json.dumps(dict(zip(COLUMNS, item)), ensure_ascii=False)}")
        if rows.total() > SHOWN:
            print(f"  {label}: {rows.total() - SHOWN} more")
    return False


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    table = Path(arguments[0]).resolve()
    try:
        expected, with_hash = expected_rows(arguments[1])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    status = 0
    for name in READERS:
        try:
            if not check(name, table, expected, with_hash):
                status = 1
        except NotAvailable as error:
            print(f"NOT AVAILABLE {name}: {error}")
            status = status or 3
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
