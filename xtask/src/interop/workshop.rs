use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The suite's folders. Only one run at a time holds them: two would fight for ports, memory and cores.
pub(crate) struct Workshop {
    target: PathBuf,
    _lock: File,
}

impl Workshop {
    /// Takes the folders, waiting while another run has them, and empties the one for this run.
    pub(crate) fn open() -> Result<Self> {
        let target = repository().join("target").join("interop");
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        let workshop = Self { _lock: lock(&target.join("lock"))?, target };
        workshop.clear_run()?;
        Ok(workshop)
    }

    /// What is fetched or built for `name` once and kept.
    pub(crate) fn cache(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// Where this run's servers keep their logs and stores.
    pub(crate) fn run(&self) -> PathBuf {
        self.target.join("run")
    }

    pub(crate) fn clear_run(&self) -> Result<()> {
        match fs::remove_dir_all(self.run()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.run().display()))
            }
            _ => Ok(()),
        }
    }
}

/// The helper programs' sources.
pub(crate) fn sources() -> PathBuf {
    repository().join("interop")
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    if file.try_lock().is_err() {
        println!("another interop run is under way; waiting for its end");
        file.lock().with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(file)
}
