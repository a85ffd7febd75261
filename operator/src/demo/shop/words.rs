//! What the sample shop's partners sell: the word lists from which every product is put together.

/// What a product's picture shows, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Peak,
    Block,
    Tall,
    Disc,
    Lamp,
    Bowl,
    Board,
    Frame,
    Book,
    Coat,
}

type Words = &'static [&'static str];

/// One kind of product.
#[derive(Debug)]
pub struct Kind {
    /// Its name in picture paths: unique over all partners, without a hyphen.
    pub slug: &'static str,
    pub name: &'static str,
    pub shape: Shape,
    /// Levels of the category below the partner's own root.
    pub category: Words,
    /// Lowest and highest price, in minor units of the partner's currency.
    pub price_minor: (i64, i64),
    pub sizes: Words,
    /// What it is made of; for a book, what its title speaks of.
    pub materials: Words,
}

/// A colour that a partner's products come in.
#[derive(Debug)]
pub struct Colour {
    /// Its name in picture paths: unique within its partner, without a hyphen.
    pub slug: &'static str,
    pub name: &'static str,
    pub rgb: [u8; 3],
}

/// Everything that one partner's products are put together from.
#[derive(Debug)]
pub struct Assortment {
    pub slug: &'static str,
    /// The feed's file name.
    pub feed: &'static str,
    /// Products on night one.
    pub products: usize,
    /// ISO 4217 code.
    pub currency: &'static str,
    pub id_prefix: &'static str,
    /// First three digits of every GTIN.
    pub gtin_prefix: &'static str,
    /// Extension of the picture files: `jpg` or `png`.
    pub pictures: &'static str,
    /// First level of every category.
    pub root: &'static str,
    /// Template of a title: `{brand}`, `{line}`, `{name}`, `{size}`, `{colour}`, `{material}`.
    pub title: &'static str,
    /// Template of a description, with the same fields and `{feature}`.
    pub description: &'static str,
    /// Added to a title that night two changes.
    pub retitled: &'static str,
    pub brands: Words,
    /// Makers, or a book's authors; where there are none, the brand is the maker.
    pub makers: Words,
    pub lines: Words,
    pub features: Words,
    pub kinds: &'static [Kind],
    pub colours: &'static [Colour],
}

/// The kind and the colour that a picture's name starts with, and whose they are.
pub fn find(kind: &str, colour: &str) -> Option<(&'static Kind, &'static Colour)> {
    ALL.iter().find_map(|partner| {
        let kind = partner.kinds.iter().find(|k| k.slug == kind)?;
        let colour = partner.colours.iter().find(|c| c.slug == colour)?;
        Some((kind, colour))
    })
}

const fn kind(
    slug: &'static str,
    name: &'static str,
    shape: Shape,
    category: Words,
    price_minor: (i64, i64),
    sizes: Words,
    materials: Words,
) -> Kind {
    Kind { slug, name, shape, category, price_minor, sizes, materials }
}

const fn colour(slug: &'static str, name: &'static str, rgb: [u8; 3]) -> Colour {
    Colour { slug, name, rgb }
}

use Shape::{Block, Board, Book, Bowl, Coat, Disc, Frame, Lamp, Peak, Tall};

/// The assortments, in the order of [`super::catalogue::Partner`].
pub static ALL: [Assortment; 6] = [NORTHWIND, HANOK, LUMEN, PIXEL, ATELIER, CORNER];

// The tables below keep one thing a line, which rustfmt would spread over ten.

