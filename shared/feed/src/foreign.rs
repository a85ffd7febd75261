//! What is sent in place of feeds and is no text: pictures, papers, spreadsheets, programs. It is told by its first
//! bytes, before a reader of text makes records of it.

use crate::clean::is_control;
use crate::error::FeedError;

/// Bytes that are looked at where no kind of file shows.
const TELLING_BYTES: usize = 8 * 1024;
/// So many kinds of control characters, NUL among them, are in no text: those that stray into texts are of a few kinds.
const CONTROL_KINDS: usize = 8;
/// One byte in so many is one of them, at least.
const ONE_IN: usize = 32;
/// The greatest value of the third byte of a character in UTF-32.
const LAST_PLANE: u8 = 0x10;

const ADDRESS: &str = "check the pipe's url";
const TABLE: &str = "ask the partner for CSV, or export it as CSV";
const FEED: &str = "ask the partner for CSV, XML or JSON";
const PACKED: &str = "ask the partner for gzip or zip";

/// How kinds of files begin, what they are, and what to do about them.
const KINDS: [(&[u8], &str, &str); 15] = [
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an Excel workbook (xls), or an older Office document",
        TABLE,
    ),
    // The first file of such an archive says what it is.
    (
        b"application/vnd.oasis.opendocument",
        "an OpenDocument spreadsheet, or another document",
        TABLE,
    ),
    (b"%PDF-", "a PDF document", FEED),
    (b"{\\rtf", "a text document (RTF)", FEED),
    (b"PAR1\x15", "a Parquet file", FEED),
    (b"SQLite format 3\0", "a database (SQLite)", FEED),
    (b"\xff\xd8\xff", "a JPEG picture", ADDRESS),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", ADDRESS),
    (b"GIF87a", "a GIF picture", ADDRESS),
    (b"GIF89a", "a GIF picture", ADDRESS),
    (b"\x7fELF", "a program (ELF)", ADDRESS),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", PACKED),
    (b"Rar!\x1a\x07", "a RAR archive", PACKED),
    (b"\xfd7zXZ\0", "a file packed by xz", PACKED),
    (b"\x1f\x9d", "a file packed by compress (.Z)", PACKED),
];

/// Refuses what begins as a kind of file does that is no feed, behind white space or not.
pub(crate) fn check_kind(head: &[u8]) -> Result<(), FeedError> {
    let head = head.trim_ascii_start();
    // The digit is how large its blocks are.
    if matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.starts_with(b"1AY&SY")) {
        return Err(instead("a file packed by bzip2", PACKED));
    }
    match KINDS.iter().find(|(start, ..)| head.starts_with(start)) {
        Some((_, what, way_out)) => Err(instead(what, way_out)),
        None => Ok(()),
    }
}

/// Refuses what is no text, though no kind of file shows. `head` is in no encoding that is known by its NULs.
pub(crate) fn check_text(head: &[u8]) -> Result<(), FeedError> {
    let head = &head[..head.len().min(TELLING_BYTES)];
    let mut kinds = [false; 32];
    let mut controls = 0;
    for byte in head.iter().filter(|byte| is_control(**byte)) {
        kinds[usize::from(*byte)] = true;
        controls += 1;
    }
    let is_binary = kinds[0]
        && kinds.iter().filter(|kind| **kind).count() >= CONTROL_KINDS
        && controls * ONE_IN >= head.len()
        && !is_utf32(head);
    if is_binary { Err(instead("a binary file", ADDRESS)) } else { Ok(()) }
}

/// Whether each four bytes are one character, in either order.
fn is_utf32(head: &[u8]) -> bool {
    let mut little = head.chunks_exact(4);
    let mut big = head.chunks_exact(4);
    little.all(|c| c[3] == 0 && c[2] <= LAST_PLANE) || big.all(|c| c[0] == 0 && c[1] <= LAST_PLANE)
}

/// Whether a zip archive in which a file of this name comes first is a document of Office.
pub(crate) fn is_part_of_office(name: &str) -> bool {
    const STARTS: [&str; 8] = [
        "[Content_Types].xml",
        "_rels/.rels",
        "docProps/",
        "xl/_rels/",
        "xl/sharedStrings.",
        "xl/styles.",
        "xl/workbook.",
        "xl/worksheets/",
    ];
    STARTS.iter().any(|start| name.starts_with(start))
}

/// The refusal of a document of Office that has a file of this name, where it says which kind of document it is.
pub(crate) fn office_document(name: &str) -> Option<FeedError> {
    const FOLDERS: [(&str, &str); 3] = [
        ("xl/", "an Excel workbook"),
        ("word/", "a Word document"),
        ("ppt/", "a PowerPoint presentation"),
    ];
    let (_, what) = FOLDERS.into_iter().find(|(folder, _)| name.starts_with(folder))?;
    Some(instead(what, TABLE))
}

/// The refusal of a document of Office that does not say more of itself.
pub(crate) fn some_office_document() -> FeedError {
    instead("an Office document", TABLE)
}

