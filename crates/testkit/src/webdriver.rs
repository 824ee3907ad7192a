//! A browser for a test: headless Chromium, driven by chromedriver over the WebDriver protocol (W3C WebDriver, section 6), which
//! is plain HTTP and JSON.
//!
//! Everything that it starts and writes lies in the test's sandbox. Dropped, it ends the session (and with it the browser), then
//! chromedriver, then whatever of both still lives, each by its id.

use crate::http::Connection;
use crate::{Running, Sandbox, wait_until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Starting a browser on a busy machine takes longer than any other answer here.
const ANSWER: Duration = Duration::from_secs(60);

/// Under which key an element stands in JSON (section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One session of one browser.
#[derive(Debug)]
pub struct Browser {
    driver: Running,
    port: u16,
    session: String,
    began: Vec<u32>,
}

impl Browser {
    /// Starts one, or says why there is none: only somebody who may not install it goes without.
    pub fn start(sandbox: &Sandbox) -> Option<Self> {
        Self::start_with(sandbox, &[])
    }

    /// The same with more of Chromium's own flags.
    pub fn start_with(sandbox: &Sandbox, more: &[&str]) -> Option<Self> {
        let (Some(driver), Some(browser)) = (find("chromedriver"), find("chromium")) else {
            assert!(!is_root(), "chromium and chromedriver are missing: `scripts/setup test` installs them");
            eprintln!("skipped: chromium and chromedriver are missing, see `scripts/setup test`");
            return None;
        };
        let folder = sandbox.folder().join("browser");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new(driver);
        command.arg("--port=0").current_dir(&folder).env("HOME", &folder).env("TMPDIR", &folder);
        let mut driver = Running::start(command);
        driver.wait_for("started successfully on port");
        let port = wait_until("chromedriver names its port", || port_in(&driver.stdout()));
        let session = new_session(port, &browser, &folder, more);
        let mut browser = Self { port, session, driver, began: Vec::new() };
        browser.began = crate::descendants(browser.driver.pid());
        Some(browser)
    }

    /// One command of the session; its value. Panics with what the driver says where it fails.
    #[track_caller]
    pub fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        call(self.port, method, &format!("/session/{}{path}", self.session), body)
    }

    /// Goes to this address and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, address: &str) {
        self.command("POST", "/url", &json!({ "url": address }));
    }

    /// Runs the body of a function in the page.
    #[track_caller]
    pub fn script(&self, body: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) {
        wait_until(expression, || (self.script(&format!("return !!({expression})")) == true).then_some(()));
    }

    /// Types into the element of this selector, as hands do, in place of what is there.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.command("POST", &format!("/element/{element}/clear"), &json!({}));
        if !text.is_empty() {
            self.command("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
        }
    }

    /// Clicks the element of this selector.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.command("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Chooses a file, given by its whole path, in the file field of this selector.
    #[track_caller]
    pub fn attach(&self, selector: &str, file: &Path) {
        let element = self.element(selector);
        self.command("POST", &format!("/element/{element}/value"), &json!({ "text": file }));
    }

    /// The text that a visitor sees in the element; none where it is not shown.
    #[track_caller]
    pub fn seen(&self, selector: &str) -> Option<String> {
        let element = self.element(selector);
        let shown = self.command("GET", &format!("/element/{element}/displayed"), &Value::Null);
        let text = self.command("GET", &format!("/element/{element}/text"), &Value::Null);
        (shown == true).then(|| text.as_str().unwrap_or_default().to_owned())
    }

    /// Name of the window that commands go to.
    #[track_caller]
    pub fn window(&self) -> Value {
        self.command("GET", "/window", &Value::Null)
    }

    /// Opens a second window and turns to it.
    #[track_caller]
    pub fn new_window(&self) -> Value {
        let window = self.command("POST", "/window/new", &json!({ "type": "window" }))["handle"].clone();
        self.turn_to(&window);
        window
    }

    /// Commands go to this window from now on.
    #[track_caller]
    pub fn turn_to(&self, window: &Value) {
        self.command("POST", "/window", &json!({ "handle": window }));
    }

    /// What the browser's console had to complain about since the last call, in all windows.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let lines = log.as_array().into_iter().flatten().filter(|line| line["level"] != "INFO");
        lines.map(|line| line["message"].to_string()).collect()
    }

    /// How large the page's window is, and whether its visitor likes it dark.
    #[track_caller]
    pub fn look(&self, width: u32, height: u32, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// What is seen now, as PNG.
    #[track_caller]
    pub fn screenshot(&self) -> Vec<u8> {
        let text = self.command("GET", "/screenshot", &Value::Null);
        base64(text.as_str().expect("a screenshot"))
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.command("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}: {found}")).to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = try_call(self.port, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        let mut left = crate::descendants(self.driver.pid());
        left.extend(&self.began);
        left.push(self.driver.pid());
        for pid in left.into_iter().filter(|pid| crate::is_alive(*pid) && is_browser(*pid)) {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output(); // it may end by itself just now
        }
    }
}

fn new_session(port: u16, browser: &Path, folder: &Path, more: &[&str]) -> String {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let mut flags = vec![
        profile.as_str(),
        "--headless=new",
        "--no-sandbox", // it refuses to sandbox root and within most containers, and only our own pages are opened
        "--window-size=1280,900",
        "--force-prefers-reduced-motion", // a click on what still scrolls misses
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
    ];
    flags.extend(more);
    let wanted = json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": { "binary": browser, "args": flags },
        "goog:loggingPrefs": { "browser": "ALL" },
    }}});
    let session = call(port, "POST", "/session", &wanted);
    session["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {session}")).to_owned()
}

#[track_caller]
fn call(port: u16, method: &str, path: &str, body: &Value) -> Value {
    try_call(port, method, path, body).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
}

fn try_call(port: u16, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let mut connection = Connection::try_open(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    connection.socket().set_read_timeout(Some(ANSWER)).map_err(|error| error.to_string())?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    connection.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let response = connection.response();
    let value = response.json()["value"].take();
    if response.status == 200 { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn port_in(said: &str) -> Option<u16> {
    said.split("started successfully on port ").nth(1)?.split('.').next()?.parse().ok()
}

/// A process id may belong to somebody else by now.
fn is_browser(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("chrom"))
}

/// RFC 4648, section 4, of a text that a browser made.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter_map(digit).collect();
    let whole = |group: &[u8]| {
        let bits =
            group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(whole).collect()
}
