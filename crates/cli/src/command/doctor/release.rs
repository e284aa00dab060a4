//! Which release a server is, by the number that it puts into its answers (Java: `MQVersion`).

use std::fmt;

/// A release of RocketMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    major: i32,
    minor: i32,
    patch: i32,
}

/// What a number means: of each release there are two, the first of them a snapshot.
const V4_0_0: i32 = 213;
const V5_0_0: i32 = 413;

impl Release {
    /// The first release that delivers at any time, not at the eighteen delays alone.
    pub(super) const WITH_TIMERS: Self = Self { major: 5, minor: 0, patch: 0 };

    /// `None` for numbers before 4.0.
    pub(super) fn of(version: i32) -> Option<Self> {
        let (major, steps) = match version {
            V5_0_0.. => (5, version - V5_0_0),
            V4_0_0.. => (4, version - V4_0_0),
            _ => return None,
        };
        Some(Self { major, minor: steps / 20, patch: steps % 20 / 2 })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_releases() {
        for (version, expected) in [
            (353, Some("4.7.0")),
            (407, Some("4.9.7")),
            (413, Some("5.0.0")),
            (493, Some("5.4.0")),
            (513, Some("5.5.0")),
            (100, None),
        ] {
            let release = Release::of(version).map(|release| release.to_string());
            assert_eq!(release.as_deref(), expected, "{version}");
        }
        assert!(Release::of(411) < Some(Release::WITH_TIMERS));
    }
}
