//! Faults of the system and of other programs: files that end too early, change while they are read, or are none; full
//! disks, no rights, no memory; work that is interrupted or killed. Each is an error of a kind that names the file and the cause, and
//! leaves nothing behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod command;
mod hostile_input;
mod large;
mod reference;
mod writers;

use std::collections::BTreeSet;
use std::fs::{File, FileType};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use command::{failed, files_in, volary_with_input};
use hostile_input::{Fields, fields, seeds};
use reference::{distance, golden, golden_logits, tokens};
use volary::chat::ChatOptions;
use volary::checkpoint::{Checkpoint, Lora};
use volary::convert::{ConvertOptions, convert};
use volary::model::ModelInfo;
use volary::{Chat, Error, MergeOptions, Model, ModelOptions, Result, State, Tokenizer, merge_lora};
use writers::{Found, Trial, WRITERS};

fn one_thread() -> ModelOptions {
    ModelOptions { threads: Some(1), ..ModelOptions::default() }
}

fn opened(options: ModelOptions) -> Result<()> {
    Model::open_with(golden("v7.pth"), options).map(|_| ())
}

fn with_lora(path: &Path) -> Lora {
    Lora { path: path.into(), alpha: Some(32.0), pissa_init: None }
}

fn chat(model: &Model) -> Chat {
    model.chat(ChatOptions::default()).unwrap()
}

// Files that end too early.

/// Wherever something in a file begins or ends.
fn borders(bytes: &[u8]) -> BTreeSet<usize> {
    const GGUF_ALIGNMENT: usize = 32;
    let Fields { numbers, parts, data } = fields(bytes);
    let numbers = numbers.iter().map(|&(at, width)| at..at + width);
    // The records of an archive are parts.
    let numbers = numbers.filter(|_| !bytes.starts_with(b"PK"));
    let all = numbers.chain(parts.iter().cloned()).chain(data.iter().cloned());
    let mut borders: BTreeSet<usize> = all.flat_map(|part| [part.start, part.end]).collect();
    match bytes {
        // The last thing that a file says of a tensor is where it begins.
        [b'G', b'G', b'U', b'F', ..] => {
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            let start = data[0].start.next_multiple_of(GGUF_ALIGNMENT);
            borders.extend(parts.iter().rev().step_by(2).take(word(8)).map(|tensor| start + word(tensor.end - 8)));
        }
        [_, _, _, _, _, _, _, _, b'{', ..] => {
            let (header, tensors) = safetensors::SafeTensors::read_metadata(bytes).unwrap();
            let ends = tensors.tensors().into_values().map(|tensor| 8 + header + tensor.data_offsets.1);
            borders.extend(ends.chain([0, 8, 8 + header]));
        }
        [b'{', ..] => borders.extend((0..bytes.len()).step_by(8)),
        _ => {}
    }
    borders.remove(&bytes.len());
    borders
}

/// That a file which ends at any border is refused by its name.
fn cut_at_every_border(name: &str, bytes: &[u8], read: impl Fn(&Path) -> Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path).unwrap_or_else(|error| panic!("{name}, whole: {error}"));
    let file = File::options().write(true).open(&path).unwrap();
    let borders = borders(bytes);
    assert!(borders.len() >= 8, "{name}: {borders:?}");
    for &border in borders.iter().rev() {
        file.set_len(border as u64).unwrap();
        let error = read(&path).expect_err(name);
        let told = error.to_string();
        assert!(matches!(error, Error::Format { .. }) && told.contains(name), "{name} of {border} bytes: {told}");
    }
}

#[test]
fn a_model_that_ends_at_any_border_is_refused_by_its_name() {
    for name in ["v7.pth", "v4.pth", "v7.safetensors", "v7.gguf", "v6.gguf", "v4-100.bin", "v7-101.bin"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        cut_at_every_border(name, &bytes, |path| Model::open_with(path, one_thread()).map(|_| ()));
    }
}

