//! `volary perplexity` from outside.
#![allow(clippy::unwrap_used)]

mod command;
mod reference;

use command::{failure, json, text, volary, write};
use reference::golden;
use volary::Model;
use volary::eval::PerplexityOptions;

const TEXT: &str = "Once upon a time there was a model that read very little, é.\n";

#[test]
fn json_has_the_numbers_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    let object = json(&["perplexity", "v7.pth", &file, "--skip", "3", "--limit", "40", "--chunk", "7", "--json"]);
    let options = PerplexityOptions { skip: 3, limit: Some(40), ..Default::default() };
    let report = Model::open(golden("v7.pth")).unwrap().perplexity(TEXT, &options).unwrap();
    for (key, value) in [
        ("cross_entropy", report.cross_entropy),
        ("perplexity", report.perplexity),
        ("perplexity_error", report.perplexity_error.unwrap()),
        ("bits_per_byte", report.bits_per_byte.unwrap()),
        ("skip", 3.0),
        ("tokens", 40.0),
        ("text_tokens", TEXT.len() as f64),
        ("predictions", 37.0),
    ] {
        assert!((object[key].as_f64().unwrap() - value).abs() < 1e-9, "{key}: {}", object[key]);
    }
    assert!(object["milliseconds_per_token"].as_f64().unwrap() > 0.0);
    assert_eq!((&object["model"], &object["text"]), (&"v7".into(), &file.into()));
}

#[test]
fn the_report_names_the_text_and_what_was_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    let report = text(&["perplexity", "v7.pth", &file, "--skip", "3", "--limit", "40"]);
    let counted = format!("tale.txt: the first 40 of {} tokens, 3 skipped, 37 predictions", TEXT.len());
    for part in [&counted, "cross-entropy", "perplexity", " ± ", "bits per byte", "ms per token, 256 at a time"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn a_text_that_cannot_be_measured_gets_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.txt").to_str().unwrap().to_string();
    for (file, cause) in [
        (missing, "no such file"),
        (folder.path().to_str().unwrap().to_string(), "directory"),
        (write(folder.path(), "empty.txt", b""), "empty"),
        (write(folder.path(), "one.txt", b"a"), "single token"),
        (write(folder.path(), "latin1.txt", b"caf\xe9 au lait"), "not UTF-8 text at byte 3"),
    ] {
        let line = failure(&["perplexity", "v7.pth", &file], &file);
        assert!(line.contains(cause), "{line}");
    }
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    for (option, value) in [("--skip", "1000"), ("--limit", "1"), ("--chunk", "0")] {
        failure(&["perplexity", "v7.pth", &file, option, value], &option[2..]);
    }
    failure(&["perplexity", "missing.pth", &file], "missing.pth");
}

#[test]
fn formats_make_a_table_that_fits_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    let table = text(&["perplexity", "v5.1.pth", &file, "--formats", "F16,bf16"]);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = |name: &str| rows.iter().find(|row| row.first() == Some(&name)).unwrap_or_else(|| panic!("{table}"));
    // Name, perplexity, change (two words), divergence, MiB, bits per weight, prefill, decode.
    assert_eq!((row("unquantized").len(), row("F16").len(), row("bf16").len()), (8, 9, 9));
    let bits = |row: &[&str]| row[row.len() - 3].parse::<f64>().unwrap();
    assert_eq!(bits(row("unquantized")), 32.0);
    assert!(bits(row("F16")) < 20.0 && bits(row("bf16")) < 20.0);
}

#[test]
fn json_of_formats_has_a_row_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    let object = json(&["perplexity", "v5.1.pth", &file, "--formats", "F32,BF16", "--skip", "8", "--json"]);
    let plain = json(&["perplexity", "v5.1.pth", &file, "--skip", "8", "--json"]);
    let base = &object["unquantized"];
    assert_eq!((&base["format"], &base["perplexity"]), (&serde_json::Value::Null, &plain["perplexity"]));
    let [same, rounded] = &object["formats"].as_array().unwrap()[..] else { panic!("{object}") };
    assert_eq!((&same["format"], &same["kl_divergence"]), (&"F32".into(), &0.0.into()));
    assert_eq!(same["bytes"], base["bytes"]);
    assert_eq!(rounded["format"], "BF16");
    let number = |key: &str| rounded[key].as_f64().unwrap_or_else(|| panic!("{key}: {rounded}"));
    assert!(number("kl_divergence") > 0.0 && number("kl_divergence") < 0.01);
    assert!(number("perplexity_change_percent").abs() < 5.0);
    let change = (number("perplexity") / base["perplexity"].as_f64().unwrap() - 1.0) * 100.0;
    assert!((number("perplexity_change_percent") - change).abs() < 1e-6);
    for key in ["cross_entropy", "bits_per_byte", "kl_divergence_error", "bits_per_weight"] {
        assert!(number(key) > 0.0, "{key}");
    }
    for key in ["prefill_tokens_per_second", "decode_tokens_per_second", "milliseconds_per_token"] {
        assert!(number(key) > 0.0, "{key}");
    }
}

#[test]
fn a_plot_is_written_beside_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "tale.txt", TEXT.as_bytes());
    for (name, start) in [("plot.svg", &b"<svg"[..]), ("plot.png", b"\x89PNG")] {
        let plot = folder.path().join(name);
        text(&["perplexity", "v5.1.pth", &file, "--formats", "F16,BF16", "--plot", plot.to_str().unwrap()]);
        assert!(std::fs::read(plot).unwrap().starts_with(start), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file may be left");
    // Before any work: the model does not exist, and nobody looks.
    let nowhere = folder.path().join("missing/plot.svg");
    failure(&["perplexity", "missing.pth", &file, "--formats", "F16", "--plot", nowhere.to_str().unwrap()], "plot.svg");
}

#[test]
fn a_format_that_does_not_exist_is_refused_before_any_work() {
    let output = volary(&["perplexity", "missing.pth", "missing.txt", "--formats", "F16,Q9_7"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("formats: Q9_7 is unknown"), "{errors}");
}

#[test]
fn a_plot_of_another_kind_is_refused_before_any_work() {
    // The model does not exist: nobody looks.
    for plot in ["plot.pdf", "plot", ".png"] {
        let output = volary(&["perplexity", "missing.pth", "missing.txt", "--formats", "Q4_0", "--plot", plot]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(".svg or .png"), "{errors}");
    }
}

#[test]
fn options_of_quantizing_need_formats() {
    for option in [["--plot", "a.svg"], ["--encoder", "search"], ["--policy", "default"]] {
        let output = volary(&[&["perplexity", "v7.pth", "text.txt"][..], &option].concat());
        assert_eq!(output.status.code(), Some(2), "{option:?}");
    }
    for option in [["--encoder", "best"], ["--policy", "none"]] {
        let output = volary(&[&["perplexity", "v7.pth", "text.txt", "--formats", "Q4_0"][..], &option].concat());
        assert_eq!(output.status.code(), Some(2), "{option:?}");
    }
}
