"""The product table's columns that a source fills, read from the list that the table is made from."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "model" / "src" / "columns.rs"
SECTION = re.compile(r"^    (BySource|ByFleet) \{$(.*?)^    \}$", re.MULTILINE | re.DOTALL)
COLUMN = re.compile(r'^        [A-Z0-9_]+ "([a-z0-9_]+)" ([A-Za-z]+) "', re.MULTILINE)


def by_source():
    """The kind of each column by its name: Text, TextList, Integer, Decimal, Boolean, Timestamp."""
    kinds = {}
    for filled, columns in SECTION.findall(SOURCE.read_text(encoding="utf-8")):
        if filled == "BySource":
            kinds.update(COLUMN.findall(columns))
    if "id" not in kinds:
        raise SystemExit(f"{SOURCE} is not written as expected: no columns found")
    return kinds
