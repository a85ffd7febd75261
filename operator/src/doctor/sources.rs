//! Whether each pipe's source answers, and its beginning fits the pipe. A source on the network gets one request, or one
//! login, through the guard and with the pipe's own credentials; of a site's answer only the head is read.

use super::{Finding, State, blocking};
use feedfleet_config::{Format, Location, Pipe};
use feedfleet_http::{
    Client, FetchErrorKind, GuardError, Limits, Request, Response, StatusCode, Url, may_be_allowed,
};
use feedfleet_model::{Reason, ReasonClass, text};
use feedfleet_remote::{Remote, RemoteErrorKind};
use feedfleet_worker::preview::{Beginning, Preview, preview_beginning};
use feedfleet_worker::remote;
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A source that does not begin to answer by then does not answer; what came of its beginning by then is looked at.
const ANSWER: Duration = Duration::from_secs(10);
/// Records of a source that are looked at: a field that some leave out is in one of them.
const RECORDS: usize = 100;
/// What to do about what is the partner's, and may be otherwise the next time.
const PASSING: &str = "it may pass, and runs try again; if it stays, ask the partner";

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

/// Asks for a pipe's source, or opens its file. `had_records`: whether the pipe's newest run has met records; awaited
/// where that matters.
pub async fn check(
    http: Client,
    remote: Remote,
    pipe: Pipe,
    had_records: impl Future<Output = bool>,
) -> Vec<Finding> {
    let told = Told {
        check: format!("source {}", pipe.name),
        place: pipe.source.location.display(),
        file: pipe.file.clone(),
    };
    vec![match &pipe.source.location {
        Location::Http(url) => ask(&http, &pipe, url.expose(), &told, had_records).await,
        Location::Site(site) => {
            let start = site.starts.first().map_or("", |start| start.as_str());
            ask(&http, &pipe, start, &told, had_records).await
        }
        Location::File(path) => {
            let (path, own) = (path.clone(), told.clone());
            match blocking(move || open(&path, &own)).await {
                Ok((finding, beginning)) => {
                    look(finding, beginning, &pipe, &told, had_records).await
                }
                Err(finding) => finding,
            }
        }
        Location::Server(_) | Location::Object { .. } => {
            ask_remote(&remote, &pipe, &told, had_records).await
        }
    }]
}

/// How a source is told of, without its secrets.
#[derive(Clone)]
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

    /// What to set so that the guard lets an address through, where a partner's server may be.
    fn allow(&self, address: IpAddr) -> String {
        if !may_be_allowed(address) {
            return self.correct_url();
        }
        // As the guard sees it.
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 128 };
        format!(
            "if that is meant, set allow_private = [\"{address}/{bits}\"] under [http] in fleet.toml"
        )
    }
}

async fn ask(
    http: &Client,
    pipe: &Pipe,
    url: &str,
    told: &Told,
    had_records: impl Future<Output = bool>,
) -> Finding {
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
        Ok(mut response) => {
            let figures = figures(&response, started.elapsed());
            let finding = answered(response.status(), &figures, told);
            if finding.state != State::Ok || matches!(pipe.source.location, Location::Site(_)) {
                return finding;
            }
            let content_type = response.content_type().map(str::to_owned);
            let mut beginning = Beginning::new(content_type);
            while beginning.take(response.chunk().await) {}
            drop(response);
            look(finding, beginning, pipe, told, had_records).await
        }
        // Not the error's own text: the address in it has no `${NAME}` in place of a secret.
        Err(e) => failed(&e.kind, http.has_trust_roots(), told),
    }
}

/// Asks for a source on a server of files or in a bucket.
async fn ask_remote(
    remote: &Remote,
    pipe: &Pipe,
    told: &Told,
    had_records: impl Future<Output = bool>,
) -> Finding {
    let mut ask = remote::ask(pipe, None, None);
    (ask.limits.total_time, ask.limits.first_byte) = (ANSWER, ANSWER);
    let started = Instant::now();
    match remote::open(remote, pipe, &ask).await {
        Ok(transfer) => {
            let length = transfer.as_ref().and_then(|transfer| transfer.head().length_bytes);
            let size = length.map(|bytes| format!(", {}", text::bytes(bytes))).unwrap_or_default();
            let took = text::duration(started.elapsed());
            let found = format!("{} answered in {took}{size}", told.place);
            let finding = Finding::ok(&told.check, found);
            let Some(mut transfer) = transfer else { return finding };
            let mut beginning = Beginning::default();
            while beginning.take(transfer.chunk().await) {}
            drop(transfer);
            look(finding, beginning, pipe, told, had_records).await
        }
        Err(e) => failed_remote(&e.kind, told),
    }
}

