//! FTP: in the clear and in TLS, from servers that know more or less.

use super::{Reader, SETTLED_SECS, file, reads_and_resumes};
use feedfleet_http::GuardPolicy;
use feedfleet_remote::{Login, Remote, RemoteErrorKind, Resume};
use feedfleet_tests::remote::{FtpServer, FtpTls, FtpTraits, Shelf};
use std::time::Duration;

const PATH: &str = "out/feed.csv";

fn scene(traits: FtpTraits) -> (Shelf, FtpServer, Reader) {
    let shelf = Shelf::default();
    shelf.put(PATH, "sku\n1\n", SETTLED_SECS);
    let server = FtpServer::start(&shelf, traits);
    let reader = Reader::new(server.url(PATH));
    (shelf, server, reader)
}

#[test]
fn a_file_is_read_and_read_on_in_the_clear_and_in_tls() {
    for tls in [FtpTls::None, FtpTls::Implicit, FtpTls::Explicit] {
        let (shelf, _server, reader) = scene(FtpTraits { tls, ..FtpTraits::default() });
        reads_and_resumes(&reader, &shelf, PATH);
    }
}

/// Promise 14: data comes from the host that was checked, whatever address the server names.
#[test]
fn an_address_that_the_server_names_is_not_connected_to() {
    for names in [[10, 0, 0, 7], [169, 254, 169, 254], [192, 0, 2, 1]] {
        let traits = FtpTraits { knows_epsv: false, names, ..FtpTraits::default() };
        let (shelf, _server, reader) = scene(traits);
        reads_and_resumes(&reader, &shelf, PATH);
    }
}

#[test]
fn a_server_that_cannot_begin_elsewhere_sends_the_whole() {
    let (shelf, _server, reader) = scene(FtpTraits { knows_rest: false, ..FtpTraits::default() });
    shelf.put(PATH, file(7), SETTLED_SECS);
    let tag = reader.read_whole().head.tag.expect("its state can be known again");
    let again = reader.read(None, Some(Resume { from: 1_000, tag: &tag }));
    let again = again.unwrap_or_else(|e| panic!("{e}")).expect("it is read");
    assert_eq!(again.head.from, 0);
    assert!(again.bytes == file(7));
}

#[test]
fn a_server_that_tells_no_state_is_read_whole_each_time() {
    let (shelf, _server, reader) = scene(FtpTraits { knows_state: false, ..FtpTraits::default() });
    let read = reader.read_whole();
    assert_eq!((read.head.tag, read.head.length_bytes), (None, None));
    assert_eq!(read.bytes, b"sku\n1\n");
    shelf.put(PATH, file(7), SETTLED_SECS);
    shelf.cut_next_after(1_000_000);
    let cut = reader.read(None, None).unwrap_or_else(|e| panic!("{e}")).expect("it is read");
    let error = cut.error.expect("it was cut");
    assert!(matches!(error.kind, RemoteErrorKind::Truncated { .. }), "{error}");
}

#[test]
fn what_the_server_refuses_is_told() {
    let (shelf, server, mut reader) = scene(FtpTraits::default());
    let refused = reader.read_by(Login::Password("wrong"), None, None).err().expect("it is wrong");
    assert!(matches!(refused, RemoteErrorKind::Login(_)), "{refused}");
    assert_eq!(shelf.logins(), [false]);
    reader.url = server.url("out/other.csv");
    let refused = reader.refused();
    assert!(matches!(refused, RemoteErrorKind::NotFound(_)), "{refused}");
    reader.url = server.url(PATH).replace("partner@", "");
    let read = reader.read_by(Login::Anonymous, None, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.expect("it is read").bytes, b"sku\n1\n");
}

#[test]
fn a_server_with_a_strange_certificate_gets_no_password() {
    for tls in [FtpTls::Implicit, FtpTls::Explicit] {
        let (shelf, _server, mut reader) = scene(FtpTraits { tls, ..FtpTraits::default() });
        let allow_private = vec!["127.0.0.0/8".parse().expect("it is a network")];
        reader.remote = Remote::new(GuardPolicy { allow_private, ..GuardPolicy::default() });
        let refused = reader.refused();
        assert!(matches!(refused, RemoteErrorKind::Tls { .. }), "{refused}");
        assert!(shelf.logins().is_empty());
    }
}

/// It waits for TLS to begin, and says nothing.
#[test]
fn a_server_that_begins_with_tls_is_told_with_the_way() {
    let traits = FtpTraits { tls: FtpTls::Implicit, ..FtpTraits::default() };
    let (shelf, server, mut reader) = scene(traits);
    reader.limits.first_byte = Duration::from_secs(1);
    for scheme in ["ftp", "ftpes"] {
        reader.url = server.url(PATH).replace("ftps://", &format!("{scheme}://"));
        let refused = reader.refused();
        assert!(matches!(refused, RemoteErrorKind::NoGreeting), "{refused}");
        assert!(refused.is_retryable() && refused.to_string().contains("ftps://"), "{refused}");
    }
    assert!(shelf.logins().is_empty());
}

/// Who asks for TLS is not served in the clear.
#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let (shelf, server, mut reader) = scene(FtpTraits::default());
    reader.url = server.url(PATH).replace("ftp://", "ftpes://");
    let refused = reader.refused();
    assert!(matches!(refused, RemoteErrorKind::Denied(_)), "{refused}");
    assert!(shelf.logins().is_empty());
}