#[rustfmt::skip]
const NORTHWIND: Assortment = Assortment {
    slug: "northwind-outdoor", feed: "products.xml.gz", products: 2_000, currency: "USD",
    id_prefix: "NW-", gtin_prefix: "081", pictures: "jpg", root: "Outdoor",
    title: "{brand} {line} {name} {size}, {colour}",
    description: "{line} {name} ({size}) made of {material}, in {colour}. {feature}",
    retitled: " (2026 edition)",
    brands: &["Fellhaus", "Tarnbeck", "Northwind", "Cairn & Co", "Skarv", "Highmoor", "Pinewhistle", "Drumlin"],
    makers: &[],
    lines: &["Ridgeline", "Lowland", "Stormglass", "Trailhead", "Basecamp", "Kestrel", "Fjord", "Longhaul", "Feather", "Switchback", "Timberline", "Solstice"],
    features: &[
        "Packs down to the size of a water bottle & weighs next to nothing.",
        "Seams are taped; tested in three days of rain.",
        "Every part can be replaced, and spares are kept for ten years.",
        "Reflective guy points are easy to find after dark.",
        "Rated for temperatures < 0 °C.",
        "Won \"Best in Camp\" two years running.",
        "The buckles work with gloves on.",
    ],
    kinds: &[
        kind("tent", "tent", Peak, &["Camping", "Tents"], (14_900, 64_900), &["1-person", "2-person", "3-person", "4-person"], &["ripstop nylon", "polyester"]),
        kind("tarp", "tarp", Peak, &["Camping", "Tarps"], (3_900, 15_900), &["2 x 3 m", "3 x 3 m", "4 x 4 m"], &["silnylon", "polycotton"]),
        kind("sleepingbag", "sleeping bag", Tall, &["Camping", "Sleeping bags"], (7_900, 39_900), &["regular", "long", "wide"], &["duck down", "recycled fibre"]),
        kind("sleepingpad", "sleeping pad", Tall, &["Camping", "Pads"], (3_900, 19_900), &["regular", "long"], &["closed-cell foam", "nylon"]),
        kind("hammock", "hammock", Bowl, &["Camping", "Hammocks"], (2_900, 12_900), &["single", "double"], &["parachute nylon", "cotton canvas"]),
        kind("campchair", "camp chair", Block, &["Camping", "Furniture"], (2_900, 14_900), &["low", "high"], &["aluminium and mesh", "beech and canvas"]),
        kind("stove", "stove", Disc, &["Cooking", "Stoves"], (2_400, 17_900), &["solo", "group"], &["titanium", "stainless steel"]),
        kind("cookset", "cook set", Bowl, &["Cooking", "Cook sets"], (2_900, 13_900), &["0.9 l", "1.8 l", "3 l"], &["titanium", "hard-anodised aluminium"]),
        kind("bottle", "bottle", Tall, &["Cooking", "Bottles"], (1_400, 4_900), &["0.5 l", "0.75 l", "1 l"], &["stainless steel", "tritan"]),
        kind("headlamp", "headlamp", Disc, &["Lighting", "Headlamps"], (1_900, 11_900), &["200 lm", "400 lm", "800 lm"], &["aluminium", "polycarbonate"]),
        kind("lantern", "lantern", Tall, &["Lighting", "Lanterns"], (1_900, 8_900), &["small", "large"], &["steel", "silicone"]),
        kind("backpack", "backpack", Coat, &["Packs", "Backpacks"], (8_900, 34_900), &["45 l", "60 l", "75 l"], &["cordura", "ripstop nylon"]),
        kind("daypack", "daypack", Coat, &["Packs", "Daypacks"], (3_900, 15_900), &["16 l", "22 l", "28 l"], &["recycled polyester", "waxed cotton"]),
        kind("drybag", "dry bag", Tall, &["Packs", "Dry bags"], (1_200, 5_900), &["5 l", "10 l", "20 l", "40 l"], &["tarpaulin", "silnylon"]),
        kind("jacket", "rain jacket", Coat, &["Clothing", "Jackets"], (8_900, 44_900), &["S", "M", "L", "XL"], &["three-layer membrane", "waxed cotton"]),
        kind("fleece", "fleece", Coat, &["Clothing", "Fleeces"], (4_900, 17_900), &["S", "M", "L", "XL"], &["recycled polyester", "merino wool"]),
        kind("boots", "boots", Block, &["Footwear", "Boots"], (9_900, 32_900), &["EU 38", "EU 40", "EU 42", "EU 44"], &["full-grain leather", "suede and mesh"]),
        kind("poles", "trekking poles", Tall, &["Hiking", "Poles"], (3_900, 18_900), &["folding", "telescopic"], &["carbon fibre", "aluminium"]),
    ],
    colours: &[
        colour("moss", "moss green", [96, 118, 64]), colour("slate", "slate", [92, 104, 118]),
        colour("ember", "ember red", [186, 66, 44]), colour("sand", "sand", [201, 174, 128]),
        colour("ocean", "ocean blue", [38, 96, 142]), colour("plum", "plum", [112, 58, 104]),
        colour("granite", "granite", [128, 126, 122]), colour("sunflower", "sunflower", [232, 180, 42]),
    ],
};

