//! `volary merge-lora` and `--lora` from outside: what they print where, their exit status, and what they leave behind.
#![allow(clippy::unwrap_used)]

mod command;
#[cfg(unix)]
mod large;
mod reference;

use command::{failed, files_in, json, text, volary};

#[test]
fn a_merge_reports_what_it_merged() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    let dst = dst.to_str().unwrap();
    let args = ["merge-lora", "v7.pth", "lora/v7-lora.pth", dst, "--alpha", "32"];
    assert_eq!(text(&args), format!("{dst}: 2 lora, 5 replaced\n"));
    let report = json(&[&args[..], &["--json"]].concat());
    assert_eq!((&report["tensors"]["lora"], &report["tensors"]["replaced"]), (&2.into(), &5.into()));
    assert_eq!((&report["output"], &report["alpha"]), (&dst.into(), &32.0.into()));
    let pissa = ["merge-lora", "v7.pth", "lora/v7-pissa.pth", dst, "--pissa-init", "lora/v7-pissa-init.pth"];
    assert_eq!(text(&pissa), format!("{dst}: 1 pissa\n"));
    assert_eq!(files_in(folder.path()), ["merged.pth"]);
}

#[test]
fn a_lora_given_at_loading_makes_the_merged_model() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    let dst = dst.to_str().unwrap();
    text(&["merge-lora", "v7.pth", "lora/v7-lora.pth", dst, "--alpha", "32"]);
    let greedy = ["--temperature", "0", "-n", "20"];
    let merged = text(&[&["complete", dst, "Hello"][..], &greedy].concat());
    let loaded = text(&[&["complete", "v7.pth", "Hello", "--lora", "lora/v7-lora.pth:32"][..], &greedy].concat());
    assert_eq!(loaded, merged);
    assert_ne!(loaded, text(&[&["complete", "v7.pth", "Hello"][..], &greedy].concat()));

    text(&["merge-lora", dst, "lora/v7-disha.pth", dst]);
    let both =
        ["eval", "v7.pth", "--tokens", "1,2", "--json", "--lora", "lora/v7-lora.pth:32", "--lora", "lora/v7-disha.pth"];
    let [both, merged] = [&both[..], &["eval", dst, "--tokens", "1,2", "--json"]].map(json);
    assert_eq!(both["positions"], merged["positions"]);
}

#[test]
fn what_cannot_be_merged_gets_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    let dst = dst.to_str().unwrap();
    for (args, causes) in [
        (&["merge-lora", "v7.pth", "lora/v7-lora.pth", dst][..], &["alpha", "lora/v7-lora.pth"][..]),
        (&["merge-lora", "v7.pth", "lora/v7-lora.pth", dst, "-a", "inf"], &["alpha", "inf"]),
        (
            &["merge-lora", "v4.pth", "lora/v7-lora.pth", dst, "-a", "1"],
            &["lora/v7-lora.pth", "v4.pth", "another model"],
        ),
        (&["merge-lora", "v7.pth", "v7.pth", dst, "-a", "1"], &["v7.pth", "no LoRA"]),
        (&["merge-lora", "v7.pth", "v7-state.pth", dst, "-a", "1"], &["v7-state.pth", "initial state"]),
        (&["merge-lora", "missing.pth", "lora/v7-lora.pth", dst, "-a", "1"], &["missing.pth", "no such file"]),
        (&["merge-lora", "v7.gguf", "lora/v7-lora.pth", dst, "-a", "1"], &["v7.gguf", ".gguf or .bin"]),
        (&["merge-lora", "v7.pth", "lora/v7-lora.pth", "merged", "-a", "1"], &["target", ".safetensors"]),
        (&["eval", "v7.pth", "--tokens", "1", "--lora", "lora/v7-lora.pth"], &["alpha", "lora/v7-lora.pth"]),
        (&["eval", "v7.pth", "--tokens", "1", "--lora", "lora/v7-lora.pth:much"], &["lora/v7-lora.pth:much"]),
    ] {
        let line = failed(volary(args));
        assert!(causes.iter().all(|cause| line.contains(cause)), "{args:?}: {line}");
    }
    for args in [&["merge-lora", "v7.pth", "lora/v7-lora.pth"][..], &["merge-lora", "a", "b", "c.pth", "-a", "much"]] {
        assert_eq!(volary(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(files_in(folder.path()).len(), 0);
    for file in ["lora/v4-lora.pth", "lora/v7-disha.pth", "lora/v7-pissa-init.pth"] {
        let line = failed(volary(&["info", file]));
        assert!(line.contains(file) && line.contains("holds a LoRA, not a model"), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_gets_one_clear_line_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let dst = folder.path().join("merged.pth");
    let args = ["merge-lora", "v7.pth", "lora/v7-lora.pth", dst.to_str().unwrap(), "-a", "32"];
    let line = failed(command::with_small_files(100, &args, ""));
    assert!(line.contains("merged.pth") && line.contains("too large"), "{line}");
    assert_eq!(files_in(folder.path()).len(), 0);

    // More than is kept in memory: the disk is full in the middle of the archive.
    large::merge(folder.path(), 512, 16);
    let [base, lora] = ["base.safetensors", "lora.safetensors"].map(|name| folder.path().join(name));
    let args = ["merge-lora", base.to_str().unwrap(), lora.to_str().unwrap(), dst.to_str().unwrap(), "-a", "1"];
    let line = failed(command::with_small_files(3000, &args, ""));
    assert!(line.contains("merged.pth") && line.contains("too large"), "{line}");
    assert_eq!(files_in(folder.path()), ["base.safetensors", "lora.safetensors"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_being_terminated_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    large::merge(folder.path(), 512, 400);
    let [base, lora, dst] = ["base.safetensors", "lora.safetensors", "merged.pth"].map(|name| folder.path().join(name));
    let args = [base, lora, dst].map(|path| path.to_str().unwrap().to_string());
    let args = [&["merge-lora", "-a", "1", "-t", "1"][..], &args.each_ref().map(String::as_str)].concat();
    for signal in ["INT", "TERM"] {
        command::interrupted_while_writing(&args, signal, folder.path());
        assert_eq!(files_in(folder.path()), ["base.safetensors", "lora.safetensors"], "{signal}");
    }
}
