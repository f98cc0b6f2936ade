//! Panels: 16 rows of a matrix rearranged so that kernels compute 16 outputs at a time (`kernel::layouts`).

use std::borrow::Cow;

use super::Format::{self, *};
use super::blocks::{run_at, word_at};
use super::kquants::{q3_k_scales, scale_and_min};
use super::legacy::interleaved_nibbles;

/// Rows of a panel.
const ROWS: usize = 16;

/// One block of each row, or several that make a unit.
type Rows<'a> = [&'a [u8]; ROWS];

/// Four bytes of each row.
type Group = [[u8; 4]; ROWS];

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
    let pack_unit: fn(Rows, &mut [u8]) = match format {
        Q4_0 | IQ4_NL => |rows, unit| {
            words::<4>(rows, 2, unit);
            halves(rows, 0, &mut unit[256..]);
        },
        Q4_1 => |rows, unit| {
            words::<4>(rows, 4, unit);
            halves(rows, 0, &mut unit[256..]);
            halves(rows, 2, &mut unit[288..]);
        },
        Q5_0 => |rows, unit| {
            words::<4>(rows, 6, unit);
            fifths(rows, 2, &mut unit[256..]);
            halves(rows, 0, &mut unit[320..]);
        },
        Q5_1 => |rows, unit| {
            words::<4>(rows, 8, unit);
            fifths(rows, 4, &mut unit[256..]);
            halves(rows, 0, &mut unit[320..]);
            halves(rows, 2, &mut unit[352..]);
        },
        Q8_0 => |rows, unit| {
            words::<8>(rows, 2, unit);
            halves(rows, 0, &mut unit[512..]);
        },
        Q4_0_V100 => |rows, unit| {
            pairs(rows, [4, 12], unit);
            singles(rows, 0, &mut unit[256..]);
        },
        Q4_1_V100 => |rows, unit| {
            pairs(rows, [8, 16], unit);
            singles(rows, 0, &mut unit[256..]);
            singles(rows, 4, &mut unit[320..]);
        },
        Q4_1_O => |rows, unit| {
            columns(rows, 8, unit);
            halves(rows, 0, &mut unit[256..]);
            halves(rows, 2, &mut unit[288..]);
            halves(rows, 6, &mut unit[320..]);
            halves(rows, 4, &mut unit[352..]);
        },
        Q4_2 => |rows, unit| {
            pairs(rows, [2, 12], unit);
            halves(rows, 0, &mut unit[256..]);
            halves(rows, 10, &mut unit[288..]);
        },
        Q4_3 => |rows, unit| {
            pairs(rows, [4, 16], unit);
            halves(rows, 0, &mut unit[256..]);
            halves(rows, 12, &mut unit[288..]);
            halves(rows, 2, &mut unit[320..]);
            halves(rows, 14, &mut unit[352..]);
        },
        Q5_0_V100 => |rows, unit| {
            pairs(rows, [6, 14], unit);
            fifths(rows, 2, &mut unit[256..]);
            halves(rows, 0, &mut unit[320..]);
        },
        Q5_1_V100 => |rows, unit| {
            pairs(rows, [8, 16], unit);
            fifths(rows, 4, &mut unit[256..]);
            halves(rows, 0, &mut unit[320..]);
            halves(rows, 2, &mut unit[352..]);
        },
        Q8_0_V100 => |rows, unit| {
            words::<8>(rows, 4, unit);
            singles(rows, 0, &mut unit[512..]);
        },
        Q2_K => q2_k,
        Q3_K => q3_k,
        Q4_K => q4_k,
        Q5_K => q5_k,
        Q6_K => q6_k,
        F16 | BF16 => return transpose::<2>(&whole, row_size, panel),
        F32 => return transpose::<4>(&whole, row_size, panel),
    };
    for (i, unit) in panel.chunks_exact_mut(panel.len() / n_units).enumerate() {
        pack_unit(std::array::from_fn(|r| &whole[(r * n_units + i) * block..][..block]), unit);
    }
}

