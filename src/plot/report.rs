//! One HTML page for a record: tables, figures, and how to do it again. Nothing on it is loaded from
//! elsewhere, so the page can be mailed or archived alone; only the links to the CSV files need the folder.

use std::fs;
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use maud::{html, Markup, PreEscaped, DOCTYPE};

use super::drawing::{Drawing, Drawn};
use super::{canvas, font, layers_table, number, rules_table, tables};
use crate::record::Record;
use crate::{Error, Result};

const STYLE: &str = include_str!("../../assets/report.css");

/// A larger SVG (a heat map of many cells) is shown as its PNG, to keep the page quick.
const LARGEST_SVG: u64 = 400_000;

/// Writes the page to `path` and returns `path`. Links to the figures' files are relative to its folder.
///
/// # Errors
/// [`Error::Io`] if a figure cannot be read or the page cannot be written.
pub fn write(record: &Record, drawing: &Drawing, path: &Path) -> Result<PathBuf> {
    let base = path.parent().unwrap_or(Path::new(""));
    let figures = drawing.drawn.iter().map(|drawn| figure(drawn, base)).collect::<Result<Vec<_>>>()?;
    canvas::write(path, page(record, drawing, &figures).into_string().as_bytes())?;
    Ok(path.to_path_buf())
}

fn page(record: &Record, drawing: &Drawing, figures: &[Markup]) -> Markup {
    let run = &record.run;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (run.suite) " on " (record.machine.class) " – pcnbench" }
                style { (PreEscaped(faces())) (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Suite " (run.suite) " on " (record.machine.class) }
                    p { (run.about) }
                    p.soft { "Revision " (run.rev) @if run.dirty { " with local changes" } ", started " (run.started) "." }
                }
                @if run.finished.is_none() {
                    p.bad { "This run is unfinished: the tables hold the points measured so far." }
                }
                @if !run.warnings.is_empty() {
                    section {
                        h2 { "Warnings" }
                        ul { @for warning in &run.warnings { li { (warning) } } }
                    }
                }
                section {
                    h2 { "Cost relative to the baseline" }
                    (tables::ratios(record))
                }
                @if record.summary.iter().any(|r| r.model == "weight-update") {
                    section {
                        h2 { "Counts, bounds and predictions" }
                        (tables::bounds(record))
                    }
                }
                section {
                    h2 { "Figures" }
                    @for figure in figures { (figure) }
                    @if figures.is_empty() { p { "The record has no data for any figure." } }
                    @if !drawing.skipped.is_empty() {
                        details {
                            summary { "Figures left out" }
                            ul { @for s in &drawing.skipped { li { code { (s.figure) } ": " (s.reason) } } }
                        }
                    }
                }
                (networks(drawing))
                (tables::speed_ups(record))
                @if !record.alignments.is_empty() {
                    section {
                        h2 { "Direction beside that of backpropagation" }
                        (tables::alignments(record))
                    }
                }
                (layers_table::layers(record))
                section {
                    h2 { "All measurements" }
                    (tables::summary(record))
                }
                (rules_table::rules(record))
                (machine(record))
                (reproduce(record))
            }
        }
    }
}

/// The bundled faces, so that figures set in SVG look as they were laid out.
fn faces() -> String {
    let face = |bytes: &[u8], weight: &str| {
        let data = STANDARD.encode(bytes);
        format!(
            "@font-face{{font-family:\"DejaVu Sans\";font-weight:{weight};src:url(data:font/ttf;base64,{data}) format(\"truetype\")}}\n"
        )
    };
    face(font::REGULAR, "normal") + &face(font::BOLD, "bold")
}

