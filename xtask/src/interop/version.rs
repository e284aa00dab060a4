use std::fmt;
use std::str::FromStr;

/// The versions of Apache RocketMQ that the suite knows how to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4_7_0,
    V4_9_7,
    V5_5_0,
}

impl Version {
    pub(crate) const ALL: [Self; 3] = [Self::V4_7_0, Self::V4_9_7, Self::V5_5_0];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V4_7_0 => "4.7.0",
            Self::V4_9_7 => "4.9.7",
            Self::V5_5_0 => "5.5.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| format!("one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}
