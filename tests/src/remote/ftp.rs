//! A small FTP server: one file a session, in passive mode.

use super::{PASSWORD, Shelf, USER};
use chrono::DateTime;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes sent at once.
const PIECE_BYTES: usize = 32 << 10;

/// How a server encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FtpTls {
    /// Not at all.
    None,
    /// From the first byte on.
    Implicit,
    /// Once it is asked to; without that nobody is let in.
    Explicit,
}

/// What a server knows, and what not.
#[derive(Debug, Clone, Copy)]
pub struct FtpTraits {
    /// How it encrypts.
    pub tls: FtpTls,
    /// It knows EPSV.
    pub knows_epsv: bool,
    /// It knows REST.
    pub knows_rest: bool,
    /// It knows SIZE and MDTM.
    pub knows_state: bool,
    /// The address that it names for data; it listens on the loopback address all the same.
    pub names: [u8; 4],
}

impl Default for FtpTraits {
    /// A server in the clear that knows everything.
    fn default() -> Self {
        let (knows_epsv, knows_rest, knows_state) = (true, true, true);
        Self { tls: FtpTls::None, knows_epsv, knows_rest, knows_state, names: [127, 0, 0, 1] }
    }
}

/// A running FTP server. It ends with the value.
pub struct FtpServer {
    address: SocketAddr,
    tls: FtpTls,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FtpServer {
    /// Starts one that has these files.
    pub fn start(shelf: &Shelf, traits: FtpTraits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shelf, config) = (stop.clone(), shelf.clone(), tls_config());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (shelf, config) = (shelf.clone(), config.clone());
                std::thread::spawn(move || {
                    // A client that goes away in the middle is part of many tests.
                    Visit { shelf, traits, config }.serve(stream).ok();
                });
            }
        });
        Self { address, tls: traits.tls, stop, thread: Some(thread) }
    }

    /// The address of a file, with the user.
    pub fn url(&self, path: &str) -> String {
        let scheme = match self.tls {
            FtpTls::None => "ftp",
            FtpTls::Implicit => "ftps",
            FtpTls::Explicit => "ftpes",
        };
        format!("{scheme}://{USER}@{}/{path}", self.address)
    }
}

impl Drop for FtpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What the servers' certificate is signed by.
pub fn root_certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(include_bytes!("tls/ca.pem")).expect("it is a certificate")
}

fn tls_config() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("it is one")], key.expect("it is one"));
    Arc::new(config.expect("certificate and key belong together"))
}

trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

type AnyConnection = Box<dyn Connection>;

struct Visit {
    shelf: Shelf,
    traits: FtpTraits,
    config: Arc<ServerConfig>,
}

impl Visit {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut plain = Some(stream.try_clone()?);
        let mut control: AnyConnection = Box::new(stream);
        if self.traits.tls == FtpTls::Implicit {
            control = self.encrypt(plain.take())?;
        }
        say(&mut control, "220-Welcome\r\n to the tests\r\n220 ready")?;
        let (mut user, mut is_in, mut data, mut from) = (String::new(), false, None, 0);
        loop {
            let line = read_line(&mut control)?;
            let (verb, argument) = line.split_once(' ').unwrap_or((line.as_str(), ""));
            let needs_tls = self.traits.tls == FtpTls::Explicit && plain.is_some();
            match verb {
                "AUTH" if needs_tls => {
                    say(&mut control, "234 go on")?;
                    control = self.encrypt(plain.take())?;
                }
                "QUIT" => return say(&mut control, "221 bye"),
                _ if needs_tls => say(&mut control, "530 only in TLS")?,
                "USER" => {
                    user = argument.to_owned();
                    say(&mut control, "331 password?")?;
                }
                "PASS" => {
                    let is_right = user == USER && argument == PASSWORD;
                    is_in = self.shelf.login(is_right || user == "anonymous");
                    say(&mut control, if is_in { "230 in" } else { "530 no" })?;
                }
                _ if !is_in => say(&mut control, "530 who are you?")?,
                "TYPE" | "PBSZ" | "PROT" => say(&mut control, "200 fine")?,
                "SIZE" | "MDTM" if self.traits.knows_state => {
                    let reply = self.state(verb, argument);
                    say(&mut control, &reply)?;
                }
                "EPSV" | "PASV" if verb == "PASV" || self.traits.knows_epsv => {
                    let listener = TcpListener::bind("127.0.0.1:0")?;
                    let reply = self.passive(verb, listener.local_addr()?.port());
                    data = Some(listener);
                    say(&mut control, &reply)?;
                }
                "REST" if self.traits.knows_rest => {
                    from = argument.parse().map_err(io::Error::other)?;
                    say(&mut control, "350 from there")?;
                }
                "RETR" => match (self.shelf.file(argument), data.take()) {
                    (Some(file), Some(listener)) => {
                        say(&mut control, "150 here it comes")?;
                        self.send(&file.bytes, from, &listener)?;
                        from = 0;
                        say(&mut control, "226 that was it")?;
                    }
                    _ => say(&mut control, "550 no such file")?,
                },
                _ => say(&mut control, "502 what?")?,
            }
        }
    }

    fn encrypt(&self, stream: Option<TcpStream>) -> io::Result<AnyConnection> {
        let stream = stream.ok_or_else(|| io::Error::other("it is encrypted already"))?;
        let session = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }

    fn state(&self, verb: &str, path: &str) -> String {
        let Some(file) = self.shelf.file(path) else { return "550 no such file".to_owned() };
        if verb == "SIZE" {
            return format!("213 {}", file.bytes.len());
        }
        let time = DateTime::from_timestamp(i64::from(file.modified_secs), 0);
        format!("213 {}", time.expect("it is a time").format("%Y%m%d%H%M%S"))
    }

    fn passive(&self, verb: &str, port: u16) -> String {
        if verb == "EPSV" {
            return format!("229 Entering Extended Passive Mode (|||{port}|)");
        }
        let ([a, b, c, d], [high, low]) = (self.traits.names, port.to_be_bytes());
        format!("227 Entering Passive Mode ({a},{b},{c},{d},{high},{low}).")
    }

    /// Sends a file; an error breaks the session off.
    fn send(&self, bytes: &[u8], from: u64, listener: &TcpListener) -> io::Result<()> {
        let cut_after = self.shelf.transfer(from);
        let (stream, _) = listener.accept()?;
        let is_plain = self.traits.tls == FtpTls::None;
        let mut data: AnyConnection =
            if is_plain { Box::new(stream) } else { self.encrypt(Some(stream))? };
        let start = usize::try_from(from).map_err(io::Error::other)?.min(bytes.len());
        let end = match cut_after {
            Some(sent) => start.saturating_add(sent as usize).min(bytes.len()),
            None => bytes.len(),
        };
        for piece in bytes[start..end].chunks(PIECE_BYTES) {
            std::thread::sleep(self.shelf.pause_now());
            data.write_all(piece)?;
        }
        data.flush()?;
        if end < bytes.len() {
            return Err(io::Error::other("cut"));
        }
        Ok(())
    }
}

fn say(control: &mut AnyConnection, reply: &str) -> io::Result<()> {
    control.write_all(format!("{reply}\r\n").as_bytes())?;
    control.flush()
}

fn read_line(control: &mut AnyConnection) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        control.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
