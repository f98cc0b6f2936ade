//! `volary models`

use std::io::Write;

use super::Outcome;

/// Show where to get a model, and how large it is
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run() -> Outcome {
    Ok(std::io::stdout().write_all(MODELS.as_bytes())?)
}

/// Sizes: of the files, and those that `convert` writes. `docs/models.md` says more, and must name the same files.
const MODELS: &str = "\
RWKV models are published by their author, BlinkDL, on Hugging Face, under the Apache 2.0 licence. Download one:

  curl -L -O https://huggingface.co/BlinkDL/rwkv7-g1/resolve/main/rwkv7-g1d-0.4b-20260210-ctx8192.pth

It works as it is. In less than half the size, faster, at a small loss:

  volary convert rwkv7-g1d-0.4b-20260210-ctx8192.pth g1-0.4b.gguf --type Q5_1
  volary chat g1-0.4b.gguf

  parameters  download  as Q5_1  BlinkDL/rwkv7-g1: chats, and can think before it answers (--format g1-think)
  0.1 B       0.4 GB    0.2 GB   rwkv7-g1d-0.1b-20260129-ctx8192.pth
  0.4 B       0.9 GB    0.4 GB   rwkv7-g1d-0.4b-20260210-ctx8192.pth
  1.5 B       3.1 GB    1.2 GB   rwkv7-g1d-1.5b-20260212-ctx8192.pth
  2.9 B       5.9 GB    2.4 GB   rwkv7-g1d-2.9b-20260131-ctx8192.pth

  parameters  download  as Q5_1  BlinkDL/rwkv-7-world: over 100 languages
  0.1 B       0.4 GB    0.2 GB   RWKV-x070-World-0.1B-v2.8-20241210-ctx4096.pth
  0.4 B       0.9 GB    0.4 GB   RWKV-x070-World-0.4B-v2.9-20250107-ctx4096.pth
  1.5 B       3.1 GB    1.2 GB   RWKV-x070-World-1.5B-v3-20250127-ctx4096.pth
  2.9 B       5.9 GB    2.4 GB   RWKV-x070-World-2.9B-v3-20250211-ctx4096.pth

Newer ones appear at https://huggingface.co/BlinkDL. A model takes a little more memory than its file has bytes, and for
each token reads all of it once: `volary bench MODEL` tells how fast that is here.
";
