//! Chats in the terminal. An empty line asks for another reply; Ctrl-D ends.
//!
//!     cargo run --release --example chat -- [MODEL]

use std::io::{BufRead, Write};

use volary::chat::Role;
use volary::{ChatOptions, Error, GenerateOptions, Model};

fn main() -> Result<(), Error> {
    let model = match std::env::args().nth(1) {
        // An RWKV checkpoint: .pth, .safetensors, .gguf or rwkv.cpp's .bin.
        Some(path) => Model::open(path)?,
        None => {
            eprintln!("This is the demo, which only tells stories. `volary models` shows real models.");
            Model::demo()?
        }
    };
    // The prompt format (World, Raven, G1, …) is told from the model.
    let mut chat = model.chat(ChatOptions { system: Some("You are brief.".into()), ..Default::default() })?;

    loop {
        print!("> ");
        std::io::stdout().flush().ok();
        let Some(Ok(line)) = std::io::stdin().lock().lines().next() else {
            return Ok(());
        };
        let is_answered = chat.history().last().is_some_and(|message| message.role == Role::Assistant);
        let reply = if line.is_empty() && is_answered {
            chat.alternate(GenerateOptions::default())?
        } else {
            chat.send(&line, GenerateOptions::default())?
        };
        for piece in reply {
            print!("{}", piece?);
            std::io::stdout().flush().ok();
        }
        println!();
    }
}
