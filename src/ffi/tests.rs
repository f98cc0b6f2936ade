#![allow(clippy::unwrap_used)]
//! What the engine's own tests do not see: closing, jobs, signed numbers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use super::*;
use crate::model::fault;

fn model() -> Arc<Model> {
    let job = load("tests/golden/v7.pth".into(), model_options());
    match job.result() {
        Ok(Outcome::Loaded { model }) => model,
        other => panic!("{:?}", other.err()),
    }
}

fn model_options() -> ModelOptions {
    ModelOptions {
        threads: Some(1),
        tokenizer: None,
        group_norm_eps: None,
        r#type: None,
        initial_state: None,
        loras: Vec::new(),
    }
}

fn options(max_tokens: i64) -> GenerateOptions {
    GenerateOptions {
        max_tokens,
        temperature: Some(0.0),
        top_p: None,
        top_k: None,
        min_p: None,
        presence_penalty: None,
        frequency_penalty: None,
        penalty_decay: None,
        repetition_penalty: None,
        seed: None,
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        ignore_eos: false,
        banned_tokens: Vec::new(),
        logit_bias: Vec::new(),
        logprobs: None,
        state: None,
    }
}

fn text(stream: &TokenStream) -> String {
    std::iter::from_fn(|| stream.next().unwrap()).map(|piece| piece.text).collect()
}

#[track_caller]
fn refusal<T>(result: Result<T>) -> VolaryError {
    result.err().unwrap()
}

#[test]
fn closing_a_model_ends_its_streams_and_leaves_states_whole() {
    let model = model();
    let state = model.new_state().unwrap();
    let stream = model.generate("Once".into(), options(1000)).unwrap();
    stream.next().unwrap().unwrap();
    model.release();
    model.release();
    assert!(stream.next().unwrap().is_none());
    assert_eq!(stream.stats().finish_reason.unwrap(), "cancelled");
    assert!(!state.to_floats().unwrap().is_empty());
    assert_eq!(refusal(model.info()).to_string(), "model: is closed; open or make another one");
    assert!(matches!(refusal(model.generate("a".into(), options(1))), VolaryError::Closed(_)));
    assert!(matches!(refusal(model.perplexity("text".into(), perplexity_options()).result()), VolaryError::Closed(_)));
}

fn perplexity_options() -> PerplexityOptions {
    PerplexityOptions { skip: 0, limit: None, chunk: None }
}

#[test]
fn a_state_in_use_is_busy_and_a_closed_one_says_so() {
    let state = model().new_state().unwrap();
    state
        .with(|_| {
            let message = "state: another call is using it; wait until that has ended";
            assert_eq!(refusal(state.to_bytes()).to_string(), message);
            Ok(())
        })
        .unwrap();
    state.release();
    state.release();
    assert!(matches!(refusal(state.duplicate()), VolaryError::Closed(_)));
}

#[test]
fn decoding_moves_the_state_and_evaluating_leaves_it() {
    let model = model();
    let state = model.new_state().unwrap();
    let first = model.eval(72, Some(state.clone())).unwrap();
    assert_eq!(state.to_bytes().unwrap(), model.new_state().unwrap().to_bytes().unwrap());
    assert_eq!(model.decode(72, state.clone()).unwrap(), first.logits);
    assert_eq!(state.to_bytes().unwrap(), first.state.to_bytes().unwrap());
}

#[test]
fn the_text_alone_is_that_of_the_pieces_without_thoughts() {
    let model = model();
    let shown = |stream: Arc<TokenStream>| std::iter::from_fn(|| stream.next_text().unwrap()).collect::<Vec<_>>();
    let text = |stream: Arc<TokenStream>| std::iter::from_fn(|| Some(stream.next().unwrap()?.text)).collect::<Vec<_>>();
    let generate = || model.generate("Once".into(), options(9)).unwrap();
    assert_eq!(shown(generate()), text(generate()));
    // The first ends the tag that begins a thought; none ends the thought.
    let thinking = || GenerateOptions { logit_bias: vec![TokenBias { token: 62, bias: 1000.0 }], ..options(5) };
    let chat = model.chat(None, Some("g1-think".into())).unwrap();
    assert_eq!(shown(chat.send("Hello!".into(), thinking()).unwrap()), [""; 4]);
    assert_eq!(text(chat.retry(thinking()).unwrap()), [">"; 4]);
}

