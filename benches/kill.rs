//! Kills everything that writes a file, again and again, each time at another moment of its run: `cargo xtask kill N`. Prints what
//! was found, and fails if a file is neither what it was nor what it was to be.
#![allow(clippy::unwrap_used)]

#[path = "../tests/command/mod.rs"]
mod command;
#[path = "../tests/large/mod.rs"]
mod large;
#[path = "../tests/hostile_input/random.rs"]
#[allow(dead_code, reason = "shared with what mutates files")]
mod random;
#[path = "../tests/reference/mod.rs"]
mod reference;
#[path = "../tests/writers/mod.rs"]
mod writers;

use std::process::ExitCode;

use random::Random;
use writers::{Trial, WRITERS};

fn main() -> ExitCode {
    if writers::save_state_if_asked() {
        return ExitCode::SUCCESS;
    }
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let kills = numbers.first().copied().unwrap_or(WRITERS.len());
    let mut random = Random::new(numbers.get(1).copied().unwrap_or(0) as u64);
    let inputs = writers::inputs(512, 12);
    println!("{:18} run (ms)  kills  over before  absent  old  new  damaged  parts left  later", "writer");
    let mut is_sound = true;
    for (index, writer) in WRITERS.iter().enumerate() {
        let trial = Trial::new(writer, inputs.path());
        // The first writers take what does not divide.
        let own = kills / WRITERS.len() + usize::from(index < kills % WRITERS.len());
        let (mut over, mut found, mut left, mut before) = (0, [0; 4], 0, Vec::new());
        for kill in 0..own {
            let moment = trial.time.mul_f64(random.below(1 << 20) as f64 / f64::from(1 << 20));
            let ended = trial.signalled("KILL", kill % 2 == 0, moment);
            over += usize::from(ended.status.success());
            found[ended.target as usize] += 1;
            left += usize::from(ended.left.iter().any(|name| !before.contains(name)));
            before = ended.left;
        }
        let [absent, old, new, damaged] = found;
        let later = trial.left_after_another_run().len();
        is_sound &= damaged == 0 && later == 0;
        let (name, time) = (writer.name, trial.time.as_millis());
        println!(
            "{name:18} {time:8}  {own:5}  {over:11}  {absent:6}  {old:3}  {new:3}  {damaged:7}  {left:10}  {later:5}"
        );
    }
    println!(
        "parts left: unfinished files beside the target; later: those still there after a run that nobody disturbed"
    );
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
