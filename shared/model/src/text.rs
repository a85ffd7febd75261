//! Text for people: sizes and durations in the units they read, and crawled text made safe to print.

use std::borrow::Cow;
use std::time::Duration;

/// A size in binary units, such as `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A duration as people say it, such as `850 ms`, `12.3 s` or `1 h 5 min`.
pub fn duration(d: Duration) -> String {
    let secs = d.as_secs();
    match secs {
        0 => format!("{} ms", d.as_millis()),
        1..=59 => format!("{:.1} s", d.as_secs_f64()),
        60..=3599 => format!("{} min {} s", secs / 60, secs % 60),
        3600..=86_399 => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// A whole number with its thousands set apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Text from outside, made harmless for a terminal and a log: control characters, and those that
/// reorder text, become `\u{…}` escapes.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// As [`printable`], for a text that is JSON: such characters become escapes in its strings, and what it says stays
/// the same.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // JSON escapes what is below the space itself: there are only the line ends between its values.
    escaped(json, |c| c >= ' ' && steers(c))
}

/// As [`printable`], for a field of a file that other programs read, or that somebody prints: escapes are those of JSON,
/// which a field may be. Line ends and tabs stay, and the marks and joiners that scripts and emoji need.
pub fn printable_field(field: &str) -> Cow<'_, str> {
    let is_needed = |c| matches!(c, '\n' | '\t' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
    escaped(field, |c| steers(c) && !is_needed(c))
}

/// A field of a file that spreadsheets read: one that they would run as a formula begins with an apostrophe instead.
pub fn formula_safe(field: &str) -> Cow<'_, str> {
    if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{field}"))
    } else {
        Cow::Borrowed(field)
    }
}

/// With JSON's escapes for the characters that are unsafe.
fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // None of them needs more than four digits.
        if is_unsafe(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether a character changes what a terminal shows elsewhere, or how it orders or hides text.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As [`printable`], for a text of several lines: its line ends stay.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// The first `max` characters, with an ellipsis where something was cut.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(duration(Duration::from_millis(850)), "850 ms");
        assert_eq!(duration(Duration::from_secs(3900)), "1 h 5 min");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("a\u{202e}b\u{61c}"), "a\\u{202e}b\\u{61c}");
        assert_eq!(printable("전기밥솥"), "전기밥솥");
        assert_eq!(shorten("전기밥솥", 2), "전기…");
    }

    #[test]
    fn json_says_the_same_and_steers_nothing() {
        let said = "\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2066}\u{feff}\n\\u 전기밥솥 \u{1f600}";
        let json = serde_json::to_string_pretty(&[said]).unwrap();
        let shown = printable_json(&json);
        assert!(!shown.chars().any(|c| c != '\n' && steers(c)), "{shown:?}");
        assert!(shown.contains("\\u007f\\u009b31m\\u202e\\u2066\\ufeff"), "{shown}");
        assert!(shown.contains("전기밥솥 \u{1f600}") && shown.lines().count() == 3, "{shown}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [said]);
        assert!(matches!(printable_json("[\n  1\n]"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_field_steers_nothing_and_keeps_its_script() {
        let kept = "می\u{200c}خواهم \u{200f}א\u{200e} \u{1f468}\u{200d}\u{1f469}\n\tb";
        assert!(matches!(printable_field(kept), Cow::Borrowed(_)));
        let said = "\u{1b}[2J\r\u{7f}\u{9b}31m\u{202e}\u{2066}\u{2028}";
        let shown = printable_field(said);
        assert_eq!(shown, "\\u001b[2J\\u000d\\u007f\\u009b31m\\u202e\\u2066\\u2028");
        assert_eq!(serde_json::from_str::<String>(&format!("\"{shown}\"")).unwrap(), said);
    }
}
