//! A partner's pipe: where its source is, how to read it, how its fields map, when it runs.

use crate::format::Format;
use crate::secret::Secret;
use crate::server::Server;
use crate::site::Site;
use crate::supplement::Layer;
use feedfleet_model::{ColumnId, PipeName};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One `pipes/NAME.toml`, checked: what is here can be used as it is. Or a supplement in such a file.
#[derive(Debug, Clone)]
pub struct Pipe {
    /// The file's name without `.toml`; a supplement's has its own behind that.
    pub name: PipeName,
    /// The file it came from, for messages.
    pub file: PathBuf,
    /// When it runs; none for a pipe that only runs when asked.
    pub schedule: Option<Schedule>,
    /// What it reads.
    pub source: Source,
    /// How fields become columns, over the preset's own mapping.
    pub map: Vec<MapEntry>,
    /// What a run may do to the pipe.
    pub guard: Guard,
    /// What becomes of its pictures.
    pub images: Images,
    /// Its supplements. A supplement has none.
    pub supplements: Vec<Pipe>,
    /// What a supplement may say of its pipe's products; none for a pipe.
    pub layer: Option<Layer>,
}

/// When a pipe runs.
#[derive(Clone)]
pub struct Schedule {
    /// The cron line as written, with the names of variables for their values.
    pub cron: String,
    /// The line, parsed.
    pub pattern: croner::Cron,
    /// The zone in which it is read; daylight saving included.
    pub timezone: chrono_tz::Tz,
    /// Runs start at the cron time plus a part of this window that is fixed for the pipe, so that a
    /// hundred pipes at "two o'clock" do not start in one second.
    pub window: Duration,
}

/// What a pipe reads.
#[derive(Debug, Clone)]
pub struct Source {
    /// `http://`, `https://`, a server of files, a bucket, a site, or a file's path (relative to the configuration's
    /// folder; absolute here).
    pub location: Location,
    /// Headers to send with the request, such as `Authorization`, which may come of `auth`.
    pub headers: Vec<(String, Secret)>,
    /// The format, by preset or by hand.
    pub format: Format,
    /// How it is compressed.
    pub compression: Compression,
    /// Its character encoding by name (a WHATWG label); none: by declaration or detection.
    pub encoding: Option<String>,
    /// CSV and TSV: the byte between fields.
    pub delimiter: Option<u8>,
    /// CSV and TSV: what `"` means; none: what is usual for the format.
    pub quoting: Option<Quoting>,
    /// XML: the element that is one product, local name without prefix.
    pub item: Option<String>,
    /// JSON: where the array of products is, as a JSON pointer; none: the top, or the only array in it.
    pub items: Option<String>,
    /// Source field(s) that make the id, joined by `:` (a `:` or `\` within one is written `\:` or `\\`, so
    /// that no two combinations are joined alike); empty: what maps to `id`, or the preset's own.
    pub key: Vec<String>,
    /// Rows that follow one with the same key belong to it and fill its empty fields from the first row of
    /// the group (Shopify's export gives product fields on a handle's first row only): the field that
    /// names the group.
    pub group: Option<String>,
    /// Currency of amounts that carry none.
    pub currency: Option<String>,
    /// The source names only what changed; nothing is removed by absence.
    pub changes_only: bool,
    /// Limits of one fetch.
    pub limits: SourceLimits,
}

/// Where a source is.
#[derive(Debug, Clone)]
pub enum Location {
    /// Over HTTP. May hold secrets: print [`Location::display`] only.
    Http(Secret),
    /// A file on this machine.
    File(PathBuf),
    /// A file on a server, over SFTP or FTP.
    Server(Server),
    /// An object in a bucket.
    Object {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
    /// A site, whose pages are crawled.
    Site(Box<Site>),
}

/// Limits of one fetch.
#[derive(Debug, Clone)]
pub struct SourceLimits {
    /// Bytes as transferred.
    pub max_bytes: u64,
    /// Bytes after decompression.
    pub max_inflated_bytes: u64,
    /// Bytes of one record.
    pub max_record_bytes: usize,
    /// The whole transfer.
    pub max_time: Duration,
}

/// How a source is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// By the first bytes.
    Auto,
    /// Not at all.
    None,
    /// gzip, several members included.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A zip archive with one feed in it.
    Zip,
}

/// What `"` means in delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quoting {
    /// A character like any other.
    Off,
    /// At a cell's start it quotes the cell; a `"` within is doubled.
    Doubled,
    /// At a cell's start it quotes the cell; a `"` within has a backslash before it, as has a backslash.
    Backslash,
}

