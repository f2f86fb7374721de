//! The examples, run as they stand; each checks what it claims.

#[path = "../examples/custom_layer.rs"]
mod custom_layer;
#[path = "../examples/custom_rule.rs"]
mod custom_rule;
#[path = "../examples/scalar_graph.rs"]
mod scalar_graph;

#[test]
fn a_layer_of_ones_own_learns() {
    custom_layer::main().unwrap();
}

#[test]
fn a_rule_of_ones_own_is_counted_and_recorded() {
    custom_rule::main().unwrap();
}

#[test]
fn the_smallest_graph_is_differentiated() {
    scalar_graph::main().unwrap();
}
