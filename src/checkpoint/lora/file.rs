//! What a trainer's file holds, by the matrix it is for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::{Checksum, Contents, FileType, Mapped, Stored, names, read};
use crate::error::{Error, Result};

/// The two factors of a low-rank matrix `B A`.
pub(in crate::checkpoint) struct Pair {
    /// `[r, in]`
    pub a: Stored,
    /// `[out, r]`
    pub b: Stored,
}

/// What a file does to one tensor of the model.
pub(super) enum Change {
    Pair(Pair),
    /// A DiSHA, Bone or Bat.
    Block(Stored),
    Whole(Stored),
}

/// A LoRA or one of its relatives.
pub(super) struct TrainedFile {
    pub files: Vec<Mapped>,
    pub checksums: Vec<Checksum>,
    /// By the name of the tensor that changes.
    pub changes: BTreeMap<String, Change>,
}

/// What PiSSA started from.
pub(super) struct InitialValues {
    pub path: PathBuf,
    files: Vec<Mapped>,
    checksums: Vec<Checksum>,
    pairs: BTreeMap<String, Pair>,
}

/// The part that a tensor plays for the tensor it changes.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    A,
    B,
    InitialA,
    InitialB,
    Block,
    Whole,
}

/// Everything that is there for one tensor of the model.
#[derive(Default)]
struct Found {
    a: Option<Stored>,
    b: Option<Stored>,
    block: Option<Stored>,
    whole: Option<Stored>,
}

impl TrainedFile {
    /// `first_file`: the index that the file will have among the checkpoint's.
    pub fn read(path: &Path, first_file: usize) -> Result<Self> {
        let Listed { files, tensors, checksums } = tensors(path, first_file)?;
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        for tensor in tensors {
            let (target, role) = role(&tensor.name);
            let name = tensor.name.clone();
            let found = found.entry(target).or_default();
            let place = match role {
                Role::A => &mut found.a,
                Role::B => &mut found.b,
                Role::Block => &mut found.block,
                Role::Whole => &mut found.whole,
                Role::InitialA | Role::InitialB => {
                    let cause = format!("holds {name}, an initial value of a PiSSA; give this file as pissa_init");
                    return Err(Error::format(path, cause));
                }
            };
            if place.replace(tensor).is_some() {
                return Err(Error::format(path, format!("holds {name} twice, under different names; leave one out")));
            }
        }
        if !found.values().any(|found| found.a.is_some() || found.b.is_some() || found.block.is_some()) {
            let cause =
                "holds no LoRA: no tensor is called lora_A, lora_B, disha or bone; name the trainer's output file";
            return Err(Error::format(path, cause));
        }
        let changes = found.into_iter().map(|(target, found)| {
            let change = found.change().map_err(|cause| Error::format(path, format!("{target}: {cause}")))?;
            Ok((target, change))
        });
        Ok(Self { files, checksums, changes: changes.collect::<Result<_>>()? })
    }
}

impl Found {
    fn change(self) -> Result<Change, &'static str> {
        match (self.a, self.b, self.block, self.whole) {
            (Some(a), Some(b), None, None) => Ok(Change::Pair(Pair { a, b })),
            (None, None, Some(block), None) => Ok(Change::Block(block)),
            (None, None, None, Some(whole)) => Ok(Change::Whole(whole)),
            (Some(_), None, None, None) => Err("its lora_A has no lora_B; the file is incomplete"),
            (None, Some(_), None, None) => Err("its lora_B has no lora_A; the file is incomplete"),
            _ => Err("is trained in several ways at once; the file mixes a LoRA, a DiSHA or the tensor itself"),
        }
    }
}

impl InitialValues {
    /// `first_file` as for [`TrainedFile::read`].
    pub fn read(path: &Path, first_file: usize) -> Result<Self> {
        let Listed { files, tensors, checksums } = tensors(path, first_file)?;
        let mut halves: BTreeMap<String, [Option<Stored>; 2]> = BTreeMap::new();
        for tensor in tensors {
            let place = match role(&tensor.name) {
                (target, Role::InitialA) => &mut halves.entry(target).or_default()[0],
                (target, Role::InitialB) => &mut halves.entry(target).or_default()[1],
                _ => {
                    let cause =
                        format!("holds {}, which is no initial value of a PiSSA; name init_pissa.pth", tensor.name);
                    return Err(Error::format(path, cause));
                }
            };
            *place = Some(tensor);
        }
        let pairs = halves.into_iter().map(|(target, halves)| match halves {
            [Some(a), Some(b)] => Ok((target, Pair { a, b })),
            _ => Err(Error::format(
                path,
                format!("{target}: lacks one of init_lora_A and init_lora_B; it is incomplete"),
            )),
        });
        Ok(Self { path: path.to_path_buf(), files, checksums, pairs: pairs.collect::<Result<_>>()? })
    }

    /// Takes out what the training of this matrix started from.
    pub fn take(&mut self, target: &str) -> Result<Pair> {
        self.pairs.remove(target).ok_or_else(|| {
            let cause = format!("lacks the initial values of {target}; it belongs to another training");
            Error::mismatch(self.path.display(), cause)
        })
    }