#[test]
fn a_reply_that_is_dropped_or_released_frees_its_chat_and_a_finished_one_pulls_no_other() {
    let chat = model().chat(Some("Be brief.".into()), None).unwrap();
    let reply = chat.send("Hello".into(), options(3)).unwrap();
    assert!(chat.undo().unwrap_err().to_string().contains("a reply is still running"));
    drop(reply);
    chat.undo().unwrap();

    let first = chat.send("Hello".into(), options(3)).unwrap();
    assert!(matches!(refusal(first.take_state()), VolaryError::Unsupported(_)));
    text(&first);
    let second = chat.send("Hello".into(), options(3)).unwrap();
    assert!(first.next().unwrap().is_none());
    first.release();
    assert!(second.next().unwrap().is_some());
    second.release();
    assert_eq!(second.stats().finish_reason.unwrap(), "cancelled");
    assert_eq!(chat.history().unwrap()[0].role, "system");
    chat.release();
    assert!(matches!(refusal(chat.history()), VolaryError::Closed(_)));
}

#[test]
fn a_reply_that_is_released_during_a_call_frees_its_chat() {
    let chat = model().chat(None, None).unwrap();
    // Else it might end by itself.
    let endless = || GenerateOptions { logit_bias: vec![TokenBias { token: 65, bias: 1000.0 }], ..options(1_000_000) };
    for _ in 0..50 {
        let reply = chat.send("Hello".into(), endless()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| while !matches!(reply.next(), Err(VolaryError::Closed(_))) {});
            while !matches!(chat.history(), Err(VolaryError::Busy(_))) {}
            reply.release();
        });
        assert_eq!(reply.stats().finish_reason.unwrap(), "cancelled");
        chat.undo().unwrap();
    }
}

#[test]
fn a_chat_that_is_closed_ends_its_reply() {
    let chat = model().chat(None, None).unwrap();
    let reply = chat.send("Hello".into(), options(100)).unwrap();
    reply.next().unwrap().unwrap();
    chat.release();
    assert!(reply.next().unwrap().is_none());
    assert_eq!(reply.stats().finish_reason.unwrap(), "cancelled");
}

#[test]
fn a_cancelled_stream_ends_before_its_next_token_and_gives_its_state() {
    let model = model();
    let stream = model.generate("Once".into(), options(1000)).unwrap();
    let shown = stream.next().unwrap().unwrap().text;
    stream.cancel();
    assert!(stream.next().unwrap().is_none());
    let state = stream.take_state().unwrap();
    let expected = prefill(&model, &format!("Once{shown}"));
    assert_eq!(state.to_bytes().unwrap(), expected.to_bytes().unwrap());
    assert!(matches!(refusal(stream.take_state()), VolaryError::InvalidArgument(_)));
}

