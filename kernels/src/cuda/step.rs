//! The kernels of `lab/step.cu` on buffers of a card.

use std::collections::HashMap;

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr, DevicePtrMut, DeviceRepr};
use candle_core::{CudaDevice, Result};

use super::module::{kernel, Kernel, Shape};
use crate::primitives::PrimitiveParams;
use crate::step::{Addresses, Dense, Launch, LayerRow, Settings, StepParams, Table};

// SAFETY: laid out as C says, without padding or pointers of the host, as the assertions beside both definitions hold.
unsafe impl DeviceRepr for LayerRow {}
// SAFETY: as above.
unsafe impl DeviceRepr for StepParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for PrimitiveParams {}

/// A stack of dense layers with its states and errors on a card, laid out as [`Table`] says.
#[derive(Debug)]
pub struct Stack {
    device: CudaDevice,
    table: Table,
    kernels: HashMap<&'static str, Kernel>,
    rows: CudaSlice<LayerRow>,
    weights: CudaSlice<f32>,
    targets: CudaSlice<f32>,
    states: CudaSlice<f32>,
    errors: CudaSlice<f32>,
    deltas: CudaSlice<f32>,
}

impl Stack {
    /// Brings a stack to the card; ε and δ start at zero.
    ///
    /// # Errors
    /// Layers that do not fit, buffers of another length than [`Table`] says, a missing kernel, too little memory.
    pub fn new(
        device: &CudaDevice,
        layers: &[Dense],
        batch: usize,
        (weights, targets, states): (&[f32], &[f32], &[f32]),
    ) -> Result<Self> {
        let table = Table::new(layers, batch)?;
        table.check(weights.len(), targets.len(), states.len(), states.len(), states.len())?;
        let mut kernels = HashMap::new();
        for name in ["step_predict_f32", "step_softmax_f32", "step_update_f32"] {
            kernels.insert(name, kernel(device, name)?);
        }
        Ok(Self {
            rows: device.clone_htod(table.rows())?,
            weights: bring(device, weights)?,
            targets: bring(device, targets)?,
            states: bring(device, states)?,
            errors: device.alloc_zeros(table.states().max(1))?,
            deltas: device.alloc_zeros(table.states().max(1))?,
            device: device.clone(),
            table,
            kernels,
        })
    }

    /// Where what lies.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Replaces v, ε and δ.
    ///
    /// # Errors
    /// If they are not as long as the table says, or the driver refuses.
    pub fn put(&mut self, states: &[f32], errors: &[f32], deltas: &[f32]) -> Result<()> {
        let (weights, targets) = (self.table.parameters(), self.table.targets());
        self.table.check(weights, targets, states.len(), errors.len(), deltas.len())?;
        self.states = bring(&self.device, states)?;
        self.errors = bring(&self.device, errors)?;
        self.deltas = bring(&self.device, deltas)?;
        Ok(())
    }

    /// v, ε and δ; waits for the card.
    ///
    /// # Errors
    /// What went wrong in a kernel before.
    pub fn get(&self) -> Result<[Vec<f32>; 3]> {
        let fetch = |from: &CudaSlice<f32>| -> Result<Vec<f32>> {
            let mut numbers = self.device.clone_dtoh(from)?;
            numbers.truncate(self.table.states());
            Ok(numbers)
        };
        Ok([fetch(&self.states)?, fetch(&self.errors)?, fetch(&self.deltas)?])
    }

    /// Queues [`Table::forward`].
    ///
    /// # Errors
    /// If there is no layer l, or the driver refuses.
    pub fn forward(&mut self, settings: &Settings, l: usize) -> Result<()> {
        self.queue(|table, at| table.forward(at, settings, l))
    }

    /// Queues [`Table::predict`].
    ///
    /// # Errors
    /// If there is no layer `first`, or the driver refuses.
    pub fn predict(&mut self, settings: &Settings, first: usize) -> Result<()> {
        self.queue(|table, at| table.predict(at, settings, first))
    }

    /// Queues [`Table::update`].
    ///
    /// # Errors
    /// If there is no layer `first`, or the driver refuses.
    pub fn update(&mut self, settings: &Settings, first: usize) -> Result<()> {
        self.queue(|table, at| Ok([table.update(at, settings, first)?, None]))
    }

    fn queue(&mut self, plan: impl FnOnce(&Table, &Addresses) -> Result<[Option<Launch>; 2]>) -> Result<()> {
        let stream = self.device.cuda_stream();
        // Held until everything is queued: with event tracking they note who uses a buffer until when.
        let (layers, _layers) = self.rows.device_ptr(&stream);
        let (weights, _weights) = self.weights.device_ptr(&stream);
        let (targets, _targets) = self.targets.device_ptr(&stream);
        let (states, _states) = self.states.device_ptr_mut(&stream);
        let (errors, _errors) = self.errors.device_ptr_mut(&stream);
        let (deltas, _deltas) = self.deltas.device_ptr_mut(&stream);
        let at = Addresses { layers, weights, targets, states, errors, deltas };
        for launch in plan(&self.table, &at)?.into_iter().flatten() {
            // SAFETY: a table launches kernels of lab/step.cu with their own parameters and as many blocks as it has
            // tiles; its offsets stay within buffers of the lengths that `new` has checked or allocated. The buffers
            // are freed on the same stream, so after the launch.
            unsafe {
                self.kernels[launch.kernel]
                    .launch(Shape::new(launch.blocks, launch.threads), &launch.params)?
            };
        }
        Ok(())
    }
}

/// Numbers on the card; one where there are none, because the driver allocates nothing smaller.
fn bring(device: &CudaDevice, numbers: &[f32]) -> Result<CudaSlice<f32>> {
    device.clone_htod(if numbers.is_empty() { &[0.0][..] } else { numbers })
}
