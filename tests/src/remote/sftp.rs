//! An SFTP server: SSH by russh, and behind it OpenSSH's own `sftp-server` over real files.

use super::{PASSWORD, Shelf, USER};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle as SshHandle, Handler, Msg, Session, VerifiedPublicKey,
    run_stream,
};
use russh::{Channel, ChannelId, ChannelStream, Disconnect};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::runtime::{Builder, Runtime};

/// OpenSSH's server of files, where Debian and Ubuntu have it.
const PROGRAM: &str = "/usr/lib/openssh/sftp-server";
/// The package that has it.
const PACKAGE: &str = "openssh-sftp-server";

// Packets of SFTP, version 3: a u32 of length, a byte of kind, a u32 that numbers the request.
const KIND_AT: usize = 4;
const OPEN: u8 = 3;
const READ: u8 = 5;
const DATA: u8 = 103;
/// What stands before the bytes in a packet of `DATA`: the above, and how many they are.
const DATA_HEAD_BYTES: usize = 13;

/// A running SFTP server. It ends with the value.
pub struct SftpServer {
    address: SocketAddr,
    host_key: String,
    // Its threads are those of the server. It ends before the folder in which they write.
    _runtime: Runtime,
    folder: TempDir,
}

impl SftpServer {
    /// Starts one that has these files. Each session sees them as they are when it begins.
    ///
    /// # Panics
    ///
    /// Where OpenSSH's server is not installed.
    pub fn start(shelf: &Shelf) -> Self {
        let is_there = Path::new(PROGRAM).is_file();
        assert!(is_there, "{PROGRAM} is missing; the Debian package {PACKAGE} has it");
        let folder = TempDir::new().expect("a folder can be made");
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let key = key(1);
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(Config {
            keys: vec![key],
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let (shelf, files) = (shelf.clone(), Arc::<Path>::from(folder.path()));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, shelf, folder) = (config.clone(), shelf.clone(), files.clone());
                tokio::spawn(async move {
                    let visitor = Visitor { shelf, folder, channels: HashMap::new() };
                    // A client that goes away in the middle is part of many tests.
                    if let Ok(session) = run_stream(config, stream, visitor).await {
                        session.await.ok();
                    }
                });
            }
        });
        Self { address, host_key, _runtime: runtime, folder }
    }

    /// The address of a file, with the user.
    pub fn url(&self, path: &str) -> String {
        format!("sftp://{USER}@{}{}{path}", self.address, self.folder.path().display())
    }

    /// The fingerprint of its host key.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The private key of its user, as `ssh-keygen` writes it.
    pub fn user_key() -> String {
        key(2).to_openssh(LineEnding::LF).expect("a key can be written").to_string()
    }
}

/// A key of the tests: the same each time, and of no use elsewhere.
fn key(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}

/// One connection.
struct Visitor {
    shelf: Shelf,
    folder: Arc<Path>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(answer(self.shelf.login(user == USER && password == PASSWORD)))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        offered: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let own: PublicKey = key(2).public_key().clone();
        let is_own = offered.public_key.key_data() == own.key_data();
        Ok(answer(self.shelf.login(user == USER && is_own)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.channels.remove(&id) {
            Some(channel) if name == "sftp" => {
                session.channel_success(id)?;
                let (shelf, folder) = (self.shelf.clone(), self.folder.clone());
                tokio::spawn(serve(channel.into_stream(), session.handle(), shelf, folder));
            }
            _ => session.channel_failure(id)?,
        }
        Ok(())
    }
}

fn answer(is_let_in: bool) -> Auth {
    if is_let_in { Auth::Accept } else { Auth::reject() }
}

/// One SFTP session, from its first packet to its last.
async fn serve(client: ChannelStream<Msg>, connection: SshHandle, shelf: Shelf, folder: Arc<Path>) {
    lay_out(&shelf, &folder).expect("files can be written into a folder of ours");
    let child = Command::new(PROGRAM)
        .arg("-R") // the client only reads
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap_or_else(|e| panic!("{PROGRAM} cannot be started: {e}"));
    let requests = child.stdin.take().expect("it is piped");
    let answers = child.stdout.take().expect("it is piped");
    // A client that goes away in the middle is part of many tests.
    pump(client, connection, requests, answers, &shelf).await.ok();
    // It ends with its input, which was dropped just now.
    child.wait().await.ok();
}

/// Writes the files as they are on the shelf now. A session that has one open goes on with the one that it opened.
fn lay_out(shelf: &Shelf, folder: &Path) -> io::Result<()> {
    for (path, file) in shelf.files() {
        let place = folder.join(path.trim_start_matches('/'));
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent)?;
        let mut new = NamedTempFile::new_in(parent)?;
        new.write_all(&file.bytes)?;
        let modified = UNIX_EPOCH + Duration::from_secs(file.modified_secs.into());
        new.as_file().set_modified(modified)?;
        new.persist(&place)?;
    }
    Ok(())
}

/// Hands on packets until one side goes away, or the transfer is to break. One request at a time: each that the client
/// knows has one answer.
async fn pump(
    mut client: ChannelStream<Msg>,
    connection: SshHandle,
    mut requests: ChildStdin,
    mut answers: ChildStdout,
    shelf: &Shelf,
) -> io::Result<()> {
    // A file was opened, and nothing of it was asked for.
    let mut is_just_opened = false;
    // Bytes until the connection breaks.
    let mut left: Option<u64> = None;
    loop {
        let request = packet(&mut client).await?;
        match request.get(KIND_AT) {
            Some(&OPEN) => is_just_opened = true,
            Some(&READ) => {
                if is_just_opened {
                    is_just_opened = false;
                    left = shelf.transfer(read_from(&request)?);
                }
                let pause = shelf.pause_now();
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            _ => {}
        }
        requests.write_all(&request).await?;
        requests.flush().await?;
        let answer = packet(&mut answers).await?;
        if answer.get(KIND_AT) == Some(&DATA)
            && let Some(left) = &mut left
        {
            *left = left.saturating_sub(answer.len().saturating_sub(DATA_HEAD_BYTES) as u64);
            if *left == 0 {
                let why = Disconnect::ByApplication;
                connection.disconnect(why, String::new(), String::new()).await.ok();
                return Ok(());
            }
        }
        client.write_all(&answer).await?;
    }
}

/// The next packet, with its length at its head.
async fn packet(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut packet = length.to_be_bytes().to_vec();
    let head_bytes = packet.len();
    packet.resize(head_bytes + length as usize, 0);
    from.read_exact(&mut packet[head_bytes..]).await?;
    Ok(packet)
}

/// Where a packet of `READ` asks to begin. It ends with a u64 of that, and a u32 of how many bytes.
fn read_from(request: &[u8]) -> io::Result<u64> {
    let end: &[u8; 12] = request.last_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let [at @ .., _, _, _, _] = *end;
    Ok(u64::from_be_bytes(at))
}
