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

/// It said "undelivered messages are in FILE, for send --json" of a file that `send --json` refuses.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_the_file_of_the_undelivered_is_true() {
    const MESSAGES: &str = "undelivered messages are in F, for  send --json";
    const RECORDS: &str =
        "invalid records are in F, unchanged: correct them before you send them again";
    const BOTH: &str = "undelivered messages are in F, for  send --json, and invalid records, \
                        unchanged: correct these first";
    let broker = broker().await;
    let folder = tempfile::tempdir().unwrap();
    let large = "x".repeat(5 << 20);
    let too_long = "x".repeat(33 << 20);
    for (n, flags, lines, says) in [
        (0, &["--json"][..], "nonsense\n".to_owned(), Some(RECORDS)),
        (1, &[], format!("{large}\n"), Some(MESSAGES)),
        (2, &["-K", ":"], format!("k:{large}\nkeyless\n"), Some(BOTH)),
        (3, &[], format!("{too_long}\n"), None),
    ] {
        let file = folder.path().join(n.to_string());
        let path = file.to_str().unwrap();
        let args = [&["T", "--on-error", "continue", "--failed-to", path], flags].concat();
        let run = send(&broker, &args, lines).await.expect_code(2);
        let last = run.stderr.lines().last().unwrap().replace(path, "F");
        match says {
            Some(says) => assert_eq!(last, says),
            None => assert!(!run.stderr.contains(path), "{}", run.stderr),
        }
    }
}

/// It was shown neither as a field nor among the properties, and so lost on the way back.
#[tokio::test(flavor = "multi_thread")]
async fn a_priority_is_shown_and_kept_where_it_is_sent_again() {
    let (first, second) = (broker().await, broker().await);
    let lines = "{\"body\":\"a\",\"priority\":7}\n{\"body\":\"b\"}\n";
    let one_queue = ["T", "--json", "-q", "--queue", "dev:0"];
    send(&first, &one_queue, lines).await.expect_code(0);
    let args = ["tail", "T", "--until", "now", "-o", "json"];
    let tailed = run(posthaste_at(first.name_server(), &args), "").await.expect_code(0);
    let priorities =
        |lines: &[Value]| -> Vec<Value> { lines.iter().map(|l| l["priority"].clone()).collect() };
    assert_eq!(priorities(&tailed.json()), [json!(7), Value::Null]);
    send(&second, &one_queue, &tailed.stdout).await.expect_code(0);
    assert_eq!(priorities(&landed(&second, "T").await), [json!(7), Value::Null]);
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
