//! One schedule on a network: its task graph, where its tasks are placed in time, and the longest path through them.

use crate::engine::counting::Counting;
use crate::engine::recording::Recording;
use crate::engine::unwatched;
use crate::net::levels::heights;
use crate::net::{Graph, Named, Source, VertexId};
use crate::rule::info::Inference;
use crate::rule::{Info, Rule};
use crate::theory::makespan::{self, Schedule, Task};
use crate::{Error, Result};

/// Most matrix products of a schedule that is drawn.
pub const MOST_PRODUCTS: u64 = 2000;
/// Most operations, element-wise ones included, that are followed on the way: inputs and parameters of all vertices, each
/// in every step.
const MOST_OPERATIONS: usize = 500_000;
/// Numbers that count work stay below this, so that no sum of them leaves 64 bits.
const MOST_WORK: f64 = 4e18;

/// A schedule and its place in time.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    /// Its tasks.
    pub(super) graph: makespan::Graph,
    /// Where list scheduling puts them.
    pub(super) schedule: Schedule,
    /// Whether each task is on the longest path that is outlined.
    pub(super) critical: Vec<bool>,
    /// Vertex of the drawn network by vertex of the one that the rule runs on; none for an inserted identity.
    drawn: Vec<Option<VertexId>>,
}

impl Recorded {
    /// Records a rule on a network and a batch, and places its tasks on `processors`, or on as many as there are tasks.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the rule is not defined on the network, if there is too much to record, and for no processors.
    pub(super) fn new(graph: &Graph, rule: &Rule, batch: usize, processors: Option<usize>) -> Result<Self> {
        if processors == Some(0) {
            let problem =
                "--processors is 0; expected 1 or more, or no such option for as many as there are tasks";
            return Err(Error::Invalid(problem.into()));
        }
        let (prepared, to) = rule.prepare(graph)?;
        check(&prepared, rule, batch)?;
        let engine = Recording::new(prepared.topology().clone(), prepared.costs(batch));
        rule.learn(&engine, &mut unwatched)?;
        let tasks = engine.into_graph();
        let mut drawn = vec![None; prepared.len()];
        to.iter().enumerate().for_each(|(vertex, &prepared)| drawn[prepared] = Some(vertex));
        let schedule = tasks.schedule(processors.unwrap_or(tasks.tasks().len()).max(1))?;
        Ok(Self { critical: critical(tasks.tasks()), graph: tasks, schedule, drawn })
    }

    /// A task.
    pub(super) fn task(&self, index: usize) -> &Task {
        &self.graph.tasks()[index]
    }

    /// The drawn vertex that a task belongs to.
    pub(super) fn vertex(&self, task: &Task) -> Option<VertexId> {
        self.drawn.get(task.layer.checked_sub(1)?).copied().flatten()
    }

    /// Identities that the rule has inserted into the network.
    pub(super) fn identities(&self) -> usize {
        self.drawn.iter().filter(|vertex| vertex.is_none()).count()
    }
}

