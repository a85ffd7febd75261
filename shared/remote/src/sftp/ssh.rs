//! The SSH connection below: the host's key, the login, and the channel on which SFTP is spoken.

use super::link::Link;
use crate::client::{Login, Server};
use crate::clock::Clock;
use crate::error::{RemoteErrorKind, words};
use feedfleet_http::Phase;
use russh::client::{self, AuthResult, Config, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{
    Error as KeyError, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
    decode_secret_key, ssh_key,
};
use russh::{ChannelMsg, MethodKind, MethodSet};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection of which nothing was heard for so long is given up, whoever waits for it.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a silent server is asked whether it is there. A reader may be busy for longer than `SILENCE`.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Questions that a server may ask of a user who has only a password.
const MOST_QUESTIONS: usize = 5;

/// Logs in, and begins to speak SFTP.
pub(super) async fn connect(
    stream: TcpStream,
    server: &Server<'_>,
    clock: Clock,
) -> Result<Link, RemoteErrorKind> {
    let user = server.address.user.as_deref().ok_or_else(|| {
        let text = "an address of SFTP names its user: sftp://USER@HOST/PATH".to_owned();
        RemoteErrorKind::Unsupported(text)
    })?;
    let config = Config {
        inactivity_timeout: Some(SILENCE),
        keepalive_interval: Some(KEEPALIVE),
        ..Config::default()
    };
    let refused = Arc::new(OnceLock::new());
    let trust = Trust { host_keys: server.host_keys.to_vec(), refused: refused.clone() };
    let connecting = client::connect_stream(Arc::new(config), stream, trust);
    let connected = clock.answer(Phase::Connect, connecting).await?;
    let mut session = match (connected, refused.get()) {
        (Ok(session), _) => session,
        (Err(_), Some(met)) => {
            let is_pinned = !server.host_keys.is_empty();
            return Err(RemoteErrorKind::HostKey { met: met.clone(), is_pinned });
        }
        (Err(error), None) => return Err(of_ssh(error)),
    };
    clock.answer(Phase::FirstByte, log_in(&mut session, user, server.login)).await??;
    clock.answer(Phase::FirstByte, subsystem(session)).await?
}

/// Trusts a host by its key's fingerprint alone.
struct Trust {
    host_keys: Vec<String>,
    /// The fingerprint of the key that was not trusted.
    refused: Arc<OnceLock<String>>,
}

impl client::Handler for Trust {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let met = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            // Of a certificate the key counts: nobody here knows who may sign for the host.
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256)
            }
        };
        let met = met.to_string();
        if self.host_keys.contains(&met) {
            return Ok(true);
        }
        self.refused.get_or_init(|| met);
        Ok(false)
    }
}

async fn log_in(
    session: &mut Handle<Trust>,
    user: &str,
    login: Login<'_>,
) -> Result<(), RemoteErrorKind> {
    let answer = match login {
        Login::Password(password) => {
            let answer = session.authenticate_password(user, password).await.map_err(of_ssh)?;
            if asks_questions(&answer) {
                return answer_questions(session, user, password).await;
            }
            answer
        }
        Login::Key { key, passphrase } => {
            let key = read_key(key, passphrase)?;
            let hash = if key.algorithm().is_rsa() {
                let best = session.best_supported_rsa_hash().await.map_err(of_ssh)?;
                // Servers that do not say what they know are old, but not as old as SHA-1.
                best.unwrap_or(Some(HashAlg::Sha256))
            } else {
                None
            };
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            session.authenticate_publickey(user, key).await.map_err(of_ssh)?
        }
        Login::Anonymous => session.authenticate_none(user).await.map_err(of_ssh)?,
    };
    match answer {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { remaining_methods, .. } => Err(not_let_in(&remaining_methods)),
    }
}

/// Whether the server would rather ask for the password in its own words.
fn asks_questions(answer: &AuthResult) -> bool {
    match answer {
        AuthResult::Success => false,
        AuthResult::Failure { remaining_methods, .. } => {
            remaining_methods.contains(&MethodKind::KeyboardInteractive)
        }
    }
}

/// Gives the password to a server that asks for it in its own words.
async fn answer_questions(
    session: &mut Handle<Trust>,
    user: &str,
    password: &str,
) -> Result<(), RemoteErrorKind> {
    let none: Option<String> = None;
    let asking = session.authenticate_keyboard_interactive_start(user, none);
    let mut answer = asking.await.map_err(of_ssh)?;
    for _ in 0..MOST_QUESTIONS {
        let prompts = match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. } => {
                return Err(not_let_in(&remaining_methods));
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        // What is shown while it is typed is no password.
        let given = prompts
            .iter()
            .map(|prompt| if prompt.echo { String::new() } else { password.to_owned() })
            .collect();
        let answering = session.authenticate_keyboard_interactive_respond(given);
        answer = answering.await.map_err(of_ssh)?;
    }
    if matches!(answer, KeyboardInteractiveAuthResponse::Success) {
        return Ok(());
    }
    Err(RemoteErrorKind::Login("it asks for more than a password".to_owned()))
}

