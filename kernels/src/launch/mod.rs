//! A whole call as a list of launches: a pure function of stack, schedule and batch. The emulator and a GPU run the
//! same list; each only turns offsets into addresses.

mod epilogues;
mod list;
mod params;
mod persistent;
mod product;
mod rules;
mod table;

pub use crate::rows::{Field, Row, FIELDS};
pub use params::{Addresses, Kernel, Launch, Params, Precision, Relax};
pub use persistent::{relaxation, resident, Resident};
pub use product::{Base, Form, Operand, Product};
pub use table::{Table, CHUNK, TILES};

use crate::loss::OutputError;
use crate::math_mode::MathMode;
use crate::refuse::refuse;
use crate::schedule::{Optimiser, Rule, Schedule};
use crate::stack::Stack;
use crate::tune;
use list::List;
use params::{Elementwise, Moves, Predict};

/// What a call computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Task {
    /// Directions in the form of θ (the moved θ under a rule that moves it), o, and states and errors if `traces`.
    Learn {
        /// Whether states and errors are asked for.
        traces: bool,
    },
    /// θ moved by the rule itself, or through this optimiser.
    Train(Optimiser),
}

/// A call to be planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask<'a> {
    /// The network.
    pub stack: &'a Stack,
    /// The rule and its steps.
    pub schedule: &'a Schedule,
    /// The output error.
    pub output: OutputError,
    /// B.
    pub batch: usize,
    /// What is computed.
    pub task: Task,
    /// The type of the computation.
    pub precision: Precision,
    /// How products read their operands.
    pub math: MathMode,
    /// The limits of the GPU.
    pub device: tune::DeviceLimits,
    /// Whether a library makes the products.
    pub products: bool,
}

/// A call as launches, in three parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The table that every kernel reads.
    pub table: Table,
    /// Elements of the arena.
    pub arena: usize,
    /// Elements of the results of `learn`; 0 for `train`.
    pub out: usize,
    /// P.
    pub parameters: usize,
    /// Elements of optimiser state behind the P parameters.
    pub state: usize,
    /// Whether the rule moves θ: `learn` then works on a copy of θ at the start of its results.
    pub moves: bool,
    /// The further inputs of a persistent launch, if there is one.
    pub resident: Option<Resident>,
    /// x and y into the arena: reads the caller's tensors.
    pub load: Vec<Launch>,
    /// Inference: touches θ and the arena alone, and is the same in every call with the same schedule, so that it can
    /// be recorded once.
    pub infer: Vec<Launch>,
    /// Directions and optimiser; results.
    pub finish: Vec<Launch>,
}

impl Plan {
    /// All launches in order.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.load.iter().chain(&self.infer).chain(&self.finish)
    }

    /// FLOPs of all matrix products, 2·m·n·k each.
    pub fn flops(&self) -> f64 {
        let units = |l: usize| f64::from(self.table.rows[l].units);
        let product = |l: usize| 2.0 * self.table.batch as f64 * units(l) * units(l - 1);
        let of = |launch: &Launch| match launch {
            Launch::Relax(relax) => relax.flops,
            Launch::Product(p) => 2.0 * (p.m * p.n * p.count) as f64 * p.k as f64,
            Launch::Kernel(kernel) => {
                let p = &kernel.params;
                let (first, last) = (p.first as usize, (p.first + p.count) as usize - 1);
                if p.products != 0 {
                    return 0.0;
                }
                match kernel.name {
                    name if name.starts_with("relax_predict") => {
                        (first..=last).filter(|l| !self.known(*l, p.mode)).map(product).sum()
                    }
                    name if name.starts_with("relax_pull") => (first..=last).map(|l| product(l + 1)).sum(),
                    name if name.starts_with("learn") => {
                        (first.max(p.lowest_nonzero as usize)..=last).map(product).sum()
                    }
                    _ => 0.0,
                }
            }
        };
        self.launches().map(of).sum()
    }

    /// Whether a prediction is known from the forward pass, so that it needs no product.
    fn known(&self, l: usize, mode: i32) -> bool {
        l == 1
            && self.table.depth() > 1
            && self.table.at(1, Field::Prediction).is_some()
            && mode >= Predict::Errors as i32
    }
}

/// Plans a call.
///
/// # Errors
/// For sPC with states stored as deviations and for momentum, which the kernels do not support; for f64 with rounded operands; and for
/// sizes beyond the range of their indices.
pub fn plan(ask: &Ask<'_>) -> candle_core::Result<Plan> {
    let Ask { stack, schedule, batch, task, .. } = *ask;
    if matches!(schedule.rule, Rule::Spc { deviation: true, .. }) {
        refuse!(
            "the fused engine on a GPU stores states, not deviations; use `fused` in place of `fused-deviation`, or \
             device `cpu`"
        );
    }
    if schedule.carried().is_some() {
        refuse!("the fused engine on a GPU has plain descent only, no momentum; use device `cpu`");
    }
    if ask.math != MathMode::F32 && ask.precision != Precision::F32 {
        refuse!("{} operands are for f32; this call is in f64", ask.math);
    }
    let traces = matches!(task, Task::Learn { traces: true });
    let table = Table::new(stack, &schedule.rule, batch, traces, by_library(ask))?;
    let (depth, parameters) = (stack.depth(), stack.parameters());
    let mut list = list(ask, &table);
    let base = list.base;
    list.elementwise(0, 0, Elementwise::Load, base);
    list.elementwise(depth, depth, Elementwise::Load, base);
    let load = std::mem::take(&mut list.launches);
    list.infer(schedule);
    let infer = std::mem::take(&mut list.launches);
    let moves = matches!(schedule.rule, Rule::Ipc { .. });
    let tiles = (0..TILES.len()).map(|i| table.count(table::PARAMETERS + i, 1, depth)).max().unwrap_or(0);
    let sums = if matches!(task, Task::Train(Optimiser::Mq { .. })) { tiles } else { 0 };
    let arena = after_directions(ask, &table) + sums;
    let finish = finish(ask, &table);
    let (out, state) = match task {
        Task::Learn { traces } => (learned_elements(stack, batch, traces), 0),
        Task::Train(_) if moves => (0, 0),
        Task::Train(optimiser) => (0, optimiser.state_elements(parameters, depth)),
    };
    Ok(Plan { table, arena, out, parameters, state, moves, resident: None, load, infer, finish })
}

