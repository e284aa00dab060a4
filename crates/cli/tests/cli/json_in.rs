//! JSON in: strict with what others write, and never with what this program wrote itself.

use serde_json::{Value, json};

use crate::shell::{broker, json_lines, landed, posthaste, posthaste_at, run, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_field_is_refused_and_nothing_is_stored_without_its_key_and_tag() {
    let broker = broker().await;
    for (line, why) in [
        (r#"{"body":"x","key":"k"}"#, r#"line 1: unknown field "key"; did you mean "keys"?"#),
        (r#"{"body":"x","tags":"t"}"#, r#"line 1: unknown field "tags"; did you mean "tag"?"#),
    ] {
        let run = send(&broker, &["Strict", "--json"], line).await.expect_code(2);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    send(&broker, &["Strict", "--json"], r#"{"body":"good","keys":["k"]}"#).await.expect_code(0);
    let landed = landed(&broker, "Strict").await;
    assert_eq!(landed.len(), 1);
    assert_eq!((&landed[0]["body"], &landed[0]["keys"]), (&json!("good"), &json!(["k"])));
}

/// They were in no file, and had to be looked for in the input by their numbers.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_messages_are_kept_as_they_came() {
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("failed");
    let lines = "{\"body\":\"a\"}\n{\"bodie\": 1}\nnonsense\n{\"body\":\"b\"}\n";
    let path = file.to_str().unwrap();
    let flags = ["T", "--json", "--on-error", "continue", "--failed-to", path];
    let run = send(&broker, &flags, lines).await.expect_code(4);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"bodie\": 1}\nnonsense\n");
    assert!(run.stderr.contains(path), "{}", run.stderr);
    assert_eq!(landed(&broker, "T").await.len(), 2);
}

/// What a message is: everything but where it was, when, and how its send ended.
fn content(lines: &[Value]) -> Vec<String> {
    const CONTENT: [&str; 6] = ["keys", "tag", "properties", "ordered_by", "body", "body_b64"];
    let of = |line: &Value| CONTENT.map(|field| format!("{field}={}", line[field])).join(" ");
    let mut all: Vec<String> = lines.iter().map(of).collect();
    all.sort_unstable();
    all
}

/// From `--failed-to` to `send --json`, to `tail -o json`, and to `send --json` again.
#[tokio::test(flavor = "multi_thread")]
async fn what_this_program_wrote_it_takes_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for (n, flags) in [
        &["-k", "a", "-k", "b", "--tag", "t", "-H", "x=1", "-H", "y=2"][..],
        &["-K", ":", "--ordered-by", "key"],
        &["--queue", "dev:3", "--delay-level", "1"],
        &["--delay", "50ms", "-k", "late"],
        &[],
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(n.to_string());
        let mut command = posthaste(&["-n", "127.0.0.1:1", "send", "T", "--timeout", "1s"]);
        command.args(["--on-error", "continue", "--failed-to", path.to_str().unwrap()]);
        command.args(flags);
        run(command, b"k:one\nk:\xff\n").await.expect_code(3);
        failed.push(std::fs::read_to_string(path).unwrap());
    }
    let failed = failed.concat();
    let wishes = json_lines(&failed);
    assert_eq!(wishes.len(), 10);
    assert_eq!(wishes[4]["to_queue"], "dev:3");
    assert_eq!((&wishes[4]["delay_level"], &wishes[6]["delay_ms"]), (&json!(1), &json!(50)));

    let first = broker().await;
    send(&first, &["First", "--json", "-q"], &failed).await.expect_code(0);
    let args = ["tail", "First", "-o", "json", "-C", "10"];
    let tailed = run(posthaste_at(first.name_server(), &args), "").await.expect_code(0);
    assert_eq!(content(&tailed.json()), content(&wishes));
    let to_queue = |line: &&Value| line["queue"] == 3 && line["ordered_by"].is_null();
    assert!(tailed.json().iter().filter(to_queue).count() >= 2, "{}", tailed.stdout);

    send(&first, &["Second", "--json", "-q"], &tailed.stdout).await.expect_code(0);
    assert_eq!(content(&landed(&first, "Second").await), content(&wishes));
}
