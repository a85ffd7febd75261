//! SFTP: logins, host keys, and transfers.

use super::{Reader, SETTLED_SECS, file, reads_and_resumes};
use feedfleet_http::GuardPolicy;
use feedfleet_remote::{Login, Remote, RemoteErrorKind};
use feedfleet_tests::remote::{SftpServer, Shelf};

const PATH: &str = "/out/feed.csv";

fn scene() -> (Shelf, SftpServer, Reader) {
    let shelf = Shelf::default();
    shelf.put(PATH, "sku\n1\n", SETTLED_SECS);
    let server = SftpServer::start(&shelf);
    let mut reader = Reader::new(server.url(PATH));
    reader.host_keys = vec![server.host_key().to_owned()];
    (shelf, server, reader)
}

#[test]
fn a_file_is_read_and_read_on() {
    let (shelf, _server, reader) = scene();
    reads_and_resumes(&reader, &shelf, PATH);
}

#[test]
fn a_private_key_lets_in_also_in_one_line() {
    let (_shelf, _server, reader) = scene();
    let key = SftpServer::user_key();
    for key in [key.clone(), key.replace('\n', "\\n")] {
        let login = Login::Key { key: &key, passphrase: None };
        let read = reader.read_by(login, None, None).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.expect("it is read").bytes, b"sku\n1\n");
    }
    let login = Login::Key { key: "no key at all", passphrase: None };
    let refused = reader.read_by(login, None, None).err().expect("it is no key");
    assert!(matches!(refused, RemoteErrorKind::PrivateKey(_)), "{refused}");
}

/// A server whose key nobody has vouched for gets no password.
#[test]
fn a_host_key_must_be_named() {
    let (shelf, server, mut reader) = scene();
    for (host_keys, pinned) in
        [(Vec::new(), false), (vec![format!("SHA256:{}", "A".repeat(43))], true)]
    {
        reader.host_keys = host_keys;
        let refused = reader.refused();
        let RemoteErrorKind::HostKey { met, is_pinned } = &refused else { panic!("{refused}") };
        assert_eq!((met.as_str(), *is_pinned), (server.host_key(), pinned));
        assert!(!refused.is_retryable());
    }
    assert!(shelf.logins().is_empty());
    // What was told can be saved as it is.
    reader.host_keys.push(server.host_key().to_owned());
    assert_eq!(reader.read_whole().bytes, b"sku\n1\n");
}

#[test]
fn what_the_server_refuses_is_told() {
    let (shelf, server, mut reader) = scene();
    let refused = reader.read_by(Login::Password("wrong"), None, None).err().expect("it is wrong");
    assert!(matches!(refused, RemoteErrorKind::Login(_)), "{refused}");
    assert!(!refused.to_string().contains("wrong"), "{refused}");
    assert!(shelf.logins().contains(&false));
    reader.url = server.url("/out/other.csv");
    let refused = reader.refused();
    assert!(matches!(refused, RemoteErrorKind::NotFound(_)), "{refused}");
}

#[test]
fn a_file_that_was_changed_just_now_has_no_tag() {
    let (shelf, _server, reader) = scene();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is past").as_secs();
    shelf.put(PATH, file(3), u32::try_from(now + 60).expect("it fits"));
    let read = reader.read_whole();
    assert_eq!(read.head.tag, None);
    assert!(read.bytes == file(3));
}

/// Promise 14: nothing connects to a non-public address unless the configuration allows it.
#[test]
fn an_address_inside_is_refused() {
    let (shelf, _server, mut reader) = scene();
    reader.remote = Remote::new(GuardPolicy::default());
    let own = reader.url.clone();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        reader.url = own.replace("127.0.0.1", host);
        let refused = reader.refused();
        assert!(matches!(refused, RemoteErrorKind::Refused(_)), "{host}: {refused}");
    }
    assert!(shelf.logins().is_empty());
}
