//! The control connection: one command, one reply.

use super::reply::{Reply, broken};
use crate::clock::Clock;
use crate::error::{RemoteErrorKind, words};
use crate::tls::{AnyConnection, Tls};
use feedfleet_http::Phase;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// The most bytes of one line of a reply. Paths are the longest that servers send.
const LONGEST_LINE: usize = 8 << 10;
/// The most lines of one reply. Greetings go on for a page or two.
const MOST_LINES: usize = 500;

/// The control connection.
pub(super) struct Control {
    connection: BufReader<AnyConnection>,
    /// Whether the server has said anything.
    has_spoken: bool,
    clock: Clock,
}

impl Control {
    pub(super) fn new(connection: AnyConnection, clock: Clock) -> Self {
        Self { connection: BufReader::new(connection), has_spoken: false, clock }
    }

    /// Whether a byte has come, be it less than a reply.
    pub(super) fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// Goes on encrypted.
    pub(super) async fn encrypt(self, tls: &Tls) -> Result<Self, RemoteErrorKind> {
        // What came before the handshake was not encrypted, and must not be taken for what is.
        if !self.connection.buffer().is_empty() {
            return Err(broken("it went on before the handshake of TLS"));
        }
        let connection = tls.wrap(self.connection.into_inner(), self.clock).await?;
        Ok(Self::new(connection, self.clock))
    }

    /// Sends a command, and waits for its reply.
    pub(super) async fn command(
        &mut self,
        verb: &str,
        argument: &str,
    ) -> Result<Reply, RemoteErrorKind> {
        // A line break would begin another command.
        if argument.contains(['\r', '\n', '\0']) {
            let text = format!("what {verb} is to be given holds a line break");
            return Err(RemoteErrorKind::Unsupported(text));
        }
        let space = if argument.is_empty() { "" } else { " " };
        let line = format!("{verb}{space}{argument}\r\n");
        let connection = self.connection.get_mut();
        let sending = async {
            connection.write_all(line.as_bytes()).await?;
            connection.flush().await
        };
        self.clock.answer(Phase::FirstByte, sending).await?.map_err(cut)?;
        self.reply().await
    }

    /// Waits for the next reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, RemoteErrorKind> {
        let clock = self.clock;
        clock.answer(Phase::FirstByte, self.read_reply()).await?
    }

    async fn read_reply(&mut self) -> Result<Reply, RemoteErrorKind> {
        let first = self.line().await?;
        let (code, is_last, text) =
            parts(&first).ok_or_else(|| broken(format!("its reply is '{}'", words(&first))))?;
        let mut text = text.to_owned();
        if is_last {
            return Ok(Reply { code, text });
        }
        for _ in 1..MOST_LINES {
            let line = self.line().await?;
            match parts(&line) {
                Some((last, true, rest)) if last == code => {
                    text.push(' ');
                    text.push_str(rest);
                    return Ok(Reply { code, text });
                }
                _ => {
                    // Of a long greeting the beginning is enough.
                    if text.len() < LONGEST_LINE {
                        text.push(' ');
                        text.push_str(line.trim());
                    }
                }
            }
        }
        Err(broken(format!("its reply has more than {MOST_LINES} lines")))
    }

    async fn line(&mut self) -> Result<String, RemoteErrorKind> {
        let has_come = !self.connection.fill_buf().await.map_err(cut)?.is_empty();
        self.has_spoken |= has_come;
        let mut line = Vec::new();
        let mut bounded = AsyncReadExt::take(&mut self.connection, LONGEST_LINE as u64);
        bounded.read_until(b'\n', &mut line).await.map_err(cut)?;
        if line.last() == Some(&b'\n') {
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        if line.len() >= LONGEST_LINE {
            return Err(broken(format!("a line of its reply has more than {LONGEST_LINE} bytes")));
        }
        Err(cut(io::Error::from(io::ErrorKind::UnexpectedEof)))
    }
}

fn cut(source: io::Error) -> RemoteErrorKind {
    RemoteErrorKind::Broken { source }
}

/// Code, whether it is the last line of its reply, and the rest.
fn parts(line: &str) -> Option<(u16, bool, &str)> {
    let digits = line.get(..3)?;
    let is_code =
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.starts_with(['1', '2', '3', '4', '5']);
    let code = digits.parse().ok().filter(|_| is_code)?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feedfleet_http::Limits;
    use tokio::io::duplex;

    async fn reply(sent: &str) -> Result<Reply, RemoteErrorKind> {
        let (mut server, client) = duplex(1 << 20);
        server.write_all(sent.as_bytes()).await.unwrap();
        drop(server);
        let limits = Limits::default();
        Control::new(Box::new(client), Clock::start(&limits)).reply().await
    }

    #[tokio::test]
    async fn replies_of_one_line_and_of_several_are_read() {
        for (sent, code, text) in [
            ("220 ready\r\n", 220, "ready"),
            ("220\r\n", 220, ""),
            (
                "220-Hello\r\n of 220 lines\r\n221 no\r\n220 ready\n",
                220,
                "Hello of 220 lines 221 no ready",
            ),
            ("220-Hello\r\n220-you\r\n220 ready\r\n", 220, "Hello 220-you ready"),
        ] {
            let reply = reply(sent).await.unwrap();
            assert_eq!((reply.code, reply.text.as_str()), (code, text), "{sent:?}");
        }
    }

    /// Promise 15: every input is bounded.
    #[tokio::test]
    async fn what_is_no_reply_is_a_clear_error() {
        let long_line = format!("220 {}\r\n", "x".repeat(LONGEST_LINE));
        let long_reply = "220-x\r\n".repeat(MOST_LINES + 1);
        for sent in ["SSH-2.0-OpenSSH_9.6\r\n", "\0\u{1}\n", "920 no\r\n", &long_line, &long_reply]
        {
            let error = reply(sent).await.unwrap_err();
            assert!(matches!(error, RemoteErrorKind::Protocol { .. }), "{error}");
            assert!(error.to_string().len() < 500, "{error}");
        }
        for sent in ["", "220 read", "220-Hello\r\n"] {
            let error = reply(sent).await.unwrap_err();
            assert!(matches!(error, RemoteErrorKind::Broken { .. }), "{sent:?}: {error}");
        }
    }

    #[tokio::test]
    async fn one_command_is_one_line() {
        let (_server, client) = duplex(1 << 10);
        let mut control = Control::new(Box::new(client), Clock::start(&Limits::default()));
        let error = control.command("RETR", "a\r\nDELE b").await.unwrap_err();
        assert!(matches!(error, RemoteErrorKind::Unsupported(_)), "{error}");
    }
}
