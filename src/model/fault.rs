//! A panic on purpose, in the middle of a pass.

use std::cell::Cell;

use crate::pool::Pool;

thread_local! {
    static STRIKES: Cell<bool> = const { Cell::new(false) };
}

/// The next pass that this thread begins panics, on whichever of the pool's threads is first.
pub(crate) fn arm() {
    STRIKES.set(true);
}

/// Where it happens.
pub(super) fn strike(pool: &Pool) {
    if STRIKES.take() {
        pool.run(2, &|_| panic!("a fault on purpose"));
    }
}
