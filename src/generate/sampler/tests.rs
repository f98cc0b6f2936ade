use super::*;

const PLAIN: Sampling = Sampling {
    temperature: 1.0,
    top_p: 1.0,
    top_k: 0,
    min_p: 0.0,
    presence_penalty: 0.0,
    frequency_penalty: 0.0,
    penalty_decay: 0.996,
    repetition_penalty: 1.0,
    banned_tokens: Vec::new(),
    logit_bias: Vec::new(),
};

#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<String>,
    history: Vec<u32>,
    logits: HashMap<String, Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    options: Options,
    logits: String,
    expected: Vec<(u32, f32)>,
}

#[derive(Debug, serde::Deserialize)]
struct Options {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    min_p: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    penalty_decay: f32,
    repetition_penalty: f32,
    banned_tokens: Vec<u32>,
    logit_bias: Vec<(u32, f32)>,
}

#[test]
fn distributions_are_those_of_the_python_reference() {
    let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/sampler.json")).unwrap();
    for case in golden.cases {
        let message = format!("{} {:?}", case.logits, case.options);
        let o = case.options;
        let sampling = Sampling {
            temperature: o.temperature,
            top_p: o.top_p,
            top_k: o.top_k,
            min_p: o.min_p,
            presence_penalty: o.presence_penalty,
            frequency_penalty: o.frequency_penalty,
            penalty_decay: o.penalty_decay,
            repetition_penalty: o.repetition_penalty,
            banned_tokens: o.banned_tokens,
            logit_bias: o.logit_bias,
        };
        let mut sampler = Sampler::new(sampling, 0);
        for &token in &golden.history {
            sampler.accept(token, golden.texts[token as usize].as_bytes());
        }
        let found = sampler.distribution(&golden.logits[&case.logits]).unwrap();
        let ids = |list: &[(u32, f32)]| list.iter().filter(|(_, p)| *p > 1e-9).map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&case.expected), "{message}");
        for (token, p) in case.expected {
            let q = found.iter().find(|(id, _)| *id == token).map_or(0.0, |(_, q)| *q);
            assert!((p - q).abs() < 1e-6, "{message}: token {token} has {q}, not {p}");
        }
    }
}

/// Logits like a language model's over the World vocabulary: a few likely tokens, a long tail.
fn many_logits(seed: u64, spread: f32) -> Vec<f32> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut uniform = || (rng.next_u64() >> 40) as f32 / (1 << 24) as f32;
    (0..65_536).map(|_| spread * (0..6).map(|_| uniform() - 0.5).sum::<f32>()).collect()
}

/// The definition, by sorting everything, in f64.
fn by_sorting(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|x| f64::from(x - max).exp())).collect();
    let total: f64 = p.iter().map(|(_, p)| p).sum();
    p.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let crossed = p.iter().position(|(_, p)| {
        sum += p / total;
        sum >= f64::from(sampling.top_p)
    });
    let cut = p[crossed.unwrap_or(p.len() - 1)].1;
    p.retain(|(_, p)| *p >= cut);
    p.truncate(if sampling.top_k == 0 { p.len() } else { sampling.top_k });
    p.iter_mut().for_each(|(_, p)| *p = p.powf(1.0 / f64::from(sampling.temperature)));
    let total: f64 = p.iter().map(|(_, p)| p).sum();
    p.iter_mut().for_each(|(_, p)| *p /= total);
    p.sort_by_key(|(token, _)| *token);
    p
}

#[test]
fn selecting_without_sorting_keeps_what_sorting_keeps() {
    for (seed, spread) in [(1, 3.0), (2, 12.0), (3, 0.1), (4, 40.0)] {
        let logits = many_logits(seed, spread);
        for (top_p, top_k, temperature) in
            [(0.85, 0, 1.0), (0.3, 0, 0.5), (0.999, 0, 1.0), (0.0, 0, 1.0), (1.0, 40, 2.0), (0.9, 1000, 1.0)]
        {
            let sampling = Sampling { top_p, top_k, temperature, ..PLAIN };
            let expected = by_sorting(&logits, &sampling);
            let found = Sampler::new(sampling, 0).distribution(&logits).unwrap();
            // A nucleus of 30,000 may end a few tokens apart: its sum is compared in another precision.
            assert!(found.len().abs_diff(expected.len()) <= expected.len() / 5_000, "{spread} {top_p} {top_k}");
            let mut other = expected.iter().copied().collect::<HashMap<_, _>>();
            for (token, p) in found {
                let q = other.remove(&token).unwrap_or(0.0);
                assert!((f64::from(p) - q).abs() < 1e-6, "{spread} {top_p} {top_k}: token {token}: {p} {q}");
            }
            assert!(other.values().all(|q| *q < 1e-6));
        }
    }
}

