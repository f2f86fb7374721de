//! Checkpoints: everything that decides the rest of a training run, in one safetensors file.
//!
//! | tensor | content |
//! | --- | --- |
//! | `w.1`, `b.1`, … | parameters under their names in the network, weights `[outputs, inputs]`, all row-major |
//! | `feedback.w.1` | backward weights of rules that learn them |
//! | `optimiser.first_moment.w.1` | what the optimiser keeps of a parameter |
//! | `optimiser.scale.0` | what it keeps of a group of parameters (MQ: of a layer) |
//! | `feedback_optimiser.first_moment.0` | the same of the backward weights, by their order |
//! | `search.largest`, `search.smallest` | where the next searches for λ_max and λ_min begin |
//!
//! The header's metadata have one entry, `pcnbench`, with [`Meta`] as JSON. Its `sha256` is over all the rest, so that a changed bit
//! is found wherever it is; there is one entry because readers keep metadata in no order, and equal runs shall write equal files.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contender::{Snapshot, State};
use crate::measure::memory_limit::Memory as Room;
use crate::net::Graph;
use crate::optim::{adam, momentum, mq, Memory};
use crate::record;
use crate::run::size::check_room;
use crate::text::one_line;
use crate::{Error, Result};

/// Version of this format.
const FORMAT: u32 = 1;

/// The entry of the header's metadata.
const ENTRY: &str = "pcnbench";

/// The tensors of [`Snapshot::search`].
const SEARCHES: [&str; 2] = ["search.largest", "search.smallest"];

/// Where a run was, and what run it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Version of this format.
    pub format: u32,
    /// The suite of the run's one benchmark, point and contender, as TOML.
    pub definition: String,
    /// Contender id.
    pub contender: String,
    /// Point id.
    pub point: String,
    /// SHA-256 of the data set.
    pub data: String,
    /// Weight updates done.
    pub update: u64,
    /// Time that they took.
    pub seconds: f64,
    /// Steps of the optimisers of parameters and of backward weights.
    pub steps: [u64; 2],
    /// Threads that the run had: another number may sum in another order.
    pub threads: usize,
    /// Version of the program.
    pub version: String,
    /// Its commit.
    pub rev: String,
    /// Over everything else in the file.
    pub sha256: String,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where and what.
    pub meta: Meta,
    tensors: BTreeMap<String, Tensor>,
}

impl Meta {
    /// Of a run at a position; the hash is filled in when it is written.
    pub(super) fn new(definition: String, contender: String, point: String, data: String) -> Self {
        Self {
            format: FORMAT,
            definition,
            contender,
            point,
            data,
            update: 0,
            seconds: 0.0,
            steps: [0; 2],
            threads: crate::measure::threads(),
            version: crate::measure::build::VERSION.to_owned(),
            rev: crate::measure::build::REV.to_owned(),
            sha256: String::new(),
        }
    }
}

impl Checkpoint {
    /// Of a contender's snapshot.
    pub(super) fn of(mut meta: Meta, graph: &Graph, snapshot: Snapshot) -> Result<Self> {
        meta.steps = [snapshot.memory[0].steps, snapshot.memory[1].steps];
        let names: Vec<&str> = graph.params().iter().map(|named| &*named.name).collect();
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, tensor: &Tensor| -> Result<()> {
            tensors.insert(name, tensor.to_device(&Device::Cpu)?.contiguous()?);
            Ok(())
        };
        for (name, param) in names.iter().zip(&snapshot.state.params) {
            add((*name).to_owned(), param)?;
        }
        for (p, own) in snapshot.state.feedback.iter().flatten().enumerate() {
            own.as_ref().map_or(Ok(()), |own| add(format!("feedback.{}", names[p]), own))?;
        }
        for (whose, memory) in ["optimiser", "feedback_optimiser"].into_iter().zip(&snapshot.memory) {
            for (quantity, table) in &memory.tables {
                for (p, own) in table.iter().enumerate() {
                    let of = label(whose, quantity, p, &names);
                    own.as_ref().map_or(Ok(()), |own| add(format!("{whose}.{quantity}.{of}"), own))?;
                }
            }
        }
        for (name, search) in SEARCHES.into_iter().zip(snapshot.search.into_iter().flatten()) {
            let count = search.len();
            if count > 0 {
                add(name.to_owned(), &Tensor::from_vec(search, count, &Device::Cpu)?)?;
            }
        }
        Ok(Self { meta, tensors })
    }

