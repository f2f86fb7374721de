//! The table of the report page that says what the rules of its record ask of the machine that runs them.

use maud::{html, Markup};

use super::style::printed_name;
use crate::record::Record;
use crate::rule::{Properties, Rule, Steps};

/// One row per rule that occurs in the record; variants with the same answers share a row. Nothing if the program knows none of them.
pub fn rules(record: &Record) -> Markup {
    let told = told(record);
    html! {
        @if !told.is_empty() {
            section {
                h2 { "What the rules ask for" }
                p {
                    "Whether a rule could run on another kind of machine, or in a brain, and what it infers: answers of the literature, \
                     which say nothing about time."
                }
                div.scroll { table {
                    thead { tr {
                        th.text { "Rule" } th.text { "Local update" } th.text { "Stored forward values" }
                        th.text { "Transposed weights" } th.text { "Phases" } th.text { "Energy falls" } th.text { "Infers" }
                        th.text { "Source" }
                    } }
                    tbody { @for (names, p) in &told { tr {
                        td.text.wrap { (names.join(", ")) }
                        @for answer in [p.local, p.stored, p.transposed, p.phases, p.descends, p.infers, p.source] {
                            td.text.wrap { (answer) }
                        }
                    } } }
                } }
            }
        }
    }
}

/// The rules of a record in print, in the order of its rows, with their answers.
fn told(record: &Record) -> Vec<(Vec<String>, Properties)> {
    let mut told: Vec<(Vec<String>, Properties)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for row in &record.summary {
        if seen.contains(&&*row.rule) {
            continue;
        }
        seen.push(&row.rule);
        // A page shows what there is: a rule of another version has no answers here.
        let Ok(rule) = Rule::from_name(&row.rule, Steps::constant(row.steps, row.step_size)) else {
            continue;
        };
        let (name, properties) = (printed_name(&row.rule), rule.properties());
        match told.iter_mut().find(|(_, known)| *known == properties) {
            Some((names, _)) => names.push(name),
            None => told.push((vec![name], properties)),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{add, empty};
    use super::*;

    /// Each rule once, whatever its engines and points; variants beside their rule; others not at all.
    #[test]
    fn each_rule_of_the_record_is_told_once() {
        let mut record = empty();
        for id in ["bp/reference", "bp/fused", "spc/reference", "fpa/reference", "spc-full/reference"] {
            add(&mut record, id, &[4, 8], |_| 4, 1000.0);
        }
        record.summary.push(crate::record::SummaryRow { rule: "later".into(), ..record.summary[0].clone() });
        let told: Vec<String> = told(&record).into_iter().map(|(names, _)| names.join(", ")).collect();
        assert_eq!(told, ["BP", "sPC, sPC full", "FPA"]);
        let page = rules(&record).into_string();
        assert_eq!(page.matches("<tr>").count(), 4, "{page}");
        assert!(
            page.contains("Rumelhart") && page.contains("Friston") && !page.contains("Salvatori"),
            "{page}"
        );
        assert_eq!(rules(&empty()).into_string(), "");
    }
}
