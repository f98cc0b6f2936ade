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

use random::Random;
use writers::{Found, Trial, WRITERS};

fn main() {
    if writers::save_state_if_asked() {
        return;
    }
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let kills = numbers.first().copied().unwrap_or(WRITERS.len());
    let mut random = Random::new(numbers.get(1).copied().unwrap_or(0) as u64);
    let inputs = writers::inputs(512, 12);
    println!(
        "{:18} run (ms)  kills  over before  absent  old  new  damaged  left beside  after one more run",
        "writer"
    );
    for (index, writer) in WRITERS.iter().enumerate() {
        let trial = Trial::new(writer, inputs.path());
        // Of 200 kills, the first of six writers get one more than the others.
        let own = kills / WRITERS.len() + usize::from(index < kills % WRITERS.len());
        let (mut over, mut found, mut left) = (0, [0; 3], 0);
        for kill in 0..own {
            let moment = trial.time.mul_f64(random.below(1 << 20) as f64 / f64::from(1 << 20));
            let ended = trial.signalled("KILL", kill % 2 == 0, moment);
            over += usize::from(ended.status.success());
            found[[Found::Absent, Found::Old, Found::New].iter().position(|found| *found == ended.target).unwrap()] +=
                1;
            left += usize::from(ended.left > 0);
        }
        let [absent, old, new] = found;
        let after = trial.left_after_another_run();
        let (name, time) = (writer.name, trial.time.as_millis());
        // A damaged one is a panic.
        println!(
            "{name:18} {time:8}  {own:5}  {over:11}  {absent:6}  {old:3}  {new:3}  {:7}  {left:11}  {after:18}",
            0
        );
        assert_eq!(after, 0, "{name} left something behind that no later run removes");
    }
}
