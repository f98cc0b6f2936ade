//! Conversations with a tiny model. Its format is World's: vocabulary and name say nothing else.

use super::*;
use crate::generate::FinishReason;
use crate::generate::tiny::tiny_model;

fn options(seed: u64) -> GenerateOptions {
    GenerateOptions { seed: Some(seed), max_tokens: 40, ..Default::default() }
}

fn chat_with(model: &Model, format: ChatFormat) -> Chat {
    model.chat(ChatOptions { format: Some(format), system: Some("abc".into()) }).unwrap()
}

/// Pulls a reply to its end and gives what was shown.
fn pull(stream: ChatStream<'_>) -> String {
    stream.map(|piece| piece.unwrap().text).collect()
}

fn contents(chat: &Chat) -> Vec<String> {
    chat.history().iter().map(|message| message.content.clone()).collect()
}

/// The state that a position stands for.
fn state_at(model: &Model, position: &Position) -> Vec<f32> {
    let mut state = position.state.clone();
    model.prefill(&mut state, &position.unread).unwrap();
    state.to_floats()
}

/// That the model remembers the history as the format writes it, and nothing else.
fn assert_canonical(chat: &Chat) {
    let expected = state_at(&chat.model, &history::read(&chat.model, chat.format, "text", &chat.messages).unwrap());
    let found = state_at(&chat.model, &chat.position);
    let distance = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(distance < 1e-4, "{distance} after {:?}", chat.messages);
    for (user, position) in &chat.snapshots {
        let before = history::read(&chat.model, chat.format, "text", &chat.messages[..*user]).unwrap();
        let expected = state_at(&chat.model, &before);
        let found = state_at(&chat.model, position);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "snapshot before message {user}");
    }
}

#[test]
fn whatever_is_done_the_model_remembers_the_history_and_nothing_else() {
    for format in ["world", "raven", "alpaca", "g1", "g1-fast", "g1-think-a-bit"] {
        let model = tiny_model(1);
        let options = |seed| GenerateOptions { max_tokens: 16, ..options(seed) };
        let mut chat = chat_with(&model, ChatFormat::known(format).unwrap());
        for turn in 0..10 {
            pull(chat.send("a\r\n\r\nb", options(turn)).unwrap());
            assert_canonical(&chat);
        }
        assert_eq!(chat.snapshots.len(), MAX_SNAPSHOTS);
        pull(chat.retry(options(1)).unwrap());
        assert_canonical(&chat);
        pull(chat.alternate(options(1)).unwrap());
        assert_canonical(&chat);
        for _ in 0..9 {
            chat.undo().unwrap();
        }
        assert_canonical(&chat);
        chat.set_system(Some("dab")).unwrap();
        assert_canonical(&chat);
        pull(chat.send("a", options(1)).unwrap());
        let mut stream = chat.send("b", options(1)).unwrap();
        stream.next();
        drop(stream);
        assert_canonical(&chat);
        chat.reset().unwrap();
        assert_canonical(&chat);
        assert_eq!(contents(&chat), ["dab"]);
    }
}

#[test]
fn a_reply_is_shown_without_the_space_around_it_and_kept_as_shown() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    for seed in 0..20 {
        let shown = pull(chat.send("a", options(seed)).unwrap());
        assert_eq!(shown.trim_start(), shown);
        assert!(!shown.contains("\n\n"), "{shown:?}");
        let last = chat.history().last().unwrap();
        match last.role {
            Role::Assistant => assert_eq!(last.content, shown.trim_end()),
            _ => assert_eq!(shown.trim(), ""),
        }
    }
    assert!(chat.history().iter().filter(|message| message.role == Role::Assistant).count() > 10);
}

