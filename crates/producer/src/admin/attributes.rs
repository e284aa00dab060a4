//! The attributes of a topic, as a request says what becomes of them (5.x).

use std::collections::BTreeMap;

/// What attributes get these values, or go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(BTreeMap<String, Option<String>>);

impl Attributes {
    pub(super) fn set(&mut self, name: String, value: Option<String>) {
        self.0.insert(name, value);
    }

    /// What breaks a rule, if anything does.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, value) in &self.0 {
            if name.is_empty() || name.contains(['+', '-', ',', '=', ' ']) {
                return Err(format!("{name:?} cannot be the name of an attribute"));
            }
            if value.as_ref().is_some_and(|value| value.is_empty() || value.contains(',')) {
                return Err(format!("the value of attribute {name} is empty or has a comma"));
            }
        }
        Ok(())
    }

    /// The attributes as they travel; `None` when nothing is said of any.
    pub(super) fn text(&self) -> Option<String> {
        let item = |(name, value): (&String, &Option<String>)| match value {
            Some(value) => format!("+{name}={value}"),
            None => format!("-{name}"),
        };
        let items: Vec<String> = self.0.iter().map(item).collect();
        (!items.is_empty()).then(|| items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_goes_travels_without_a_value() {
        let mut attributes = Attributes::default();
        attributes.set("b".into(), None);
        attributes.set("a".into(), Some("1".into()));
        assert_eq!(attributes.text().as_deref(), Some("+a=1,-b"));
        attributes.set("a,b".into(), None);
        assert!(attributes.check().is_err());
    }
}