/// The last part of a plan alone, for a task that differs in the optimiser's numbers.
pub fn finish(ask: &Ask<'_>, table: &Table) -> Vec<Launch> {
    let mut list = list(ask, table);
    let low = rules::reached(ask.schedule, ask.stack.depth());
    let moves = matches!(ask.schedule.rule, Rule::Ipc { .. });
    match ask.task {
        Task::Learn { traces } => {
            if !moves {
                list.learn(1, low, Moves::Write, [0.0; 7], 0);
            }
            write_results(&mut list, ask, low, traces);
        }
        Task::Train(_) if moves => {}
        Task::Train(optimiser) => train(&mut list, optimiser, low, after_directions(ask, table)),
    }
    list.launches
}

/// Whether a library makes the products; not if a size is zero, which a library may refuse.
fn by_library(ask: &Ask<'_>) -> bool {
    ask.products && ask.batch > 0 && (0..=ask.stack.depth()).all(|l| ask.stack.units(l) > 0)
}

/// The offset in the arena behind the fields and the directions that a library makes.
fn after_directions(ask: &Ask<'_>, table: &Table) -> usize {
    let directions = if by_library(ask) { ask.stack.parameters().next_multiple_of(32) } else { 0 };
    table.elements + directions
}

/// An empty list for a call.
fn list<'a>(ask: &Ask<'_>, table: &'a Table) -> List<'a> {
    let stack = ask.stack;
    let mixing = if let Rule::SeqIl { mixing } = ask.schedule.rule { mixing } else { 1.0 };
    let OutputError { weight, softmax } = ask.output.times(mixing);
    let base = Params {
        parameters: stack.parameters() as i64,
        batch: ask.batch as i32,
        depth: stack.depth() as i32,
        softmax: i32::from(softmax),
        math: ask.math as i32,
        output_weight: weight,
        ..Params::default()
    };
    List {
        table,
        precision: ask.precision,
        math: ask.math,
        device: ask.device,
        products: by_library(ask).then_some(table.elements),
        base,
        softmax,
        launches: vec![],
    }
}

/// Elements of the results of `learn`: θ, o, and if `traces` v_1..v_{L−1} and ε_1..ε_L.
fn learned_elements(stack: &Stack, batch: usize, traces: bool) -> usize {
    let units = |from: usize, to: usize| (from..=to).map(|l| stack.units(l)).sum::<usize>();
    let depth = stack.depth();
    let traced = if traces { units(1, depth - 1) + units(1, depth) } else { 0 };
    stack.parameters() + batch * (stack.units(depth) + traced)
}

/// o behind the parameters, then states and errors if asked for.
fn write_results(list: &mut List<'_>, ask: &Ask<'_>, low: usize, traces: bool) {
    let (depth, batch) = (ask.stack.depth(), ask.batch);
    let mut at = ask.stack.parameters();
    let mut put = |first: usize, last: usize, field: Field, plus: bool| {
        let (result_field, add_errors) = (field as i32, i32::from(plus));
        let with =
            Params { out_at: at as i64, lowest_nonzero: low as i32, result_field, add_errors, ..list.base };
        list.elementwise(first, last, Elementwise::WriteResult, with);
        at += (first..=last).map(|l| ask.stack.units(l)).sum::<usize>() * batch;
    };
    put(depth, depth, Field::Prediction, false);
    if traces {
        // these rules never read the moved states, and their fields hold the forward pass
        put(1, depth - 1, Field::State, matches!(ask.schedule.rule, Rule::Fpa { .. } | Rule::Zil));
        put(1, depth, Field::Error, false);
    }
}

fn train(list: &mut List<'_>, optimiser: Optimiser, low: usize, sums: usize) {
    let zero = 0.0;
    match optimiser {
        // a direction of zero moves nothing
        Optimiser::Sgd { rate } => {
            list.learn(low, low, Moves::Sgd, [rate, zero, zero, zero, zero, zero, zero], 0);
        }
        Optimiser::Momentum { rate, mu } => {
            list.learn(1, low, Moves::Momentum, [rate, mu, zero, zero, zero, zero, zero], 0);
        }
        Optimiser::Adam { rate, betas: (beta1, beta2), epsilon, update } => {
            let step = rate / (1.0 - beta1.powi(update));
            let correct = 1.0 / (1.0 - beta2.powi(update));
            let c = [step, beta1, 1.0 - beta1, beta2, 1.0 - beta2, correct, epsilon];
            list.learn(1, low, Moves::Adam, c, 0);
        }
        Optimiser::Mq { rate, min_rate, r, decay } => {
            let mean = 1.0 / list.table.batch.max(1) as f64;
            list.learn(1, low, Moves::Mq, [rate, min_rate, r, mean, decay, zero, zero], sums);
        }
    }
}
