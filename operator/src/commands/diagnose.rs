//! `feedfleet pipes diagnose`: what a pipe's source is like and what is wrong with it, on the terminal, or as a file for
//! the partner.

use super::pipes::{is_configured, no_such_pipe};
use super::runs::{emptied_and_noted, told_sample};
use crate::context::Context;
use crate::view;
use anyhow::{Context as _, Result, bail};
use feedfleet_model::report::RefusalCount;
use feedfleet_model::text::{self, formula_safe, printable_field};
use feedfleet_model::{PipeName, RunId};
use feedfleet_scheduler::diagnose::{Diagnosis, Found, diagnose as look};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Tells what is known of a pipe's source by its last run, or by this one.
pub async fn diagnose(
    folder: &Path,
    pipe: &PipeName,
    run: Option<RunId>,
    output: Option<&Path>,
    json: bool,
) -> Result<ExitCode> {
    let context = Context::load_existing(folder)?;
    let Some(found) = look(&context.reports()?, pipe, run).await? else {
        if !is_configured(&context, pipe) {
            bail!("{}", no_such_pipe(&context, pipe));
        }
        if pipe.is_supplement() {
            bail!("supplements have no diagnostics; what a run read: feedfleet runs show {pipe}");
        }
        match run {
            Some(run) => {
                bail!("run {run} of '{pipe}' has not read its source, or has no report any more")
            }
            None => bail!(
                "no run of '{pipe}' has read its source; begin one with: feedfleet run {pipe} --wait"
            ),
        }
    };
    let Some(path) = output else {
        if json {
            view::print_json(&found)?;
        } else {
            view::print(as_text(&found).trim_end());
        }
        return Ok(ExitCode::SUCCESS);
    };
    let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let content = match (json, is_csv) {
        (true, _) => view::json(&found)?,
        (false, true) => as_csv(&found),
        (false, false) => as_text(&found),
    };
    std::fs::write(path, content).with_context(|| format!("could not write {}", path.display()))?;
    view::print(format!("written to {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// For people, the partner's included: nothing in it is known to this fleet alone.
fn as_text(found: &Diagnosis) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        writeln!(out, "{}", text::printable(&text)).expect("a String takes any text");
    };
    let counts = &found.counts;
    let number = text::count;
    line(format!("source         {}", found.source.location));
    line(format!("read           {} (run {})", view::moment(found.at), found.run.run));
    if let Some(before) = found.before {
        line(format!("held against   run {before}"));
    }
    line(format!(
        "records        {}, of which {} refused and {} with the id of another one",
        number(counts.seen),
        number(counts.refused),
        number(counts.duplicates)
    ));
    line(format!("products       {} looked at", number(found.looked_at)));
    if !found.currencies.is_empty() {
        let currencies = found.currencies.iter();
        let list: Vec<_> = currencies.map(|(name, n)| format!("{name} {}", number(*n))).collect();
        line(format!("currencies     {}", list.join(", ")));
    }
    if let Some(text) = key(found) {
        line(format!("key            {text}"));
    }
    line(String::new());
    line("coverage".to_owned());
    for column in &found.columns {
        let before = match column.before {
            Some(before) if column.has_moved() => format!("   before {}", percent(before)),
            _ => String::new(),
        };
        line(format!("  {:32} {:>8}{before}", column.column, percent(column.share)));
    }
    if !found.problems.is_empty() {
        line(String::new());
        line("problems".to_owned());
    }
    for problem in &found.problems {
        line(format!("  {}", told(problem)));
        for sample in &problem.problem.samples {
            let value = sample.value.as_deref().map(|v| format!(": {v}")).unwrap_or_default();
            line(format!("      product {}{value}", sample.id));
        }
    }
    for (what, counts) in &by_fate(found) {
        if !counts.is_empty() {
            line(String::new());
            line((*what).to_owned());
        }
        for count in counts {
            line(format!("  {} × {}", number(count.count), count.reason));
            for sample in &count.samples {
                line(format!("      {}", told_sample(sample)));
            }
        }
    }
    out
}

/// Records, fields and what else was told, by what became of them.
fn by_fate(found: &Diagnosis) -> [(&'static str, Vec<RefusalCount>); 4] {
    let (emptied, noted) = emptied_and_noted(&found.emptied);
    [
        ("refused", found.refused.clone()),
        ("emptied", emptied),
        ("noted", noted),
        ("mended", found.mended.clone()),
    ]
}

fn told(found: &Found) -> String {
    let Found { problem, share, share_before } = found;
    let limit = problem.limit.map(|limit| format!(" (at most {limit})")).unwrap_or_default();
    let before = share_before.map(|before| format!(", before {}", percent(before)));
    format!(
        "{} {}{limit}: {} products, {}{}",
        problem.column,
        problem.kind,
        text::count(problem.count),
        percent(*share),
        before.unwrap_or_default()
    )
}

/// What there is to say about the product's id.
fn key(found: &Diagnosis) -> Option<String> {
    // Where nothing is lost, the records are the same.
    let key = found.key.as_ref().filter(|key| key.lost > 0)?;
    let lost = format!(
        "{} of {} records have the id of another one",
        text::count(key.lost),
        text::count(key.records)
    );
    Some(match key.better.as_slice() {
        [] => format!("{lost}; no other field, and no few together, are different in every record"),
        [one] => format!("{lost}; {one} is different in every record: key = \"{one}\""),
        several => {
            let names: Vec<_> = several.iter().map(|name| format!("\"{name}\"")).collect();
            let list = names.join(", ");
            format!("{lost}; together these are different in every record: key = [{list}]")
        }
    })
}

/// For spreadsheets: a line a fact.
fn as_csv(found: &Diagnosis) -> String {
    let mut out = String::new();
    let mut line = |fields: [&str; 7]| {
        let fields = fields.map(csv_field);
        writeln!(out, "{}", fields.join(",")).expect("a String takes any text");
    };
    line(["what", "column", "kind", "count", "share", "share_before", "sample"]);
    for column in &found.columns {
        let share = format!("{:.4}", column.share);
        let before = column.before.map(|before| format!("{before:.4}")).unwrap_or_default();
        line(["coverage", &column.column, "", "", &share, &before, ""]);
    }
    for (name, count) in &found.currencies {
        line(["currency", "price_currency", name, &count.to_string(), "", "", ""]);
    }
    for one in &found.problems {
        let Found { problem, share, share_before } = one;
        let (count, share) = (problem.count.to_string(), format!("{share:.4}"));
        let before = share_before.map(|before| format!("{before:.4}")).unwrap_or_default();
        let samples = problem.samples.iter().map(|sample| match &sample.value {
            Some(value) => format!("{}: {value}", sample.id),
            None => sample.id.clone(),
        });
        for sample in samples {
            line(["problem", &problem.column, &problem.kind, &count, &share, &before, &sample]);
        }
    }
    for (what, counts) in &by_fate(found) {
        for RefusalCount { reason, count, samples } in counts {
            let count = count.to_string();
            if samples.is_empty() {
                line([*what, "", reason, &count, "", "", ""]);
            }
            for sample in samples {
                let field = sample.field.as_deref().unwrap_or_default();
                let value = sample.value.as_deref().unwrap_or_default();
                let mut parts = vec![sample.position.as_str(), value, sample.message.as_str()];
                parts.retain(|part| !part.is_empty());
                let text = parts.join(": ");
                line([*what, field, reason, &count, "", "", &text]);
            }
        }
    }
    if let Some(text) = key(found) {
        line(["key", "id", "", &found.counts.duplicates.to_string(), "", "", &text]);
    }
    out
}

/// A field that a spreadsheet takes for text, and a terminal for nothing else.
fn csv_field(field: &str) -> String {
    let field = formula_safe(field);
    let field = printable_field(&field);
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use feedfleet_model::RunKey;
    use feedfleet_model::report::{
        Counts, KeyAdvice, Problem, ProblemSample, RefusalSample, SourceFacts,
    };
    use feedfleet_scheduler::diagnose::Coverage;
    use std::collections::BTreeMap;

    fn warning(reason: &str) -> RefusalCount {
        RefusalCount { reason: reason.to_owned(), count: 1, samples: Vec::new() }
    }

    fn diagnosis() -> Diagnosis {
        let refused = RefusalCount {
            reason: "bad-price".to_owned(),
            count: 1,
            samples: vec![RefusalSample {
                position: "record 4, line 5".to_owned(),
                field: Some("price".to_owned()),
                value: Some("=1+1".to_owned()),
                message: "no number".to_owned(),
            }],
        };
        let problem = Problem {
            column: "gtin".to_owned(),
            kind: "bad-check-digit".to_owned(),
            limit: None,
            count: 2,
            samples: vec![ProblemSample {
                id: "=A-1".to_owned(),
                value: Some("4006,\u{1b}[2J".to_owned()),
            }],
        };
        Diagnosis {
            run: RunKey { pipe: "acme".parse().unwrap(), run: RunId(9) },
            at: DateTime::from_timestamp(0, 0).unwrap(),
            counts: Counts { seen: 10, refused: 1, duplicates: 3, ..Counts::default() },
            source: SourceFacts {
                location: "https://a.example/f".to_owned(),
                ..SourceFacts::default()
            },
            before: Some(RunId(8)),
            looked_at: 9,
            columns: vec![
                Coverage { column: "id".to_owned(), share: 1.0, before: Some(1.0) },
                Coverage { column: "title".to_owned(), share: 0.5, before: Some(0.9) },
            ],
            currencies: BTreeMap::from([("EUR".to_owned(), 9)]),
            problems: vec![Found { problem, share: 0.2222, share_before: Some(0.0) }],
            refused: vec![refused],
            emptied: ["bad-link", "further-files"].map(warning).to_vec(),
            mended: Vec::new(),
            key: Some(KeyAdvice {
                records: 9,
                lost: 3,
                better: vec!["id".to_owned(), "size".to_owned()],
            }),
        }
    }

    #[test]
    fn people_read_what_has_changed() {
        let text = as_text(&diagnosis());
        for part in [
            "  title                              50.0 %   before 90.0 %\n",
            "  id                                100.0 %\n",
            "gtin bad-check-digit: 2 products, 22.2 %, before 0.0 %",
            "3 of 9 records have the id of another one",
            "key = [\"id\", \"size\"]",
            "record 4, line 5: price = '=1+1': no number",
            "\nemptied\n  1 × bad-link\n",
            "\nnoted\n  1 × further-files\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn spreadsheets_run_nothing() {
        let csv = as_csv(&diagnosis());
        for part in [
            "coverage,title,,,0.5000,0.9000,\n",
            "problem,gtin,bad-check-digit,2,0.2222,0.0000,\"'=A-1: 4006,\\u001b[2J\"\n",
            "refused,price,bad-price,1,,,\"record 4, line 5: =1+1: no number\"\n",
            "emptied,,bad-link,1,,,\n",
            "noted,,further-files,1,,,\n",
        ] {
            assert!(csv.contains(part), "{part}\n{csv}");
        }
        assert!(
            csv.lines().all(|line| !line.split(',').any(|cell| cell.starts_with('='))),
            "{csv}"
        );
    }
}
