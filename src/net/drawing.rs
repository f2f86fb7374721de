//! Networks drawn from a few numbers: what architectures that are no chain share.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::architecture_kind::{Architecture, Settings};
use super::layers::{Act, Conv2d, Linear, Scale};
use super::parameterisation::Position;
use super::topology::{DataId, ParamId, Source, VertexId};
use super::{host_tensor, Graph, GraphBuilder, Loss, Operation, Params};
use crate::{Error, Result};

/// An architecture as a function that draws a network.
#[derive(Debug, Clone)]
pub struct Drawn {
    kind: &'static str,
    settings: Settings,
    /// Weight layers on the longest path from the input to the output, L of [`Position`].
    depth: fn(&Settings) -> usize,
    draw: Draw,
    reduce: fn(&Settings) -> Settings,
}

/// Adds all vertices to an empty network, and says which one carries the loss, and which data tensor is its target.
pub type Draw = fn(&mut Drawing) -> Result<(VertexId, DataId)>;

/// How a parameter starts.
#[derive(Debug, Clone, Copy)]
enum Start {
    Weights(Position),
    Bias(Position),
    /// Every entry this number.
    Constant(f64),
}

/// Where weights stand, which decides how they are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// They read the input.
    First,
    /// They stand between.
    Hidden,
    /// They stand on the branch around which a block has a skip: μPC scales them by the depth, too.
    Branch,
    /// Their products are the output.
    Last,
}

/// A network on its way, with the starts of its parameters.
#[derive(Debug)]
pub struct Drawing {
    /// The numbers it is drawn from.
    pub settings: Settings,
    graph: GraphBuilder,
    starts: Vec<Start>,
    depth: usize,
    /// Layer number of the next weights that are neither the first nor the last; names their random stream.
    next: usize,
}

impl Drawing {
    fn new(settings: &Settings, depth: usize) -> Self {
        Self { settings: settings.clone(), graph: GraphBuilder::new(), starts: Vec::new(), depth, next: 2 }
    }

    /// A data tensor of this shape per sample.
    pub fn data(&mut self, name: &str, shape: &[usize]) -> DataId {
        self.graph.data(name, shape)
    }

    /// The shape of a value, without the sample axis.
    pub fn shape(&self, of: Source) -> &[usize] {
        match of {
            Source::Vertex(v) => self.graph.shape(v),
            Source::Data(d) => self.graph.data_shape(d),
        }
    }

    /// From here on vertices belong to the next stage of a nested schedule; see
    /// [`Topology::stages`](super::Topology::stages).
    pub fn next_stage(&mut self) {
        self.graph.next_stage();
    }

    /// A deterministic vertex without parameters.
    pub fn value(&mut self, name: &str, operation: impl Operation, inputs: &[Source]) -> Result<Source> {
        self.add(name, operation, inputs, &[], None)
    }

    /// A latent vertex of precision 1 without parameters.
    pub fn state(&mut self, name: &str, operation: impl Operation, inputs: &[Source]) -> Result<Source> {
        self.add(name, operation, inputs, &[], Some(1.0))
    }

    /// A vertex.
    pub fn add(
        &mut self,
        name: &str,
        operation: impl Operation,
        inputs: &[Source],
        params: &[ParamId],
        precision: Option<f64>,
    ) -> Result<Source> {
        Ok(Source::Vertex(self.graph.add(name, Arc::new(operation), inputs, params, precision)?))
    }

    /// φ of the settings, deterministic.
    pub fn act(&mut self, name: &str, of: Source) -> Result<Source> {
        self.value(name, Act(self.settings.activation), &[of])
    }

