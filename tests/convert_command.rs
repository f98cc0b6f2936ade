//! `volary convert` from outside: what it prints where, its exit status, and what it leaves behind.
#![allow(clippy::unwrap_used)]

mod command;
#[cfg(unix)]
mod large;
mod reference;

use command::{failed, files_in, json, text, volary};
use reference::golden;

#[test]
fn a_conversion_reports_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.gguf");
    let target = target.to_str().unwrap();
    let args = ["convert", "v7.pth", target, "--type", "Q4_K_M", "--tensor-type", "*.att.w1=F16"];
    let shown = text(&args);
    assert!(shown.starts_with(&format!("{target}: ")) && shown.contains("Q5_0") && shown.contains("F16"), "{shown}");
    let report = json(&[&args[..], &["--json"]].concat());
    assert_eq!((&report["file_type"], &report["path"]), (&"gguf".into(), &target.into()));
    assert_eq!(report["file_size"].as_u64().unwrap(), std::fs::metadata(target).unwrap().len());
    assert_eq!(report["source_size"].as_u64().unwrap(), std::fs::metadata(golden("v7.pth")).unwrap().len());
    let refitted: Vec<_> = report["refitted"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(refitted.contains(&"blocks.0.att.key.weight") && !refitted.contains(&"blocks.0.att.w1"), "{refitted:?}");
    let bytes: u64 = report["formats"].as_array().unwrap().iter().map(|row| row["bytes"].as_u64().unwrap()).sum();
    assert!(bytes <= report["file_size"].as_u64().unwrap());
    assert_eq!(report["requantized"], 0);
    let again = json(&["convert", target, target, "--type", "Q4_0", "--json"]);
    assert!(again["requantized"].as_u64().unwrap() > 0);
    assert!(text(&["convert", target, target, "--type", "Q8_0"]).contains("quantized before"));
    assert_eq!(files_in(folder.path()), ["model.gguf"]);
}

#[test]
fn wrong_usage_exits_with_2_and_what_cannot_be_converted_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.gguf");
    let target = target.to_str().unwrap();
    for args in [
        &["convert", "v7.pth"][..],
        &["convert", "v7.pth", target, "--type", "Q9_9"],
        &["convert", "v7.pth", target, "--policy", "mine"],
        &["convert", "v7.pth", target, "--encoder", "lucky"],
        &["convert", "v7.pth", target, "--tensor-type", "emb.weight"],
        &["convert", "v7.pth", target, "--tensor-type", "emb.weight=Q9_9"],
    ] {
        assert_eq!(volary(args).status.code(), Some(2), "{args:?}");
    }
    for (args, told) in [
        (&["convert", "missing.pth", target][..], "missing.pth: no such file"),
        (&["convert", "not-rwkv.pth", target], "not-rwkv.pth"),
        (&["convert", "v7-state.pth", target], "v7-state.pth"),
        (&["convert", "v7.pth", "model.onnx"], "model.onnx"),
        (&["convert", "v7.pth", target, "--file-version", "100"], "file_version"),
        (&["convert", "v7.pth", target, "--tensor-type", "nothing=Q8_0"], "tensor_types: nothing=Q8_0"),
        // Under the name that the message has, too.
        (
            &["convert", "v7.pth", target, "--tensor-types", "emb.weight=Q4_1_O"],
            "tensor_types: a GGUF file cannot hold",
        ),
        (&["convert", "v7.pth", target, "--type", "Q4_1_O"], "type: a GGUF file cannot hold"),
        (&["convert", "v7.pth", target, "--tokenizer", "v7.pth"], "v7.pth"),
        (&["convert", "v7.pth", target, "--threads", "0"], "threads"),
        (&["convert", "v7.pth", "no such folder/model.gguf"], "its folder does not exist"),
    ] {
        let line = failed(volary(args));
        assert!(line.contains(told), "{args:?}: {line}");
    }
    assert_eq!(files_in(folder.path()).len(), 0);
}

#[cfg(unix)]
#[test]
fn a_full_disk_gets_one_clear_line_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.gguf");
    let line = failed(command::with_small_files(100, &["convert", "v7.pth", target.to_str().unwrap()], ""));
    assert!(line.contains("model.gguf") && line.contains("too large"), "{line}");
    assert_eq!(files_in(folder.path()).len(), 0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_being_terminated_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let [source, target] = ["large.bin", "model.gguf"].map(|name| folder.path().join(name));
    large::model(&source, 2048, 48);
    let [source, target] = [source, target].map(|path| path.to_str().unwrap().to_string());
    for signal in ["INT", "TERM"] {
        let args = ["convert", &source, &target, "--type", "Q2_K", "--threads", "1"];
        command::interrupted_while_writing(&args, signal, folder.path());
        assert_eq!(files_in(folder.path()), ["large.bin"], "{signal}");
    }
}
