//! Spectra that were found in this run, of which other points and rules make use.

use super::regime::Spectrum;

/// Spectra by what they depend on.
#[derive(Debug, Default)]
pub(super) struct Spectra(Vec<(String, usize, Spectrum)>);

impl Spectra {
    /// Those of a network at its first parameters, on the first `samples` of its first batch.
    pub(super) fn of(&self, network: &str, samples: usize) -> Vec<Spectrum> {
        let own = self.0.iter().filter(|(name, n, _)| name == network && *n == samples);
        own.map(|(_, _, spectrum)| *spectrum).collect()
    }

    /// One more of these, unless it is known.
    pub(super) fn add(&mut self, network: &str, samples: usize, spectrum: Spectrum) {
        if self.of(network, samples).iter().all(|known| known.energy != spectrum.energy) {
            self.0.push((network.to_owned(), samples, spectrum));
        }
    }
}

/// What tells the networks of a suite apart, with their parameters and batches: the id of a point without the axes that only
/// inference reads, and the parameterisation of the contender, which may be its own.
pub(super) fn network(point: &str, parameterisation: &str) -> String {
    let inference =
        |part: &&str| ["steps=", "step_size=", "device="].iter().any(|axis| part.starts_with(axis));
    let (benchmark, axes) = point.split_once('@').unwrap_or((point, ""));
    let kept = axes.split(',').filter(|part| !inference(part));
    format!("{benchmark}@{} {parameterisation}", kept.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::curvature::{Coordinates, Descended};
    use crate::suite::AXES;
    use crate::theory::lanczos::{Ends, Ritz};

    /// Each other axis makes another network, batch or rounding of them.
    #[test]
    fn networks_are_told_apart_by_all_axes_but_those_of_inference() {
        let all = |changed: &str| {
            let axes = AXES.iter().map(|axis| {
                let value = if axis.name == changed { "other" } else { "some" };
                format!("{}={value}", axis.name)
            });
            network(&format!("b@{}", axes.collect::<Vec<_>>().join(",")), "sp")
        };
        for axis in AXES {
            let inference = ["steps", "step_size", "device"].contains(&axis.name);
            assert_eq!(all(axis.name) == all(""), inference, "{}", axis.name);
        }
        assert_ne!(network("a@depth=2", "sp"), network("b@depth=2", "sp"));
        assert_ne!(network("a@depth=2", "sp"), network("a@depth=2", "mupc-residual"));
    }

    #[test]
    fn a_spectrum_is_of_its_network_samples_and_energy() {
        let ritz = Ritz { value: 1.0, residual: 0.0, products: 1 };
        let energy = |coordinates, loss_weight| Descended { coordinates, loss_weight };
        let all = [(Coordinates::States, 1.0), (Coordinates::Errors, 1.0), (Coordinates::States, 0.01)];
        let mut spectra = Spectra::default();
        for (coordinates, weight) in [&all[..1], &all].concat() {
            let energy = energy(coordinates, weight);
            spectra.add("a", 4, Spectrum { energy, ends: Ends { smallest: ritz, largest: ritz } });
        }
        let found = spectra.of("a", 4).iter().map(|own| own.energy).collect::<Vec<_>>();
        assert_eq!(found, all.map(|(coordinates, weight)| energy(coordinates, weight)));
        assert!(spectra.of("a", 2).is_empty() && spectra.of("b", 4).is_empty());
    }
}