#[rustfmt::skip]
const HANOK: Assortment = Assortment {
    slug: "hanok-living", feed: "ep-full.txt", products: 1_200, currency: "KRW",
    id_prefix: "HL", gtin_prefix: "880", pictures: "jpg", root: "가구/인테리어",
    title: "{brand} {line} {material} {name} {size} {colour}",
    description: "{feature}",
    retitled: " 신상",
    brands: &["한옥살이", "담소", "고요공방", "달항아리", "온돌", "솔바람", "마루결", "윤슬"],
    makers: &["한옥살이공예", "담양공방", "이천도예", "전주한지사", "통영나전"],
    lines: &["소담", "고운", "다온", "새벽", "나린", "단아", "보름", "가람", "미르", "해밀"],
    features: &["무료배송", "한정수량", "명절선물 추천", "집들이 선물", "장인 수공예"],
    kinds: &[
        kind("ricebowl", "밥그릇", Bowl, &["주방용품", "그릇/식기"], (12_000, 68_000), &["1인", "2인", "4인"], &["유기", "백자", "분청"]),
        kind("teacup", "찻잔", Bowl, &["주방용품", "다기"], (9_000, 45_000), &["1p", "2p", "5p"], &["백자", "청자", "분청"]),
        kind("teapot", "찻주전자", Disc, &["주방용품", "다기"], (28_000, 180_000), &["300ml", "500ml"], &["백자", "자사", "무쇠"]),
        kind("plate", "접시", Disc, &["주방용품", "그릇/식기"], (8_000, 52_000), &["소", "중", "대"], &["유기", "백자", "옻칠"]),
        kind("cutlery", "수저세트", Tall, &["주방용품", "수저"], (15_000, 98_000), &["1벌", "2벌", "4벌"], &["유기", "은", "옻칠"]),
        kind("choppingboard", "도마", Board, &["주방용품", "조리도구"], (18_000, 88_000), &["소", "중", "대"], &["편백", "느티나무", "호두나무"]),
        kind("soban", "소반", Block, &["거실가구", "좌식테이블"], (58_000, 420_000), &["1인", "2인"], &["느티나무", "소나무", "옻칠"]),
        kind("cabinet", "수납장", Block, &["거실가구", "수납장"], (120_000, 890_000), &["2단", "3단", "4단"], &["오동나무", "느티나무", "자개"]),
        kind("mirror", "거울", Frame, &["거실가구", "거울"], (32_000, 240_000), &["소", "중", "대"], &["자개", "소나무", "황동"]),
        kind("cushion", "방석", Block, &["침구", "방석"], (14_000, 78_000), &["1개", "2개", "4개"], &["모시", "누비", "명주"]),
        kind("quilt", "이불", Coat, &["침구", "이불"], (68_000, 380_000), &["싱글", "퀸", "킹"], &["누비", "모시", "인견"]),
        kind("pillow", "베개", Block, &["침구", "베개"], (18_000, 96_000), &["소", "중"], &["메밀", "편백", "목화솜"]),
        kind("hanjilamp", "한지등", Lamp, &["조명", "무드등"], (26_000, 190_000), &["소", "중", "대"], &["한지", "한지와 대나무"]),
        kind("bojagi", "보자기", Frame, &["홈데코", "패브릭"], (12_000, 110_000), &["50cm", "90cm", "110cm"], &["모시", "명주", "노방"]),
        kind("vase", "꽃병", Tall, &["홈데코", "화병"], (22_000, 210_000), &["소", "중", "대"], &["백자", "청자", "유기"]),
        kind("jar", "항아리", Disc, &["홈데코", "도자기"], (38_000, 560_000), &["소", "중", "대"], &["백자", "옹기", "분청"]),
    ],
    colours: &[
        colour("ink", "먹색", [54, 52, 56]), colour("porcelain", "백자색", [226, 226, 218]),
        colour("celadon", "청자색", [138, 174, 154]), colour("indigo", "쪽빛", [44, 68, 120]),
        colour("persimmon", "감색", [214, 116, 52]), colour("pollen", "송화색", [230, 204, 96]),
        colour("crimson", "홍색", [176, 42, 56]), colour("ochre", "황토색", [172, 122, 74]),
    ],
};

