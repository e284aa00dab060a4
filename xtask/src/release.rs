//! What people install: archives, a Debian package, an image; each is tried before it counts.

mod debian;
mod image;
mod tree;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

/// The ordinary build, which looks names up with the system's libc.
const GNU: &str = "x86_64-unknown-linux-gnu";
/// The static one.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// Everything ends up here.
const FOLDER: &str = "target/release-files";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes everything that this machine can make; says SKIPPED of the rest.
pub(crate) fn run() -> ExitCode {
    match make_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("release: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make_all() -> Result<()> {
    let folder = Path::new(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("{FOLDER} cannot be emptied"))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{FOLDER} cannot be made"))?;
    build(&[])?;
    let ordinary = tree::Tree::make(folder, Path::new("target/release/posthaste"))?;
    let mut made = vec![archive(folder, &ordinary, GNU)?];
    made.extend(told("Debian package", debian::package(folder, &ordinary))?);
    match has_target(MUSL)? {
        true => {
            build(&["--target", MUSL])?;
            let binary = PathBuf::from(format!("target/{MUSL}/release/posthaste"));
            made.push(archive(folder, &tree::Tree::make(folder, &binary)?, MUSL)?);
            made.extend(told("image", image::build(folder, &binary))?);
        }
        false => {
            println!("release: static binary SKIPPED: the target {MUSL} is not installed");
            println!("release: image SKIPPED: it takes the static binary");
        }
    }
    checksums(folder, &made)
}

/// The file that was made; where a tool is missing, SKIPPED is said and there is none.
fn told(what: &str, made: Result<Made>) -> Result<Option<PathBuf>> {
    match made? {
        Made::File(path) => Ok(Some(path)),
        Made::Nothing(why) => {
            println!("release: {what} SKIPPED: {why}");
            Ok(None)
        }
    }
}

/// What became of a part of the release.
enum Made {
    File(PathBuf),
    /// This machine lacks what it takes.
    Nothing(&'static str),
}

fn build(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--locked", "--package", "posthaste-cli"]);
    let built = cargo.args(arguments).status().context("cargo cannot be started")?;
    ensure!(built.success(), "the binary does not compile");
    Ok(())
}

fn has_target(target: &str) -> Result<bool> {
    let root = call(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(root.trim()).join("lib/rustlib").join(target).join("lib").is_dir())
}

/// The binary with its pages and completions, in one file; what was packed is unpacked and run.
fn archive(folder: &Path, tree: &tree::Tree, target: &str) -> Result<PathBuf> {
    let name = format!("posthaste-{VERSION}-{target}");
    let path = folder.join(format!("{name}.tar.gz"));
    let unpacked = folder.join("unpacked");
    tree.copy_flat(&unpacked.join(&name))?;
    call(Command::new("tar").arg("-czf").arg(&path).arg("-C").arg(&unpacked).arg(&name))?;
    std::fs::remove_dir_all(&unpacked)?;
    std::fs::create_dir_all(&unpacked)?;
    call(Command::new("tar").arg("-xzf").arg(&path).arg("-C").arg(&unpacked))?;
    works(&unpacked.join(&name).join("posthaste"))?;
    std::fs::remove_dir_all(&unpacked)?;
    println!("release: {} made, unpacked and run", path.display());
    Ok(path)
}

/// The binary says its version, and sends through its own broker.
fn works(binary: &Path) -> Result<()> {
    let version = call(Command::new(binary).arg("--version"))?;
    ensure!(version.trim() == format!("posthaste {VERSION}"), "it says that it is {version}");
    call(Command::new(binary).arg("demo")).map(drop)
}

/// In the format that `sha256sum --check` reads.
fn checksums(folder: &Path, made: &[PathBuf]) -> Result<()> {
    let mut names = String::new();
    for path in made {
        let name = path.file_name().context("a file without a name")?;
        let line = call(Command::new("sha256sum").arg(name).current_dir(folder))?;
        writeln!(names, "{}", line.trim_end())?;
    }
    std::fs::write(folder.join("SHA256SUMS"), names)?;
    call(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder))?;
    println!("release: {} files in {}, with SHA256SUMS", made.len(), folder.display());
    Ok(())
}

/// What a program says on stdout; how it failed is an error with what it said.
fn call(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed, {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started at all.
fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
