//! The way through the page in headless Chromium: a picture, its palette, paintings, a feeling, a story.

use crate::pictures::{self, BANDS};
use crate::stage::{DOMAIN, Stage};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::path::PathBuf;
use testkit::webdriver::Browser;

/// From the front page to the story, and back to it by a reload.
pub fn a_whole_visit(stage: &Stage) -> String {
    let trust = format!("--ignore-certificate-errors-spki-list={}", key_of_the_front_door(stage));
    let Some(browser) = Browser::start_with(&stage.sandbox, &[&trust]) else {
        return "skipped: no browser".to_owned();
    };
    browser.open(&format!("{}/", stage.origin()));
    step(&browser, "picture");
    assert_eq!(browser.command("GET", "/title", &Value::Null), "Plot & Palette");
    take(&browser, "1-picture");
    what_is_no_picture_is_refused_in_words(stage, &browser);

    browser.attach("#file", &pictures::folder(stage).join("night.png"));
    step(&browser, "palette");
    let colors = browser.script(
        "return [...document.querySelectorAll('#palette-colors [data-color]')].map((it) => it.dataset.color)",
    );
    assert_eq!(colors.as_array().map(Vec::len), Some(BANDS.len()), "{colors}");
    browser.wait_for("document.querySelector('#palette-image').naturalWidth === 100");
    take(&browser, "2-palette");

    browser.click("#find-paintings");
    step(&browser, "paintings");
    browser.wait_for("document.querySelectorAll('[data-painting]').length === 10");
    let titles = choose_three(&browser);
    take(&browser, "3-paintings");
    browser.click("#to-feeling");
    step(&browser, "feeling");
    browser.wait_for("document.querySelectorAll('[data-emotion]').length === 15");
    browser.click("label:has([data-emotion=\"7\"])");
    take(&browser, "4-feeling");

    browser.click("#write-story");
    step(&browser, "story");
    let text = browser.seen("#story-text").expect("a story");
    for title in &titles {
        assert!(text.contains(title), "{title} is not in: {text}");
    }
    let teller = browser.seen("#story-teller").unwrap_or_default();
    assert!(teller.contains("no language model was asked"), "it passes for the provider's: {teller:?}");
    assert_eq!(browser.script("return document.querySelector('#story').dataset.counterpart"), "true");
    take(&browser, "5-story");

    let title = browser.seen("#story-title");
    browser.command("POST", "/refresh", &json!({}));
    step(&browser, "story");
    assert_eq!(browser.seen("#story-title"), title, "another story after a reload");
    no_build_and_nobody_else(stage, &browser);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    format!("{} with {}", title.unwrap_or_default(), titles.join(", "))
}

#[track_caller]
fn step(browser: &Browser, name: &str) {
    browser.wait_for(&format!("document.body.dataset.step === '{name}'"));
}

/// The title with a character of four bytes, and two others; in the order chosen.
fn choose_three(browser: &Browser) -> Vec<String> {
    let titles = browser.script(
        "return [...document.querySelectorAll('[data-painting] .title')].map((it) => it.textContent)",
    );
    let titles: Vec<String> =
        titles.as_array().unwrap().iter().map(|title| title.as_str().unwrap().to_owned()).collect();
    assert!(titles[0].contains('🎨'), "{titles:?}");
    let ids = browser
        .script("return [...document.querySelectorAll('[data-painting]')].map((it) => it.dataset.painting)");
    for at in [0, 3, 7] {
        let painting = format!("[data-painting={}]", ids[at]);
        browser
            .script(&format!("document.querySelector('{painting}').scrollIntoView({{ block: 'center' }})"));
        browser.click(&painting);
    }
    browser.wait_for("document.querySelectorAll('[data-painting][aria-pressed=true]').length === 3");
    [0, 3, 7].map(|at| titles[at].clone()).to_vec()
}

fn what_is_no_picture_is_refused_in_words(stage: &Stage, browser: &Browser) {
    let file = stage.sandbox.folder().join("shell.png");
    #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
    std::fs::write(&file, "<?php system($_GET['c']);").unwrap();
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.attach("#file", &file);
    browser.wait_for("document.querySelector('#notice').dataset.error === 'unsupported_image'");
    assert_eq!(browser.seen("#notice-title").as_deref(), Some("That does not seem to be a picture"));
    // the browser itself notes every answer of 4xx; there is exactly that one
    let complaints = browser.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("415"), "{complaints:?}");
    browser.click("#notice-close");
}

/// The page is its three files: one style sheet, one script as written, everything from here.
fn no_build_and_nobody_else(stage: &Stage, browser: &Browser) {
    let loaded = browser.script("return performance.getEntriesByType('resource').map((it) => it.name)");
    let origin = format!("{}/", stage.origin());
    for address in loaded.as_array().unwrap() {
        assert!(address.as_str().unwrap().starts_with(&origin), "{address} is somebody else's");
    }
    let scripts = browser.script("return [...document.scripts].map((it) => it.getAttribute('src'))");
    assert_eq!(scripts, json!(["/script.js"]));
    let sheets = browser.script(
        "return [...document.querySelectorAll('link[rel=stylesheet]')].map((it) => it.getAttribute('href'))",
    );
    assert_eq!(sheets, json!(["/styles.css"]));
    let script = std::fs::read_to_string(stage.sandbox.stack().join("script.js")).unwrap();
    assert!(script.lines().count() > 100, "script.js was made by a bundler");
    for name in ["package.json", "node_modules", "vue-project"] {
        assert!(!stage.sandbox.stack().join(name).exists(), "{name}");
    }
    let node = stage.sandbox.processes().into_iter().filter_map(sys::proc::cmdline);
    let node: Vec<_> =
        node.filter(|words| words.first().is_some_and(|program| program.ends_with("node"))).collect();
    assert!(node.is_empty(), "{node:?}");
}

/// Hash of the public key that the front door has shown to a client that verified its certificate against the local root: what
/// Chromium accepts in place of a root of its own.
fn key_of_the_front_door(stage: &Stage) -> String {
    let connection = stage.connect();
    let chain = connection.stream().conn.peer_certificates().expect("a verified certificate");
    let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).expect("a certificate");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf.tbs_certificate.subject_pki.raw);
    assert!(stage.origin().contains(DOMAIN));
    BASE64_STANDARD.encode(hash.as_ref())
}

/// A picture of the page on a desk and in a hand, by day and by night.
fn take(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("MAINSTAY_SCREENSHOTS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    for (width, height, scheme) in [(390, 844, "dark"), (1280, 900, "light")] {
        browser.look(width, height, scheme);
        #[allow(clippy::disallowed_methods)] // a picture need not survive a power cut
        std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), browser.screenshot()).unwrap();
    }
}