#[rustfmt::skip]
const LUMEN: Assortment = Assortment {
    slug: "lumen-lighting", feed: "artikel.csv", products: 1_000, currency: "EUR",
    id_prefix: "LU-", gtin_prefix: "401", pictures: "png", root: "Leuchten",
    title: "{brand} {line} {name} {size}, {colour}",
    description: "{name} »{line}« aus {material}, {colour}; {feature}",
    retitled: " (neues Modell)",
    brands: &["Lumen", "Lichtwerk", "Abendrot", "Nordlicht", "Kupferhof", "Glanzstück"],
    makers: &[],
    lines: &["Halo", "Elbe", "Dämmer", "Ara", "Polar", "Linea", "Mira", "Terz", "Ovo", "Säule"],
    features: &[
        "dimmbar; warmweiß, 2700 K.",
        "mit austauschbarem \"Click\"-Leuchtmittel.",
        "das Kabel ist 2,5 m lang und mit Stoff umflochten.",
        "Schutzart IP44, auch fürs Bad geeignet.",
        "per Fernbedienung; Batterie liegt bei.",
    ],
    kinds: &[
        kind("pendant", "Pendelleuchte", Lamp, &["Innenleuchten", "Pendelleuchten"], (5_900, 89_900), &["Ø 25 cm", "Ø 40 cm", "Ø 60 cm"], &["Glas", "Stahl", "Messing"]),
        kind("ceiling", "Deckenleuchte", Disc, &["Innenleuchten", "Deckenleuchten"], (3_900, 49_900), &["Ø 30 cm", "Ø 45 cm"], &["Acryl", "Opalglas"]),
        kind("tablelamp", "Tischleuchte", Lamp, &["Innenleuchten", "Tischleuchten"], (2_900, 39_900), &["klein", "groß"], &["Keramik", "Glas", "Eiche"]),
        kind("floorlamp", "Stehleuchte", Lamp, &["Innenleuchten", "Stehleuchten"], (6_900, 79_900), &["140 cm", "175 cm"], &["Stahl", "Eiche", "Marmor"]),
        kind("walllamp", "Wandleuchte", Block, &["Innenleuchten", "Wandleuchten"], (2_900, 29_900), &["ein Strahler", "zwei Strahler"], &["Gips", "Stahl"]),
        kind("reading", "Leseleuchte", Lamp, &["Innenleuchten", "Leseleuchten"], (3_900, 24_900), &["kurz", "lang"], &["Aluminium", "Stahl"]),
        kind("chandelier", "Kronleuchter", Bowl, &["Innenleuchten", "Kronleuchter"], (19_900, 249_900), &["6 Arme", "12 Arme"], &["Kristall", "Messing"]),
        kind("nightlight", "Nachtlicht", Disc, &["Innenleuchten", "Nachtlichter"], (1_200, 4_900), &["Steckdose", "Akku"], &["Silikon", "Holz"]),
        kind("mirrorlamp", "Spiegelleuchte", Board, &["Innenleuchten", "Badleuchten"], (4_900, 28_900), &["40 cm", "60 cm", "90 cm"], &["Chrom", "Aluminium"]),
        kind("spot", "Einbaustrahler", Disc, &["Technik", "Einbaustrahler"], (1_400, 9_900), &["1er", "3er-Set", "6er-Set"], &["Aluminium", "Zink"]),
        kind("ledstrip", "LED-Streifen", Board, &["Technik", "LED-Streifen"], (1_900, 14_900), &["2 m", "5 m", "10 m"], &["Silikon", "Kupfer"]),
        kind("clamp", "Klemmleuchte", Lamp, &["Technik", "Klemmleuchten"], (1_900, 11_900), &["klein", "groß"], &["Stahl", "Kunststoff"]),
        kind("gardenlamp", "Außenleuchte", Tall, &["Außenleuchten", "Wegeleuchten"], (3_900, 34_900), &["40 cm", "80 cm"], &["Edelstahl", "Cortenstahl"]),
        kind("solar", "Solarleuchte", Disc, &["Außenleuchten", "Solarleuchten"], (1_400, 12_900), &["einzeln", "4er-Set"], &["Glas", "Kunststoff"]),
    ],
    colours: &[
        colour("jet", "schwarz", [44, 44, 46]), colour("chalk", "weiß", [232, 230, 224]),
        colour("brass", "Messing", [190, 152, 76]), colour("copper", "Kupfer", [188, 110, 74]),
        colour("nickel", "Nickel", [168, 168, 164]), colour("anthracite", "anthrazit", [74, 78, 84]),
        colour("sage", "Salbei", [146, 164, 138]), colour("terracotta", "Terrakotta", [194, 108, 82]),
    ],
};

