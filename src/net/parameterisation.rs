//! Parameterisations: how the product of each layer is scaled and how its weights start.
//!
//! With D inputs, hidden width N and L layers, layer l predicts μ_l = a_l W_l φ_l(v) + s_l v:
//!
//! | | a_1 | a_l, 2 ≤ l < L | a_L | W at start | s_l, 2 ≤ l < L |
//! | --- | --- | --- | --- | --- | --- |
//! | `sp-uniform` (alias `sp`) | 1 | 1 | 1 | U(±1/√fan_in) | 0 |
//! | `sp-normal` | 1 | 1 | 1 | N(0, 1/fan_in) | 0 |
//! | `sp-orthogonal` | 1 | 1 | 1 | gain × orthonormal | 0 |
//! | `ntp` | 1/√D | 1/√N | 1/√N | N(0, 1) | 0 |
//! | `mupc` | 1/√D | 1/√N | 1/N | N(0, 1) | 0 |
//! | `mupc-residual` | 1/√D | 1/√(N·L) | 1/N | N(0, 1) | 1 |
//!
//! `sp-*-residual` adds s_l = 1 to the standard forms. Sources: Innocenti et al., arXiv 2505.13124 (μPC) and
//! its authors' code; Jacot et al. 2018 (NTP). The standard forms multiply W by `gain`, 1 unless set.

use std::fmt;
use std::str::FromStr;

use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::rng::{stream, Purpose};
use crate::{Error, Result};

/// Scaling and start of the weights, without the skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Standard, uniform in ±1/√fan_in.
    SpUniform,
    /// Standard, normal with variance 1/fan_in.
    SpNormal,
    /// Standard, rows or columns orthonormal.
    SpOrthogonal,
    /// Neural tangent parameterisation.
    Ntp,
    /// Depth-μP as predictive coding uses it.
    Mupc,
}

/// A scheme with or without residual skips around the hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parameterisation {
    /// Scaling and start.
    pub scheme: Scheme,
    /// s_l = 1 for 2 ≤ l < L.
    pub residual: bool,
}

/// Where layer l stands in a multilayer perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// l, from 1.
    pub layer: usize,
    /// L.
    pub depth: usize,
    /// Columns of W_l (fan-in).
    pub inputs: usize,
    /// Rows of W_l.
    pub outputs: usize,
}

impl Parameterisation {
    /// `sp-uniform`.
    pub const SP: Self = Self { scheme: Scheme::SpUniform, residual: false };
    /// `mupc-residual`, the published μPC.
    pub const MUPC: Self = Self { scheme: Scheme::Mupc, residual: true };

    /// Every name a suite may use.
    pub const NAMES: [&'static str; 9] = [
        "sp",
        "sp-uniform",
        "sp-normal",
        "sp-orthogonal",
        "sp-uniform-residual",
        "sp-normal-residual",
        "sp-orthogonal-residual",
        "ntp",
        "mupc",
    ];

    /// a_l. A network of one layer takes the readout's scaling with N = D.
    pub fn scale(self, at: Position) -> f64 {
        let (n, l) = (at.inputs as f64, at.depth as f64);
        let (first, last) = (at.layer == 1, at.layer == at.depth);
        match self.scheme {
            Scheme::SpUniform | Scheme::SpNormal | Scheme::SpOrthogonal => 1.0,
            Scheme::Ntp => n.sqrt().recip(),
            Scheme::Mupc if last => n.recip(),
            Scheme::Mupc if first || !self.residual => n.sqrt().recip(),
            Scheme::Mupc => (n * l).sqrt().recip(),
        }
    }

    /// Whether layer l adds the raw state below it.
    pub fn skip(self, at: Position) -> bool {
        self.residual && at.layer > 1 && at.layer < at.depth
    }

    /// W_l at the start, row-major `[outputs, inputs]`, from the stream of layer l under `seed`.
    ///
    /// Orthogonal starts take the Q of a normal matrix with the signs of R's diagonal made positive, which
    /// makes the distribution uniform over orthonormal matrices (Mezzadri 2007, math-ph/0609050).
    pub fn start(self, at: Position, gain: f64, seed: u64) -> Vec<f64> {
        self.draw(at, gain, stream(seed, Purpose::Weights(at.layer)))
    }

    /// Backward weights of layer l at the start, in the form of W_l and from its distribution, but drawn from
    /// a stream of their own.
    pub fn start_feedback(self, at: Position, gain: f64, seed: u64) -> Vec<f64> {
        self.draw(at, gain, stream(seed, Purpose::Feedback(at.layer)))
    }

    fn draw(self, at: Position, gain: f64, mut rng: impl Rng) -> Vec<f64> {
        let count = at.inputs * at.outputs;
        let bound = gain / (at.inputs as f64).sqrt();
        match self.scheme {
            Scheme::SpUniform => (0..count).map(|_| bound * (2.0 * rng.random::<f64>() - 1.0)).collect(),
            Scheme::SpNormal => (0..count).map(|_| bound * rng.sample::<f64, _>(StandardNormal)).collect(),
            Scheme::SpOrthogonal => {
                let (tall, wide) = (at.inputs.max(at.outputs), at.inputs.min(at.outputs));
                let normal = DMatrix::from_fn(tall, wide, |_, _| rng.sample::<f64, _>(StandardNormal));
                let qr = normal.qr();
                let (mut q, r) = (qr.q(), qr.r());
                for (j, mut column) in q.column_iter_mut().enumerate() {
                    column *= gain * r[(j, j)].signum();
                }
                // nalgebra stores columns; row-major W is the column-major Wᵀ
                if at.outputs >= at.inputs { q.transpose() } else { q }.as_slice().to_vec()
            }
            Scheme::Ntp | Scheme::Mupc => (0..count).map(|_| rng.sample(StandardNormal)).collect(),
        }
    }

    /// b_l at the start: uniform in ±1/√fan_in under `sp-uniform`, zero otherwise.
    pub fn start_bias(self, at: Position, seed: u64) -> Vec<f64> {
        let bound = (at.inputs as f64).sqrt().recip();
        let mut rng = stream(seed, Purpose::Biases(at.layer));
        match self.scheme {
            Scheme::SpUniform => (0..at.outputs).map(|_| bound * (2.0 * rng.random::<f64>() - 1.0)).collect(),
            _ => vec![0.0; at.outputs],
        }
    }
}

impl fmt::Display for Parameterisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::SpUniform => "sp-uniform",
            Scheme::SpNormal => "sp-normal",
            Scheme::SpOrthogonal => "sp-orthogonal",
            Scheme::Ntp => "ntp",
            Scheme::Mupc => "mupc",
        })?;
        f.write_str(if self.residual { "-residual" } else { "" })
    }
}

impl FromStr for Parameterisation {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (name, residual) = s.strip_suffix("-residual").map_or((s, false), |name| (name, true));
        let scheme = match name {
            "sp" | "sp-uniform" => Scheme::SpUniform,
            "sp-normal" => Scheme::SpNormal,
            "sp-orthogonal" => Scheme::SpOrthogonal,
            "ntp" if !residual => Scheme::Ntp,
            "mupc" => Scheme::Mupc,
            _ => {
                return Err(Error::unknown(
                    "parameterisation",
                    s,
                    Self::NAMES.into_iter().chain(["mupc-residual"]),
                ))
            }
        };
        Ok(Self { scheme, residual })
    }
}
