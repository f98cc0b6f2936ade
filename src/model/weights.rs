//! Takes weights out of a checkpoint, checking each shape, and keeps count of what was taken.

use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::Progress;
use super::config::{Config, DAMAGED};
use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{Error, Result};
use crate::kernel::{Arena, Matrix, Norm, Table};
use crate::pool::Pool;
use crate::quant::{self, Encoder};
use crate::quantize::{Plan, recode};

/// What a loader has seen of the weights.
pub(crate) struct Loaded {
    /// Bytes that they take in memory.
    pub resident_bytes: usize,
    /// Numbers in all matrices but the embedding: each is multiplied once for a token whose logits are asked for.
    pub multiplications: usize,
    /// Tells them from other weights: samples of every matrix and all the norms, which are the same numbers in whatever
    /// file a model comes.
    pub fingerprint: u64,
}

/// Loads one model's tensors.
pub(crate) struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    pub config: &'a Config,
    pool: &'a Pool,
    arena: Arena,
    progress: Option<&'a Progress>,
    /// Matrices stay in the file: only their shapes are looked at.
    only_checks: bool,
    /// The formats that the matrices are brought to.
    plan: Option<(Plan, Encoder)>,
    /// The layer whose tensors `att` and `ffn` name.
    pub layer: usize,
    loaded: usize,
    total: usize,
    resident: usize,
    multiplications: usize,
    fingerprint: Xxh3,
}

impl<'a> Loader<'a> {
    pub fn new(checkpoint: &'a Checkpoint, config: &'a Config, pool: &'a Pool, progress: Option<&'a Progress>) -> Self {
        let sizes = checkpoint.tensors().filter_map(|(_, shape, format)| format.size_of(shape));
        Self {
            checkpoint,
            config,
            pool,
            arena: Arena::new(checkpoint.path()),
            progress,
            only_checks: false,
            plan: None,
            layer: 0,
            loaded: 0,
            total: sizes.sum::<usize>().max(1),
            resident: 0,
            multiplications: 0,
            fingerprint: Xxh3::new(),
        }
    }

    /// Looks at the matrices' shapes from here on, and leaves them empty.
    pub fn only_check(&mut self) {
        self.only_checks = true;
    }

    /// Brings the matrices to other formats from here on.
    pub fn quantize(&mut self, plan: Plan, encoder: Encoder) {
        self.plan = Some((plan, encoder));
    }

    pub fn finish(self) -> Loaded {
        let Self { resident, multiplications, fingerprint, .. } = self;
        Loaded { resident_bytes: resident, multiplications, fingerprint: fingerprint.digest() }
    }

    /// Canonical name of a tensor of this layer's time mix.
    pub fn att(&self, name: &str) -> String {
        format!("blocks.{}.att.{name}", self.layer)
    }

    /// Canonical name of a tensor of this layer's channel mix.
    pub fn ffn(&self, name: &str) -> String {
        format!("blocks.{}.ffn.{name}", self.layer)
    }

