//! JSON as pages write it. What is JSON is read as JSON; on top of that come comments, trailing, missing and
//! superfluous commas, raw control characters in texts, single quotes, names without quotes, missing values,
//! brackets that nobody closes, wrappers of HTML comments and CDATA, and several documents in one script. Texts with
//! unescaped quotes are read at a second attempt, JSON with HTML's entities for quotes at a third.

use memchr::memchr2;

/// How deep arrays and objects nest.
const MAX_DEPTH: usize = 64;
/// Bytes of a script that is read.
const MAX_BYTES: usize = 4 << 20;
/// Bytes that the name of a member has at most, for one that is guessed.
const MAX_NAME_BYTES: usize = 100;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`, and a value that is missing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A text.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its members in order; a name may come several times.
    Object(Vec<(String, Json)>),
}

/// What is wrong at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads the documents of a script: what could be read, and whether that is all.
pub(crate) fn read(text: &str) -> (Vec<Json>, bool) {
    if text.len() > MAX_BYTES {
        return (Vec::new(), false);
    }
    let first = documents(text, Quotes::AsWritten);
    if first.1 {
        return first;
    }
    let second = documents(text, Quotes::Guessed);
    if second.1 {
        return second;
    }
    if ["&quot;", "&#34;", "&#x22;"].iter().any(|quote| text.contains(quote)) {
        let decoded = htmlize::unescape(text);
        let third = documents(&decoded, Quotes::AsWritten);
        if third.1 {
            return third;
        }
    }
    first
}

/// Where a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the first quote that is not escaped.
    AsWritten,
    /// At the first quote after which comes what may follow a text.
    Guessed,
}

/// What a text is, which says what may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Member,
    Element,
}

fn documents(text: &str, quotes: Quotes) -> (Vec<Json>, bool) {
    let mut reader = Reader { text, at: 0, quotes };
    let mut documents = Vec::new();
    loop {
        reader.skip();
        match reader.peek() {
            None => return (documents, true),
            // What is left of a statement, and brackets closed twice.
            Some(b';' | b',' | b'}' | b']') => reader.at += 1,
            Some(_) => match reader.value(0) {
                Ok(document) => documents.push(document),
                Err(Broken) => return (documents, false),
            },
        }
    }
}

#[derive(Clone)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
    quotes: Quotes,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes on behind white space, comments and wrappers.
    fn skip(&mut self) {
        loop {
            self.skip_space();
            let rest = self.rest();
            if let Some(comment) = rest.strip_prefix("//") {
                let wrapped = comment.trim_start_matches(' ');
                let is_wrapper = ["<![CDATA[", "]]>", "<!--", "-->"];
                self.at += if is_wrapper.iter().any(|wrapper| wrapped.starts_with(wrapper)) {
                    2
                } else {
                    rest.find(['\n', '\r']).unwrap_or(rest.len())
                };
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if let Some(comment) = rest.strip_prefix("<!--") {
                // A comment, or what hides a script from ancient browsers.
                let end = comment.find("-->");
                let is_comment = |end: &usize| !comment[..*end].contains(['{', '[']);
                self.at += 4 + end.filter(is_comment).map_or(0, |end| end + 3);
            } else if rest.starts_with("<![CDATA[") {
                self.at += 9;
            } else if rest.starts_with("-->") || rest.starts_with("]]>") {
                self.at += 3;
            } else {
                return;
            }
        }
    }

    fn skip_space(&mut self) {
        let is_space = |c: char| c <= ' ' || c.is_whitespace() || c == '\u{feff}';
        self.at += self.rest().find(|c: char| !is_space(c)).unwrap_or(self.text.len() - self.at);
    }

    fn value(&mut self, depth: usize) -> Result<Json, Broken> {
        self.value_as(depth, Role::Element)
    }

    fn value_as(&mut self, depth: usize, role: Role) -> Result<Json, Broken> {
        self.skip();
        match self.peek().ok_or(Broken)? {
            b'{' | b'[' if depth >= MAX_DEPTH => Err(Broken),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            quote @ (b'"' | b'\'') => self.string(quote, role).map(Json::Text),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(depth),
            // `"price": ,`
            b',' | b'}' | b']' => Ok(Json::Null),
            _ => match self.word() {
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                "null" | "undefined" | "NaN" => Ok(Json::Null),
                _ => Err(Broken),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Broken> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            let name = match self.peek() {
                // Nobody closed it.
                None => return Ok(Json::Object(members)),
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                Some(b',') => {
                    self.at += 1;
                    continue;
                }
                Some(quote @ (b'"' | b'\'')) => self.string(quote, Role::Name)?,
                Some(_) => match self.word() {
                    "" => return Err(Broken),
                    word => word.to_owned(),
                },
            };
            self.skip();
            if self.peek() != Some(b':') {
                return Err(Broken);
            }
            self.at += 1;
            members.push((name, self.value_as(depth + 1, Role::Member)?));
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Broken> {
        let mut elements = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                None => return Ok(Json::Array(elements)),
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(elements));
                }
                Some(b',') => self.at += 1,
                Some(b'}') => return Err(Broken),
                Some(_) => elements.push(self.value(depth + 1)?),
            }
        }
    }

    /// A number as written. One that ends with the script may be cut.
    fn number(&mut self, depth: usize) -> Result<Json, Broken> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        let rest = self.rest();
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let number = &rest[..end];
        self.at += end;
        let is_cut = end == rest.len() && depth > 0;
        if is_cut || !number.contains(|c: char| c.is_ascii_digit()) {
            return Err(Broken);
        }
        Ok(Json::Number(number.to_owned()))
    }

    /// A word such as `true`, or a name without quotes; empty where there is none.
    fn word(&mut self) -> &'a str {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '@');
        let rest = self.rest();
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn string(&mut self, quote: u8, role: Role) -> Result<String, Broken> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let end = memchr2(quote, b'\\', rest.as_bytes()).ok_or(Broken)?;
            out.push_str(&rest[..end]);
            self.at += end + 1;
            if rest.as_bytes()[end] == b'\\' {
                self.escape(&mut out)?;
            } else if self.quotes == Quotes::AsWritten || self.is_end(role) {
                return Ok(out);
            } else {
                out.push(char::from(quote));
            }
        }
    }

    /// Whether what follows a quote may follow a text.
    fn is_end(&self, role: Role) -> bool {
        let mut ahead = self.clone();
        ahead.skip_space();
        let is_new_line = self.text[self.at..ahead.at].contains('\n');
        match (role, ahead.peek()) {
            (Role::Name, next) => next == Some(b':'),
            (_, None) => true,
            (Role::Member, Some(b'}')) | (Role::Element, Some(b']')) => true,
            (Role::Member, Some(b',')) => {
                ahead.at += 1;
                ahead.skip_space();
                ahead.peek() == Some(b'}') || ahead.is_before_name()
            }
            // A comma is missing.
            (Role::Member, Some(_)) => is_new_line && ahead.is_before_name(),
            (Role::Element, Some(b',')) => {
                ahead.at += 1;
                ahead.skip_space();
                let is_start = |byte| matches!(byte, b'"' | b'\'' | b'{' | b'[' | b']');
                ahead.peek().is_none_or(is_start)
            }
            (Role::Element, Some(_)) => false,
        }
    }

    /// Whether a quoted name and a colon come next.
    fn is_before_name(&self) -> bool {
        let Some(quoted) = self.rest().strip_prefix('"') else {
            return false;
        };
        let window = &quoted.as_bytes()[..quoted.len().min(MAX_NAME_BYTES)];
        memchr::memchr(b'"', window)
            .is_some_and(|end| quoted[end + 1..].trim_start().starts_with(':'))
    }

    /// What follows a backslash.
    fn escape(&mut self, out: &mut String) -> Result<(), Broken> {
        let byte = self.peek().ok_or(Broken)?;
        let plain = match byte {
            b'"' | b'\\' | b'/' | b'\'' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                out.push(self.unicode()?);
                return Ok(());
            }
            // JavaScript: the text goes on in the next line.
            b'\n' => {
                self.at += 1;
                return Ok(());
            }
            // Nothing that is known: kept.
            _ => {
                out.push('\\');
                return Ok(());
            }
        };
        out.push(plain);
        self.at += 1;
        Ok(())
    }

    /// The four digits after `\u`, and the second half of a pair.
    fn unicode(&mut self) -> Result<char, Broken> {
        let high = self.four_digits()?;
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.four_digits()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        // Half of a pair stands for nothing.
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, Broken> {
        let digits = self.rest().get(..4).ok_or(Broken)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Broken);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Broken)
    }
}

#[cfg(test)]
mod tests;
