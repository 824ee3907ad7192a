//! The middleware `headers`: request and response headers, cross-origin sharing, security headers.

use super::One;
use crate::import::traefik::node;
use crate::import::traefik::settings::Setting;
use crate::tree::Node;

/// What each setting of a flag or a text sets: key, header, value where it is a flag.
const SECURITY: [(&str, &str, Option<&str>); 9] = [
    ("framedeny", "X-Frame-Options", Some("DENY")),
    ("contenttypenosniff", "X-Content-Type-Options", Some("nosniff")),
    ("browserxssfilter", "X-XSS-Protection", Some("1; mode=block")),
    ("customframeoptionsvalue", "X-Frame-Options", None),
    ("custombrowserxssvalue", "X-XSS-Protection", None),
    ("contentsecuritypolicy", "Content-Security-Policy", None),
    ("contentsecuritypolicyreportonly", "Content-Security-Policy-Report-Only", None),
    ("referrerpolicy", "Referrer-Policy", None),
    ("permissionspolicy", "Permissions-Policy", None),
];

impl One<'_, '_> {
    /// Translates it whole.
    pub fn headers(&mut self) {
        self.custom("customrequestheaders", "request_headers");
        self.custom("customresponseheaders", "headers");
        for (key, name, value) in SECURITY {
            let Some(own) = self.get(key) else { continue };
            match value {
                Some(value) if own.flag() => self.header(name, node::text(value, &own.span), own),
                Some(_) => {}
                None => self.header(name, node::text(own.text(), &own.span), own),
            }
        }
        self.strict_transport();
        self.cors();
        if self.get("sslredirect").is_some_and(Setting::flag) {
            self.policy.to_https = true;
            self.redirect("https://{host}{path}{query}", 301);
        }
        const KNOWN: [&str; 5] =
            ["sslredirect", "stsseconds", "stsincludesubdomains", "stspreload", "forcestsheader"];
        let at = self.at.clone();
        let unknown = self.settings.below(&at).filter(|(key, _)| {
            !key.starts_with("custom")
                && !key.starts_with("accesscontrol")
                && !KNOWN.contains(key)
                && *key != "addvaryheader"
                && !SECURITY.iter().any(|(own, ..)| own == key)
        });
        for (_, own) in unknown {
            self.lost(&own.span, "Mainstay has nothing of this kind");
        }
    }

    fn header(&mut self, name: &str, value: Node, own: &Setting) {
        self.put("headers", node::table(vec![(name, value)], &own.span));
    }

    fn custom(&mut self, key: &str, to: &str) {
        let at = format!("{}.{key}", self.at);
        let all: Vec<&Setting> = self.settings.take(&at).map(|(_, own)| own).collect();
        for own in all {
            // The name as it was written.
            let name = own.written.get(own.key.len().min(at.len()) + 1..).unwrap_or_default();
            let value = match own.text() {
                "" => node::flag(false, &own.span),
                _ => node::text(own.values.join(", "), &own.span),
            };
            self.put(to, node::table(vec![(name, value)], &own.span));
        }
    }

    fn strict_transport(&mut self) {
        let Some(own) = self.get("stsseconds").filter(|own| own.text() != "0") else { return };
        let mut value = format!("max-age={}", own.text());
        if self.get("stsincludesubdomains").is_some_and(Setting::flag) {
            value += "; includeSubDomains";
        }
        if self.get("stspreload").is_some_and(Setting::flag) {
            value += "; preload";
        }
        let always = self.get("forcestsheader").is_some_and(Setting::flag);
        let entries =
            vec![("value", node::text(value, &own.span)), ("https_only", node::flag(!always, &own.span))];
        self.header("Strict-Transport-Security", node::table(entries, &own.span), own);
    }

    fn cors(&mut self) {
        let origins = self.get("accesscontrolalloworiginlist");
        if let Some(own) = self.get("accesscontrolalloworiginlistregex") {
            self.lost(
                &own.span,
                "origins are named, not described: write them into accesscontrolalloworiginlist",
            );
        }
        let Some(origins) = origins else { return };
        let mut entries = vec![("origins", node::texts(origins.list(), &origins.span))];
        for (key, name) in [
            ("accesscontrolallowmethods", "methods"),
            ("accesscontrolallowheaders", "headers"),
            ("accesscontrolexposeheaders", "expose"),
        ] {
            entries.extend(self.get(key).map(|own| (name, node::texts(own.list(), &own.span))));
        }
        let credentials = self.get("accesscontrolallowcredentials");
        entries.extend(credentials.map(|own| ("credentials", node::flag(own.flag(), &own.span))));
        let age = self.get("accesscontrolmaxage").filter(|own| own.text() != "0");
        entries.extend(age.map(|own| ("max_age", node::text(format!("{}s", own.text()), &own.span))));
        let table = node::table(entries, &origins.span);
        self.put("cors", table);
    }
}
