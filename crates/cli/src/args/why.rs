//! What can be said to `why`.

use super::{Place, length};
use clap::Args;
use std::time::Duration;

/// `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The request's id: X-Request-Id of its answer, and on every error page; or a host: what is with its
    /// certificate; without it the latest failures are listed
    #[arg(value_name = "REQUEST_ID")]
    pub id: Option<String>,
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Only failures of this app, `app` or `stack/app`
    #[arg(long, value_name = "APP", conflicts_with = "id")]
    pub app: Option<String>,
    /// Only failures of the last so long, such as 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = length, conflicts_with = "id")]
    pub since: Option<Duration>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = keeper::why::LISTED, conflicts_with = "id")]
    pub lines: usize,
}