    /// What a contender of this network goes on from.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a parameter is missing or there are tensors that the network has no use for.
    pub fn snapshot(&self, graph: &Graph, device: &Device) -> Result<Snapshot> {
        let names: Vec<&str> = graph.params().iter().map(|named| &*named.name).collect();
        let mut left = self.tensors.clone();
        let mut take = |name: &str| -> Result<Option<Tensor>> {
            Ok(left.remove(name).map(|t| t.to_device(device)).transpose()?)
        };
        let params = graph.params().iter().map(|named| {
            let found = take(&named.name)?.filter(|t| t.dims() == named.shape);
            found.ok_or_else(|| {
                Error::Invalid(format!(
                    "parameter `{}` of shape {:?} is not in the checkpoint; it is of another network",
                    named.name, named.shape
                ))
            })
        });
        let params = params.collect::<Result<Vec<_>>>()?;
        let feedback =
            names.iter().map(|name| take(&format!("feedback.{name}"))).collect::<Result<Vec<_>>>()?;
        let mut memory = [Memory::default(), Memory::default()];
        for ((whose, memory), steps) in
            ["optimiser", "feedback_optimiser"].iter().zip(&mut memory).zip(self.meta.steps)
        {
            memory.steps = steps;
            for quantity in quantities() {
                let own = |p| take(&format!("{whose}.{quantity}.{}", label(whose, quantity, p, &names)));
                let table = (0..names.len()).map(own).collect::<Result<Vec<_>>>()?;
                // MQ keeps a number by group, of which there are no more than parameters
                let groups = graph.topology().groups().len();
                let count = if quantity == mq::SCALE && *whose == "optimiser" { groups } else { names.len() };
                memory.tables.push((quantity, table.into_iter().take(count).collect()));
            }
        }
        let mut numbers = |name: &str| -> Result<Vec<f64>> {
            let found = take(name)?.map(|t| t.to_dtype(DType::F64)?.to_vec1::<f64>()).transpose()?;
            Ok(found.unwrap_or_default())
        };
        let search = [numbers(SEARCHES[0])?, numbers(SEARCHES[1])?];
        let search = Some(search).filter(|[largest, _]| !largest.is_empty());
        if let Some(name) = left.keys().next() {
            return Err(Error::Invalid(format!(
                "the checkpoint has a tensor `{name}` that the network and its optimiser have no use for"
            )));
        }
        let feedback = feedback.iter().any(Option::is_some).then_some(feedback);
        Ok(Snapshot { state: State { params, feedback }, memory, search })
    }

    /// Writes it: all of it or nothing.
    pub(super) fn write(mut self, path: &Path) -> Result<()> {
        self.meta.sha256 = String::new();
        self.meta.sha256 = self.seal()?;
        let entry = serde_json::to_string(&self.meta).map_err(|e| refused(path, &e))?;
        let header = HashMap::from([(ENTRY.to_owned(), entry)]);
        let bytes = safetensors::serialize(self.tensors, Some(header)).map_err(|e| refused(path, &e))?;
        record::save(path, &bytes)
    }

    /// Reads a checkpoint and checks all of it.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Content`] for a file that is none, or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("read the checkpoint", path, e);
        let file = File::open(path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(Error::content(
                path,
                "is no regular file; name a checkpoint that `train` has written",
            ));
        }
        // the bytes, the tensors made of them, and those that the contender makes of these
        check_room(
            || format!("checkpoint {}", path.display()),
            3.0 * facts.len() as f64,
            &Room::of_this_process(),
            "use a machine with more memory",
        )?;
        let mut bytes = Vec::new();
        file.take(facts.len()).read_to_end(&mut bytes).map_err(failed)?;
        let damaged = |e: String| {
            Error::content(
                path,
                format!("is no checkpoint, or a damaged one ({}); use another one", one_line(&e)),
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let entry = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let entry = entry.ok_or_else(|| damaged(format!("its header has no entry `{ENTRY}`")))?;
        let mut meta: Meta = serde_json::from_str(entry).map_err(|e| damaged(e.to_string()))?;
        if meta.format != FORMAT {
            return Err(Error::content(
                path,
                format!("has format {}; this program reads {FORMAT}", meta.format),
            ));
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
        let tensors = tensors.map_err(|e| damaged(e.to_string()))?.into_iter().collect();
        let written = std::mem::take(&mut meta.sha256);
        let mut checkpoint = Self { meta, tensors };
        if checkpoint.seal()? != written {
            return Err(damaged("its content is not what its sha256 says".into()));
        }
        checkpoint.meta.sha256 = written;
        Ok(checkpoint)
    }

    /// The hash over the metadata without their hash, and every tensor with its name, dtype and shape.
    fn seal(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let meta = serde_json::to_vec(&self.meta).map_err(|e| Error::Invalid(e.to_string()))?;
        part(&meta);
        for (name, tensor) in &self.tensors {
            part(name.as_bytes());
            part(format!("{} {:?}", tensor.dtype().as_str(), tensor.dims()).as_bytes());
            part(&safetensors::View::data(tensor));
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What any optimiser keeps.
fn quantities() -> [&'static str; 4] {
    [momentum::VELOCITY, adam::MOMENTS[0], adam::MOMENTS[1], mq::SCALE]
}

/// What entry p of a table belongs to: a parameter by its name, a group or a backward weight by its number.
fn label(whose: &str, quantity: &str, p: usize, names: &[&str]) -> String {
    match names.get(p) {
        Some(name) if whose == "optimiser" && quantity != mq::SCALE => (*name).to_owned(),
        _ => p.to_string(),
    }
}

fn refused(path: &Path, e: &dyn std::fmt::Display) -> Error {
    Error::content(path, format!("cannot be written as safetensors: {}", one_line(&e.to_string())))
}
