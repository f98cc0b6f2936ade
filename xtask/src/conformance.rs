//! The scenarios of `tests/conformance`, and what came of them in each language.

use std::collections::BTreeMap;
use std::fs;

use crate::process::{Result, at};

/// What a language's suite wrote: scenarios, and for each that failed how.
type Outcomes = BTreeMap<String, Option<String>>;

/// Removes what earlier runs wrote.
pub fn forget() {
    // Nothing may be there yet.
    let _ = fs::remove_dir_all(at("target/conformance"));
}

/// Prints the table of scenarios and languages. Fails if a scenario did not pass, or was not run, in one of them.
pub fn report(languages: &[&str]) -> Result {
    let scenarios = scenarios()?;
    let outcomes: Vec<Outcomes> = languages.iter().map(|language| outcomes(language)).collect::<Result<_>>()?;
    let width = scenarios.iter().map(String::len).max().unwrap_or(0);
    println!("\nConformance: {} scenarios\n\n{:width$}  {}", scenarios.len(), "", languages.join("  "));
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let mut line = format!("{scenario:width$}");
        for (language, outcomes) in languages.iter().zip(&outcomes) {
            let cell = match outcomes.get(scenario) {
                Some(None) => "ok",
                Some(Some(failure)) => {
                    failures.push(format!("{scenario} in {language}: {failure}"));
                    "FAIL"
                }
                None => {
                    failures.push(format!("{scenario} in {language}: was not run"));
                    "none"
                }
            };
            line += &format!("  {cell:width$}", width = language.len());
        }
        println!("{}", line.trim_end());
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("conformance:\n{}", failures.join("\n"))) }
}

fn scenarios() -> Result<Vec<String>> {
    let folder = at("tests/conformance");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let names = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<_> = names.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    if names.is_empty() { Err(format!("{} holds no scenario", folder.display())) } else { Ok(names) }
}

fn outcomes(language: &str) -> Result<Outcomes> {
    let file = at("target/conformance").join(format!("{language}.json"));
    let text = fs::read_to_string(&file)
        .map_err(|error| format!("{}: {error}; run `cargo xtask test-{language}`", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}
