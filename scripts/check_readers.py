#!/usr/bin/env python3
"""Reads a product table with other people's readers and compares every row with what is expected.

    check_readers.py [--limits] TABLE EXPECTED.jsonl

TABLE is the Delta table `products`: a folder, or s3://BUCKET/PREFIX. A bucket is reached by AWS_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, at AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL if that is set.

EXPECTED.jsonl has one object a row with pipe, id, title, price (a number, its text, or null), content_hash
(hexadecimal) and run; content_hash is compared unless every row leaves it out. Each reader is asked for all rows,
and for some of one pipe, which lets it skip files and parts of files. The readers are the Python package deltalake,
DuckDB's extension `delta`, whose binary comes from the package duckdb-extension-delta (and httpfs, for buckets),
Polars, and ClickHouse as the library chdb-core.

--limits asks as well for what docs/readers.md says does not work, in a table with dead rows: what it says
refuses must refuse, and what it says shows dead rows must show some.

Ends with status 0 when each reader sees exactly these rows, 1 when one differs or fails, 2 when the
arguments are of no use, 3 when a reader is not there.
"""

import importlib.util
import json
import os
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

HASH = "content_hash"
COLUMNS = ("pipe", "id", "title", "price", HASH, "run")
SHOWN = 5
PRICE_STEP = Decimal("0.0001")


class NotAvailable(Exception):
    """A reader is not installed; says what is missing."""


class Table:
    """Where the table is: in a folder, or in a bucket with what it takes to get there."""

    def __init__(self, address):
        self.is_bucket = address.startswith("s3://")
        self.address = address.rstrip("/") if self.is_bucket else str(Path(address).resolve())
        if self.is_bucket:
            parts = urlsplit(self.address)
            self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
            self.region = os.environ["AWS_REGION"]
            self.key = os.environ["AWS_ACCESS_KEY_ID"]
            self.secret = os.environ["AWS_SECRET_ACCESS_KEY"]
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            self.endpoint = endpoint.rstrip("/") if endpoint else None

    def storage_options(self):
        """As deltalake and Polars take them; no options for a folder."""
        if not self.is_bucket:
            return None
        options = {
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }
        if self.endpoint:
            options["AWS_ENDPOINT_URL"] = self.endpoint
            options["AWS_ALLOW_HTTP"] = str(self.endpoint.startswith("http://")).lower()
        return options

    def duckdb_secret(self):
        """As DuckDB takes it."""
        secret = (
            f"CREATE SECRET (TYPE s3, KEY_ID {quoted(self.key)}, SECRET {quoted(self.secret)}, "
            f"REGION {quoted(self.region)}"
        )
        if self.endpoint:
            parts = urlsplit(self.endpoint)
            secret += f", ENDPOINT {quoted(parts.netloc)}, URL_STYLE 'path', USE_SSL {parts.scheme == 'https'}"
        return secret + ")"

    def clickhouse_function(self):
        """As ClickHouse takes it. Of this machine's folders it reads those below the one it is started in."""
        if not self.is_bucket:
            return f"deltaLakeLocal({quoted(self.address)})"
        base = self.endpoint and f"{self.endpoint}/{self.bucket}"
        base = base or f"https://{self.bucket}.s3.{self.region}.amazonaws.com"
        return f"deltaLakeS3({quoted(f'{base}/{self.prefix}/')}, {quoted(self.key)}, {quoted(self.secret)})"


def quoted(text):
    """A text in SQL."""
    if not is_plain(text):
        raise ValueError(f"{text!r} is quoted in another way by each reader")
    return f"'{text}'"


def is_plain(text):
    return not set(text) & set("'\\")


def row(values):
    """The row as it is compared: prices to four places, hashes in lower case."""
    pipe, id_, title, price, content_hash, run = values
    if price is not None:
        price = str(Decimal(str(price)).quantize(PRICE_STEP))
    if isinstance(content_hash, bytes):
        content_hash = content_hash.hex()
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


