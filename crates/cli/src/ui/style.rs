//! Colours, or none: where output is no terminal, or nobody wants them.

/// Wraps text in colour, if colour is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    on: bool,
}

/// Colours that tell services apart, in the order they are given out; the last of them are the brighter ones.
const SERVICES: [&str; 8] = ["36", "33", "32", "35", "34", "96", "93", "95"];

impl Style {
    /// With or without colour.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether colours are on.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Something is wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// All is well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something is under way.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Less important.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// More important.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// The colour of the service with this number.
    pub fn service(self, number: usize, text: &str) -> String {
        self.paint(SERVICES.get(number % SERVICES.len()).unwrap_or(&"0"), text)
    }

    /// A state of `keeper::api` in its colour.
    pub fn state(self, state: &str, text: &str) -> String {
        match state {
            "ready" | "committed" => self.green(text),
            "failed" | "unhealthy" | "dropped" => self.red(text),
            "stopped" | "ended" => self.dim(text),
            _ => self.yellow(text),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text that others wrote (a process's name, the last words of an app) as a terminal may have it, in one line: what is no letter there is
/// shown as its escape.
pub fn plain(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
        out
    })
}
