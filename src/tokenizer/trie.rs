//! Longest match over a set of byte strings.

use std::collections::VecDeque;

use super::tokens::Tokens;

/// A trie as a double array (Aoe, "An efficient digital search algorithm by using a double-array structure", 1989):
/// the child of a node for a byte is in the slot `base + byte`, if that slot names the node as its parent.
///
/// On the World vocabulary it takes 1.4 MB, and encodes English 1.4 to 1.8 times as fast as a trie whose nodes search
/// a sorted list of their children's bytes. Slots of 8 bytes (the byte in place of the parent) were little faster.
#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    base: u32,
    /// The parent's slot, or `NONE` if this slot is free.
    parent: u32,
    /// The token that ends here, or `NONE`.
    id: u32,
}

const NONE: u32 = u32::MAX;
const FREE: Slot = Slot { base: 0, parent: NONE, id: NONE };
const ROOT: u32 = 0;

impl Trie {
    /// A trie of all tokens that are not empty. Of equal tokens the one with the lowest id counts.
    pub fn over(tokens: &Tokens) -> Self {
        let mut sorted: Vec<_> = tokens.iter().zip(0..).filter(|(bytes, _)| !bytes.is_empty()).collect();
        sorted.sort_unstable();
        Self::new(&sorted)
    }

    /// `tokens` are (bytes, id), sorted, without empty ones. Of equal tokens the first counts.
    pub fn new(tokens: &[(&[u8], u32)]) -> Self {
        let mut builder = Builder { slots: vec![Slot { parent: ROOT, ..FREE }], first_free: 1, next_fit: 1 };
        let mut bytes = Vec::new();
        // Breadth first: the nodes near the root, which have the most children, are placed while there is room.
        // Each node is (slot, depth, the tokens that begin with it).
        let mut nodes = VecDeque::from([(ROOT, 0, tokens)]);
        while let Some((slot, depth, tokens)) = nodes.pop_front() {
            let ending = tokens.iter().take_while(|(bytes, _)| bytes.len() == depth).count();
            if let Some((_, id)) = tokens[..ending].first() {
                builder.slots[slot as usize].id = *id;
            }
            let children = || tokens[ending..].chunk_by(|(a, _), (b, _)| a[depth] == b[depth]);
            bytes.clear();
            bytes.extend(children().map(|tokens| tokens[0].0[depth]));
            if bytes.is_empty() {
                continue;
            }
            let base = builder.place(&bytes);
            builder.slots[slot as usize].base = base as u32;
            for (&byte, tokens) in bytes.iter().zip(children()) {
                let child = base + usize::from(byte);
                builder.slots[child].parent = slot;
                nodes.push_back((child as u32, depth + 1, tokens));
            }
        }
        builder.slots.shrink_to_fit();
        Self { slots: builder.slots }
    }

    /// Cuts a text into tokens, each the longest that fits. `Err` is the place of a byte that no token begins with.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>, usize> {
        // Tokens of English have four bytes, those of other scripts fewer.
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut at = 0;
        while at < text.len() {
            let (id, len) = self.longest(&text[at..]).ok_or(at)?;
            ids.push(id);
            at += len;
        }
        Ok(ids)
    }

    /// The longest token that `text` begins with: its id and length.
    pub fn longest(&self, text: &[u8]) -> Option<(u32, usize)> {
        let mut found = None;
        let mut node = ROOT;
        let mut base = self.slots[ROOT as usize].base;
        for (depth, &byte) in text.iter().enumerate() {
            let child = base + u32::from(byte);
            let Some(slot) = self.slots.get(child as usize).filter(|slot| slot.parent == node) else { break };
            if slot.id != NONE {
                found = Some((slot.id, depth + 1));
            }
            (node, base) = (child, slot.base);
        }
        found
    }
}

struct Builder {
    slots: Vec<Slot>,
    /// No slot before this one is free.
    first_free: usize,
    /// Where the last node with several children found its place.
    next_fit: usize,
}

impl Builder {
    /// Finds a base whose slots for these bytes (sorted) are free, and makes sure that the slots exist.
    fn place(&mut self, bytes: &[u8]) -> usize {
        /// Holes tried before the children go to the end: all of them would cost 80 ms more for a handful of slots.
        const MOST_TRIES: usize = 32;
        let (first, last) = (usize::from(bytes[0]), usize::from(bytes[bytes.len() - 1]));
        while !self.is_free(self.first_free) {
            self.first_free += 1;
        }
        // One child fits in any hole. The search for more goes on where it ended, or it would meet the same bad holes.
        let start = if bytes.len() == 1 { self.first_free } else { self.next_fit.max(self.first_free) };
        // A base is at least 1, so that nobody's child is the root.
        let base = (start.max(first + 1)..self.slots.len())
            .filter(|&slot| self.is_free(slot))
            .take(MOST_TRIES)
            .map(|slot| slot - first)
            .find(|base| bytes.iter().all(|&byte| self.is_free(base + usize::from(byte))))
            .unwrap_or_else(|| self.slots.len().max(first + 1) - first);
        if bytes.len() > 1 {
            self.next_fit = base + first;
        }
        if self.slots.len() <= base + last {
            self.slots.resize(base + last + 1, FREE);
        }
        base
    }

    fn is_free(&self, slot: usize) -> bool {
        self.slots.get(slot).is_none_or(|slot| slot.parent == NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(tokens: &[&[u8]]) -> Trie {
        let mut sorted: Vec<_> = tokens.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        Trie::new(&sorted)
    }

    #[test]
    fn the_longest_token_wins_and_a_dead_end_falls_back() {
        let trie = trie(&[b"a", b"abcd", b"ab", b"ab", b"b"]);
        assert_eq!(trie.longest(b"abcx"), Some((2, 2)));
        assert_eq!(trie.longest(b"abcd"), Some((1, 4)));
        assert_eq!(trie.longest(b"ba"), Some((4, 1)));
        assert_eq!(trie.longest(b"c"), None);
        assert_eq!(trie.longest(b""), None);
    }

    #[test]
    fn an_empty_trie_finds_nothing() {
        for byte in 0..=255 {
            assert_eq!(trie(&[]).longest(&[byte]), None);
        }
    }

    #[test]
    fn it_finds_what_a_search_through_all_tokens_finds() {
        // All strings of up to four of these bytes, but for every seventh: many holes, both ends of the byte range.
        let alphabet = [0, 1, 100, 254, 255];
        let mut tokens: Vec<Vec<u8>> = vec![Vec::new()];
        for end in 0..(1 + 5 + 25 + 125) {
            let token = tokens[end].clone();
            tokens.extend(alphabet.iter().map(|&byte| [&token[..], &[byte]].concat()));
        }
        let texts = tokens.clone();
        tokens.remove(0);
        let mut count = 0;
        tokens.retain(|_| {
            count += 1;
            count % 7 != 0
        });
        let tokens: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let trie = trie(&tokens);
        for text in &texts {
            let expected = (0..).zip(&tokens).filter(|(_, token)| text.starts_with(token)).max_by_key(|(_, t)| t.len());
            assert_eq!(trie.longest(text), expected.map(|(id, token)| (id, token.len())), "{text:?}");
        }
    }
}
