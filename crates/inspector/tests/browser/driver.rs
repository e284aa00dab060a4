//! A browser, driven by chromedriver: the few commands of WebDriver that the tests need.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::HANG;

/// Set to 1, a browser that is missing makes the tests fail; otherwise they are skipped.
const WANTED: &str = "POSTHASTE_BROWSER_TESTS";
/// What browsers are called.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// How a WebDriver names an element in its answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How often a page is looked at while something is awaited of it.
const LOOK: Duration = Duration::from_millis(20);

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

/// A browser; `None`, and a word about it, where there is none.
pub(crate) async fn browser() -> Option<Browser> {
    let (Some(driver), Some(browser)) =
        (program("chromedriver"), BROWSERS.into_iter().find_map(program))
    else {
        let help = "install a browser and its driver: apt-get install chromium chromium-driver";
        assert!(std::env::var(WANTED).as_deref() != Ok("1"), "there is no browser; {help}");
        eprintln!("skipped: there is no browser; {help}, and set {WANTED}=1");
        return None;
    };
    Some(Browser::start(&driver, &browser).await)
}

fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl Browser {
    async fn start(driver: &Path, browser: &Path) -> Self {
        let mut command = Command::new(driver);
        let started = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = started.expect("chromedriver");
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver has ended");
            if let Some((_, port)) = line.trim_end().split_once("successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        // It would stop at a pipe that is full.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let mut this = Self { driver, port, session: String::new() };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ];
        let wishes = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = this.ask("POST", "/session", &wishes).await;
        session["sessionId"].as_str().unwrap().clone_into(&mut this.session);
        this.session = format!("/session/{}", this.session);
        this
    }

    pub(crate) async fn go(&self, address: &str) {
        self.tell("/url", &json!({"url": address})).await;
    }

    /// The width and height of what is seen of a page.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.chrome("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Whether the reader prefers a dark page.
    pub(crate) async fn darken(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.chrome("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// A picture of the whole page.
    pub(crate) async fn picture(&self, path: &Path) {
        let wishes = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.chrome("Page.captureScreenshot", wishes).await;
        let picture = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, picture).unwrap();
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.tell("/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        let is_true = async {
            while self.value(expression).await != json!(true) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout(HANG, is_true).await.is_err() {
            let text = self.value("document.body.innerText").await;
            panic!("{expression} has not come true: {text}");
        }
    }

    /// The text of an element, as it is seen.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        let text = self.ask("GET", &format!("{element}/text"), &Value::Null).await;
        text.as_str().unwrap().to_owned()
    }

    /// Types into an element, in place of what is there.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.ask("POST", &format!("{element}/clear"), &json!({})).await;
        self.ask("POST", &format!("{element}/value"), &json!({"text": text})).await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.ask("POST", &format!("{element}/click"), &json!({})).await;
    }

    /// Presses a key.
    pub(crate) async fn press(&self, key: &str) {
        let actions =
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.tell("/actions", &json!({"actions": [keyboard]})).await;
    }

    /// What stands on the console since it was last asked for.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.tell("/se/log", &json!({"type": "browser"})).await;
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    async fn element(&self, selector: &str) -> String {
        let wish = json!({"using": "css selector", "value": selector});
        let found = self.tell("/element", &wish).await;
        format!("{}/element/{}", self.session, found[ELEMENT].as_str().unwrap())
    }

    /// A command of Chrome's own protocol.
    async fn chrome(&self, command: &str, params: Value) -> Value {
        self.tell("/goog/cdp/execute", &json!({"cmd": command, "params": params})).await
    }

    async fn tell(&self, command: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{command}", self.session), body).await
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let answer = timeout(HANG, read(&mut stream)).await.expect("an answer");
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let json: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{answer}"));
        assert!(json["value"].get("error").is_none(), "{method} {path} {body}: {json}");
        json["value"].clone()
    }

    /// Closes the window, and ends the driver.
    pub(crate) async fn quit(mut self) {
        self.ask("DELETE", &self.session, &Value::Null).await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a test that has failed.
        let _ = self.driver.kill();
    }
}

/// An answer; chromedriver leaves its connections open.
async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lengths = head.lines().filter_map(|line| line.split_once(':'));
            let is_length = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("content-length");
            let length = lengths.find(is_length).and_then(|(_, length)| length.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "no whole answer");
    }
}