fn prefill(model: &Model, text: &str) -> Arc<State> {
    match model.prefill(text.into(), None).result() {
        Ok(Outcome::Evaluated { mut evaluations }) => evaluations.remove(0).state,
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn numbers_below_zero_are_refused_by_the_options_name() {
    let model = model();
    let max_tokens = refusal(model.generate("a".into(), options(-1))).to_string();
    assert_eq!(max_tokens, "max_tokens: -1 is out of range; allowed: 0 or more");
    let banned = GenerateOptions { banned_tokens: vec![-7], ..options(1) };
    assert!(refusal(model.generate("a".into(), banned)).to_string().starts_with("banned_tokens: -7 is out of range"));
    assert!(refusal(model.eval(-1, None)).to_string().starts_with("token: -1 is out of range"));
    assert!(refusal(model.eval(1 << 32, None)).to_string().starts_with("token: 4294967296 is out of range"));
    let threads = ModelOptions { threads: Some(-2), ..model_options() };
    let refused = refusal(load("tests/golden/v7.pth".into(), threads).result()).to_string();
    assert_eq!(refused, "threads: -2 is out of range; allowed: 0 or more");
}

#[test]
fn unknown_formats_are_refused_by_the_name_of_their_argument_before_any_work() {
    let convert_options = |r#type: &str, tensor_type: &str| ConvertOptions {
        r#type: Some(r#type.into()),
        encoder: "search".into(),
        policy: None,
        tensor_types: vec![TensorType { pattern: "head.weight".into(), r#type: tensor_type.into() }],
        file_version: None,
        tokenizer: None,
        threads: None,
    };
    let options = PerplexityOptions { skip: 0, limit: None, chunk: None };
    let formats = vec!["Q8_0".into(), "Q9".into()];
    // The files do not exist: nobody looks.
    for (job, told) in [
        (load("none.pth".into(), ModelOptions { r#type: Some("Q9".into()), ..model_options() }), "type: Q9 is unknown"),
        (convert("none.pth".into(), "a.gguf".into(), convert_options("Q9", "Q8_0")), "type: Q9 is unknown"),
        (convert("none.pth".into(), "a.gguf".into(), convert_options("Q8_0", "Q9")), "tensor_types: Q9 is unknown"),
        (compare_formats("none.pth".into(), "a".into(), formats, model_options(), options), "formats: Q9 is unknown"),
    ] {
        let refused = refusal(job.result()).to_string();
        assert!(refused.starts_with(told), "{refused}");
    }
    let ids = refusal(Tokenizer::world().decode(vec![-1])).to_string();
    assert!(ids.starts_with("ids: -1 is out of range"), "{ids}");
}

#[test]
fn a_job_tells_how_far_it_is_and_ends_when_it_is_cancelled() {
    let (go, wait) = std::sync::mpsc::channel::<f64>();
    let job = LongJob::new(move |job| {
        let progress = job.progress();
        for fraction in wait {
            if !progress(fraction) {
                return Err(crate::Error::Cancelled.into());
            }
        }
        unreachable!("the test cancels")
    });
    assert_eq!(job.progress(0), Some(0.0));
    go.send(0.5).unwrap();
    assert_eq!(job.progress(10_000), Some(0.5));
    job.cancel();
    go.send(0.6).unwrap();
    while job.progress(10_000).is_some() {}
    assert!(matches!(refusal(job.result()), VolaryError::Cancelled(_)));
    assert!(refusal(job.result()).to_string().contains("taken before"));
}

#[test]
fn a_job_that_is_cancelled_before_it_is_asked_for_anything_does_nothing() {
    let job = LongJob::new(|_| unreachable!("it does not begin"));
    job.cancel();
    assert_eq!(job.progress(0), None);
    assert!(matches!(refusal(job.result()), VolaryError::Cancelled(_)));
}

#[test]
fn a_panic_in_a_job_is_an_internal_error() {
    let job = LongJob::new(|_| panic!("on purpose"));
    let error = refusal(job.result());
    assert!(matches!(&error, VolaryError::Internal(message) if message.ends_with("on purpose")), "{error}");
}

/// Calls as UniFFI's scaffolding does, and gives what it tells the other language of a panic.
fn panic_of<R: uniffi::FfiDefault>(call: impl FnOnce() -> R) -> String {
    let mut status = uniffi::RustCallStatus::default();
    uniffi::rust_call(&mut status, AssertUnwindSafe(|| Ok(call())));
    assert_eq!(status.code, uniffi::RustCallStatusCode::UnexpectedError);
    let message = std::mem::ManuallyDrop::into_inner(status.error_buf).destroy_into_vec();
    String::from_utf8(message).unwrap()
}

#[test]
fn a_panic_in_a_pass_ends_what_it_left_half_changed_and_nothing_else() {
    let Ok(Outcome::Loaded { model }) =
        load("tests/golden/v7.pth".into(), ModelOptions { threads: Some(2), ..model_options() }).result()
    else {
        panic!("no model")
    };
    let whole = text(&model.generate("Once".into(), options(40)).unwrap());
    let other = model.generate("Once".into(), options(40)).unwrap();
    let begun = other.next().unwrap().unwrap().text;

    let (state, kept) = (model.new_state().unwrap(), model.new_state().unwrap());
    let kept_floats = kept.to_floats().unwrap();
    let stream = model.generate("Once".into(), options(40)).unwrap();
    let strike = |call: &dyn Fn()| {
        fault::arm();
        assert_eq!(panic_of(call), "a fault on purpose");
    };
    strike(&|| drop(model.eval(1, Some(kept.clone()))));
    strike(&|| drop(model.decode(1, state.clone())));
    strike(&|| drop(stream.next()));
    let message = "state: was left half changed by a fault of Volary; make another one";
    assert_eq!(refusal(model.decode(1, state.clone())).to_string(), message);
    assert_eq!(refusal(state.to_floats()).to_string(), message);
    assert!(matches!(refusal(stream.next()), VolaryError::Internal(_)));
    stream.release();
    state.release();

    assert_eq!(kept.to_floats().unwrap(), kept_floats);
    assert_eq!(begun + &text(&other), whole);
    assert_eq!(text(&model.generate("Once".into(), options(40)).unwrap()), whole);
}

#[test]
fn a_cancelled_batch_is_an_error_and_not_half_a_text() {
    let model = model();
    let job = model.complete_batch(vec!["a".into(), "b".into()], options(10_000_000));
    job.cancel();
    assert!(matches!(refusal(job.result()), VolaryError::Cancelled(_)));
}

#[test]
fn errors_of_every_kind_keep_their_message() {
    let missing = refusal(read_info("none.pth".into()));
    assert_eq!(missing.to_string(), "none.pth: no such file; check the path");
    assert!(matches!(missing, VolaryError::NotFound(_)));
    assert!(matches!(refusal(read_info("tests".into())), VolaryError::Io(_) | VolaryError::Format(_)));
    assert!(matches!(refusal(State::from_bytes(vec![1, 2, 3])), VolaryError::Format(_)));
    assert!(matches!(refusal(State::from_floats(model(), vec![0; 7])), VolaryError::InvalidArgument(_)));
    let v4 = load("tests/golden/v4.pth".into(), model_options()).result();
    let Ok(Outcome::Loaded { model: v4 }) = v4 else { panic!("no model") };
    assert!(matches!(refusal(v4.eval(1, Some(model().new_state().unwrap()))), VolaryError::Mismatch(_)));
}
