//! Progress in one line, and the step that helps.

use super::*;
use bollard::models::ProgressDetail;

fn step(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
    let progress_detail = bytes.map(|(now, all)| ProgressDetail { current: Some(now), total: Some(all) });
    CreateImageInfo { id: Some(id.into()), status: Some(status.into()), progress_detail, error_detail: None }
}

#[test]
fn layers_are_summed_to_one_line() {
    let mut layers = Layers::default();
    layers.fold(step("latest", "Pulling from library/a", None));
    assert_eq!(layers.line("a"), "pulling a: Pulling from library/a");
    layers.fold(step("1", "Downloading", Some((10_000_000, 20_000_000))));
    layers.fold(step("2", "Downloading", Some((1_000_000, 30_000_000))));
    assert_eq!(layers.line("a"), "pulling a: 11 of 50 MB, 2 layers");
    layers.fold(step("1", "Download complete", None));
    layers.fold(step("1", "Extracting", Some((5, 20_000_000))));
    assert_eq!(layers.line("a"), "pulling a: 21 of 50 MB, 2 layers");
}

#[test]
fn the_next_step_is_the_one_that_helps() {
    let reference = Reference::parse("127.0.0.1:5000/a").unwrap();
    let next = |cause| next(cause, &reference, "127.0.0.1:5000/a");
    assert!(next("http: server gave HTTP response to HTTPS client").contains("insecure = true"));
    assert!(next("unauthorized: authentication required").contains("podman login 127.0.0.1:5000"));
    assert!(next("manifest unknown").contains("podman load"));
}
