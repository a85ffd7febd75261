#!/usr/bin/env python3
"""Makes a partner's product feed: CSV of 100 columns, about 1.3 KB a row, the same bytes for the same
arguments.

    make_feed.py --rows N --night K --changed 0.01 --out FILE

Night 1 has N products. Each night after it, the given fraction has another price and title, 0.2 % are gone
and 0.2 % are new, against the night before; which ones follows from their numbers, scattered over the whole
feed. Products keep their order. Prints the counts as one line of JSON.

What differs between any two products is made for each row; what shops repeat (brands, categories,
measures, delivery) is taken from pools of ready cells.
"""

import argparse
import json
import multiprocessing
import os
import random
from datetime import datetime, timedelta

import product_columns

GONE = 0.002
NEW = 0.002
CHUNK_ROWS = 10_000
MASK = (1 << 64) - 1
SHOP = "https://www.shop.example"
PICTURES = "https://pictures.shop.example"

# The feed's columns, in its order: those made for each row, then each pool's.
ROW = """id title short_title description link mobile_link ads_redirect image_link additional_image_links
    lifestyle_image_links gtin mpn model_number item_group_id price sale_price sale_price_effective_date
    mobile_price normal_price cost_of_goods_sold auto_pricing_min_price maximum_retail_price stock_quantity
    review_count source_updated_at availability availability_date expiration_date""".split()
POOLS = {
    "shop": (400, """brand maker seller_id vendor_id origin import_flag parallel_import""".split()),
    "category": (600, """category_1 category_2 category_3 category_4 product_type google_product_category
        naver_category goods_type product_flag""".split()),
    "look": (7000, """condition adult age_group color gender material pattern size size_type size_system
        multipack is_bundle order_made""".split()),
    "measures": (9000, """product_length product_width product_height product_weight shipping_length
        shipping_width shipping_height shipping_weight unit_pricing_measure unit_pricing_base_measure
        energy_efficiency_class min_energy_efficiency_class max_energy_efficiency_class""".split()),
    "details": (9000, """product_detail product_highlight attribute option_detail search_tag certification
        identifier_exists minimum_purchase_quantity""".split()),
    "marketing": (3000, """custom_label_0 custom_label_1 custom_label_2 custom_label_3 custom_label_4
        promotion_id event_words coupon included_destination excluded_destination
        shopping_ads_excluded_country""".split()),
    "delivery": (1500, """shipping shipping_cost shipping_label ships_from_country min_handling_time
        max_handling_time shipping_transit_business_days shipping_handling_business_days delivery_grade
        delivery_detail tax""".split()),
}
COLUMNS = ROW + [name for _, names in POOLS.values() for name in names]

MAKES = """Alder Birch Cedar Dune Ember Fjord Grove Harbor Isle Juniper Kestrel Lumen Meadow North Onyx Prairie
    Quarry Ridge Summit Tidal Umber Vale Willow Yarrow Zephyr""".split()
NOUNS = """Jacket Boot Lamp Kettle Backpack Blanket Monitor Speaker Chair Desk Tent Knife Mug Notebook Router
    Scarf Shelf Skillet Stool Sweater Table Towel Trouser Vase Watch Wok Drill Charger Cable Keyboard""".split()
ADJECTIVES = """light sturdy quiet warm folding compact classic modern waterproof breathable washable
    reversible wireless insulated adjustable stackable handmade recycled seamless portable""".split()
COLORS = """black white grey navy olive sand rust teal plum ivory charcoal mint coral mustard""".split()
MATERIALS = """cotton wool linen leather steel oak ash glass ceramic nylon polyester bamboo cork""".split()
COUNTRIES = "DE FR IT KR US JP PT SE DK NL".split()
OPENINGS = [
    "Made for the days when the weather cannot decide", "A piece that earns its place in every household",
    "Drawn with care, built to be used and easy to repair", "The one our customers come back for",
    "Small enough for a flat, strong enough for a workshop", "Our best seller, now in its third generation",
    "Tested for two years on the coast before we sold the first",
]
MIDDLES = [
    "It weighs less than it looks and holds more than it should",
    "The seams are taped, the edges rounded and every screw can be replaced",
    "The surface takes a knock without showing it, and cleans with a damp cloth",
    "Two sizes fit nearly everyone, and the strap adjusts for the rest",
    "Runs for a week on one charge, and tells you a day before it is empty",
    "Comes flat in a box and stands ten minutes later, no tools needed",
    "Dries overnight, packs small and does not mind being forgotten in the rain",
]
CLOSINGS = [
    "Delivered in paper, without plastic.", "Five years of guarantee, spare parts for ten.",
    'Fits through a door of 28" and wider.', "Please measure twice: we do take it back, but it takes a week.",
    "Design: Studio Halden, Bergen.",
]
STATES = ["in_stock"] * 8 + ["out_of_stock", "backorder"]


