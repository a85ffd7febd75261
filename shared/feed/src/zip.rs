//! Zip archives as a stream. The first file is the feed, and further ones that are named as it is, but for numbers, may
//! be parts of it.
//! Archives whose sizes follow the data, as many shops' exports write them, can be read too: deflate knows its own end.

use crate::bytes::CHUNK_BYTES;
use crate::decompress::{Failure, Sink, drain, unpack};
use crate::error::FeedError;
use crate::foreign;
use feedfleet_model::text::{printable, shorten};
use flate2::CrcReader;
use flate2::bufread::DeflateDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const CENTRAL_END: u32 = 0x0605_4b50;
const DATA_DESCRIPTOR: u32 = 0x0807_4b50;
const ZIP64_EXTRA: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Ends of the names of files that come beside a feed.
const NO_FEEDS: [&str; 10] =
    [".pdf", ".md", ".htm", ".html", ".jpg", ".jpeg", ".png", ".gif", ".xsd", ".dtd"];
/// Names kept of files that are not read.
pub(crate) const MAX_OTHERS: usize = 20;
/// Names that a message shows of an archive without a feed, and characters of each.
const SHOWN_NAMES: usize = 5;
const SHOWN_CHARS: usize = 80;

/// One file of the archive, from its local header.
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    compressed_bytes: u64,
    has_zip64: bool,
}

/// Sends the archive's first file and, each announced, those whose names differ from its name in numbers alone; takes
/// note of others.
pub(crate) fn inflate(input: &mut dyn Read, layers: usize, sink: &mut Sink) -> Result<(), Failure> {
    let mut input = BufReader::with_capacity(CHUNK_BYTES, input);
    let mut found: Option<String> = None;
    let (mut held, mut is_office) = (Vec::new(), false);
    while let Some(entry) = next_entry(&mut input).map_err(|e| sink.failure(e, "zip archive"))? {
        is_office |= found.is_none() && foreign::is_part_of_office(&entry.name);
        if is_office && let Some(refusal) = foreign::office_document(&entry.name) {
            return Err(Failure::Fatal(refusal));
        }
        let (is_feed, name) = (!is_office && entry.is_feed(), entry.name_of_all());
        if held.len() < SHOWN_NAMES && !entry.name.ends_with('/') {
            held.push(printable(&shorten(&entry.name, SHOWN_CHARS)).into_owned());
        }
        let is_alike = found.as_ref().is_none_or(|first| *first == name);
        if is_feed && !is_alike && sink.end.others.len() < MAX_OTHERS {
            sink.end.others.push(entry.name.clone());
        }
        if is_feed && is_alike && found.is_some() {
            sink.begin_file(&entry.name)?;
        }
        entry.read(&mut input, is_feed && is_alike, layers, sink)?;
        if is_feed {
            found.get_or_insert(name);
        }
    }
    if is_office {
        return Err(Failure::Fatal(foreign::some_office_document()));
    }
    if found.is_none() {
        return Err(Failure::Fatal(FeedError::not_a_feed(if held.is_empty() {
            "the zip archive holds no file".to_owned()
        } else {
            format!("the zip archive holds no file that may be a feed: {}", held.join(", "))
        })));
    }
    sink.end.proof = sink.end.others.is_empty().then_some("zip checksum and directory");
    Ok(())
}

/// The next file's header; none when the archive's directory begins.
fn next_entry(input: &mut impl Read) -> io::Result<Option<Entry>> {
    match u32::from_le_bytes(array(input)?) {
        LOCAL_HEADER => {}
        CENTRAL_HEADER | CENTRAL_END => return Ok(None),
        _ => return Err(io::Error::new(ErrorKind::InvalidData, "no file header where one is due")),
    }
    let header: [u8; 26] = array(input)?;
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let u32_at = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let mut name = vec![0; usize::from(u16_at(22))];
    input.read_exact(&mut name)?;
    let mut extra = vec![0; usize::from(u16_at(24))];
    input.read_exact(&mut extra)?;
    let zip64 = zip64_fields(&extra);
    let mut compressed_bytes = u64::from(u32_at(14));
    if compressed_bytes == u64::from(u32::MAX)
        && let Some(fields) = zip64
        && let Some((_, compressed)) = fields.split_at_checked(8)
        && let Some(bytes) = compressed.first_chunk::<8>()
    {
        compressed_bytes = u64::from_le_bytes(*bytes);
    }
    Ok(Some(Entry {
        name: String::from_utf8_lossy(&name).into_owned(),
        flags: u16_at(2),
        method: u16_at(4),
        crc: u32_at(10),
        compressed_bytes,
        has_zip64: zip64.is_some(),
    }))
}

