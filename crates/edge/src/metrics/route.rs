//! The handler of a route that shows the metrics. Rendering is not the worker's work: a thread for blocking calls does it.

use super::render::CONTENT_TYPE;
use crate::answer::{Answer, answer, refuse};
use crate::connection::{Client, Next};
use crate::error_page::Refusal;
use crate::record::Record;
use http1::Method;
use std::sync::Arc;
use wire::failure::Cause;

/// Answers with the metrics. `close`: a body is still to come, which nobody will read.
pub async fn run(client: &mut Client, record: &mut Record, close: bool) -> Next {
    if !matches!(record.facts.method, Method::Get | Method::Head) {
        let refusal = Refusal { close, ..Refusal::method("GET, HEAD", "metrics can only be read") };
        return refuse(client, record, &refusal, false).await;
    }
    let metrics = Arc::clone(&client.worker.metrics);
    let Ok(body) = tokio::task::spawn_blocking(move || metrics.render()).await else {
        let refusal =
            Refusal { close, ..Refusal::new(500, Cause::Other, "the metrics could not be rendered") };
        return refuse(client, record, &refusal, false).await;
    };
    let lines = format!("Content-Type: {CONTENT_TYPE}\r\nCache-Control: no-store\r\n");
    let made = Answer { status: 200, lines: lines.as_bytes(), body: body.as_bytes(), close, fixed: b"" };
    answer(client, record, made).await
}