def mixed(number, salt):
    """64 bits that look random and follow from the two numbers (the finaliser of SplitMix64)."""
    x = (number * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def cell(value):
    """The value as CSV has it."""
    if value is None:
        return ""
    text = str(value)
    if any(mark in text for mark in ',"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def cells(names, values):
    return ",".join(cell(values.get(name)) for name in names)


def money(cents):
    return f"{cents // 100}.{cents % 100:02d} USD"


def make_pool(name):
    size, names = POOLS[name]
    rng = random.Random(f"feedfleet {name}")
    makers = {
        "shop": shop, "category": category, "look": look, "measures": measures,
        "details": details, "marketing": marketing, "delivery": delivery,
    }
    return [cells(names, makers[name](rng)) for _ in range(size)]


def some(rng, share, value):
    """The value in this share of cases."""
    return value if rng.random() < share else None


def flag(rng, share):
    return "true" if rng.random() < share else "false"


def shop(rng):
    brand = f"{rng.choice(MAKES)} {rng.choice(['& Sons', 'Works', 'Studio', 'Supply', 'Home', 'Outdoor'])}"
    return {
        "brand": brand, "maker": f"{brand} GmbH", "seller_id": f"S{rng.randrange(90):04d}",
        "vendor_id": some(rng, 0.4, f"V{rng.randrange(300):05d}"), "origin": rng.choice(COUNTRIES),
        "import_flag": flag(rng, 0.2), "parallel_import": flag(rng, 0.05),
    }


def category(rng):
    path = ["Home & Living", rng.choice(MAKES) + " Collection", rng.choice(NOUNS) + "s"]
    fourth = some(rng, 0.5, f"{rng.choice(ADJECTIVES).title()} {path[2].lower()}")
    return {
        "category_1": path[0], "category_2": path[1], "category_3": path[2], "category_4": fourth,
        "product_type": " > ".join(part for part in [*path, fourth] if part),
        "google_product_category": rng.randrange(100, 8000),
        "naver_category": some(rng, 0.5, 50000000 + rng.randrange(9000)),
        "goods_type": some(rng, 0.2, rng.choice(["standard", "set"])),
        "product_flag": some(rng, 0.1, rng.choice(["rental", "wholesale"])),
    }


def look(rng):
    return {
        "condition": "new" if rng.random() < 0.95 else "refurbished", "adult": flag(rng, 0.01),
        "age_group": some(rng, 0.4, rng.choice(["adult", "kids", "toddler"])),
        "color": f"{rng.choice(COLORS)}/{rng.choice(COLORS)}",
        "gender": some(rng, 0.4, rng.choice(["male", "female", "unisex"])),
        "material": f"{rng.choice(MATERIALS)}/{rng.choice(MATERIALS)}",
        "pattern": some(rng, 0.3, rng.choice(["plain", "striped", "checked", "dotted"])),
        "size": rng.choice(["XS", "S", "M", "L", "XL", "one size", "40 x 60", "100 x 200"]),
        "size_type": some(rng, 0.1, rng.choice(["regular", "petite", "plus"])),
        "size_system": some(rng, 0.3, rng.choice(["EU", "US", "UK"])),
        "multipack": some(rng, 0.1, rng.randrange(2, 13)), "is_bundle": flag(rng, 0.05),
        "order_made": flag(rng, 0.03),
    }


def measures(rng):
    size = [rng.randrange(50, 2500) for _ in range(3)]
    grams = rng.randrange(80, 25_000)
    length, width, height = (f"{side / 10} cm" for side in size)
    shipped = [f"{side / 10 + 4:.1f} cm" for side in size]
    energy = rng.random() < 0.1
    return {
        "product_length": length, "product_width": width, "product_height": height,
        "product_weight": f"{grams / 1000} kg", "shipping_length": shipped[0], "shipping_width": shipped[1],
        "shipping_height": shipped[2], "shipping_weight": f"{(grams + 350) / 1000} kg",
        "unit_pricing_measure": some(rng, 0.2, f"{grams} g"),
        "unit_pricing_base_measure": some(rng, 0.2, "100 g"),
        "energy_efficiency_class": rng.choice("ABCDE") if energy else None,
        "min_energy_efficiency_class": "G" if energy else None,
        "max_energy_efficiency_class": "A" if energy else None,
    }


def details(rng):
    tags = rng.sample(ADJECTIVES, 4)
    return {
        "product_detail": f"General:Material:{rng.choice(MATERIALS)},General:Made in:{rng.choice(COUNTRIES)}",
        "product_highlight": f"{tags[0]} and {tags[1]},{tags[2]} {rng.choice(MATERIALS)},easy to clean",
        "attribute": some(rng, 0.5, f"finish^{rng.choice(['matt', 'gloss'])},series^{rng.choice(MAKES)}"),
        "option_detail": some(rng, 0.3, f"Gift wrap^{rng.randrange(2, 9)}.00,Engraving^12.00"),
        "search_tag": ",".join(tags), "certification": some(rng, 0.1, "EC:EPREL:" + str(rng.randrange(10**6))),
        "identifier_exists": flag(rng, 0.95), "minimum_purchase_quantity": some(rng, 0.2, rng.randrange(1, 7)),
    }


def marketing(rng):
    season = rng.choice(["spring", "summer", "autumn", "winter"])
    return {
        "custom_label_0": season, "custom_label_1": f"margin-{rng.randrange(10)}",
        "custom_label_2": some(rng, 0.5, f"campaign-{rng.randrange(400)}"),
        "custom_label_3": some(rng, 0.3, rng.choice(["bestseller", "longtail", "clearance"])),
        "custom_label_4": None, "promotion_id": some(rng, 0.3, f"{season.upper()}{rng.randrange(30)},CLUB"),
        "event_words": some(rng, 0.2, f"Free gift with two of the {season} collection"),
        "coupon": some(rng, 0.1, f"{rng.randrange(5, 30)}%"), "included_destination": "Shopping_ads,Free_listings",
        "excluded_destination": some(rng, 0.05, "Display_ads"),
        "shopping_ads_excluded_country": some(rng, 0.1, "GB,CH"),
    }


def delivery(rng):
    cost = rng.choice([0, 390, 490, 690, 1290])
    shipping = ",".join(f"{to}::Standard:{money(cost)}" for to in rng.sample(COUNTRIES, 2))
    days = rng.randrange(1, 4)
    return {
        "shipping": shipping, "shipping_cost": money(cost),
        "shipping_label": rng.choice(["parcel", "bulky", "letter"]), "ships_from_country": rng.choice(COUNTRIES),
        "min_handling_time": days, "max_handling_time": days + rng.randrange(3),
        "shipping_transit_business_days": "Mon-Fri", "shipping_handling_business_days": "Mon-Sat",
        "delivery_grade": some(rng, 0.2, rng.choice(["fast", "standard"])),
        "delivery_detail": some(rng, 0.3, f"To the kerb, {rng.randrange(1, 5)} days after the call"),
        "tax": some(rng, 0.2, "US:CA:8.25:no"),
    }


class Feed:
    """One night's feed."""

    def __init__(self, rows, night, changed):
        self.rows = rows
        self.night = night
        self.changed_limit = int(changed * MASK)
        self.gone_limit = int(GONE * MASK)
        self.new_a_night = int(rows * NEW)
        self.pools = [make_pool(name) for name in POOLS]

    def total(self):
        """Products that ever were, up to this night."""
        return self.rows + (self.night - 1) * self.new_a_night

    def revision(self, number):
        """How often the product has changed, and when last: (0, 1) if never; None once it is gone."""
        first = 1 if number < self.rows else 2 + (number - self.rows) // max(self.new_a_night, 1)
        changes, last = 0, first
        for night in range(first + 1, self.night + 1):
            if mixed(number, 2 * night) < self.gone_limit:
                return None
            if mixed(number, 2 * night + 1) < self.changed_limit:
                changes, last = changes + 1, night
        return changes, last

    def chunk(self, start):
        """The lines of a chunk, and what the last night did to it."""
        lines = []
        counts = {"rows": 0, "new": 0, "changed": 0, "removed": 0}
        before = Feed.__new__(Feed)
        before.__dict__.update(self.__dict__, night=self.night - 1)
        for number in range(start, min(start + CHUNK_ROWS, self.total())):
            revision = self.revision(number)
            if revision is None:
                if before.revision(number) is not None:
                    counts["removed"] += 1
                continue
            changes, last = revision
            counts["rows"] += 1
            if number >= self.rows + max(self.night - 2, 0) * self.new_a_night or self.night == 1:
                counts["new"] += 1
            elif changes and last == self.night:
                counts["changed"] += 1
            lines.append(self.line(number, changes))
        text = "\n".join(lines) + "\n" if lines else ""
        return text.encode(), counts

    def line(self, n, changes):
        a = mixed(n, 101)
        b = mixed(n, 102)
        make = MAKES[a % 25]
        noun = NOUNS[(a >> 8) % 30]
        adjective = ADJECTIVES[(a >> 16) % 20]
        color = COLORS[(a >> 24) % 14]
        material = MATERIALS[(a >> 32) % 13]
        model = f"{make[:2].upper()}-{b % 90_000 + 10_000}"
        name = f"{make} {adjective} {noun.lower()} {model}"
        title = f"{name}, {color}" if not changes else f"{name}, {color}, edition {changes + 1}"
        closing = CLOSINGS[(a >> 40) % 5].replace('"', '""')
        description = (
            f"{OPENINGS[(a >> 44) % 7]}: the {adjective} {noun.lower()} {model} of {material}, in {color}. "
            f"{MIDDLES[(a >> 50) % 7]}. {closing}"
        )
        slug = f"{make}-{adjective}-{noun}-{n}".lower()
        cents = 500 + (b >> 17) % 60_000 + 137 * changes
        price = money(cents)
        sale = money(cents * 4 // 5) if b & 3 == 0 else ""
        sale_dates = "2026-03-01T00:00:00Z/2026-03-31T23:59:59Z" if sale else ""
        maximum = money(cents * 3 // 2) if b & 12 == 0 else ""
        expires = "2026-12-31T00:00:00Z" if b & 48 == 0 else ""
        state = STATES[(b >> 33) % 10]
        available = "2026-04-15T08:00:00Z" if state == "backorder" else ""
        updated = UPDATED[(b >> 36) % len(UPDATED)]
        pictures = f'"{PICTURES}/{slug}-2.jpg,{PICTURES}/{slug}-3.jpg"' if b & 64 else ""
        row = (
            f'P{n:09d},"{title}",{noun} {model},"{description}",{SHOP}/p/{slug}?variant={b % 977},'
            f"{SHOP}/m/{n},,{PICTURES}/{slug}-1.jpg,{pictures},,{4_000_000_000_000 + b % 999_999_999_999},"
            f"{model},{model}-{color[:2].upper()},G{n // 4:08d},{price},{sale},{sale_dates},{price},"
            f"{money(cents * 6 // 5)},{money(cents // 2)},,{maximum},{(b >> 40) % 250},{(b >> 48) % 1200},"
            f"{updated},{state},{available},{expires}"
        )
        c = mixed(n, 103)
        parts = [row]
        for pool in self.pools:
            parts.append(pool[c % len(pool)])
            c //= 7
        return ",".join(parts)


UPDATED = [
    (datetime(2026, 1, 1) + timedelta(minutes=17 * step)).strftime("%Y-%m-%dT%H:%M:%SZ") for step in range(4096)
]

worker_feed = None


def start_worker(*arguments):
    global worker_feed
    worker_feed = Feed(*arguments)


def worker_chunk(start):
    return worker_feed.chunk(start)


def check_columns():
    kinds = product_columns.by_source()
    unknown = [name for name in COLUMNS if name not in kinds]
    if unknown or len(COLUMNS) != 100 or len(set(COLUMNS)) != 100:
        raise SystemExit(f"{len(COLUMNS)} columns, expected 100 of the product table; unknown: {unknown}")


def make_feed(rows, night, changed, out):
    """Writes the feed and says what is in it."""
    check_columns()
    arguments = (rows, night, changed)
    starts = range(0, Feed(*arguments).total(), CHUNK_ROWS)
    counts = {"rows": 0, "new": 0, "changed": 0, "removed": 0}
    with open(out, "wb") as file, multiprocessing.Pool(os.cpu_count(), start_worker, arguments) as pool:
        file.write((",".join(COLUMNS) + "\n").encode())
        for text, of_chunk in pool.imap(worker_chunk, starts):
            file.write(text)
            for name, count in of_chunk.items():
                counts[name] += count
    return {**counts, "night": night, "bytes": os.path.getsize(out)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True, help="products of night 1")
    parser.add_argument("--night", type=int, default=1, help="1 or later")
    parser.add_argument("--changed", type=float, default=0.01, help="fraction that changes each night")
    parser.add_argument("--out", required=True, help="file to write")
    given = parser.parse_args()
    if given.rows < 1 or given.night < 1 or not 0 <= given.changed <= 1:
        parser.error("expected --rows and --night of at least 1 and --changed between 0 and 1")
    print(json.dumps(make_feed(given.rows, given.night, given.changed, given.out)))


if __name__ == "__main__":
    main()
