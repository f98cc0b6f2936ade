//! The RWKV World vocabulary that ships with Volary.

use super::tokens::Tokens;
use super::trie::Trie;

/// Written by `tools/world_vocab.py`, which describes it.
const PACKED: &[u8] = include_bytes!("world_vocab.bin");

/// Tokens 1 to 65529, and 0 for the end of a text, which has no bytes.
pub(super) fn unpack() -> (Tokens, Trie) {
    let (text, sorted) = unpack_sorted(PACKED);
    let mut by_id: Vec<usize> = (0..sorted.len()).collect();
    by_id.sort_by_key(|&place| sorted[place].1);
    let mut spans = vec![(0, 0)];
    let mut ids = vec![0; sorted.len()];
    for (id, place) in (1..).zip(by_id) {
        spans.push(sorted[place]);
        ids[place] = id;
    }
    let bytes = |&(start, len): &(u32, u32)| &text[start as usize..(start + len) as usize];
    let trie = Trie::new(&sorted.iter().map(bytes).zip(ids).collect::<Vec<_>>());
    (Tokens::from_spans(text, spans), trie)
}

/// The tokens' bytes in ascending order, and where each begins in them and its length.
fn unpack_sorted(mut packed: &[u8]) -> (Vec<u8>, Vec<(u32, u32)>) {
    let mut text = Vec::new();
    let mut spans = Vec::new();
    let mut previous = 0;
    while let [lengths, rest @ ..] = packed {
        let (shared, len, rest) = match (lengths, rest) {
            (0xff, [shared, len, rest @ ..]) => (*shared, *len, rest),
            _ => (lengths >> 4, lengths & 15, rest),
        };
        let (suffix, rest) = rest.split_at(usize::from(len));
        let start = text.len();
        text.extend_from_within(previous..previous + usize::from(shared));
        text.extend_from_slice(suffix);
        spans.push((start as u32, u32::from(shared) + u32::from(len)));
        (previous, packed) = (start, rest);
    }
    (text, spans)
}
