use safetensors::tensor::{Dtype, TensorView};

use super::gguf::{File, U32};
use super::*;

/// A `.safetensors` file of these names and shapes, each filled with 0, 1, 2, …
fn safetensors(tensors: &[(&str, &[usize])]) -> Checkpoint {
    let data: Vec<_> = tensors.iter().map(|(_, shape)| floats(&counting(shape.iter().product()))).collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (name.to_string(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    open(&safetensors::serialize(views, None).unwrap()).unwrap()
}

/// What became of one tensor in the company of others.
fn canonical(tensor: (&str, &[usize]), others: &[(&str, &[usize])]) -> (String, Vec<usize>, Vec<f32>) {
    let checkpoint = safetensors(&[&[tensor], others].concat());
    let mut found = checkpoint.tensors().filter(|(name, ..)| !others.iter().any(|(other, _)| name == other));
    let name = found.next().unwrap().0.to_string();
    let (shape, values) = read(&checkpoint, &name);
    (name, shape, values)
}

fn assert_renamed(theirs: &[(&str, &str)]) {
    for (theirs, ours) in theirs {
        let others: &[(&str, &[usize])] = &[("model.layers.7.x", &[1])];
        let others = if theirs.starts_with("rwkv.") || theirs.starts_with("head") { &[] } else { others };
        let checkpoint = safetensors(&[&[(*theirs, &[2usize, 2][..])], others].concat());
        assert!(checkpoint.contains(ours), "{theirs} did not become {ours}");
    }
}

#[test]
fn transformers_names_become_blinkdls() {
    assert_renamed(&[
        ("rwkv.embeddings.weight", "emb.weight"),
        ("rwkv.blocks.0.pre_ln.bias", "blocks.0.ln0.bias"),
        ("rwkv.blocks.3.ln1.weight", "blocks.3.ln1.weight"),
        ("rwkv.blocks.3.attention.time_decay", "blocks.3.att.time_decay"),
        ("rwkv.blocks.3.attention.time_first", "blocks.3.att.time_first"),
        ("rwkv.blocks.3.attention.time_mix_key", "blocks.3.att.time_mix_k"),
        ("rwkv.blocks.3.attention.time_mix_value", "blocks.3.att.time_mix_v"),
        ("rwkv.blocks.3.attention.time_mix_receptance", "blocks.3.att.time_mix_r"),
        ("rwkv.blocks.3.attention.time_mix_gate", "blocks.3.att.time_mix_g"),
        ("rwkv.blocks.3.attention.receptance.weight", "blocks.3.att.receptance.weight"),
        ("rwkv.blocks.3.attention.ln_x.weight", "blocks.3.att.ln_x.weight"),
        ("rwkv.blocks.3.attention.time_maa_w1", "blocks.3.att.time_maa_w1"),
        ("rwkv.blocks.3.feed_forward.time_mix_key", "blocks.3.ffn.time_mix_k"),
        ("rwkv.blocks.3.feed_forward.time_mix_receptance", "blocks.3.ffn.time_mix_r"),
        ("rwkv.blocks.3.feed_forward.key.weight", "blocks.3.ffn.key.weight"),
        ("rwkv.ln_out.bias", "ln_out.bias"),
        ("head.weight", "head.weight"),
    ]);
}

#[test]
fn flas_names_become_blinkdls() {
    assert_renamed(&[
        ("model.embeddings.weight", "emb.weight"),
        ("model.norm.bias", "ln_out.bias"),
        ("lm_head.weight", "head.weight"),
        ("model.layers.0.pre_norm.weight", "blocks.0.ln0.weight"),
        ("model.layers.3.attn_norm.weight", "blocks.3.ln1.weight"),
        ("model.layers.3.ffn_norm.bias", "blocks.3.ln2.bias"),
        ("model.layers.3.attn.x_r", "blocks.3.att.x_r"),
        ("model.layers.3.attn.k_k", "blocks.3.att.k_k"),
        ("model.layers.3.attn.r_k", "blocks.3.att.r_k"),
        ("model.layers.3.attn.r_proj.weight", "blocks.3.att.receptance.weight"),
        ("model.layers.3.attn.k_proj.weight", "blocks.3.att.key.weight"),
        ("model.layers.3.attn.v_proj.weight", "blocks.3.att.value.weight"),
        ("model.layers.3.attn.o_proj.weight", "blocks.3.att.output.weight"),
        ("model.layers.3.attn.g_norm.weight", "blocks.3.att.ln_x.weight"),
        ("model.layers.3.attn.w_lora.lora.0.weight", "blocks.3.att.w1"),
        ("model.layers.3.attn.a_lora.lora.2.weight", "blocks.3.att.a2"),
        ("model.layers.3.attn.v_lora.lora.2.bias", "blocks.3.att.v0"),
        ("model.layers.3.attn.g_lora.lora.2.weight", "blocks.3.att.g2"),
        ("model.layers.3.ffn.x_k", "blocks.3.ffn.x_k"),
        ("model.layers.3.ffn.value.weight", "blocks.3.ffn.value.weight"),
    ]);
}

#[test]
fn flas_low_rank_matrices_already_are_as_they_multiply_and_blinkdls_are_turned() {
    let (name, shape, values) = canonical(("model.layers.0.attn.w_lora.lora.0.weight", &[2, 3]), &[]);
    assert_eq!((name.as_str(), shape, values), ("blocks.0.att.w1", vec![2, 3], counting(6)));
    for low_rank in ["w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2", "time_maa_w1", "time_decay_w1", "time_decay_w2"] {
        let (_, shape, values) = canonical((&format!("blocks.0.att.{low_rank}"), &[3, 2]), &[]);
        assert_eq!((shape, values), (vec![2, 3], vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0]), "{low_rank}");
    }
    let (_, shape, values) = canonical(("blocks.0.att.time_maa_w2", &[2, 3, 2]), &[]);
    let turned = vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0];
    assert_eq!((shape, values), (vec![2, 2, 3], turned));
    let (_, shape, values) = canonical(("blocks.0.att.key.weight", &[2, 3]), &[]);
    assert_eq!((shape, values), (vec![2, 3], counting(6)));
}

