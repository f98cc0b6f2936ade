//! Generation over a tiny model, against loops written out by hand.

use super::tiny::tiny_model;
use super::*;
use crate::model::State;

const PROMPT: &str = "the bad cab";

fn greedy() -> GenerateOptions {
    GenerateOptions { temperature: Some(0.0), ..Default::default() }
}

fn seeded(seed: u64) -> GenerateOptions {
    GenerateOptions { seed: Some(seed), max_tokens: 60, ..Default::default() }
}

/// Pulls a stream to its end: the whole text and all tokens.
fn pull(stream: &mut TokenStream) -> Piece {
    let mut whole = Piece::default();
    for piece in stream {
        whole.extend(piece.unwrap());
    }
    whole
}

/// A state that has read `tokens`, one by one.
fn state_after(model: &Model, tokens: &[u32]) -> State {
    let mut state = model.new_state();
    for &token in tokens {
        model.decode(&mut state, token).unwrap();
    }
    state
}

fn distance(a: &State, b: &State) -> f32 {
    a.to_floats().iter().zip(b.to_floats()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_greedy_stream_is_the_loop_of_likeliest_tokens() {
    let model = tiny_model(1);
    let prompt = model.tokenizer().unwrap().encode(PROMPT).unwrap();
    let mut state = state_after(&model, &prompt[..prompt.len() - 1]);
    let (mut token, mut expected) = (prompt[prompt.len() - 1], Vec::new());
    for _ in 0..40 {
        let logits = model.decode(&mut state, token).unwrap();
        token = (0..256).max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).unwrap();
        expected.push(token);
    }
    let mut stream = model.generate(PROMPT, GenerateOptions { max_tokens: 40, ..greedy() }).unwrap();
    let whole = pull(&mut stream);
    assert_eq!(whole.tokens, expected);
    assert_eq!(whole.text, model.tokenizer().unwrap().decode(&expected).unwrap());
    let stats = stream.stats();
    assert_eq!((stats.usage.prompt_tokens, stats.usage.generated_tokens), (prompt.len(), 40));
    assert_eq!(stats.finish_reason, Some(FinishReason::MaxTokens));
    assert!(stats.timings.prefill_seconds > 0.0 && stats.timings.decode_seconds > 0.0);
    assert!(stream.next().is_none());
}

#[test]
fn a_sampled_stream_is_the_loop_of_the_sampler() {
    let model = tiny_model(1);
    let sampling = seeded(5).resolve(Recommended::COMPLETION, 256, None).unwrap();
    let mut sampler = Sampler::new(sampling, 5);
    let prompt = model.tokenizer().unwrap().encode(PROMPT).unwrap();
    let (mut logits, mut state) = model.eval_sequence(&prompt, None).unwrap();
    let mut expected = Vec::new();
    for _ in 0..60 {
        let token = sampler.sample(&logits).unwrap();
        sampler.accept(token, &[token as u8]);
        expected.push(token);
        logits = model.decode(&mut state, token).unwrap();
    }
    assert_eq!(model.complete(PROMPT, seeded(5)).unwrap().tokens, expected);
}

#[test]
fn the_same_seed_gives_the_same_text_and_a_drawn_seed_is_told() {
    let model = tiny_model(1);
    let first = model.complete(PROMPT, GenerateOptions { seed: None, ..seeded(0) }).unwrap();
    let again = model.complete(PROMPT, seeded(first.seed)).unwrap();
    assert_eq!(first.text, again.text);
    let other = model.complete(PROMPT, GenerateOptions { seed: None, ..seeded(0) }).unwrap();
    assert_ne!(first.seed, other.seed);
    assert_ne!(first.text, other.text);
}

#[test]
fn a_batch_gives_what_each_prompt_gives_alone() {
    let model = tiny_model(2);
    let long = "abc de. ".repeat(40);
    let prompts = ["a", PROMPT, &long, "", "\n\n"];
    for options in [greedy(), seeded(3), GenerateOptions { stop: vec!["\n".into(), "ab".into()], ..seeded(4) }] {
        let batch = model.complete_batch(&prompts, options.clone()).unwrap();
        assert_eq!(batch.len(), prompts.len());
        for (prompt, together) in prompts.iter().zip(batch) {
            let mut stream = model.generate(prompt, options.clone()).unwrap();
            let alone = pull(&mut stream);
            assert_eq!((&together.text, &together.tokens), (&alone.text, &alone.tokens), "{prompt:?}");
            assert_eq!(Some(together.finish_reason), stream.stats().finish_reason);
        }
    }
    assert!(model.complete_batch::<&str>(&[], greedy()).unwrap().is_empty());
}

#[test]
fn pieces_are_whole_characters_and_their_tokens_are_all_tokens() {
    let model = tiny_model(3);
    let mut characters = 0;
    for seed in 0..20 {
        // Only the halves of an é, in any order: what cannot be a character is shown as U+FFFD, but no half too early.
        let banned = (0..=255u32).filter(|token| ![0xc3, 0xa9].contains(token)).collect();
        let options = GenerateOptions { banned_tokens: banned, logprobs: Some(2), ..seeded(seed) };
        let mut stream = model.generate(PROMPT, options).unwrap();
        let mut whole = Piece::default();
        for piece in &mut stream {
            let piece = piece.unwrap();
            assert!(!piece.text.is_empty());
            characters += piece.text.matches('é').count();
            whole.extend(piece);
        }
        assert_eq!(whole.tokens.len(), 60);
        assert_eq!(whole.text, model.tokenizer().unwrap().decode(&whole.tokens).unwrap());
        assert_eq!(whole.logprobs.iter().map(|logprob| logprob.token).collect::<Vec<_>>(), whole.tokens);
        assert!(whole.logprobs.iter().all(|logprob| logprob.top.len() == 2 && logprob.top[0].1 >= logprob.top[1].1));
    }
    assert!(characters > 20, "{characters}");
}

#[test]
fn text_ends_before_the_first_stop_string_wherever_tokens_divide_it() {
    let model = tiny_model(4);
    let mut stopped = 0;
    for seed in 0..40 {
        let free = model.complete(PROMPT, seeded(seed)).unwrap();
        for stop in ["\n", "ab", "a b", "é", "éa", ".\n", "not to be found"] {
            let options = GenerateOptions { stop: vec![stop.into()], ..seeded(seed) };
            let done = model.complete(PROMPT, options).unwrap();
            let expected = free.text.split(stop).next().unwrap();
            assert_eq!(done.text, expected, "{stop:?} in {:?}", free.text);
            let found = expected.len() < free.text.len();
            let reason = if found { FinishReason::StopText } else { FinishReason::MaxTokens };
            assert_eq!(done.finish_reason, reason);
            assert_eq!(done.tokens, free.tokens[..done.tokens.len()]);
            stopped += usize::from(found);
        }
    }
    assert!((40..240).contains(&stopped), "{stopped}");
}

#[test]
fn the_state_has_read_the_prompt_and_exactly_the_text_that_was_pulled() {
    let model = tiny_model(4);
    let tokenizer = model.tokenizer().unwrap();
    let mut rolled_back = 0;
    for seed in 0..60 {
        let stop = ["a b c d", "\n\n", "éé", "é\n", "d"][seed as usize % 5];
        let options = GenerateOptions { stop: vec![stop.into()], max_tokens: 30, ..seeded(seed) };
        for pulls in [0, 1, 3, 7, 100] {
            let mut stream = model.generate(PROMPT, options.clone()).unwrap();
            let mut shown = Piece::default();
            for piece in stream.by_ref().take(pulls) {
                shown.extend(piece.unwrap());
            }
            if shown.text.contains('\u{fffd}') {
                continue; // stands for bytes that no text can say
            }
            let stats = stream.stats().clone();
            rolled_back += usize::from(stats.usage.generated_tokens > shown.tokens.len());
            let state = stream.into_state().unwrap();
            let read = tokenizer.encode(&format!("{PROMPT}{}", shown.text)).unwrap();
            let expected = state_after(&model, &read);
            assert!(distance(&state, &expected) < 1e-4, "{stop:?} {pulls} {:?} {stats:?}", shown.text);
        }
    }
    assert!(rolled_back > 20, "{rolled_back}");
}

#[test]
fn a_stream_goes_on_from_the_state_of_another() {
    let model = tiny_model(1);
    let whole = model.complete(PROMPT, GenerateOptions { max_tokens: 30, ..greedy() }).unwrap();
    let (head, tail) = PROMPT.split_at(4);
    let mut stream = model.generate(head, GenerateOptions { max_tokens: 0, ..greedy() }).unwrap();
    assert!(stream.next().is_none());
    let state = State::from_bytes(&stream.into_state().unwrap().to_bytes()).unwrap();
    let options = GenerateOptions { state: Some(state.clone()), max_tokens: 30, ..greedy() };
    assert_eq!(model.complete(tail, options).unwrap().text, whole.text);
    assert_eq!(distance(&state, &state_after(&model, &model.tokenizer().unwrap().encode(head).unwrap())), 0.0);
}

#[test]
fn cancelling_ends_the_text_where_it_was_shown() {
    let model = tiny_model(1);
    let mut stream = model.generate(PROMPT, seeded(1)).unwrap();
    stream.next().unwrap().unwrap();
    let cancel = stream.cancel_handle();
    std::thread::spawn(move || cancel.cancel()).join().unwrap();
    assert!(stream.next().is_none());
    assert_eq!(stream.stats().finish_reason, Some(FinishReason::Cancelled));
    assert!(stream.stats().usage.generated_tokens < 5);
}

#[test]
fn cancelling_a_stream_leaves_the_options_it_was_started_with() {
    let model = tiny_model(1);
    let options = seeded(1);
    let mut first = model.generate(PROMPT, options.clone()).unwrap();
    first.cancel();
    assert!(first.next().is_none());
    let mut second = model.generate(PROMPT, options.clone()).unwrap();
    assert!(second.next().is_some());
    options.cancel.cancel();
    assert!(second.next().is_none());
}

#[test]
fn cancelling_ends_a_long_prompt_between_its_chunks() {
    let model = tiny_model(1);
    let mut stream = model.generate(&"a".repeat(100_000), seeded(1)).unwrap();
    let cancel = stream.cancel_handle();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        cancel.cancel();
    });
    assert!(stream.next().is_none());
    canceller.join().unwrap();
    let stats = stream.stats();
    assert_eq!((stats.finish_reason, stats.usage.generated_tokens), (Some(FinishReason::Cancelled), 0));
}

