//! The format that every tensor of a model is to have, before any is written.

use std::collections::BTreeMap;

use super::policy::{Policy, Role, fitting};
use crate::checkpoint::{BinVersion, Checkpoint, gguf_can_hold};
use crate::error::{Error, Result};
use crate::quant::{Encoder, Format};

/// How to quantize a model, or to change its number format.
#[derive(Clone, Debug, Default)]
pub struct Quantization {
    /// The format of most matrices. `None`: every tensor keeps its own, as far as the file to be written can hold it.
    pub format: Option<Format>,
    /// How blocks are chosen.
    pub encoder: Encoder,
    /// Which tensors get `format`, and what the others get. `None`: `RwkvCpp` in a `.bin`, `Default` elsewhere.
    pub policy: Option<Policy>,
    /// Formats of single matrices, by pattern: canonical names with `*` for any characters. The last that matches wins.
    pub tensor_formats: Vec<(String, Format)>,
}

/// The kind of file that tensors go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Gguf,
    Bin(BinVersion),
}

/// The formats, by canonical name.
#[derive(Debug)]
pub(crate) struct Plan {
    formats: BTreeMap<String, Format>,
    /// Tensors whose rows did not divide into the blocks of the format they were to have.
    pub refitted: Vec<String>,
}

impl Plan {
    /// The plan for a file, or for a model in memory (`None`), which can have every format.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for formats that the container or the tensors cannot have, patterns that match nothing,
    /// and options that say nothing.
    pub fn new(checkpoint: &Checkpoint, container: Option<Container>, wanted: &Quantization) -> Result<Self> {
        if let (None, Some(_)) = (wanted.format, wanted.policy) {
            return Err(Error::argument("policy", "chooses among formats, but no type is given; give one"));
        }
        let format = wanted.format.map(|format| requested("type", container, format)).transpose()?;
        let policy = wanted.policy.unwrap_or(match container {
            Some(Container::Bin(_)) => Policy::RwkvCpp,
            Some(Container::Gguf) | None => Policy::Default,
        });
        let mut plan = Self { formats: BTreeMap::new(), refitted: Vec::new() };
        for (name, shape, own) in checkpoint.tensors() {
            let chosen = match wanted.format {
                Some(format) => policy.format(format, name),
                None if Role::of(name) == Role::Vector => Some(Format::F32),
                None => None,
            };
            let row = shape.last().copied().unwrap_or(1);
            let chosen = match chosen {
                Some(chosen) => {
                    let fits = fitting(chosen, row);
                    if fits != chosen {
                        plan.refitted.push(name.to_string());
                    }
                    holding(container, fits, format.is_some())
                }
                None => holding(container, own, format.is_some()),
            };
            plan.formats.insert(name.to_string(), chosen);
        }
        for (pattern, format) in &wanted.tensor_formats {
            plan.apply(checkpoint, container, pattern, *format)?;
        }
        Ok(plan)
    }

    /// Gives the tensors that a pattern names their format.
    fn apply(
        &mut self,
        checkpoint: &Checkpoint,
        container: Option<Container>,
        pattern: &str,
        format: Format,
    ) -> Result<()> {
        let refuse = |cause: String| Err(Error::argument("tensor_types", format!("{pattern}={format} {cause}")));
        let format = requested("tensor_types", container, format)?;
        let mut matched = false;
        for (name, shape, _) in checkpoint.tensors().filter(|(name, ..)| matches(pattern, name)) {
            // Vectors stay F32, which is what `*` must mean too.
            if Role::of(name) == Role::Vector {
                continue;
            }
            matched = true;
            let row = shape.last().copied().unwrap_or(1);
            if !row.is_multiple_of(format.block_len()) {
                let len = format.block_len();
                return refuse(format!("names {name}, whose rows of {row} numbers do not divide into blocks of {len}"));
            }
            self.refitted.retain(|refitted| refitted != name);
            self.formats.insert(name.to_string(), format);
        }
        match matched {
            true => Ok(()),
            false => {
                refuse("names no matrix; `volary info --tensors` lists them, and * stands for any characters".into())
            }
        }
    }