#[test]
fn flas_older_fused_mixes_come_apart() {
    let checkpoint = safetensors(&[("model.layers.2.attn.x_x", &[6, 2])]);
    for (i, mix) in ["r", "w", "k", "v", "a", "g"].iter().enumerate() {
        let expected = vec![2.0 * i as f32, 2.0 * i as f32 + 1.0];
        assert_eq!(read(&checkpoint, &format!("blocks.2.att.x_{mix}")), (vec![2], expected));
    }
}

#[test]
fn training_prefixes_go_only_before_blinkdls_names() {
    for name in ["emb.weight", "blocks.3.ln1.bias", "ln_out.weight", "head.weight"] {
        for prefix in ["model.", "_forward_module.", "_forward_module.model."] {
            let theirs = format!("{prefix}{name}");
            assert!(safetensors(&[(&theirs, &[1])]).contains(name), "{theirs}");
        }
    }
    assert!(safetensors(&[("model.encoder.weight", &[1])]).contains("model.encoder.weight"));
}

#[test]
fn unknown_names_and_loras_pass_as_they_are() {
    for (name, shape) in [
        ("blocks.0.att.key.lora_A", &[1, 4][..]),
        ("blocks.0.att.key.lora_B", &[4, 1]),
        ("blocks.0.ffn.s_emb_x.weight", &[1, 4]),
        ("blocks.0.att.time_state", &[1, 2, 2]),
        ("blocks.0.att.time_maa_rkvw_w1", &[1, 4]),
        ("blocks.99999999999999999999999.att.odd", &[1, 4]),
        ("blocks..att.", &[1, 4]),
        ("", &[1, 4]),
    ] {
        assert_eq!(canonical((name, shape), &[]), (name.to_string(), shape.to_vec(), counting(4)));
    }
}

const LN_X: (&str, &[usize]) = ("blocks.0.att.ln_x.weight", &[2]);

