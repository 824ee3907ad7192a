//! What is going on, on standard error: lines that stay, and on a terminal one line below them that moves.

use crate::context::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Progress of one command. The moving line disappears with it.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Starts; with `--json` nothing is shown.
    pub fn new(context: &Context) -> Self {
        let bar = context.animate().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, quiet: context.json }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.bar {
            // `println` of the bar would fill the line with spaces and end it without a line break
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None if self.quiet => (),
            None => eprintln!("{text}"),
        }
    }

    /// What the moving line says.
    pub fn now(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.into());
        }
    }

    /// Takes the moving line away; it comes back with the next [`Progress::now`].
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
