//! Changes of an answer's head ([`HeaderSpec`]), folded when they are compiled.
//!
//! Changes of different names do not meet, and those of one name come down to two texts, whatever their number: what is
//! added where the answer has the name already, and where it has not; and whether its own lines stay. So nothing is decided
//! one by one: where the answer has none of the names, which is nearly always so, all lines to be added are one piece, ready
//! to be copied.
//!
//! Which changes apply depends on conditions: HTTPS, and lists of paths. For up to [`FEW`] lists the changes are folded ahead for
//! each combination; with more of them, a request that one of them matches folds for itself.
//!
//! A default of `Cache-Control` says how long content lives, so it is for content only ([`is_content`]): a 404 or 502 with a year's
//! lifetime would stay in browsers when what was missing is there again.

use crate::policy::lines;
use crate::policy::paths::Paths;
use http1::{Field, is_token};
use model::policy::{HeaderChange, HeaderSpec};
use smallvec::SmallVec;

/// Lists of paths up to which every combination is folded ahead.
const FEW: usize = 3;

/// All changes of a route.
#[derive(Debug, Default)]
pub struct HeaderChanges {
    changes: Box<[Change]>,
    /// Different conditions beside HTTPS.
    conditions: Box<[Condition]>,
    /// By HTTPS (bit 0) and by which lists match (the bits above); with more than [`FEW`] lists only for no match.
    folded: Box<[Folded]>,
}

#[derive(Debug)]
struct Change {
    name: Box<str>,
    change: HeaderChange,
    https_only: bool,
    /// Place in [`HeaderChanges::conditions`].
    condition: Option<usize>,
}

/// When a change applies.
#[derive(Debug)]
struct Condition {
    /// None: whatever the path.
    paths: Option<Paths>,
    /// Only to answers with content.
    content: bool,
}

impl Condition {
    fn holds(&self, path: &[u8], content: bool) -> bool {
        (content || !self.content) && self.paths.as_ref().is_none_or(|paths| paths.matches(path))
    }
}

/// The changes of one combination.
#[derive(Debug, Default)]
struct Folded {
    effects: Box<[Effect]>,
    /// Bit `n`: a name of `n` bytes is among them (63: of 63 or more).
    lengths: u64,
    /// For an answer that has none of the names.
    fresh: Box<[u8]>,
}

/// What is done with one name.
#[derive(Debug)]
struct Effect {
    name: Box<str>,
    /// The answer's own lines stay.
    keep: bool,
    /// Lines for an answer that has the name.
    present: Vec<u8>,
    /// Lines for one that has it not.
    absent: Vec<u8>,
}

impl HeaderChanges {
    /// Compiled. What would break a head is left out (the manifest refuses it).
    pub fn new(specs: &[HeaderSpec]) -> Self {
        let mut lists: Vec<(&[String], bool)> = Vec::new();
        let mut changes = Vec::new();
        for spec in specs.iter().filter(|spec| is_sound(spec)) {
            let content = matches!(spec.change, HeaderChange::Default(_))
                && spec.name.eq_ignore_ascii_case("Cache-Control");
            let condition = (content || !spec.paths.is_empty()).then(|| {
                let list = (&*spec.paths, content);
                lists.iter().position(|known| *known == list).unwrap_or_else(|| {
                    lists.push(list);
                    lists.len() - 1
                })
            });
            changes.push(Change {
                name: spec.name.as_str().into(),
                change: spec.change.clone(),
                https_only: spec.https_only,
                condition,
            });
        }
        if changes.is_empty() {
            return Self::default();
        }
        let combinations = if lists.len() <= FEW { 2 << lists.len() } else { 2 };
        let fold = |key: usize| Folded::new(&changes, key & 1 == 1, |list| key >> (list + 1) & 1 == 1);
        let folded = (0..combinations).map(fold).collect();
        let conditions = lists.into_iter().map(|(paths, content)| Condition {
            paths: (!paths.is_empty()).then(|| Paths::new(paths)),
            content,
        });
        Self { folded, conditions: conditions.collect(), changes: changes.into() }
    }

    /// Changes the head at `start`. `came`: the parsed head whose lines these are, if they are one's; it spares looking for them.
    pub fn apply(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        https: bool,
        path: &[u8],
        came: Option<(&[u8], &[Field])>,
    ) {
        let mut matched = SmallVec::<[bool; 8]>::new();
        let mut key = usize::from(https);
        for (list, condition) in self.conditions.iter().enumerate() {
            matched.push(condition.holds(path, is_content(out, start)));
            key |= usize::from(matched.last() == Some(&true)) << (list + 1).min(FEW + 1);
        }
        match self.folded.get(key) {
            Some(folded) => match came {
                Some((buf, fields)) if !folded.names_any(buf, fields) => out.extend_from_slice(&folded.fresh),
                _ => folded.apply(out, start),
            },
            None if self.changes.is_empty() => {}
            None => {
                let holds = |list| matched.get(list) == Some(&true);
                Folded::new(&self.changes, https, holds).apply(out, start);
            }
        }
    }
}

