//! Where values come from: the command line, a context, the environment, a project file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::key::key;

/// A place that may have values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Flags,
    /// The context of `-c`.
    Named(String),
    /// Variables of ours.
    Environment,
    /// The context that `POSTHASTE_CONTEXT` names.
    OfEnvironment(String),
    /// The context that a project file names.
    OfProject(String, PathBuf),
    Project(PathBuf),
    /// The context that is used when nothing else names one.
    Selected(String),
    /// `NAMESRV_ADDR`, which users of RocketMQ's tools have set already.
    Theirs,
    Default,
}

impl Source {
    /// The context that it is.
    pub(crate) fn context(&self) -> Option<&str> {
        match self {
            Self::Named(name)
            | Self::OfEnvironment(name)
            | Self::OfProject(name, _)
            | Self::Selected(name) => Some(name),
            _ => None,
        }
    }

    /// The place of one value, as users know it.
    pub(crate) fn of(&self, name: &str) -> String {
        let key = key(name);
        match self {
            Self::Flags => key.and_then(|key| key.flag).unwrap_or("the command line").to_owned(),
            Self::Environment => key.and_then(|key| key.variable()).unwrap_or_default(),
            Self::Theirs => "NAMESRV_ADDR".to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether the author of the one may have written the other for it.
    pub(crate) fn is_one_place_with(&self, other: &Self) -> bool {
        let of_environment = |source: &Self| matches!(source, Self::Environment | Self::Theirs);
        self == other || (of_environment(self) && of_environment(other))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags => f.write_str("the command line"),
            Self::Named(name) => write!(f, "context {name} (-c)"),
            Self::Environment | Self::Theirs => f.write_str("the environment"),
            Self::OfEnvironment(name) => write!(f, "context {name} (POSTHASTE_CONTEXT)"),
            Self::OfProject(name, path) => write!(f, "context {name} ({})", path.display()),
            Self::Project(path) => write!(f, "{}", path.display()),
            Self::Selected(name) => write!(f, "context {name} (selected)"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// The values of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) source: Source,
    pub(crate) values: Values,
}

/// Values by name; lists have several texts.
pub(crate) type Values = BTreeMap<&'static str, Vec<String>>;
