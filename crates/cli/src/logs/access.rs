//! The access log as a journal: its lines have a time of their own. Those in JSON are shown as one line of words, those in the
//! combined form, which people read as they are, without a change.

use keeper::home::Home;
use serde_json::Value;
use telemetry::journal::{Record, Source, Stream};

/// What it is called.
pub const NAME: &str = "edge";

/// The files: everybody's, and those of stacks that have a folder of their own.
pub fn sources(home: &Home, stacks: &[String]) -> Vec<Source> {
    let own = stacks.iter().map(|stack| home.log_link(stack));
    // Behind the folder's own link: the name that is renamed at a rotation.
    let own = own.filter_map(|folder| folder.join("access.log").canonicalize().ok());
    let paths = std::iter::once(home.edge_logs().join("access.log")).chain(own);
    paths.map(|path| Source { label: NAME.to_owned(), stream: Stream::Out, path }).collect()
}

/// The record with the line's own time; `words`: with its text as people read it. A line that is no JSON keeps its text.
pub fn record(mut record: Record, words: bool) -> Record {
    let Ok(line) = serde_json::from_str::<Value>(&record.text) else {
        if let Some(time) = combined_time(&record.text) {
            record.time = time;
        }
        return record;
    };
    if let Some(time) = line["ts"].as_str().and_then(|ts| ts.parse().ok()) {
        record.time = time;
    }
    if words {
        record.text = sentence(&line);
    }
    record
}

/// The time of a line in the combined form: what stands in its first brackets.
fn combined_time(line: &str) -> Option<jiff::Timestamp> {
    let (_, rest) = line.split_once(" [")?;
    let (time, _) = rest.split_once(']')?;
    jiff::Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", time).ok()
}

/// `200 GET localhost/health 1.5 ms, web.1, 127.0.0.1, 01a1fd33-…`: what is missing is left out.
fn sentence(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let took = line["total_ms"].as_f64().unwrap_or_default();
    let took = if took < 10.0 { format!("{took:.1} ms") } else { format!("{took:.0} ms") };
    let mut words =
        vec![format!("{} {} {}{} {took}", line["status"], text("method"), text("host"), text("path"))];
    // `stack/app.slot#run`: the run is of no use to people
    let upstream = text("upstream").split('#').next().unwrap_or_default();
    let more = [upstream, text("client"), text("request_id"), text("error")];
    words.extend(more.into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ts":"2026-11-21T08:22:47.094Z","client":"127.0.0.1","method":"GET","host":"localhost","path":"/health","status":200,"bytes":398,"upstream":"hello/guestbook.1#1","upstream_ms":1.433,"total_ms":1.463,"tls":null,"cache":null,"request_id":"01a1fd33"}"#;

    fn read(text: &str, words: bool) -> Record {
        let time = jiff::Timestamp::UNIX_EPOCH;
        let source = NAME.to_owned();
        record(Record { time, source, stream: Stream::Out, text: text.to_owned(), continued: false }, words)
    }

    #[test]
    fn a_line_has_its_own_time_and_says_what_happened() {
        let record = read(LINE, true);
        assert_eq!(record.time.to_string(), "2026-11-21T08:22:47.094Z");
        assert_eq!(record.text, "200 GET localhost/health 1.5 ms, hello/guestbook.1, 127.0.0.1, 01a1fd33");
        assert_eq!(read(LINE, false).text, LINE);
    }

    #[test]
    fn a_line_in_the_combined_form_is_not_of_1970() {
        let line =
            r#"127.0.0.1 - - [21/Nov/2026:15:47:21 +0000] "GET /gone HTTP/1.1" 502 440 "-" "curl/7.88.1""#;
        let record = read(line, true);
        assert_eq!((record.time.to_string(), record.text), ("2026-11-21T15:47:21Z".into(), line.into()));
    }

    #[test]
    fn a_torn_line_is_shown_as_it_is() {
        let torn = LINE.get(..40).unwrap();
        assert_eq!(read(torn, true).text, torn);
    }
}
