//! What became of the parts of a suite, one line each.

/// Counts, and prints what is counted.
pub(crate) struct Tally {
    suite: &'static str,
    unit: &'static str,
    good: usize,
    listed: usize,
    bad: Vec<String>,
}

impl Tally {
    /// Counts the `unit`s, such as tests, of a suite.
    pub(crate) fn new(suite: &'static str, unit: &'static str) -> Self {
        Self { suite, unit, good: 0, listed: 0, bad: Vec::new() }
    }

    /// One that is as others have it.
    pub(crate) fn good(&mut self, name: &str) {
        println!("ok      {name}");
        self.good += 1;
    }

    /// One that is not, as the list in the repository says.
    pub(crate) fn listed(&mut self, name: &str, why: &str) {
        println!("listed  {name} ({why})");
        self.listed += 1;
    }

    /// One that is not what it should be.
    pub(crate) fn bad(&mut self, name: &str, why: &str) {
        println!("FAILED  {name}: {why}");
        self.bad.push(name.to_owned());
    }

    /// Whether all are what they should be, and there are some.
    pub(crate) fn is_good(&self) -> bool {
        self.bad.is_empty() && self.good > 0
    }

    /// Says it in a line.
    pub(crate) fn summary(&self) -> String {
        let Self { suite, unit, good, listed, bad } = self;
        let all = good + listed + bad.len();
        format!("{suite}: {good} of {all} {unit} right, {listed} listed, {} failed", bad.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_suite_that_ran_nothing_is_not_good() {
        let mut tally = Tally::new("mqadmin", "calls");
        assert!(!tally.is_good());
        tally.listed("a", "why");
        assert!(!tally.is_good());
        tally.good("b");
        assert!(tally.is_good());
        tally.bad("c", "why");
        assert!(!tally.is_good());
        assert_eq!(tally.summary(), "mqadmin: 1 of 3 calls right, 1 listed, 1 failed");
    }
}
