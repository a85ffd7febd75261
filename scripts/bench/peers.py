#!/usr/bin/env python3
"""Loads a night's feed with one of Feedfleet's peers, from the CSV file to the committed state.

    peers.py load PEER FEED STATE
    peers.py sum TABLE

PEER is one of the names in PEERS below. The first feed makes STATE; each later one is compared with it:
products that are new or differ replace what is there, products that are absent go. Column types are those
of Feedfleet's product table, and a hash of the row's text tells whether it differs, as in Feedfleet.
Prints one line of JSON: seconds from opening the state to its being closed and durable, peak memory, and
the rows and the sum of prices that the table then holds. `sum` prints these two of any Delta table.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import make_feed
import product_columns


def duckdb_select(feed, form="csv"):
    """Reads the feed with types; amounts give two columns, as in the product table."""
    kinds = product_columns.by_source()
    types = {"Integer": "BIGINT", "Boolean": "BOOLEAN", "Timestamp": "TIMESTAMPTZ"}
    if form == "jsonl":
        types["TextList"] = "VARCHAR[]"
    columns = ", ".join(f"'{name}': '{types.get(kinds[name], 'VARCHAR')}'" for name in make_feed.COLUMNS)
    values = []
    for name in make_feed.COLUMNS:
        if kinds[name] == "Decimal":
            values.append(f"CAST(split_part({name}, ' ', 1) AS DECIMAL(18, 4)) AS {name}")
            values.append(f"split_part({name}, ' ', 2) AS {name}_currency")
        elif kinds[name] == "TextList" and form != "jsonl":
            values.append(f"string_split({name}, ',') AS {name}")
        else:
            values.append(name)
    if form == "jsonl":
        read = f"read_json('{feed}', format = 'newline_delimited', columns = {{{columns}}})"
    else:
        delimiter = {"csv": ",", "tsv": "\t"}[form]
        read = f"""read_csv('{feed}', header = true, auto_detect = false, delim = '{delimiter}', quote = '"',
            escape = '"', columns = {{{columns}}})"""
    return f"SELECT {', '.join(values)}, hash({', '.join(make_feed.COLUMNS)}) AS content_hash FROM {read}"


def duckdb_night(feed, state, apply):
    import duckdb

    state.mkdir(exist_ok=True)
    file = state / "products.duckdb"
    first = not file.exists()
    began = time.monotonic()
    with duckdb.connect(str(file)) as connection:
        if first:
            connection.execute(f"CREATE TABLE products AS {duckdb_select(feed)}")
        else:
            connection.execute("BEGIN")
            apply(connection, duckdb_select(feed))
            connection.execute("COMMIT")
        connection.execute("CHECKPOINT")
    seconds = time.monotonic() - began
    with duckdb.connect(str(file), read_only=True) as connection:
        return seconds, *connection.execute("SELECT count(*), sum(price) FROM products").fetchone()


def delete_and_insert(connection, select):
    """What a columnar database is good at: stage the feed, delete what differs, insert it anew."""
    connection.execute(f"CREATE TEMP TABLE staging AS {select}")
    connection.execute("""CREATE TEMP TABLE arrivals AS SELECT staging.id
        FROM staging LEFT JOIN products ON staging.id = products.id
        WHERE products.content_hash IS DISTINCT FROM staging.content_hash""")
    connection.execute("""DELETE FROM products
        WHERE id IN (SELECT id FROM arrivals) OR id NOT IN (SELECT id FROM staging)""")
    connection.execute("""INSERT INTO products
        SELECT * FROM staging WHERE id IN (SELECT id FROM arrivals)""")


def merge_into(connection, select):
    connection.execute(f"CREATE TEMP TABLE staging AS {select}")
    connection.execute("""MERGE INTO products USING staging ON products.id = staging.id
        WHEN MATCHED AND products.content_hash <> staging.content_hash THEN UPDATE
        WHEN NOT MATCHED THEN INSERT
        WHEN NOT MATCHED BY SOURCE THEN DELETE""")


def duckdb_delete_insert(feed, state):
    return duckdb_night(feed, state, delete_and_insert)


def duckdb_merge(feed, state):
    return duckdb_night(feed, state, merge_into)


def polars_feed(feed):
    """The feed with types, and with the hash of its text."""
    import polars

    return polars_typed(polars.read_csv(feed, infer_schema=False))


def polars_typed(rows):
    """Rows as they were read, with the product table's types for what is text, and a hash of each as it was."""
    import polars

    kinds = product_columns.by_source()
    content_hash = rows.hash_rows(seed=0).reinterpret(signed=True).alias("content_hash")
    values = []
    for name in make_feed.COLUMNS:
        column = polars.col(name)
        is_text = rows.schema[name] == polars.String
        match kinds[name]:
            case "Decimal":
                parts = column.str.split_exact(" ", 1)
                values.append(parts.struct.field("field_0").cast(polars.Decimal(18, 4)).alias(name))
                values.append(parts.struct.field("field_1").alias(f"{name}_currency"))
            case "TextList" if is_text:
                values.append(column.str.split(","))
            case "Integer" if is_text:
                values.append(column.cast(polars.Int64))
            case "Boolean" if is_text:
                values.append(column == "true")
            case "Timestamp":
                values.append(column.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))
            case _:
                values.append(column)
    return rows.select(values).with_columns(content_hash)


def delta_rs_merge(feed, state):
    from deltalake import DeltaTable, write_deltalake

    first = not state.exists()
    began = time.monotonic()
    if first:
        write_deltalake(str(state), polars_feed(feed))
    else:
        (
            DeltaTable(str(state))
            .merge(polars_feed(feed), "target.id = source.id", source_alias="source", target_alias="target")
            .when_matched_update_all("target.content_hash <> source.content_hash")
            .when_not_matched_insert_all()
            .when_not_matched_by_source_delete()
            .execute()
        )
    seconds = time.monotonic() - began
    return seconds, *delta_sum(state)


def delta_sum(table):
    """Rows and the sum of prices of a Delta table, dead rows left out."""
    from deltalake import DeltaTable, QueryBuilder

    query = "SELECT count(*) AS rows, CAST(sum(price) AS VARCHAR) AS prices FROM products"
    answer = QueryBuilder().register("products", DeltaTable(str(table))).execute(query).read_all()
    return answer.column("rows").to_pylist()[0], answer.column("prices").to_pylist()[0]


PEERS = {
    "duckdb-delete-insert": duckdb_delete_insert,
    "duckdb-merge": duckdb_merge,
    "delta-rs-merge": delta_rs_merge,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load")
    load.add_argument("peer", choices=PEERS)
    load.add_argument("feed", type=Path)
    load.add_argument("state", type=Path, help="folder that keeps the peer's table")
    commands.add_parser("sum").add_argument("table", type=Path)
    given = parser.parse_args()
    if given.command == "sum":
        rows, prices = delta_sum(given.table)
        print(json.dumps({"rows": rows, "prices": str(prices)}))
        return
    seconds, rows, prices = PEERS[given.peer](given.feed.resolve(), given.state)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "prices": str(prices), "peak_memory_bytes": peak}))


if __name__ == "__main__":
    main()