/// The content of the extra field that carries long sizes.
fn zip64_fields(mut extra: &[u8]) -> Option<&[u8]> {
    while let [id_low, id_high, len_low, len_high, rest @ ..] = extra {
        let len = usize::from(u16::from_le_bytes([*len_low, *len_high]));
        let (content, next) = rest.split_at_checked(len)?;
        if u16::from_le_bytes([*id_low, *id_high]) == ZIP64_EXTRA {
            return Some(content);
        }
        extra = next;
    }
    None
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Entry {
    /// Whether this may be the feed, as opposed to a folder, what an operating system adds, or papers about it.
    fn is_feed(&self) -> bool {
        let base = self.name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let is_hidden = base.is_empty() || base.starts_with('.');
        let is_about = ["readme", "license", "copying"].iter().any(|start| base.starts_with(start))
            || NO_FEEDS.iter().any(|end| base.ends_with(end));
        !is_hidden && !is_about && !self.name.starts_with("__MACOSX/")
    }

    /// What the names of all parts of a feed have in common: the name without digits and what sets them off, in lower
    /// case. `products_de.csv` and `products_fr.csv`, or `feed.csv` and `feed_old.csv`, are no parts of one feed: they
    /// have the same products, in other words or of another day.
    fn name_of_all(&self) -> String {
        let letters = self.name.chars();
        let letters = letters.filter(|c| !c.is_ascii_digit() && !"-_. ()".contains(*c));
        letters.flat_map(char::to_lowercase).collect()
    }

    /// Whether checksum and sizes follow the data.
    fn is_deferred(&self) -> bool {
        self.flags & 8 != 0
    }

    /// Reads the file, sends it if `is_wanted`, and checks it.
    fn read<R: BufRead>(
        &self,
        input: &mut R,
        is_wanted: bool,
        layers: usize,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let name = &self.name;
        if self.flags & 1 != 0 {
            let message = format!(
                "'{name}' in the zip archive is encrypted: ask the partner for one without password"
            );
            return Err(Failure::Fatal(FeedError::unsupported(message)));
        }
        let found = match self.method {
            STORED if !self.is_deferred() || self.compressed_bytes > 0 => {
                let stored = Read::take(&mut *input, self.compressed_bytes);
                deliver(stored, is_wanted, layers, sink)?
            }
            DEFLATED => deliver(DeflateDecoder::new(&mut *input), is_wanted, layers, sink)?,
            STORED => {
                let message = format!(
                    "'{name}' in the zip archive does not say how long it is: ask the partner for one that is \
                     compressed (deflate)"
                );
                return Err(Failure::Fatal(FeedError::unsupported(message)));
            }
            method => {
                let message = format!(
                    "'{name}' in the zip archive is compressed by method {method}: ask the partner for one by \
                     method 8 (deflate)"
                );
                return Err(Failure::Fatal(FeedError::unsupported(message)));
            }
        };
        let due = self.checksum(input).map_err(|e| sink.failure(e, "zip archive"))?;
        if found == due {
            return Ok(());
        }
        let rest = input.fill_buf().map_err(|e| sink.failure(e, "zip archive"))?;
        if rest.is_empty() {
            return Err(Failure::Cut(format!("zip archive: '{name}' ends early")));
        }
        let message = format!("the checksum of '{name}' is wrong");
        Err(Failure::Fatal(FeedError::damaged(message)))
    }

    /// The checksum that the data should have.
    fn checksum(&self, input: &mut impl Read) -> io::Result<u32> {
        if !self.is_deferred() {
            return Ok(self.crc);
        }
        let mut crc = u32::from_le_bytes(array(input)?);
        if crc == DATA_DESCRIPTOR {
            crc = u32::from_le_bytes(array(input)?);
        }
        if self.has_zip64 {
            array::<16>(input)?;
        } else {
            array::<8>(input)?;
        }
        Ok(crc)
    }
}

/// Sends or skips a file's content; gives its checksum.
fn deliver(
    body: impl Read,
    is_wanted: bool,
    layers: usize,
    sink: &mut Sink,
) -> Result<u32, Failure> {
    let mut body = CrcReader::new(body);
    if is_wanted {
        unpack(&mut body, layers, sink)?;
    }
    drain(&mut body, sink)?;
    Ok(body.crc().sum())
}
