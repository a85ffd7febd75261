//! Finds where JSON values begin and end, without parsing them: so that a document of any size can be
//! read element by element.

use crate::error::FeedError;
use crate::window::Window;
use memchr::memchr2;

/// Looks for the end of the value at the start of a text, over as many pieces as it comes in.
#[derive(Debug, Default)]
pub(crate) struct ValueEnd {
    at: usize,
    depth: usize,
    is_in_string: bool,
}

impl ValueEnd {
    /// Inside of this many open containers.
    pub(crate) fn inside(depth: usize) -> Self {
        Self { depth, ..Self::default() }
    }

    /// The value's length; none when it goes on after `text`. Called again, `text` must begin as before
    /// and be longer. The text must not begin with white space or a comma.
    pub(crate) fn find(&mut self, text: &[u8], at_end: bool) -> Option<usize> {
        while self.at < text.len() {
            if self.is_in_string {
                let Some(offset) = memchr2(b'"', b'\\', &text[self.at..]) else {
                    self.at = text.len();
                    break;
                };
                self.at += offset;
                if text[self.at] == b'\\' {
                    self.at += 2;
                    continue;
                }
                self.is_in_string = false;
                self.at += 1;
                if self.depth == 0 {
                    return Some(self.at);
                }
                continue;
            }
            match text[self.at] {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 0 => return Some(self.at),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(self.at + 1);
                    }
                }
                byte if self.depth == 0 && (byte == b',' || byte.is_ascii_whitespace()) => {
                    return Some(self.at);
                }
                _ => {}
            }
            self.at += 1;
        }
        let is_scalar = self.depth == 0 && !self.is_in_string;
        (at_end && is_scalar && self.at > 0).then_some(self.at)
    }

    /// Consumes the value from the window, whatever its size. False: the text ends inside of it.
    pub(crate) fn skip(mut self, window: &mut Window) -> Result<bool, FeedError> {
        loop {
            let text = window.rest().as_bytes();
            let all = text.len();
            if let Some(bytes) = self.find(text, window.is_ended()) {
                window.consume(bytes);
                return Ok(true);
            }
            // A backslash at the very end reaches one byte further.
            self.at -= all;
            window.consume(all);
            if !window.fill()? {
                return Ok(false);
            }
        }
    }
}

/// The next byte that is no white space, not consumed. None at the end of the text.
pub(crate) fn peek(window: &mut Window) -> Result<Option<u8>, FeedError> {
    loop {
        let rest = window.rest().as_bytes();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let next = rest.get(blank).copied();
        window.consume(blank);
        if next.is_some() || !window.fill()? {
            return Ok(next);
        }
    }
}

/// The length of the value at the start of the window, which then is there as a whole.
pub(crate) enum Whole {
    Bytes(usize),
    /// It is longer than allowed, and still to be skipped with this.
    TooLong(ValueEnd),
    /// The text ends inside of it.
    Cut,
}

/// Brings the value at the start of the window into memory.
pub(crate) fn whole_value(window: &mut Window, max_bytes: usize) -> Result<Whole, FeedError> {
    let mut end = ValueEnd::default();
    loop {
        let text = window.rest().as_bytes();
        match end.find(text, window.is_ended()) {
            Some(bytes) if bytes <= max_bytes => return Ok(Whole::Bytes(bytes)),
            Some(_) => return Ok(Whole::TooLong(ValueEnd::default())),
            None if text.len() > max_bytes => return Ok(Whole::TooLong(end)),
            None => {
                // At its end the window may have become "ended" without growing: then look once more.
                let was_ended = window.is_ended();
                if !window.grow()? && was_ended {
                    return Ok(Whole::Cut);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_in_pieces() {
        for (text, length) in [
            (r#"{"a":"}\"]","b":[1,{}]} ,"#, 23),
            (r#""x\\","#, 5),
            ("12.5e3]", 6),
            ("true }", 4),
            ("[]", 2),
        ] {
            let mut end = ValueEnd::default();
            let mut found = None;
            for bytes in 1..=text.len() {
                found = end.find(&text.as_bytes()[..bytes], false);
                if found.is_some() {
                    break;
                }
            }
            assert_eq!(found, Some(length), "{text}");
        }
        assert_eq!(ValueEnd::default().find(b"12", true), Some(2));
        assert_eq!(ValueEnd::default().find(b"[12", true), None);
    }
}
