//! A pipe's source that is not on the web: what the configuration says of it, as the client for such sources takes it.

use feedfleet_config::{Location, Pipe, Server, ServerLogin};
use feedfleet_http::Limits;
use feedfleet_remote::{
    Address, Ask, Login, Remote, RemoteError, RemoteErrorKind, Resume, Server as Place, Transfer,
};

/// The bounds of one fetch of a pipe's source.
pub fn limits(pipe: &Pipe) -> Limits {
    let limits = &pipe.source.limits;
    Limits { max_bytes: limits.max_bytes, total_time: limits.max_time, ..Limits::default() }
}

/// What is asked of a source of which nothing is at hand, but perhaps the tag of the state that was read last.
pub fn ask<'a>(pipe: &Pipe, known: Option<&'a str>, resume: Option<Resume<'a>>) -> Ask<'a> {
    Ask { known, resume, limits: limits(pipe) }
}

/// Opens a pipe's source on a server of files or in a bucket. None: it is as it was known.
///
/// # Errors
///
/// It could not be opened, or it is on the web, or a file of this machine.
pub async fn open(
    remote: &Remote,
    pipe: &Pipe,
    ask: &Ask<'_>,
) -> Result<Option<Transfer>, RemoteError> {
    let place = pipe.source.location.display();
    match &pipe.source.location {
        Location::Server(server) => open_server(remote, server, &place, ask).await,
        Location::Object { bucket, key } => remote.open_object(&place, bucket, key, ask).await,
        Location::Http(_) | Location::File(_) | Location::Site(_) => {
            let text = "this is neither on a server of files nor in a bucket".to_owned();
            Err(RemoteErrorKind::Unsupported(text).of(&place))
        }
    }
}

async fn open_server(
    remote: &Remote,
    server: &Server,
    place: &str,
    ask: &Ask<'_>,
) -> Result<Option<Transfer>, RemoteError> {
    let address = Address::parse(server.url.expose())
        .map_err(|e| RemoteErrorKind::Unsupported(e.to_string()).of(place))?;
    let login = match &server.login {
        ServerLogin::Anonymous => Login::Anonymous,
        ServerLogin::Password(password) => Login::Password(password.expose()),
        ServerLogin::Key { key, passphrase } => {
            let passphrase = passphrase.as_ref().map(|passphrase| passphrase.expose());
            Login::Key { key: key.expose(), passphrase }
        }
    };
    let server = Place { place, address: &address, login, host_keys: &server.host_keys };
    remote.open(&server, ask).await
}
