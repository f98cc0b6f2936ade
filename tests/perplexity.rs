//! Perplexity and divergence, against numbers computed here from the logits of BlinkDL's `rwkv` package.
#![allow(clippy::unwrap_used)]

mod reference;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reference::{golden, golden_logits, tokens};
use volary::eval::{BenchOptions, ComparisonOptions, PerplexityOptions, PerplexityReport};
use volary::{Error, Model, ModelOptions};

const N_VOCAB: usize = 256;

/// How far a mean may be from the reference's: the logits are within 1e-4.
const TOLERANCE: f64 = 2e-4;

fn model(name: &str) -> Model {
    Model::open(golden(name)).unwrap()
}

fn options(skip: usize, limit: Option<usize>, chunk: usize) -> PerplexityOptions {
    PerplexityOptions { skip, limit, chunk, progress: None }
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} {b}");
}

/// Probabilities by the definition, which these logits do not overflow.
fn probabilities(logits: &[f32]) -> Vec<f64> {
    let exponentials: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|x| x / sum).collect()
}

/// `-ln p` of each golden token but the first.
fn surprises(name: &str) -> Vec<f64> {
    let logits = golden_logits(name);
    let rows = logits.chunks_exact(N_VOCAB).map(probabilities);
    rows.zip(&tokens()[1..]).map(|(p, &next)| -p[next as usize].ln()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn golden_report(options: &PerplexityOptions) -> PerplexityReport {
    model("v7.pth").perplexity_of_tokens(&tokens(), options).unwrap()
}

#[test]
fn the_perplexity_of_every_generation_is_that_of_the_reference_logits() {
    for (file, logits) in [("v4-101.bin", "v4"), ("v5.2-101.bin", "v5.2"), ("v6.gguf", "v6"), ("v7.pth", "v7")] {
        let report = model(file).perplexity_of_tokens(&tokens(), &PerplexityOptions::default()).unwrap();
        let expected = surprises(logits);
        assert_eq!((report.tokens, report.predictions), (16, 15), "{file}");
        close(report.cross_entropy, mean(&expected), TOLERANCE);
        close(report.perplexity.ln(), mean(&expected), TOLERANCE);

        let squares: f64 = expected.iter().map(|x| (x - mean(&expected)).powi(2)).sum();
        let error = (squares / 14.0 / 15.0).sqrt();
        close(report.cross_entropy_error.unwrap(), error, TOLERANCE);
        close(report.perplexity_error.unwrap() / report.perplexity, error, TOLERANCE);
    }
}

#[test]
fn the_text_begins_at_the_models_initial_state() {
    let initial_state = Some(golden("v7-state.pth"));
    let tuned = Model::open_with(golden("v7.pth"), ModelOptions { initial_state, ..Default::default() }).unwrap();
    let report = tuned.perplexity_of_tokens(&tokens(), &PerplexityOptions::default()).unwrap();
    close(report.cross_entropy, mean(&surprises("v7-state")), TOLERANCE);
    assert!(
        (report.cross_entropy - golden_report(&PerplexityOptions::default()).cross_entropy).abs() > 100.0 * TOLERANCE
    );
}

#[test]
fn skip_and_limit_count_tokens_as_rwkv_cpp_does() {
    let all = surprises("v7");
    // measure_pexplexity.py counts the prediction of token t if t >= skip, for t from 1 to limit - 1.
    for (skip, limit) in [(0, None), (1, None), (2, None), (14, None), (0, Some(2)), (3, Some(9)), (5, Some(1000))] {
        let end = limit.unwrap_or(16).min(16);
        let expected = &all[skip.max(1) - 1..end - 1];
        let report = golden_report(&options(skip, limit, 4));
        assert_eq!((report.text_tokens, report.tokens, report.predictions), (16, end, expected.len()));
        close(report.cross_entropy, mean(expected), TOLERANCE);
        assert_eq!(report.cross_entropy_error.is_some(), expected.len() > 1);
    }
}

#[test]
fn the_chunk_changes_nothing() {
    for (skip, limit) in [(0, None), (6, Some(15))] {
        let whole = golden_report(&options(skip, limit, 64));
        for chunk in [1, 2, 3, 7, 15, 4096] {
            let report = golden_report(&options(skip, limit, chunk));
            close(report.cross_entropy, whole.cross_entropy, 1e-9);
            assert_eq!(report.predictions, whole.predictions);
        }
    }
}

#[test]
fn bits_per_byte_count_the_bytes_that_are_predicted() {
    // One byte a token.
    let report = golden_report(&options(4, None, 64));
    assert_eq!(report.predicted_bytes, Some(12));
    close(report.bits_per_byte.unwrap(), report.cross_entropy / 2f64.ln(), 1e-12);

    let model = model("v7.pth");
    let text = "Once upon a time é";
    let by_text = model.perplexity(text, &PerplexityOptions::default()).unwrap();
    assert_eq!(by_text.predicted_bytes, Some(text.len() - 1));
    let ids: Vec<u32> = text.bytes().map(u32::from).collect();
    let by_tokens = model.perplexity_of_tokens(&ids, &PerplexityOptions::default()).unwrap();
    assert_eq!(by_text.cross_entropy, by_tokens.cross_entropy);
}

#[test]
fn what_cannot_be_measured_is_refused_by_name() {
    let model = model("v7.pth");
    let refused = |tokens: &[u32], options: &PerplexityOptions| match model.perplexity_of_tokens(tokens, options) {
        Err(Error::InvalidArgument { argument, cause }) => (argument, cause),
        other => panic!("{other:?}"),
    };
    let cases = [
        (&[][..], options(0, None, 64), "text", "empty"),
        (&[1], options(0, None, 64), "text", "single"),
        (&[1, 2, 3], options(0, Some(0), 64), "limit", "0"),
        (&[1, 2, 3], options(0, Some(1), 64), "limit", "1"),
        (&[1, 2, 3], options(2, None, 64), "skip", "2 of 3"),
        (&[1, 2, 3], options(usize::MAX, None, 64), "skip", "of 3"),
        (&[1, 2, 3], options(1, Some(2), 64), "skip", "1 of 2"),
        (&[1, 2, 3], options(0, None, 0), "chunk", "0"),
        (&[1, 2, 3], options(0, None, usize::MAX), "chunk", "4096"),
        (&[1, 2, 256], options(0, None, 64), "token", "256"),
    ];
    for (tokens, options, named, shown) in cases {
        let (argument, cause) = refused(tokens, &options);
        assert!(argument == named && cause.contains(shown), "{named}: {argument}: {cause}");
    }
    // What the limit cuts off is not looked at.
    assert!(model.perplexity_of_tokens(&[1, 2, 256], &options(0, Some(2), 64)).is_ok());
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden("v7.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let infinite = u16::to_le_bytes(0x7f80);
    let mut views = file.tensors();
    let mut head = file.tensor("head.weight").unwrap().data().to_vec();
    assert_eq!(file.tensor("head.weight").unwrap().dtype(), safetensors::Dtype::BF16);
    head[..2].copy_from_slice(&infinite);
    views.retain(|(name, _)| name != "head.weight");
    let shape = file.tensor("head.weight").unwrap().shape().to_vec();
    let damaged = safetensors::tensor::TensorView::new(safetensors::Dtype::BF16, shape, &head).unwrap();
    views.push(("head.weight".into(), damaged));
    let path = folder.path().join("damaged.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();

    let model = Model::open(&path).unwrap();
    let error = model.perplexity("Hello", &PerplexityOptions::default()).unwrap_err().to_string();
    assert!(error.contains("damaged.safetensors") && error.contains("NaN"), "{error}");
}

#[test]
fn progress_is_told_and_can_cancel() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let progress = move |done: f64| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        close(done, [0.0, 4.0 / 15.0, 8.0 / 15.0, 12.0 / 15.0, 1.0][call], 1e-12);
        true
    };
    golden_report(&PerplexityOptions { progress: Some(Arc::new(progress)), ..options(0, None, 4) });
    assert_eq!(calls.load(Ordering::Relaxed), 5);

    let stop = PerplexityOptions { progress: Some(Arc::new(|done| done < 0.5)), ..options(0, None, 4) };
    assert!(matches!(model("v7.pth").perplexity_of_tokens(&tokens(), &stop), Err(Error::Cancelled)));
}

fn comparison_options(skip: usize, chunk: usize) -> ComparisonOptions {
    let bench = BenchOptions { prefill_tokens: 4, decode_tokens: 2, batch: 1, repeats: 1, progress: None };
    ComparisonOptions { perplexity: options(skip, None, chunk), bench }
}

#[test]
fn a_comparison_has_the_divergence_of_the_reference_logits() {
    // The same weights from another initial state: other distributions, all known.
    let base = model("v7.pth");
    let initial_state = Some(golden("v7-state.pth"));
    let mut open = |name: &str| match name {
        "same" => Model::open(golden("v7.pth")),
        _ => Model::open_with(
            golden("v7.pth"),
            ModelOptions { initial_state: initial_state.clone(), ..Default::default() },
        ),
    };
    let (p, q) = (golden_logits("v7"), golden_logits("v7-state"));
    let divergences: Vec<f64> = p
        .chunks_exact(N_VOCAB)
        .zip(q.chunks_exact(N_VOCAB))
        .map(|(p, q)| probabilities(p).iter().zip(probabilities(q)).map(|(p, q)| p * (p / q).ln()).sum())
        .collect();
    let (base_mean, other_mean) = (mean(&surprises("v7")[4..]), mean(&surprises("v7-state")[4..]));
    let names = ["same".to_string(), "other".to_string()];
    for chunk in [1, 3, 64] {
        let compared =
            base.compare_formats_of_tokens(&tokens(), &names, &comparison_options(5, chunk), &mut open).unwrap();
        let [same, other] = &compared.formats[..] else { panic!("two formats") };
        assert_eq!((same.kl_divergence, same.perplexity_change_percent), (0.0, 0.0));
        // The divergence is counted where predictions are: at tokens 4 to 14, which predict 5 to 15.
        assert_eq!(other.perplexity.predictions, 11);
        close(other.kl_divergence, mean(&divergences[4..15]), 10.0 * TOLERANCE);
        assert!(other.kl_divergence > 0.01, "{}", other.kl_divergence);
        close(compared.unquantized.perplexity.cross_entropy, base_mean, TOLERANCE);
        close(other.perplexity.cross_entropy, other_mean, TOLERANCE);
        let change = ((other_mean - base_mean).exp() - 1.0) * 100.0;
        close(other.perplexity_change_percent, change, 0.1);
    }
}

#[test]
fn a_comparison_tells_sizes_and_speeds() {
    let base = model("v7.pth");
    let mut open = |_: &str| Model::open(golden("v7-101.bin"));
    let compared = base.compare_formats("Once upon a time", &["F32".into()], &comparison_options(0, 64), &mut open);
    let compared = compared.unwrap();
    for (row, format, model) in
        [(&compared.unquantized, None, &base), (&compared.formats[0], Some("F32"), &model("v7-101.bin"))]
    {
        assert_eq!((row.format.as_deref(), row.bytes), (format, model.resident_bytes()));
        close(row.bits_per_weight, 8.0 * model.resident_bytes() as f64 / base.info().parameters() as f64, 1e-12);
        assert!(row.prefill_tokens_per_second.unwrap() > 0.0 && row.decode_tokens_per_second.unwrap() > 0.0);
    }
}

#[test]
fn a_comparison_needs_formats_of_one_model() {
    let base = model("v7.pth");
    let options = comparison_options(0, 64);
    let none = base.compare_formats("Hello", &[], &options, &mut |_| Model::open(golden("v7.pth"))).unwrap_err();
    assert!(none.to_string().contains("formats"), "{none}");
    let failed = base.compare_formats("Hello", &["Q9".into()], &options, &mut |_| Model::open("Q9")).unwrap_err();
    assert!(matches!(failed, Error::Io { .. }), "{failed}");
}
