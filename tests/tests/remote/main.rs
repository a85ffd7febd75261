//! Files over SFTP and FTP, read by the client from real servers on the loopback address.

mod bad_servers;
mod ftp;
mod sftp;

use feedfleet_http::{GuardPolicy, Limits};
use feedfleet_remote::{
    Address, Ask, Head, Login, Remote, RemoteError, RemoteErrorKind, Resume, Server,
};
use feedfleet_tests::remote::{PASSWORD, root_certificate};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A time of change that is long past.
const SETTLED_SECS: u32 = 1_700_000_000;

/// A file that takes many packets.
fn file(seed: u32) -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(seed) % 251) as u8).collect()
}

/// Somebody who reads a file.
struct Reader {
    runtime: Runtime,
    remote: Remote,
    url: String,
    host_keys: Vec<String>,
    limits: Limits,
}

/// What came of a file.
struct Read {
    head: Head,
    bytes: Vec<u8>,
    /// None: it came whole.
    error: Option<RemoteError>,
}

impl Reader {
    fn new(url: String) -> Self {
        let allow_private = vec!["127.0.0.0/8".parse().expect("it is a network")];
        let policy = GuardPolicy { allow_private, ..GuardPolicy::default() };
        Self {
            runtime: Runtime::new().expect("a runtime can be made"),
            remote: Remote::new(policy).with_roots(vec![root_certificate()]),
            url,
            host_keys: Vec::new(),
            limits: Limits { first_byte: Duration::from_secs(10), ..Limits::default() },
        }
    }

    /// Opens the file by the password, and reads it to its end. None: it is as it was known.
    fn read(
        &self,
        known: Option<&str>,
        resume: Option<Resume<'_>>,
    ) -> Result<Option<Read>, RemoteErrorKind> {
        self.read_by(Login::Password(PASSWORD), known, resume)
    }

    fn read_by(
        &self,
        login: Login<'_>,
        known: Option<&str>,
        resume: Option<Resume<'_>>,
    ) -> Result<Option<Read>, RemoteErrorKind> {
        let address = Address::parse(&self.url).expect("it is an address");
        let place = "the file";
        let server = Server { place, address: &address, login, host_keys: &self.host_keys };
        let ask = Ask { known, resume, limits: self.limits };
        self.runtime.block_on(async {
            let opened = self.remote.open(&server, &ask).await.map_err(|e| e.kind)?;
            let Some(mut transfer) = opened else { return Ok(None) };
            let (head, mut bytes) = (transfer.head().clone(), Vec::new());
            let error = loop {
                match transfer.chunk().await {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    Ok(None) => break None,
                    Err(e) => break Some(e),
                }
            };
            Ok(Some(Read { head, bytes, error }))
        })
    }

    /// Reads the file, which must come whole.
    fn read_whole(&self) -> Read {
        let read = self.read(None, None).unwrap_or_else(|e| panic!("{e}"));
        let read = read.expect("nothing is known of it");
        assert!(read.error.is_none(), "{:?}", read.error);
        read
    }

    /// Why the file cannot be opened.
    fn refused(&self) -> RemoteErrorKind {
        match self.read(None, None) {
            Ok(_) => panic!("{} was opened", self.url),
            Err(kind) => kind,
        }
    }
}

/// What every server has to do: give a file, say that it is unchanged, and go on where a transfer broke off.
fn reads_and_resumes(reader: &Reader, shelf: &feedfleet_tests::remote::Shelf, path: &str) {
    shelf.put(path, file(7), SETTLED_SECS);
    let whole = reader.read_whole();
    assert!(whole.bytes == file(7));
    assert_eq!(whole.head.length_bytes, Some(3_000_000));
    let tag = whole.head.tag.expect("its state can be known again");
    assert!(reader.read(Some(&tag), None).unwrap_or_else(|e| panic!("{e}")).is_none());

    shelf.cut_next_after(1_000_000);
    let cut = reader.read(None, None).unwrap_or_else(|e| panic!("{e}")).expect("it is read");
    let error = cut.error.expect("it was cut").kind;
    assert!(matches!(error, RemoteErrorKind::Truncated { .. }), "{error}");
    let from = cut.bytes.len() as u64;
    assert!(from > 0 && from < 3_000_000, "{from}");

    let rest = reader.read(None, Some(Resume { from, tag: &tag }));
    let rest = rest.unwrap_or_else(|e| panic!("{e}")).expect("it is read");
    assert!(rest.error.is_none(), "{:?}", rest.error);
    assert_eq!(rest.head.from, from);
    assert!([cut.bytes, rest.bytes].concat() == file(7));
    assert_eq!(shelf.transfers().last(), Some(&from));

    // Another file in its place is read from its start.
    shelf.put(path, file(11), SETTLED_SECS + 1);
    let other = reader.read(Some(&tag), Some(Resume { from, tag: &tag }));
    let other = other.unwrap_or_else(|e| panic!("{e}")).expect("it is another");
    assert_eq!((other.head.from, other.error.is_none()), (0, true));
    assert!(other.bytes == file(11));
    assert_ne!(other.head.tag, Some(tag));
}
