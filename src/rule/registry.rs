//! Every rule with its switches, by name: what calls of a `Rule` do is written once for all rules.

use super::info::Info;

/// The enum [`Rule`] of the rules in a list, with a method for each of those of `LearningRule`.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)+) => {
        /// Every rule with its switches.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Rule {
            $($(#[$doc])* $rule($rule),)+
        }

        impl Rule {
            /// What is known of every rule and variant, by rule.
            pub const VARIANTS: &'static [&'static [Info]] = &[$($rule::VARIANTS),+];

            /// Names of all rules and variants, as contender ids spell them.
            pub const NAMES: [&'static str; registry::count(Self::VARIANTS)] = registry::names(Self::VARIANTS);

            /// The rule or variant of this name with the given inference steps (ignored by rules without inference).
            ///
            /// iPC's weight step is 0 until [`with_weight_step`](Self::with_weight_step) sets it, and it does not
            /// evaluate the last point until [`evaluated`](Self::evaluated) asks for it.
            ///
            /// # Errors
            /// [`Error::Unknown`] for a name that is not in [`NAMES`](Self::NAMES).
            pub fn from_name(name: &str, steps: Steps) -> Result<Self> {
                let among = |variants: &[Info]| variants.iter().any(|info| info.name == name);
                $(if among($rule::VARIANTS) {
                    return Ok(Self::$rule($rule::variant(name, steps)));
                })+
                Err(Error::unknown("rule", name, Self::NAMES))
            }

            /// Why the rule of a name that ends in `-auto` has no such variant, as the end of a sentence; `None` of a rule that has one,
            /// and of other names.
            pub fn without_auto(name: &str) -> Option<&'static str> {
                let (family, auto) = name.split_once('-')?;
                if auto.rsplit('-').next() != Some("auto") {
                    return None;
                }
                $(if $rule::VARIANTS[0].family == family {
                    return $rule::WITHOUT_AUTO;
                })+
                None
            }

            /// The name of this variant; of the nearest one that has a name where switches were set by hand.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$rule(r) => r.name(),)+ }
            }

            /// The rule's name without switches, as case files spell it.
            pub fn family(&self) -> &'static str {
                match self { $(Self::$rule(_) => $rule::VARIANTS[0].family,)+ }
            }

            /// The inference steps, if the rule has any to choose.
            pub fn steps(&self) -> Option<Steps> {
                match self { $(Self::$rule(r) => r.steps(),)+ }
            }

            /// The same rule with T and g replaced; unchanged if it has none to choose.
            #[must_use]
            pub fn with_steps(self, steps: Steps) -> Self {
                match self { $(Self::$rule(r) => Self::$rule(r.with_steps(steps)),)+ }
            }

            /// What its inference moves by descent of the energy, if it does.
            pub fn coordinates(&self) -> Option<Coordinates> {
                match self { $(Self::$rule(r) => r.coordinates(),)+ }
            }

            /// The energy whose curvature bounds its step, if its inference descends one; see [`LearningRule::descends`].
            pub fn descends(&self) -> Option<Descended> {
                match self { $(Self::$rule(r) => r.descends(),)+ }
            }

            /// Whether the rule moves the parameters itself, so that no optimiser comes after it (iPC).
            pub fn moves_parameters(&self) -> bool {
                match self { $(Self::$rule(r) => r.moves_parameters(),)+ }
            }

            /// The same rule with the step α of the parameters it moves itself; unchanged if it moves none.
            #[must_use]
            pub fn with_weight_step(self, rate: f64) -> Self {
                match self { $(Self::$rule(r) => Self::$rule(r.with_weight_step(rate)),)+ }
            }

            /// Whether the rule carries errors down weights of their own.
            pub fn learns_feedback(&self) -> bool {
                match self { $(Self::$rule(r) => r.learns_feedback(),)+ }
            }

            /// The same rule, evaluating errors and outputs after the last step for a report. Every rule but iPC does so
            /// anyway, because its directions are taken there; backpropagation then has the adjoint of every vertex.
            #[must_use]
            pub fn evaluated(self) -> Self {
                match self { $(Self::$rule(r) => Self::$rule(r.evaluated()),)+ }
            }

            /// The graph that the rule runs on, and the number of each vertex in it: for Z-IL the levelled graph.
            ///
            /// # Errors
            /// [`Error::Invalid`] if the rule is not defined on the graph: Z-IL needs precision 1 everywhere.
            pub fn prepare(&self, graph: &Graph) -> Result<(Graph, Vec<VertexId>)> {
                match self { $(Self::$rule(r) => r.prepare(graph),)+ }
            }

            /// The closed formula for the work of one weight update (of T of them under iPC).
            pub fn cost(&self, net: &NetCost) -> RuleCost {
                match self { $(Self::$rule(r) => r.cost(net),)+ }
            }

            /// Counts, bounds and predictions on a network.
            pub fn analysis(&self, net: &NetCost) -> Analysis {
                let analysis = match self { $(Self::$rule(r) => r.analysis(net),)+ };
                Analysis { rule: self.name(), ..analysis }
            }

            /// Executes the rule; see [`LearningRule::learn`].
            ///
            /// # Errors
            /// If the engine refuses an operation, and what `watch` refuses.
            pub fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
                match self { $(Self::$rule(r) => r.learn(engine, watch),)+ }
            }
        }
    };
}

pub(super) use rules;

/// Rows of all tables together.
pub(super) const fn count(tables: &[&[Info]]) -> usize {
    let (mut n, mut i) = (0, 0);
    while i < tables.len() {
        n += tables[i].len();
        i += 1;
    }
    n
}

/// The names of all rows of all tables.
pub(super) const fn names<const N: usize>(tables: &[&[Info]]) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut n, mut i) = (0, 0);
    while i < tables.len() {
        let mut k = 0;
        while k < tables[i].len() {
            names[n] = tables[i][k].name;
            (n, k) = (n + 1, k + 1);
        }
        i += 1;
    }
    names
}