#[test]
fn draws_come_as_often_as_the_distribution_says() {
    let logits = [1.0, 0.0, 2.0, -1.0, 0.5];
    let mut sampler = Sampler::new(Sampling { top_p: 0.95, temperature: 1.5, ..PLAIN }, 11);
    let expected = sampler.distribution(&logits).unwrap();
    let n = 100_000;
    let mut drawn = [0; 5];
    for _ in 0..n {
        drawn[sampler.sample(&logits).unwrap() as usize] += 1;
    }
    assert_eq!(drawn.iter().filter(|&&count| count > 0).count(), expected.len());
    for (token, p) in expected {
        // Five standard deviations.
        let tolerance = 5.0 * (p * (1.0 - p) / n as f32).sqrt();
        assert!((drawn[token as usize] as f32 / n as f32 - p).abs() < tolerance);
    }
}

#[test]
fn the_same_seed_draws_the_same_tokens() {
    let logits = many_logits(5, 3.0);
    let draw = |seed| {
        let mut sampler = Sampler::new(PLAIN, seed);
        (0..20).map(|_| sampler.sample(&logits).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn the_lowest_of_equally_likely_tokens_is_the_greedy_one() {
    let mut sampler = Sampler::new(Sampling { temperature: 0.0, ..PLAIN }, 3);
    assert_eq!(sampler.distribution(&[0.0, 5.0, 5.0]).unwrap(), [(1, 1.0)]);
}

#[test]
fn extreme_temperatures_stay_numbers() {
    let logits = many_logits(6, 30.0);
    for temperature in [1e-30, 1e-3, 1e3, f32::MAX] {
        let p = Sampler::new(Sampling { temperature, ..PLAIN }, 0).distribution(&logits).unwrap();
        let total: f32 = p.iter().map(|(_, p)| p).sum();
        assert!((total - 1.0).abs() < 1e-3, "{temperature}: {total}");
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error_not_a_panic() {
    let mut sampler = Sampler::new(PLAIN, 0);
    let cases = [vec![], vec![0.0, f32::NAN], vec![f32::NEG_INFINITY; 3], vec![f32::INFINITY, 0.0]];
    for logits in cases {
        let message = sampler.sample(&logits).unwrap_err().to_string();
        assert!(message.starts_with("logits: ") && message.contains("damaged"), "{message}");
    }
    let mut sampler = Sampler::new(Sampling { banned_tokens: vec![0, 1], ..PLAIN }, 0);
    assert!(sampler.sample(&[0.0, 1.0]).unwrap_err().to_string().starts_with("banned_tokens: "));
    assert_eq!(sampler.sample(&[0.0, 1.0, f32::NEG_INFINITY, 2.0]).unwrap(), 3);
}

#[test]
fn log_probabilities_are_those_of_the_softmax_with_the_likeliest_first() {
    let found = token_logprob(&[1.0, 3.0, 2.0, 3.0], 2, 3);
    let total = (1f32.exp() + 2.0 * 3f32.exp() + 2f32.exp()).ln();
    assert!((found.logprob - (2.0 - total)).abs() < 1e-5);
    assert_eq!(found.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 2]);
    assert!((found.top[0].1 - (3.0 - total)).abs() < 1e-5);
    assert!(token_logprob(&[1.0, 3.0], 0, 0).top.is_empty());
    assert_eq!(token_logprob(&[1.0, 3.0], 0, 100).top.len(), 2);
}

#[test]
fn the_exponential_is_exact_to_two_parts_in_ten_million_and_zero_where_floats_end() {
    let mut x = 0.0f32;
    while x > -87.0 {
        let exact = f64::from(x).exp();
        assert!(((f64::from(exp(x)) - exact) / exact).abs() < 2.5e-7, "{x}");
        x -= 0.00317;
    }
    assert_eq!((exp(0.0), exp(-0.0), exp(-87.1), exp(f32::NEG_INFINITY)), (1.0, 1.0, 0.0, 0.0));
}

#[test]
fn penalties_and_biases_without_bounds_leave_a_distribution() {
    let logits = [3.0, -2.0, 0.5, 1.0];
    for extreme in [f32::MAX, f32::MIN, f32::MIN_POSITIVE] {
        let sampling = Sampling {
            presence_penalty: extreme,
            frequency_penalty: extreme,
            repetition_penalty: extreme.abs(),
            logit_bias: vec![(2, extreme)],
            banned_tokens: vec![3],
            ..PLAIN
        };
        let mut sampler = Sampler::new(sampling, 1);
        for token in [0, 0, 1, 2, 3] {
            sampler.accept(token, b"x");
        }
        let distribution = sampler.distribution(&logits).unwrap();
        let total: f32 = distribution.iter().map(|(_, p)| p).sum();
        assert!((total - 1.0).abs() < 1e-5 && distribution.iter().all(|&(token, _)| token != 3), "{distribution:?}");
    }
}
