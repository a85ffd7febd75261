//! Which preset a source of each format is found to be of: its usual header, and a few rows.

use super::{Detected, assert_warns, found, lines};

/// Delimited text of these columns, each with the value that every row has; `#` in it is the row's number.
fn text(delimiter: &str, columns: &[(&str, &str)]) -> String {
    let line = |cells: Vec<String>| format!("{}\n", cells.join(delimiter));
    let header = line(columns.iter().map(|(name, _)| (*name).to_owned()).collect());
    let row = |number: u32| {
        line(columns.iter().map(|(_, value)| value.replace('#', &number.to_string())).collect())
    };
    header + &(1..5).map(row).collect::<String>()
}

/// As RSS.
fn rss(columns: &[(&str, &str)]) -> String {
    let item = |number: u32| {
        let fields = columns.iter().map(|(name, value)| {
            format!("<g:{name}>{}</g:{name}>", value.replace('#', &number.to_string()))
        });
        format!("<item>{}</item>", fields.collect::<String>())
    };
    let items: String = (1..5).map(item).collect();
    format!(
        "<?xml version=\"1.0\"?><rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel><title>S</title>{items}\
         </channel></rss>"
    )
}

type Column = (&'static str, &'static str);

const GOOGLE: [Column; 10] = [
    ("id", "p#"),
    ("title", "Chair #"),
    ("description", "A good chair"),
    ("link", "https://s.example/#"),
    ("image_link", "https://i.example/#.jpg"),
    ("availability", "in_stock"),
    ("price", "15.00 USD"),
    ("condition", "new"),
    ("brand", "Acme"),
    ("gtin", "4006381333931"),
];

const NAVER: [Column; 8] = [
    ("id", "p#"),
    ("title", "의자 #"),
    ("price_pc", "1000#"),
    ("link", "https://s.example/#"),
    ("image_link", "https://i.example/#.jpg"),
    ("category_name1", "가구"),
    ("shipping", "0"),
    ("update_time", "2026-01-02 03:04:05"),
];

fn with(columns: &[Column], more: &[Column]) -> Vec<Column> {
    [columns, more].concat()
}

/// With this value in the place of a column's.
fn but(columns: &[Column], other: Column) -> Vec<Column> {
    let place = |column: &Column| if column.0 == other.0 { other } else { *column };
    columns.iter().map(place).collect()
}

/// The words that Meta's availability has are in older data of Google's, too.
#[test]
fn words_that_two_formats_have_are_a_hint() {
    let spaced = but(&GOOGLE, ("availability", "in stock"));
    let renamed = |column: &Column| match column.0 {
        "image_link" => ("image link", column.1),
        _ => *column,
    };
    let named: Vec<Column> = spaced.iter().map(renamed).collect();
    for (expected, other, source) in [
        // Whoever it is for, its names are Google's. CJ's have the same.
        ("google-xml", "meta-xml", rss(&spaced)),
        ("google-tsv", "meta-tsv", text("\t", &spaced)),
        ("google-csv", "meta-csv", text(",", &named)),
        ("meta-csv", "google-csv", text(",", &spaced)),
    ] {
        let (detected, _) = found(source.clone());
        assert_eq!(detected.format, expected, "{source}");
        assert_eq!(detected.runner_up.map(|known| known.format), Some(other), "{source}");
    }
    let both: String = text(",", &GOOGLE).lines().skip(1).map(|row| format!("q{row}\n")).collect();
    let (detected, _) = found(text(",", &spaced) + &both);
    assert_eq!((detected.format, detected.runner_up), ("google-csv", None));
}

/// Google's data has none of them, whatever else it has that Meta's has, too.
#[test]
fn names_that_only_meta_has_leave_no_doubt() {
    let facebook =
        with(&GOOGLE, &[("fb_product_category", "Chairs"), ("quantity_to_sell_on_facebook", "5")]);
    // What Meta requires, and Google does not, may be missing.
    let bare: Vec<Column> =
        facebook.iter().copied().filter(|(name, _)| *name != "condition").collect();
    for (expected, source) in [
        ("meta-xml", rss(&facebook)),
        ("meta-csv", text(",", &facebook)),
        ("meta-tsv", text("\t", &facebook)),
        ("meta-csv", text(",", &bare)),
        ("meta-csv", text(",", &but(&GOOGLE, ("condition", "used_like_new")))),
    ] {
        let (detected, _) = found(source.clone());
        assert_eq!((detected.format, detected.runner_up), (expected, None), "{source}");
    }
}

/// Meta has them, and who adds one to Google's data makes no catalogue of Meta's of it.
#[test]
fn names_that_anybody_may_use_leave_a_doubt() {
    for column in [
        ("image", "https://i.example/#-b.jpg"),
        ("origin_country", "DE"),
        ("manufacturer_info", "Acme"),
    ] {
        let (detected, _) = found(text(",", &with(&GOOGLE, &[column])));
        let other = detected.runner_up.map(|known| known.format);
        assert_eq!((detected.format, other), ("meta-csv", Some("google-csv")), "{column:?}");
    }
}

