//! A folder's configuration: defaults, what each setting becomes, and what is kept secret.

use feedfleet_config::{
    Compression, Fleet, FleetBackend, Format, From as MapFrom, Location, Lookup, Piece, Pipe,
    Place, QueueBackend, Quoting, RenditionFormat, ServerLogin, Target, Transform, load,
    load_lenient, parse_fleet, parse_pipe,
};
use feedfleet_model::{ColumnId, columns};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("TOKEN".to_owned(), "hunter2".to_owned()),
        ("DATA".to_owned(), "/data".to_owned()),
    ])
}

fn pipe(text: &str) -> Pipe {
    let name = "acme".parse().expect("a pipe's name");
    let pipe = parse_pipe(&name, text, Path::new("/conf"), &environment());
    pipe.unwrap_or_else(|errors| panic!("{errors}"))
}

fn fleet(text: &str) -> Fleet {
    let fleet = parse_fleet(text, Path::new("/conf"), &environment());
    fleet.unwrap_or_else(|errors| panic!("{errors}"))
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

const SMALL: &str = "[source]\nurl = 'f.xml'\nformat = 'google-xml'\n";

#[test]
fn a_file_with_a_name_like_an_address_is_named_in_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "acme".parse().expect("a pipe's name");
    let location = |url: &str| {
        let text = SMALL.replace("f.xml", url);
        let pipe = parse_pipe(&name, &text, folder.path(), &environment());
        pipe.ok().map(|pipe| pipe.source.location.display())
    };
    let path = folder.path().join("./shop:1").display().to_string();
    // Whether it is there makes no difference.
    for _ in 0..2 {
        assert_eq!(location("shop:1"), None);
        assert_eq!(location("./shop:1").as_ref(), Some(&path));
        write(folder.path(), "shop:1", "");
    }
}

#[test]
fn an_empty_fleet_file_says_what_the_documented_one_says() {
    let documented = r#"
        [queue]
        backend = "sqlite"
        path = "var/queue.db"
        [catalog]
        url = "var/catalog"
        [objects]
        url = "var/objects"
        [workers]
        min = 0
        max = 4
        crawl_slots = 1
        image_slots = 8
        memory = "2GiB"
        [leases]
        visibility = "120s"
        max_receives = 5
        [hosts]
        concurrency = 4
        [keep]
        rollback = "14d"
        raw = "14d"
        reports = "90d"
        [console]
        listen = "127.0.0.1:8410"
        [http]
        allow_private = []
        [scheduler]
        tick = "5s"
        drain_target = "10m"
        expected_job = "60s"
        [fleet]
        backend = "processes"
        [metrics]
        worker_hour = 0
        [aws]
    "#;
    assert_eq!(fleet(""), fleet(documented));
    assert_eq!(fleet(""), Fleet::defaults(Path::new("/conf")));
    let queue = fleet("").queue.backend;
    assert_eq!(queue, QueueBackend::Sqlite { path: PathBuf::from("/conf/var/queue.db") });
}

#[test]
fn places_may_be_relative_absolute_or_file_addresses() {
    for (url, path) in [
        ("x/catalog", "/conf/x/catalog"),
        ("/srv/catalog", "/srv/catalog"),
        ("file:x/catalog", "/conf/x/catalog"),
        ("file:///srv/cat%20alog", "/srv/cat alog"),
        ("${DATA}/catalog", "/data/catalog"),
    ] {
        let fleet = fleet(&format!("[catalog]\nurl = '{url}'"));
        assert_eq!(fleet.catalog.place, Place::Folder(PathBuf::from(path)), "{url}");
    }
}

#[test]
fn a_fleet_on_aws_names_its_queues_buckets_and_group() {
    let fleet = fleet(
        r#"
        [queue]
        backend = "sqs"
        crawl_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/crawl.fifo"
        image_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/image.fifo"
        crawl_dead_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/crawl-dead.fifo"
        image_dead_url = "http://127.0.0.1:4566/000000000000/image-dead.fifo"
        [catalog]
        url = "s3://my-bucket/fleet/catalog/"
        [objects]
        url = "s3://my-bucket/fleet/objects"
        [fleet]
        backend = "autoscaling"
        group = "feedfleet-workers"
        [metrics]
        cloudwatch = "Feedfleet/night"
        worker_hour = 0.0714
        [aws]
        region = "eu-central-1"
        "#,
    );
    let QueueBackend::Sqs { crawl_url, image_dead_url, .. } = &fleet.queue.backend else {
        panic!("{:?}", fleet.queue);
    };
    assert!(crawl_url.ends_with("/crawl.fifo") && image_dead_url.ends_with("/image-dead.fifo"));
    let place = |prefix: &str| Place::S3 { bucket: "my-bucket".into(), prefix: prefix.into() };
    assert_eq!(fleet.catalog.place, place("fleet/catalog"));
    assert_eq!(fleet.objects.place, place("fleet/objects"));
    assert_eq!(fleet.fleet, FleetBackend::AutoScaling { group: "feedfleet-workers".into() });
    assert_eq!(fleet.metrics.cloudwatch.as_deref(), Some("Feedfleet/night"));
    assert_eq!(fleet.metrics.worker_hour, 0.0714);
    assert_eq!(fleet.aws.region.as_deref(), Some("eu-central-1"));
}

