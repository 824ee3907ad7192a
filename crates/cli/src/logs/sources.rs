//! Journal files of a stack: `<app>.<slot>.{out,err}.log` below `home/logs/<stack>/`, and in the folder of its own that a link there
//! leads to.
//! `<app>.build.log` is what an app's steps printed.

use keeper::home::Home;
use telemetry::journal::{Source, Stream};

/// Names given on the command line: `app` or `app.slot`; none: all.
#[derive(Debug, Clone)]
pub struct Filter {
    names: Vec<String>,
}

impl Filter {
    /// These names.
    pub fn new(names: &[String]) -> Self {
        Self { names: names.to_vec() }
    }

    /// What a build printed is shown to those who name it.
    fn fits(&self, label: &str) -> bool {
        if label.ends_with(".build") {
            return self.names.iter().any(|name| name == label);
        }
        let app = label.rsplit_once('.').map_or(label, |(app, _)| app);
        self.names.is_empty() || self.names.iter().any(|name| name == label || name == app)
    }
}

/// Stacks that have logs in this home.
pub fn stacks(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.logs()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir() && entry.file_name() != "edge");
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Journals of a stack that fit, by label.
pub fn sources(home: &Home, stack: &str, filter: &Filter) -> Vec<Source> {
    let folders = [home.stack_logs(stack), home.log_link(stack)];
    let entries = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let source = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (label, stream) = parse(&name)?;
        filter.fits(label).then(|| Source { label: label.to_owned(), stream, path: entry.path() })
    };
    let mut sources: Vec<Source> = entries.filter_map(source).collect();
    sources.sort_by(|a, b| (&a.label, a.stream).cmp(&(&b.label, b.stream)));
    sources
}

fn parse(name: &str) -> Option<(&str, Stream)> {
    let rest = name.strip_suffix(".log")?;
    if let Some(label) = rest.strip_suffix(".out") {
        return Some((label, Stream::Out));
    }
    if rest.ends_with(".build") {
        return Some((rest, Stream::Out));
    }
    rest.strip_suffix(".err").map(|label| (label, Stream::Err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_and_of_people() {
        assert_eq!(parse("web.1.out.log"), Some(("web.1", Stream::Out)));
        assert_eq!(parse("web.1.err.log"), Some(("web.1", Stream::Err)));
        assert_eq!(parse("web.1.out.log.2"), None);
        let filter = Filter::new(&["web".into(), "api.2".into()]);
        assert!(filter.fits("web.1") && filter.fits("api.2"));
        assert!(!filter.fits("api.1") && !filter.fits("web2.1"));
        assert_eq!(parse("web.build.log"), Some(("web.build", Stream::Out)));
        assert!(!filter.fits("web.build") && Filter::new(&["web.build".into()]).fits("web.build"));
        assert!(!Filter::new(&[]).fits("web.build"));
    }
}
