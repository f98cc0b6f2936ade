//! Panels: 16 rows of a matrix rearranged so that kernels compute 16 outputs at a time (`kernel::layouts`).

use std::borrow::Cow;

use super::Format::{self, *};
use super::blocks::word_at;
use super::kquants::{q3_k_scales, scale_and_min};
use super::legacy::interleaved_nibbles;

/// Rows of a panel.
const ROWS: usize = 16;

/// Bytes of a panel of rows of so many numbers.
pub(crate) fn panel_size(format: Format, cols: usize) -> usize {
    let unit = match format {
        F32 | F16 | BF16 => format.block_bytes() * ROWS,
        Q4_0 | IQ4_NL => 288,
        Q4_1 | Q4_0_V100 | Q4_2 => 320,
        Q5_0 | Q5_0_V100 => 352,
        Q5_1 | Q5_1_V100 | Q4_1_V100 | Q4_1_O | Q4_3 => 384,
        Q8_0 => 544,
        Q8_0_V100 => 576,
        Q2_K => 1344,
        Q3_K => 1824,
        Q4_K => 2368,
        Q5_K => 2880,
        Q6_K => 3360,
    };
    cols.div_ceil(blocks_of_unit(format) * format.block_len()) * unit
}

/// Blocks of a row in a unit: those of 16 numbers are packed in pairs.
fn blocks_of_unit(format: Format) -> usize {
    match format {
        Q4_2 | Q4_3 => 2,
        _ => 1,
    }
}

/// Packs up to 16 rows, one after the other in `rows`, `row_size` bytes each. What is missing, rows or half of a last
/// unit, is zeros.
pub(crate) fn pack(format: Format, rows: &[u8], row_size: usize, panel: &mut [u8]) {
    let block = blocks_of_unit(format) * format.block_bytes();
    let n_units = row_size.div_ceil(block);
    let whole = whole_rows(rows, row_size, n_units * block);
    for (i, unit) in panel.chunks_exact_mut(panel.len() / n_units).enumerate() {
        let rows: [&[u8]; ROWS] = std::array::from_fn(|r| &whole[(r * n_units + i) * block..][..block]);
        match format {
            Q4_0 | IQ4_NL => {
                words::<4>(rows, 2, unit);
                halves(rows, 0, &mut unit[256..]);
            }
            Q4_1 => {
                words::<4>(rows, 4, unit);
                halves(rows, 0, &mut unit[256..]);
                halves(rows, 2, &mut unit[288..]);
            }
            Q5_0 => {
                words::<4>(rows, 6, unit);
                fifths(rows, 2, &mut unit[256..]);
                halves(rows, 0, &mut unit[320..]);
            }
            Q5_1 => {
                words::<4>(rows, 8, unit);
                fifths(rows, 4, &mut unit[256..]);
                halves(rows, 0, &mut unit[320..]);
                halves(rows, 2, &mut unit[352..]);
            }
            Q8_0 => {
                words::<8>(rows, 2, unit);
                halves(rows, 0, &mut unit[512..]);
            }
            Q4_0_V100 => {
                pairs(rows, [4, 12], unit);
                singles(rows, 0, &mut unit[256..]);
            }
            Q4_1_V100 => {
                pairs(rows, [8, 16], unit);
                singles(rows, 0, &mut unit[256..]);
                singles(rows, 4, &mut unit[320..]);
            }
            Q4_1_O => {
                columns(rows, 8, unit);
                halves(rows, 0, &mut unit[256..]);
                halves(rows, 2, &mut unit[288..]);
                halves(rows, 6, &mut unit[320..]);
                halves(rows, 4, &mut unit[352..]);
            }
            Q4_2 => {
                pairs(rows, [2, 12], unit);
                halves(rows, 0, &mut unit[256..]);
                halves(rows, 10, &mut unit[288..]);
            }
            Q4_3 => {
                pairs(rows, [4, 16], unit);
                halves(rows, 0, &mut unit[256..]);
                halves(rows, 12, &mut unit[288..]);
                halves(rows, 2, &mut unit[320..]);
                halves(rows, 14, &mut unit[352..]);
            }
            Q5_0_V100 => {
                pairs(rows, [6, 14], unit);
                fifths(rows, 2, &mut unit[256..]);
                halves(rows, 0, &mut unit[320..]);
            }
            Q5_1_V100 => {
                pairs(rows, [8, 16], unit);
                fifths(rows, 4, &mut unit[256..]);
                halves(rows, 0, &mut unit[320..]);
                halves(rows, 2, &mut unit[352..]);
            }
            Q8_0_V100 => {
                words::<8>(rows, 4, unit);
                singles(rows, 0, &mut unit[512..]);
            }
            Q2_K => q2_k(rows, unit),
            Q3_K => q3_k(rows, unit),
            Q4_K => q4_k(rows, unit),
            Q5_K => q5_k(rows, unit),
            Q6_K => q6_k(rows, unit),
            // A unit is a column.
            F32 | F16 | BF16 => {
                for (row, out) in rows.iter().zip(unit.chunks_exact_mut(block)) {
                    out.copy_from_slice(row);
                }
            }
        }
    }
}

