//! A session: greeting, encryption, login, and the commands about one file.

use super::control::Control;
use super::reply::broken;
use crate::client::Login;
use crate::clock::Clock;
use crate::connect::connect_to;
use crate::error::{RemoteErrorKind, words};
use crate::tls::{AnyConnection, Tls};
use crate::version::Version;
use feedfleet_http::Phase;
use rustls::InvalidMessage;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest wait for a data connection. The server is there: it has just named the port.
const CONNECT: Duration = Duration::from_secs(10);
/// Data connections go to ports of the server's choice; below this one are other services.
const LEAST_DATA_PORT: u16 = 1024;
/// How long the server may take to say that a transfer has ended: less than a reader waits for its next bytes.
const LAST_WORD: Duration = Duration::from_secs(15);
/// How long good manners may take.
const GOOD_BYE: Duration = Duration::from_secs(3);

/// A session with a server.
pub(super) struct Session {
    control: Control,
    /// Where the control connection goes, and data connections too.
    host: IpAddr,
    tls: Option<Tls>,
    clock: Clock,
}

impl Session {
    /// Waits for the server's greeting, and encrypts the session where there is `tls`: at once, or once the server was
    /// asked to.
    pub(super) async fn begin(
        stream: TcpStream,
        tls: Option<Tls>,
        is_implicit: bool,
        clock: Clock,
    ) -> Result<Self, RemoteErrorKind> {
        let peer = stream.peer_addr().map_err(|source| RemoteErrorKind::Broken { source })?;
        let host = peer.ip();
        let mut connection: AnyConnection = Box::new(stream);
        if let Some(tls) = tls.as_ref().filter(|_| is_implicit) {
            connection = tls.wrap(connection, clock).await.map_err(in_the_clear)?;
        }
        let mut control = Control::new(connection, clock);
        let first = control.reply().await;
        let is_silent = !is_implicit && !control.has_spoken();
        let mut greeting = first.map_err(|error| if is_silent { silent(error) } else { error })?;
        if greeting.code == 120 {
            // Ready in some minutes: the time-outs decide whether that is soon enough.
            greeting = control.reply().await?;
        }
        if !greeting.is_done() {
            let is_clear = tls.is_none();
            return Err(if is_clear {
                greeting.into_error_in_the_clear()
            } else {
                greeting.into_error()
            });
        }
        if let Some(tls) = tls.as_ref().filter(|_| !is_implicit) {
            let reply = control.command("AUTH", "TLS").await?;
            if !reply.is_done() {
                let text = format!("it does not encrypt: {}", words(&reply.text));
                return Err(RemoteErrorKind::Denied(text));
            }
            control = control.encrypt(tls).await?;
        }
        Ok(Self { control, host, tls, clock })
    }

    /// Logs in, and sets up that files come as they are.
    pub(super) async fn log_in(
        &mut self,
        user: Option<&str>,
        login: Login<'_>,
    ) -> Result<(), RemoteErrorKind> {
        let password = match login {
            Login::Password(password) => password,
            // What is asked for by custom is an address of mail.
            Login::Anonymous => "anonymous@",
            Login::Key { .. } => {
                let text = "FTP knows no private keys: give the user's password".to_owned();
                return Err(RemoteErrorKind::Unsupported(text));
            }
        };
        let mut reply = self.control.command("USER", user.unwrap_or("anonymous")).await?;
        if reply.code == 331 {
            reply = self.control.command("PASS", password).await?;
        }
        match reply.code {
            200..=299 => {}
            _ if self.tls.is_none() && reply.wants_tls() => {
                return Err(reply.into_error_in_the_clear());
            }
            332 => return Err(RemoteErrorKind::Login("it asks for an account".to_owned())),
            400..=499 => return Err(reply.into_error()),
            code => {
                let text = words(&format!("{code} {}", reply.text));
                return Err(RemoteErrorKind::Login(text));
            }
        }
        if self.tls.is_some() {
            self.must("PBSZ", "0").await?;
            self.must("PROT", "P").await?;
        }
        self.must("TYPE", "I").await
    }