#[rustfmt::skip]
const PIXEL: Assortment = Assortment {
    slug: "pixel-parts", feed: "catalog.jsonl.zst", products: 1_000, currency: "USD",
    id_prefix: "PXP-", gtin_prefix: "085", pictures: "jpg", root: "Computers",
    title: "{brand} {line} {name} {size}, {colour}",
    description: "{brand} {name} with {material}. {feature}",
    retitled: ", revision B",
    brands: &["Ferrum", "Oktet", "Vantablue", "Gatebridge", "Nulldrive", "Quietline"],
    makers: &[],
    lines: &["Apex", "Core", "Nova", "Flux", "Prime", "Zero", "Vector", "Titan"],
    features: &["Five years of warranty.", "Tested for 24 hours before it ships.", "Runs cool & quiet.", "Firmware is updated from any system."],
    kinds: &[
        kind("memory", "memory kit", Board, &["Components", "Memory"], (3_900, 49_900), &["16 GB", "32 GB", "64 GB"], &["DDR5-5600", "DDR5-6400"]),
        kind("ssd", "NVMe drive", Board, &["Components", "Storage"], (4_900, 59_900), &["1 TB", "2 TB", "4 TB"], &["TLC flash", "QLC flash"]),
        kind("gpu", "graphics card", Board, &["Components", "Graphics cards"], (24_900, 189_900), &["8 GB", "12 GB", "16 GB"], &["two fans", "three fans"]),
        kind("mainboard", "mainboard", Board, &["Components", "Mainboards"], (9_900, 59_900), &["ATX", "Micro-ATX", "Mini-ITX"], &["12 power phases", "16 power phases"]),
        kind("psu", "power supply", Block, &["Components", "Power supplies"], (5_900, 34_900), &["550 W", "750 W", "1000 W"], &["80 PLUS Gold", "80 PLUS Platinum"]),
        kind("pccase", "case", Tall, &["Components", "Cases"], (4_900, 27_900), &["mini tower", "mid tower"], &["tempered glass", "a mesh front"]),
        kind("fan", "case fan", Disc, &["Cooling", "Fans"], (1_200, 3_900), &["120 mm", "140 mm"], &["fluid bearings", "ball bearings"]),
        kind("cooler", "CPU cooler", Tall, &["Cooling", "CPU coolers"], (2_900, 22_900), &["single tower", "dual tower", "240 mm"], &["four heat pipes", "six heat pipes"]),
        kind("keyboard", "keyboard", Board, &["Peripherals", "Keyboards"], (3_900, 24_900), &["60 %", "TKL", "full size"], &["linear switches", "tactile switches"]),
        kind("mouse", "mouse", Disc, &["Peripherals", "Mice"], (1_900, 14_900), &["small", "medium", "large"], &["an optical sensor", "a laser sensor"]),
        kind("monitor", "monitor", Frame, &["Peripherals", "Monitors"], (14_900, 129_900), &["24 inch", "27 inch", "32 inch"], &["an IPS panel", "an OLED panel"]),
        kind("headset", "headset", Disc, &["Peripherals", "Headsets"], (3_900, 29_900), &["wired", "wireless"], &["40 mm drivers", "50 mm drivers"]),
        kind("hub", "USB hub", Block, &["Peripherals", "Hubs"], (1_400, 9_900), &["4 ports", "7 ports", "10 ports"], &["USB 3.2", "USB4"]),
        kind("webcam", "webcam", Disc, &["Peripherals", "Webcams"], (2_900, 19_900), &["1080p", "1440p", "4K"], &["a glass lens", "a privacy shutter"]),
    ],
    colours: &[
        colour("black", "black", [40, 40, 42]), colour("white", "white", [230, 232, 234]),
        colour("graphite", "graphite", [88, 92, 98]), colour("silver", "silver", [176, 180, 184]),
        colour("red", "red", [188, 46, 50]), colour("teal", "teal", [40, 132, 132]),
    ],
};