#[test]
fn a_small_pipe_has_the_documented_defaults() {
    let pipe = pipe(SMALL);
    assert_eq!(pipe.file, PathBuf::from("pipes/acme.toml"));
    assert!(pipe.schedule.is_none() && pipe.map.is_empty());
    assert_eq!((pipe.guard.max_removed, pipe.guard.min_records), (0.3, 0.8));
    assert_eq!(pipe.guard.absent_nights, 1);
    assert_eq!(pipe.source.location.display(), "/conf/f.xml");
    assert_eq!(pipe.source.compression, Compression::Auto);
    assert!(pipe.source.headers.is_empty() && pipe.source.key.is_empty());
    assert!(!pipe.source.changes_only);
    let limits = &pipe.source.limits;
    assert_eq!((limits.max_bytes, limits.max_inflated_bytes), (10 << 30, 50 << 30));
    assert_eq!(limits.max_record_bytes, 8 << 20);
    assert_eq!(limits.max_time, Duration::from_secs(7_200));
    assert!(pipe.images.mirror && pipe.images.renditions.is_empty());
    assert_eq!((pipe.images.max_bytes, pipe.images.max_pixels), (20_000_000, 100_000_000));
}

#[test]
fn the_documented_pipe_is_read() {
    let pipe = pipe(
        r#"
        schedule = "0 2 * * *"
        timezone = "Asia/Seoul"
        [source]
        kind = "feed"
        url = "https://acme.example/feed.xml.gz"
        format = "google-xml"
        [map]
        price = { field = "g:price", as = "money", currency = "KRW" }
        [guard]
        max_removed = "25%"
        absent_nights = 3
        min_records = "50%"
        [images]
        renditions = [{ name = "thumb", max = 300, format = "webp" }]
        "#,
    );
    let schedule = pipe.schedule.as_ref().expect("it has a schedule");
    assert_eq!((schedule.cron.as_str(), schedule.timezone.name()), ("0 2 * * *", "Asia/Seoul"));
    assert_eq!(schedule.window, Duration::ZERO);
    assert_eq!(pipe.source.format, Format::GoogleXml);
    assert_eq!((pipe.guard.max_removed, pipe.guard.min_records), (0.25, 0.5));
    assert_eq!(pipe.guard.absent_nights, 3);
    let entry = &pipe.map[0];
    assert_eq!((entry.target, entry.line), (Target::Column(columns::PRICE), 9));
    assert_eq!(entry.from, MapFrom::Field("g:price".to_owned()));
    let currency = Some("KRW".to_owned());
    assert_eq!(entry.transform, Transform::Money { currency, decimal: None, minor_units: 0 });
    let rendition = &pipe.images.renditions[0];
    assert_eq!((rendition.name.as_str(), rendition.max, rendition.quality), ("thumb", 300, 80));
    assert_eq!(rendition.format, RenditionFormat::Webp);
}

#[test]
fn a_presets_name_is_enough() {
    for format in Format::ALL {
        let text = format!("[source]\nurl = 'f'\nformat = '{}'\n", format.name());
        let name = "acme".parse().expect("a pipe's name");
        let read = parse_pipe(&name, &text, Path::new("/conf"), &environment());
        match read {
            Ok(pipe) => assert_eq!(pipe.source.format, format),
            Err(_) => assert!(!format.is_preset() || !format.is_of_feeds(), "{}", format.name()),
        }
    }
}

#[test]
fn quotes_have_three_meanings() {
    for (setting, expected) in [
        ("", None),
        ("quoting = true", Some(Quoting::Doubled)),
        ("quoting = false", Some(Quoting::Off)),
        ("quoting = 'backslash'", Some(Quoting::Backslash)),
    ] {
        let pipe = pipe(&format!("[source]\nurl = 'f.csv'\nformat = 'google-csv'\n{setting}\n"));
        assert_eq!(pipe.source.quoting, expected, "{setting}");
    }
}

