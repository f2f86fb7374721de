//! Parameters that several vertices use.

use std::collections::BTreeMap;

use super::label::shorten;
use crate::net::{Graph, ParamId, VertexId};
use crate::plot::plot_area::NOTE;

/// Most parameters of a group that are named.
const MOST_NAMED: usize = 6;

/// Parameters with the same users, and the label that marks these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    /// `A`, `B`, … `Z`, `A1`, …, in the order of first use.
    pub(super) label: String,
    /// The parameters.
    pub(super) params: Vec<ParamId>,
    /// The vertices that use them, two or more.
    pub(super) users: Vec<VertexId>,
}

impl Shared {
    /// The parameters and how many vertices use them, in words.
    pub(super) fn words(&self, graph: &Graph) -> String {
        let name = |&p: &ParamId| shorten(&graph.params()[p].name, NOTE.size, NOTE.bold, 150.0);
        let names: Vec<String> = self.params.iter().take(MOST_NAMED).map(name).collect();
        let more = if self.params.len() > MOST_NAMED { " and others" } else { "" };
        format!("{}{more}, shared by {} vertices", names.join(", "), self.users.len())
    }
}

/// All parameters of a network that more than one vertex uses, in groups of the same users.
pub(super) fn shared(graph: &Graph) -> Vec<Shared> {
    let mut users = vec![Vec::<VertexId>::new(); graph.params().len()];
    for i in 0..graph.len() {
        for &p in &graph.topology().node(i).params {
            if users[p].last() != Some(&i) {
                users[p].push(i);
            }
        }
    }
    let mut groups = BTreeMap::<Vec<VertexId>, Vec<ParamId>>::new();
    for (p, users) in users.into_iter().enumerate().filter(|(_, users)| users.len() > 1) {
        groups.entry(users).or_default().push(p);
    }
    let label = |k: usize| {
        let letter = char::from(b'A' + (k % 26) as u8);
        if k < 26 {
            letter.to_string()
        } else {
            format!("{letter}{}", k / 26)
        }
    };
    let groups = groups.into_iter().enumerate();
    groups.map(|(k, (users, params))| Shared { label: label(k), params, users }).collect()
}