#[test]
fn the_decay_stands_as_each_generations_recurrence_uses_it() {
    let decay = |shape, others: &[(&str, &[usize])]| {
        let (_, shape, values) = canonical(("blocks.0.att.time_decay", shape), others);
        (shape, values)
    };
    let minus_exp = vec![-1.0, -1f32.exp()];
    let exp_minus_exp: Vec<f32> = counting(4).iter().map(|x| (-x.exp()).exp()).collect();
    assert_eq!(decay(&[2], &[]), (vec![2], minus_exp));
    assert_eq!(decay(&[1], &[LN_X]), (vec![1], exp_minus_exp[..1].to_vec()));
    assert_eq!(decay(&[2], &[LN_X]), (vec![2], exp_minus_exp[..2].to_vec()));
    assert_eq!(decay(&[2, 2], &[LN_X]), (vec![2, 2], exp_minus_exp.clone()));
    assert_eq!(decay(&[1, 4], &[LN_X]), (vec![1, 4], exp_minus_exp));
    assert_eq!(decay(&[1, 1, 4], &[LN_X, ("blocks.0.att.time_maa_x", &[2])]), (vec![4], counting(4)));
    // A float16 or bfloat16 file's decay is computed, and comes out, in f32.
    let halves: Vec<u8> = [0u16, 0x3f80].into_iter().flat_map(u16::to_le_bytes).collect();
    let view = TensorView::new(Dtype::BF16, vec![2], &halves).unwrap();
    let checkpoint = open(&safetensors::serialize([("blocks.0.att.time_decay", view)], None).unwrap()).unwrap();
    assert_eq!(checkpoint.tensors().next().unwrap().2, crate::quant::Format::F32);
    assert_eq!(read(&checkpoint, "blocks.0.att.time_decay").1, [-1.0, -1f32.exp()]);
}

#[test]
fn only_rwkv_5s_time_first_is_an_exponent() {
    let first = ("blocks.0.att.time_first", &[2][..]);
    assert_eq!(canonical(first, &[]).2, counting(2));
    assert_eq!(canonical(first, &[LN_X]).2, [1.0, 1f32.exp()]);
    assert_eq!(canonical(("blocks.0.att.time_faaaa", &[2]), &[LN_X]).2, counting(2));
}

#[test]
fn vectors_lose_the_dimensions_of_broadcasting_and_heads_keep_theirs() {
    for vector in ["att.time_mix_k", "ffn.time_mix_r", "att.time_maa_x", "att.x_r", "ffn.x_k", "att.w0", "att.k_a"] {
        assert_eq!(canonical((&format!("blocks.0.{vector}"), &[1, 1, 4]), &[]).1, [4], "{vector}");
    }
    assert_eq!(canonical(("blocks.0.att.x_r", &[1, 1, 1]), &[]).1, [1]);
    assert_eq!(canonical(("blocks.0.att.r_k", &[1, 4]), &[]).1, [1, 4]);
    assert_eq!(canonical(("blocks.0.att.time_faaaa", &[2, 2]), &[]).1, [2, 2]);
}

#[test]
fn gguf_rwkv7_becomes_blinkdls() {
    let mut file = File::new("rwkv7").pair("rwkv7.wkv.head_size", U32, &2u32.to_le_bytes());
    let renamed: [(&str, &str, &[u64], &[usize]); 22] = [
        ("token_embd.weight", "emb.weight", &[4, 3], &[3, 4]),
        ("token_embd_norm.bias", "blocks.0.ln0.bias", &[4], &[4]),
        ("output_norm.weight", "ln_out.weight", &[4], &[4]),
        ("output.weight", "head.weight", &[4, 3], &[3, 4]),
        ("blk.1.attn_norm.weight", "blocks.1.ln1.weight", &[4], &[4]),
        ("blk.1.attn_norm_2.bias", "blocks.1.ln2.bias", &[4], &[4]),
        ("blk.1.time_mix_w0.weight", "blocks.1.att.w0", &[4], &[4]),
        ("blk.1.time_mix_w1.weight", "blocks.1.att.w1", &[4, 3], &[3, 4]),
        ("blk.1.time_mix_v2.weight", "blocks.1.att.v2", &[3, 4], &[4, 3]),
        ("blk.1.time_mix_g1.weight", "blocks.1.att.g1", &[4, 3], &[3, 4]),
        ("blk.1.time_mix_k_k.weight", "blocks.1.att.k_k", &[4], &[4]),
        ("blk.1.time_mix_k_a.weight", "blocks.1.att.k_a", &[4], &[4]),
        ("blk.1.time_mix_r_k.weight", "blocks.1.att.r_k", &[4], &[2, 2]),
        ("blk.1.time_mix_key.weight", "blocks.1.att.key.weight", &[4, 4], &[4, 4]),
        ("blk.1.time_mix_value.weight", "blocks.1.att.value.weight", &[4, 4], &[4, 4]),
        ("blk.1.time_mix_receptance.weight", "blocks.1.att.receptance.weight", &[4, 4], &[4, 4]),
        ("blk.1.time_mix_output.weight", "blocks.1.att.output.weight", &[4, 4], &[4, 4]),
        ("blk.1.time_mix_ln.weight", "blocks.1.att.ln_x.weight", &[4], &[4]),
        ("blk.1.time_mix_ln.bias", "blocks.1.att.ln_x.bias", &[4], &[4]),
        ("blk.1.channel_mix_lerp_k.weight", "blocks.1.ffn.x_k", &[4, 1, 1], &[4]),
        ("blk.1.channel_mix_key.weight", "blocks.1.ffn.key.weight", &[4, 8], &[8, 4]),
        ("blk.1.channel_mix_value.weight", "blocks.1.ffn.value.weight", &[8, 4], &[4, 8]),
    ];
    for (theirs, _, ne, _) in renamed {
        file = file.counted(theirs, ne);
    }
    let checkpoint = file.counted("blk.1.time_mix_lerp_fused.weight", &[4, 1, 1, 6]).open();
    for (theirs, ours, _, shape) in renamed {
        assert_eq!(read(&checkpoint, ours), (shape.to_vec(), counting(shape.iter().product())), "{theirs}");
    }
    for (i, mix) in ["r", "w", "k", "v", "a", "g"].iter().enumerate() {
        let name = format!("blocks.1.att.x_{mix}");
        assert_eq!(read(&checkpoint, &name), (vec![4], counting(24)[4 * i..4 * i + 4].to_vec()));
    }
}