    /// The format that a tensor is to have.
    pub fn format(&self, name: &str) -> Format {
        self.formats.get(name).copied().unwrap_or(Format::F32)
    }

    /// How many tensors go from one quantized format to another. Those that only change the layout lose nothing.
    pub fn requantized(&self, checkpoint: &Checkpoint) -> usize {
        let loses = |(name, _, own): (&str, &[usize], Format)| {
            let new = self.format(name);
            let is_same = own == new || own.modern() == Some(new) || own.of_version_100() == Some(new);
            !own.is_float() && !new.is_float() && !is_same
        };
        checkpoint.tensors().map(loses).filter(|&loses| loses).count()
    }

    /// The format of most numbers in the layers' matrices.
    pub fn main_format(&self, checkpoint: &Checkpoint) -> Format {
        let mut counts = BTreeMap::new();
        for (name, shape, _) in checkpoint.tensors().filter(|(name, ..)| Role::of(name) == Role::Layer) {
            *counts.entry(self.format(name)).or_insert(0) += shape.iter().product::<usize>();
        }
        counts.into_iter().max_by_key(|&(_, count)| count).map_or(Format::F32, |(format, _)| format)
    }
}

impl Container {
    fn can_hold(self, format: Format) -> bool {
        match self {
            Self::Gguf => gguf_can_hold(format),
            Self::Bin(version) => version.can_hold(format),
        }
    }
}

/// What a person means by a format's name: version 100 has its own layouts under the same names.
fn requested(argument: &str, container: Option<Container>, format: Format) -> Result<Format> {
    let Some(container) = container else { return Ok(format) };
    let (own, name) = match container {
        Container::Gguf => (format, "a GGUF file"),
        Container::Bin(BinVersion::V100) => (format.of_version_100().unwrap_or(format), "a .bin of version 100"),
        Container::Bin(BinVersion::V101) => (format, "a .bin of version 101"),
    };
    if container.can_hold(own) {
        return Ok(own);
    }
    let can: Vec<_> = Format::ALL.iter().filter(|&&f| container.can_hold(f)).map(|f| f.name()).collect();
    Err(Error::argument(argument, format!("{name} cannot hold {format}; it can hold {}", can.join(", "))))
}

/// The format itself if the container holds it, else the nearest one that it holds.
fn holding(container: Option<Container>, format: Format, quantizing: bool) -> Format {
    let counterpart = format.modern().or(format.of_version_100());
    let finer = match format {
        // Nothing is lost, unless everything else loses far more.
        Format::BF16 if quantizing => Format::F16,
        format if format.is_float() => Format::F32,
        _ => Format::Q8_0,
    };
    let candidates = [Some(format), counterpart, Some(finer), finer.of_version_100()];
    let can_hold = |format: &Format| container.is_none_or(|container| container.can_hold(*format));
    candidates.into_iter().flatten().find(can_hold).unwrap_or(Format::F32)
}

/// Whether a name matches a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // What is between two asterisks may as well be taken where it comes first.
    let mut parts = middle.split('*');
    let tail =
        name.strip_prefix(start).and_then(|tail| parts.try_fold(tail, |tail, part| Some(tail.split_once(part)?.1)));
    tail.is_some_and(|tail| tail.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn an_asterisk_stands_for_any_characters() {
        let name = "blocks.12.ffn.key.weight";
        for pattern in ["*", "**", "blocks.*", "*.weight", "*ffn*", "blocks.*.ffn.*.weight", "*b*1*2*t*", name] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["", "blocks", "blocks.*.ffn", "*key", "*2*1*", "blocks.12.ffn.key.weight*t", "*weight*weight"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
        assert!(matches("a*a", "aa") && !matches("a*a", "a"));
        // No way of dividing it among the asterisks is tried twice.
        assert!(!matches(&"*a".repeat(100), &format!("{}b", "a".repeat(1000))));
    }
}
