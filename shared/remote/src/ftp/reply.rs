//! What an FTP server answers, and what of it can be used.

use crate::error::{RemoteErrorKind, words};
use chrono::NaiveDateTime;

/// A reply to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Three digits, the first of them 1 to 5.
    pub(super) code: u16,
    /// What stands behind the code, of all lines.
    pub(super) text: String,
}

impl Reply {
    /// The command was carried out.
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// A transfer begins.
    pub(super) fn is_begun(&self) -> bool {
        (100..200).contains(&self.code)
    }

    /// The server does not know the command, or not what it was given with it.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.code, 500..=504)
    }

    /// What a reply means that is no success.
    pub(super) fn into_error(self) -> RemoteErrorKind {
        let text = words(&format!("{} {}", self.code, self.text));
        match self.code {
            400..=499 => RemoteErrorKind::Busy(text),
            530 | 532 => RemoteErrorKind::Login(text),
            550 => RemoteErrorKind::NotFound(text),
            500..=599 => RemoteErrorKind::Denied(text),
            _ => broken(format!("it answered {text}")),
        }
    }

    /// The server lets nobody in who does not encrypt first. There is no code for that which all servers use.
    pub(super) fn wants_tls(&self) -> bool {
        let is_refusal = self.code == 421 || (500..600).contains(&self.code);
        let text = self.text.to_ascii_lowercase();
        let mut sentences = text.split([',', ';', ':', '!']).flat_map(|part| part.split(". "));
        is_refusal && sentences.any(asks_for_tls)
    }

    /// As [`Reply::into_error`], of a connection in the clear.
    pub(super) fn into_error_in_the_clear(self) -> RemoteErrorKind {
        if !self.wants_tls() {
            return self.into_error();
        }
        RemoteErrorKind::Unsupported(format!(
            "the server wants TLS, and ftp:// has none ({}): begin the pipe's url with ftpes://",
            words(&format!("{} {}", self.code, self.text))
        ))
    }

    /// The size in a reply to SIZE.
    pub(super) fn size(&self) -> Option<u64> {
        if self.code == 213 { self.text.trim().parse().ok() } else { None }
    }

    /// Seconds since 1970 in a reply to MDTM: `YYYYMMDDHHMMSS`, in UTC, with or without a fraction.
    pub(super) fn modified_secs(&self) -> Option<i64> {
        let text = self.text.trim();
        let time = text.split_once('.').map_or(text, |(time, _)| time);
        let is_time = self.code == 213 && time.len() == 14;
        let parsed = NaiveDateTime::parse_from_str(time, "%Y%m%d%H%M%S").ok();
        parsed.filter(|_| is_time).map(|time| time.and_utc().timestamp())
    }

    /// The port in a reply to EPSV: `(|||6446|)`, with any mark in place of the bar.
    pub(super) fn extended_port(&self) -> Option<u16> {
        let (_, inner) = self.text.split_once('(')?;
        let (inner, _) = inner.split_once(')')?;
        let mark = inner.chars().next()?;
        let mut parts = inner.split(mark);
        let port = parts.nth(3)?;
        port.parse().ok()
    }

    /// The port in a reply to PASV: six numbers, the last two of which are the port. The address before them is not
    /// looked at.
    pub(super) fn passive_port(&self) -> Option<u16> {
        let start = self.text.find(|c: char| c.is_ascii_digit())?;
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
        let numbers: Option<Vec<u8>> =
            rest[..end].split(',').map(|number| number.parse().ok()).collect();
        match numbers?.as_slice() {
            [_, _, _, _, high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }
}

/// What encryption is called.
const TLS: [&str; 7] = ["tls", "ssl", "ftps", "ftpes", "encrypt", "encrypted", "encryption"];
/// What is said of it where it is asked for.
const ASKED: [&str; 13] = [
    "must",
    "use",
    "using",
    "need",
    "needs",
    "needed",
    "require",
    "requires",
    "required",
    "requiring",
    "mandatory",
    "without",
    "reconnect",
];
/// What it is called to do without.
const CLEAR: [&str; 6] = ["clear", "cleartext", "plain", "plaintext", "unencrypted", "insecure"];
/// What is said of that where it is refused.
const REFUSED: [&str; 6] = ["not", "no", "disabled", "refused", "rejected", "forbidden"];

/// Whether a sentence, in lower case, asks for encryption. A login that is refused may speak of it, too: of a host, of the
/// server's name. Words with a point or a digit in them are names, but for versions of TLS.
fn asks_for_tls(sentence: &str) -> bool {
    let is_name = |word: &str| {
        let is_version = word.starts_with("tlsv") || word.starts_with("sslv");
        !is_version && word.contains(|c: char| c == '.' || c.is_ascii_digit())
    };
    let words: Vec<&str> = sentence
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !is_name(word))
        .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()))
        .map(|word| if word.starts_with("tlsv") { "tls" } else { word })
        .collect();
    let has = |some: &[&str]| words.iter().any(|word| some.contains(word));
    let is_command = |pair: &[&str]| {
        matches!(pair, ["use" | "using" | "send", "auth"] | ["auth", "tls" | "ssl"])
    };
    // `only in TLS`, `TLS connections only`: beside it, or what is only for some is something else.
    let is_only = |(at, word): (usize, &&str)| {
        let mut near = words[at.saturating_sub(2)..].iter().take(5);
        *word == "only" && near.any(|word| TLS.contains(word))
    };
    (has(&TLS) && has(&ASKED))
        || (has(&CLEAR) && has(&REFUSED))
        || words.windows(2).any(is_command)
        || words.iter().enumerate().any(is_only)
}

