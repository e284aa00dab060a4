//! Clusters kept by name, from the command line to the file and back.

use std::path::{Path, PathBuf};

use posthaste_broker::Broker;
use tempfile::TempDir;
use tokio::process::Command;

use crate::shell::{Run, broker, landed_bodies, posthaste, run};

const SECRET: &str = "the-secret-of-orders";

/// A home with nothing in it, and a directory in it to work in.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        std::fs::create_dir(home.path().join("desk")).unwrap();
        Self(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path(".config/posthaste/config.toml")
    }

    /// Writes a file that no one else can read.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        path.display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = posthaste(args);
        command.env_remove("XDG_CONFIG_HOME").env("HOME", self.0.path());
        command.current_dir(self.path("desk"));
        command
    }

    async fn run(&self, args: &[&str]) -> Run {
        run(self.command(args), "").await
    }

    async fn ok(&self, args: &[&str]) -> String {
        self.run(args).await.expect_code(0).stdout
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

/// Time enough for a cluster that is there.
fn patient<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--timeout", "1h"]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_kept_selected_shown_changed_and_removed() {
    let home = Home::new();
    assert_eq!(home.ok(&["context", "list"]).await, "");
    assert!(!home.path(".config").exists(), "only what changes contexts writes");
    let added = home.ok(&["context", "add", "prod", "-n", "mq.prod", "--tls-ca", "ca.pem"]).await;
    assert_eq!(added, "added     prod\nselected  prod\n");
    home.ok(&["context", "add", "staging", "-n", "mq.staging:1;mq2:2", "--vip"]).await;
    let listed = home.ok(&["context", "list"]).await;
    assert_eq!(listed, "* prod     mq.prod\n  staging  mq.staging:1;mq2:2\n");
    // A file is found from every directory.
    let shown = home.ok(&["context", "show"]).await;
    let ca = std::fs::canonicalize(home.path("desk")).unwrap().join("ca.pem");
    let expected =
        format!("context prod (selected)\n  namesrv = mq.prod\n  tls_ca = {}\n", ca.display());
    assert_eq!(shown, expected);

    assert_eq!(home.ok(&["context", "use", "staging"]).await, "selected  staging\n");
    assert_eq!(home.ok(&["context", "use", "-"]).await, "selected  prod\n");
    assert_eq!(home.ok(&["context", "use", "-"]).await, "selected  staging\n");
    let edit = ["context", "edit", "staging", "--unset", "vip", "--unit", "east"];
    assert_eq!(home.ok(&edit).await, "changed   staging\n");
    let edit = ["context", "edit", "staging", "--address-server", "list.staging"];
    home.ok(&edit).await;
    let json = home.run(&["context", "show", "-o", "json"]).await.expect_code(0).json();
    assert_eq!(json[0]["context"], "staging");
    let values = serde_json::json!({ "address_server": "list.staging", "unit": "east" });
    assert_eq!(json[0]["values"], values, "a value takes the place of its alternative");

    let asked = home.run(&["context", "rm", "staging"]).await.expect_code(2);
    assert!(asked.stderr.contains("of the cluster at list.staging"), "{}", asked.stderr);
    assert!(asked.stderr.contains("Nothing was removed."), "{}", asked.stderr);
    assert_eq!(home.ok(&["context", "rm", "staging", "-y"]).await, "removed   staging\n");
    assert_eq!(home.ok(&["context", "list"]).await, "  prod  mq.prod\n");
    home.run(&["context", "show"]).await.expect_code(2);
}

