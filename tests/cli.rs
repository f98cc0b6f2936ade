//! The `volary` command from outside: what it prints where, and its exit status.
#![allow(clippy::unwrap_used)]

mod command;
mod reference;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use command::{failure, failure_with_input, json, start, start_with, text, volary, volary_with_input, write};
use reference::{distance, golden, golden_logits, read_npy};
use serde_json::Value;

const TOKENS: &str = "13,252,235,218,201,184,167,150,133,116,99,82,65,48,31,14";

#[test]
fn what_is_no_checkpoint_gets_one_clear_line_from_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = [&b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01"[..], &[7; 4000]].concat();
    let files = [
        ("missing.pth".to_string(), "no such file"),
        (folder.path().to_str().unwrap().to_string(), "directory"),
        (write(folder.path(), "empty.pth", b""), "empty"),
        (write(folder.path(), "photo.jpg", &jpeg), "not a checkpoint"),
        ("os-system.pth".to_string(), "system"),
        ("not-rwkv.pth".to_string(), "no RWKV model"),
        ("v7-state.pth".to_string(), "not a model"),
    ];
    for (file, cause) in &files {
        for command in [
            &["info", file][..],
            &["eval", file, "--tokens", "1"],
            &["complete", file, "Hello"],
            &["chat", file],
            &["bench", file],
        ] {
            let line = failure(command, file);
            assert!(line.contains(cause), "{line}");
        }
    }
}

#[test]
fn a_truncated_file_of_any_type_gets_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["v4.pth", "v7.pth", "v7.safetensors", "v7.gguf", "v4-100.bin", "v7-101.bin"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for len in [1, 9, 100, whole.len() / 10, whole.len() / 2, whole.len() - 1] {
            let file = write(folder.path(), name, &whole[..len]);
            failure(&["eval", &file, "--tokens", "1"], &file);
        }
    }
}

#[test]
fn a_sharded_checkpoint_that_lacks_a_shard_gets_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors.index.json", "model-00001-of-00002.safetensors"] {
        std::fs::copy(golden("v7-fla").join(name), folder.path().join(name)).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    failure(&["info", index.to_str().unwrap()], "model-00002-of-00002.safetensors");
}

#[test]
fn what_belongs_to_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = write(folder.path(), "vocabulary.txt", b"1 'a' 1\n2 'b' 1\n3 'ab' 2\n");
    let line = failure(&["complete", "v7.pth", "Hello", "--tokenizer", &vocabulary], "v7.pth");
    assert!(line.contains("256"), "{line}");
    failure(&["eval", "v7.pth", "--tokens", "1", "--state", "v6-state.pth"], "v6-state.pth");
    failure(&["eval", "v4.pth", "--tokens", "1", "--state", "v6-state.pth"], "v6-state.pth");
    failure(&["eval", "v7.pth", "--tokens", "1", "--state", "v7.pth"], "v7.pth");
}