    /// Weights `[outputs, …]`, each output reading the product of the other axes, and where they stand.
    pub fn weights(&mut self, name: &str, shape: &[usize], place: Place) -> (ParamId, Position) {
        let layer = match place {
            Place::First => 1,
            Place::Last => self.depth,
            Place::Hidden | Place::Branch => {
                self.next += usize::from(self.next == self.depth);
                self.next += 1;
                self.next - 1
            }
        };
        let (outputs, inputs) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product());
        let at = Position { layer, depth: self.depth, inputs, outputs };
        self.starts.push(Start::Weights(at));
        (self.graph.param(name, shape), at)
    }

    /// A bias of the layer at `at`.
    pub fn bias(&mut self, name: &str, at: Position) -> ParamId {
        self.starts.push(Start::Bias(at));
        self.graph.param(name, &[at.outputs])
    }

    /// A parameter whose entries all start at `value`.
    pub fn constant(&mut self, name: &str, shape: &[usize], value: f64) -> ParamId {
        self.starts.push(Start::Constant(value));
        self.graph.param(name, shape)
    }

    /// What `of` is multiplied by before weights at `at` read it: a_l of the parameterisation, whose 1/√L belongs to
    /// branches beside a skip alone.
    fn scaled(&mut self, name: &str, of: Source, at: Position, place: Place) -> Result<Source> {
        let mut parameterisation = self.settings.parameterisation;
        parameterisation.residual = place == Place::Branch;
        let constant = parameterisation.scale(at);
        if constant == 1.0 {
            return Ok(of);
        }
        self.value(&format!("{name} scale"), Scale { constant }, &[of])
    }

    /// Weights `w.NAME` with a bias `b.NAME` where the settings have biases, and what is scaled for them to read.
    fn layer(
        &mut self,
        name: &str,
        of: Source,
        shape: &[usize],
        place: Place,
    ) -> Result<(Source, Vec<ParamId>)> {
        let (w, at) = self.weights(&format!("w.{name}"), shape, place);
        let mut params = vec![w];
        if self.settings.bias {
            params.push(self.bias(&format!("b.{name}"), at));
        }
        Ok((self.scaled(name, of, at, place)?, params))
    }

    /// A convolution of square windows with `outputs` channels, deterministic.
    pub fn conv(
        &mut self,
        name: &str,
        of: Source,
        outputs: usize,
        size: usize,
        (stride, padding): (usize, usize),
        place: Place,
    ) -> Result<Source> {
        let channels = self.shape(of).first().copied().unwrap_or(1);
        let (of, params) = self.layer(name, of, &[outputs, channels, size, size], place)?;
        let conv = Conv2d { stride, padding, bias: self.settings.bias };
        self.add(&format!("{name} conv"), conv, &[of], &params, None)
    }

    /// A linear map of the last axis to `outputs` values, deterministic.
    pub fn linear(&mut self, name: &str, of: Source, outputs: usize, place: Place) -> Result<Source> {
        self.map(name, &format!("{name} linear"), of, outputs, place, None)
    }

    /// A linear map of the last axis to `outputs` values, with a state.
    pub fn linear_state(&mut self, name: &str, of: Source, outputs: usize, place: Place) -> Result<Source> {
        self.map(name, name, of, outputs, place, Some(1.0))
    }

    fn map(
        &mut self,
        name: &str,
        vertex: &str,
        of: Source,
        outputs: usize,
        place: Place,
        precision: Option<f64>,
    ) -> Result<Source> {
        let inputs = self.shape(of).last().copied().unwrap_or(1);
        let (of, params) = self.layer(name, of, &[outputs, inputs], place)?;
        self.add(vertex, Linear { bias: self.settings.bias }, &[of], &params, precision)
    }

    /// The output of a classifier: a linear map to the settings' outputs, and the target `y`.
    pub fn output(&mut self, of: Source) -> Result<(VertexId, DataId)> {
        let outputs = self.settings.outputs;
        let y = self.data("y", &[outputs]);
        let output = self.linear("output", of, outputs, Place::Last)?;
        self.loss_on(output, y)
    }

    /// A vertex that carries the loss with target `y`.
    pub fn loss_on(&self, output: Source, y: DataId) -> Result<(VertexId, DataId)> {
        match output {
            Source::Vertex(v) => Ok((v, y)),
            Source::Data(_) => Err(Error::Invalid("a loss on a data tensor; expected a vertex".into())),
        }
    }
}

impl Drawn {
    /// The architecture `kind` of these settings. `depth` is how many weight layers its longest path has, and `reduce` gives
    /// settings of the same kind, so small that every rule is verified within a moment.
    pub fn of(
        kind: &'static str,
        settings: &Settings,
        depth: fn(&Settings) -> usize,
        draw: Draw,
        reduce: fn(&Settings) -> Settings,
    ) -> Arc<dyn Architecture> {
        Arc::new(Self { kind, settings: settings.clone(), depth, draw, reduce })
    }

