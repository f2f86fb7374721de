//! What defines a contender, and what follows from that alone.

use std::sync::Arc;

use candle_core::DType;
use pcnbench_kernels::tune::StrategyTable;

use super::id::ContenderId;
use super::stable_step;
use crate::engine::counting::{Counting, Totals};
use crate::engine::curvature::product_cost;
use crate::engine::reach::Reach;
use crate::engine::recording::Recording;
use crate::engine::unwatched;
use crate::net::layers::dense::layer_cost;
use crate::net::{Architecture, Dense, Graph, Loss, ParamId, VerbCost};
use crate::optim::{Optimiser, OptimiserKind, Regularisation, Regularised};
use crate::rule::Rule;
use crate::theory::cost::NetCost;
use crate::theory::makespan;
use crate::Result;

/// Everything that defines a contender at a point, besides data.
#[derive(Debug, Clone)]
pub struct ContenderSpec {
    /// Contender id, `rule/engine`: also the engine, and threads on the CPU.
    pub id: ContenderId,
    /// The rule with its steps.
    pub rule: Rule,
    /// The network.
    pub network: Arc<dyn Architecture>,
    /// The output energy.
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: OptimiserKind,
    /// α.
    pub learning_rate: f64,
    /// Weight decay and clipping.
    pub regularisation: Regularisation,
    /// f32 or f64.
    pub dtype: DType,
    /// Measured times that the fused engine chooses its launch strategy on a GPU by; without them a model chooses.
    pub strategies: Option<Arc<StrategyTable>>,
}

impl ContenderSpec {
    /// The network, as its rule needs it.
    pub fn graph(&self) -> Result<Graph> {
        Ok(self.rule.prepare(&self.network.graph(self.loss)?)?.0)
    }

    /// Whether more than plain descent moves the parameters.
    pub fn asks_an_optimiser(&self) -> bool {
        self.optimiser != OptimiserKind::Sgd || !self.regularisation.is_none()
    }

    /// A fresh optimiser of the parameters of a network.
    pub(super) fn build_optimiser(&self, graph: &Graph) -> Box<dyn Optimiser> {
        let topology = graph.topology();
        let frozen = (0..graph.params().len()).filter(|&p| topology.is_frozen(p)).collect();
        self.regularised(self.optimiser.build(self.learning_rate, topology.groups()), frozen)
    }

    /// The same of parameters that belong to no network, each of which is a group of its own.
    pub(super) fn build_optimiser_of(&self, count: usize) -> Box<dyn Optimiser> {
        let alone = (0..count).map(|p| vec![p]).collect();
        self.regularised(self.optimiser.build(self.learning_rate, alone), Vec::new())
    }

    fn regularised(&self, optimiser: Box<dyn Optimiser>, frozen: Vec<ParamId>) -> Box<dyn Optimiser> {
        match self.regularisation.is_none() {
            true => optimiser,
            false => Box::new(Regularised::new(optimiser, self.learning_rate, self.regularisation, frozen)),
        }
    }

    /// The closed formulas' view of its network on a batch; `None` where it is no chain of dense layers.
    pub fn net_cost(&self, batch: usize) -> Result<Option<NetCost>> {
        let layers = self.network.graph(self.loss)?.as_stack();
        let costs = |layers: Vec<Dense>| layers.iter().map(|layer| layer_cost(layer, batch)).collect();
        Ok(layers.ok().map(|layers| NetCost::new(costs(layers), &self.loss)))
    }

    /// The task graph of its schedule: one task per matrix product.
    pub fn task_graph(&self, batch: usize) -> Result<makespan::Graph> {
        let graph = self.graph()?;
        let engine = Recording::new(graph.topology().clone(), graph.costs(batch));
        self.rule.learn(&engine, &mut unwatched)?;
        Ok(engine.into_graph())
    }

    /// Work of one weight update's directions, counted by executing the schedule on the counting engine.
    pub fn counted(&self, batch: usize) -> Result<Totals> {
        let graph = self.graph()?;
        let engine = Counting::new(&graph, batch);
        self.rule.learn(&engine, &mut unwatched)?;
        Ok(engine.totals())
    }

    /// Work of the search for the largest stable step before an update, where the rule's step is a share of it: a forward pass, and
    /// products with the Gauss–Newton matrix and, where λ_min is searched for, with its inverse. Not in [`counted`](Self::counted), and in no critical path.
    pub fn search(&self, batch: usize) -> Result<VerbCost> {
        let graph = self.graph()?;
        let products = stable_step::products(&self.rule);
        if products == 0 {
            return Ok(VerbCost::default());
        }
        let (costs, topology) = (graph.costs(batch), graph.topology());
        let forward: VerbCost = costs.iter().map(|cost| cost.forward).sum();
        Ok(forward + product_cost(&costs, |i| topology.follows_state(i)) * products)
    }

    /// Layers whose parameters one weight update can move, found by executing the schedule on the engine that follows
    /// zeros. Fewer than all if errors reach only the upper layers within T steps.
    pub fn trained_layers(&self) -> Result<usize> {
        let graph = self.graph()?;
        let engine = Reach::new(graph.topology(), graph.data().len());
        let learned = self.rule.with_weight_step(self.learning_rate).learn(&engine, &mut unwatched)?;
        Ok(engine.trained(&learned))
    }
}