#[test]
fn what_goes_with_a_model_and_ends_at_any_border_is_refused_by_its_name() {
    let model = Model::open_with(golden("v7.pth"), one_thread()).unwrap();
    let read = |name: &str| std::fs::read(golden(name)).unwrap();
    cut_at_every_border("lora.pth", &read("lora/v7-lora.pth"), |path| {
        opened(ModelOptions { loras: vec![with_lora(path)], ..one_thread() })
    });
    cut_at_every_border("state.pth", &read("v7-state.pth"), |path| {
        opened(ModelOptions { initial_state: Some(path.into()), ..one_thread() })
    });
    cut_at_every_border("session.state", &seeds("state")[0], |path| State::load(&model, path).map(|_| ()));
    cut_at_every_border("talk.chat", &seeds("chat")[0], |path| Chat::load(&model, path).map(|_| ()));
    cut_at_every_border("tokenizer.json", &seeds("tokenizer")[0], |path| Tokenizer::open(path).map(|_| ()));
}

// Files that change while they are read.

/// A file of its own that was written long ago, so that any change has another time.
fn old_copy(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(Path::new(name).file_name().unwrap());
    std::fs::copy(golden(name), &path).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    path
}

type Meanwhile = fn(&Path);

/// Does something to a file as soon as the first of it has been read.
fn progress(path: &Path, meanwhile: Meanwhile) -> Option<Arc<volary::model::Progress>> {
    let (path, once) = (path.to_path_buf(), Once::new());
    Some(Arc::new(move |_| {
        once.call_once(|| meanwhile(&path));
        true
    }))
}

const CHANGES: [Meanwhile; 4] = [
    |path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    },
    |path| File::options().write(true).open(path).unwrap().set_len(0).unwrap(),
    |path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() + 1).unwrap();
    },
    // As long as before.
    |path| {
        use std::os::unix::fs::FileExt;
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&[0x55; 64], file.metadata().unwrap().len() / 2).unwrap();
    },
];

#[test]
fn a_file_that_is_written_to_while_it_is_read_is_an_error_and_never_a_model() {
    for name in ["v7.pth", "v7.safetensors", "v7.gguf", "v7-101.bin", "lora/v7-lora.pth"] {
        for change in CHANGES {
            let folder = tempfile::tempdir().unwrap();
            let path = old_copy(folder.path(), name);
            let progress = || progress(&path, change);
            let target = folder.path().join("new.gguf");
            let is_lora = name.starts_with("lora");
            let base = if is_lora { golden("v7.pth") } else { path.clone() };
            let loras = if is_lora { vec![with_lora(&path)] } else { vec![] };
            let refused = |error: Error| {
                let told = error.to_string();
                assert!(matches!(error, Error::Format { .. }) && told.contains("was written to"), "{told}");
                assert!(told.contains(path.to_str().unwrap()), "{told}");
                assert_eq!(files_in(folder.path()).len(), 1);
                old_copy(folder.path(), name);
            };
            let options = ModelOptions { progress: progress(), loras, ..one_thread() };
            refused(Model::open_with(&base, options).unwrap_err());
            if !is_lora {
                let options = ConvertOptions { progress: progress(), threads: Some(1), ..Default::default() };
                refused(convert(&base, &target, &options).unwrap_err());
            }
            let lora = if is_lora { path.clone() } else { golden("lora/v7-lora.pth") };
            if is_lora || name == "v7.pth" {
                let options = || MergeOptions { progress: progress(), threads: Some(1) };
                for target in [&target, &folder.path().join("new.pth")] {
                    refused(merge_lora(&base, &with_lora(&lora), target, options()).unwrap_err());
                }
            }
        }
    }
}