#[test]
fn a_stop_token_ends_the_text_and_is_no_part_of_it() {
    let model = tiny_model(4);
    let free = model.complete(PROMPT, seeded(9)).unwrap();
    let stop = free.tokens[10];
    let expected = free.tokens.iter().position(|&token| token == stop).unwrap();
    let done = model.complete(PROMPT, GenerateOptions { stop_tokens: vec![stop], ..seeded(9) }).unwrap();
    assert_eq!((done.finish_reason, done.tokens.len()), (FinishReason::StopToken, expected));
    assert_eq!(done.usage.generated_tokens, expected + 1);
}

#[test]
fn an_empty_prompt_begins_a_text_but_does_not_continue_a_state() {
    let model = tiny_model(1);
    // Raw bytes have no end-of-text token.
    assert_eq!(model.complete("", greedy()).unwrap().text, model.complete("\n", greedy()).unwrap().text);
    let options = GenerateOptions { state: Some(model.new_state()), ..greedy() };
    let error = model.generate("", options).unwrap_err().to_string();
    assert!(error.starts_with("prompt: is empty, and a state alone"), "{error}");
}

#[test]
fn what_does_not_belong_to_the_model_is_refused_before_anything_runs() {
    let (model, other) = (tiny_model(1), tiny_model(2));
    let options = GenerateOptions { state: Some(other.new_state()), ..greedy() };
    let error = model.generate("a", options).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let error = model.generate_tokens(&[1, 256], greedy()).unwrap_err();
    assert_eq!(error.to_string(), "prompt: token 256 is out of range; the model's tokens are 0 to 255");
    let error = model.generate("a", GenerateOptions { top_p: Some(2.0), ..greedy() }).unwrap_err();
    assert!(error.to_string().starts_with("top_p: 2 is out of range"));
}