fn figure(drawn: &Drawn, base: &Path) -> Result<Markup> {
    let files = &drawn.files;
    let read = |path: &Path| fs::read(path).map_err(|e| Error::io("read", path, e));
    let svg = read(&files.svg)?;
    let picture = if svg.len() as u64 <= LARGEST_SVG {
        inline(&String::from_utf8_lossy(&svg), &drawn.title)
    } else {
        let data = format!("data:image/png;base64,{}", STANDARD.encode(read(&files.png)?));
        html! { img src=(data) alt=(drawn.title); }
    };
    let link = |path: &Path| {
        let relative = path.strip_prefix(base).ok().or(path.file_name().map(Path::new)).unwrap_or(path);
        relative.to_string_lossy().replace('\\', "/")
    };
    Ok(html! {
        figure id=(drawn.stem) {
            div.sheet { (picture) }
            figcaption {
                (drawn.about) " "
                span.soft {
                    "Data: " a href=(link(&files.csv)) { "CSV" } "; picture: "
                    a href=(link(&files.svg)) { "SVG" } ", " a href=(link(&files.png)) { "PNG" } "."
                }
            }
        }
    })
}

/// An SVG document as part of the page.
fn inline(svg: &str, title: &str) -> Markup {
    let label = format!("<svg role=\"img\" aria-label=\"{}\" ", html! { (title) }.into_string());
    PreEscaped(svg.replacen("<svg ", &label, 1))
}

/// The networks of the record, each with a schedule: who waits for whom.
fn networks(drawing: &Drawing) -> Markup {
    html! {
        @if !drawing.networks.is_empty() {
            section {
                h2 { "Networks and schedules" }
                p {
                    "Of every benchmark the network at its first point, and the work of its first rule that is not backpropagation: \
                     which vertex waits for which, the steps after which an error reaches a vertex, and the longest chain of products. " code { "pcnbench draw" } " draws any other."
                }
                @for picture in &drawing.networks {
                    details {
                        summary { (picture.title) }
                        div.sheet { (inline(&picture.svg, &picture.title)) }
                    }
                }
            }
        }
    }
}

fn machine(record: &Record) -> Markup {
    let (run, machine) = (&record.run, &record.machine);
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let gib = machine.memory_bytes as f64 / f64::from(1u32 << 30);
    let facts = [
        ("Processor", machine.cpu.clone()),
        ("Cores", format!("{} physical, {} logical", machine.physical_cores, machine.logical_cpus)),
        ("Threads used", run.threads.to_string()),
        ("SIMD", or_none(&machine.simd)),
        ("Memory", format!("{} GiB", number::short(gib, 3))),
        ("System", machine.os.clone()),
        ("GPU", or_none(&machine.gpu)),
        ("Driver", or_none(&machine.driver)),
        ("Candle", run.candle.clone()),
        ("Features", or_none(&run.features.join(" "))),
        ("Data", or_none(&run.data.join("; "))),
    ];
    html! {
        section {
            h2 { "Machine" }
            dl { @for (key, value) in &facts { dt { (key) } dd { (value) } } }
            @if !run.ceilings.is_empty() { h3 style="margin-top:1.4rem" { "Measured ceiling and reference rates" } (tables::ceilings(record)) }
        }
    }
}

fn reproduce(record: &Record) -> Markup {
    let run = &record.run;
    let argv = run.argv.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
    let facts = [
        ("Program", format!("pcnbench {}", run.version)),
        ("Commit", format!("{}{}", run.rev, if run.dirty { " with local changes" } else { "" })),
        ("Seed", run.seed.to_string()),
        ("Cargo.lock SHA-256", run.lockfile_sha256.clone()),
        ("Definition SHA-256", run.definition_sha256.clone()),
        ("Record format", format!("version {}", run.schema)),
    ];
    html! {
        section {
            h2 { "How to reproduce" }
            p { "Check out the commit below, build it in release mode with the features above, and run:" }
            pre { (argv) }
            dl { @for (key, value) in &facts { dt { (key) } dd { (value) } } }
            p {
                "Equal seeds give equal weights and data, and a checksum that is not finite fails its contender; times, and \
                 how many updates fit before a sample, depend on the machine. The tables and figures are made from the record alone: every single time is in " code { "samples.csv" } "."
            }
            details { summary { "Suite definition" } pre { (run.definition) } }
        }
    }
}

/// A word of a command line, quoted where a shell would change it.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted() {
        assert_eq!(shell_word("run/quick.toml"), "run/quick.toml");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