/// The first `N` groups of a unit.
fn groups<const N: usize>(unit: &mut [u8]) -> &mut [Group; N] {
    &mut unit.as_chunks_mut().0.as_chunks_mut().0.as_chunks_mut().0[0]
}

/// The `N` words at `at`.
fn words_at<const N: usize>(row: &[u8], at: usize) -> [u32; N] {
    let bytes = row[at..at + 4 * N].as_chunks().0;
    std::array::from_fn(|i| u32::from_le_bytes(bytes[i]))
}

/// Writes a word of row `r` into each group.
fn place<const N: usize>(groups: &mut [Group; N], r: usize, words: [u32; N]) {
    for (group, word) in groups.iter_mut().zip(words) {
        group[r] = word.to_le_bytes();
    }
}

/// `N` words of each row, from the byte `at` on: nibbles and bytes of blocks of 32 are in the right order as they are.
fn words<const N: usize>(rows: Rows, at: usize, unit: &mut [u8]) {
    let groups = groups::<N>(unit);
    for (r, row) in rows.iter().enumerate() {
        place(groups, r, words_at(row, at));
    }
}

/// Columns of numbers of `BYTES` bytes each.
fn transpose<const BYTES: usize>(rows: &[u8], row_size: usize, panel: &mut [u8]) {
    /// Columns whose cache lines stay in the processor until they are full.
    const TILE: usize = 64;
    let columns: &mut [[[u8; BYTES]; ROWS]] = panel.as_chunks_mut().0.as_chunks_mut().0;
    for (i, tile) in columns.chunks_mut(TILE).enumerate() {
        for (r, row) in rows.chunks_exact(row_size).enumerate() {
            let numbers = &row.as_chunks().0[i * TILE..];
            for (column, number) in tile.iter_mut().zip(numbers) {
                column[r] = *number;
            }
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
fn pairs(rows: Rows, halves: [usize; 2], unit: &mut [u8]) {
    let groups = groups::<4>(unit);
    for (r, row) in rows.iter().enumerate() {
        let [low, high] = halves.map(|at| row[at..at + 8].as_chunks::<2>().0);
        place(groups, r, std::array::from_fn(|i| four_nibbles(low[i]) | four_nibbles(high[i]) << 4));
    }
}

/// Interleaved nibbles of each row in columns of 16 bytes: those of the numbers 0 to 15, and as high nibbles the others.
fn columns(rows: Rows, at: usize, unit: &mut [u8]) {
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
fn halves(rows: Rows, at: usize, out: &mut [u8]) {
    numbers::<2>(rows, at, out);
}

/// The single-precision number at `at` of each row.
fn singles(rows: Rows, at: usize, out: &mut [u8]) {
    numbers::<4>(rows, at, out);
}

fn numbers<const BYTES: usize>(rows: Rows, at: usize, out: &mut [u8]) {
    for (row, out) in rows.iter().zip(out.as_chunks_mut::<BYTES>().0) {
        *out = run_at(row, at);
    }
}

/// The fifth bits of 32 numbers, bit `i` of the word at `at` for number `i`.
fn fifths(rows: Rows, at: usize, out: &mut [u8]) {
    let groups = groups(out);
    for (r, row) in rows.iter().enumerate() {
        let bits = word_at(row, at);
        place(groups, r, [group_bits(|group| spread(bits >> (4 * group) & 15))]);
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

/// A block's groups, and after them two bytes of each row: scale and minimum, or the scales of both halves.
fn parts<const N: usize>(block: &mut [u8]) -> (&mut [Group; N], &mut [[u8; ROWS]; 2]) {
    let (first, last) = block.split_at_mut(64 * N);
    (groups(first), &mut last.as_chunks_mut().0.as_chunks_mut().0[0])
}

/// Nibbles of one of a super-block's blocks: of 64 numbers the first 32 are in the low nibbles, the others in the high ones.
fn block_nibbles(row: &[u8], at: usize, block: usize) -> [u32; 4] {
    let words: [u32; 8] = words_at(row, at + 32 * (block / 2)).map(|word| word >> (4 * (block % 2)) & LOW_NIBBLES);
    std::array::from_fn(|i| words[i] | words[i + 4] << 4)
}

fn q4_k(rows: Rows, unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 0, head);
    halves(rows, 2, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(288).enumerate() {
        let (groups, [scale, min]) = parts(block);
        for (r, row) in rows.iter().enumerate() {
            place(groups, r, block_nibbles(row, 16, b));
            (scale[r], min[r]) = scale_and_min(&row[4..16], b);
        }
    }
}

fn q5_k(rows: Rows, unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 0, head);
    halves(rows, 2, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(352).enumerate() {
        let (groups, [scale, min]) = parts(block);
        for (r, row) in rows.iter().enumerate() {
            let [first, second, third, fourth] = block_nibbles(row, 48, b);
            let bits: [u32; 8] = words_at(row, 16);
            let fifths = group_bits(|group| bits[group as usize] >> b & BITS);
            place(groups, r, [first, second, third, fourth, fifths]);
            (scale[r], min[r]) = scale_and_min(&row[4..16], b);
        }
    }
}

fn q6_k(rows: Rows, unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(32);
    halves(rows, 208, head);
    for (b, block) in blocks.chunks_exact_mut(416).enumerate() {
        let (groups, [first_scale, second_scale]) = parts(block);
        // Of each 128 numbers, the quarter tells which nibbles and which pairs of bits are a block's.
        let (half, quarter) = (b / 4, b % 4);
        for (r, row) in rows.iter().enumerate() {
            let n: [u32; 8] =
                words_at(row, 64 * half + 32 * (quarter % 2)).map(|word| word >> (4 * (quarter / 2)) & LOW_NIBBLES);
            let p: [u32; 8] = words_at(row, 128 + 32 * half).map(|word| word >> (2 * quarter) & PAIRS);
            let [first, second] = [0, 4].map(|i| p[i] << 4 | p[i + 1] << 6 | p[i + 2] | p[i + 3] << 2);
            place(groups, r, [n[0] | n[4] << 4, n[1] | n[5] << 4, n[2] | n[6] << 4, n[3] | n[7] << 4, first, second]);
            (first_scale[r], second_scale[r]) = (row[192 + 2 * b], row[193 + 2 * b]);
        }
    }
}

/// Pairs of bits of one of the blocks of `Q2_K` and `Q3_K`.
fn block_pairs(row: &[u8], at: usize, block: usize) -> [u32; 2] {
    let p: [u32; 8] = words_at(row, at + 32 * (block / 4)).map(|word| word >> (2 * (block % 4)) & PAIRS);
    [0, 4].map(|i| p[i] | p[i + 1] << 2 | p[i + 2] << 4 | p[i + 3] << 6)
}

fn q3_k(rows: Rows, unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(32);
    halves(rows, 108, head);
    let row_scales = rows.map(|row| q3_k_scales(&row[96..108]).map(|scale| scale.wrapping_sub(32)));
    for (b, block) in blocks.chunks_exact_mut(224).enumerate() {
        let (groups, [first, second]) = parts(block);
        for (r, row) in rows.iter().enumerate() {
            let [low, high] = block_pairs(row, 32, b);
            let bits: [u32; 8] = words_at(row, 0);
            // The first six groups have the bits 2 to 7.
            let thirds = (0..8).fold(0, |word, group| word | (bits[group] >> b & BITS) << ((group + 2) % 8));
            place(groups, r, [low, high, thirds]);
            (first[r], second[r]) = (row_scales[r][2 * b], row_scales[r][2 * b + 1]);
        }
    }
}

fn q2_k(rows: Rows, unit: &mut [u8]) {
    let (head, blocks) = unit.split_at_mut(64);
    halves(rows, 80, head);
    halves(rows, 82, &mut head[32..]);
    for (b, block) in blocks.chunks_exact_mut(160).enumerate() {
        let (groups, [first, second]) = parts(block);
        for (r, row) in rows.iter().enumerate() {
            place(groups, r, block_pairs(row, 16, b));
            (first[r], second[r]) = (row[2 * b], row[2 * b + 1]);
        }
    }
}