    /// The state of a file, as far as the server tells. Whether there is such a file, only [`Session::retrieve`] tells:
    /// not every server knows these commands.
    pub(super) async fn version(&mut self, path: &str) -> Result<Version, RemoteErrorKind> {
        let size = self.control.command("SIZE", path).await?;
        let modified = self.control.command("MDTM", path).await?;
        for reply in [&size, &modified] {
            if reply.code == 421 {
                return Err(reply.clone().into_error());
            }
        }
        Ok(Version { size_bytes: size.size(), modified_secs: modified.modified_secs() })
    }

    /// Begins to fetch a file at this byte, or at its start where the server cannot begin elsewhere: its bytes, and
    /// where they begin.
    pub(super) async fn retrieve(
        &mut self,
        path: &str,
        from: u64,
    ) -> Result<(AnyConnection, u64), RemoteErrorKind> {
        let port = self.passive().await?;
        let stream = connect_to(self.host, port, CONNECT, self.clock).await?;
        let mut begins_at = 0;
        if from > 0 {
            // Right before the command that it is for.
            let reply = self.control.command("REST", &from.to_string()).await?;
            match reply.code {
                350 => begins_at = from,
                _ if reply.is_unknown() => {}
                _ => return Err(reply.into_error()),
            }
        }
        let reply = self.control.command("RETR", path).await?;
        if !reply.is_begun() {
            return Err(reply.into_error());
        }
        let mut data: AnyConnection = Box::new(stream);
        if let Some(tls) = &self.tls {
            data = tls.wrap(data, self.clock).await?;
        }
        Ok((data, begins_at))
    }

    /// Waits for the server's word that a transfer has ended, and whether it says that it has ended well.
    pub(super) async fn transferred(&mut self) -> Result<(), RemoteErrorKind> {
        let clock = self.clock;
        let reply = clock.within(LAST_WORD, Phase::FirstByte, self.control.reply()).await??;
        if reply.is_done() { Ok(()) } else { Err(reply.into_error()) }
    }

    /// Says good-bye, for politeness: the file has come, and what the server thinks of it changes nothing.
    pub(super) async fn quit(&mut self) {
        let clock = self.clock;
        let saying = self.control.command("QUIT", "");
        if let Err(error) = clock.within(GOOD_BYE, Phase::FirstByte, saying).await.flatten() {
            tracing::debug!(%error, "the server did not say good-bye");
        }
    }

    /// The port of the next data connection.
    async fn passive(&mut self) -> Result<u16, RemoteErrorKind> {
        let mut reply = self.control.command("EPSV", "").await?;
        let mut port = reply.extended_port().filter(|_| reply.code == 229);
        if port.is_none() && reply.code != 421 {
            reply = self.control.command("PASV", "").await?;
            port = reply.passive_port().filter(|_| reply.code == 227);
        }
        match port {
            Some(port) if port >= LEAST_DATA_PORT => Ok(port),
            Some(port) => Err(broken(format!("it names port {port} for data"))),
            None if reply.is_done() => {
                Err(broken(format!("it names no port for data: {}", words(&reply.text))))
            }
            None => Err(reply.into_error()),
        }
    }

    /// A command that has to be carried out.
    async fn must(&mut self, verb: &str, argument: &str) -> Result<(), RemoteErrorKind> {
        let reply = self.control.command(verb, argument).await?;
        if reply.is_done() { Ok(()) } else { Err(reply.into_error()) }
    }
}

/// A server that waits for TLS to begin says nothing before.
fn silent(error: RemoteErrorKind) -> RemoteErrorKind {
    match error {
        RemoteErrorKind::TimedOut(Phase::FirstByte) => RemoteErrorKind::NoGreeting,
        error => error,
    }
}

/// A server that greets before anybody has encrypted anything does not begin with TLS.
fn in_the_clear(error: RemoteErrorKind) -> RemoteErrorKind {
    let RemoteErrorKind::Tls { source } = &error else { return error };
    let failed = source.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    if !matches!(failed, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType))) {
        return error;
    }
    let text = "the server does not begin with TLS, as ftps:// does: begin the pipe's url with ftpes://, which changes \
                to TLS before the login";
    RemoteErrorKind::Unsupported(text.to_owned())
}