#[test]
fn a_file_that_loses_its_name_while_it_is_read_is_read_to_its_end() {
    let changes: [Meanwhile; 2] = [
        |path| std::fs::remove_file(path).unwrap(),
        // What download managers and Volary itself do.
        |path| {
            let other = path.with_extension("new");
            std::fs::copy(golden("v4.pth"), &other).unwrap();
            std::fs::rename(other, path).unwrap();
        },
    ];
    for name in ["v7.pth", "v7.safetensors", "v7.gguf", "v7-101.bin"] {
        for change in changes {
            let folder = tempfile::tempdir().unwrap();
            let path = old_copy(folder.path(), name);
            let options = ModelOptions { progress: progress(&path, change), ..one_thread() };
            let model = Model::open_with(&path, options).unwrap();
            let (logits, _) = model.eval_sequence(&tokens(), None).unwrap();
            assert!(distance(&logits, &golden_logits("v7")[15 * 256..]) < 1e-3, "{name}");
        }
    }
}

// Paths that name no file.

/// One of each kind, called `name` in a folder of its own, and what is told of it.
fn no_files(folder: &Path, name: &str) -> Vec<(PathBuf, &'static str)> {
    const SPECIAL: &str = "is not a regular file";
    let make = |kind: &str, told, make: &dyn Fn(&Path)| {
        let place = folder.join(kind);
        std::fs::create_dir(&place).unwrap();
        make(&place.join(name));
        (place.join(name), told)
    };
    let device = |device: &'static str| move |path: &Path| symlink(device, path).unwrap();
    let file = folder.join("file");
    std::fs::write(&file, "").unwrap();
    vec![
        make("folder", "is a directory", &|path| std::fs::create_dir(path).unwrap()),
        make("pipe", SPECIAL, &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        make("socket", SPECIAL, &|path| _ = UnixListener::bind(path).unwrap()),
        make("loop", "symbolic links", &|path| symlink(name, path).unwrap()),
        make("zero", SPECIAL, &device("/dev/zero")),
        make("null", SPECIAL, &device("/dev/null")),
        make("random", SPECIAL, &device("/dev/random")),
        (file.join(name), "a file stands where its folder should"),
    ]
}

fn is_told(error: &Error, path: &Path, told: &str) {
    let line = error.to_string();
    assert!(matches!(error, Error::Io { .. } | Error::Format { .. }), "{line}");
    assert!(line.contains(path.to_str().unwrap()) && line.contains(told), "{line}");
}

type Call = fn(&Model, &Path) -> Result<()>;

#[test]
fn what_is_no_file_is_refused_before_anything_waits_for_it() {
    const MERGED: &str = "/nowhere/merged.pth";
    let calls: [Call; 15] = [
        |_, path| Model::open(path).map(|_| ()),
        |_, path| ModelInfo::read(path).map(|_| ()),
        |_, path| Checkpoint::open(path).map(|_| ()),
        |_, path| Tokenizer::open(path).map(|_| ()),
        |_, path| Tokenizer::of_model(path).map(|_| ()),
        |model, path| State::load(model, path).map(|_| ()),
        |model, path| Chat::load(model, path).map(|_| ()),
        |_, path| convert(path, "/nowhere/model.gguf", &ConvertOptions::default()).map(|_| ()),
        |_, path| {
            let options = ConvertOptions { tokenizer: Some(path.into()), ..ConvertOptions::default() };
            convert(golden("v7.pth"), "/nowhere/model.gguf", &options).map(|_| ())
        },
        |_, path| {
            let lora = with_lora(&golden("lora/v7-lora.pth"));
            merge_lora(path, &lora, MERGED, MergeOptions::default()).map(|_| ())
        },
        |_, path| merge_lora(golden("v7.pth"), &with_lora(path), MERGED, MergeOptions::default()).map(|_| ()),
        |_, path| {
            let lora = Lora { path: golden("lora/v7-pissa.pth"), alpha: None, pissa_init: Some(path.into()) };
            merge_lora(golden("v7.pth"), &lora, MERGED, MergeOptions::default()).map(|_| ())
        },
        |_, path| opened(ModelOptions { tokenizer: Some(path.into()), ..one_thread() }),
        |_, path| opened(ModelOptions { initial_state: Some(path.into()), ..one_thread() }),
        |_, path| opened(ModelOptions { loras: vec![with_lora(path)], ..one_thread() }),
    ];
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open_with(golden("v7.pth"), one_thread()).unwrap();
    for (path, told) in no_files(folder.path(), "x") {
        for call in calls {
            is_told(&call(&model, &path).unwrap_err(), &path, told);
        }
    }
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let calls: [(&str, Call); 5] = [
        ("x.gguf", |_, path| convert(golden("v7.pth"), path, &ConvertOptions::default()).map(|_| ())),
        ("x.bin", |_, path| convert(golden("v7.pth"), path, &ConvertOptions::default()).map(|_| ())),
        ("x.pth", |_, path| {
            let lora = with_lora(&golden("lora/v7-lora.pth"));
            merge_lora(golden("v7.pth"), &lora, path, MergeOptions::default()).map(|_| ())
        }),
        ("x.state", |model, path| model.new_state().save(path)),
        ("x.chat", |model, path| chat(model).save(path)),
    ];
    let model = Model::open_with(golden("v7.pth"), one_thread()).unwrap();
    for (name, call) in calls {
        let folder = tempfile::tempdir().unwrap();
        for (path, told) in no_files(folder.path(), name) {
            let kind = |path: &Path| std::fs::symlink_metadata(path).map(|found| found.file_type()).ok();
            let before: Option<FileType> = kind(&path);
            is_told(&call(&model, &path).unwrap_err(), &path, told);
            assert_eq!(kind(&path), before, "{}", path.display());
            let place = path.parent().unwrap();
            assert!(place.is_file() || files_in(place) == [name], "{}", place.display());
        }
    }
}

/// The command's arguments with a path of each kind of what it reads, and what it reads from standard input.
fn reading<'a>(path: &'a str, target: &'a str) -> Vec<(Vec<&'a str>, String)> {
    let arguments: [&[&str]; 15] = [
        &["info", path],
        &["complete", path, "Hello"],
        &["complete", "v7.pth", "Hello", "--tokenizer", path],
        &["complete", "v7.pth", "Hello", "--state", path],
        &["complete", "v7.pth", "Hello", "--lora", path],
        &["chat", path],
        &["eval", path, "--tokens", "1"],
        &["bench", path],
        &["tokenize", path, "Hello"],
        &["convert", path, target],
        &["convert", "v7.pth", target, "--tokenizer", path],
        &["merge-lora", path, "lora/v7-disha.pth", target],
        &["merge-lora", "v7.pth", path, target],
        &["perplexity", path, "README.md"],
        &["perplexity", "v7.pth", path],
    ];
    let load = (vec!["chat", "v7.pth"], format!("/load {path}\n"));
    arguments.into_iter().map(|arguments| (arguments.to_vec(), String::new())).chain([load]).collect()
}

