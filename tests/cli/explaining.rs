//! `explain`: closed forms of linear networks, the light cone, and refusals.

use crate::session::{refused, says, succeeds, suite};
use pcnbench::net::architecture::KINDS;
use pcnbench::plot::number::short;
use pcnbench::theory::linear::orthogonal_spectrum;

/// A suite of one chain of 8 layers.
const CHAIN: &str = r#"schema = 1
name = "chain"
about = "One network."
seed = 3

[[benchmark]]
name = "chain"
model = "alignment"
about = "Orthogonal."
contenders = ["bp/reference", "spc/reference", "zil/reference", "spc-auto/reference", "spc-momentum/reference", "pcalm/reference", "epc-auto/reference"]

[benchmark.axes]
depth = [4, 8]
width = [16]
batch = [2]
steps = [2]
step_size = [0.5]
activation = ["identity"]
parameterisation = ["sp-orthogonal"]
"#;

/// λ_max, the stable step and κ in the states are those of the closed form; what T = 2 steps leave at zero follows from the light
/// cone; Z-IL and backpropagation agree; a step in units of the stable one is that times 2/λ_max.
#[test]
fn a_linear_chain_is_explained_by_its_closed_form() {
    let (_dir, file) = suite(CHAIN);
    let said = succeeds(&["explain", &file]);
    let spectrum = orthogonal_spectrum(7, 16, 10).unwrap();
    let (smallest, largest) = (spectrum[0], spectrum[spectrum.len() - 1]);
    says(
        &said,
        &[
            "depth=8",
            "8 layers of parameters, 7 latent vertices, 2 samples in f32",
            "needs at most 7 steps to the farthest",
            &format!("largest curvature {}, so descent is stable below a step of {};", short(largest, 3), short(2.0 / largest, 3)),
            &format!("smallest {}, condition number {}", short(smallest, 3), short(largest / smallest, 3)),
            // outputs see every error through orthogonal weights: 1 + 7 in the errors
            "In the errors, which ePC moves: largest curvature 8, so descent is stable below a step of 0.25",
            "bp: In the direction of backpropagation: cosine 1 with backpropagation's direction, in the lowest quarter of the layers 1; 1 times as long.",
            "zil: In the direction of backpropagation",
            "spc, 2 steps of 0.5:",
            "5 of 8 layers do not learn",
            "5 have a direction of exactly zero.",
            &format!("spc-auto, 2 steps of {}:", short(1.0 / largest, 3)),
            // laws of plain descent are not told of others
            &format!("spc-momentum, 2 steps of 0.5: step times largest curvature is {}. ", short(0.5 * largest, 3)),
            &format!("pcalm, 2 steps of 0.5: step times largest curvature is {}. ", short(0.5 * largest, 3)),
            "epc-auto, 2 steps of 0.125: step times largest curvature is 1; along the steepest direction 100 % of the way",
        ],
    );
    assert!(!said.contains("depth=4"), "{said}");
    let fast = succeeds(&["explain", &file, "--step-size", "3"]);
    says(&fast, &["not below 2, so inference moves away from the minimum"]);
    let deeper = succeeds(&["explain", &file, "--depth", "3", "--steps", "4"]);
    says(&deeper, &["3 layers of parameters, 2 latent vertices", "spc, 4 steps of 0.5:"]);
}

/// Architectures of vectors, images and sequences, each with data of its shape.
#[test]
fn architectures_are_explained() {
    for kind in KINDS {
        let (kind, small) = (kind.name, ["--width", "4", "--batch", "1", "--steps", "2"]);
        let said = succeeds(&[&["explain", "--architecture", kind][..], &small].concat());
        says(
            &said,
            &[kind, "In the states, which sPC moves", "In the errors, which ePC moves", "pcalm", "seqil"],
        );
    }
}

#[test]
fn what_cannot_be_explained_is_refused() {
    says(&refused(&["explain", "nosuch"]), &["unknown suite `nosuch`"]);
    says(&refused(&["explain", "--architecture", "nosuch"]), &["unknown architecture `nosuch`", "resnet"]);
    says(&refused(&["explain", "--architecture", "mlp", "--depth", "0"]), &["`depth`", "0 is out of range"]);
    says(
        &refused(&["explain", "--architecture", "mlp", "--parameterisation", "x"]),
        &["`parameterisation`", "`x`"],
    );
}
