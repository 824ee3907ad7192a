//! `.dockerignore`: which files of a context a build does not see, by the rules of Docker's `patternmatcher`.
//!
//! Patterns are relative to the context, and match a path or a folder above it; the last that matches decides; `!` takes back. `*` and `?`
//! stay within a name, `**` goes through any number of folders.

use regex::Regex;

/// Largest file of patterns that is read, bytes.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// The patterns of a file.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Regex,
    /// It was written with `!`.
    keeps: bool,
    /// What stands before its first wildcard.
    literal: String,
}

impl Ignore {
    /// Reads patterns.
    ///
    /// # Errors
    /// The line that is no pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.starts_with('#')).map(|(at, line)| (at + 1, line.trim()));
        let rules = lines.filter(|(_, line)| !line.is_empty()).filter_map(|(at, line)| {
            let (keeps, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = clean(pattern);
            // The whole context: Docker reads it as nothing.
            if pattern.is_empty() {
                return None;
            }
            let compiled = Regex::new(&expression(&pattern));
            let literal = pattern.split(['*', '?', '[', '\\']).next().unwrap_or_default().to_owned();
            let rule = compiled.map(|compiled| Rule { pattern: compiled, keeps, literal });
            Some(rule.map_err(|_| format!("line {at}: {line:?} is no pattern")))
        });
        Ok(Self { rules: rules.collect::<Result<_, String>>()? })
    }

    /// Whether the build does not see this path, `/` between its names.
    pub fn hides(&self, path: &str) -> bool {
        let matches = |rule: &Rule| {
            let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            rule.pattern.is_match(path) || above.into_iter().any(|folder| rule.pattern.is_match(folder))
        };
        self.rules.iter().rev().find(|rule| matches(rule)).is_some_and(|rule| !rule.keeps)
    }

    /// Whether something below this folder, which is hidden, may be seen.
    pub fn keeps_below(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        let mut kept = self.rules.iter().filter(|rule| rule.keeps);
        kept.any(|rule| folder.starts_with(&rule.literal) || rule.literal.starts_with(&folder))
    }
}

/// Without `.`, `..` and slashes that mean nothing.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// The pattern as a regular expression of whole paths.
fn expression(pattern: &str) -> String {
    let mut expression = String::from("^");
    let mut rest = pattern.chars().peekable();
    let mut class = false;
    while let Some(next) = rest.next() {
        match next {
            '*' if !class && rest.peek() == Some(&'*') => {
                while rest.next_if_eq(&'*').is_some() {}
                let slash = rest.next_if_eq(&'/').is_some();
                expression.push_str(if rest.peek().is_none() && !slash { ".*" } else { "(.*/)?" });
            }
            '*' if !class => expression.push_str("[^/]*"),
            '?' if !class => expression.push_str("[^/]"),
            '\\' => expression.push_str(&regex::escape(&rest.next().unwrap_or('\\').to_string())),
            '[' if !class => {
                class = true;
                expression.push('[');
            }
            ']' if class => {
                class = false;
                expression.push(']');
            }
            '-' | '^' if class => expression.push(next),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression + "$"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(text: &str, path: &str) -> bool {
        Ignore::parse(text).unwrap().hides(path)
    }

    #[test]
    fn patterns_match_from_the_context_on_and_what_is_below() {
        assert!(hides("node_modules", "node_modules/a/b.js"));
        assert!(!hides("node_modules", "web/node_modules/b.js"));
        assert!(hides("/dist/", "dist/a"));
        assert!(hides("*.log", "a.log") && !hides("*.log", "logs/a.log"));
        assert!(hides("*/temp*", "some/temporary/file") && !hides("*/temp*", "a/b/temp"));
        assert!(hides("temp?", "tempa") && !hides("temp?", "temp"));
        assert!(hides("./a/../b", "b"));
    }

    #[test]
    fn two_stars_go_through_folders() {
        for path in ["a.go", "x/a.go", "x/y/a.go"] {
            assert!(hides("**/*.go", path), "{path}");
        }
        assert!(hides("a/**", "a/b/c") && !hides("a/**", "b/a"));
        assert!(hides("a/**/z", "a/z") && hides("a/**/z", "a/b/c/z"));
    }

    #[test]
    fn the_last_that_matches_decides() {
        assert!(!hides("*.md\n!README.md", "README.md"));
        assert!(hides("*.md\n!README*.md\nREADME-secret.md", "README-secret.md"));
        assert!(!hides("*\n!src\n!src/**", "src/a"), "a folder that is taken back brings what is below");
        assert!(hides("!a\na", "a"));
    }

    #[test]
    fn comments_blanks_and_classes() {
        assert!(!hides("# a\n\n  \n", "a"));
        assert!(hides("[a-c].txt", "b.txt") && !hides("[^a-c].txt", "b.txt"));
        assert!(hides("a.b", "a.b") && !hides("a.b", "axb"));
        assert!(!hides(".", "a"));
        assert!(Ignore::parse("ok\n[z-a]").unwrap_err().starts_with("line 2"));
    }

    #[test]
    fn hidden_folders_are_entered_only_where_something_may_be_kept() {
        let ignore = Ignore::parse("*\n!src/lib\n").unwrap();
        assert!(
            ignore.keeps_below("src") && ignore.keeps_below("src/lib") && !ignore.keeps_below("node_modules")
        );
        assert!(Ignore::parse("*\n!**/x").unwrap().keeps_below("any"));
        assert!(!Ignore::parse("*").unwrap().keeps_below("any"));
    }
}