class Some:
    """The rows of the largest pipe from the id in the middle."""

    def __init__(self, expected):
        sizes = Counter(values[0] for values in expected.elements())
        self.pipe = max(sizes, key=lambda pipe: (sizes[pipe], pipe), default="")
        ids = sorted(values[1] for values in expected if values[0] == self.pipe and is_plain(values[1]))
        self.first_id = ids[len(ids) // 2] if ids else ""

    def has(self, values):
        return values[0] == self.pipe and values[1] >= self.first_id

    def sql(self):
        return f"pipe = {quoted(self.pipe)} AND id >= {quoted(self.first_id)}"


def read_with_deltalake(table, where):
    try:
        from deltalake import DeltaTable, QueryBuilder
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    query = f"""SELECT pipe, id, title, CAST(price AS VARCHAR) AS price,
                       encode(content_hash, 'hex') AS content_hash, run FROM products WHERE {where}"""
    delta = DeltaTable(table.address, storage_options=table.storage_options())
    # The query engine honours deletion vectors; reading the files one by one would not.
    answer = QueryBuilder().register("products", delta).execute(query).read_all()
    return zip(*(answer.column(name).to_pylist() for name in COLUMNS))


def read_with_duckdb(table, where):
    try:
        import duckdb
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    extensions = ["delta"] + ["httpfs"] * table.is_bucket
    binaries = [duckdb_extension(name, duckdb.__version__) for name in extensions]
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        for binary in binaries:
            connection.execute(f"LOAD {quoted(str(binary))}")
        if table.is_bucket:
            connection.execute(table.duckdb_secret())
        query = f"""SELECT pipe, id, title, CAST(price AS VARCHAR), hex(content_hash), run
                    FROM delta_scan({quoted(table.address)}) WHERE {where}"""
        return connection.execute(query).fetchall()


def duckdb_extension(name, version):
    """The extension's binary inside its package: nothing is fetched or installed."""
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        raise NotAvailable(f"no package duckdb-extension-{name}")
    binary = Path(package.origin).parent / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
    if not binary.is_file():
        raise NotAvailable(f"package duckdb-extension-{name} is not for DuckDB {version}")
    return binary


def read_with_polars(table, where):
    try:
        import polars
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    rows = polars.scan_delta(table.address, storage_options=table.storage_options())
    return rows.filter(polars.sql_expr(where)).select(COLUMNS).collect().rows()


def read_with_chdb(table, where, settings=""):
    if not table.is_bucket:
        os.chdir(table.address)
    try:
        import chdb
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    query = f"""SELECT pipe, id, title, toString(price), hex(content_hash), run
                FROM {table.clickhouse_function()} WHERE {where} {settings}"""
    answer = chdb.query(query, "JSONCompactEachRow").bytes()
    return [json.loads(line) for line in answer.splitlines()]


READERS = {
    "deltalake": read_with_deltalake,
    "duckdb": read_with_duckdb,
    "polars": read_with_polars,
    "chdb": read_with_chdb,
}


def check(name, table, expected, with_hash):
    """Whether the reader sees the expected rows; prints the verdict."""
    some = Some(expected)
    wanted = {"true": expected, some.sql(): Counter({r: n for r, n in expected.items() if some.has(r)})}
    try:
        found = {where: rows_of(READERS[name](table, where), with_hash) for where in wanted}
    except NotAvailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader throws is its verdict on the table
        print(f"FAILED {name}: {type(error).__name__}: {error}")
        return False
    for where, rows in wanted.items():
        if found[where] != rows:
            tell_difference(f"{name}, where {where}", found[where], rows)
            return False
    print(f"OK {name} {expected.total()} rows")
    return True


def rows_of(answer, with_hash):
    rows = map(row, answer)
    return Counter(rows if with_hash else map(without_hash, rows))


def tell_difference(name, found, expected):
    print(f"DIFFERENT {name}: {found.total()} rows, expected {expected.total()}")
    for label, rows in (("missing", expected - found), ("unexpected", found - expected)):
        for item in sorted(rows.elements(), key=repr)[:SHOWN]:
            print(f"  {label}: {json.dumps(dict(zip(COLUMNS, item)), ensure_ascii=False)}")
        if rows.total() > SHOWN:
            print(f"  {label}: {rows.total() - SHOWN} more")


def pyarrow_refuses(table, _expected, _with_hash):
    """DeltaTable.to_pyarrow_dataset, by which to_pandas and Polars with use_pyarrow read as well."""
    try:
        import pyarrow  # noqa: F401 - else it is this that would be refused
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaProtocolError
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    delta = DeltaTable(table.address, storage_options=table.storage_options())
    try:
        delta.to_pyarrow_dataset()
    except DeltaProtocolError as error:
        return "deletionVectors" in str(error)
    return False


def clickhouse_without_its_kernel_shows_dead_rows(table, expected, with_hash):
    answer = read_with_chdb(table, "true", "SETTINGS allow_experimental_delta_kernel_rs = 0")
    found = rows_of(answer, with_hash)
    return not expected - found and found.total() > expected.total()


LIMITS = (pyarrow_refuses, clickhouse_without_its_kernel_shows_dead_rows)


def check_limit(limit, table, expected, with_hash):
    """Whether the limit is as documented; prints the verdict."""
    name = limit.__name__.replace("_", " ")
    try:
        is_so = limit(table, expected, with_hash)
    except NotAvailable:
        raise
    except Exception as error:  # noqa: BLE001 - another failure than the documented one
        print(f"FAILED {name}: {type(error).__name__}: {error}")
        return False
    print(f"OK {name}" if is_so else f"NOT SO: {name}; see docs/readers.md")
    return is_so


def main(arguments):
    with_limits = arguments[:1] == ["--limits"]
    arguments = arguments[with_limits:]
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        table = Table(arguments[0])
        expected, with_hash = expected_rows(arguments[1])
    except KeyError as error:
        print(f"{error.args[0]} is not set", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    checks = [(check, name) for name in READERS]
    checks += [(check_limit, limit) for limit in LIMITS * with_limits]
    status = 0
    for ask, what in checks:
        try:
            if not ask(what, table, expected, with_hash):
                status = 1
        except NotAvailable as error:
            print(f"NOT AVAILABLE {getattr(what, '__name__', what)}: {error}")
            status = status or 3
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
