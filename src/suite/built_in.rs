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
    use crate::suite::{Overrides, Suite};

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
}