#[test]
fn every_form_of_a_mapping_is_read() {
    let pipe = pipe(
        r#"
        timezone = "Europe/Berlin"
        [source]
        url = "f.csv"
        format = "csv"
        delimiter = "tab"
        key = ["shop", "sku"]
        [map]
        title = { fields = ["brand", "name"], join = " - " }
        gtin = { first_of = ["ean", "upc"] }
        adult = { const = false }
        condition = { field = "state", lookup = { "N" = "new" }, default = "used" }
        category = { field = "path", separator = " / " }
        search_tag = { field = "tags", split = "|" }
        stock_quantity = { field = "stock", as = "number" }
        price = { field = "cents", minor_units = 2, decimal = "," }
        availability_date = { field = "from", format = "%d.%m.%Y" }
        expiration_date = "until"
        image_link = { field = "pictures", first = "," }
        additional_image_links = { all_of = ["pictures", "more"], split = "," }
        link = { template = "https://a.example/{sku}?c={ color }" }
        ignore = ["internal", "cost"]
        "#,
    );
    assert_eq!(pipe.source.delimiter, Some(b'\t'));
    assert_eq!(pipe.source.key, ["shop", "sku"]);
    let entry = |name: &str| {
        let target = match ColumnId::by_name(name) {
            Some(column) => Target::Column(column),
            None => Target::Category,
        };
        pipe.map.iter().find(|entry| entry.target == target).expect("the line was read")
    };
    let words = |list: [&str; 2]| list.map(str::to_owned).to_vec();
    let berlin = chrono_tz::Tz::Europe__Berlin;
    let date = |format: Option<&str>| Transform::Date {
        format: format.map(str::to_owned),
        timezone: berlin,
    };

    let join = " - ".to_owned();
    assert_eq!(entry("title").from, MapFrom::Fields { names: words(["brand", "name"]), join });
    assert_eq!(entry("gtin").from, MapFrom::FirstOf(words(["ean", "upc"])));
    assert_eq!(entry("adult").from, MapFrom::Constant("false".to_owned()));
    let lookup = entry("condition").lookup.clone();
    let values = BTreeMap::from([("N".to_owned(), "new".to_owned())]);
    assert_eq!(lookup, Some(Lookup { values, default: Some("used".to_owned()) }));
    let separator = " / ".to_owned();
    assert_eq!(entry("category").transform, Transform::Category { separator });
    let separator = "|".to_owned();
    assert_eq!(entry("search_tag").transform, Transform::Split { separator });
    assert_eq!(entry("stock_quantity").transform, Transform::Number { decimal: None });
    let money = Transform::Money { currency: None, decimal: Some(','), minor_units: 2 };
    assert_eq!(entry("price").transform, money);
    assert_eq!(entry("availability_date").transform, date(Some("%d.%m.%Y")));
    assert_eq!(entry("expiration_date").transform, date(None));
    assert_eq!(entry("title").transform, Transform::ByColumn);
    let (names, separator) = (vec!["pictures".to_owned()], ",".to_owned());
    assert_eq!(entry("image_link").from, MapFrom::FirstItem { names, separator });
    let all = MapFrom::AllOf(words(["pictures", "more"]));
    assert_eq!(entry("additional_image_links").from, all);
    let pieces = vec![
        Piece::Text("https://a.example/".to_owned()),
        Piece::Field("sku".to_owned()),
        Piece::Text("?c=".to_owned()),
        Piece::Field("color".to_owned()),
    ];
    assert_eq!(entry("link").from, MapFrom::Template(pieces));
    let ignored = pipe.map.iter().filter(|entry| entry.target == Target::Ignore).count();
    assert_eq!(ignored, 2);
    assert!(pipe.map.is_sorted_by_key(|entry| entry.line), "lines keep the file's order");
}