/// Four numbers' bytes of row `r` in the group at `at`.
fn place(unit: &mut [u8], at: usize, r: usize, word: u32) {
    unit[at + 4 * r..][..4].copy_from_slice(&word.to_le_bytes());
}

/// `N` words of each row, from the byte `at` on: nibbles and bytes of blocks of 32 are in the right order as they are.
fn words<const N: usize>(rows: [&[u8]; ROWS], at: usize, unit: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        for i in 0..N {
            place(unit, 64 * i, r, word_at(row, at + 4 * i));
        }
    }
}

/// All rows of a panel, each of `size` bytes, with zeros for what is missing.
fn whole_rows(rows: &[u8], row_size: usize, size: usize) -> Cow<'_, [u8]> {
    if rows.len() == ROWS * size {
        return Cow::Borrowed(rows);
    }
    let mut whole = vec![0; ROWS * size];
    for (row, whole) in rows.chunks(row_size).zip(whole.chunks_exact_mut(size)) {
        whole[..row_size].copy_from_slice(row);
    }
    Cow::Owned(whole)
}

/// Interleaved nibbles of each row, as version 100 has them: those of 16 numbers begin at `halves[0]`, the others'
/// at `halves[1]`.
fn pairs(rows: [&[u8]; ROWS], halves: [usize; 2], unit: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        for i in 0..4 {
            let [low, high] = halves.map(|at| four_nibbles([row[at + 2 * i], row[at + 2 * i + 1]]));
            place(unit, 64 * i, r, low | high << 4);
        }
    }
}

/// Interleaved nibbles of each row in columns of 16 bytes: those of the numbers 0 to 15, and as high nibbles the others.
fn columns(rows: [&[u8]; ROWS], at: usize, unit: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        let levels: [u8; 32] = interleaved_nibbles(row, at);
        for i in 0..16 {
            unit[16 * i + r] = levels[i] | levels[i + 16] << 4;
        }
    }
}

/// Four nibbles to the low nibbles of four bytes.
fn four_nibbles(bytes: [u8; 2]) -> u32 {
    let [first, second] = bytes.map(u32::from);
    let word = first | second << 16;
    (word | word << 4) & LOW_NIBBLES
}

/// The half-precision number at `at` of each row.
fn halves(rows: [&[u8]; ROWS], at: usize, out: &mut [u8]) {
    numbers::<2>(rows, at, out);
}

/// The single-precision number at `at` of each row.
fn singles(rows: [&[u8]; ROWS], at: usize, out: &mut [u8]) {
    numbers::<4>(rows, at, out);
}

fn numbers<const BYTES: usize>(rows: [&[u8]; ROWS], at: usize, out: &mut [u8]) {
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(BYTES)) {
        out.copy_from_slice(&row[at..at + BYTES]);
    }
}

/// The fifth bits of 32 numbers, bit `i` of the word at `at` for number `i`.
fn fifths(rows: [&[u8]; ROWS], at: usize, out: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        let bits = word_at(row, at);
        place(out, 0, r, group_bits(|group| spread(bits >> (4 * group) & 15)));
    }
}

/// Four bits to the lowest bits of four bytes.
fn spread(bits: u32) -> u32 {
    (bits * 0x0020_4081) & 0x0101_0101
}

/// One bit for each of a block's numbers: `bits` gives a group's, in the lowest bits of four bytes. The first four groups
/// have the bits 4 to 7, the others 0 to 3.
fn group_bits(bits: impl Fn(u32) -> u32) -> u32 {
    (0..8).fold(0, |word, group| word | bits(group) << ((group + 4) % 8))
}

