//! What the documents say of the repository is so: the paths that they name exist, their links lead
//! somewhere, the states they list are those of the code, and the tests of promises are those that name them.

use feedfleet_model::report::RunState;
use feedfleet_model::{Outcome, Reason, ReasonClass};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A word in code style that begins with one of these and a slash is a path from the root.
const FOLDERS: [&str; 13] = [
    ".ci",
    ".github",
    "docs",
    "examples",
    "fuzz",
    "infra",
    "operator",
    "query",
    "scheduler",
    "scripts",
    "shared",
    "tests",
    "worker",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let names = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"];
    let mut found: Vec<PathBuf> = names.iter().map(|name| root().join(name)).collect();
    for folder in ["docs", "examples", "infra", "scripts"] {
        collect(&root().join(folder), "md", &mut found);
    }
    found
}

/// All files below a folder whose names have this ending.
fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder that can be read").path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A line of a document.
struct Line<'a> {
    number: usize,
    text: &'a str,
    /// Whether it is in a block of code.
    is_code: bool,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (place, text) in text.lines().enumerate() {
        if text.trim_start().starts_with("```") {
            is_code = !is_code;
        } else {
            lines.push(Line { number: place + 1, text, is_code });
        }
    }
    lines
}

/// Paths from the root that the line names in code style.
fn paths<'a>(line: &Line<'a>) -> Vec<&'a str> {
    let code: Vec<&'a str> = if line.is_code {
        vec![line.text]
    } else {
        line.text.split('`').skip(1).step_by(2).collect()
    };
    code.into_iter()
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_matches(|c: char| "\"'()[],;:".contains(c)).trim_end_matches('.'))
        .filter(|word| {
            let parts = word.split_once('/');
            parts.is_some_and(|(folder, rest)| FOLDERS.contains(&folder) && !rest.is_empty())
        })
        .collect()
}

/// Targets of the line's links that are files here.
fn links<'a>(line: &Line<'a>) -> Vec<&'a str> {
    if line.is_code {
        return Vec::new();
    }
    line.text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .collect()
}

