//! Memory that a forward pass uses again: every layer needs the same buffers, and fresh memory costs more than what is
//! computed in it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use super::activations::Block;

/// A slice of some length, whose memory goes back to the thread's store when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer<T: Stored> {
    memory: Vec<T>,
    len: usize,
}

type Store<T> = RefCell<Vec<Vec<T>>>;

/// What buffers may hold.
pub(crate) trait Stored: Clone + Default + 'static {
    /// The memory of buffers that this thread has dropped.
    fn store() -> &'static LocalKey<Store<Self>>;
}

impl Stored for f32 {
    fn store() -> &'static LocalKey<Store<f32>> {
        thread_local!(static STORE: Store<f32> = const { RefCell::new(Vec::new()) });
        &STORE
    }
}

impl Stored for Block {
    fn store() -> &'static LocalKey<Store<Block>> {
        thread_local!(static STORE: Store<Block> = const { RefCell::new(Vec::new()) });
        &STORE
    }
}

impl<T: Stored> Buffer<T> {
    /// Whatever numbers were left in it.
    pub fn new(len: usize) -> Self {
        let mut memory = T::store().with_borrow_mut(|store| {
            // Nearly always few buffers, of few sizes.
            let fitting = store.iter().enumerate().filter(|(_, memory)| memory.len() >= len);
            let best = fitting.min_by_key(|(_, memory)| memory.len()).map(|(index, _)| index);
            best.map(|index| store.swap_remove(index)).unwrap_or_default()
        });
        if memory.len() < len {
            memory = vec![T::default(); len];
        }
        Self { memory, len }
    }
}

impl<T: Stored> Drop for Buffer<T> {
    fn drop(&mut self) {
        if !self.memory.is_empty() {
            let memory = std::mem::take(&mut self.memory);
            // At the end of a thread the store may be gone already.
            let _ = T::store().try_with(|store| store.borrow_mut().push(memory));
        }
    }
}

impl<T: Stored> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.len);
        clone.clone_from_slice(self);
        clone
    }
}

impl<T: Stored> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[..self.len]
    }
}

impl<T: Stored> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[..self.len]
    }
}

/// Keeps of this thread's memory what single tokens need, and gives back what a long prompt needed.
pub(crate) fn trim_buffers() {
    fn trim<T: Stored>() {
        /// Bytes of a buffer that is kept: logits of 65,536 tokens.
        const MOST: usize = 1 << 18;
        T::store().with_borrow_mut(|store| store.retain(|memory| size_of_val(&memory[..]) <= MOST));
    }
    trim::<f32>();
    trim::<Block>();
}

/// Bytes that this thread keeps.
#[cfg(test)]
pub(crate) fn kept_bytes() -> usize {
    fn kept<T: Stored>() -> usize {
        T::store().with_borrow(|store| store.iter().map(|memory| size_of_val(&memory[..])).sum())
    }
    kept::<f32>() + kept::<Block>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_large_buffers_are_given_back() {
        let at = |buffer: &Buffer<f32>| buffer.as_ptr() as usize;
        let (small, large) = (Buffer::<f32>::new(100), Buffer::<f32>::new(1 << 20));
        let addresses = [at(&small), at(&large)];
        drop((small, large));
        let (again, other) = (Buffer::<f32>::new(50), Buffer::<f32>::new(1000));
        assert_eq!([at(&again), at(&other)], addresses, "the smallest that fits");
        assert_eq!((again.len(), other.len()), (50, 1000));
        drop((again, other));
        trim_buffers();
        assert_eq!(f32::store().with_borrow(|store| store.iter().map(Vec::len).collect::<Vec<_>>()), [100]);
    }
}
