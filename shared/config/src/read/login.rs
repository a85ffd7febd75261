//! Reads `auth` and `host_key` under `[source]`: who the fleet is to a source, and how it knows the source.

use crate::pipe::Location;
use crate::secret::Secret;
use crate::server::{Server, ServerLogin};
use crate::table::Table;
use crate::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

const WAYS: &str = "expected one of basic = { user, password }, bearer, password and key";
/// Characters of a SHA-256 hash in base64, without padding.
const FINGERPRINT_LETTERS: usize = 43;

/// The fields, as they stand in the file.
pub(super) struct Fields<'d> {
    auth: Option<Value<'d>>,
    host_key: Option<Value<'d>>,
}

enum Auth {
    Basic { user: Secret, password: Secret },
    Bearer(Secret),
    Password(Secret),
    Key { key: Secret, passphrase: Option<Secret> },
}

/// Takes the fields.
pub(super) fn take<'d>(table: &mut Table<'d>) -> Fields<'d> {
    Fields { auth: table.take("auth"), host_key: table.take("host_key") }
}

impl Fields<'_> {
    /// Gives them to the source at `location`, which `url` names: a source on the web gets another header, a server of
    /// files a login.
    pub(super) fn attach(
        &self,
        url: &Value<'_>,
        location: Location,
        headers: &mut Vec<(String, Secret)>,
    ) -> Option<Location> {
        let auth = match &self.auth {
            Some(value) => Some((value, read(value)?)),
            None => None,
        };
        match location {
            Location::Http(address) => {
                self.tell(auth, headers)?;
                Some(Location::Http(address))
            }
            Location::Server(server) => {
                if !headers.is_empty() {
                    let message = "headers in [source] have no use with a server of files";
                    url.refuse(message, "expected them with http:// and https:// only");
                }
                self.log_in(url, server, auth).map(Location::Server)
            }
            other @ (Location::File(_) | Location::Object { .. } | Location::Site(_)) => {
                self.refuse_host_key();
                if let Some((value, _)) = auth {
                    let message = "auth in [source] has no use with such a source";
                    value.refuse_key(message, "expected it with http, sftp and ftp only");
                }
                Some(other)
            }
        }
    }

    /// Gives them to a site, as to any source on the web.
    pub(super) fn attach_to_site(&self, headers: &mut Vec<(String, Secret)>) -> Option<()> {
        let auth = match &self.auth {
            Some(value) => Some((value, read(value)?)),
            None => None,
        };
        self.tell(auth, headers)
    }

    /// Adds the header that says who asks.
    fn tell(
        &self,
        auth: Option<(&Value<'_>, Auth)>,
        headers: &mut Vec<(String, Secret)>,
    ) -> Option<()> {
        self.refuse_host_key();
        if let Some((value, auth)) = auth {
            let header = authorization(value, auth, headers)?;
            headers.push(("Authorization".to_owned(), header));
        }
        Some(())
    }

    fn log_in(
        &self,
        url: &Value<'_>,
        server: Server,
        auth: Option<(&Value<'_>, Auth)>,
    ) -> Option<Server> {
        let address = Url::parse(server.url.expose()).ok()?;
        let is_sftp = address.scheme() == "sftp";
        let has_user = !address.username().is_empty();
        let host_keys = match &self.host_key {
            Some(value) if is_sftp => fingerprints(value)?,
            _ => {
                self.refuse_host_key_unless(is_sftp);
                Vec::new()
            }
        };
        let login = match auth {
            Some((_, Auth::Password(password))) => ServerLogin::Password(password),
            Some((_, Auth::Key { key, passphrase })) if is_sftp => {
                ServerLogin::Key { key, passphrase }
            }
            Some((value, Auth::Key { .. })) => {
                value.refuse(
                    "FTP knows no private keys",
                    "expected auth = { password = '${NAME}' }",
                );
                return None;
            }
            Some((value, Auth::Basic { .. } | Auth::Bearer(_))) => {
                let message = "basic and bearer in [source.auth] are for http:// and https://";
                value.refuse(message, "expected password or key, and the user in url");
                return None;
            }
            None if is_sftp => {
                let expected = "expected auth = { password = '${NAME}' } or { key = '${NAME}' }";
                url.refuse("a source over sftp needs auth in [source]", expected);
                return None;
            }
            None => ServerLogin::Anonymous,
        };
        let is_anonymous = matches!(login, ServerLogin::Anonymous);
        if has_user == is_anonymous {
            let (message, expected) = if has_user {
                ("url in [source] names a user", "expected auth = { password = '${NAME}' } with it")
            } else {
                ("url in [source] names no user", "expected SCHEME://USER@HOST/PATH")
            };
            url.refuse(message, expected);
            return None;
        }
        Some(Server { login, host_keys, ..server })
    }

    fn refuse_host_key(&self) {
        self.refuse_host_key_unless(false);
    }

    fn refuse_host_key_unless(&self, is_sftp: bool) {
        if let Some(value) = &self.host_key
            && !is_sftp
        {
            let message = "host_key in [source] has no use with such a source";
            value.refuse_key(message, "expected it with sftp:// only");
        }
    }
}

fn read(value: &Value<'_>) -> Option<Auth> {
    let mut table = value.table()?;
    hide_all(value);
    let basic = table.take("basic");
    let bearer = table.take("bearer");
    let password = table.take("password");
    let key = table.take("key");
    let passphrase = table.take("passphrase");
    table.finish();
    if let Some(passphrase) = &passphrase
        && key.is_none()
    {
        passphrase
            .refuse_key("passphrase in [source.auth] has no use alone", "expected key beside it");
    }
    match (basic, bearer, password, key) {
        (Some(basic), None, None, None) => read_basic(&basic),
        (None, Some(bearer), None, None) => Some(Auth::Bearer(line(&bearer)?)),
        (None, None, Some(password), None) => Some(Auth::Password(line(&password)?)),
        (None, None, None, Some(key)) => {
            let passphrase = match passphrase {
                Some(passphrase) => Some(line(&passphrase)?),
                None => None,
            };
            Some(Auth::Key { key: secret(&key)?, passphrase })
        }
        _ => {
            value.refuse("auth in [source] has not one way to prove who asks", WAYS);
            None
        }
    }
}

fn read_basic(value: &Value<'_>) -> Option<Auth> {
    let mut table = value.table()?;
    hide_all(value);
    let user = table.required("user", "expected the user's name");
    let password = table.required("password", "expected a text such as '${NAME}'");
    table.finish();
    let (user_value, password) = (user?, password?);
    let (user, password) = (line(&user_value)?, line(&password)?);
    if user.expose().contains(':') {
        user_value.refuse("a user's name holds no ':'", "expected the part before it");
        return None;
    }
    Some(Auth::Basic { user, password })
}

/// Keeps the values of a table out of every message, those of fields that nobody knows, too: their names may be wrong
/// and their values right.
fn hide_all(value: &Value<'_>) {
    let entries = value.table().map(|mut table| table.entries());
    for entry in entries.into_iter().flatten() {
        entry.document().hide(entry.span());
    }
}

/// The value of the header that says who asks.
fn authorization(value: &Value<'_>, auth: Auth, headers: &[(String, Secret)]) -> Option<Secret> {
    if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        value.refuse_key("auth in [source] says what a header says, too", "expected one of them");
        return None;
    }
    match auth {
        Auth::Basic { user, password } => {
            let pair = format!("{}:{}", user.expose(), password.expose());
            Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
        }
        Auth::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        Auth::Password(_) | Auth::Key { .. } => {
            let message = "password and key in [source.auth] are for sftp and ftp";
            value.refuse(message, "expected basic = { user, password } or bearer");
            None
        }
    }
}

/// A secret of one line.
fn line(value: &Value<'_>) -> Option<Secret> {
    let secret = secret(value)?;
    if secret.expose().chars().any(char::is_control) {
        let message = format!("{} holds a line break or another control character", value.name());
        value.refuse(message, "expected one line");
        return None;
    }
    Some(secret)
}

fn secret(value: &Value<'_>) -> Option<Secret> {
    let text = value.text()?;
    if text.value.trim().is_empty() {
        value.refuse(format!("{} is empty", value.name()), "expected a text such as '${NAME}'");
        return None;
    }
    Some(Secret::new(text.value))
}

fn fingerprints(value: &Value<'_>) -> Option<Vec<String>> {
    let words = value.words()?;
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let is_fingerprint = |word: &String| {
        word.strip_prefix("SHA256:")
            .is_some_and(|hash| hash.len() == FINGERPRINT_LETTERS && hash.bytes().all(is_letter))
    };
    if words.is_empty() || !words.iter().all(is_fingerprint) {
        let expected = "expected SHA256:…, as `ssh-keygen -lf` and `feedfleet doctor` print it";
        value.refuse("host_key in [source] is not a fingerprint", expected);
        return None;
    }
    Some(words)
}