    /// The network before its loss is added, the vertex that carries it, and its target.
    fn drawing(&self) -> Result<(Drawing, VertexId, DataId)> {
        let Settings { input, outputs, width, depth, .. } = &self.settings;
        if input.contains(&0) || input.is_empty() || [*outputs, *width, *depth].contains(&0) {
            return Err(Error::Invalid(format!(
                "{} needs inputs, outputs, width and depth of at least 1, got {input:?}, {outputs}, {width}, {depth}",
                self.kind
            )));
        }
        let mut drawing = Drawing::new(&self.settings, (self.depth)(&self.settings));
        let (vertex, target) = (self.draw)(&mut drawing)?;
        Ok((drawing, vertex, target))
    }
}

impl Architecture for Drawn {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn graph(&self, loss: Loss) -> Result<Graph> {
        let (mut drawing, vertex, target) = self.drawing()?;
        drawing.graph.loss(vertex, target, loss)?;
        drawing.graph.build()
    }

    /// Multiply-adds per sample: of a dense layer its weights, of a convolution its weights at every position.
    fn weights_read(&self) -> f64 {
        let Ok(graph) = self.graph(Loss::HALF_SQUARED_ERROR) else { return 0.0 };
        graph.costs(1).iter().map(|cost| cost.forward.gemm_flops as f64 / 2.0).sum()
    }

    fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        let (drawing, ..) = self.drawing()?;
        let Settings { parameterisation, gain, .. } = self.settings;
        let values = |start: &Start, count: usize| match *start {
            Start::Weights(at) => parameterisation.start(at, gain, seed),
            Start::Bias(at) => parameterisation.start_bias(at, seed),
            Start::Constant(value) => vec![value; count],
        };
        let tensor = |(start, shape): (&Start, &[usize])| {
            host_tensor(values(start, shape.iter().product()), shape, dtype, device)
        };
        drawing.starts.iter().zip(drawing.graph.param_shapes()).map(tensor).collect()
    }

    fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Vec<Option<Tensor>>> {
        let (drawing, ..) = self.drawing()?;
        let Settings { parameterisation, gain, .. } = self.settings;
        let tensor = |(start, shape): (&Start, &[usize])| match *start {
            Start::Weights(at) => {
                host_tensor(parameterisation.start_feedback(at, gain, seed), shape, dtype, device).map(Some)
            }
            _ => Ok(None),
        };
        drawing.starts.iter().zip(drawing.graph.param_shapes()).map(tensor).collect()
    }

    fn reduced(&self) -> Arc<dyn Architecture> {
        Arc::new(Self { settings: (self.reduce)(&self.settings), ..self.clone() })
    }
}

/// Settings whose image has at most two channels and whose layers are narrow; sizes of images stay, since depth needs them.
pub fn small_images(settings: &Settings) -> Settings {
    let mut input = settings.input.clone();
    if let Some(channels) = input.first_mut() {
        *channels = (*channels).min(2);
    }
    Settings { input, width: settings.width.min(2), outputs: settings.outputs.min(3), ..settings.clone() }
}

/// The `[channels, rows, columns]` of the input, or what is there instead.
///
/// # Errors
/// [`Error::Invalid`] naming the architecture and the data's shape.
pub fn image(kind: &str, settings: &Settings) -> Result<[usize; 3]> {
    match settings.input[..] {
        [channels, rows, columns] => Ok([channels, rows, columns]),
        ref other => Err(Error::Invalid(format!(
            "{kind} reads images, but a sample of the data has the shape {other:?}; use data of [channels, rows, columns]"
        ))),
    }
}

/// The numbers per step of a sequence of `depth` steps: a sample cut into equal pieces.
///
/// # Errors
/// [`Error::Invalid`] naming the architecture, if there is a rest.
pub fn per_step(kind: &str, what: &str, total: usize, steps: usize) -> Result<usize> {
    if total.is_multiple_of(steps) {
        return Ok(total / steps);
    }
    Err(Error::Invalid(format!(
        "{kind} of depth {steps} reads {steps} steps, but a sample has {total} {what}, which {steps} does not divide; \
         choose a depth that does"
    )))
}

/// Settings of a sequence of at most four steps of three numbers.
pub fn short_sequences(settings: &Settings) -> Settings {
    let depth = settings.depth.min(4);
    let each = (settings.input.iter().product::<usize>() / settings.depth.max(1)).clamp(1, 3);
    Settings {
        input: vec![depth * each],
        depth,
        width: settings.width.min(4),
        outputs: settings.outputs.min(3),
        ..settings.clone()
    }
}
