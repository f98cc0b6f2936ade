//! Conversations.

use volary::{Chat, GenerateOptions, Model};

use super::Verb;
use super::call::{Call, Done, Failure};
use super::generate::pull;
use super::{options, reports};

pub const VERBS: &[(&str, Verb)] = &[
    ("Chat.send", |call| {
        let text: String = call.required("text")?;
        reply(call, |chat, options| chat.begin(&text, options))
    }),
    ("Chat.retry", |call| reply(call, |chat, options| chat.begin_again(false, options))),
    ("Chat.alternate", |call| reply(call, |chat, options| chat.begin_again(true, options))),
    ("Chat.undo", |call| on(call, Chat::undo)),
    ("Chat.reset", |call| on(call, Chat::reset)),
    ("Chat.set_system", |call| {
        let text: Option<String> = call.optional("text")?;
        on(call, |chat| chat.set_system(text.as_deref()))
    }),
    ("Chat.history", |call| {
        Done::result(call.object::<Chat>("on")?.history().iter().map(reports::message).collect::<Vec<_>>())
    }),
    ("Chat.format", |call| Done::result(call.object::<Chat>("on")?.format().name())),
    ("Chat.save", |call| {
        let path: String = call.required("path")?;
        on(call, |chat| chat.save(path))
    }),
    ("Chat.load", |call| {
        let path: String = call.required("path")?;
        Done::object(Chat::load(call.object::<Model>("model")?, path)?)
    }),
];

fn on(call: &mut Call<'_>, work: impl FnOnce(&mut Chat) -> volary::Result<()>) -> Result<Done, Failure> {
    work(call.object("on")?)?;
    Ok(Done::default())
}

/// Pulls the reply that `begin` begins.
fn reply(
    call: &mut Call<'_>,
    begin: impl FnOnce(&mut Chat, GenerateOptions) -> volary::Result<()>,
) -> Result<Done, Failure> {
    let (options, cancel_after) = (options::generate(call)?, call.optional("cancel_after")?);
    let cancel = options.cancel.clone();
    let chat: &mut Chat = call.object("on")?;
    begin(chat, options)?;
    let mut pieces = std::iter::from_fn(|| chat.next_piece().transpose());
    let text = pull(&mut pieces, cancel_after, || cancel.cancel())?;
    Done::result(reports::stats(&text, chat.stats()))
}
