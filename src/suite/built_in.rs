//! The suites that come with the program: every TOML file under `benches/suites`, found by listing that folder.

/// Name and definition of each suite that comes with the program, sorted by name.
///
/// The name is that of the file, which the file's key `name` repeats. `build.rs` writes the table, so that a suite is
/// added by adding its file.
pub const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/suites.rs"));

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::BUILT_IN;
    use crate::contender::ContenderId;
    use crate::engine::EngineKind;
    use crate::rule::Info;
    use crate::suite::{ContenderConfig, Model, Overrides, Suite};

    /// What the folder holds now is what the program embeds, byte by byte.
    #[test]
    fn the_table_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/suites");
        let mut found: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let file = path.file_name().unwrap().to_str().unwrap();
                let name = file.strip_suffix(".toml");
                let name = name
                    .unwrap_or_else(|| panic!("benches/suites/{file} is not a suite: expected NAME.toml"));
                (name.to_owned(), fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort();
        let embedded: Vec<(String, String)> =
            BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(embedded, found);
    }

    /// Every file is a suite of the file's own name; the message of a failure names the file.
    #[test]
    fn every_file_is_a_suite_of_its_name() {
        let wrong: Vec<String> = BUILT_IN
            .iter()
            .filter_map(|(name, text)| {
                let file = format!("benches/suites/{name}.toml");
                match Suite::parse(text, &file, &Overrides::default()) {
                    Err(error) => Some(error.to_string()),
                    Ok(suite) if suite.name != *name => Some(format!(
                        "{file}: key `name` is `{}`, expected `{name}`, the name of the file",
                        suite.name
                    )),
                    Ok(_) => None,
                }
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// A rule that a suite times by the reference it times by the fused engine too, with equal settings but for
    /// threads, and each of the two stands against backpropagation by its own engine on its own network.
    #[test]
    fn headlines_are_by_both_engines() {
        let mut pairs = 0;
        for (name, _) in BUILT_IN {
            let suite = Suite::load(name, &Overrides::default()).unwrap();
            let timed = || suite.benchmarks.iter().filter(|b| b.model == Model::WeightUpdate);
            let fused = |e: &ContenderConfig| {
                let id = ContenderId { engine: EngineKind::Fused, threads: None, ..e.id.clone() };
                ContenderConfig { id, ..e.clone() }
            };
            let by = |engine: EngineKind| {
                let all = timed().flat_map(|b| &b.contenders);
                all.filter(move |e| e.id.engine == engine && Info::runs(&e.id.rule, EngineKind::Fused))
            };
            let found: Vec<ContenderConfig> = by(EngineKind::Fused).map(fused).collect();
            let wanted: Vec<ContenderConfig> = by(EngineKind::Reference).map(fused).collect();
            for own in &wanted {
                assert!(found.contains(own), "{name} has no {own:?}");
                pairs += 1;
            }
            for b in timed() {
                let ids: Vec<ContenderId> = b.contenders.iter().map(|e| e.id.clone()).collect();
                let both = b.contenders.iter().filter(|e| wanted.contains(&fused(e)));
                for id in both.map(|e| &e.id).filter(|id| id.rule != "bp") {
                    let base = id.baseline(&ids, &b.baseline);
                    let network = (base.engine, base.parameterisation);
                    assert_eq!(network, (id.engine, id.parameterisation), "{id} in {name}");
                }
            }
        }
        assert!(pairs > 20, "{pairs}");
    }
}