#[test]
fn a_cancelled_reply_is_kept_as_far_as_it_was_shown() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    let whole = pull(chat.send("a", options(3)).unwrap());
    chat.undo().unwrap();
    let mut stream = chat.send("a", options(3)).unwrap();
    let cancel = stream.cancel_handle();
    let mut shown = stream.next().unwrap().unwrap().text;
    shown += &stream.next().unwrap().unwrap().text;
    cancel.cancel();
    assert!(stream.next().is_none());
    assert_eq!(stream.stats().finish_reason, Some(FinishReason::Cancelled));
    drop(stream);
    assert!(whole.starts_with(&shown) && shown.len() < whole.len());
    assert_eq!(chat.history().last().unwrap().content, shown.trim_end());
    assert_canonical(&chat);
}

#[test]
fn retry_replaces_the_reply_and_alternate_keeps_the_former_ones() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    pull(chat.send("abba", options(3)).unwrap());
    let first = chat.history().last().unwrap().content.clone();
    pull(chat.retry(options(3)).unwrap());
    let second = chat.history().last().unwrap().clone();
    assert_ne!(second.content, first, "a retry with the same seed differs");
    assert!(second.alternatives.is_empty());
    pull(chat.alternate(options(3)).unwrap());
    pull(chat.alternate(options(3)).unwrap());
    let last = chat.history().last().unwrap();
    assert_eq!(last.alternatives.len(), 2);
    assert_eq!(last.alternatives[0], second.content);
    assert_eq!(chat.history().len(), 3);
    assert_canonical(&chat);
}

#[test]
fn retries_differ_from_those_of_before_another_message_and_a_save() {
    let model = tiny_model(1);
    let retry = |chat: &mut Chat| pull(chat.retry(options(3)).unwrap());
    let mut chat = chat_with(&model, ChatFormat::World);
    pull(chat.send("abba", options(3)).unwrap());
    let mut replies = vec![retry(&mut chat)];
    pull(chat.send("c", options(3)).unwrap());
    chat.undo().unwrap();
    replies.push(retry(&mut chat));
    let mut loaded = Chat::from_bytes(&model, &chat.to_bytes().unwrap()).unwrap();
    replies.push(retry(&mut loaded));
    assert_eq!(replies[2], retry(&mut chat), "the same as without the save");
    replies.sort();
    replies.dedup();
    assert_eq!(replies.len(), 3);
}

#[test]
fn retry_answers_as_if_the_message_were_said_again() {
    let model = tiny_model(2);
    let greedy = || GenerateOptions { temperature: Some(0.0), ..options(0) };
    let mut chat = chat_with(&model, ChatFormat::World);
    pull(chat.send("ab", options(1)).unwrap());
    let said = pull(chat.send("cd", greedy()).unwrap());
    assert_eq!(pull(chat.retry(greedy()).unwrap()), said);
    chat.snapshots.clear();
    assert_eq!(pull(chat.retry(greedy()).unwrap()), said, "after the conversation was read again");
}

#[test]
fn a_reply_of_nothing_leaves_the_former_reply_or_none() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    let nothing = GenerateOptions { max_tokens: 0, ..options(0) };
    assert_eq!(pull(chat.send("a", nothing.clone()).unwrap()), "");
    assert_eq!(contents(&chat), ["abc", "a"]);
    assert_canonical(&chat);
    pull(chat.retry(options(3)).unwrap());
    let answered = contents(&chat);
    assert_eq!(answered.len(), 3);
    pull(chat.retry(nothing).unwrap());
    assert_eq!(contents(&chat), answered);
    assert_canonical(&chat);
}

#[test]
fn thoughts_are_shown_apart_and_not_remembered() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::G1(Thinking::On));
    let mut stream = chat.send("a", options(1)).unwrap();
    let pieces: Vec<_> = stream.by_ref().map(|piece| piece.unwrap()).collect();
    drop(stream);
    // The tiny model cannot spell the tag that ends a thought, but it ends the one that begins it by chance only:
    // either everything was a thought, or everything an answer that starts with the tag.
    let (thoughts, answers): (Vec<_>, Vec<_>) = pieces.iter().partition(|piece| piece.thinking);
    assert!(thoughts.is_empty() != answers.is_empty());
    let last = chat.history().last().unwrap();
    assert_eq!(last.role, Role::Assistant);
    assert_eq!(last.thought.is_empty(), thoughts.is_empty());
    assert_canonical(&chat);
}