/// One line of `[map]`: how a column gets its value.
#[derive(Debug, Clone, PartialEq)]
pub struct MapEntry {
    /// The column to fill.
    pub target: Target,
    /// From where.
    pub from: From,
    /// What is done to it.
    pub transform: Transform,
    /// Values to replace, by the source's text; applied before `transform`.
    pub lookup: Option<Lookup>,
    /// The line in the pipe's file, for messages; 0 for a preset's own.
    pub line: usize,
}

/// What a line of `[map]` fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A column of the product table.
    Column(ColumnId),
    /// All four category levels and `product_type`, from a path.
    Category,
    /// Takes the field away: neither a column nor `extra` keeps it.
    Ignore,
}

/// Where a mapped value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// One field of the record, by name. XML: local names joined by `/`, attributes as `@name`. JSON: keys
    /// joined by `.`, `[0]` for an item of an array.
    Field(String),
    /// Several fields, joined by a text; empty ones are left out.
    Fields {
        /// The fields.
        names: Vec<String>,
        /// What stands between them.
        join: String,
    },
    /// The first of these fields that is not empty.
    FirstOf(Vec<String>),
    /// The first item of the list in the first of these fields that is not empty.
    FirstItem {
        /// The fields.
        names: Vec<String>,
        /// What stands between the list's items.
        separator: String,
    },
    /// All values of all these fields, for a list. `additional_image_links` leaves out what `image_link` has.
    AllOf(Vec<String>),
    /// A text with values in it; without a value for each of its fields it is none.
    Template(Vec<Piece>),
    /// Always this.
    Constant(String),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The value of the field of this name.
    Field(String),
}

/// What is done to a mapped value.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// What the column's type asks for: text trimmed, numbers, booleans, dates and money parsed, lists of one.
    ByColumn,
    /// An amount with or without currency; `currency` holds where the text names none. The column
    /// `<target>_currency` is filled too.
    Money {
        /// ISO 4217 code for amounts that carry none.
        currency: Option<String>,
        /// The decimal mark, `.` or `,`; none: worked out from the text.
        decimal: Option<char>,
        /// Amounts are in minor units (cents): divided by 10 to this power.
        minor_units: u8,
    },
    /// A number with an optional unit after it, which is dropped.
    Number {
        /// The decimal mark; none: worked out from the text.
        decimal: Option<char>,
    },
    /// A date or time by a `strftime` pattern; none: ISO 8601 / RFC 3339 and RFC 2822.
    Date {
        /// The pattern.
        format: Option<String>,
        /// Zone of times that name none.
        timezone: chrono_tz::Tz,
    },
    /// A category path, cut at the separator.
    Category {
        /// What stands between levels, such as `>`.
        separator: String,
    },
    /// A list, cut at the separator.
    Split {
        /// What stands between items.
        separator: String,
    },
}

/// Values replaced by others.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// The source's text, trimmed, to the value used.
    pub values: BTreeMap<String, String>,
    /// For texts that are not in the table; none: they stay as they are.
    pub default: Option<String>,
}

/// What a run may do to the pipe.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Share of the live rows, 0 to 1, that one run may remove.
    pub max_removed: f64,
    /// Complete runs in a row that a product must be absent from before it is removed, 1 to 30.
    pub absent_nights: u8,
    /// Share of the usual number of records, 0 to 1, below which a source that does not prove its end
    /// counts as cut short.
    pub min_records: f64,
}

/// What becomes of a pipe's pictures.
#[derive(Debug, Clone)]
pub struct Images {
    /// Whether they are mirrored at all.
    pub mirror: bool,
    /// Pictures made of each, beside the original.
    pub renditions: Vec<Rendition>,
    /// Bytes of one picture as transferred.
    pub max_bytes: u64,
    /// Pixels of one picture.
    pub max_pixels: u64,
}

/// A picture made of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Its name, a part of the object key: 1 to 32 of a-z, 0-9 and '-'.
    pub name: String,
    /// Longest edge in pixels; smaller originals are not enlarged.
    pub max: u32,
    /// Its format.
    pub format: RenditionFormat,
    /// Quality, 1 to 100.
    pub quality: u8,
}

/// Formats of renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenditionFormat {
    /// WebP, lossy.
    Webp,
    /// JPEG, baseline.
    Jpeg,
    /// PNG.
    Png,
}
