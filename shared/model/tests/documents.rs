//! What the documents say of the repository is so: the paths that they name exist, their links lead
//! somewhere, and the states they list are those of the code.

use feedfleet_model::report::RunState;
use feedfleet_model::{Outcome, Reason, ReasonClass};
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
        collect(&root().join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder that can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
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
        Outcome::Interrupted,
        Outcome::RetryAfter(Duration::ZERO, reason.clone()),
        Outcome::Dead(reason),
    ];
    for end in ends {
        match end {
            Outcome::Done
            | Outcome::Superseded
            | Outcome::Interrupted
            | Outcome::RetryAfter(..)
            | Outcome::Dead(_) => {}
        }
        let row = format!("| `{}` | ", end.word());
        assert!(text.contains(&row), "docs/states.md has no line {row}");
    }
}