#[rustfmt::skip]
const ATELIER: Assortment = Assortment {
    slug: "atelier-press", feed: "prints.atom", products: 500, currency: "EUR",
    id_prefix: "AP-", gtin_prefix: "376", pictures: "jpg", root: "Art & paper",
    title: "{line}, {name} {size}, {colour}",
    description: "\"{line}\": {name} on {material}, printed in {colour}. {feature}",
    retitled: ", second state",
    brands: &["Atelier Press", "Maison Brume", "Encre & Fils", "Rue Basse"],
    makers: &[],
    lines: &["Harbour at Dusk", "Le Vieux Pont", "Three Herons", "Marée basse", "Rooftops", "The Orchard", "Café du Nord", "Winter Field", "Étude n° 4", "Night Ferry"],
    features: &["Signed and numbered.", "Ships flat in acid-free tissue.", "Edition of 150.", "Printed by hand in our own shop."],
    kinds: &[
        kind("etching", "etching", Frame, &["Prints", "Etchings"], (8_900, 64_900), &["20 x 30 cm", "40 x 50 cm"], &["cotton rag", "laid paper"]),
        kind("lithograph", "lithograph", Frame, &["Prints", "Lithographs"], (7_900, 49_900), &["30 x 40 cm", "50 x 70 cm"], &["vellum", "cotton rag"]),
        kind("screenprint", "screen print", Frame, &["Prints", "Screen prints"], (4_900, 29_900), &["30 x 40 cm", "50 x 70 cm"], &["heavy card", "cotton rag"]),
        kind("linocut", "linocut", Frame, &["Prints", "Linocuts"], (3_900, 22_900), &["20 x 20 cm", "30 x 40 cm"], &["mulberry paper", "laid paper"]),
        kind("artprint", "art print", Frame, &["Prints", "Art prints"], (1_900, 9_900), &["A4", "A3", "A2"], &["matte paper", "baryta paper"]),
        kind("photograph", "photograph", Frame, &["Prints", "Photographs"], (5_900, 39_900), &["24 x 30 cm", "40 x 50 cm"], &["baryta paper", "rag paper"]),
        kind("poster", "poster", Frame, &["Paper", "Posters"], (1_200, 4_900), &["A3", "A2", "A1"], &["uncoated paper", "recycled paper"]),
        kind("calendar", "calendar", Board, &["Paper", "Calendars"], (1_400, 3_900), &["A4", "A3"], &["uncoated paper", "recycled paper"]),
        kind("notebook", "notebook", Book, &["Paper", "Notebooks"], (1_100, 3_400), &["A6", "A5", "A4"], &["ruled paper", "dotted paper"]),
        kind("cards", "set of cards", Block, &["Paper", "Cards"], (1_100, 2_900), &["6 cards", "12 cards"], &["letterpress card", "cotton card"]),
    ],
    colours: &[
        colour("sepia", "sepia", [124, 92, 62]), colour("cobalt", "cobalt", [36, 74, 164]),
        colour("vermilion", "vermilion", [212, 72, 46]), colour("olive", "olive", [122, 124, 62]),
        colour("charcoal", "charcoal", [60, 60, 62]), colour("rose", "rose", [206, 132, 142]),
    ],
};

