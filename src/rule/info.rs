//! What the program knows of a rule or variant besides its schedule.

use crate::engine::EngineKind;

/// Inference steps of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inference {
    /// None.
    Without,
    /// L − 1 on a chain of L layers: as many as an error needs to reach the first layer.
    Depth,
    /// T, chosen by the suite.
    Chosen,
    /// T, chosen by the suite, for one stage of the network after another: T(L − 1) on a chain of L layers.
    Nested,
    /// T, chosen by the suite, in each of two phases: 2T.
    Twice,
}

/// A rule or variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// The name before the slash of a contender id, switches included.
    pub name: &'static str,
    /// The rule's name without switches, as case files spell it.
    pub family: &'static str,
    /// Its inference steps.
    pub inference: Inference,
    /// Whether the end of inference is a point of the energy. Backpropagation and AR hold adjoints, and Z-IL reads each
    /// layer at another moment.
    pub energy: bool,
    /// Whether the kernels have its schedule.
    pub fused: bool,
    /// Whether they have it on a GPU too.
    pub on_gpu: bool,
}

impl Info {
    /// A row of a rule's table of variants.
    pub const fn new(
        name: &'static str,
        family: &'static str,
        inference: Inference,
        energy: bool,
        fused: bool,
    ) -> Self {
        Self { name, family, inference, energy, fused, on_gpu: fused }
    }

    /// The same row of a variant whose schedule the kernels have on a CPU only.
    pub(super) const fn on_cpu(self) -> Self {
        Self { on_gpu: false, ..self }
    }

    /// Whether an engine can execute it at all.
    pub fn runs_on(&self, engine: EngineKind) -> bool {
        match engine {
            EngineKind::Reference => true,
            EngineKind::Autograd => self.is_backpropagation(),
            // states stored as deviations from the forward pass: a storage of sPC alone
            EngineKind::FusedDeviation => self.fused && self.family == "spc",
            EngineKind::Fused => self.fused,
            // timed on a GPU only
            EngineKind::FusedTf32x3 | EngineKind::FusedTf32 | EngineKind::FusedBf16 => self.on_gpu,
        }
    }

    /// Whether it is the rule that costs are stated in units of.
    pub fn is_backpropagation(&self) -> bool {
        self.family == "bp"
    }

    /// Inference steps on a chain of `depth` layers, where the suite chooses `steps`.
    pub fn steps(&self, depth: usize, steps: usize) -> usize {
        match self.inference {
            Inference::Without => 0,
            Inference::Depth => depth.saturating_sub(1),
            Inference::Chosen => steps,
            Inference::Nested => steps.saturating_mul(depth.saturating_sub(1)),
            Inference::Twice => steps.saturating_mul(2),
        }
    }
}

/// Whether a contender's name has a switch: one of the words behind its first.
pub(super) fn has(name: &str, switch: &str) -> bool {
    name.split('-').skip(1).any(|word| word == switch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Rule, Steps};

    /// The table and the schedules say the same: names, families, steps.
    #[test]
    fn rows_are_those_of_the_rules() {
        for info in Rule::VARIANTS.iter().copied().flatten() {
            let rule = Rule::from_name(info.name, Steps::constant(3, 0.1)).unwrap();
            assert_eq!((rule.name(), rule.family()), (info.name, info.family));
            let chosen = matches!(info.inference, Inference::Chosen | Inference::Nested | Inference::Twice);
            assert_eq!(rule.steps().is_some(), chosen, "{}", info.name);
            let expected = match info.family {
                "bp" => 0,
                "zil" => 6,
                "ep" => 6,
                _ if info.inference == Inference::Nested => 18,
                _ => 3,
            };
            assert_eq!(info.steps(7, 3), expected, "{}", info.name);
        }
    }
}
