//! Middlewares that ask who it is. Where they cannot be had, nobody gets through.

use super::One;
use crate::import::traefik::node;
use crate::import::traefik::services::address;
use crate::import::traefik::settings::Setting;

impl One<'_, '_> {
    /// `basicauth`.
    pub fn basic_auth(&mut self) {
        let span = self.span.clone();
        let realm = self.get("realm");
        let Some(users) = self.get("users") else {
            self.lost(&span, "users of a file are not taken over: nobody gets through");
            self.get("usersfile");
            return self.policy.deny_all(&span, self.report);
        };
        let pairs: Vec<(&str, &str)> =
            users.list().into_iter().filter_map(|user| user.split_once(':')).collect();
        if pairs.is_empty() || pairs.iter().any(|(_, hash)| !hash.starts_with("$argon2")) {
            let message = format!(
                "passwords of middleware `{}` are hashed in a way that Mainstay does not check",
                self.name
            );
            let found = self.report.warning("traefik::password", message);
            found.at(users.span.clone(), "nobody gets through");
            found.help("make new hashes with `mainstay hash-password`, and put them here");
            return self.policy.deny_all(&span, self.report);
        }
        let entries = pairs.into_iter().map(|(name, hash)| (name, node::text(hash, &users.span))).collect();
        let mut table = vec![("users", node::table(entries, &users.span))];
        table.extend(realm.map(|own| ("realm", node::text(own.text(), &own.span))));
        self.put("basic_auth", node::table(table, &span));
        for key in ["removeheader", "headerfield"] {
            if let Some(own) = self.get(key) {
                self.lost(&own.span, "the name and the password are passed on as they came");
            }
        }
    }

    /// `forwardauth`.
    pub fn forward_auth(&mut self) {
        let span = self.span.clone();
        let url = self.get("address").map_or("", Setting::text);
        if url.starts_with("https://") || url.is_empty() {
            self.lost(&span, "the server cannot be asked over HTTPS: nobody gets through");
            return self.policy.deny_all(&span, self.report);
        }
        let (name, port) = address(url);
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let mut entries = vec![("path", node::text(path, &span))];
        match self.apps.contains(name) {
            true => entries.push(("app", node::text(name, &span))),
            false => entries.push(("proxy", node::text(format!("{name}:{}", port.unwrap_or(80)), &span))),
        }
        if let Some(own) = self.get("authresponseheaders") {
            entries.push(("copy", node::texts(own.list(), &own.span)));
        }
        self.put("forward_auth", node::table(entries, &span));
        for key in [
            "trustforwardheader",
            "authrequestheaders",
            "authresponseheadersregex",
            "addauthcookiestoresponse",
        ] {
            if let Some(own) = self.get(key) {
                self.lost(
                    &own.span,
                    "it is asked with the request's head, and its own headers are taken by name",
                );
            }
        }
    }
}