#[test]
fn variables_are_used_and_not_shown() {
    let pipe = pipe(
        "[source]\nurl = 'https://a.example/${TOKEN}/f?key=${TOKEN}'\nformat = 'naver-ep-summary'\n\
         headers = { Authorization = 'Bearer ${TOKEN}', X-Literal = '$${TOKEN}' }\n",
    );
    let Location::Http(url) = &pipe.source.location else {
        panic!("it is an address");
    };
    assert_eq!(url.expose(), "https://a.example/hunter2/f?key=hunter2");
    assert_eq!(pipe.source.location.display(), "https://a.example/${TOKEN}/f?…");
    let headers: Vec<_> =
        pipe.source.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
    assert_eq!(headers, [("Authorization", "Bearer hunter2"), ("X-Literal", "${TOKEN}")]);
    let shown = format!("{pipe:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("Bearer"), "{shown}");
    assert!(pipe.source.changes_only, "a summary names changes only");
}

#[test]
fn ways_to_log_in_are_used_and_not_shown() {
    let with = |url: &str, rest: &str| {
        pipe(&format!("[source]\nurl = '{url}'\nformat = 'google-xml'\n{rest}\n"))
    };
    let plain = with("https://a.example/f", "");
    for (auth, header) in [
        ("auth = { bearer = '${TOKEN}' }", "Bearer hunter2"),
        ("[source.auth]\nbasic = { user = 'me', password = '${TOKEN}' }", "Basic bWU6aHVudGVyMg=="),
    ] {
        let pipe = with("https://a.example/f", auth);
        let headers: Vec<_> =
            pipe.source.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
        assert_eq!(headers, [("Authorization", header)]);
        assert_eq!(pipe.mapping_fingerprint(), plain.mapping_fingerprint());
        let shown = format!("{pipe:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("Basic"), "{shown}");
    }

    let fingerprint = format!("SHA256:{}", "a".repeat(43));
    let rest = format!("auth = {{ password = '${{TOKEN}}' }}\nhost_key = '{fingerprint}'");
    let pipe = with("sftp://me@a.example/out/f.xml", &rest);
    assert_eq!(pipe.source.location.display(), "sftp://a.example/out/f.xml");
    let Location::Server(server) = &pipe.source.location else { panic!("it is a server") };
    assert_eq!(server.url.expose(), "sftp://me@a.example/out/f.xml");
    assert_eq!(server.host_keys, [fingerprint]);
    let ServerLogin::Password(password) = &server.login else { panic!("it is a password") };
    assert_eq!(password.expose(), "hunter2");
    assert!(!format!("{pipe:?}").contains("hunter2"));

    let rest = "auth = { key = '${TOKEN}', passphrase = '${TOKEN}' }";
    let pipe = with("sftp://me@a.example:2222/~/f.xml", rest);
    let Location::Server(server) = &pipe.source.location else { panic!("it is a server") };
    assert!(matches!(&server.login, ServerLogin::Key { passphrase: Some(_), .. }));
    assert!(server.host_keys.is_empty());

    let pipe = with("ftp://a.example/f.xml", "");
    let Location::Server(server) = &pipe.source.location else { panic!("it is a server") };
    assert!(matches!(server.login, ServerLogin::Anonymous));
    let pipe = with("s3://acme-feeds/out/f.xml", "");
    assert_eq!(pipe.source.location.display(), "s3://acme-feeds/out/f.xml");
}

#[test]
fn an_empty_folder_is_a_fleet_without_pipes() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = load(folder.path(), &environment()).expect("nothing is wrong");
    assert_eq!(config.fleet, Fleet::defaults(&config.folder));
    assert!(config.fleet_file.is_none() && config.pipes.is_empty());

    let missing = folder.path().join("none");
    let errors = load(&missing, &environment()).expect_err("there is no folder");
    assert_eq!(errors.to_string(), format!("{}: there is no such folder", missing.display()));
}

#[test]
fn one_broken_pipe_does_not_stop_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "fleet.toml", "[workers]\nmax = 7\n");
    write(folder.path(), "pipes/zeta.toml", SMALL);
    write(folder.path(), "pipes/acme.toml", SMALL);
    write(folder.path(), "pipes/bad.toml", "[source]\nurl = 'f.xml'\n");
    write(folder.path(), "pipes/Worse.toml", SMALL);
    write(folder.path(), "pipes/.#acme.toml", "an editor's");
    write(folder.path(), "pipes/notes.txt", "not a pipe");

    let (config, errors) =
        load_lenient(folder.path(), &environment()).expect("fleet.toml is right");
    assert_eq!(config.fleet.workers.max, 7);
    assert_eq!(config.fleet_file, Some(config.folder.join("fleet.toml")));
    let names: Vec<_> = config.pipes.iter().map(|pipe| pipe.name.as_str()).collect();
    assert_eq!(names, ["acme", "zeta"]);
    let files: Vec<_> = errors.iter().map(|error| error.file.clone()).collect();
    assert_eq!(files, [PathBuf::from("pipes/Worse.toml"), PathBuf::from("pipes/bad.toml")]);

    let all = load(folder.path(), &environment()).expect_err("two pipes are broken");
    assert_eq!(all, errors);
}

#[test]
fn a_broken_fleet_file_is_never_replaced_by_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "fleet.toml", "[workers]\nmax = 'many'\n");
    let errors = load_lenient(folder.path(), &environment()).expect_err("max is no number");
    assert_eq!(errors.len(), 1);
}
