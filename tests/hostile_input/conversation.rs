//! What a user of a model may ask: conversations, options of a generation, stop texts, the command's arguments.

use volary::chat::ChatOptions;
use volary::{Chat, ChatFormat, GenerateOptions, Model, Result};

use super::entry::sound_model;

fn briefly() -> GenerateOptions {
    GenerateOptions { max_tokens: 3, seed: Some(1), ..GenerateOptions::default() }
}

/// The lines are the format's name, the system message, and what the user says.
pub(super) fn chat(input: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let model = sound_model();
    let format = ChatFormat::named(lines.next().unwrap_or_default(), model.info())?;
    let system = lines.next().map(str::to_string);
    let mut chat = model.chat(ChatOptions { format: Some(format), system })?;
    for line in lines.take(4) {
        // Ways of writing line breaks that the split has not taken.
        pull(chat.send(&line.replace("\\n", "\n"), briefly())?)?;
    }
    go_on(chat)
}

/// Everything that can be done with a conversation.
pub(super) fn go_on(mut chat: Chat) -> Result<()> {
    pull(chat.send("Hi", briefly())?)?;
    pull(chat.retry(briefly())?)?;
    pull(chat.alternate(briefly())?)?;
    chat.undo()?;
    let model: Model = chat.model().clone();
    let mut again = Chat::from_bytes(&model, &chat.to_bytes()?)?;
    assert_eq!(again.history(), chat.history());
    again.set_system(Some("Be brief."))?;
    pull(again.send("Hi", briefly())?)
}

fn pull(mut pieces: impl Iterator<Item = Result<volary::Piece>>) -> Result<()> {
    pieces.try_for_each(|piece| piece.map(|_| ()))
}

/// Numbers, 4 bytes each, are the options in their order; what follows are tokens and biases.
pub(super) fn options(input: &[u8]) -> Result<()> {
    let mut words = input.chunks(4).map(|bytes| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    });
    let given = words.next().unwrap_or(0);
    let mut bit = 0;
    let mut next = || {
        bit += 1;
        // A pattern that marks an option as given.
        words.next().filter(|_| given >> bit & 1 == 1)
    };
    let options = GenerateOptions {
        max_tokens: 6,
        temperature: next().map(f32::from_bits),
        top_p: next().map(f32::from_bits),
        top_k: next().map(|k| k as usize),
        min_p: next().map(f32::from_bits),
        presence_penalty: next().map(f32::from_bits),
        frequency_penalty: next().map(f32::from_bits),
        penalty_decay: next().map(f32::from_bits),
        repetition_penalty: next().map(f32::from_bits),
        logprobs: next().map(|n| n as usize),
        seed: Some(next().unwrap_or(0).into()),
        ignore_eos: next().is_some(),
        logit_bias: (0..3).filter_map(|_| Some((next()?, f32::from_bits(next()?)))).collect(),
        banned_tokens: (0..2).filter_map(|_| next()).collect(),
        stop_tokens: (0..2).filter_map(|_| next()).collect(),
        ..GenerateOptions::default()
    };
    let mut stream = sound_model().generate_tokens(&[1, 2], options.clone())?;
    while let Some(piece) = stream.next().transpose()? {
        for token in piece.logprobs.iter() {
            assert!(token.logprob <= 1e-3 && !options.banned_tokens.contains(&token.token), "{token:?}");
        }
    }
    Ok(())
}

/// Texts with a zero byte between them.
pub(super) fn stop(input: &[u8]) -> Result<()> {
    let stop: Vec<String> = String::from_utf8_lossy(input).split('\0').map(str::to_string).collect();
    let options = GenerateOptions { max_tokens: 24, seed: Some(7), stop: stop.clone(), ..GenerateOptions::default() };
    let completion = sound_model().complete("ab", options)?;
    assert!(stop.iter().all(|stop| !completion.text.contains(stop.as_str())), "{:?}", completion.text);
    Ok(())
}

/// One a line. They are understood or refused, not executed.
#[cfg(feature = "cli")]
pub(super) fn arguments(input: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(input);
    let arguments = std::iter::once("volary").chain(text.split('\n'));
    volary::cli::check(arguments).map_err(|message| {
        assert!(!message.is_empty());
        volary::Error::InvalidArgument { argument: "arguments".into(), cause: "clap's own words".into() }
    })
}