    /// The model's file.
    pub fn path(&self) -> &'a Path {
        self.checkpoint.path()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.checkpoint.contains(name)
    }

    /// Rows of a matrix whose size nothing else tells: the rank of a low-rank pair.
    pub fn rank(&self, name: &str) -> Result<usize> {
        match self.checkpoint.shape(name) {
            Some(&[rank, _]) if rank > 0 => Ok(rank),
            _ => Err(Error::format(self.checkpoint.path(), format!("{name} is missing or no matrix; {DAMAGED}"))),
        }
    }

    /// A vector with a number for each channel, whatever dimensions the file gives it.
    pub fn channels(&mut self, name: &str) -> Result<Vec<f32>> {
        let n_embd = self.config.n_embd;
        match self.len(name)? {
            len if len == n_embd => self.vector(name),
            len => Err(self.wrong_shape(name, &[len], &[n_embd])),
        }
    }

    /// A number for each channel, or one for each head that its channels share.
    pub fn head_channels(&mut self, name: &str) -> Result<Vec<f32>> {
        let Config { n_embd, n_head, head_size, .. } = *self.config;
        match self.len(name)? {
            n if n == n_embd => self.vector(name),
            n if n == n_head => {
                let vector = self.vector(name)?;
                Ok(vector.iter().flat_map(|&x| std::iter::repeat_n(x, head_size)).collect())
            }
            n => Err(self.wrong_shape(name, &[n], &[n_head, head_size])),
        }
    }

    /// How much of the *previous* token each channel takes, from RWKV-4 and 5's share of the current one.
    pub fn time_mix(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(self.channels(name)?.iter().map(|mix| 1.0 - mix).collect())
    }

    pub fn norm(&mut self, name: &str, eps: f32) -> Result<Norm> {
        let weight = self.channels(&format!("{name}.weight"))?;
        let bias = self.channels(&format!("{name}.bias"))?;
        for x in weight.iter().chain(&bias) {
            self.fingerprint.update(&x.to_le_bytes());
        }
        Ok(Norm { weight, bias, eps })
    }

    /// A matrix whose rows are looked up.
    pub fn table(&mut self, name: &str, rows: usize, cols: usize) -> Result<Table> {
        self.check_shape(name, &[rows, cols])?;
        if self.only_checks {
            return Ok(Table::empty());
        }
        let tensor = self.tensor(name)?;
        let size = tensor.data.len();
        let table = Table::new(&self.recoded(tensor)?, &mut self.arena, self.pool)?;
        self.resident += table.size();
        self.loaded(name, size)?;
        Ok(table)
    }

    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<Matrix> {
        self.check_shape(name, &[rows, cols])?;
        if self.only_checks {
            return Ok(Matrix::empty());
        }
        let tensor = self.tensor(name)?;
        let size = tensor.data.len();
        let matrix = self.take(tensor)?;
        self.loaded(name, size)?;
        Ok(matrix)
    }

    /// Several matrices of one shape that the file stores as one tensor, `[count, rows, cols]`.
    pub fn matrices<const COUNT: usize>(&mut self, name: &str, rows: usize, cols: usize) -> Result<[Matrix; COUNT]> {
        self.check_shape(name, &[COUNT, rows, cols])?;
        if self.only_checks {
            return Ok(std::array::from_fn(|_| Matrix::empty()));
        }
        let tensor = self.tensor(name)?;
        let mut matrices = Vec::with_capacity(COUNT);
        for data in tensor.data.chunks_exact(tensor.data.len() / COUNT) {
            let part = Tensor { name, shape: &[rows, cols], format: tensor.format, data: data.into() };
            matrices.push(self.take(part)?);
        }
        self.loaded(name, tensor.data.len())?;
        matrices.try_into().map_err(|_| Error::format(self.checkpoint.path(), format!("{name} is empty; {DAMAGED}")))
    }

    /// What LoRAs add to a tensor is computed on the model's own threads.
    fn tensor(&self, name: &str) -> Result<Tensor<'a>> {
        let checkpoint = self.checkpoint;
        self.pool.enter(|| checkpoint.tensor(name))
    }

    fn take(&mut self, tensor: Tensor<'_>) -> Result<Matrix> {
        let matrix = Matrix::new(&self.recoded(tensor)?, &mut self.arena, self.pool)?;
        self.resident += matrix.size();
        self.multiplications += matrix.rows() * matrix.cols();
        Ok(matrix)
    }

    /// That there is memory for a tensor of this size: where there is none, what allocates zeros ends the process. Trying costs
    /// nothing, since nobody touches the memory.
    fn check_memory(&self, size: usize) -> Result<()> {
        /// Freed blocks of up to 32 MiB teach glibc to put later ones of their size on the heap, which is given back late.
        const LEAST: usize = 33 << 20;
        let mut tried: Vec<u8> = Vec::new();
        let outcome = tried.try_reserve_exact(size.max(LEAST));
        // An allocation that nobody looks at need not happen.
        std::hint::black_box(&mut tried);
        outcome.map_err(|_| Error::io(self.checkpoint.path(), std::io::ErrorKind::OutOfMemory.into()))
    }

    /// A tensor in the format that the plan wants, if there is one.
    fn recoded<'t>(&mut self, tensor: Tensor<'t>) -> Result<Tensor<'t>> {
        let recoded = match &self.plan {
            None => tensor,
            Some((plan, encoder)) => {
                self.check_memory(tensor.data.len())?;
                let (format, mut data) = (plan.format(tensor.name), Vec::new());
                let mut append = |bytes: &[u8]| {
                    data.extend_from_slice(bytes);
                    Ok(())
                };
                recode(&tensor, format, *encoder, 1.0, self.pool, &mut append)
                    .map_err(|error| error.in_file(self.checkpoint.path()))?;
                Tensor { format, data: data.into(), ..tensor }
            }
        };
        self.add_samples(&recoded);
        Ok(recoded)
    }

    /// Three rows of each matrix make the fingerprint.
    fn add_samples(&mut self, tensor: &Tensor<'_>) {
        let &[rows, cols] = tensor.shape else { return };
        let size = tensor.data.len() / rows.max(1);
        let mut row = vec![0.0; cols];
        for i in [0, rows / 2, rows.saturating_sub(1)] {
            let Some(bytes) = tensor.data.get(i * size..(i + 1) * size) else { continue };
            quant::decode(tensor.format, bytes, &mut row);
            row.iter().for_each(|x| self.fingerprint.update(&x.to_le_bytes()));
        }
    }

    /// How many numbers a tensor has: looked at before they are taken into memory, where they may be larger.
    fn len(&self, name: &str) -> Result<usize> {
        self.checkpoint.shape(name).map(|shape| shape.iter().product()).ok_or_else(|| self.checkpoint.lacks(name))
    }

    fn vector(&mut self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.tensor(name)?;
        let vector = tensor.to_f32();
        self.resident += size_of_val(&vector[..]);
        self.loaded(name, tensor.data.len())?;
        Ok(vector)
    }

    /// The tensor is in our memory: its file's pages may go.
    fn loaded(&mut self, name: &str, size: usize) -> Result<()> {
        self.checkpoint.release(name);
        self.loaded += size;
        match self.progress {
            Some(progress) if !progress((self.loaded as f64 / self.total as f64).min(1.0)) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    fn check_shape(&self, name: &str, wanted: &[usize]) -> Result<()> {
        match self.checkpoint.shape(name) {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(self.wrong_shape(name, found, wanted)),
            None => Err(self.checkpoint.lacks(name)),
        }
    }

    fn wrong_shape(&self, name: &str, found: &[usize], wanted: &[usize]) -> Error {
        Error::format(
            self.checkpoint.path(),
            format!(
                "the tensor {name} is {found:?}, but {} of this size needs {wanted:?}; {DAMAGED}",
                self.config.generation
            ),
        )
    }
}
