//! Tables in Markdown documents of this repository.

use anyhow::{Context, Result};

/// The cells of each row of the tables behind a heading, but for the head of the table. A pipe in a
/// cell is written `\|`.
pub(crate) fn rows(document: &str, heading: &str) -> Result<Vec<Vec<String>>> {
    let (_, section) =
        document.split_once(heading).with_context(|| format!("there is no `{heading}`"))?;
    let lines: Vec<&str> = section.lines().collect();
    let is_rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|---"));
    let rows = (0..)
        .zip(&lines)
        .filter(|(at, line)| line.starts_with("| ") && !is_rule(lines.get(at + 1)))
        .map(|(_, line)| cells(line));
    Ok(rows.collect())
}

fn cells(line: &str) -> Vec<String> {
    const PIPE: &str = "\u{0}";
    let line = line.trim().replace(r"\|", PIPE);
    let inner = line.strip_prefix('|').unwrap_or(&line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().replace(PIPE, "|")).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn the_rows_behind_a_heading_are_read_without_the_head_of_their_table() {
        let document = "# Calls\n\n| x |\n|---|\n| y |\n\n## All\n\nText.\n\n| call | expected |\n\
            |---|---|\n| `topicList -c` | right |\n| a \\| b | |\n";
        let wanted = [vec!["`topicList -c`", "right"], vec!["a | b", ""]];
        assert_eq!(rows(document, "## All").unwrap(), wanted);
        assert!(rows(document, "## None").is_err());
    }
}