const LOW_NIBBLES: u32 = 0x0f0f_0f0f;
const PAIRS: u32 = 0x0303_0303;
const BITS: u32 = 0x0101_0101;

/// Nibbles of one of a super-block's blocks: of 64 numbers the first 32 are in the low nibbles, the others in the high ones.
fn block_nibbles(row: &[u8], at: usize, block: usize, unit: &mut [u8], r: usize) {
    let at = at + 32 * (block / 2);
    for i in 0..4 {
        let (first, second) = (word_at(row, at + 4 * i), word_at(row, at + 16 + 4 * i));
        let shift = 4 * (block % 2);
        place(unit, 64 * i, r, (first >> shift & LOW_NIBBLES) | (second >> shift & LOW_NIBBLES) << 4);
    }
}

fn q4_k(rows: [&[u8]; ROWS], unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 0, head);
    halves(rows, 2, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(288).enumerate() {
        for (r, row) in rows.iter().enumerate() {
            block_nibbles(row, 16, b, block, r);
            (block[256 + r], block[272 + r]) = scale_and_min(&row[4..16], b);
        }
    }
}

fn q5_k(rows: [&[u8]; ROWS], unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 0, head);
    halves(rows, 2, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(352).enumerate() {
        for (r, row) in rows.iter().enumerate() {
            block_nibbles(row, 48, b, block, r);
            place(block, 256, r, group_bits(|group| word_at(row, 16 + 4 * group as usize) >> b & BITS));
            (block[320 + r], block[336 + r]) = scale_and_min(&row[4..16], b);
        }
    }
}

fn q6_k(rows: [&[u8]; ROWS], unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(32);
    halves(rows, 208, head);
    for (b, block) in blocks.chunks_exact_mut(416).enumerate() {
        // Of each 128 numbers, the quarter tells which nibbles and which pairs of bits are a block's.
        let (half, quarter) = (b / 4, b % 4);
        for (r, row) in rows.iter().enumerate() {
            let nibbles = |group: usize| {
                word_at(row, 64 * half + 32 * (quarter % 2) + 4 * group) >> (4 * (quarter / 2)) & LOW_NIBBLES
            };
            let pairs = |group: usize| word_at(row, 128 + 32 * half + 4 * group) >> (2 * quarter) & PAIRS;
            for i in 0..4 {
                place(block, 64 * i, r, nibbles(i) | nibbles(i + 4) << 4);
            }
            for i in 0..2 {
                let word = pairs(4 * i) << 4 | pairs(4 * i + 1) << 6 | pairs(4 * i + 2) | pairs(4 * i + 3) << 2;
                place(block, 256 + 64 * i, r, word);
            }
            (block[384 + r], block[400 + r]) = (row[192 + 2 * b], row[193 + 2 * b]);
        }
    }
}

/// Pairs of bits of one of the blocks of `Q2_K` and `Q3_K`.
fn block_pairs(row: &[u8], at: usize, block: usize, unit: &mut [u8], r: usize) {
    let pairs = |group: usize| word_at(row, at + 32 * (block / 4) + 4 * group) >> (2 * (block % 4)) & PAIRS;
    for i in 0..2 {
        let word = (0..4).fold(0, |word, group| word | pairs(4 * i + group) << (2 * group));
        place(unit, 64 * i, r, word);
    }
}

fn q3_k(rows: [&[u8]; ROWS], unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(32);
    halves(rows, 108, head);
    let scales = rows.map(|row| q3_k_scales(&row[96..108]).map(|scale| scale.wrapping_sub(32)));
    for (b, block) in blocks.chunks_exact_mut(224).enumerate() {
        for (r, row) in rows.iter().enumerate() {
            block_pairs(row, 32, b, block, r);
            // The first six groups have the bits 2 to 7.
            let bits = |group: u32| (word_at(row, 4 * group as usize) >> b & BITS) << ((group + 2) % 8);
            place(block, 128, r, (0..8).fold(0, |word, group| word | bits(group)));
            (block[192 + r], block[208 + r]) = (scales[r][2 * b], scales[r][2 * b + 1]);
        }
    }
}

fn q2_k(rows: [&[u8]; ROWS], unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 80, head);
    halves(rows, 82, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(160).enumerate() {
        for (r, row) in rows.iter().enumerate() {
            block_pairs(row, 16, b, block, r);
            (block[128 + r], block[144 + r]) = (row[2 * b], row[2 * b + 1]);
        }
    }
}
