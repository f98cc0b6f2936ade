//! The scenarios of `tests/conformance`, which the suites of all languages run, over the Rust API. Their format, and
//! what each verb does: `tests/conformance/README.md`.
#![allow(clippy::unwrap_used)]

mod conformance_runner;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use conformance_runner::run;

#[test]
fn every_scenario_gives_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut outcomes: BTreeMap<String, Option<String>> = BTreeMap::new();
    for entry in fs::read_dir(root.join("tests/conformance")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            outcomes.insert(name, run(&fs::read_to_string(&path).unwrap()).err());
        }
    }
    let folder = root.join("target/conformance");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("rust.json"), serde_json::to_string_pretty(&outcomes).unwrap()).unwrap();

    for (name, failure) in &outcomes {
        if let Some(failure) = failure {
            println!("{name}: {failure}");
        }
    }
    assert!(!outcomes.is_empty(), "tests/conformance holds no scenario");
    assert!(outcomes.values().all(Option::is_none), "scenarios failed; they are listed above");
}

/// What a person might get wrong in a scenario must not pass for a success.
#[test]
fn a_scenario_with_a_mistake_fails_at_that_step() {
    let encode = |with: &str, outcome: &str| {
        let world = r#"{ "call": "Tokenizer.world", "save": "world" }"#;
        let encode = format!(r#"{{ "call": "Tokenizer.encode", "with": {{ "on": {with} }} {outcome} }}"#);
        format!(r#"{{ "about": "a test", "steps": [{world}, {encode}] }}"#)
    };
    assert_eq!(run(&encode(r#""$world", "text": "Hello""#, r#", "expect": [33155]"#)), Ok(()));
    for (with, outcome, failure) in [
        (r#""$world", "text": "Hello""#, r#", "expect": [33156]"#, "[0] is 33155, not 33156"),
        (r#""$world", "text": "Hello""#, r#", "expect": [33155, 1]"#, "has 1 items, not 2"),
        (r#""$world", "text": "Hello""#, r#", "expects": [33155]"#, "unknown field `expects`"),
        (r#""$world", "text": "Hello""#, r#", "save": "ids""#, "keeps nothing that \"ids\" could name"),
        (r#""$world", "text": "Hello", "txt": "x""#, "", "takes no txt"),
        (r#""$world""#, "", "lacks text"),
        (r#""$world", "text": 7"#, "", "text: invalid type"),
        (r#""$other", "text": "Hello""#, "", "on: nothing was put away as $other"),
        (r#""world", "text": "Hello""#, "", "on: world is no $name"),
        (r#""$world", "text": "Hello""#, r#", "error": { "kind": "io", "message": "x" }"#, "succeeded, but must fail"),
    ] {
        let said = run(&encode(with, outcome)).unwrap_err();
        assert!(said.contains(failure), "{said}");
    }
    let missing = |kind: &str, message: &str| {
        let error = format!(r#"{{ "kind": "{kind}", "message": "{message}" }}"#);
        let open = format!(r#"{{ "call": "Tokenizer.open", "with": {{ "path": "{{tmp}}/x" }}, "error": {error} }}"#);
        run(&format!(r#"{{ "about": "a test", "steps": [{open}] }}"#))
    };
    let message = "{tmp}/x: no such file; check the path";
    assert_eq!(missing("not_found", message), Ok(()));
    assert!(missing("io", message).unwrap_err().contains("not_found"));
    assert!(missing("not_found", "{tmp}/x: gone").unwrap_err().starts_with("step 1 (Tokenizer.open): "));
    let unknown = run(r#"{ "about": "a test", "steps": [{ "call": "Model.fly" }] }"#).unwrap_err();
    assert_eq!(unknown, "step 1 (Model.fly): is no verb that this suite knows");
    assert!(run(r#"{ "about": "a test", "steps": [] }"#).is_err());
}
