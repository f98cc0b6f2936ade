//! Continues a text, piece by piece as it is generated.
//!
//!     cargo run --release --example complete -- [MODEL ["Once upon a time"]]

use std::io::Write;

use volary::{Error, GenerateOptions, Model};

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let model = match args.next() {
        // An RWKV checkpoint: .pth, .safetensors, .gguf or rwkv.cpp's .bin.
        Some(path) => Model::open(path)?,
        None => {
            eprintln!("This is the demo, which tells old stories. `volary models` shows real models.");
            Model::demo()?
        }
    };
    let prompt = args.next().unwrap_or("Once upon a time".into());

    // What is left out is as RWKV's author recommends.
    let options = GenerateOptions {
        max_tokens: 200,
        temperature: Some(1.0),
        top_p: Some(0.5),
        stop: vec!["\n\n".into()],
        ..Default::default()
    };
    print!("{prompt}");
    let mut stream = model.generate(&prompt, options)?;
    for piece in &mut stream {
        print!("{}", piece?);
        std::io::stdout().flush().ok();
    }
    println!();

    let stats = stream.stats();
    eprintln!(
        "{} tokens, {:.1} a second",
        stats.usage.generated_tokens,
        stats.usage.generated_tokens as f64 / stats.timings.decode_seconds
    );
    Ok(())
}