/// CJ's fields are Google's: without a name of CJ's, nothing tells that they are.
#[test]
fn a_few_fields_of_googles_are_nobodys_format() {
    let row =
        |id: u32| format!("{id},a,b,https://s.example/{id},1.00 EUR,https://i.example/{id}.jpg\n");
    let rows: String = (0..30).map(row).collect();
    let (shop, pipe) = found(format!("id,title,title,link,price,image_link\n{rows}"));
    assert_eq!((shop.format, &shop.preset, pipe.map.len()), ("csv", &None, 5), "{:?}", shop.map);
    let told = "the header has title more than once: where one value is wanted, the first";
    assert_eq!(shop.warnings.iter().filter(|warning| warning.contains("title")).count(), 1);
    assert_warns(&shop, &[told]);
}

#[test]
fn each_format_is_known_by_its_usual_header() {
    let spaced = but(&GOOGLE, ("availability", "in stock"));
    let facebook = with(&GOOGLE, &[("quantity_to_sell_on_facebook", "5")]);
    let parts = with(&GOOGLE[..9], &[("image[0].url", "https://i.example/#.jpg")]);
    let cj = with(
        &[("PROGRAM_NAME", "Shop"), ("PROGRAM_URL", "https://s.example/"), ("CATALOG_NAME", "All")],
        &GOOGLE,
    );
    let shopify = [
        ("Handle", "chair-#"),
        ("Title", "Chair #"),
        ("Body (HTML)", "Good"),
        ("Vendor", "Acme"),
        ("Option1 Name", "Title"),
        ("Option1 Value", "Default"),
        ("Variant SKU", "c-#"),
        ("Variant Price", "15.00"),
        ("Image Src", "https://i.example/#.jpg"),
        ("Status", "active"),
    ];
    let shopify_of_late = [
        ("Title", "Chair #"),
        ("URL handle", "chair-#"),
        ("Description", "Good"),
        ("Vendor", "Acme"),
        ("Status", "active"),
        ("SKU", "c-#"),
        ("Option1 value", "Default"),
        ("Price", "15.00"),
        ("Compare-at price", "18.00"),
        ("Product image URL", "https://i.example/#.jpg"),
    ];
    let woocommerce = [
        ("ID", "#"),
        ("Type", "simple"),
        ("SKU", "c-#"),
        ("Name", "Chair #"),
        ("Published", "1"),
        ("Is featured?", "0"),
        ("In stock?", "1"),
        ("Weight (kg)", "4"),
        ("Regular price", "15"),
        ("Categories", "Chairs"),
        ("Images", "https://i.example/#.jpg"),
        ("Attribute 1 name", "Color"),
        ("Attribute 1 value(s)", "Blue"),
        ("Meta: _x", "y"),
    ];
    let awin = [
        ("aw_deep_link", "https://www.awin.example/p?#"),
        ("product_name", "Chair #"),
        ("aw_product_id", "7#"),
        ("merchant_product_id", "c-#"),
        ("merchant_image_url", "https://i.example/#.jpg"),
        ("description", "Good"),
        ("merchant_category", "Chairs"),
        ("search_price", "15.00"),
        ("merchant_name", "Shop"),
        ("store_price", "16.00"),
        ("currency", "GBP"),
        ("custom_1", "x"),
        ("Fashion:swatch", "y"),
    ];
    let legacy: String = (1..4)
        .map(|number| {
            format!(
                "<<<begin>>>\n<<<mapid>>>{number}\n<<<pname>>>의자\n<<<price>>>1000\n\
                 <<<pgurl>>>https://s.example/{number}\n<<<igurl>>>https://i.example/{number}.jpg\n\
                 <<<cate1>>>가구\n<<<deliv>>>0\n<<<ftend>>>\n"
            )
        })
        .collect();
    let rakuten = "HDR|1237|Shop|09/03/2026 00:02:32\n\
        1|Chair|A1|home|Chairs|https://c.example/1|https://i.example/1.jpg||Short|Long|0|amount|19.95|29.95|||Acme|4|\
        k|M|Pub|UPS|IN|788334995|10|USD||https://ad.example/p|x\nTRL|1\n";
    for (expected, source) in [
        ("google-tsv", text("\t", &GOOGLE)),
        ("google-csv", text(",", &GOOGLE)),
        ("google-csv", text(";", &GOOGLE)),
        ("google-xml", rss(&GOOGLE)),
        // Fields of Google's that Meta does not have, whatever the spaces.
        ("google-tsv", text("\t", &with(&spaced, &[("short_title", "Chair"), ("adult", "no")]))),
        // Without pictures Google's data lacks more of what Google asks for than of what Meta does.
        ("google-csv", text(",", &[&GOOGLE[..4], &GOOGLE[5..]].concat())),
        ("meta-csv", text(",", &spaced)),
        ("meta-tsv", text("\t", &facebook)),
        ("meta-csv", text(",", &facebook)),
        ("meta-csv", text(",", &parts)),
        ("meta-xml", rss(&facebook)),
        ("naver-ep", text("\t", &NAVER)),
        ("naver-ep", text(",", &NAVER)),
        ("naver-ep", text("\t", &with(&NAVER, &[("class", "I")]))),
        ("naver-ep-summary", text("\t", &with(&NAVER, &[("class", "U")]))),
        ("naver-ep-legacy", legacy),
        ("shopify-csv", text(",", &shopify)),
        ("shopify-csv", text(",", &shopify_of_late)),
        ("woocommerce-csv", text(",", &woocommerce)),
        ("awin", text("|", &awin)),
        ("awin", text(",", &awin)),
        ("cj-csv", text(",", &cj)),
        ("cj-csv", text("\t", &cj)),
        ("cj-xml", rss(&cj)),
        ("rakuten", rakuten.to_owned()),
    ] {
        let (detected, _) = found(source.clone());
        assert_eq!(detected.format, expected, "{source}");
        let other = detected.runner_up.as_ref().map(|other| other.format);
        // Most of what Meta asks for is Google's, too, and older data of Google's has spaces.
        let may_be_googles = expected.starts_with("meta-");
        assert!(other.is_none() || may_be_googles, "{other:?}: {source}");
    }
}

