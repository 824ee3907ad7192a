//! Cross-origin resource sharing.

use crate::file::{CorsFile, CorsTable, OneOrMany};
use crate::place::Place;
use crate::validate::{Context, items, missing};
use crate::values::Wrong;
use crate::web;
use model::policy::CorsSpec;
use std::time::Duration;

/// Methods that are allowed if nothing is said: what an interface for scripts is made of.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// `cors`.
pub fn cors(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&CorsFile>,
) -> Option<Option<CorsSpec>> {
    let (origins, table) = match file? {
        CorsFile::Switch(false) => return Some(None),
        CorsFile::Switch(true) => {
            let found = context.report.error("cors::whom", "`true` does not say who may call");
            found.at(place.span(), "from where?").help("write `cors = [\"https://app.example.org\"]`");
            return Some(None);
        }
        CorsFile::Origin(origin) => {
            (place, CorsTable { origins: Some(OneOrMany::One(origin.clone())), ..CorsTable::default() })
        }
        CorsFile::Origins(list) => {
            (place, CorsTable { origins: Some(OneOrMany::Many(list.clone())), ..CorsTable::default() })
        }
        CorsFile::Table(table) => {
            missing(
                context,
                place,
                "origins",
                "a table of `cors`",
                "write `origins = [\"https://app.example.org\"]`",
            );
            (place.key("origins"), table.clone())
        }
    };
    let list = split(context, origins, table.origins.as_ref(), "origin", web::origin);
    let credentials = table.credentials.unwrap_or(false);
    let any = list.iter().any(|origin| origin == "*");
    if any && credentials {
        context
            .report
            .error("cors::everyone", "any site could act in the name of your users")
            .at(origins.span(), "any origin …")
            .at(place.key("credentials").span(), "… with cookies: browsers refuse this")
            .help("name the origins");
    } else if any && list.len() > 1 {
        let found = context.report.error("cors::everyone", "`*` stands alone");
        found.at(origins.span(), "any origin, and others").help("remove `*` or the others");
    }
    let header = |name: &str| match web::is_token(name) {
        true => Ok(()),
        false => Err(Wrong { what: "a name has letters, digits and `-`".into(), help: None }),
    };
    let mut methods = split(context, place.key("methods"), table.methods.as_ref(), "method", web::method);
    if table.methods.is_none() {
        methods = METHODS.map(str::to_owned).to_vec();
    }
    let default = Duration::from_secs(600);
    Some(Some(CorsSpec {
        origins: list,
        methods,
        headers: split(context, place.key("headers"), table.headers.as_ref(), "header's name", header),
        expose: split(context, place.key("expose"), table.expose.as_ref(), "header's name", header),
        credentials,
        max_age: context.seconds(place.key("max_age"), table.max_age.as_ref(), default, true),
    }))
}

/// Values of a list whose texts may hold several with commas between them, as variables do.
fn split(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&OneOrMany>,
    what: &str,
    check: impl Fn(&str) -> Result<(), Wrong>,
) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for (place, text) in items(place, file) {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Err(wrong) = check(part) {
                context.wrong("cors::bad", format!("{part:?} is no {what}"), place, wrong);
            }
            if !list.iter().any(|known| known == part) {
                list.push(part.to_owned());
            }
        }
    }
    list
}
