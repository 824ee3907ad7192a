//! The guestbook as a visitor meets it: in a browser.
//!
//! `MAINSTAY_SCREENSHOTS=DIR` keeps pictures of what was seen.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use testkit::webdriver::Browser;
use testkit::{Sandbox, free_port};

const MARKUP: &str = "<b id=\"injected\">bold</b> & <script>window.injected = 1</script>";

#[test]
fn the_guestbook_works_in_a_browser() {
    let sandbox = Sandbox::with_stack("hello");
    let port = free_port();
    let up = sandbox.up(port);
    let Some(browser) = Browser::start(&sandbox) else { return };
    let address = format!("http://hello.localhost:{port}/");
    browser.open(&address);
    let first = browser.window();
    assert_eq!(browser.command("GET", "/title", &serde_json::Value::Null), "Guestbook");
    take(&browser, "empty");

    // an entry is there as soon as it was sent; this page is never loaded again
    live(&browser);
    browser.script("window.sameDocument = true");
    sign(&browser, "Ada", "The first of many.");
    shows(&browser, "The first of many.");
    assert_eq!(browser.seen("#count").as_deref(), Some("1"));

    refuses_an_empty_entry(&browser);
    shows_what_is_written_elsewhere(&browser, &address, &first);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    take(&browser, "entries");

    // its instance is replaced under the open page, which finds the new one by itself
    sandbox.run(["restart", "guestbook"]).expect_code(0);
    live(&browser);
    sign(&browser, "Grace", "After the restart.");
    shows(&browser, "After the restart.");
    assert_eq!(browser.script("return window.sameDocument"), true, "the page was loaded again");
    assert_eq!(browser.seen("#count").as_deref(), Some("3"));
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // and what the server draws is the same as what the page drew
    browser.open(&address);
    for text in ["The first of many.", MARKUP, "After the restart."] {
        shows(&browser, text);
    }
    unharmed(&browser);

    errors_have_a_page(&browser, &sandbox, port);
    drop(browser);
    up.signal("INT");
    up.wait().expect_code(0);
    sandbox.wait_until_empty();
}

fn sign(browser: &Browser, name: &str, message: &str) {
    browser.fill("#name", name);
    browser.fill("#message", message);
    browser.click("#form button");
}

/// An entry of exactly this text is on the page.
#[track_caller]
fn shows(browser: &Browser, text: &str) {
    let text = serde_json::Value::from(text);
    browser.wait_for(&format!(
        "[...document.querySelectorAll('.message')].some((it) => it.textContent === {text})"
    ));
}

/// The event stream is open.
#[track_caller]
fn live(browser: &Browser) {
    browser.wait_for("document.querySelector('#live').dataset.state === 'on'");
}

#[track_caller]
fn unharmed(browser: &Browser) {
    assert_eq!(browser.script("return document.getElementById('injected')"), serde_json::Value::Null);
    assert_eq!(browser.script("return window.injected ?? null"), serde_json::Value::Null);
}

fn refuses_an_empty_entry(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    sign(browser, "", "  ");
    browser.wait_for("document.querySelector('#name-error').textContent");
    assert_eq!(browser.seen("#name-error").as_deref(), Some("Please tell us your name."));
    assert_eq!(browser.seen("#message-error").as_deref(), Some("Please write a few words."));
    assert_eq!(browser.seen("#count").as_deref(), Some("1"));
    take(browser, "refused");
    // the browser itself notes every answer of 4xx; there is exactly that one
    let complaints = browser.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("422"), "{complaints:?}");
}

/// Leaves the first window in front.
fn shows_what_is_written_elsewhere(browser: &Browser, address: &str, first: &serde_json::Value) {
    browser.new_window();
    browser.open(address);
    shows(browser, "The first of many.");
    sign(browser, "<i>Eve</i>", MARKUP);
    shows(browser, MARKUP);
    unharmed(browser);
    browser.command("DELETE", "/window", &serde_json::Value::Null);
    browser.turn_to(first);
    shows(browser, MARKUP);
    unharmed(browser);
    assert_eq!(browser.script("return window.sameDocument"), true, "the page was loaded again");
}

fn errors_have_a_page(browser: &Browser, sandbox: &Sandbox, port: u16) {
    browser.open(&format!("http://nobody.localhost:{port}/"));
    let page = browser.seen("body").unwrap_or_default();
    assert!(page.contains("404") && page.contains("There is nothing at this address."), "{page}");
    take(browser, "404");
    sandbox.run(["stop", "guestbook"]).expect_code(0);
    browser.open(&format!("http://hello.localhost:{port}/"));
    let page = browser.seen("body").unwrap_or_default();
    assert!(page.contains("502") && page.contains("does not answer"), "{page}");
    take(browser, "502");
}

/// A picture of the page on a desk and in a hand, by day and by night.
fn take(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("MAINSTAY_SCREENSHOTS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    for (width, height) in [(390, 844), (1280, 900)] {
        for scheme in ["dark", "light"] {
            browser.look(width, height, scheme);
            let file = folder.join(format!("{name}-{width}-{scheme}.png"));
            #[allow(clippy::disallowed_methods)] // a picture need not survive a power cut
            std::fs::write(file, browser.screenshot()).expect("a picture");
        }
    }
}