/// A name that may stand in a head and that the edge does not say itself, and a value without control characters.
fn is_sound(spec: &HeaderSpec) -> bool {
    const OURS: [&str; 8] = [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    let value = match &spec.change {
        HeaderChange::Default(value) | HeaderChange::Set(value) | HeaderChange::Add(value) => value,
        HeaderChange::Remove => "",
    };
    is_token(spec.name.as_bytes())
        && !OURS.iter().any(|ours| spec.name.eq_ignore_ascii_case(ours))
        && !value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

impl Folded {
    fn new(changes: &[Change], https: bool, matches: impl Fn(usize) -> bool) -> Self {
        let mut effects: Vec<Effect> = Vec::new();
        let secure = |change: &Change| https || !change.https_only || is_hsts(&change.name);
        let applies = |change: &&Change| secure(change) && change.condition.is_none_or(&matches);
        for change in changes.iter().filter(applies) {
            let known = effects.iter().position(|effect| effect.name.eq_ignore_ascii_case(&change.name));
            let place = known.unwrap_or_else(|| {
                effects.push(Effect::new(&change.name));
                effects.len() - 1
            });
            if let Some(effect) = effects.get_mut(place) {
                let forbidden = !https && change.https_only;
                effect.take(if forbidden { &HeaderChange::Remove } else { &change.change });
            }
        }
        let lengths = effects.iter().fold(0, |lengths, effect| lengths | length_bit(effect.name.len()));
        let fresh = effects.iter().flat_map(|effect| &effect.absent).copied().collect();
        Self { effects: effects.into(), lengths, fresh }
    }

    /// Whether one of the names is among the fields.
    fn names_any(&self, buf: &[u8], fields: &[Field]) -> bool {
        fields.iter().any(|field| {
            self.lengths & length_bit(field.name.len()) != 0 && self.place(field.name.of(buf)).is_some()
        })
    }

    fn apply(&self, out: &mut Vec<u8>, start: usize) {
        let mut present = SmallVec::<[usize; 16]>::new();
        for line in lines::lines(out, start) {
            let name = line.name(out);
            if self.lengths & length_bit(name.len()) != 0
                && let Some(place) = self.place(name)
                && !present.contains(&place)
            {
                present.push(place);
            }
        }
        if present.is_empty() {
            out.extend_from_slice(&self.fresh);
            return;
        }
        let is_present = |place: usize| present.contains(&place);
        let goes = |place: &usize| self.effects.get(*place).is_some_and(|effect| !effect.keep);
        if present.iter().any(goes) {
            lines::remove(out, start, |name| self.place(name).as_ref().is_some_and(goes));
        }
        for (place, effect) in self.effects.iter().enumerate() {
            out.extend_from_slice(if is_present(place) { &effect.present } else { &effect.absent });
        }
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.effects.iter().position(|effect| effect.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// The one header that an answer over plain HTTP must not have, whoever said it (RFC 6797 section 7.2).
fn is_hsts(name: &str) -> bool {
    name.eq_ignore_ascii_case("strict-transport-security")
}

/// Whether the head at `start` is one of content, or says that what a cache has is still good.
fn is_content(out: &[u8], start: usize) -> bool {
    let status = start + b"HTTP/1.1 ".len();
    matches!(out.get(status..status + 3), Some(b"200" | b"203" | b"206" | b"304"))
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

impl Effect {
    /// None yet.
    fn new(name: &str) -> Self {
        Self { name: name.into(), keep: true, present: Vec::new(), absent: Vec::new() }
    }

    /// What it is after one more change.
    fn take(&mut self, change: &HeaderChange) {
        let (name, mut line) = (self.name.as_bytes(), Vec::new());
        match change {
            HeaderChange::Default(value) => {
                lines::add(&mut line, name, value.as_bytes());
                if !self.keep && self.present.is_empty() {
                    self.present.extend_from_slice(&line);
                }
                if self.absent.is_empty() {
                    self.absent = line;
                }
            }
            HeaderChange::Set(value) => {
                lines::add(&mut line, name, value.as_bytes());
                (self.keep, self.present) = (false, line.clone());
                self.absent = line;
            }
            HeaderChange::Add(value) => {
                lines::add(&mut line, name, value.as_bytes());
                self.present.extend_from_slice(&line);
                self.absent.extend_from_slice(&line);
            }
            HeaderChange::Remove => {
                self.keep = false;
                self.present.clear();
                self.absent.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, change: HeaderChange) -> HeaderSpec {
        HeaderSpec { name: name.to_owned(), change, paths: Vec::new(), https_only: false }
    }

    fn at(paths: &[&str], spec: HeaderSpec) -> HeaderSpec {
        HeaderSpec { paths: paths.iter().map(|&path| path.to_owned()).collect(), ..spec }
    }

    fn changed(specs: &[HeaderSpec], head: &str, https: bool, path: &str) -> String {
        let mut out = format!("HTTP/1.1 200 OK\r\n{head}").into_bytes();
        HeaderChanges::new(specs).apply(&mut out, 0, https, path.as_bytes(), None);
        String::from_utf8(out).unwrap().split_off("HTTP/1.1 200 OK\r\n".len())
    }

    fn default(value: &str) -> HeaderChange {
        HeaderChange::Default(value.to_owned())
    }

    #[test]
    fn each_change_does_what_it_says() {
        use HeaderChange::{Add, Remove, Set};
        let cases = [
            (vec![default("d")], "A: 1\r\n", "A: 1\r\nX: d\r\n"),
            (vec![default("d")], "x:1\r\n", "x:1\r\n"),
            (vec![Set("s".into())], "x: 1\r\nA: 1\r\nX: 2\r\n", "A: 1\r\nX: s\r\n"),
            (vec![Add("a".into())], "x: 1\r\n", "x: 1\r\nX: a\r\n"),
            (vec![Remove], "x: 1\r\nA: 1\r\n", "A: 1\r\n"),
            (vec![default("d"), Remove], "", ""),
            (vec![Remove, default("d")], "X: 1\r\n", "X: d\r\n"),
            (vec![default("d"), Set("s".into())], "", "X: s\r\n"),
            (vec![Set("s".into()), Add("a".into())], "X: 1\r\n", "X: s\r\nX: a\r\n"),
            (vec![Add("a".into()), default("d")], "", "X: a\r\n"),
        ];
        for (changes, head, expected) in cases {
            let specs: Vec<_> = changes.into_iter().map(|change| spec("X", change)).collect();
            assert_eq!(changed(&specs, head, false, "/"), expected, "{specs:?}");
        }
    }

    #[test]
    fn conditions_hold_alone_and_together() {
        let specs = [
            HeaderSpec { https_only: true, ..spec("H", default("h")) },
            at(&["/a/*"], spec("A", default("a"))),
            HeaderSpec { https_only: true, ..at(&["/a/*"], spec("B", default("b"))) },
        ];
        assert_eq!(changed(&specs, "", false, "/"), "");
        assert_eq!(changed(&specs, "", true, "/"), "H: h\r\n");
        assert_eq!(changed(&specs, "", false, "/a/x"), "A: a\r\n");
        assert_eq!(changed(&specs, "", true, "/a/x"), "H: h\r\nA: a\r\nB: b\r\n");
    }

    #[test]
    fn hsts_of_the_application_s_own_goes_on_plain_http() {
        let name = "Strict-Transport-Security";
        let specs = [HeaderSpec { https_only: true, ..spec(name, default("ours")) }];
        let own = format!("{}: theirs\r\n", name.to_lowercase());
        assert_eq!(changed(&specs, &own, true, "/"), own);
        assert_eq!(changed(&specs, &own, false, "/"), "");
        assert_eq!(changed(&specs, "A: 1\r\n", false, "/"), "A: 1\r\n");
    }

    #[test]
    fn many_lists_of_paths_hold_like_few() {
        let specs: Vec<_> =
            (0..9).map(|n| at(&[&format!("/{n}/*")], spec(&format!("X-{n}"), default("1")))).collect();
        assert_eq!(changed(&specs, "", true, "/other"), "");
        assert_eq!(changed(&specs, "", true, "/7/x"), "X-7: 1\r\n");
        assert_eq!(changed(&specs, "x-0: 0\r\n", false, "/0/x"), "x-0: 0\r\n");
    }

    #[test]
    fn a_lifetime_by_default_is_for_content_only() {
        let year = || spec("cache-control", default("max-age=31536000"));
        let kept = spec("Cache-Control", HeaderChange::Set("no-cache".into()));
        for (specs, wanted) in
            [(vec![year()], None), (vec![at(&["/static/*"], year())], None), (vec![kept], Some("no-cache"))]
        {
            let changes = HeaderChanges::new(&specs);
            for (status, is_content) in [
                (200, true),
                (203, true),
                (206, true),
                (304, true),
                (201, false),
                (301, false),
                (404, false),
                (502, false),
            ] {
                let mut out = format!("beforeHTTP/1.1 {status} X\r\nA: 1\r\n").into_bytes();
                changes.apply(&mut out, 6, false, b"/static/x", None);
                let text = String::from_utf8(out).unwrap();
                let said = text.lines().find_map(|line| {
                    line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"))
                });
                let expected = wanted.or(is_content.then_some("max-age=31536000"));
                assert_eq!(said.map(|(_, value)| value), expected, "{status}");
            }
        }
    }

    #[test]
    fn what_would_break_a_head_is_left_out() {
        let specs = [
            spec("Content-Length", default("1")),
            spec("X Y", default("1")),
            spec("X", default("1\r\nInjected: 1")),
        ];
        assert_eq!(changed(&specs, "A: 1\r\n", false, "/"), "A: 1\r\n");
    }
}