/// Refuses what has more work than can be counted, recorded or seen. Nothing here is as long as the schedule may be.
fn check(graph: &Graph, rule: &Rule, batch: usize) -> Result<()> {
    let name = rule.name();
    let nodes = (0..graph.len()).map(|i| graph.topology().node(i));
    let each: usize = nodes.map(|node| 1 + node.inputs.len() + node.params.len()).sum();
    let steps = match Info::of(name).map(|info| info.inference) {
        // Z-IL: as many as there are latent vertices on the longest path
        Some(Inference::Depth) => heights(graph.topology()).into_iter().max().unwrap_or(0) + 1,
        Some(Inference::Twice) => rule.steps().map_or(0, |steps| steps.count.saturating_mul(2)),
        _ => rule.steps().map_or(0, |steps| steps.count),
    };
    let advice =
        if rule.steps().is_some() { "fewer --steps or a smaller network" } else { "a smaller network" };
    let operations = each.saturating_mul(steps.saturating_add(2));
    if operations > MOST_OPERATIONS {
        return Err(Error::Invalid(format!(
            "the schedule of {name} over {steps} steps would have about {operations} operations, and at most {MOST_OPERATIONS} \
             are followed; use {advice}"
        )));
    }
    let uncounted = || {
        let problem =
            format!("a weight update by {name} on a batch of {batch} is more work than 64 bits count");
        Error::Invalid(format!("{problem}; use a smaller --batch or a smaller network"))
    };
    if (0..graph.len()).any(|i| most_work(graph, i, batch) > MOST_WORK) {
        return Err(uncounted());
    }
    let costs = graph.costs(batch);
    let verbs =
        costs.iter().flat_map(|c| c.vjp.iter().chain(&c.vjp_linear).chain([&c.forward, &c.param_grad]));
    let largest = verbs.map(|v| v.gemm_flops.max(v.elementwise).max(v.moved)).max().unwrap_or(0);
    if largest as f64 * operations as f64 * 8.0 > MOST_WORK {
        return Err(uncounted());
    }
    let counting = Counting::new(graph, batch);
    let few = || {
        match counting.totals().work.gemms {
        0..=MOST_PRODUCTS => Ok(()),
        _ => Err(Error::Invalid(format!(
            "the schedule of {name} has more than {MOST_PRODUCTS} matrix products, the most that are drawn; use {advice}"
        ))),
    }
    };
    rule.learn(&counting, &mut |_| few())?;
    few()
}

/// No less than any number that the cost of vertex `i` holds, in floating point: every operation does a few things with
/// each pair of an element that it reads or writes and one of its parameters or inputs.
fn most_work(graph: &Graph, i: VertexId, batch: usize) -> f64 {
    let size = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
    let named = |named: &Named| size(&named.shape);
    let node = graph.topology().node(i);
    let input = |source: &Source| match *source {
        Source::Data(d) => named(&graph.data()[d]),
        Source::Vertex(v) => size(graph.shape(v)),
    };
    let read: f64 = node.inputs.iter().map(input).sum();
    let params: f64 = node.params.iter().map(|&p| named(&graph.params()[p])).sum();
    4.0 * batch as f64 * (read + size(graph.shape(i))) * (read + params + 64.0)
}

/// The tasks of one longest path: of several the one that begins, and goes on, with the tasks recorded first. Joins,
/// which take no time, are on it too.
fn critical(tasks: &[Task]) -> Vec<bool> {
    let mut to_end = vec![0; tasks.len()];
    let mut next: Vec<Option<usize>> = vec![None; tasks.len()];
    for (i, task) in tasks.iter().enumerate().rev() {
        to_end[i] += task.duration;
        for &before in &task.after {
            if to_end[i] >= to_end[before] {
                (to_end[before], next[before]) = (to_end[i], Some(i));
            }
        }
    }
    let longest = to_end.iter().copied().max().unwrap_or(0);
    let mut at = (0..tasks.len()).find(|&i| to_end[i] == longest);
    let mut critical = vec![false; tasks.len()];
    while let Some(task) = at {
        critical[task] = true;
        at = next[task];
    }
    critical
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::makespan::Verb;

    #[test]
    fn the_longest_path_is_one_path_and_as_long_as_the_graph_says() {
        let durations = [(3, vec![]), (3, vec![]), (0, vec![0, 1]), (5, vec![2]), (1, vec![0]), (5, vec![2])];
        let mut graph = makespan::Graph::new();
        for (duration, after) in durations {
            graph.push(Task { verb: Verb::Forward, layer: 1, duration, after }).unwrap();
        }
        let on = critical(graph.tasks());
        assert_eq!(on, [true, false, true, true, false, false]);
        let length: u64 = graph.tasks().iter().zip(&on).filter(|(_, on)| **on).map(|(t, _)| t.duration).sum();
        assert_eq!((length, graph.critical_path()), (8, 8));
        assert!(critical(&[]).is_empty());
    }
}
