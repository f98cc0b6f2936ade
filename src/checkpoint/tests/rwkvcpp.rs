use super::*;
use crate::checkpoint::MOST_ENTRIES;
use crate::quant::Format;

fn header(version: u32, data_type: u32) -> Vec<u8> {
    [0x6767_6d66, version, 256, 2, 1, data_type].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `dims` as the file has them: innermost first.
fn tensor(name: &str, dims: &[u32], data_type: u32, data: &[u8]) -> Vec<u8> {
    let fields = [dims.len() as u32, name.len() as u32, data_type];
    let mut bytes: Vec<u8> = fields.iter().chain(dims).flat_map(|n| n.to_le_bytes()).collect();
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn file(version: u32, tensors: &[Vec<u8>]) -> Vec<u8> {
    [header(version, 0), tensors.concat()].concat()
}

#[test]
fn dimensions_are_innermost_first_and_numbers_where_the_name_ends() {
    let f16: Vec<u8> = [0x3c00u16, 0xc000].into_iter().flat_map(u16::to_le_bytes).collect();
    let bytes =
        file(101, &[tensor("emb.weight", &[3, 2], 0, &floats(&counting(6))), tensor("ln_out.bias", &[2], 1, &f16)]);
    let checkpoint = open(&bytes).unwrap();
    assert_eq!(read(&checkpoint, "emb.weight"), (vec![2, 3], counting(6)));
    assert_eq!(read(&checkpoint, "ln_out.bias"), (vec![2], vec![1.0, -2.0]));
    let said: Vec<_> = checkpoint.metadata().pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(said, ["version=101", "n_vocab=256", "n_embed=2", "n_layer=1", "data_type=F32"]);
}

#[test]
fn each_version_has_its_own_formats() {
    let listed = |version, id, bytes: usize| {
        let bytes = file(version, &[tensor("head.weight", &[256, 1], id, &vec![0; bytes])]);
        open(&bytes).map(|checkpoint| checkpoint.tensors().next().unwrap().2)
    };
    // Ids and sizes of 256 numbers, after rwkv.cpp's FILE_FORMAT.md and ggml's block structures.
    for (id, bytes, format) in [
        (2, 8 * 20, Format::Q4_0_V100),
        (3, 8 * 24, Format::Q4_1_V100),
        (4, 8 * 24, Format::Q4_1_O),
        (5, 16 * 10, Format::Q4_2),
        (6, 16 * 12, Format::Q4_3),
        (7, 8 * 22, Format::Q5_0_V100),
        (8, 8 * 24, Format::Q5_1_V100),
        (9, 8 * 36, Format::Q8_0_V100),
    ] {
        assert_eq!(listed(100, id, bytes).unwrap(), format);
    }
    for (id, bytes, format) in [
        (2, 8 * 18, Format::Q4_0),
        (3, 8 * 20, Format::Q4_1),
        (7, 8 * 22, Format::Q5_0),
        (8, 8 * 24, Format::Q5_1),
        (9, 8 * 34, Format::Q8_0),
        (11, 84, Format::Q2_K),
        (12, 110, Format::Q3_K),
        (13, 144, Format::Q4_K),
        (14, 176, Format::Q5_K),
        (15, 210, Format::Q6_K),
    ] {
        assert_eq!(listed(101, id, bytes).unwrap(), format);
    }
    for (version, id) in [(100, 10), (101, 4), (101, 5), (101, 6), (101, 10), (101, 16), (101, u32::MAX)] {
        let error = listed(version, id, 512).unwrap_err().to_string();
        assert!(error.contains("head.weight") && error.contains(&format!("data type {id}")), "{error}");
        assert!(error.ends_with("convert the original again"), "{error}");
    }
}

#[test]
fn a_quantized_tensor_is_read_as_the_floats_it_stands_for() {
    // Two rows of Q5_1: d = 0.5, m = -1, q = 0; and the same with q = 31 in the first number.
    let zeros = [&[0x00, 0x38, 0x00, 0xbc][..], &[0; 20]].concat();
    let mut one = zeros.clone();
    (one[4], one[8]) = (1, 15);
    let bytes = file(101, &[tensor("head.weight", &[32, 2], 8, &[zeros, one].concat())]);
    let mut expected = vec![-1.0; 64];
    expected[32] = 14.5;
    assert_eq!(read(&open(&bytes).unwrap(), "head.weight"), (vec![2, 32], expected));
}

#[test]
fn other_versions_are_unsupported() {
    for version in [0, 99, 102, u32::MAX] {
        assert!(matches!(refusal(&file(version, &[])), Error::Unsupported { .. }));
    }
}

#[test]
fn a_truncated_or_changed_bin_never_panics_and_only_whole_tensors_are_accepted() {
    let first = tensor("emb.weight", &[3, 2], 0, &floats(&counting(6)));
    let bytes = file(101, &[first, tensor("blocks.0.att.x_rwkvag", &[2, 1, 6], 0, &floats(&counting(12)))]);
    // Two beginnings are whole: the header, and the header with the first tensor.
    assert_eq!(refused_beginnings(&bytes), bytes.len() - 2);
}

#[test]
fn impossible_sizes_are_errors_before_they_are_memory() {
    let hostile = [
        tensor("emb.weight", &[u32::MAX, u32::MAX], 0, &[]),
        tensor("emb.weight", &[u32::MAX, u32::MAX, u32::MAX], 0, &[]),
        tensor("emb.weight", &[0, 5], 0, &[]),
        tensor("emb.weight", &[5, 0], 0, &[]),
        tensor("emb.weight", &[31, 2], 8, &[0; 48]),
        tensor("emb.weight", &[], 0, &[0; 4]),
        tensor("emb.weight", &[1, 1, 1, 1, 1], 0, &[0; 4]),
        tensor("", &[1], 0, &[0; 4]),
        [1u32, u32::MAX, 0, 1].into_iter().flat_map(u32::to_le_bytes).collect(),
        [u32::MAX, 1, 0, 1].into_iter().flat_map(u32::to_le_bytes).collect(),
        [&[1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0][..], b"\xff\xff", &[0; 4]].concat(),
    ];
    for tensor in hostile {
        let error = refusal(&file(101, &[tensor]));
        assert!(matches!(error, Error::Format { .. }), "{error}");
        assert!(error.to_string().ends_with("download or convert it again"), "{error}");
    }
}

#[test]
fn a_tensor_that_comes_twice_is_an_error() {
    let twice = tensor("ln_out.bias", &[1], 0, &[0; 4]);
    assert!(refusal(&file(100, &[twice.clone(), twice])).to_string().contains("ln_out.bias twice"));
}

#[test]
fn the_six_mixes_of_rwkv_7_come_apart_in_the_order_of_their_name() {
    let fused = tensor("blocks.3.att.x_rwkvag", &[2, 1, 6], 0, &floats(&counting(12)));
    let checkpoint = open(&file(101, &[fused])).unwrap();
    for (i, mix) in ["r", "w", "k", "v", "a", "g"].iter().enumerate() {
        let expected = vec![2.0 * i as f32, 2.0 * i as f32 + 1.0];
        assert_eq!(read(&checkpoint, &format!("blocks.3.att.x_{mix}")), (vec![2], expected));
    }
    assert!(!checkpoint.contains("blocks.3.att.x_rwkvag"));
}

#[test]
fn numbers_are_already_as_the_recurrence_uses_them_and_matrices_as_they_multiply() {
    let vector = |name, dims: &[u32]| tensor(name, dims, 0, &floats(&counting(dims.iter().product::<u32>() as usize)));
    let shape = |tensors: &[Vec<u8>], name: &str| {
        let (shape, values) = read(&open(&file(101, tensors)).unwrap(), name);
        assert_eq!(values, counting(values.len()));
        shape
    };
    let decay = "blocks.0.att.time_decay";
    let faaaa = vector("blocks.0.att.time_faaaa", &[1, 4, 2]);
    let ln_x = vector("blocks.0.att.ln_x.weight", &[8]);
    // RWKV-4, RWKV-5 with a decay for each head (also with one head), with one for each channel, and RWKV-6.
    assert_eq!(shape(&[vector(decay, &[8])], decay), [8]);
    assert_eq!(shape(&[vector(decay, &[1, 1, 2]), ln_x.clone()], decay), [2]);
    assert_eq!(shape(&[vector(decay, &[1, 1, 1]), ln_x.clone()], decay), [1]);
    assert_eq!(shape(&[vector(decay, &[1, 4, 2]), ln_x.clone()], decay), [2, 4]);
    assert_eq!(shape(&[vector(decay, &[1, 8, 1]), ln_x.clone()], decay), [1, 8]);
    let v6 = [vector(decay, &[1, 4, 2]), ln_x, vector("blocks.0.att.time_maa_x", &[8]), faaaa];
    assert_eq!(shape(&v6, decay), [8]);
    assert_eq!(shape(&v6, "blocks.0.att.time_faaaa"), [2, 4]);
    let w1 = vector("blocks.0.att.w1", &[8, 1]);
    assert_eq!(shape(&[w1], "blocks.0.att.w1"), [1, 8]);
}

#[test]
fn more_tensors_than_any_model_has_are_refused() {
    let tensors: Vec<_> = (0..=MOST_ENTRIES).map(|_| tensor("x", &[1], 1, &[0; 2])).collect();
    assert!(refusal(&file(101, &tensors)).to_string().contains("more than 100000 tensors"));
}
