//! Writes valid input for each target into the folder that is named.

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into());
    posthaste_fuzz::write_seeds(folder.as_ref())
}
