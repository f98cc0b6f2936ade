//! `volary models`

use std::io::Write;

use super::Outcome;
use crate::eval::memory_bandwidth;

/// Show where to get a model, how large it is, and about how fast it would be here
#[derive(clap::Args)]
pub(super) struct Arguments {}

/// A model to be downloaded. `docs/models.md` says more, and must name the same files.
struct Model {
    parameters: &'static str,
    /// GB, 10^9 bytes: of the file, of what `convert` makes of it in Q5_1, and what a token reads of that.
    download: f64,
    converted: f64,
    per_token: f64,
    file: &'static str,
}

const G1: [Model; 4] = models([
    "rwkv7-g1d-0.1b-20260129-ctx8192.pth",
    "rwkv7-g1d-0.4b-20260210-ctx8192.pth",
    "rwkv7-g1k-1.5b-20260930-ctx25600.pth",
    "rwkv7-g1k-2.9b-20260930-ctx25600.pth",
]);

const WORLD: [Model; 4] = models([
    "RWKV-x070-World-0.1B-v2.8-20241210-ctx4096.pth",
    "RWKV-x070-World-0.4B-v2.9-20250107-ctx4096.pth",
    "RWKV-x070-World-1.5B-v3-20250127-ctx4096.pth",
    "RWKV-x070-World-2.9B-v3-20250211-ctx4096.pth",
]);

/// The files of the four sizes in which RWKV-7 is published.
const fn models([smallest, small, middle, large]: [&'static str; 4]) -> [Model; 4] {
    [
        Model { parameters: "0.1 B", download: 0.4, converted: 0.2, per_token: 0.12, file: smallest },
        Model { parameters: "0.4 B", download: 0.9, converted: 0.4, per_token: 0.31, file: small },
        Model { parameters: "1.5 B", download: 3.1, converted: 1.2, per_token: 1.1, file: middle },
        Model { parameters: "2.9 B", download: 5.9, converted: 2.4, per_token: 2.2, file: large },
    ]
}

pub(super) fn run() -> Outcome {
    // Where there is no memory to measure, the list is wanted all the same.
    let bandwidth = memory_bandwidth(None).unwrap_or(f64::NAN);
    let mut out = std::io::stdout();
    writeln!(
        out,
        "\
RWKV models are published by their author, BlinkDL, on Hugging Face, under the Apache 2.0 licence. Download one:

  curl -L -O https://huggingface.co/BlinkDL/rwkv7-g1/resolve/main/{small}

It works as it is. In less than half the size, faster, at a small loss:

  volary convert {small} g1-0.4b.gguf --type Q5_1
  volary chat g1-0.4b.gguf
",
        small = G1[1].file
    )?;
    table(&mut out, "BlinkDL/rwkv7-g1: chats, and can think before it answers (--format g1-think)", &G1, bandwidth)?;
    table(&mut out, "BlinkDL/rwkv-7-world: over 100 languages", &WORLD, bandwidth)?;
    Ok(writeln!(
        out,
        "\
Newer ones appear at https://huggingface.co/BlinkDL. A model takes a little more memory than its file has bytes, and for
each token reads all of it once, so tokens/s are about what the Q5_1 file would write here, where all threads together
read {bandwidth} GB/s of memory. `volary bench MODEL` measures it.",
        bandwidth = if bandwidth.is_nan() { "?".into() } else { format!("{bandwidth:.0}") }
    )?)
}

fn table(out: &mut impl Write, repository: &str, models: &[Model], bandwidth: f64) -> std::io::Result<()> {
    writeln!(out, "  parameters  download  as Q5_1  tokens/s  {repository}")?;
    for Model { parameters, download, converted, per_token, file } in models {
        let rate = rate(bandwidth, *per_token);
        writeln!(out, "  {parameters:<10}  {download:.1} GB    {converted:.1} GB   {rate:>8}  {file}")?;
    }
    writeln!(out)
}

/// Tokens a second in two digits, if each reads so many GB: writing was seen to get four fifths of the memory's GB/s.
fn rate(bandwidth: f64, per_token: f64) -> String {
    let rate = 0.8 * bandwidth / per_token;
    match rate {
        _ if rate.is_nan() => "?".into(),
        100.0.. => format!("{:.0}", (rate / 10.0).round() * 10.0),
        10.0.. => format!("{rate:.0}"),
        _ => format!("{rate:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits() {
        assert_eq!([36.0, 9.9, 1.3, 0.2].map(|bandwidth| rate(bandwidth, 0.16)), ["180", "50", "6.5", "1.0"]);
        assert_eq!(rate(f64::NAN, 0.16), "?");
    }
}
