//! Traefik's settings, flat: `http.routers.web.rule`, what it is, and where that stands. Labels, flags, variables and files come to the same.

use crate::diagnostic::Report;
use crate::interpolate::{Fault, interpolate};
use crate::tree::{Kind, Node, Origin, Span};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// A setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where it belongs, lower case, parts with dots between; items of a list by their number.
    pub key: String,
    /// The key as it was written.
    pub written: String,
    /// What it is: a text, or those of a list.
    pub values: Vec<String>,
    /// Where it stands.
    pub span: Span,
    /// The service whose label it is.
    pub owner: Option<String>,
    used: Cell<bool>,
}

impl Setting {
    /// As a text.
    pub fn text(&self) -> &str {
        self.values.first().map_or("", |text| text.trim())
    }

    /// As a list: texts with commas between are one in labels and flags.
    pub fn list(&self) -> Vec<&str> {
        let parts = self.values.iter().flat_map(|text| text.split(','));
        parts.map(str::trim).filter(|text| !text.is_empty()).collect()
    }

    /// As a yes or no. Everything but a no is a yes: `tls: {}`, `--api`.
    pub fn flag(&self) -> bool {
        !matches!(&*self.text().to_ascii_lowercase(), "false" | "0" | "f" | "no")
    }
}

/// All settings of one kind.
#[derive(Debug, Default)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// Adds one.
    pub fn add(&mut self, key: &str, values: Vec<String>, span: Span, owner: Option<&str>) {
        // Items of a list are `[0]` in labels and flags.
        let lower = key.to_ascii_lowercase().replace('[', ".").replace(']', "");
        let owner = owner.map(str::to_owned);
        self.0.push(Setting {
            key: lower,
            written: key.to_owned(),
            values,
            span,
            owner,
            used: Cell::new(false),
        });
    }

    /// Adds everything of a tree.
    pub fn add_tree(&mut self, prefix: &str, node: &Node, owner: Option<&str>) {
        let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match &node.kind {
            Kind::Table(entries) if entries.is_empty() => {
                self.add(prefix, vec!["true".into()], node.span.clone(), owner);
            }
            Kind::Table(entries) => {
                entries.iter().for_each(|(name, node)| self.add_tree(&join(name), node, owner));
            }
            Kind::Array(items) if items.iter().all(|item| item.scalar().is_some()) => {
                let values = items.iter().filter_map(Node::scalar).map(Into::into).collect();
                self.add(prefix, values, node.span.clone(), owner);
            }
            Kind::Array(items) => {
                let numbered = items.iter().enumerate();
                numbered.for_each(|(number, item)| self.add_tree(&join(&number.to_string()), item, owner));
            }
            _ => {
                let text = node.scalar().map_or_else(|| "true".into(), Into::into);
                self.add(prefix, vec![text], node.span.clone(), owner);
            }
        }
    }

    /// Adds what a command line says: `--a.b=c`, `--a.b c`, `--a`.
    pub fn add_flags(&mut self, words: &[(String, Span)]) {
        let mut words = words.iter().peekable();
        while let Some((word, span)) = words.next() {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let (key, value) = match flag.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => match words.next_if(|(next, _)| !next.starts_with("--")) {
                    Some((value, _)) => (flag, value.clone()),
                    None => (flag, "true".to_owned()),
                },
            };
            self.add(key, vec![value], span.clone(), None);
        }
    }

    /// Replaces variables in every value, which Traefik itself would not, and says so.
    pub fn interpolate(&mut self, variables: &dyn Fn(&str) -> Option<String>, report: &mut Report) {
        let lookup = |name: &str| Some((variables(name)?, Origin::Substituted));
        for setting in &mut self.0 {
            for value in setting.values.iter_mut().filter(|value| value.contains("${")) {
                match interpolate(value, &[], &lookup) {
                    Ok(done) => {
                        let found = report.info(
                            "traefik::variable",
                            format!("`{}`: Traefik itself would not replace the variable", setting.written),
                        );
                        found.at(setting.span.clone(), "replaced here");
                        *value = done.text;
                    }
                    Err(faults) => {
                        let name = faults.into_iter().find_map(|fault| match fault {
                            Fault::Unset(name) | Fault::Required(name, _) => Some(name),
                            Fault::Syntax(_) => None,
                        });
                        let name = name.unwrap_or_else(|| value.clone());
                        report
                            .warning("traefik::variable", format!("variable `{name}` has no value"))
                            .at(setting.span.clone(), "taken as empty");
                        value.clear();
                    }
                }
            }
        }
    }

    /// Takes what `lower` says beside this; where both say something, this wins, and that is reported.
    pub fn over(mut self, lower: Self, whose: &str, report: &mut Report) -> Self {
        for setting in lower.0 {
            match self.0.iter().find(|own| own.key == setting.key) {
                None => self.0.push(setting),
                Some(own) if own.values != setting.values => {
                    let message = format!("`{}` is said twice, and not the same", setting.written);
                    report
                        .warning("traefik::conflict", message)
                        .at(setting.span.clone(), "not used")
                        .at(own.span.clone(), format!("{whose} wins"))
                        .help(
                            "Traefik itself takes either flags, or variables, or a file: remove one of these",
                        );
                }
                Some(_) => {}
            }
        }
        self
    }

    /// The setting of this key.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        let found = self.0.iter().find(|setting| setting.key == key)?;
        found.used.set(true);
        Some(found)
    }

    /// Counts a setting as read, if it is there: it says nothing beside what is below it.
    pub fn read(&self, key: &str) {
        self.0.iter().filter(|setting| setting.key == key).for_each(|setting| setting.used.set(true));
    }

    /// All settings below a key, without it.
    pub fn below(&self, prefix: &str) -> std::vec::IntoIter<(&str, &Setting)> {
        let below = self.0.iter().filter_map(|setting| {
            let rest = setting.key.strip_prefix(prefix)?.strip_prefix('.')?;
            Some((rest, setting))
        });
        below.collect::<Vec<_>>().into_iter()
    }

    /// The same, and each counts as honoured.
    pub fn take(&self, prefix: &str) -> std::vec::IntoIter<(&str, &Setting)> {
        let below = self.below(prefix);
        below.as_slice().iter().for_each(|(_, setting)| setting.used.set(true));
        below
    }

    /// The names that stand directly below a key, with the first setting of each.
    pub fn names(&self, prefix: &str) -> BTreeMap<String, &Setting> {
        let mut names = BTreeMap::new();
        for (rest, setting) in self.below(prefix) {
            let name = rest.split('.').next().unwrap_or_default();
            names.entry(name.to_owned()).or_insert(setting);
        }
        names
    }

    /// Reports what nobody asked for.
    pub fn report_unused(&self, what: &str, report: &mut Report) {
        // Several services may say the same; one was asked.
        let used: BTreeSet<&str> =
            self.0.iter().filter(|own| own.used.get()).map(|own| own.key.as_str()).collect();
        for setting in self.0.iter().filter(|setting| !used.contains(setting.key.as_str())) {
            let message = format!("`{}` means nothing to Mainstay", setting.written);
            report
                .warning("traefik::unknown", message)
                .at(setting.span.clone(), format!("this {what} is not used"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn labels_flags_and_trees_come_to_the_same() {
        let mut settings = Settings::default();
        settings.add("Http.Routers.Web.EntryPoints", vec!["web, websecure".into()], 0..0, Some("shop"));
        settings.add("http.services.s.weighted.services[1].Name", vec!["b".into()], 0..0, None);
        let word = |word: &str| (word.to_owned(), 0..0);
        settings.add_flags(&[
            word("traefik"),
            word("--api"),
            word("--log.level"),
            word("DEBUG"),
            word("--a.b=c=d"),
        ]);
        assert_eq!(settings.get("http.routers.web.entrypoints").unwrap().list(), ["web", "websecure"]);
        assert_eq!(settings.get("http.services.s.weighted.services.1.name").unwrap().text(), "b");
        assert!(settings.get("api").unwrap().flag());
        assert_eq!(settings.get("log.level").unwrap().text(), "DEBUG");
        assert_eq!(settings.get("a.b").unwrap().text(), "c=d");
        assert_eq!(settings.names("http").into_keys().collect::<Vec<_>>(), ["routers", "services"]);
    }
}