    /// The files and their checksums, if everything was taken: a matrix without its initial values is only right with what was trained.
    pub fn finish(self, trained: &Path) -> Result<(Vec<Mapped>, Vec<Checksum>)> {
        match self.pairs.first_key_value() {
            None => Ok((self.files, self.checksums)),
            Some((target, _)) => {
                let cause = format!(
                    "holds initial values of {target}, but {} does not train it; it belongs to another training",
                    trained.display()
                );
                Err(Error::mismatch(self.path.display(), cause))
            }
        }
    }
}

/// What lies in a file.
struct Listed {
    files: Vec<Mapped>,
    tensors: Vec<Stored>,
    checksums: Vec<Checksum>,
}

/// All tensors of a file, under BlinkDL's names as far as they have any.
fn tensors(path: &Path, first_file: usize) -> Result<Listed> {
    let (file_type, Contents { files, mut stored, mut checksums, .. }) = read(path)?;
    if !matches!(file_type, FileType::Pth | FileType::Safetensors) {
        let cause = "is a model or an adapter of llama.cpp or rwkv.cpp; give the .pth or .safetensors of the training";
        return Err(Error::unsupported(path.display(), cause));
    }
    if without_prefix_of_peft(&mut stored) {
        refuse_special_scales(path)?;
    }
    let mut tensors = names::of_training(stored);
    for tensor in &mut tensors {
        refuse_other_kinds(path, &tensor.name)?;
        tensor.file += first_file;
    }
    checksums.iter_mut().for_each(|checksum| checksum.file += first_file);
    Ok(Listed { files, tensors, checksums })
}

/// The tensor of the model that one is for, and its part in that.
fn role(name: &str) -> (String, Role) {
    const ROLES: [(&str, Role); 6] = [
        (".init_lora_A", Role::InitialA),
        (".init_lora_B", Role::InitialB),
        (".lora_A", Role::A),
        (".lora_B", Role::B),
        (".disha", Role::Block),
        (".bone", Role::Block),
    ];
    let bare = name.strip_suffix(".weight").unwrap_or(name);
    let found = ROLES.iter().find_map(|(suffix, role)| Some((format!("{}.weight", bare.strip_suffix(suffix)?), *role)));
    found.unwrap_or_else(|| (name.to_string(), Role::Whole))
}

/// What looks like the kinds above, and would be merged wrongly or only in part.
fn refuse_other_kinds(path: &Path, name: &str) -> Result<()> {
    const KINDS: [(&str, &str); 7] = [
        (".lora_M", "a DoRA (lora_M); merge it with its trainer's script"),
        (".lora_magnitude_vector", "a DoRA; merge it with its trainer's script"),
        (".miss_block", "a MiSS of Hugging Face's PEFT; merge it with merge_and_unload() there"),
        (".bone_block", "a Bone of Hugging Face's PEFT; merge it with merge_and_unload() there"),
        (".lora.0", "a LoRA converted for web-rwkv; give the file that it was converted from"),
        (".lora.1", "a LoRA converted for web-rwkv; give the file that it was converted from"),
        (".att.time_state", "a tuned initial state, not a LoRA; give it as the model's initial state"),
    ];
    match KINDS.iter().find(|(part, _)| name.contains(part)) {
        None => Ok(()),
        Some((_, kind)) => Err(Error::unsupported(path.display(), format!("holds {name}, of {kind}"))),
    }
}

/// Hugging Face's PEFT, with which RWKV-PEFT trains since the summer of 2025, saves the same tensors under a prefix.
fn without_prefix_of_peft(stored: &mut [Stored]) -> bool {
    let mut any = false;
    for tensor in stored {
        if let Some(rest) = tensor.name.strip_prefix("base_model.model.") {
            tensor.name = rest.to_string();
            any = true;
        }
    }
    any
}

/// PEFT has other scales than `alpha / r`. Which one a file was trained with only the configuration beside it tells.
fn refuse_special_scales(path: &Path) -> Result<()> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Config {
        use_rslora: bool,
        alpha_pattern: BTreeMap<String, f64>,
    }
    let config_path = path.with_file_name("adapter_config.json");
    if !config_path.is_file() {
        return Ok(());
    }
    const LARGEST: u64 = 1 << 20;
    let bytes = crate::whole_file::read(&config_path, LARGEST)?;
    let config: Config = serde_json::from_slice(&bytes).map_err(|e| {
        Error::format(&config_path, format!("is no configuration of an adapter ({e}); repair or remove it"))
    })?;
    let cause = match config {
        Config { use_rslora: true, .. } => "has the scale of rsLoRA (use_rslora)",
        Config { alpha_pattern, .. } if !alpha_pattern.is_empty() => "has several alphas (alpha_pattern)",
        _ => return Ok(()),
    };
    Err(Error::unsupported(config_path.display(), format!("{cause}; merge it with merge_and_unload() of PEFT")))
}
