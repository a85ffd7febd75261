//! What was found out as a pipe's file, commented, ready to be saved.

use super::Detected;
use feedfleet_model::text;
use std::fmt::Write;

/// Characters of a line of comment.
const WIDTH: usize = 100;

/// A text as a string of TOML. `${`, which would stand for a variable, is written so that it does not.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.replace("${", "$${").chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Lines of comment.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if line.chars().count() + word.chars().count() + 1 > WIDTH && line.len() > 1 {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(&word);
    }
    out.push_str(&line);
    out.push('\n');
}

/// A share as people read it.
fn percent(share: f64) -> String {
    // Not all is not 100, and something is not nothing.
    let shown = if share < 1.0 { (share * 100.0).min(99.9) } else { 100.0 };
    if share > 0.0 && shown < 0.1 { "< 0.1 %".to_owned() } else { format!("{shown:.1} %") }
}

/// The file of a pipe. The lines in `place` say where its source is, and stand in it as they are.
pub(super) fn write(found: &Detected, place: &str) -> String {
    let mut out = String::new();
    let is_all = found.is_whole && found.records < super::RECORDS;
    let records = if is_all { "all" } else { "the first" };
    let compression = if found.compression.is_empty() {
        "none".to_owned()
    } else {
        found.compression.join(" in ")
    };
    comment(
        &mut out,
        &format!(
            "Proposed by feedfleet pipes detect from {records} {} records: compression {compression}, encoding {}.",
            text::count(found.records),
            found.encoding
        ),
    );
    if let Some(known) = &found.preset {
        let other = found.runner_up.as_ref();
        let other = other.map_or_else(String::new, |o| format!(" {} is as likely.", o.format));
        comment(
            &mut out,
            &format!(
                "Format {}: {} of {} fields it requires, {} of the source's fields known to it.{other}",
                known.format,
                known.required_found,
                known.required,
                percent(known.known_fields),
            ),
        );
    }
    if found.is_paged {
        comment(&mut out, "It is read page after page, until one has no products.");
    }
    for warning in &found.warnings {
        comment(&mut out, &format!("WARNING: {warning}"));
    }
    out.push_str("schedule = \"0 2 * * *\"\ntimezone = \"UTC\"\n\n[source]\n");
    out.push_str(place);
    let line = |out: &mut String, name: &str, value: &str| {
        writeln!(out, "{name} = {value}").expect("a String takes any text");
    };
    line(&mut out, "format", &quoted(found.format));
    if let Some(delimiter) = &found.set_delimiter {
        line(&mut out, "delimiter", &quoted(delimiter));
    }
    match found.set_quoting {
        Some("backslash") => line(&mut out, "quoting", "\"backslash\""),
        Some(word) => line(&mut out, "quoting", if word == "off" { "false" } else { "true" }),
        None => {}
    }
    if let Some(item) = &found.set_item {
        line(&mut out, "item", &quoted(item));
    }
    if let Some(items) = &found.set_items {
        line(&mut out, "items", &quoted(items));
    }
    if found.changes_only {
        line(&mut out, "changes_only", "true");
    }
    let key = |fields: &[String]| {
        let names: Vec<String> = fields.iter().map(|name| quoted(name)).collect();
        format!("[{}]", names.join(", "))
    };
    if !found.set_key.is_empty() {
        line(&mut out, "key", &key(&found.set_key));
    } else if !found.key.better.is_empty() {
        line(&mut out, "# key", &key(&found.key.better));
    }
    if found.lacks_currency {
        out.push_str("# currency = \"EUR\"   # prices name none: say which it is\n");
    }
    if !found.map.is_empty() {
        out.push_str("\n[map]\n");
        for entry in &found.map {
            let coverage = found.coverage_of(entry);
            let tail =
                coverage.map_or_else(String::new, |share| format!("   # {}", percent(share)));
            line(&mut out, &entry.column, &format!("{}{tail}", entry.value));
        }
    }
    if (found.preset.is_some() || found.map.is_empty()) && !found.coverage.is_empty() {
        out.push('\n');
        let shares =
            found.coverage.iter().map(|(name, share)| format!("{name} {}", percent(*share)));
        let shares: Vec<String> = shares.collect();
        comment(&mut out, &format!("Filled by the format: {}.", shares.join(", ")));
    }
    if !found.unmapped.is_empty() {
        comment(&mut out, &format!("Kept in the column extra: {}.", found.unmapped.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_strings_of_toml() {
        assert_eq!(quoted("a \"b\" \\ ${C}\t\u{1}"), "\"a \\\"b\\\" \\\\ $${C}\\t\\u0001\"");
    }

    #[test]
    fn shares_are_rounded_to_neither_end() {
        let shown = [1.0, 0.99999, 0.5, 0.0001, 0.0].map(percent);
        assert_eq!(shown, ["100.0 %", "99.9 %", "50.0 %", "< 0.1 %", "0.0 %"]);
    }

    #[test]
    fn comments_are_folded_and_hold_no_line_ends() {
        let mut out = String::new();
        comment(&mut out, &format!("{} x\ny = 1 \u{7}z", "word ".repeat(30)));
        assert!(out.lines().all(|line| line.starts_with('#') && line.chars().count() <= WIDTH + 1));
        assert!(out.ends_with("x y = 1 z\n"), "{out}");
    }
}
