//! The floors of a crate: each of its rooms (the modules of its root, with all that is in them) uses
//! only what lies below it, as ARCHITECTURE.md says.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::paths::{self, Named, Reading};

/// What a table's heading begins with; the folder of the crate's sources follows.
const HEADING: &str = "### Floors of ";
/// Crates that must have a table.
const FLOORED: [&str; 7] = [
    "crates/protocol/src",
    "crates/producer/src",
    "crates/broker/src",
    "crates/inspector/src",
    "crates/cli/src",
    "bench/driver/src",
    "xtask/src",
];
/// What the root file of a crate is called.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

/// Rooms of a crate from the top down. Rooms of one floor do not use each other.
struct Floors(Vec<Vec<String>>);

/// Checks every crate that has a table.
///
/// # Errors
/// Names every path that does not lead downwards, every room that has no floor, and every table that
/// is missing or belongs to no crate.
pub(crate) fn check(root: &Path) -> Result<()> {
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let tables: Vec<&str> =
        architecture.lines().filter_map(|line| line.strip_prefix(HEADING)).collect();
    let missing = FLOORED
        .iter()
        .filter(|name| !tables.contains(name))
        .map(|name| format!("ARCHITECTURE.md has no `{HEADING}{name}`"));
    let wrong = tables.iter().filter_map(|name| {
        let checked = check_crate(&architecture, name, &root.join(name));
        checked.err().map(|error| format!("floors of {name}:\n{error:#}"))
    });
    let problems: Vec<String> = missing.chain(wrong).collect();
    // Files are named as they are in the repository.
    let problems = problems.join("\n").replace(&format!("{}/", root.display()), "");
    ensure!(problems.is_empty(), "{problems}");
    Ok(())
}