#[test]
fn a_saved_chat_goes_on_with_the_same_words() {
    let model = tiny_model(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.volary");
    let mut chat = chat_with(&model, ChatFormat::World);
    for seed in 0..3 {
        pull(chat.send("abba", options(seed)).unwrap());
    }
    pull(chat.alternate(options(7)).unwrap());
    chat.save(&path).unwrap();
    let mut loaded = Chat::load(&model, &path).unwrap();
    assert_eq!(loaded.history(), chat.history());
    assert_eq!((loaded.format(), loaded.system()), (ChatFormat::World, Some("abc")));
    assert_canonical(&loaded);
    assert_eq!(pull(loaded.send("c", options(9)).unwrap()), pull(chat.send("c", options(9)).unwrap()));
    loaded.undo().unwrap();
    loaded.undo().unwrap();
    assert_canonical(&loaded);
    assert_eq!(
        loaded.to_bytes().unwrap(),
        Chat::from_bytes(&model, &loaded.to_bytes().unwrap()).unwrap().to_bytes().unwrap()
    );
}

#[test]
fn a_damaged_chat_or_one_with_another_model_is_an_error_not_a_panic() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    pull(chat.send("abba", options(1)).unwrap());
    let bytes = chat.to_bytes().unwrap();
    for len in (0..bytes.len()).step_by(29).chain(bytes.len() - 20..bytes.len()) {
        assert!(Chat::from_bytes(&model, &bytes[..len]).is_err(), "{len} bytes");
    }
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        assert!(Chat::from_bytes(&model, &damaged).is_err(), "byte {at}");
    }
    let error = Chat::from_bytes(&tiny_model(2), &bytes).err().unwrap();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let error = Chat::load(&model, "no/such/file").err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = Chat::from_bytes(&model, b"\xff\xd8\xff a picture, not a chat").err().unwrap();
    assert_eq!(error.to_string(), "chat: is not a chat saved by Volary; give one that save wrote");
}

#[test]
fn while_a_reply_runs_the_chat_refuses_everything_else() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    chat.begin("a", options(1)).unwrap();
    let busy = "chat: a reply is still running; read it to its end or end it first";
    assert_eq!(chat.begin("b", options(1)).unwrap_err().to_string(), busy);
    assert_eq!(chat.undo().unwrap_err().to_string(), busy);
    assert_eq!(chat.to_bytes().unwrap_err().to_string(), busy);
    while chat.next_piece().unwrap().is_some() {}
    assert!(chat.next_piece().unwrap().is_none());
    chat.undo().unwrap();
    assert_eq!(chat.undo().unwrap_err().to_string(), "undo: there is no message to take back; send one first");
}

#[test]
fn what_cannot_be_said_changes_nothing() {
    let model = tiny_model(1);
    let mut chat = chat_with(&model, ChatFormat::World);
    assert!(chat.retry(options(1)).err().unwrap().to_string().contains("no message to answer"));
    pull(chat.send("a", options(1)).unwrap());
    let history = contents(&chat);
    assert!(chat.send(" \n", options(1)).is_err());
    assert!(chat.send("b", GenerateOptions { top_p: Some(-1.0), ..options(1) }).is_err());
    assert!(chat.retry(GenerateOptions { state: Some(model.new_state()), ..options(1) }).is_err());
    assert_eq!(contents(&chat), history);
    assert_canonical(&chat);
}

#[test]
fn one_shot_prompts_leave_the_format_to_decide() {
    let model = tiny_model(1);
    for kind in [OneShot::Generate, OneShot::Instruct, OneShot::Answer, OneShot::Question] {
        let stream = kind.start(&model, ChatFormat::World, "abc", options(1)).unwrap();
        let text: String = stream.map(|piece| piece.unwrap().text).collect();
        assert!(kind != OneShot::Answer || !text.contains("\n\n"));
    }
}