fn not_let_in(methods: &MethodSet) -> RemoteErrorKind {
    let methods: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if methods.is_empty() {
        // So the library tells of a connection that ended in the middle of a login, too.
        return RemoteErrorKind::Busy("it ended the login without a word".to_owned());
    }
    RemoteErrorKind::Login(format!("ways in that it names are {}", methods.join(", ")))
}

async fn subsystem(session: Handle<Trust>) -> Result<Link, RemoteErrorKind> {
    let mut channel = session.channel_open_session().await.map_err(of_ssh)?;
    channel.request_subsystem(true, "sftp").await.map_err(of_ssh)?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) => {
                return Err(RemoteErrorKind::Denied("it does not offer SFTP".to_owned()));
            }
            Some(_) => {}
            None => {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(RemoteErrorKind::Broken { source });
            }
        }
    }
    Ok(Link::new(Box::new(channel.into_stream()), Box::new(session)))
}

/// The user's private key.
fn read_key(key: &str, passphrase: Option<&str>) -> Result<PrivateKey, RemoteErrorKind> {
    decode_secret_key(&lines(key), passphrase).map_err(|error| {
        RemoteErrorKind::PrivateKey(match error {
            KeyError::KeyIsEncrypted => {
                "it is encrypted, and auth in [source] has no passphrase beside key".to_owned()
            }
            // What a wrong passphrase makes of it is no key.
            KeyError::SshKey(ssh_key::Error::Crypto) | KeyError::Unpad(_)
                if passphrase.is_some() =>
            {
                "its passphrase does not fit".to_owned()
            }
            KeyError::CouldNotReadKey => {
                "it is none that can be read: it begins with -----BEGIN … PRIVATE KEY-----, or with \
                 PuTTY-User-Key-File, and is given with all of its lines"
                    .to_owned()
            }
            other => words(&other.to_string()),
        })
    })
}

/// The lines of a key. Some that keep variables cannot keep line breaks, and write `\n` for them.
fn lines(key: &str) -> String {
    if key.trim().contains('\n') { key.to_owned() } else { key.replace("\\n", "\n") }
}

fn of_ssh(error: russh::Error) -> RemoteErrorKind {
    use russh::Error;
    let gone = |kind: io::ErrorKind| RemoteErrorKind::Broken { source: io::Error::from(kind) };
    match error {
        Error::IO(source) => RemoteErrorKind::Broken { source },
        Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError => {
            gone(io::ErrorKind::ConnectionAborted)
        }
        Error::ConnectionTimeout | Error::KeepaliveTimeout | Error::InactivityTimeout => {
            RemoteErrorKind::TimedOut(Phase::Idle)
        }
        other => {
            let what = words(&other.to_string());
            RemoteErrorKind::Protocol { protocol: "SSH", what }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::ssh_key::{Cipher, Kdf, LineEnding};

    #[test]
    fn a_key_may_be_of_one_line() {
        assert_eq!(lines("a\\nb\\n"), "a\nb\n");
        assert_eq!(lines("a\\nb\nc\n"), "a\\nb\nc\n");
    }

    /// A key as a user has it; its passphrase is `right`.
    fn encrypted() -> String {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let kdf = Kdf::Bcrypt { salt: vec![7; 16], rounds: 1 };
        let key = key.encrypt_with(Cipher::Aes256Ctr, kdf, 7, "right").unwrap();
        key.to_openssh(LineEnding::LF).unwrap().to_string()
    }

    #[test]
    fn a_passphrase_that_does_not_fit_is_told() {
        let key = encrypted();
        assert!(read_key(&key, Some("right")).is_ok());
        for (passphrase, says) in [
            (Some("wrong"), "private key cannot be used: its passphrase does not fit"),
            (None, "it is encrypted, and auth in [source] has no passphrase"),
        ] {
            let error = read_key(&key, passphrase).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_told() {
        for key in ["s3cr3t", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@here"] {
            let error = read_key(key, None).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains("it begins with -----BEGIN"), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_login_that_broke_off_may_succeed_later() {
        assert!(not_let_in(&MethodSet::empty()).is_retryable());
        let refused = not_let_in(&MethodSet::from(&[MethodKind::Password][..]));
        assert!(matches!(refused, RemoteErrorKind::Login(_)), "{refused}");
    }

    #[test]
    fn what_is_no_ssh_is_told_from_what_broke_off() {
        let garbage = of_ssh(russh::Error::Version);
        assert!(matches!(garbage, RemoteErrorKind::Protocol { protocol: "SSH", .. }));
        assert!(of_ssh(russh::Error::Disconnect).is_retryable());
    }
}