fn instead(what: &str, way_out: &str) -> FeedError {
    FeedError::not_a_feed(format!("the source sent {what}: {way_out}"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{field, gzip, read_error, source, zip_archive};
    use crate::{FeedError, FeedReader, Hints, Settings};
    use feedfleet_config::{Format, Location};
    use feedfleet_model::columns;
    use std::io::Cursor;
    use std::path::PathBuf;

    /// Bytes of all values, as compressed data and programs have.
    fn noise() -> Vec<u8> {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..20_000).map(|_| byte()).collect()
    }

    #[test]
    fn what_is_no_text_is_told() {
        let after = |start: &[u8]| [start, &noise()].concat();
        let workbook = |first: &str| {
            let xml: &[u8] = b"<Types><Override/><Override/></Types>";
            zip_archive(&[(first, xml), ("xl/workbook.xml", xml), ("feed.csv", b"id\n1\n")], true)
        };
        let excel = "an Excel workbook: ask the partner for CSV, or export it as CSV";
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (after(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an Excel workbook (xls)"),
            (workbook("[Content_Types].xml"), excel),
            (workbook("_rels/.rels"), excel),
            (workbook("docProps/app.xml"), excel),
            (workbook("xl/worksheets/sheet1.xml"), excel),
            (gzip(&workbook("[Content_Types].xml")), excel),
            (
                zip_archive(&[("[Content_Types].xml", b"<a/>"), ("word/document.xml", b"")], false),
                "a Word document",
            ),
            (zip_archive(&[("[Content_Types].xml", b"<a/>")], false), "an Office document"),
            (
                zip_archive(
                    &[
                        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
                        ("content.xml", b"<a/>"),
                    ],
                    false,
                ),
                "an OpenDocument spreadsheet",
            ),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n".to_vec(), "a PDF document"),
            (after(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), "a JPEG picture: check the pipe's url"),
            (after(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "a PNG picture"),
            (b"GIF89a\x01\0\x01\0;".to_vec(), "a GIF picture"),
            (b"\n\n%PDF-1.4\n%\xe2\xe3\n".to_vec(), "a PDF document"),
            (after(b"\x7fELF\x02\x01\x01\0"), "a program (ELF)"),
            (gzip(&after(b"\x7fELF\x02\x01\x01\0")), "a program (ELF)"),
            (after(b"7z\xbc\xaf\x27\x1c"), "a 7z archive: ask the partner for gzip or zip"),
            (after(b"BZh11AY&SY"), "a file packed by bzip2: ask the partner for gzip or zip"),
            (after(b"BZh91AY&SY"), "a file packed by bzip2"),
            (noise(), "a binary file"),
            (zip_archive(&[("data.bin", &noise())], false), "a binary file"),
            (
                zip_archive(&[("out/", b""), ("out/a.jpg", b"?"), ("readme.txt", b"?")], false),
                "no file that may be a feed: out/a.jpg, readme.txt",
            ),
        ];
        let map = [field(columns::ID, "id")];
        let location = Location::File(PathBuf::from("feed"));
        for (data, says) in cases {
            for format in [Format::Csv, Format::GoogleXml] {
                let map = if format == Format::Csv { &map[..] } else { &[] };
                let error = read_error(&source(format), map, data.clone());
                assert!(matches!(error, FeedError::NotAFeed { .. }), "{says}: {error}");
                assert!(error.to_string().contains(says), "{says}: {error}");
            }
            let input = Box::new(Cursor::new(data));
            let error = crate::detect::detect(input, &Hints::default(), &location).unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn text_with_control_characters_is_text() {
        let csv = "id,title\n1,겨울 코트\n2,b\n";
        let utf32 = |text: &str, bytes: fn(u32) -> [u8; 4]| {
            text.chars().flat_map(|c| bytes(c as u32)).collect::<Vec<u8>>()
        };
        let every = (1..0x400_u32).filter_map(char::from_u32).collect::<String>();
        let texts: Vec<Vec<u8>> = vec![
            csv.replace("b", "\0b\u{1}\u{2}\u{7}\u{1a}\u{1b}").into_bytes(),
            [csv.as_bytes(), &[0; 4096]].concat(),
            // All kinds of them, in one place of a long text.
            format!("{csv}3,\0{}\n{}", &every[..31], "4,a long title\n".repeat(200)).into_bytes(),
            csv.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            // There is no reader of it but for ASCII, which is what is left without the NULs.
            utf32(&format!("{csv}{every}"), u32::to_be_bytes),
            utf32(&format!("{csv}{every}"), u32::to_le_bytes),
            b"PAR1,GIF,PK\n".to_vec(),
        ];
        let settings =
            Settings::from_source(&source(Format::Csv), &[field(columns::ID, "id")]).unwrap();
        for text in texts {
            let opened = FeedReader::open(Box::new(Cursor::new(text)), &settings, Hints::default());
            let told = opened.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!told.contains("a binary file"), "{told}");
        }
    }
}
