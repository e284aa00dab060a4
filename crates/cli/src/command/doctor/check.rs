//! One check, and what came of it.

use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Ok,
    /// Worth knowing; nothing is wrong.
    Note,
    /// A finding.
    Fail,
    /// It makes no sense while another finding stands.
    Skipped,
}

/// One check, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) result: Outcome,
    /// The name of a finding or a note; scripts rely on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'static str>,
    /// Who was asked, and what was answered.
    pub(super) evidence: String,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meaning: Option<&'static str>,
    /// What to do: one thing, that can be pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// The finding that this check was skipped for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) because: Option<&'static str>,
}

impl Check {
    pub(super) fn ok(evidence: impl Into<String>) -> Self {
        let evidence = evidence.into();
        Self { result: Outcome::Ok, id: None, evidence, meaning: None, remedy: None, because: None }
    }

    pub(super) fn note(id: &'static str, evidence: impl Into<String>) -> Self {
        Self { result: Outcome::Note, id: Some(id), ..Self::ok(evidence) }
    }

    pub(super) fn fail(
        id: &'static str,
        evidence: impl Into<String>,
        meaning: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            result: Outcome::Fail,
            id: Some(id),
            meaning: Some(meaning),
            remedy: Some(remedy.into()),
            ..Self::ok(evidence)
        }
    }

    pub(super) fn skipped(what: impl Into<String>, because: &'static str) -> Self {
        Self { result: Outcome::Skipped, because: Some(because), ..Self::ok(what) }
    }

    /// The finding, if it is one.
    pub(super) fn finding(&self) -> Option<&'static str> {
        self.id.filter(|_| self.result == Outcome::Fail)
    }
}