fn warns_of_changes(detected: &Detected) -> bool {
    detected.warnings.iter().any(|warning| warning.contains("format = \"naver-ep"))
}

/// All amounts of such a format are in one currency, and say nothing of it.
#[test]
fn amounts_whose_format_says_their_currency() {
    let others = [("price_mobile", "900#"), ("normal_price", "2000#")];
    let (found, _) = found(text("\t", &with(&NAVER, &others)));
    assert_eq!(found.format, "naver-ep");
    assert!(!found.warnings.iter().any(|w| w.contains("currency")), "{:?}", found.warnings);
}

/// What has a class for each product may be all of them; what is gone, or was changed, is told by changes only.
#[test]
fn a_full_catalogue_is_no_list_of_changes() {
    let (plain, _) = found(text("\t", &NAVER));
    assert!(!warns_of_changes(&plain), "{:?}", plain.warnings);
    let (full, pipe) = found(text("\t", &with(&NAVER, &[("class", "I")])));
    assert_warns(&full, &["taken for the whole catalogue"]);
    assert!(!pipe.source.changes_only);
    let (empty, _) = found(text("\t", &with(&NAVER, &[("class", "")])));
    assert_eq!((empty.format, warns_of_changes(&empty)), ("naver-ep", false));
    // Only the last of many says so.
    let class = with(&NAVER, &[("class", "I")]);
    let one = text("\t", &class);
    let row = one.lines().nth(1).unwrap();
    let many: String = (0..900)
        .map(|number| format!("{}\n", row.replacen("p1", &format!("q{number}"), 1)))
        .collect();
    let last = row.replacen("p1", "z", 1);
    let last = last.strip_suffix('I').unwrap();
    let (changes, pipe) = found(format!("{one}{many}{last}D\n"));
    assert_warns(&changes, &["taken for one of changes only", "format = \"naver-ep\""]);
    assert_eq!((changes.format, pipe.source.changes_only), ("naver-ep-summary", true));
}

/// Nobody guesses at what makes the id, so a preset is not proposed that could not be read.
#[test]
fn shopify_without_its_handle() {
    let (shop, _) = found("Handles,Title,Variant Price\nshirt,Shirt,10.00\ncup,Cup,5.00\n");
    assert_eq!((shop.format, shop.records), ("csv", 2));
}

#[test]
fn naver_as_partners_send_it() {
    // Names that somebody misspelt.
    let renamed = |column: &Column| match column.0 {
        "image_link" => ("imgae_link", column.1),
        "category_name1" => ("catagory_name1", column.1),
        _ => *column,
    };
    let misspelt: Vec<Column> = NAVER.iter().map(renamed).collect();
    let (misspelt, _) = found(text("\t", &misspelt));
    assert_eq!(misspelt.format, "naver-ep");
    assert_eq!((misspelt.coverage["image_link"], misspelt.coverage["category_1"]), (1.0, 1.0));
    let warning = "requires category_name1; catagory_name1 is taken for it";
    assert_warns(&misspelt, &[warning, "requires image_link; imgae_link is taken for it"]);
    // CSV with quotes.
    let (csv, pipe) = found(text(",", &but(&NAVER, ("title", "\"의자, 넷 #\""))));
    assert_eq!((csv.format, pipe.source.quoting), ("naver-ep", None));
    assert_eq!((csv.coverage["price"], csv.coverage["category_1"]), (1.0, 1.0));
    // XML, for which there is no preset.
    let (xml, _) =
        found(rss(&with(&NAVER, &[("category_name2", "의자"), ("price_mobile", "900")])));
    assert_eq!(xml.format, "xml");
    let mapped = lines(&xml);
    for (column, field) in [
        ("price", "\"price_pc\""),
        ("mobile_price", "\"price_mobile\""),
        ("category_1", "\"category_name1\""),
        ("category_2", "\"category_name2\""),
    ] {
        assert!(mapped.contains(&(column, field)), "{column}: {mapped:?}");
    }
}
