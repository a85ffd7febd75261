//! Whether each pipe's source answers. A source on the network gets one request, or one login, through the guard and
//! with the pipe's own credentials; of the answer only the head is read.

use super::{Finding, blocking};
use feedfleet_config::{Location, Pipe};
use feedfleet_http::{
    Client, FetchErrorKind, GuardError, Limits, Request, Response, StatusCode, Url,
};
use feedfleet_model::text;
use feedfleet_remote::{Remote, RemoteErrorKind};
use feedfleet_worker::remote;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A source that does not begin to answer by then does not answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The host of a pipe's source, or its bucket; none for a file.
pub fn host(pipe: &Pipe) -> Option<String> {
    match &pipe.source.location {
        Location::File(_) => None,
        Location::Http(url) => Some(host_of(url.expose())),
        Location::Server(server) => Some(host_of(server.url.expose())),
        Location::Object { bucket, .. } => Some(bucket.clone()),
        Location::Site(site) => site.starts.first().map(|start| host_of(start.as_str())),
    }
}

fn host_of(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Asks for a pipe's source, or opens its file.
pub async fn check(http: Client, remote: Remote, pipe: Pipe) -> Vec<Finding> {
    let told = Told {
        check: format!("source {}", pipe.name),
        place: pipe.source.location.display(),
        file: pipe.file.clone(),
    };
    vec![match &pipe.source.location {
        Location::Http(url) => ask(&http, &pipe, url.expose(), &told).await,
        Location::Site(site) => {
            let start = site.starts.first().map_or("", |start| start.as_str());
            ask(&http, &pipe, start, &told).await
        }
        Location::File(path) => {
            let path = path.clone();
            blocking(move || open(&path, &told)).await
        }
        Location::Server(_) | Location::Object { .. } => ask_remote(&remote, &pipe, &told).await,
    }]
}

/// How a source is told of, without its secrets.
struct Told {
    check: String,
    place: String,
    /// The pipe's file.
    file: PathBuf,
}

impl Told {
    fn correct_url(&self) -> String {
        format!("correct url under [source] in {}", self.file.display())
    }
}

async fn ask(http: &Client, pipe: &Pipe, url: &str, told: &Told) -> Finding {
    let limits = Limits {
        max_bytes: pipe.source.limits.max_bytes,
        total_time: ANSWER,
        first_byte: ANSWER,
        ..Limits::default()
    };
    let mut request = Request::new(url, limits);
    for (name, value) in &pipe.source.headers {
        request.headers.push((name.clone(), value.expose().to_owned()));
    }
    let started = Instant::now();
    match http.get(request).await {
        Ok(response) => {
            let figures = figures(&response, started.elapsed());
            answered(response.status(), &figures, told)
        }
        // Not the error's own text: the address in it has no `${NAME}` in place of a secret.
        Err(e) => failed(&e.kind, http.has_trust_roots(), told),
    }
}

/// Asks for a source on a server of files or in a bucket.
async fn ask_remote(remote: &Remote, pipe: &Pipe, told: &Told) -> Finding {
    let mut ask = remote::ask(pipe, None, None);
    (ask.limits.total_time, ask.limits.first_byte) = (ANSWER, ANSWER);
    let started = Instant::now();
    match remote::open(remote, pipe, &ask).await {
        Ok(transfer) => {
            let length = transfer.and_then(|transfer| transfer.head().length_bytes);
            let size = length.map(|bytes| format!(", {}", text::bytes(bytes))).unwrap_or_default();
            let took = text::duration(started.elapsed());
            Finding::ok(&told.check, format!("{} answered in {took}{size}", told.place))
        }
        Err(e) => failed_remote(&e.kind, told),
    }
}

fn failed_remote(kind: &RemoteErrorKind, told: &Told) -> Finding {
    let file = told.file.display();
    let remedy = match kind {
        RemoteErrorKind::Refused(GuardError::Address { address, .. }) => allow(*address),
        RemoteErrorKind::HostKey { met, is_pinned: false } => format!(
            "ask the partner whether this is their key, then set host_key = \"{met}\" under [source] in {file}"
        ),
        RemoteErrorKind::HostKey { .. } => format!(
            "ask the partner whether their key is new; only then correct host_key under [source] in {file}"
        ),
        RemoteErrorKind::Login(_) | RemoteErrorKind::PrivateKey(_) => format!(
            "check the credentials: auth under [source] in {file}, and the variables that it names"
        ),
        RemoteErrorKind::TooLarge { .. } => {
            format!("raise max_bytes of the source's limits in {file}")
        }
        RemoteErrorKind::Tls { .. } => {
            "ask the partner to mend the server's certificate, or install the system's CA certificates \
             (package ca-certificates)"
                .to_owned()
        }
        RemoteErrorKind::Denied(_) => {
            format!("{}, or ask the partner to let this user read it", told.correct_url())
        }
        RemoteErrorKind::Unsupported(_) => format!("do what it says, or {}", told.correct_url()),
        RemoteErrorKind::Busy(_) | RemoteErrorKind::Broken { .. } => {
            let remedy = "it may pass, and runs try again; if it stays, ask the partner";
            return Finding::warning(&told.check, format!("{}: {kind}", told.place), remedy);
        }
        RemoteErrorKind::Resolve { .. } => {
            format!("{}, or look at this machine's DNS", told.correct_url())
        }
        RemoteErrorKind::Connect { .. } | RemoteErrorKind::TimedOut(_) => format!(
            "{}; is the partner's server up, and may this machine reach it?",
            told.correct_url()
        ),
        _ => told.correct_url(),
    };
    let found = match kind {
        RemoteErrorKind::HostKey { met, .. } => format!("its host key is {met}"),
        kind => kind.to_string(),
    };
    Finding::broken(&told.check, format!("{}: {found}", told.place), remedy)
}

/// What to set so that the guard lets an address through.
fn allow(address: IpAddr) -> String {
    let network = match address {
        IpAddr::V4(_) => format!("{address}/32"),
        IpAddr::V6(_) => format!("{address}/128"),
    };
    format!("if that is meant, set allow_private = [\"{network}\"] under [http] in fleet.toml")
}

fn figures(response: &Response, took: Duration) -> String {
    let mut figures = format!("in {}", text::duration(took));
    if let Some(kind) = response.content_type() {
        figures.push_str(&format!(", {}", text::shorten(kind, 60)));
    }
    if let Some(bytes) = response.content_length() {
        figures.push_str(&format!(", {}", text::bytes(bytes)));
    }
    match response.redirects().len() {
        0 => {}
        n => figures.push_str(&format!(", after {n} redirects")),
    }
    figures
}

fn answered(status: StatusCode, figures: &str, told: &Told) -> Finding {
    let found = format!("{} answered {status} {figures}", told.place);
    let file = told.file.display();
    match status.as_u16() {
        200 => Finding::ok(&told.check, found),
        408 | 429 | 500..=599 => {
            let remedy = "it may pass, and runs try again; if it stays, ask the partner";
            Finding::warning(&told.check, found, remedy)
        }
        401 | 403 => {
            let remedy = format!(
                "check the credentials: auth or headers under [source] in {file}, and the variables that they name"
            );
            Finding::broken(&told.check, found, remedy)
        }
        _ => Finding::broken(&told.check, found, told.correct_url()),
    }
}

fn failed(kind: &FetchErrorKind, has_trust_roots: bool, told: &Told) -> Finding {
    let remedy = match kind {
        FetchErrorKind::Refused(GuardError::Address { address, .. }) => allow(*address),
        FetchErrorKind::Dns { .. } => {
            format!("{}, or look at this machine's DNS", told.correct_url())
        }
        FetchErrorKind::Connect { .. } => {
            format!(
                "{}; is the partner's server up, and may this machine reach it?",
                told.correct_url()
            )
        }
        FetchErrorKind::TimedOut(_) => format!(
            "{}; is the partner's server up, and may this machine reach it? A feed that is slow to begin: \
             feedfleet pipes preview waits for longer",
            told.correct_url()
        ),
        FetchErrorKind::Tls { .. } if !has_trust_roots => {
            "install the system's CA certificates (package ca-certificates)".to_owned()
        }
        FetchErrorKind::Tls { .. } => "ask the partner to mend the server's certificate".to_owned(),
        FetchErrorKind::TooLarge { .. } => {
            format!("raise max_bytes of the source's limits in {}", told.file.display())
        }
        FetchErrorKind::InvalidHeader { .. } => {
            format!("correct headers under [source] in {}", told.file.display())
        }
        _ => told.correct_url(),
    };
    let found = match kind {
        FetchErrorKind::Refused(GuardError::Address { address, .. }) => {
            format!("refused: its host is at {address}, which is not a public address")
        }
        kind => kind.to_string(),
    };
    Finding::broken(&told.check, format!("{}: {found}", told.place), remedy)
}

fn open(path: &Path, told: &Told) -> Finding {
    let opened = File::open(path).and_then(|mut file| {
        let metadata = file.metadata()?;
        // A folder opens, and does not read.
        let _bytes = file.read(&mut [0; 1])?;
        Ok(metadata)
    });
    match opened {
        Ok(metadata) if metadata.len() == 0 => {
            let found = format!("{} is empty", told.place);
            Finding::warning(&told.check, found, "see to what writes the file")
        }
        Ok(metadata) => {
            let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
            let age = age.map(|age| format!(", written {} ago", text::duration(age)));
            let size = text::bytes(metadata.len());
            let found = format!("{}: {size}{}", told.place, age.unwrap_or_default());
            Finding::ok(&told.check, found)
        }
        Err(e) => {
            let remedy = format!("{}, or let this user read it", told.correct_url());
            Finding::broken(&told.check, format!("{}: {e}", told.place), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn told() -> Told {
        Told {
            check: "source acme".into(),
            place: "https://acme.example/feed?…".into(),
            file: "pipes/acme.toml".into(),
        }
    }

    #[test]
    fn an_answer_is_named_with_its_remedy() {
        for (status, state, remedy) in [
            (200, State::Ok, ""),
            (401, State::Broken, "credentials"),
            (403, State::Broken, "credentials"),
            (404, State::Broken, "correct url"),
            (302, State::Broken, "correct url"),
            (429, State::Warning, "pass"),
            (503, State::Warning, "pass"),
        ] {
            let finding = answered(StatusCode::from_u16(status).unwrap(), "in 5 ms", &told());
            assert_eq!(finding.state, state, "{finding}");
            assert!(finding.found.contains(&status.to_string()), "{finding}");
            assert!(finding.remedy.unwrap_or_default().contains(remedy), "{status}");
        }
    }

    #[test]
    fn a_host_key_is_told_so_that_it_can_be_saved() {
        let met = "SHA256:abc".to_owned();
        let finding = failed_remote(&RemoteErrorKind::HostKey { met, is_pinned: false }, &told());
        assert!(finding.found.contains("SHA256:abc"), "{finding}");
        assert!(finding.remedy.unwrap_or_default().contains("host_key = \"SHA256:abc\""));
        let finding = failed_remote(&RemoteErrorKind::Busy("450 later".to_owned()), &told());
        assert_eq!(finding.state, State::Warning, "{finding}");
    }

    #[test]
    fn a_private_address_is_answered_with_the_setting_that_allows_it() {
        for (address, network) in [("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128")] {
            let address = address.parse().unwrap();
            let error = GuardError::Address { host: "acme.example".into(), address };
            let finding = failed(&FetchErrorKind::Refused(error), true, &told());
            let remedy = finding.remedy.unwrap_or_default();
            assert!(remedy.contains(&format!("allow_private = [\"{network}\"]")), "{remedy}");
        }
    }
}
