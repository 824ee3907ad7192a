//! A route that is closed for a while: a page, and when to come again. Who works on it gets through.

use crate::error_page::Refusal;
use crate::policy::response::error_pages;
use ipnet::IpNet;
use model::policy::MaintenanceSpec;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use wire::failure::Cause;

/// Compiled.
#[derive(Debug)]
pub struct Maintenance {
    page: Option<Arc<Vec<u8>>>,
    retry_after: u32,
    allow: Box<[IpNet]>,
}

impl Maintenance {
    /// With the page as it is now. Where it cannot be read the edge's own is shown.
    pub fn new(spec: &MaintenanceSpec) -> Self {
        Self {
            page: spec.page.as_deref().and_then(read),
            retry_after: spec.retry_after,
            allow: spec.allow.clone().into(),
        }
    }

    /// Lets a client pass or not.
    pub fn check(&self, client: IpAddr) -> Result<(), Refusal> {
        if self.allow.iter().any(|net| net.contains(&client)) {
            return Ok(());
        }
        const LINES: &[u8] = b"Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n";
        Err(Refusal {
            retry_after: Some(self.retry_after),
            lines: self.page.is_some().then(|| LINES.into()),
            body: self.page.clone(),
            ..Refusal::new(503, Cause::Maintenance, "the route is under maintenance")
        })
    }
}

fn read(page: &Path) -> Option<Arc<Vec<u8>>> {
    error_pages::read(page)
        .inspect_err(|error| tracing::warn!(page = %page.display(), %error, "no maintenance page"))
        .ok()
        .map(|text| Arc::new(text.into_bytes()))
}
