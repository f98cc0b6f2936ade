//! What the targets share with the library's own tests.

#[path = "../../tests/hostile_input/mod.rs"]
pub mod hostile_input;

use std::sync::OnceLock;

use hostile_input::{ENTRIES, Random, mutant, seeds};

/// Runs an input of this kind.
pub fn run(kind: &str, input: &[u8]) {
    let entry = ENTRIES.iter().find(|entry| entry.name == kind);
    entry.unwrap_or_else(|| panic!("there is no kind {kind}")).run(input);
}

/// Changes the `size` bytes at the beginning of `data`, or else a sound file, by fields and parts as the suite does; gives
/// the new size.
pub fn mutate(kind: &str, data: &mut [u8], size: usize, seed: u32) -> usize {
    static SOUND: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let mut random = Random::new(seed.into());
    let sound = random.choose(SOUND.get_or_init(|| seeds(kind))).map(Vec::as_slice).unwrap_or_default();
    let begin = if size < 8 || random.one_in(8) { sound } else { &data[..size] };
    let changed = mutant(kind, begin, &mut random);
    let len = changed.len().min(data.len());
    data[..len].copy_from_slice(&changed[..len]);
    len
}

/// The target of a kind. Half of the mutations are libFuzzer's own, which know what code they reach.
#[macro_export]
macro_rules! target {
    ($kind:literal) => {
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::run($kind, input));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            match seed % 2 {
                0 => $crate::mutate($kind, &mut data[..max_size], size, seed),
                _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
            }
        });
    };
}