/// The server does not keep to the protocol.
pub(super) fn broken(what: impl Into<String>) -> RemoteErrorKind {
    RemoteErrorKind::Protocol { protocol: "FTP", what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, text: &str) -> Reply {
        Reply { code, text: text.to_owned() }
    }

    #[test]
    fn sizes_and_times_are_read() {
        assert_eq!(reply(213, "1234").size(), Some(1234));
        assert_eq!(reply(213, "much").size(), None);
        assert_eq!(reply(550, "1234").size(), None);
        assert_eq!(reply(213, "20260102030405").modified_secs(), Some(1_767_323_045));
        assert_eq!(reply(213, "20260102030405.678").modified_secs(), Some(1_767_323_045));
        for bad in ["20261302030405", "2026010203040", "yesterday", ""] {
            assert_eq!(reply(213, bad).modified_secs(), None, "{bad}");
        }
    }

    #[test]
    fn a_server_that_wants_tls_is_told_from_one_that_wants_another_password() {
        for (code, text) in [
            (421, "TLS is required"),
            (
                421,
                "Sorry, cleartext sessions are not accepted on this server. Please reconnect using TLS security \
                 mechanisms.",
            ),
            (421, "Sorry, cleartext sessions and weak ciphers are not accepted on this server."),
            (503, "Use AUTH first."),
            (530, "Non-anonymous sessions must use encryption."),
            (530, "This server does not allow plain FTP. You have to use FTP over TLS."),
            (530, "only in TLS"),
            (530, "not logged in, only explicit SSL/TLS allowed"),
            (530, "FTPS only"),
            (530, "SSL/TLS connections only"),
            (530, "TLSv1.2 required"),
            (530, "Please issue AUTH TLS first"),
            (530, "You are not allowed to login without SSL"),
            (530, "Not logged in, control connection encryption is required"),
            (534, "Policy requires SSL."),
            (550, "SSL/TLS required on the control channel"),
            (550, "This server requires encryption."),
        ] {
            let error = reply(code, text).into_error_in_the_clear();
            let told = error.to_string();
            assert!(told.contains("ftpes://") && told.contains(text), "{told}");
            assert!(matches!(error, RemoteErrorKind::Unsupported(_)), "{told}");
        }
        for (code, text) in [
            (421, "Too many connections"),
            (421, "Author of too many sessions"),
            (530, "Login authentication failed"),
            (530, "Login incorrect."),
            (530, "Auth failed."),
            (530, "Auth failed. Use your e-mail address"),
            (530, "Login incorrect on ftps01.partner.com"),
            (530, "Login incorrect. Use your account of ftps.partner.com."),
            (530, "Login incorrect, this FTPS server is for members only"),
            (530, "TLS user unknown"),
        ] {
            let told = reply(code, text).into_error_in_the_clear().to_string();
            assert!(!told.contains("ftpes://"), "{told}");
        }
    }

    #[test]
    fn ports_are_read_and_addresses_are_not() {
        let extended = |text: &str| reply(229, text).extended_port();
        assert_eq!(extended("Entering Extended Passive Mode (|||6446|)"), Some(6446));
        assert_eq!(extended("ok (!!!50000!)"), Some(50000));
        for bad in ["ok", "(|||)", "(|||x|)", "(|||99999|)", "()"] {
            assert_eq!(extended(bad), None, "{bad}");
        }
        let passive = |text: &str| reply(227, text).passive_port();
        assert_eq!(passive("Entering Passive Mode (10,0,0,1,19,137)."), Some(5001));
        assert_eq!(passive("=10,0,0,1,19,137"), Some(5001));
        for bad in ["ok", "(10,0,0,1,19)", "(10,0,0,1,19,1370)", "(1,2,3,4,5,6,7)"] {
            assert_eq!(passive(bad), None, "{bad}");
        }
    }

    #[test]
    fn errors_say_whether_a_retry_helps() {
        for (code, helps) in [(421, true), (450, true), (530, false), (550, false), (553, false)] {
            assert_eq!(reply(code, "no").into_error().is_retryable(), helps, "{code}");
        }
    }
}