#[rustfmt::skip]
const CORNER: Assortment = Assortment {
    slug: "corner-books", feed: "books.zip", products: 500, currency: "GBP",
    id_prefix: "CB", gtin_prefix: "978", pictures: "jpg", root: "Books",
    title: "The {line} {material}",
    description: "{name}. {feature}",
    retitled: ": revised edition",
    brands: &["Corner House", "Lamplight Press", "Quill & Crane", "Seven Dials", "Wren Editions"],
    makers: &["Ada Merrow", "Tomas Hale", "Ines Calloway", "Jun Park", "Wilf Oakes", "Marta Lindqvist", "Osei Boateng", "Clara Finch", "Ravi Menon", "Elsie Thorne", "Piotr Wolski", "Noor Rahman"],
    lines: &["Silent", "Last", "Hidden", "Glass", "Salt", "Winter", "Crooked", "Paper", "Golden", "Unfinished", "Northern", "Second"],
    features: &["A book to be read in one sitting.", "\"Sharp, funny & humane.\"", "With a new foreword by the author.", "Longlisted for two prizes.", "With maps and notes."],
    kinds: &[
        kind("novel", "A novel", Book, &["Fiction", "Novels"], (1_100, 2_900), &["Hardcover", "Paperback"], &["Harbour", "Inheritance", "Orchard", "Letter"]),
        kind("crime", "A crime novel", Book, &["Fiction", "Crime"], (1_100, 2_400), &["Hardcover", "Paperback"], &["Alibi", "Witness", "Ledger", "Confession"]),
        kind("fantasy", "A fantasy novel", Book, &["Fiction", "Fantasy"], (1_200, 2_900), &["Hardcover", "Paperback"], &["Throne", "Oath", "Cartographer", "Wyrm"]),
        kind("scifi", "A science fiction novel", Book, &["Fiction", "Science fiction"], (1_200, 2_900), &["Hardcover", "Paperback"], &["Orbit", "Signal", "Colony", "Engine"]),
        kind("poetry", "Poems", Book, &["Fiction", "Poetry"], (1_100, 1_900), &["Paperback"], &["Sparrow", "Tide", "Psalm", "Almanac"]),
        kind("history", "A history", Book, &["Non-fiction", "History"], (1_400, 3_900), &["Hardcover", "Paperback"], &["Empire", "Siege", "Treaty", "Republic"]),
        kind("biography", "A biography", Book, &["Non-fiction", "Biography"], (1_400, 3_400), &["Hardcover", "Paperback"], &["Diplomat", "Painter", "Physician", "Pilot"]),
        kind("travel", "A traveller's account", Book, &["Non-fiction", "Travel"], (1_200, 2_900), &["Hardcover", "Paperback"], &["Railway", "Island", "Pass", "Coast"]),
        kind("cookery", "A cookery book", Book, &["Non-fiction", "Cookery"], (1_400, 3_900), &["Hardcover"], &["Table", "Kitchen", "Pantry", "Feast"]),
        kind("gardening", "A gardener's companion", Book, &["Non-fiction", "Gardening"], (1_400, 3_400), &["Hardcover", "Paperback"], &["Garden", "Hedge", "Meadow", "Greenhouse"]),
        kind("science", "Popular science", Book, &["Non-fiction", "Science"], (1_200, 2_900), &["Hardcover", "Paperback"], &["Atom", "Neuron", "Glacier", "Fossil"]),
        kind("picturebook", "A picture book", Book, &["Children", "Picture books"], (1_100, 1_600), &["Board book", "Hardcover"], &["Badger", "Moon", "Teapot", "Lighthouse"]),
    ],
    colours: &[
        colour("navy", "navy", [38, 50, 92]), colour("burgundy", "burgundy", [118, 32, 48]),
        colour("forest", "forest", [44, 88, 60]), colour("cream", "cream", [226, 214, 186]),
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_picture_name_leads_to_one_kind_and_colour() {
        let mut kinds = HashSet::new();
        for partner in &ALL {
            let mut colours = HashSet::new();
            for kind in partner.kinds {
                assert!(kinds.insert(kind.slug) && !kind.slug.contains('-'), "{}", kind.slug);
            }
            for colour in partner.colours {
                assert!(
                    colours.insert(colour.slug) && !colour.slug.contains('-'),
                    "{}",
                    colour.slug
                );
            }
        }
    }

    #[test]
    fn about_six_hundred_pictures_in_all() {
        let pictures: usize = ALL.iter().map(|p| p.kinds.len() * p.colours.len()).sum();
        assert!((500..700).contains(&pictures), "{pictures}");
    }

    #[test]
    fn prices_leave_room_for_a_night_of_changes() {
        for kind in ALL.iter().flat_map(|partner| partner.kinds) {
            let (lowest, highest) = kind.price_minor;
            assert!(1_000 < lowest && lowest < highest, "{}", kind.slug);
        }
    }
}