/// What a person wrote around the values stays, and no one else can read the file.
#[cfg(unix)]
#[tokio::test]
async fn the_file_is_written_whole_and_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let text = "# ours\ncurrent = \"a\"\n\n[context.a] # first\nnamesrv = \"a:1\"  # here\n";
    home.write(".config/posthaste/config.toml", text);
    set_mode(&home.config(), 0o644);
    home.ok(&["context", "add", "b", "-n", "b:1", "--broker-map", "x=y", "--tls=false"]).await;
    let written = std::fs::read_to_string(home.config()).unwrap();
    let added = "\n[context.b]\nbroker_map = [\"x=y\"]\nnamesrv = \"b:1\"\ntls = false\n";
    assert_eq!(written, format!("{text}{added}"));
    let mode = std::fs::metadata(home.config()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let left: Vec<_> = std::fs::read_dir(home.config().parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn what_contexts_cannot_be_is_said() {
    let home = Home::new();
    home.ok(&["context", "add", "prod", "-n", "mq:1"]).await;
    let before = std::fs::read_to_string(home.config()).unwrap();
    for (args, code, says) in [
        (&["context", "add", "prod", "-n", "x:1"][..], 5, "context prod exists"),
        (&["context", "add", "other"], 2, "a context needs name servers"),
        (&["context", "add", "a b", "-n", "x:1"], 2, "is no name of a context"),
        (&["context", "add", "-", "-n", "x:1"], 2, "is no name of a context"),
        (&["context", "add", "x", "-n", "http://x"], 2, "without a scheme"),
        (&["context", "add", "x", "-n", "x:1", "--tls-client-key", "k"], 2, "tls_client_cert"),
        (&["context", "add", "x", "-n", "x:1", "-c", "prod"], 2, "have no meaning here"),
        (&["context", "use", "prd"], 2, "there is no context prd"),
        (&["context", "use", "-"], 2, "no context was selected before"),
        (&["context", "use", "prod", "--tls"], 2, "--tls has no meaning here"),
        (&["context", "rm", "prd", "--yes"], 2, "There are: prod"),
        (&["context", "edit", "prd", "--tls"], 2, "there is no context prd"),
        (&["context", "edit", "--tls"], 2, "tls of which context?"),
        (&["context", "edit", "prod", "--unset", "tlss"], 2, "did you mean `tls`?"),
        (&["context", "edit", "prod", "--unset", "tls"], 2, "context prod has no tls"),
        (&["context", "edit", "prod", "--unset", "namesrv"], 2, "neither `namesrv` nor"),
        (&["-c", "prd", "topic", "list"], 2, "there is no context prd"),
        (&["-c", "prod", "context", "show", "prod"], 2, "and so does -c/--context"),
        (&["-c", "prod", "--no-context", "topic", "list"], 2, "--no-context excludes"),
        (&["-c", "prod", "dev"], 2, "-c/--context has no meaning there"),
    ] {
        let run = home.run(args).await.expect_code(code);
        assert!(run.stderr.contains(says), "{args:?}: {}", run.stderr);
    }
    assert_eq!(std::fs::read_to_string(home.config()).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_to_the_cluster_of_its_context() {
    let (one, other) = (broker().await, broker().await);
    let home = Home::new();
    let address = |broker: &Broker| broker.name_server().to_string();
    home.ok(&["context", "add", "one", "-n", &address(&one)]).await;
    home.ok(&["context", "add", "other", "-n", &address(&other)]).await;
    let send = async |args: &[&str], environment: &[(&str, &str)], body: &str| {
        let mut command = home.command(&patient(&[&["send", "T", body], args].concat()));
        command.envs(environment.iter().copied());
        run(command, "").await.expect_code(0)
    };
    let theirs = address(&other);
    send(&[], &[("NAMESRV_ADDR", &theirs)], "selected").await;
    send(&[], &[("POSTHASTE_CONTEXT", "other")], "of the environment").await;
    let named = send(&["-c", "one"], &[("POSTHASTE_NAMESRV", &theirs)], "named").await;
    let note = "namesrv is taken from context one (-c), not from POSTHASTE_NAMESRV\n";
    assert_eq!(named.stderr, note);
    send(&["--no-context"], &[("NAMESRV_ADDR", &theirs)], "none").await;
    home.write("desk/.posthaste.toml", "context = \"other\"\n");
    send(&[], &[], "of the project").await;
    home.write("desk/.posthaste.toml", &format!("namesrv = \"{}\"\noutput = \"json\"\n", theirs));
    let json = send(&[], &[], "in the project").await.json();
    assert_eq!(json[0]["status"], "ok");
    assert_eq!(landed_bodies(&one, "T").await, ["named", "selected"]);
    let there = ["in the project", "none", "of the environment", "of the project"];
    assert_eq!(landed_bodies(&other, "T").await, there);

    let why = home.run(&["context", "show", "--why"]).await.expect_code(0).json();
    let file = std::fs::canonicalize(home.path("desk/.posthaste.toml")).unwrap();
    let file = file.display().to_string();
    assert_eq!(why[0]["values"]["namesrv"]["value"], theirs.as_str());
    assert_eq!(why[0]["values"]["namesrv"]["from"], file.as_str());
    assert_eq!(why[0]["values"]["timeout"]["from"], "the default");
    let deleted = home.run(&patient(&["topic", "delete", "T", "-c", "one"])).await.expect_code(2);
    let named = format!("of the cluster at {} (context one)", address(&one));
    assert!(deleted.stderr.contains(&named), "{}", deleted.stderr);
}

/// A project file says how many queues a topic gets, too; it is found above the directory, and not
/// above the home.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_counts_in_its_directories() {
    let broker = broker().await;
    let home = Home::new();
    let outer = Home::new();
    let server = broker.name_server().to_string();
    outer.write(".posthaste.toml", "topic_queues = 2\n");
    std::fs::create_dir_all(outer.path("home/desk/deep")).unwrap();
    let create = async |home: &Path, directory: &Path, topic: &str| {
        let args = patient(&["-n", &server, "topic", "create", topic]);
        let mut command = posthaste(&args);
        command.env("HOME", home).current_dir(directory);
        run(command, "").await.expect_code(0).stdout
    };
    let deep = outer.path("home/desk/deep");
    let found = create(outer.0.path(), &deep, "A").await;
    assert_eq!(found, "created  A  queues=2 broker=dev\n");
    let found = create(&outer.path("home"), &deep, "B").await;
    assert_eq!(found, "created  B  queues=8 broker=dev\n");
    let found = create(home.0.path(), &deep, "C").await;
    assert_eq!(found, "created  C  queues=2 broker=dev\n");

    let refused = home.write("desk/.posthaste.toml", "tls_ca = \"ca.pem\"\n");
    let run = home.run(&["topic", "list"]).await.expect_code(2);
    let file = std::fs::canonicalize(refused).unwrap();
    let says = format!("error: {}, line 1: `tls_ca` may not stand", file.display());
    assert!(run.stderr.starts_with(&says), "{}", run.stderr);
    // It is no business of a broker of one's own.
    home.ok(&["dev", "--help"]).await;
}

/// Only the owner of the process can be trusted to have written the file.
#[cfg(unix)]
#[tokio::test]
async fn a_project_file_of_another_user_is_passed_over() {
    let home = Home::new();
    let path = home.write("desk/.posthaste.toml", "context = \"theirs\"\n");
    home.run(&["context", "show", "--why"]).await.expect_code(2);
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        eprintln!("skipped: only root can give a file away");
        return;
    }
    home.run(&["context", "show", "--why"]).await.expect_code(0);
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_can_change_are_refused() {
    let home = Home::new();
    let secret = home.write("secret", SECRET);
    let add = ["context", "add", "p", "-n", "127.0.0.1:1", "--access-key", "k"];
    home.ok(&[&add[..], &["--secret-key-file", &secret]].concat()).await;
    for mode in [0o620, 0o602] {
        set_mode(&home.config(), mode);
        for args in [&["topic", "list"][..], &["context", "list"], &["context", "use", "p"]] {
            let run = home.run(args).await.expect_code(2);
            assert!(run.stderr.contains("error: others can write "), "{}", run.stderr);
            assert!(run.stderr.contains("chmod 600 "), "{}", run.stderr);
        }
    }
    set_mode(&home.config(), 0o644);
    set_mode(Path::new(&secret), 0o620);
    let run = home.run(&["topic", "list"]).await.expect_code(2);
    assert!(run.stderr.starts_with("error: others can write the secret in "), "{}", run.stderr);
    // A file that others can only read is warned of, if there is a secret in it.
    let text = "[context.p]\nnamesrv = \"127.0.0.1:1\"\nsecret_key = \"the-secret-of-orders\"\n";
    for (mode, text, is_warned) in [(0o644, text, true), (0o600, text, false), (0o644, "", false)] {
        home.write(".config/posthaste/config.toml", text);
        set_mode(&home.config(), mode);
        let run = home.run(&["context", "list"]).await.expect_code(0);
        let warning = "warning: others can read the secrets in ";
        assert_eq!(run.stderr.starts_with(warning), is_warned, "{}", run.stderr);
    }
}

/// The program that writes a secret runs when the secret is needed, and not before.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_come_from_a_program() {
    let broker = Broker::builder().access_key("orders", SECRET).topic("T", 1).start().await;
    let broker = broker.unwrap();
    let home = Home::new();
    let program = home.write("desk/program", &format!("#!/bin/sh\ntouch ran\necho {SECRET}\n"));
    set_mode(Path::new(&program), 0o700);
    let text = format!(
        "current = \"p\"\n[context.p]\nnamesrv = \"{}\"\naccess_key = \"orders\"\n\
         secret_command = [\"{program}\", \"of orders\"]\n",
        broker.name_server()
    );
    home.write(".config/posthaste/config.toml", &text);
    for args in [&["context", "list"][..], &["context", "show"], &["context", "show", "--why"]] {
        let shown = home.ok(args).await;
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let complete = async |line: &str| {
        let mut command = home.command(&["--", line]);
        command.env("POSTHASTE_COMPLETE", "bash");
        run(command, "").await.expect_code(0).stdout
    };
    assert_eq!(complete("posthaste send T").await, "");
    assert_eq!(complete("posthaste -c p").await, "p\n");
    assert!(!home.path("desk/ran").exists());
    let checked = home.ok(&patient(&["context", "check"])).await;
    assert!(checked.starts_with(&format!("ok  {} (context p) answers", broker.name_server())));
    assert!(home.path("desk/ran").exists());
    // Messages come from stdin, and the program gets none of it.
    let sent = run(home.command(&patient(&["send", "T"])), "a\nb\n").await.expect_code(0);
    assert_eq!(sent.stdout.lines().count(), 2);
    home.write(
        ".config/posthaste/config.toml",
        &text.replace("of orders", "x").replace(&program, "false"),
    );
    let failed = home.run(&["context", "check", "p"]).await.expect_code(2);
    assert!(failed.stderr.contains("secret_command false: it failed"), "{}", failed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_one_cluster_are_not_used_with_another() {
    let home = Home::new();
    let secret = home.write("secret", SECRET);
    let add = ["context", "add", "p", "-n", "127.0.0.1:1", "--access-key", "k"];
    home.ok(&[&add[..], &["--secret-key-file", &secret]].concat()).await;
    let run = home.run(&["-n", "127.0.0.1:2", "topic", "list"]).await.expect_code(2);
    let says = "error: access_key is from context p (selected), but the name servers are from \
                -n/--namesrv: they may not belong together\n";
    assert!(run.stderr.starts_with(says), "{}", run.stderr);
    let shown = home.run(&["-n", "127.0.0.1:2", "context", "show", "--why"]).await.expect_code(0);
    assert!(shown.stderr.contains("may not belong together"), "{}", shown.stderr);
    // A context that cannot be reached.
    home.run(&["context", "check", "p", "--timeout", "200ms"]).await.expect_code(3);
}

#[cfg(unix)]
#[tokio::test]
async fn an_editor_changes_the_file_when_it_is_valid() {
    let home = Home::new();
    home.ok(&["context", "add", "p", "-n", "mq:1"]).await;
    let edit = async |script: &str| {
        let editor = home.write("editor", &format!("#!/bin/sh\n{script}\n"));
        set_mode(Path::new(&editor), 0o700);
        let mut command = home.command(&["context", "edit", "p"]);
        command.env("VISUAL", format!("{editor} with-an-option")).env("EDITOR", "false");
        run(command, "").await
    };
    edit("echo 'unit = \"east\"' >> $2").await.expect_code(0);
    assert!(home.ok(&["context", "show"]).await.contains("unit = east"));
    let before = std::fs::read_to_string(home.config()).unwrap();
    for (script, code, says) in [
        ("echo 'unti = \"east\"' >> $2", 2, "did you mean `unit`?"),
        ("echo 'tls_client_key = \"k\"' >> $2", 2, "context p: tls_client_key needs"),
        ("exit 7", 1, "exit status: 7"),
    ] {
        let run = edit(script).await.expect_code(code);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert!(run.stderr.contains("What you wrote is in "), "{}", run.stderr);
        assert_eq!(std::fs::read_to_string(home.config()).unwrap(), before);
    }
    // A file that is not valid can be put right.
    home.write(".config/posthaste/config.toml", "what\n");
    home.run(&["context", "list"]).await.expect_code(2);
    let mut command = home.command(&["context", "edit"]);
    let editor = home.write("editor", "#!/bin/sh\n: > $1\n");
    set_mode(Path::new(&editor), 0o700);
    command.env("VISUAL", editor);
    run(command, "").await.expect_code(0);
    assert_eq!(home.ok(&["context", "list"]).await, "");
}