/// Every name that `find` finds in a line and that leads nowhere from `base`, and how many were looked at.
fn dead_ends(
    find: fn(&Line<'_>) -> Vec<String>,
    base: fn(&Path) -> PathBuf,
) -> (Vec<String>, usize) {
    let (mut dead, mut checked) = (Vec::new(), 0);
    for document in documents() {
        for line in lines(&read(&document)) {
            for name in find(&line) {
                checked += 1;
                if !base(&document).join(&name).exists() {
                    dead.push(format!("{}:{}: {name}", document.display(), line.number));
                }
            }
        }
    }
    (dead, checked)
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn folder_of(document: &Path) -> PathBuf {
    document.parent().map_or_else(root, Path::to_owned)
}

#[test]
fn paths_in_documents_exist() {
    let (dead, checked) = dead_ends(|line| owned(paths(line)), |_| root());
    assert!(dead.is_empty(), "there is nothing at\n{}", dead.join("\n"));
    assert!(checked > 100, "only {checked} paths were found: are they still in code style?");
}

#[test]
fn links_in_documents_lead_somewhere() {
    let (dead, checked) = dead_ends(|line| owned(links(line)), folder_of);
    assert!(dead.is_empty(), "there is nothing at\n{}", dead.join("\n"));
    assert!(checked > 20, "only {checked} links were found");
}

#[test]
fn paths_and_links_are_found() {
    let text =
        "See `worker/src/x.rs`, [y](docs/y.md#z) and `var/z`.\n```sh\nscripts/test -p a\n```\n";
    let lines = lines(text);
    let found: Vec<_> = lines.iter().flat_map(paths).collect();
    assert_eq!(found, ["worker/src/x.rs", "scripts/test"]);
    assert_eq!(lines.iter().flat_map(links).collect::<Vec<_>>(), ["docs/y.md"]);
    assert_eq!(lines[1].number, 3);
}

#[test]
fn the_states_are_those_of_the_code() {
    use RunState::{Committed, Dead, Done, Held, Queued, Running, Superseded};
    let text = read(&root().join("docs/states.md"));
    for state in [Queued, Running, Committed, Done, Held, Superseded, Dead] {
        // A new state does not compile here: add it above, and to the document.
        match state {
            Queued | Running | Committed | Done | Held | Superseded | Dead => {}
        }
        let is_final = if state.is_final() { "yes" } else { "no" };
        let row = format!("| `{}` | {is_final} |", state.word());
        assert!(text.contains(&row), "docs/states.md has no line {row}");
    }
}

#[test]
fn the_ends_and_reasons_are_those_of_the_code() {
    use ReasonClass::{
        AddressRefused, Configuration, Deadline, LimitExceeded, NotAFeed, Panicked, SourceRefused,
        SourceUnavailable, Storage, Unreadable, WorkerLost,
    };
    let text = read(&root().join("docs/states.md"));
    let classes = [
        AddressRefused,
        Configuration,
        Deadline,
        LimitExceeded,
        NotAFeed,
        Panicked,
        SourceRefused,
        SourceUnavailable,
        Storage,
        Unreadable,
        WorkerLost,
    ];
    for class in classes {
        // A new class does not compile here: add it above, and to the document.
        match class {
            AddressRefused | Configuration | Deadline | LimitExceeded | NotAFeed | Panicked
            | SourceRefused | SourceUnavailable | Storage | Unreadable | WorkerLost => {}
        }
        assert!(text.contains(&format!("| `{class}` |")), "docs/states.md lacks `{class}`");
    }
    let reason = Reason::new(Storage, "the disk is full");
    let ends = [
        Outcome::Done,
        Outcome::Superseded,
        Outcome::Ended,
        Outcome::Interrupted,
        Outcome::Continued,
        Outcome::RetryAfter(Duration::ZERO, reason.clone()),
        Outcome::Dead(reason),
    ];
    for end in ends {
        match end {
            Outcome::Done
            | Outcome::Superseded
            | Outcome::Ended
            | Outcome::Interrupted
            | Outcome::Continued
            | Outcome::RetryAfter(..)
            | Outcome::Dead(_) => {}
        }
        let row = format!("| `{}` | ", end.word());
        assert!(text.contains(&row), "docs/states.md has no line {row}");
    }
}

/// `cargo audit` and `cargo deny` ask for the same advisories, each with a list of exceptions of its own.
#[test]
fn both_checks_of_dependencies_have_the_same_exceptions() {
    let exceptions = |file: &str| -> BTreeSet<String> {
        let text = read(&root().join(file));
        let (_, advisories) = text.split_once("[advisories]").expect("there is a part for them");
        let ids = advisories.split("\"RUSTSEC-").skip(1);
        ids.filter_map(|id| Some(id.split_once('"')?.0.to_owned())).collect()
    };
    let known = exceptions("deny.toml");
    assert!(!known.is_empty());
    assert_eq!(exceptions(".cargo/audit.toml"), known);
}

/// The promises that tests name in the first line of their documentation, each with the test's name.
fn named_promises(source: &str) -> Vec<(u32, String)> {
    let (mut found, mut promises, mut is_test) = (Vec::new(), Vec::<u32>::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(named) = line.strip_prefix("/// Promise") {
            let numbers = named.split(':').next().unwrap_or_default();
            let numbers = numbers.split(|c: char| !c.is_ascii_digit());
            promises = numbers.filter_map(|number| number.parse().ok()).collect();
        } else if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| !line.starts_with("//")) {
            let test = rest.split('(').next().unwrap_or_default();
            if is_test {
                found.extend(promises.iter().map(|promise| (*promise, test.to_owned())));
            }
            (promises, is_test) = (Vec::new(), false);
        }
    }
    found
}

/// A line of the table of promises: the promise, the file and the name of a test.
fn listed_promises(table: &str) -> Vec<(u32, &str, &str)> {
    let (mut found, mut promise) = (Vec::new(), 0);
    for line in table.lines().take_while(|line| *line != "## Faults") {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, file, alone, _] = cells[..] else { continue };
        promise = number.parse().unwrap_or(promise);
        let (file, alone) = (file.trim_matches('`'), alone.trim_matches('`'));
        if alone.starts_with("scripts/chaos") {
            found.push((promise, file, "faults_at_random_moments"));
        } else if let Some((_, test)) = alone.rsplit_once("::") {
            found.push((promise, file, test));
        }
    }
    found
}

#[test]
fn tests_of_promises_are_listed() {
    let table = read(&root().join("docs/promises.md"));
    let listed = listed_promises(&table);
    assert!(listed.len() > 100, "only {} tests were found", listed.len());
    for (promise, file, test) in &listed {
        let is_there = read(&root().join(file)).contains(&format!("fn {test}("));
        assert!(is_there, "promise {promise} is not shown by {test}: {file} has no such test");
    }
    let listed: BTreeSet<(u32, &str)> = listed.iter().map(|(n, _, test)| (*n, *test)).collect();
    let (mut files, mut missing, mut checked) = (Vec::new(), Vec::new(), 0);
    for folder in ["operator", "query", "scheduler", "shared", "tests", "worker"] {
        collect(&root().join(folder), "rs", &mut files);
    }
    for file in files {
        for (promise, test) in named_promises(&read(&file)) {
            checked += 1;
            if !listed.contains(&(promise, test.as_str())) {
                missing.push(format!("{promise}: {test} in {}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "docs/promises.md does not list\n{}", missing.join("\n"));
    assert!(checked > 80, "only {checked} names were found");
}

#[test]
fn promises_are_found() {
    let source = "/// Promises 3 and 12: so.\n#[test]\n// fn no\nasync fn first() {}\n\
                  /// Else.\n#[test]\nfn second() {}\n/// Promise 4: none.\nfn third() {}\n";
    assert_eq!(named_promises(source), [(3, "first".to_owned()), (12, "first".to_owned())]);
    let table = "| | promise | file | alone |\n|---|---|---|---|\n| 3 | So | `a.rs` | `e2e a::first` |\n\
                 | | | `b.rs` | `unit b c::d` |\n## Faults\n| 4 | No | `a.rs` | `e2e a::first` |\n";
    assert_eq!(listed_promises(table), [(3, "a.rs", "first"), (3, "b.rs", "d")]);
}
