//! Models of every generation in any sizes: one channel, one token, heads that no vector register divides.

use super::entry::golden;
use super::random::Random;

/// The golden files, and which of their dimensions are what: channels, tokens, hidden channels, heads, head size (0: not
/// in the file); the others but 1, 5 and 6 are ranks.
const FILES: [(&str, [u32; 5]); 5] = [
    ("v4-101.bin", [32, 256, 96, 0, 0]),
    ("v5.0-101.bin", [32, 256, 96, 2, 0]),
    ("v5.2-101.bin", [32, 256, 96, 2, 16]),
    ("v6-101.bin", [32, 256, 96, 2, 16]),
    ("v7-101.bin", [64, 256, 96, 2, 32]),
];

/// A `.bin` of the sizes that the bytes say, with random numbers.
pub fn model(input: &[u8]) -> Vec<u8> {
    let word = |i: usize| u32::from(input.get(i).copied().unwrap_or(1));
    let (file, [n_embd, n_vocab, n_ffn, n_head, head_size]) = FILES[word(0) as usize % FILES.len()];
    let (new_heads, new_head, rank, layers) = (word(1) % 7, word(2) + word(3) % 8, word(4) % 34, word(5) % 3);
    let new_embd = (new_heads * new_head).min(520);
    let resized = |dim: u32| match dim {
        dim if dim == n_embd => new_embd,
        dim if dim == n_vocab => word(6) + 1,
        dim if dim == n_ffn => word(7),
        dim if dim == n_head => new_heads,
        dim if dim == head_size => new_head,
        1 | 5 | 6 => dim,
        40 => 5 * rank,
        _ => rank,
    };
    let bytes = std::fs::read(golden(file)).unwrap();
    let mut out: Vec<u8> =
        [u32::from_le_bytes(*b"fmgg"), 101, resized(n_vocab), new_embd, layers, 0].map(u32::to_le_bytes).concat();
    let mut random = Random::new(word(8).into());
    let mut rest = &bytes[24..];
    while !rest.is_empty() {
        let mut take = |n: usize| rest.split_off(..n).unwrap();
        let mut number = || u32::from_le_bytes(take(4).try_into().unwrap());
        let [n_dims, name_len, data_type] = [number(), number(), number()];
        let dims: Vec<u32> = (0..n_dims).map(|_| number()).collect();
        let name = take(name_len as usize);
        take(dims.iter().product::<u32>() as usize * [4, 2][data_type as usize]);
        let layer = std::str::from_utf8(name).unwrap().strip_prefix("blocks.").map(|rest| rest.as_bytes()[0] - b'0');
        if layer.is_some_and(|layer| u32::from(layer) >= layers) {
            continue;
        }
        let dims: Vec<u32> = dims.into_iter().map(resized).collect();
        let fields = [n_dims, name_len, 0].into_iter().chain(dims.iter().copied());
        out.extend(fields.flat_map(u32::to_le_bytes));
        out.extend(name);
        let count = dims.iter().product::<u32>();
        out.extend((0..count).flat_map(|_| (random.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes()));
    }
    out
}