#[test]
fn a_token_out_of_range_is_refused() {
    for tokens in ["256", "1,2,4294967295"] {
        failure(&["eval", "v7.pth", "--tokens", tokens], tokens.rsplit(',').next().unwrap());
    }
    failure(&["tokenize", "v7.pth", "--decode", "1,256"], "256");
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &[][..],
        &["dance"],
        &["complete", "v7.pth"],
        &["complete", "none.gguf"],
        &["complete"],
        &["eval", "v7.pth"],
        &["eval", "v7.pth", "--tokens", "-1"],
        &["info", "v7.pth", "--loud"],
        &["tokenize"],
        &["tokenize", "v7.pth"],
        &["complete", "v7.pth", "Hello", "--max-tokens", "many"],
        &["complete", "v7.pth", "Hello", "--count", "0"],
    ] {
        let output = volary(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn sampling_options_out_of_range_get_one_clear_line() {
    for (option, value) in [
        ("--temperature", "nan"),
        ("--temperature", "-1"),
        ("--top-p", "2"),
        ("--threads", "0"),
        ("--group-norm-eps", "-1"),
    ] {
        failure(&["complete", "v7.pth", "Hello", option, value], &option[2..].replace('-', "_"));
    }
    for (option, named) in [("--prefill", "prefill_tokens"), ("--decode-tokens", "decode_tokens")] {
        let line = failure(&["bench", "v7.pth", option, "2000000"], named);
        assert!(line.contains("must be 0 to 1048576"), "{line}");
    }
    let huge = u64::MAX.to_string();
    for option in ["--batch", "--prefill", "--decode", "--repeats"] {
        let code = volary(&["bench", "v7.pth", option, &huge]).status.code();
        assert!(matches!(code, Some(1 | 2)), "{option}: {code:?}");
    }
}

#[test]
fn a_senseless_environment_variable_gets_one_clear_line() {
    for variable in ["VOLARY_THREADS", "VOLARY_ISA"] {
        let output = start_with(&["eval", "v7.pth", "--tokens", "1"], variable, "much").wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
        assert!(errors.contains(variable) && errors.contains("much"), "{errors}");
    }
}

#[test]
fn eval_writes_the_logits_as_npy() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("logits.npy");
    for chunk in ["1", "7", "64", "18446744073709551615"] {
        text(&["eval", "v7.gguf", "--tokens", TOKENS, "--output", file.to_str().unwrap(), "--chunk", chunk]);
        let (shape, logits) = read_npy(&file);
        assert_eq!(shape, [16, 256]);
        assert!(distance(&logits, &golden_logits("v7")) <= 1e-4, "chunk {chunk}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file may be left");
}

#[test]
fn eval_starts_from_a_tuned_state() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logits.npy");
    let state = ["--state", "v7-state.pth", "--output", file.to_str().unwrap()];
    text(&[&["eval", "v7.pth", "--tokens", TOKENS][..], &state].concat());
    assert!(distance(&read_npy(&file).1, &golden_logits("v7-state")) <= 1e-4);
}

#[test]
fn json_is_one_object_with_the_numbers_in_it() {
    let info = json(&["info", "v6.gguf", "--tensors", "--json"]);
    assert_eq!((&info["architecture"], &info["n_layer"]), (&"RWKV-6".into(), &3.into()));
    assert_eq!(
        info["tensors"].as_array().unwrap().len(),
        json(&["info", "v6.pth", "--tensors", "--json"])["tensors"].as_array().unwrap().len()
    );

    let eval = json(&["eval", "v7.pth", "--tokens", "13,252", "--json"]);
    assert_eq!(eval["n_vocab"], 256);
    let row = &golden_logits("v7")[..256];
    let best = (0..256).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    assert_eq!(eval["positions"][0]["likeliest"][0]["id"], best);

    let bench = json(&["bench", "v7.pth", "-p", "8", "-n", "2", "-r", "1", "--batch", "2", "-t", "1", "--json"]);
    for key in [
        "prefill_tokens_per_second",
        "prefill_gflop_per_second",
        "decode_tokens_per_second",
        "decode_gb_per_second",
        "decode_memory_share",
        "memory_gb_per_second",
        "load_seconds",
    ] {
        assert!(bench[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!((&bench["threads"], bench["isa"].is_string()), (&1.into(), true));
    assert!(cfg!(not(target_os = "linux")) || bench["peak_rss_bytes"].as_u64().unwrap() > 0);

    let ids = json(&["tokenize", "User:\n\n", "--json"]);
    assert_eq!(ids["ids"], serde_json::json!([24281, 59, 261]));
}

#[test]
fn tokenize_turns_text_into_ids_and_back() {
    assert_eq!(text(&["tokenize", "v7.pth", "abc"]), "97,98,99\n");
    assert_eq!(text(&["tokenize", "v7.pth", "--decode", "97,98,99"]), "abc\n");
    assert_eq!(text(&["tokenize", "v7.gguf", "abc"]), "98,99,100\n", "the vocabulary in the file counts from 1");
}

#[test]
fn complete_streams_the_text_that_json_reports() {
    let greedy = ["complete", "v7.pth", "Hello", "--temperature", "0", "-n", "20"];
    let object = json(&[&greedy[..], &["--json"]].concat());
    let completion = &object["completions"][0];
    assert_eq!(completion["generated_tokens"], 20);
    assert_eq!(completion["finish_reason"], "length");
    assert_eq!(text(&greedy), completion["text"].as_str().unwrap().to_string() + "\n");

    let output = volary_with_input(&["complete", "v7.pth", "-", "--temperature", "0", "-n", "20"], "Hello");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text(&greedy), "`-` reads the prompt from standard input");
}

/// What a successful run without a model printed, which must say on one line that it took the demo.
fn of_the_demo(args: &[&str], input: &str) -> String {
    let output = volary_with_input(args, input);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), notes.lines().count()), (Some(0), 1), "{args:?}: {notes}");
    assert!(notes.contains("demo") && notes.contains("`volary models`"), "{notes}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn without_a_model_the_demo_writes() {
    let greedy = ["--temperature", "0", "-n", "12"];
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo.gguf");
    let story = of_the_demo(&[&["complete", "Once upon a time"][..], &greedy].concat(), "");
    assert_eq!(story, text(&[&["complete", demo, "Once upon a time"][..], &greedy].concat()));
    assert_eq!(story, of_the_demo(&[&["complete", "-"][..], &greedy].concat(), "Once upon a time"));

    let reply = of_the_demo(&[&["chat"][..], &greedy].concat(), "Who are you?\n");
    assert_eq!(
        reply,
        String::from_utf8(volary_with_input(&[&["chat", demo][..], &greedy].concat(), "Who are you?\n").stdout)
            .unwrap()
    );
    assert!(reply.trim().len() > 10, "{reply}");
}

#[test]
fn the_models_to_get_are_those_of_the_documentation() {
    let page = include_str!("../docs/models.md");
    let shown = text(&["models"]);
    let files: Vec<_> = shown.split_whitespace().filter(|word| word.ends_with(".pth") && !word.contains('/')).collect();
    assert!(files.len() > 8);
    for file in files {
        assert!(page.contains(file), "docs/models.md does not name {file}");
    }
}

#[test]
fn complete_stops_before_a_stop_text() {
    let greedy = ["complete", "v7.pth", "Hello", "--temperature", "0", "-n", "40", "--json"];
    let whole = json(&greedy)["completions"][0]["text"].as_str().unwrap().to_string();
    let stop: String = whole.chars().skip(12).take(3).collect();
    let stopped = json(&[&greedy[..], &["--stop", "never to be seen", "--stop", &stop]].concat());
    assert_eq!(stopped["completions"][0]["text"], whole[..whole.find(&stop).unwrap()]);
    assert_eq!(stopped["completions"][0]["finish_reason"], "stop_text");
}

#[test]
fn a_seed_repeats_the_text_and_each_of_several_texts_has_its_own() {
    let args = ["complete", "v7.pth", "Hello", "--seed", "5", "--count", "2", "-n", "12", "--json"];
    let texts = |object: &Value| [0, 1].map(|i| object["completions"][i]["text"].as_str().unwrap().to_string());
    let [first, second] = texts(&json(&args));
    assert_eq!([first.clone(), second.clone()], texts(&json(&args)));
    assert_ne!(first, second);
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for args in [
        &["info", "v7.pth"][..],
        &["info", "v7.pth", "--json"],
        &["tokenize", "abc"],
        &["complete", "v7.pth", "Hello", "--count", "2", "-n", "300", "--ignore-eos"],
    ] {
        let mut child = start(args);
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_chat_can_be_saved_and_goes_on_after_loading() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.volary");
    let file = file.to_str().unwrap();
    let chat = ["chat", "v7.pth", "--temperature", "0", "-n", "8"];
    let replies = |script: &str| {
        let output = volary_with_input(&chat, script);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{script}");
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = replies(&format!("Hi\nWho are you?\n/save {file}\nAnd I?\n/quit\nnever read\n"));
    let rest = replies(&format!("/load {file}\nAnd I?\n"));
    assert!(!rest.trim().is_empty() && whole.ends_with(&rest), "{whole:?} {rest:?}");

    let first = replies("Hi\n");
    assert_eq!(replies("Hi\n/undo\nHi\n"), first.repeat(2));
    assert_eq!(replies("Hi\nMore\n/reset\nHi\n/quit\n").matches(first.trim()).count(), 2);

    failure_with_input(&["chat", "v5.2.pth"], &format!("/load {file}\n"), file);
    let bytes = std::fs::read(file).unwrap();
    let damaged = write(folder.path(), "damaged", &bytes[..bytes.len() - 5]);
    failure_with_input(&["chat", "v7.pth"], &format!("/load {damaged}\n"), &damaged);
}

#[test]
fn what_a_chat_cannot_do_gets_one_clear_line() {
    for (line, named) in [
        ("/undo", "undo"),
        ("/dance", "/dance"),
        ("/save", "/save"),
        ("/set top_p 7", "top_p"),
        ("/set temperature warm", "temperature"),
        ("+gen", "+gen"),
    ] {
        failure_with_input(&["chat", "v7.pth"], &format!("{line}\nnever said\n"), named);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stderr_changes_no_status() {
    for (args, status) in [(&["complete", "none.pth", "Hello"][..], 1), (&["complete", "Hello", "-n", "1"], 0)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = command::command(args).stderr(full).stdout(std::process::Stdio::null()).status().unwrap();
        assert_eq!(done.code(), Some(status), "{args:?}");
    }
}

#[test]
fn options_are_checked_before_a_model_is_read() {
    for args in [&["complete", "none.pth", "Hello", "--top-p", "2"][..], &["chat", "none.pth", "--min-p", "2"]] {
        failure(args, "_p");
    }
    failure(&["chat", "none.pth", "--format", "dance"], "dance");
}

#[test]
fn a_text_of_standard_input_is_that_of_the_argument() {
    let ids = |args: &[&str], input| String::from_utf8(volary_with_input(args, input).stdout).unwrap();
    assert_eq!(ids(&["tokenize", "-"], "Hello\n"), ids(&["tokenize", "Hello\n"], ""));
    assert_eq!(ids(&["tokenize", "v7.pth", "-"], "Hi"), "72,105\n");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_running_text_with_130() {
    for args in [
        &["complete", "v7.pth", "Hello", "--ignore-eos", "-n", "1000000"][..],
        // A model whose likeliest tokens never are a blank line, which would end the reply.
        &["chat", "v4.pth", "--ignore-eos", "-n", "1000000", "--temperature", "0"],
    ] {
        let mut child = start(args);
        child.stdin.take().unwrap().write_all(b"Hello\n").unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        let drain = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let sent = Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        drain.join().unwrap().unwrap();
        assert_eq!(output.status.code(), Some(130), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}
