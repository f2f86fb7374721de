//! The caption below a figure: the conditions of the measurement, one fact after the other.

use super::font;
use super::plot_area::NOTE;
use super::scene::{Anchor, Scene, Spot};

/// Height of a line.
const LINE: f64 = 16.0;

/// The facts of a caption packed into lines of at most `room` pixels, separated by dots. A fact that ends in a line
/// feed shares its lines with no other.
pub fn wrap(facts: &[String], room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut closed = false;
    for fact in facts.iter().filter(|f| !f.is_empty()) {
        let alone = fact.ends_with('\n');
        let fact = fact.trim_end();
        let open = lines.last().filter(|_| !closed && !alone);
        let longer = open.map(|line| format!("{line} · {fact}"));
        closed = alone;
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if font::width(&longer, NOTE.size, NOTE.bold) <= room => {
                *line = longer
            }
            _ => lines.extend(font::wrap(fact, NOTE.size, NOTE.bold, room)),
        }
    }
    lines
}

/// Caption lines from `at` downwards.
pub fn draw(scene: &mut Scene, (x, y): Spot, lines: &[String]) {
    for (i, line) in lines.iter().enumerate() {
        scene.text((x, y + LINE * i as f64), line.clone(), NOTE, Anchor::Start);
    }
}

/// Height of a caption of `lines` lines.
pub fn height(lines: usize) -> f64 {
    LINE * lines as f64 + 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_ends_in_a_line_feed_stands_alone() {
        let facts = ["a", "b", "c\n", "d", "e"].map(str::to_owned);
        assert_eq!(wrap(&facts, 1e4), ["a · b", "c", "d · e"]);
    }

    #[test]
    fn captions_wrap_between_facts() {
        let facts = ["one fact", "another fact", "", "a third fact"].map(str::to_owned);
        assert_eq!(wrap(&facts, 1e4), ["one fact · another fact · a third fact"]);
        assert_eq!(wrap(&facts, 80.0).len(), 3);
        let long = "a fact too long for one line";
        assert_eq!(wrap(&[long.to_owned()], 80.0).join(" "), long);
    }
}