fn failed_remote(kind: &RemoteErrorKind, told: &Told) -> Finding {
    let file = told.file.display();
    let remedy = match kind {
        RemoteErrorKind::Refused(GuardError::Address { address, .. }) => told.allow(*address),
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
            return Finding::warning(&told.check, format!("{}: {kind}", told.place), PASSING);
        }
        RemoteErrorKind::Resolve { .. } => {
            format!("{}, or look at this machine's DNS", told.correct_url())
        }
        RemoteErrorKind::NoCredentials(_) => {
            "set one of these up, with the right to read the source".to_owned()
        }
        RemoteErrorKind::Connect { .. }
        | RemoteErrorKind::TimedOut(_)
        | RemoteErrorKind::NoGreeting => format!(
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
        408 | 429 | 500..=599 => Finding::warning(&told.check, found, PASSING),
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
        FetchErrorKind::Refused(GuardError::Address { address, .. }) => told.allow(*address),
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

/// That a file is there, and how it begins; or what is wrong with it.
fn open(path: &Path, told: &Told) -> Result<(Finding, Beginning), Finding> {
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        // A folder opens, and does not read.
        Ok((metadata, Beginning::of(file)?))
    });
    match opened {
        Ok((metadata, _)) if metadata.len() == 0 => {
            let found = format!("{} is empty", told.place);
            Err(Finding::warning(&told.check, found, "see to what writes the file"))
        }
        Ok((metadata, beginning)) => {
            let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
            let age = age.map(|age| format!(", written {} ago", text::duration(age)));
            let size = text::bytes(metadata.len());
            let found = format!("{}: {size}{}", told.place, age.unwrap_or_default());
            Ok((Finding::ok(&told.check, found), beginning))
        }
        Err(e) => {
            let remedy = format!("{}, or let this user read it", told.correct_url());
            Err(Finding::broken(&told.check, format!("{}: {e}", told.place), remedy))
        }
    }
}

/// What a run would make of a source that is there, as far as its beginning shows. `finding`: that it is there.
async fn look(
    finding: Finding,
    beginning: Beginning,
    pipe: &Pipe,
    told: &Told,
    had_records: impl Future<Output = bool>,
) -> Finding {
    let own = pipe.clone();
    let preview = match blocking(move || preview_beginning(beginning, &own, RECORDS)).await {
        Ok(Some(preview)) => preview,
        Ok(None) => return finding,
        Err(reason) => return unreadable(&finding.found, &reason, told),
    };
    // They come after much else, or the first is larger than what was looked at.
    let come_later = preview.bytes_without_record.is_some() && had_records.await;
    judge(finding, &preview, come_later, pipe, told)
}

/// `come_later`: a source whose beginning has no record has some.
fn judge(
    finding: Finding,
    preview: &Preview,
    come_later: bool,
    pipe: &Pipe,
    told: &Told,
) -> Finding {
    let remedy = format!(
        "correct the mapping in {}; what comes is shown by feedfleet pipes preview {}",
        told.file.display(),
        pipe.name
    );
    let records = preview.records;
    if preview.rows.is_empty()
        && let Some(first) = preview.refused.first()
    {
        let found = format!(
            "{}; all of the first {records} records would be refused; {}: {}: {}",
            finding.found,
            first.place(),
            first.reason,
            first.message
        );
        return Finding::broken(&told.check, found, remedy);
    }
    if preview.absent.is_empty() {
        return match preview.told_empty(pipe).filter(|_| !come_later) {
            Some((told_empty, remedy)) => {
                let found = format!("{}; {told_empty}", finding.found);
                Finding::warning(&told.check, found, remedy)
            }
            None => finding,
        };
    }
    let found = format!(
        "{}; the mapping names {}, which {}",
        finding.found,
        preview.absent.join(", "),
        match records {
            0 => "the header does not have".to_owned(),
            _ => format!("the first {records} records do not have"),
        }
    );
    // A supplement without what it is for is not read.
    let has_header = matches!(pipe.source.format, Format::Csv | Format::Tsv);
    if pipe.name.is_supplement() && has_header {
        return Finding::broken(&told.check, found, remedy);
    }
    Finding::warning(&told.check, found, remedy)
}