/// Checks that the rooms of the crate called `name`, in the folder `sources`, keep to their floors.
fn check_crate(architecture: &str, name: &str, sources: &Path) -> Result<()> {
    let root = ROOTS.iter().map(|root| sources.join(root)).find(|root| root.is_file());
    let root = root.context("there is no such crate")?;
    let floors = Floors::of(architecture, name)?;
    let problems = floors.problems(&paths::read(&root)?);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

impl Floors {
    /// Reads the table behind the heading of `name`: rooms stand in the first column,
    /// as code.
    fn of(architecture: &str, name: &str) -> Result<Self> {
        let heading = format!("{HEADING}{name}");
        let behind = architecture
            .lines()
            .skip_while(|line| *line != heading)
            .skip(1)
            // The table of the next heading is not this one's.
            .take_while(|line| !line.starts_with('#'))
            .skip_while(|line| !line.starts_with('|'))
            // The head of the table and the line below it.
            .skip(2);
        let rooms = |line: &str| {
            let cell = line.split('|').nth(1).unwrap_or_default();
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let floors: Vec<_> = behind.take_while(|line| line.starts_with('|')).map(rooms).collect();
        ensure!(!floors.is_empty(), "ARCHITECTURE.md has no table `{heading}`");
        Ok(Self(floors))
    }

    fn level(&self, room: &str) -> Option<usize> {
        self.0.iter().position(|rooms| rooms.iter().any(|one| one == room))
    }

    fn problems(&self, reading: &Reading) -> Vec<String> {
        let homeless = reading.rooms.iter().filter(|room| self.level(room).is_none());
        let gone = self.0.iter().flatten().filter(|room| !reading.rooms.contains(room));
        let unknown =
            homeless.map(|room| format!("`{room}` has no floor in ARCHITECTURE.md")).chain(
                gone.map(|room| {
                    format!("`{room}` has a floor in ARCHITECTURE.md, but is not there")
                }),
            );
        let wrong = reading.paths.iter().filter_map(|named| self.problem(reading, named).err());
        unknown.chain(wrong).collect()
    }

    /// What is wrong with a path. The root is above everything: paths in it are not judged.
    fn problem(&self, reading: &Reading, named: &Named) -> Result<(), String> {
        let Some(from) = named.from.first() else { return Ok(()) };
        let at = format!("{}:{}", named.file.display(), named.line);
        let path = named.to.join("::");
        let to = match room(reading, &named.to) {
            Some(to) => to,
            None => return Err(format!("{at}: `crate::{path}` is in no room: the root has it")),
        };
        let (Some(own), Some(its)) = (self.level(from), self.level(to)) else { return Ok(()) };
        if from == to || own < its {
            return Ok(());
        }
        let where_it_lies = if own == its { "beside" } else { "above" };
        Err(format!("{at}: `{from}` uses `{to}` (`crate::{path}`), which lies {where_it_lies} it"))
    }
}

/// The room that a path leads to.
fn room<'a>(reading: &'a Reading, path: &[String]) -> Option<&'a String> {
    let first = path.first()?;
    let own = reading.rooms.iter().find(|room| *room == first);
    own.or_else(|| {
        let named = reading.re_exports.iter().find(|one| one.name == *first)?;
        reading.rooms.iter().find(|room| **room == named.room)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
### Floors of crates/house/src

| rooms | what they are |
|---|---|
| `attic` | on top |
| `left` `right` | beside each other |
| `cellar` | below |

| `none` | of this table |
";
    const ROOT: &str = "mod attic;\nmod cellar;\nmod left;\nmod right;\npub use attic::Roof;\n";

    /// Checks a crate of these files; rooms that have none are empty.
    fn check_files(files: &[(&str, &str)]) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let rooms = ["attic", "left", "right", "cellar"].map(|room| (format!("{room}.rs"), ""));
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), *text));
        for (name, text) in rooms.into_iter().chain([("lib.rs".to_owned(), ROOT)]).chain(files) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            std::fs::write(path, text)?;
        }
        check_crate(TABLE, "crates/house/src", folder.path())
    }

    fn problems(files: &[(&str, &str)]) -> String {
        check_files(files).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_path_upwards_is_refused_in_each_of_its_forms() {
        for (file, text) in [
            ("cellar.rs", "use crate::attic::Roof;"),
            ("cellar.rs", "fn dig() -> u8 { let deep = 1; crate::attic::Roof::height(deep) }"),
            ("cellar.rs", "use super::attic;"),
            ("cellar.rs", "macro_rules! brick { () => { $crate::attic::Roof }; }"),
            // Names that the root has from elsewhere lead to where they come from.
            ("cellar.rs", "use crate::Roof;"),
            ("cellar.rs", "use super::Roof as Lid;"),
            ("cellar.rs", "use crate::{cellar::Wine, attic::{self, Roof}};"),
            ("cellar.rs", "mod wine { use super::super::attic::Roof; }"),
            ("cellar.rs", "mod wine { use crate::attic::*; }"),
            ("cellar.rs", "#[doc(hidden)] pub(crate) fn f<T: Into<crate::attic::Roof>>(_: T) {}"),
        ] {
            let problems = problems(&[(file, text)]);
            assert!(problems.contains("`cellar` uses `attic`"), "{text}: {problems}");
            assert!(problems.contains("which lies above it"), "{text}: {problems}");
        }
    }

    #[test]
    fn a_file_of_a_room_is_held_to_the_floor_of_its_room() {
        let files = [("cellar.rs", "mod wine;"), ("cellar/wine.rs", "\nuse crate::attic::Roof;")];
        let text = problems(&files);
        assert!(text.contains("wine.rs:2: `cellar` uses `attic` (`crate::attic::Roof`)"), "{text}");
        let files = [
            ("cellar.rs", "#[path = \"cellar/off.rs\"]\npub(crate) mod wine;"),
            ("cellar/off.rs", "use crate::attic::Roof;"),
        ];
        assert!(problems(&files).contains("off.rs:1"));
    }

    #[test]
    fn rooms_of_one_floor_do_not_use_each_other() {
        let text = problems(&[("left.rs", "use crate::right::Door;")]);
        assert!(text.contains("`left` uses `right` (`crate::right::Door`), which lies beside it"));
    }

    #[test]
    fn paths_downwards_and_within_a_room_are_fine() {
        let files = [
            ("attic.rs", "use crate::{left, right::Door, cellar::*};"),
            ("left.rs", "mod door; use self::door::Door; use crate::cellar::{Wine as Red};"),
            (
                "left/door.rs",
                "use super::Bell; use crate::left::Bell; use std::fmt; fn f(&self) {}",
            ),
        ];
        assert_eq!(problems(&files), "");
    }

    #[test]
    fn tests_may_use_everything() {
        let files = [
            (
                "cellar.rs",
                "#[cfg(test)] mod tests;\n#[cfg(all(test, unix))] use crate::attic::Roof;",
            ),
            ("cellar/tests.rs", "use crate::attic::Roof;"),
            (
                "left.rs",
                "struct Door { #[cfg(test)] roof: crate::attic::Roof, bell: u8 }\n\
                 #[cfg(test)] pub(crate) fn f<A, B>(_: A, _: B) { crate::attic::Roof }\n\
                 #[cfg(test)] #[allow(unused)] mod tests { use crate::attic::Roof; }",
            ),
        ];
        assert_eq!(problems(&files), "");
        // Items after a test are not part of it.
        let after = "#[cfg(test)] fn f<A, B>() {}\nuse crate::attic::Roof;";
        assert!(problems(&[("cellar.rs", after)]).contains("cellar.rs:2"));
        let not_only_test = "#[cfg(any(test, unix))] use crate::attic::Roof;";
        assert!(problems(&[("cellar.rs", not_only_test)]).contains("above"));
    }

    #[test]
    fn rooms_and_floors_are_the_same() {
        let text =
            problems(&[("lib.rs", "mod attic; mod left; mod right; mod porch;"), ("porch.rs", "")]);
        assert!(text.contains("`porch` has no floor"), "{text}");
        assert!(text.contains("`cellar` has a floor"), "{text}");
    }

    #[test]
    fn a_table_has_its_crate_and_a_crate_of_the_list_its_table() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ARCHITECTURE.md"), TABLE).unwrap();
        let text = check(folder.path()).unwrap_err().to_string();
        assert!(text.contains("no `### Floors of xtask/src`"), "{text}");
        assert!(text.contains("floors of crates/house/src:\nthere is no such crate"), "{text}");
        // A heading without a table does not take that of the next heading.
        let two = format!("### Floors of crates/hut/src\n\n{TABLE}");
        assert!(Floors::of(&two, "crates/hut/src").is_err());
    }

    #[test]
    fn what_the_root_itself_has_lies_above_everything() {
        let text = problems(&[("cellar.rs", "use crate::VERSION;")]);
        assert!(text.contains("`crate::VERSION` is in no room"), "{text}");
    }
}