#[test]
fn gguf_rwkv6_becomes_blinkdls_with_its_mixes_fused_or_apart() {
    let mut file = File::new("rwkv6").pair("rwkv6.wkv.head_size", U32, &2u32.to_le_bytes());
    let renamed: [(&str, &str, &[u64], &[usize]); 12] = [
        ("blk.0.time_mix_w1.weight", "blocks.0.att.time_maa_w1", &[4, 15], &[15, 4]),
        ("blk.0.time_mix_w2.weight", "blocks.0.att.time_maa_w2", &[3, 4, 5], &[5, 4, 3]),
        ("blk.0.time_mix_lerp_x.weight", "blocks.0.att.time_maa_x", &[4, 1, 1], &[4]),
        ("blk.0.time_mix_first.weight", "blocks.0.att.time_faaaa", &[4], &[2, 2]),
        ("blk.1.time_mix_first.weight", "blocks.1.att.time_faaaa", &[2, 2], &[2, 2]),
        ("blk.0.time_mix_decay.weight", "blocks.0.att.time_decay", &[4], &[4]),
        ("blk.0.time_mix_decay_w1.weight", "blocks.0.att.time_decay_w1", &[4, 3], &[3, 4]),
        ("blk.0.time_mix_decay_w2.weight", "blocks.0.att.time_decay_w2", &[3, 4], &[4, 3]),
        ("blk.0.time_mix_gate.weight", "blocks.0.att.gate.weight", &[4, 4], &[4, 4]),
        ("blk.0.channel_mix_lerp_k.weight", "blocks.0.ffn.time_maa_k", &[4], &[4]),
        ("blk.0.channel_mix_lerp_r.weight", "blocks.0.ffn.time_maa_r", &[4, 1, 1], &[4]),
        ("blk.0.channel_mix_receptance.weight", "blocks.0.ffn.receptance.weight", &[4, 4], &[4, 4]),
    ];
    for (theirs, _, ne, _) in renamed {
        file = file.counted(theirs, ne);
    }
    for mix in ["w", "k", "v", "r", "g"] {
        file = file.counted(&format!("blk.1.time_mix_lerp_{mix}.weight"), &[4, 1, 1]);
    }
    let checkpoint = file.counted("blk.0.time_mix_lerp_fused.weight", &[4, 1, 1, 5]).open();
    for (theirs, ours, _, shape) in renamed {
        assert_eq!(read(&checkpoint, ours), (shape.to_vec(), counting(shape.iter().product())), "{theirs}");
    }
    for (i, mix) in ["w", "k", "v", "r", "g"].iter().enumerate() {
        let name = format!("blocks.0.att.time_maa_{mix}");
        assert_eq!(read(&checkpoint, &name), (vec![4], counting(20)[4 * i..4 * i + 4].to_vec()));
        assert_eq!(read(&checkpoint, &format!("blocks.1.att.time_maa_{mix}")), (vec![4], counting(4)));
    }
}
