//! What can be said of numbers of instances, and of tasks.

use super::Place;
use clap::{Args, Subcommand};

/// `scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// An app and how many instances of it, such as web=3; web=manifest: as the manifest says again
    #[arg(value_name = "APP=NUMBER", value_parser = scale, required = true)]
    pub apps: Vec<(String, Option<u32>)>,
}

/// `task`.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub verb: Option<TaskVerb>,
}

/// Verbs of `task`.
#[derive(Debug, Subcommand)]
pub enum TaskVerb {
    /// Show when each is due next, and how its last run ended
    List,
    /// Run one now, and wait for its end
    Run {
        /// The task
        name: String,
    },
    /// Show the latest runs of one, and moments at which nothing was run
    History {
        /// The task
        name: String,
    },
}

/// `app=number`, `app=manifest`.
/// An app and its number.
pub fn scale(text: &str) -> Result<(String, Option<u32>), String> {
    let wrong = || "not an app and a number such as web=3, or web=manifest".to_owned();
    let (app, number) = text.rsplit_once('=').filter(|(app, _)| !app.is_empty()).ok_or_else(wrong)?;
    let number = if number == "manifest" { None } else { Some(number.parse().map_err(|_| wrong())?) };
    Ok((app.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn an_app_and_its_number() {
        assert_eq!(scale("shop/web=3"), Ok(("shop/web".into(), Some(3))));
        assert_eq!(scale("web=manifest"), Ok(("web".into(), None)));
        assert!(["web", "web=", "=3", "web=-1", "web=three"].into_iter().all(|text| scale(text).is_err()));
    }
}