#[test]
fn every_command_refuses_a_pipe_and_a_loop_of_links_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target.gguf");
    for (path, told) in no_files(folder.path(), "x").into_iter().filter(|(path, _)| {
        let place = path.parent().unwrap();
        place.ends_with("pipe") || place.ends_with("loop")
    }) {
        let path = path.to_str().unwrap();
        for (args, input) in reading(path, target.to_str().unwrap()) {
            let line = failed(volary_with_input(&args, &input));
            assert!(line.contains(path) && line.contains(told), "{args:?}: {line}");
        }
    }
    assert!(!target.exists());
}

/// The command's arguments for each kind of what it writes, the name of which is given without its extension, and what it reads
/// from standard input.
fn writing(name: &str) -> Vec<(Vec<String>, String)> {
    let arguments: [&[&str]; 5] = [
        &["convert", "v7.pth", &format!("{name}.gguf")],
        &["merge-lora", "v7.pth", "lora/v7-lora.pth", &format!("{name}.pth"), "--alpha", "32"],
        &["merge-lora", "v7.pth", "lora/v7-lora.pth", &format!("{name}.bin"), "--alpha", "32"],
        &["eval", "v7.pth", "--tokens", "1", "--output", &format!("{name}.npy")],
        &["chat", "v7.pth"],
    ];
    let owned = arguments.map(|arguments| arguments.iter().map(|argument| argument.to_string()).collect());
    owned
        .into_iter()
        .zip([String::new(), String::new(), String::new(), String::new(), format!("/save {name}.chat\n")])
        .collect()
}

