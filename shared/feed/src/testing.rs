//! What several tests need: small compressed files, sources with settings, and whole feeds read at once.

use crate::{Change, Completeness, FeedReader, Hints, Refusal, Settings, Step};
use feedfleet_config::{
    Compression, Format, From as MapFrom, Location, MapEntry, Source, SourceLimits, Target,
    Transform,
};
use feedfleet_model::{ColumnId, Row};
use flate2::{Compression as Level, Crc};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::time::Duration;

/// One gzip member.
pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// An archive of these files; `deferred`: with checksums and sizes after the data.
pub(crate) fn zip_archive(files: &[(&str, &[u8])], deferred: bool) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, data) in files {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(data);
        let facts: Vec<u8> = [crc.sum(), packed.len() as u32, data.len() as u32]
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let flags = if deferred { 8u16 } else { 0 };
        archive.extend_from_slice(b"PK\x03\x04\x14\0");
        archive.extend_from_slice(&flags.to_le_bytes());
        archive.extend_from_slice(&[8, 0, 0, 0, 0, 0]);
        archive.extend_from_slice(if deferred { &[0; 12] } else { &facts });
        archive.extend_from_slice(&(name.len() as u16).to_le_bytes());
        archive.extend_from_slice(&[0, 0]);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(&packed);
        if deferred {
            archive.extend_from_slice(b"PK\x07\x08");
            archive.extend_from_slice(&facts);
        }
    }
    // The directory is only looked for, not read.
    archive.extend_from_slice(b"PK\x01\x02");
    archive.extend_from_slice(&[0; 20]);
    archive
}

/// A source of this format with default settings.
pub(crate) fn source(format: Format) -> Source {
    Source {
        location: Location::File(PathBuf::from("feed")),
        headers: Vec::new(),
        format,
        compression: Compression::Auto,
        encoding: None,
        delimiter: None,
        quoting: None,
        item: None,
        items: None,
        key: Vec::new(),
        group: None,
        currency: None,
        changes_only: false,
        limits: SourceLimits {
            max_bytes: 1 << 30,
            max_inflated_bytes: 1 << 30,
            max_record_bytes: 1 << 20,
            max_time: Duration::from_secs(60),
        },
    }
}

/// A line of `[map]` with the column's own transform.
pub(crate) fn field(column: ColumnId, name: &str) -> MapEntry {
    MapEntry {
        target: Target::Column(column),
        from: MapFrom::Field(name.to_owned()),
        transform: Transform::ByColumn,
        lookup: None,
        line: 1,
    }
}

/// All that a feed gives.
pub(crate) struct Whole {
    pub(crate) rows: Vec<(Change, Row)>,
    pub(crate) refused: Vec<Refusal>,
    /// The ids of what was refused, as far as they could be read.
    pub(crate) refused_ids: Vec<String>,
    pub(crate) completeness: Completeness,
    pub(crate) reader: FeedReader,
}

/// Reads a feed that can be read to its end.
pub(crate) fn read(source: &Source, map: &[MapEntry], data: impl Into<Vec<u8>>) -> Whole {
    let settings = Settings::from_source(source, map).unwrap();
    let input = Box::new(Cursor::new(data.into()));
    let mut reader = FeedReader::open(input, &settings, Hints::default()).unwrap();
    let (mut rows, mut refused, mut row) = (Vec::new(), Vec::new(), Row::new());
    let mut refused_ids = Vec::new();
    loop {
        match reader.next(&mut row).unwrap() {
            Step::Row(change) => rows.push((change, row.clone())),
            Step::Refused(refusal) => {
                refused.push(refusal);
                refused_ids.extend(Some(row.id().to_owned()).filter(|id| !id.is_empty()));
            }
            Step::Known => unreachable!("nothing is known"),
            Step::End => break,
        }
    }
    Whole { rows, refused, refused_ids, completeness: reader.completeness(), reader }
}

/// Reads a feed that can't; gives the error.
pub(crate) fn read_error(
    source: &Source,
    map: &[MapEntry],
    data: impl Into<Vec<u8>>,
) -> crate::FeedError {
    let settings = Settings::from_source(source, map).unwrap();
    let input = Box::new(Cursor::new(data.into()));
    let mut reader = match FeedReader::open(input, &settings, Hints::default()) {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    let mut row = Row::new();
    loop {
        match reader.next(&mut row) {
            Ok(Step::End) => panic!("it ended well"),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
