//! Plot & Palette as its people meet it: the acceptance scenario of `docs/requirements.md`, section 2.1, on the real binary, with
//! MariaDB, Gunicorn, the story counterpart and a browser; HTTPS verified against the local root.
//!
//! One deployed stack serves all steps, because deploying takes longer than all of them. They run in order, each by its name with
//! the time it took and what was observed; a step that fails does not keep the next ones from running, but fails the test.
//! `MAINSTAY_STEPS=word` runs those whose name holds the word; `MAINSTAY_SCREENSHOTS=DIR` keeps pictures of the page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

mod boot;
mod browser;
mod cleanup;
mod database;
mod deploy;
mod disturbances;
mod files;
mod inputs;
mod load;
mod logs;
mod person;
mod pictures;
mod refusals;
mod scenario;
mod stage;
mod visit;

use scenario::Scenario;
use stage::Stage;

#[test]
fn plot_palette_runs_whole() {
    let mut scenario = Scenario::default();
    let stage = Stage::prepare();

    // req: DEP-06
    scenario.step("2: deploy asks on a terminal, and prints usage where there is none", || {
        deploy::without_a_terminal_it_prints_usage(&stage);
        stage.open(&deploy::asked_on_a_terminal(&stage));
        deploy::everything_runs(&stage)
    });
    if !scenario.is_well() {
        stage.show_logs();
        scenario.end();
    }
    scenario.step("2: a second deploy changes nothing", || deploy::again(&stage));
    // req: PP-02, WSGI-01
    scenario.step("2: server.py runs under Gunicorn with more than one worker", || deploy::gunicorn(&stage));

    // req: STAT-01
    scenario.step("3: HTTPS, headers, compressed and conditional answers", || files::front_page(&stage));
    // req: STAT-02
    scenario.step("4: folders with spaces in their names", || files::asset_folders(&stage));
    // req: STAT-18
    scenario.step("5: sources and configuration are not served", || files::sources(&stage));
    // req: PP-03
    scenario.step("6: health", || visit::health(&stage));

    let visit = scenario.step("7 to 11: a visit begins", || visit::Visit::begin(&stage));
    if let Some(mut visit) = visit {
        // req: PP-04, PP-16
        scenario.step("7: a first visit makes a user", || visit.is_one_user());
        // req: PP-05, PP-10, PP-18
        scenario.step("7: the palette of five bands, as PNG and as JPEG", || visit.uploads());
        // req: PP-06, PP-11, PP-15
        scenario.step("8: ten recommendations", || visit.is_recommended());
        // req: PP-07, PP-12, PP-17
        scenario.step("9: three paintings and emotion 7", || visit.selects());
        // req: PP-08, PP-13
        scenario.step("10: a story", || visit.is_told());
        // req: PP-09, PP-14
        scenario.step("11: analytics of all of it", || visit.is_counted());

        // req: SEC-13
        scenario.step("12: what is no picture, or too large, is refused", || refusals::no_pictures(&stage));
        // req: SEC-19
        scenario.step("12: without the token or from elsewhere", || refusals::forged_requests(&stage));
        // req: SEC-20
        scenario.step("12: a tampered cookie is no session", || refusals::tampered_cookies(&stage));
        // req: SEC-22
        scenario.step("12: malformed, mistyped, missing, oversize", || inputs::all_are_judged(&stage));
        // req: SEC-23
        scenario.step("12: SQL in every text field", || inputs::sql_is_text(&stage));
        // req: STAT-20
        scenario.step("12: uploads are inert", || files::uploads(&stage));
        // req: SEC-39
        scenario.step("13: the account of the application", || database::account(&stage));
        // req: DATA-07
        scenario.step("13: the hot queries use indexes", || database::indexes(&stage));

        // req: PP-01
        scenario.step("in a browser: from a picture to a story", || browser::a_whole_visit(&stage));

        // req: DATA-08
        scenario.step("15: 200 uploads by 8 clients", || load::uploads(&stage));
        // req: OBS-11, DATA-08, DATA-09
        scenario.step("14: the database stops and comes back", || disturbances::database(&stage));
        scenario.step("14: Gunicorn's master is killed", || disturbances::master(&stage));
        scenario.step("14: every worker is stuck", || disturbances::stuck(&stage));
        scenario.step("14: the story service stops", || disturbances::storyteller(&stage));
        // req: OBS-01, OBS-29
        scenario.step("logs: application, access, errors; load and inference times", || logs::folder(&stage));

        // req: DEP-02, DEP-03, DEP-04
        scenario.step("17: cleanup", || cleanup::removes_what_is_left_over(&stage));
        // req: DEP-05
        scenario.step("status, logs and restart are for all", || deploy::sub_commands(&stage));
        // req: DATA-09
        scenario.step("18: the host boots", || boot::everything_comes_back(&stage, &mut visit));
    }
    if !scenario.is_well() {
        stage.show_logs();
    }
    scenario.step("nothing stays when it is stopped", || stage.end());
    scenario.end();
}