#[test]
fn a_full_disk_is_told_by_every_command_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("new");
    for (args, input) in writing(name.to_str().unwrap()) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let line = failed(command::with_small_files(0, &args, &input));
        assert!(line.contains(name.to_str().unwrap()) && line.contains("too large"), "{args:?}: {line}");
        assert_eq!(files_in(folder.path()).len(), 0, "{args:?}");
    }
    // What was measured is worth more than its picture: it is printed first.
    let text = command::write(folder.path(), "text.txt", b"Once upon a time there was a model.\n");
    let plot = folder.path().join("plot.svg");
    let args = ["perplexity", "v5.1.pth", &text, "--formats", "F16", "--plot", plot.to_str().unwrap()];
    let output = command::with_small_files(0, &args, "");
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(line.contains("plot.svg") && line.contains("too large") && line.lines().count() == 1, "{line}");
    assert!(!output.stdout.is_empty() && output.status.code() == Some(1));
    assert_eq!(files_in(folder.path()), ["text.txt"]);
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_on_a_full_disk_is_an_error() {
    for args in
        [&["eval", "v7.pth", "--tokens", "1"][..], &["complete", "v7.pth", "Hello"], &["info", "v7.pth", "--json"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command::command(args).stdout(full).output().unwrap();
        let line = failed(output);
        assert!(line.contains("standard output") && line.contains("space"), "{args:?}: {line}");
    }
}

// Rights.

/// Runs the command as somebody who is nobody, if this is root, whom no access rights stop.
fn without_privileges(folder: &Path, args: &[&str]) -> Output {
    /// `nobody` wherever there is one, and no user's otherwise.
    const NOBODY: u32 = 65534;
    let original = command::command(args);
    let mut command = match std::fs::metadata(folder).unwrap().uid() {
        0 => {
            // The build may lie where only root comes.
            let volary = folder.join("volary");
            let built = env!("CARGO_BIN_EXE_volary");
            if !volary.exists() && std::fs::hard_link(built, &volary).is_err() {
                std::fs::copy(built, &volary).unwrap();
            }
            let own = |part: &std::ffi::OsStr| if part == built { volary.clone().into() } else { part.to_os_string() };
            let mut command = Command::new(own(original.get_program()));
            command.args(original.get_args().map(own)).uid(NOBODY).gid(NOBODY);
            command
        }
        _ => original,
    };
    command.env("VOLARY_THREADS", "1").current_dir(folder).output().unwrap()
}

#[test]
fn what_may_not_be_read_or_written_is_told_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let allow = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    allow(folder.path(), 0o755);
    for name in ["open.pth", "secret.pth"] {
        std::fs::copy(golden("v7.pth"), at(name)).unwrap();
    }
    allow(&at("open.pth"), 0o644);
    allow(&at("secret.pth"), 0);
    for (name, mode) in [("closed", 0), ("read-only", 0o555)] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::copy(golden("v7.pth"), at(name).join("old.gguf")).unwrap();
        allow(&at(name), mode);
    }
    assert!(without_privileges(folder.path(), &["info", "open.pth"]).status.success());
    for (args, named) in [
        (&["info", "secret.pth"][..], "secret.pth"),
        (&["info", "closed/old.gguf"], "closed/old.gguf"),
        (&["complete", "open.pth", "Hello", "--tokenizer", "secret.pth"], "secret.pth"),
        (&["convert", "secret.pth", "new.gguf"], "secret.pth"),
        (&["convert", "open.pth", "closed/new.gguf"], "closed/new.gguf"),
        (&["convert", "open.pth", "read-only/new.gguf"], "read-only/new.gguf"),
        (&["convert", "open.pth", "read-only/old.gguf"], "read-only/old.gguf"),
        (&["eval", "open.pth", "--tokens", "1", "--output", "read-only/new.npy"], "read-only/new.npy"),
    ] {
        let line = failed(without_privileges(folder.path(), args));
        let told = format!("volary: {named}: permission denied; check the access rights of the file and its folder\n");
        assert_eq!(line, told, "{args:?}");
    }
    // So that they can be looked into, and removed.
    for name in ["closed", "read-only"] {
        allow(&at(name), 0o755);
        assert_eq!(files_in(&at(name)), ["old.gguf"]);
    }
    assert!(!at("new.gguf").exists());
}

