//! What a token allocates, and what stays of what is gone.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::sync::Mutex;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use volary::{Model, ModelOptions, Tokenizer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for all threads together.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn a_token_allocates_its_logits_and_a_few_lists_but_nothing_for_a_layer() {
    const TOKENS: usize = 100;
    // The logits, the list that they are in, and five lists of a pass: what is done, what is taken, rows, two of states.
    const EACH: usize = 7;
    // A thread's own buffers: which thread takes what is chance, so that one may need its first after many tokens.
    const FIRST: usize = TOKENS / 2;
    let _turn = TURN.lock();
    for file in ["v4.pth", "v5.0.pth", "v5.1.pth", "v5.2.pth", "v6.pth", "v7.pth"] {
        for threads in [1, 2] {
            let options = ModelOptions { threads: Some(threads), ..Default::default() };
            let model = Model::open_with(format!("tests/golden/{file}"), options).unwrap();
            assert!(model.config().n_layer > 1);
            let mut state = model.new_state();
            let mut decode = |token| model.decode(&mut state, token).unwrap();
            (0..10).for_each(|token| drop(decode(token)));
            let region = Region::new(ALLOCATOR);
            (0..TOKENS as u32).for_each(|token| drop(decode(token)));
            let change = region.change();
            let allowed = EACH * TOKENS + if threads > 1 { FIRST } else { 0 };
            assert!(change.allocations <= allowed, "{file}, {threads} threads: {change:?}");
            assert_eq!(change.reallocations, 0, "{file}, {threads} threads: {change:?}");
            if threads == 1 {
                let lists = 1 << 10;
                assert!(change.bytes_allocated < TOKENS * (4 * model.config().n_vocab + lists), "{file}: {change:?}");
            }
            // What was allocated is given back.
            assert_eq!(change.bytes_allocated.abs_diff(change.bytes_deallocated) >> 16, 0, "{file}: {change:?}");
        }
    }
}

#[test]
fn of_tokenizers_that_are_gone_nothing_stays_with_the_thread_that_used_them() {
    const COUNT: usize = 20;
    let text = "Once upon a time there was a king who had three daughters, and the youngest was the fairest of all.";
    let _turn = TURN.lock();
    let use_one = || drop(Tokenizer::of_model("models/demo.gguf").unwrap().encode(text).unwrap());
    use_one();
    let region = Region::new(ALLOCATOR);
    (0..COUNT).for_each(|_| use_one());
    let change = region.change();
    let left = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    assert!(left < 100 * COUNT as isize, "{left} bytes of {COUNT} tokenizers");
}