/// A source that is there, and that a run can't read.
fn unreadable(found: &str, reason: &Reason, told: &Told) -> Finding {
    let found = format!("{found}; {reason}");
    let file = told.file.display();
    let remedy = match reason.class {
        ReasonClass::SourceUnavailable => return Finding::warning(&told.check, found, PASSING),
        ReasonClass::Configuration => format!("correct the mapping or the source in {file}"),
        ReasonClass::LimitExceeded => format!("correct the source's limits in {file}"),
        _ => format!(
            "correct url or format under [source] in {file}, or ask the partner what this is"
        ),
    };
    Finding::broken(&told.check, found, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::configuration;
    use super::super::scratch::Scratch;
    use super::*;
    use std::fs;
    use std::future::ready;
    use tokio::runtime::Builder;

    /// A pipe whose id is in `sku`, of this format.
    fn pipe(format: &str) -> Pipe {
        let scratch = Scratch::within(&std::env::temp_dir()).unwrap();
        let source = format!("[source]\nurl = \"https://acme.example/feed\"\n{format}\n");
        let text = format!("{source}[map]\nid = \"sku\"\n");
        fs::create_dir(scratch.path().join("pipes")).unwrap();
        fs::write(scratch.path().join("pipes/acme.toml"), text).unwrap();
        let (context, _) = configuration::check(scratch.path());
        context.unwrap().config.pipes[0].clone()
    }

    /// What is found where this much of a source came, and then its end, or nothing more.
    fn judged(text: &str, is_whole: bool) -> Finding {
        judged_as("format = \"csv\"", text, is_whole)
    }

    fn judged_as(format: &str, text: &str, is_whole: bool) -> Finding {
        judged_of(&pipe(format), text, is_whole, false)
    }

    /// `had_records`: the pipe's newest run has met some.
    fn judged_of(pipe: &Pipe, text: &str, is_whole: bool, had_records: bool) -> Finding {
        let mut beginning = Beginning::new(None);
        beginning.take(Ok::<_, ()>(Some(text)));
        beginning.take(if is_whole { Ok(None::<&str>) } else { Err(()) });
        let (finding, told) = (Finding::ok("source acme", "200 OK"), told());
        let looking = look(finding, beginning, pipe, &told, ready(had_records));
        Builder::new_current_thread().build().unwrap().block_on(looking)
    }

    #[test]
    fn a_beginning_is_judged_where_it_tells() {
        let finding = judged("id,name\n1,Lamp\n", true);
        assert_eq!(finding.state, State::Broken, "{finding}");
        assert!(finding.found.contains("the id comes from sku"), "{finding}");
        // The header may go on.
        assert_eq!(judged("id,name", false).state, State::Ok);
        // Here it can't.
        let long = "1,Lamp\n".repeat(10_000);
        assert_eq!(judged(&format!("id,name\n{long}"), false).state, State::Broken);
        assert_eq!(judged(&format!("sku,name\n{long}1,\"La"), false).state, State::Ok);
    }

    #[test]
    fn a_source_without_records_is_a_warning() {
        let xml = "format = \"xml\"\nitem = \"product\"";
        let shop = |item: &str, count| {
            format!("<shop>{}</shop>", format!("<{item}><sku>1</sku></{item}>").repeat(count))
        };
        for (format, text, setting) in [
            (xml, shop("p", 50), "correct item"),
            (xml, shop("p", 0), "correct item"),
            ("format = \"csv\"", "sku,name\n".to_owned(), "delimiter"),
        ] {
            let finding = judged_as(format, &text, true);
            assert_eq!(finding.state, State::Warning, "{finding}");
            assert!(finding.found.ends_with("; it has no records"), "{finding}");
            let remedy = finding.remedy.unwrap();
            assert!(remedy.contains(setting), "{remedy}");
            assert!(remedy.contains("feedfleet pipes detect --pipe acme"), "{remedy}");
        }
        assert_eq!(judged_as(xml, &shop("product", 50), true).state, State::Ok);

        // Of one that goes on, only as much tells as is looked at.
        let open = |item: &str, count| shop(item, count).replace("</shop>", "");
        let finding = judged_as(xml, &open("p", 20_000), false);
        assert_eq!(finding.state, State::Warning, "{finding}");
        assert!(finding.found.contains("it has no record in its first "), "{finding}");
        assert_eq!(judged_as(xml, &open("p", 2_000), false).state, State::Ok);
        assert_eq!(judged_as(xml, &open("product", 20_000), false).state, State::Ok);

        // Where a run has met records, they come later; not in one that is whole.
        let pipe = pipe(xml);
        assert_eq!(judged_of(&pipe, &open("p", 20_000), false, true).state, State::Ok);
        assert_eq!(judged_of(&pipe, &shop("p", 50), true, true).state, State::Warning);
    }

    #[test]
    fn a_source_that_may_have_no_records_is_no_warning() {
        let mut changes = pipe("format = \"csv\"");
        let mut supplement = changes.clone();
        changes.source.changes_only = true;
        supplement.name = supplement.name.with_supplement("stock").unwrap();
        for pipe in [changes, supplement] {
            let finding = judged_of(&pipe, "sku,name\n", true, false);
            assert_eq!(finding.state, State::Ok, "{finding}");
        }
    }

    #[test]
    fn what_may_pass_is_a_warning() {
        let reason = Reason::new(ReasonClass::SourceUnavailable, "the source ends early");
        assert_eq!(unreadable("200 OK", &reason, &told()).state, State::Warning);
    }

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
        for (address, network) in
            [("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128"), ("::ffff:127.0.0.1", "127.0.0.1/32")]
        {
            let address = address.parse().unwrap();
            let error = GuardError::Address { host: "acme.example".into(), address };
            let finding = failed(&FetchErrorKind::Refused(error), true, &told());
            let remedy = finding.remedy.unwrap_or_default();
            assert!(remedy.contains(&format!("allow_private = [\"{network}\"]")), "{remedy}");
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "224.0.0.1", "fe80::1"] {
            let error = GuardError::Address {
                host: "acme.example".into(),
                address: address.parse().unwrap(),
            };
            let finding = failed(&FetchErrorKind::Refused(error), true, &told());
            assert!(!finding.remedy.unwrap_or_default().contains("allow_private"), "{address}");
        }
    }
}