// Memory.

#[cfg(target_os = "linux")]
#[test]
fn a_model_that_memory_does_not_hold_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (model, target) = (folder.path().join("large.bin"), folder.path().join("new.gguf"));
    large::model(&model, 2048, 6);
    let [model, target] = [&model, &target].map(|path| path.to_str().unwrap());
    // 700 MB: the file cannot be mapped, or its weights do not fit in beside it.
    for limit in [500_000, 1_200_000] {
        let line = failed(command::limited(&format!("ulimit -v {limit}"), &["eval", model, "--tokens", "1"], ""));
        assert!(line.contains("large.bin: not enough memory"), "{limit}: {line}");
    }
    let line = failed(command::limited("ulimit -v 500000", &["convert", model, target], ""));
    assert!(line.contains("large.bin: not enough memory"), "{line}");
    assert_eq!(files_in(folder.path()), ["large.bin"]);
}

#[cfg(target_os = "linux")]
#[test]
fn however_little_memory_there_is_a_target_is_whole_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new.gguf");
    let args = ["convert", "v7.pth", target.to_str().unwrap(), "--threads", "1"];
    let mut done = 0;
    for mib in [4, 16, 32, 48, 64, 96, 128, 192, 1024] {
        let output = command::limited(&format!("ulimit -v {}", mib << 10), &args, "");
        assert_eq!(output.status.success(), target.exists(), "{mib} MiB: {output:?}");
        if target.exists() {
            done += 1;
            ModelInfo::read(&target).unwrap();
            std::fs::remove_file(&target).unwrap();
        }
    }
    assert!(done > 0);
}

// Work that is interrupted or killed.

#[test]
fn a_state_is_saved_if_the_environment_asks_for_it() {
    writers::save_state_if_asked();
}

#[test]
fn a_killed_or_interrupted_writer_leaves_the_old_file_or_the_new_one() {
    const KILLED_BY_CTRL_C: i32 = 2;
    let inputs = writers::inputs(128, 4);
    for writer in &WRITERS {
        let trial = Trial::new(writer, inputs.path());
        let after = |signal: &str, share, has_old| trial.signalled(signal, has_old, trial.time.mul_f64(share));
        for (share, has_old) in [(0.6, true), (0.9, false)] {
            let ended = after("KILL", share, has_old);
            assert!(ended.target != Found::Damaged && ended.left.len() <= 1, "{}: {ended:?}", writer.name);
        }
        assert_eq!(trial.left_after_another_run(), [""; 0], "{}", writer.name);
        let interrupted = [(0.0, false), (0.7, true), (0.95, false)];
        for (share, has_old) in interrupted.into_iter().filter(|_| writer.handles_interrupts) {
            let ended = after("INT", share, has_old);
            let status = ended.status;
            // Before the command listens, the system ends it.
            let is_sound = status.success() || status.code() == Some(130) || status.signal() == Some(KILLED_BY_CTRL_C);
            assert!(is_sound && ended.target != Found::Damaged && ended.left.is_empty(), "{}: {ended:?}", writer.name);
        }
    }
}
