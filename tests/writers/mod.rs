//! Everything that writes a file, as a program that can be ended in the middle of it, and what is then found.
//! `tests/faults.rs` and `benches/kill.rs` share it.
#![allow(clippy::unwrap_used, dead_code, reason = "each program uses a part")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use volary::{Model, State};

use crate::reference::golden;
use crate::{command, large};

/// A program that writes a file.
pub struct Writer {
    pub name: &'static str,
    /// The file's name.
    target: &'static str,
    /// The program, given the folder of the inputs and the path of the file.
    program: fn(&Path, &str) -> Command,
    /// Whether it tidies up when it is interrupted: the command does.
    pub handles_interrupts: bool,
}

pub const WRITERS: [Writer; 6] = [
    Writer {
        name: "convert",
        target: "model.gguf",
        program: |inputs, target| {
            let source = inputs.join("model.bin");
            command::command(&["convert", source.to_str().unwrap(), target, "--type", "Q4_K", "--threads", "1"])
        },
        handles_interrupts: true,
    },
    Writer {
        name: "merge-lora",
        target: "merged.pth",
        program: |inputs, target| {
            let [base, lora] = ["base.safetensors", "lora.safetensors"].map(|name| inputs.join(name));
            let [base, lora] = [&base, &lora].map(|path| path.to_str().unwrap());
            command::command(&["merge-lora", base, lora, target, "--alpha", "1", "--threads", "1"])
        },
        handles_interrupts: true,
    },
    Writer {
        name: "chat /save",
        target: "talk.chat",
        program: |inputs, target| {
            let script = inputs.join("script.txt");
            std::fs::write(&script, format!("Hi\n{}", format!("/save {target}\n").repeat(SAVES))).unwrap();
            let mut command = command::command(&["chat", "v7.pth", "--temperature", "0", "-n", "4"]);
            command.stdin(File::open(script).unwrap());
            command
        },
        handles_interrupts: true,
    },
    Writer {
        name: "State::save",
        target: "session.state",
        program: |_, target| {
            let mut command = command::program(std::env::current_exe().unwrap());
            command.args([STATE_TEST, "--exact"]).env(STATE_TARGET, target);
            command
        },
        handles_interrupts: false,
    },
    Writer {
        name: "eval --output",
        target: "logits.npy",
        program: |_, target| command::command(&["eval", "v7.pth", "--tokens", "1,2,3,4", "--output", target]),
        handles_interrupts: true,
    },
    Writer {
        name: "perplexity --plot",
        target: "plot.svg",
        program: |inputs, target| {
            let text = inputs.join("text.txt");
            let text = text.to_str().unwrap();
            command::command(&["perplexity", "v5.1.pth", text, "--formats", "F16,BF16", "--plot", target])
        },
        handles_interrupts: true,
    },
];

/// One alone would be over before anybody can kill it.
const SAVES: usize = 20;

/// Where a program of ours saves a state if this is in its environment: no command does.
const STATE_TARGET: &str = "VOLARY_TEST_STATE_TARGET";
/// The test that calls [`save_state_if_asked`], in a test program.
const STATE_TEST: &str = "a_state_is_saved_if_the_environment_asks_for_it";

/// Saves a state where the environment says; `false`: it says nothing.
pub fn save_state_if_asked() -> bool {
    let Some(target) = std::env::var_os(STATE_TARGET) else { return false };
    let model = Model::open(golden("v7.pth")).unwrap();
    let (_, state): (_, State) = model.eval_sequence(&[1, 2, 3], None).unwrap();
    (0..SAVES).for_each(|_| state.save(&target).unwrap());
    true
}

/// What the writers read.
pub fn inputs(width: u32, layers: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    large::model(&folder.path().join("model.bin"), width, layers);
    large::merge(folder.path(), width as usize, layers as usize);
    std::fs::write(folder.path().join("text.txt"), "Once upon a time there was a model.\n").unwrap();
    folder
}

/// A writer, and what it does if nobody disturbs it.
pub struct Trial<'a> {
    pub writer: &'a Writer,
    inputs: &'a Path,
    folder: TempDir,
    /// How long it runs.
    pub time: Duration,
    new: Vec<u8>,
}

/// What the target holds afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Absent,
    Old,
    New,
    /// Neither.
    Damaged,
}

/// How a disturbed run ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub target: Found,
    /// Unfinished files beside the target, those of earlier runs included.
    pub left: Vec<String>,
}

const OLD: &[u8] = b"what was here before";

impl<'a> Trial<'a> {
    pub fn new(writer: &'a Writer, inputs: &'a Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut trial = Self { writer, inputs, folder, time: Duration::ZERO, new: Vec::new() };
        // The second run finds programs and inputs in the system's cache, as all later ones do.
        for _ in 0..2 {
            let started = Instant::now();
            assert!(trial.command().status().unwrap().success(), "{}", writer.name);
            trial.time = started.elapsed();
            trial.new = std::fs::read(trial.target()).unwrap();
        }
        trial
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join(self.writer.target)
    }

    fn command(&self) -> Command {
        let mut command = (self.writer.program)(self.inputs, self.target().to_str().unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Sends it a signal after some time.
    ///
    /// # Panics
    /// If something unknown is then beside the target.
    pub fn signalled(&self, signal: &str, has_old: bool, moment: Duration) -> Ended {
        match has_old {
            true => std::fs::write(self.target(), OLD).unwrap(),
            false => _ = std::fs::remove_file(self.target()),
        }
        let mut child = self.command().spawn().unwrap();
        std::thread::sleep(moment);
        match signal {
            "KILL" => child.kill().unwrap(),
            signal => {
                let kill = format!("kill -{signal} {} 2>/dev/null", child.id());
                // It may be over.
                let _ = Command::new("sh").args(["-c", &kill]).status().unwrap();
            }
        }
        let status = child.wait().unwrap();
        let target = match std::fs::read(self.target()) {
            Err(_) if !has_old => Found::Absent,
            Ok(bytes) if has_old && bytes == OLD => Found::Old,
            Ok(bytes) if bytes == self.new => Found::New,
            _ => Found::Damaged,
        };
        Ended { status, target, left: self.left() }
    }

    /// Unfinished files beside the target. Their names say what they are of.
    fn left(&self) -> Vec<String> {
        let mut names = command::files_in(self.folder.path());
        names.retain(|name| *name != self.writer.target);
        let is_part = |name: &String| name.starts_with(self.writer.target) && name.ends_with(".volary-part");
        assert!(names.iter().all(is_part), "{}: {names:?}", self.writer.name);
        names
    }

    /// Runs it undisturbed. Gives the unfinished files that are then left.
    pub fn left_after_another_run(&self) -> Vec<String> {
        assert!(self.command().status().unwrap().success(), "{}", self.writer.name);
        assert!(std::fs::read(self.target()).unwrap() == self.new, "{} wrote something else", self.writer.name);
        self.left()
    }
}
