//! The address of a file on a server: `sftp://user@host:port/path`, and likewise `ftp`, `ftps` and `ftpes`.

use feedfleet_http::{GuardError, GuardPolicy, PortRule};
use url::{Host, Url};

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `sftp`: files over SSH.
    Sftp,
    /// `ftp`: in the clear.
    Ftp,
    /// `ftps`: FTP in TLS from the first byte on.
    Ftps,
    /// `ftpes`: FTP that changes to TLS before the login.
    Ftpes,
}

impl Scheme {
    /// The scheme of this name, in lower case.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "sftp" => Some(Self::Sftp),
            "ftp" => Some(Self::Ftp),
            "ftps" => Some(Self::Ftps),
            "ftpes" => Some(Self::Ftpes),
            _ => None,
        }
    }

    /// The port where such servers are, unless the address names one.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Sftp => 22,
            Self::Ftp | Self::Ftpes => 21,
            Self::Ftps => 990,
        }
    }
}

/// The address of a file on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// How the server is spoken to.
    pub scheme: Scheme,
    /// Who logs in; none: `anonymous`, where that is usual.
    pub user: Option<String>,
    /// The server's name, in ASCII, or its address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The file, as the server knows it: from its root with a slash at the start, and from the user's own folder
    /// without.
    pub path: String,
}

/// Why a text is no such address. No text of it is repeated, for it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no address at all, or of another scheme.
    #[error("this is not an address such as sftp://USER@HOST/PATH")]
    Malformed,
    /// It holds a password, which does not belong there.
    #[error("the address holds a password")]
    Password,
    /// It names no file.
    #[error("the address names no file")]
    NoPath,
    /// It has a query or a fragment, which no file has.
    #[error("'?' and '#' of a file's name are written %3F and %23")]
    Query,
    /// A name in it is not UTF-8, or holds a control character.
    #[error("a name in the address is not a line of UTF-8")]
    Unprintable,
}

impl Address {
    /// Reads an address. Paths of SFTP begin at the server's root, or with `/~/` in the user's own folder; those of FTP
    /// begin in the user's own folder, or with `//` at the root, as they do for other programs.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Malformed)?;
        let scheme = Scheme::of(url.scheme()).ok_or(AddressError::Malformed)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::Malformed)?;
        // Of schemes that browsers do not know, `url` leaves hosts as they are; resolvers know names in ASCII alone.
        let host = match Host::parse(host).map_err(|_| AddressError::Malformed)? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if url.password().is_some() {
            return Err(AddressError::Password);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        let path = decoded(url.path())?;
        let path = match scheme {
            Scheme::Sftp => path.strip_prefix("/~/").unwrap_or(&path),
            _ => path.strip_prefix('/').unwrap_or(&path),
        };
        if path.is_empty() || path.ends_with('/') {
            return Err(AddressError::NoPath);
        }
        let port = url.port().unwrap_or(scheme.default_port());
        Ok(Self { scheme, user, host, port, path: path.to_owned() })
    }

    /// Whether the guard lets the port through: the scheme's own, and those that it lets through for the web.
    ///
    /// # Errors
    ///
    /// It does not.
    pub(crate) fn check_port(&self, policy: &GuardPolicy) -> Result<(), GuardError> {
        let is_own = self.port == self.scheme.default_port();
        let is_allowed = match &policy.allowed_ports {
            PortRule::Web => is_own || PortRule::Web.allows(self.port),
            rule => rule.allows(self.port),
        };
        if is_allowed { Ok(()) } else { Err(GuardError::Port(self.port)) }
    }
}

/// A part of an address with what `%` hides in it. It becomes part of a command of one line.
fn decoded(part: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| AddressError::Unprintable)?;
    if text.chars().any(char::is_control) {
        return Err(AddressError::Unprintable);
    }
    Ok(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_server_user_and_file() {
        for (text, user, host, port, path) in [
            ("sftp://me@shop.example/out/a.csv", Some("me"), "shop.example", 22, "/out/a.csv"),
            ("sftp://me@shop.example:2222/~/a.csv", Some("me"), "shop.example", 2222, "a.csv"),
            ("sftp://a%40b@[2001:db8::1]/x%20y.csv", Some("a@b"), "2001:db8::1", 22, "/x y.csv"),
            ("sftp://me@Bücher.example/a", Some("me"), "xn--bcher-kva.example", 22, "/a"),
            ("sftp://me@192.0.2.7/a", Some("me"), "192.0.2.7", 22, "/a"),
            ("ftp://shop.example/out/a.csv", None, "shop.example", 21, "out/a.csv"),
            ("ftp://shop.example//out/a.csv", None, "shop.example", 21, "/out/a.csv"),
            ("ftps://me@shop.example/a%3F.csv", Some("me"), "shop.example", 990, "a?.csv"),
            ("ftpes://me@shop.example/100%25.csv", Some("me"), "shop.example", 21, "100%.csv"),
        ] {
            let address = Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(address.user.as_deref(), user, "{text}");
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.path, path, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_file_is_refused() {
        for (text, why) in [
            ("", AddressError::Malformed),
            ("http://shop.example/a", AddressError::Malformed),
            ("sftp:a.csv", AddressError::Malformed),
            ("sftp://me@shop%2f.example/a", AddressError::Malformed),
            ("sftp://me:secret@shop.example/a", AddressError::Password),
            ("sftp://me@shop.example", AddressError::NoPath),
            ("ftp://shop.example/", AddressError::NoPath),
            ("ftp://shop.example/folder/", AddressError::NoPath),
            ("sftp://me@shop.example/a?b", AddressError::Query),
            ("ftp://shop.example/a%0d%0aDELE%20b", AddressError::Unprintable),
            ("ftp://a%0ab@shop.example/a", AddressError::Unprintable),
            ("ftp://shop.example/%ff", AddressError::Unprintable),
        ] {
            assert_eq!(Address::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn the_guard_judges_the_port() {
        let check = |text: &str, allowed_ports| {
            let policy = GuardPolicy { allowed_ports, ..GuardPolicy::default() };
            Address::parse(text).unwrap().check_port(&policy)
        };
        assert_eq!(check("sftp://a@b.example/c", PortRule::Web), Ok(()));
        assert_eq!(check("sftp://a@b.example:2222/c", PortRule::Web), Ok(()));
        let refused = |port| Err(GuardError::Port(port));
        assert_eq!(check("sftp://a@b.example:25/c", PortRule::Web), refused(25));
        assert_eq!(check("ftp://b.example:22/c", PortRule::Web), refused(22));
        assert_eq!(check("ftp://b.example:6379/c", PortRule::Web), refused(6379));
        assert_eq!(check("sftp://a@b.example/c", PortRule::Only(vec![443])), refused(22));
    }
}
