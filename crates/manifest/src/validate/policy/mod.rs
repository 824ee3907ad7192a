//! What applies to a route beside what answers it. The keys of a site and of its routes are read alike, each where it stands
//! ([`Keys::read`]), and put together for each route ([`Keys::over`]): a key of the route stands in the place of the site's;
//! of the tables of headers and error pages each entry by itself.

mod access;
mod auth;
mod body;
mod cors;
mod headers;
mod limit;
mod path;

pub use body::{compress_default, format_statuses};
pub use headers::{defaults as default_headers, security_names};

use super::Context;
use super::site::Scope;
use crate::file::{PolicyKeys, StagesFile, TimeoutFile};
use crate::place::Place;
use ipnet::IpNet;
use model::policy::{
    AccessSpec, BasicAuthSpec, CompressSpec, ConcurrencySpec, CorsSpec, ErrorPageSpec, ForwardAuthSpec,
    HeaderSpec, MaintenanceSpec, PolicySpec, RateSpec, RewriteSpec,
};
use model::spec::{DEFAULT_BODY_LIMIT, HandlerSpec, Timeouts};

/// The keys of a site, or of a route: outside what was written at all, inside what it says.
pub struct Keys {
    timeouts: Option<Timeouts>,
    body_limit: Option<u64>,
    maintenance: Option<Option<MaintenanceSpec>>,
    allow: Option<Vec<IpNet>>,
    deny: Option<Vec<IpNet>>,
    methods: Option<Vec<String>>,
    file_types: Option<Vec<String>>,
    rates: Option<Vec<RateSpec>>,
    concurrency: Option<Vec<ConcurrencySpec>>,
    cors: Option<Option<CorsSpec>>,
    basic_auth: Option<Option<BasicAuthSpec>>,
    forward_auth: Option<Option<ForwardAuthSpec>>,
    strip_prefix: Option<Option<RewriteSpec>>,
    add_prefix: Option<Option<RewriteSpec>>,
    rewrite: Option<Vec<RewriteSpec>>,
    request_headers: Vec<HeaderSpec>,
    headers: Vec<HeaderSpec>,
    security_headers: Option<bool>,
    error_pages: Vec<ErrorPageSpec>,
    compress: Option<Option<CompressSpec>>,
}

impl Keys {
    /// Checks the keys that stand here.
    pub fn read(context: &mut Context<'_>, place: Place<'_>, file: &PolicyKeys, scope: &Scope<'_>) -> Self {
        let body_limit = file.body.as_ref();
        Self {
            timeouts: file.timeout.as_ref().map(|file| timeouts(context, place.key("timeout"), file)),
            body_limit: body_limit
                .map(|size| context.size(place.key("body"), Some(size), DEFAULT_BODY_LIMIT)),
            maintenance: access::maintenance(context, place.key("maintenance"), file.maintenance.as_ref()),
            allow: access::networks(context, place.key("allow"), file.allow.as_ref()),
            deny: access::networks(context, place.key("deny"), file.deny.as_ref()),
            methods: access::methods(context, place.key("methods"), file.methods.as_ref()),
            file_types: access::file_types(context, place.key("file_types"), file.file_types.as_ref()),
            rates: limit::rates(context, place.key("limit"), file.limit.as_ref(), scope),
            concurrency: limit::concurrency(
                context,
                place.key("concurrency"),
                file.concurrency.as_ref(),
                scope,
            ),
            cors: cors::cors(context, place.key("cors"), file.cors.as_ref()),
            basic_auth: auth::basic(context, place.key("basic_auth"), file.basic_auth.as_ref(), scope),
            forward_auth: auth::forward(
                context,
                place.key("forward_auth"),
                file.forward_auth.as_ref(),
                scope,
            ),
            strip_prefix: path::strip(
                context,
                place.key("strip_prefix"),
                file.strip_prefix.as_deref(),
                scope,
            ),
            add_prefix: path::add(context, place.key("add_prefix"), file.add_prefix.as_deref()),
            rewrite: path::rewrite(context, place.key("rewrite"), file.rewrite.as_deref()),
            request_headers: headers::table(context, place.key("request_headers"), &file.request_headers),
            headers: headers::table(context, place.key("headers"), &file.headers),
            security_headers: file.security_headers,
            error_pages: body::error_pages(context, place.key("error_pages"), &file.error_pages),
            compress: body::compress(context, place.key("compress"), file.compress.as_ref()),
        }
    }

    /// What holds for a route with these keys that `handler` answers, on a site with those.
    pub fn over(
        &self,
        site: &Self,
        defaults: &[HeaderSpec],
        handler: &HandlerSpec,
    ) -> (Timeouts, u64, PolicySpec) {
        let passes = matches!(
            handler,
            HandlerSpec::App(_) | HandlerSpec::Port(..) | HandlerSpec::Apps(_) | HandlerSpec::Proxy(_)
        );
        let inert = matches!(handler, HandlerSpec::Static(files) if files.inert);
        let cors = pick(&self.cors, &site.cors).flatten();
        let mut methods = pick(&self.methods, &site.methods).unwrap_or_default();
        if cors.is_some() && !methods.is_empty() && !methods.iter().any(|method| method == "OPTIONS") {
            // A browser asks first, and the edge answers.
            methods.push("OPTIONS".into());
        }
        let prefixes =
            [pick(&self.strip_prefix, &site.strip_prefix), pick(&self.add_prefix, &site.add_prefix)];
        let mut rewrite: Vec<_> = prefixes.into_iter().flatten().flatten().collect();
        rewrite.extend(pick(&self.rewrite, &site.rewrite).unwrap_or_default());
        let secured = pick(&self.security_headers, &site.security_headers).unwrap_or(true);
        let policy = PolicySpec {
            maintenance: pick(&self.maintenance, &site.maintenance).flatten(),
            access: AccessSpec {
                allow: pick(&self.allow, &site.allow).unwrap_or_default(),
                deny: pick(&self.deny, &site.deny).unwrap_or_default(),
            },
            methods,
            file_types: pick(&self.file_types, &site.file_types).unwrap_or_default(),
            rates: pick(&self.rates, &site.rates).unwrap_or_default(),
            concurrency: pick(&self.concurrency, &site.concurrency).unwrap_or_default(),
            cors,
            basic_auth: pick(&self.basic_auth, &site.basic_auth).flatten(),
            forward_auth: pick(&self.forward_auth, &site.forward_auth).flatten(),
            rewrite,
            request_headers: headers::merged([&self.request_headers, &site.request_headers]),
            response_headers: headers::merged([
                &self.headers,
                &headers::of_site(&site.headers, inert),
                if secured { defaults } else { &[] },
                if passes { headers::hashed() } else { Vec::new() }.as_slice(),
            ]),
            error_pages: body::merged(&self.error_pages, &site.error_pages),
            compress: pick(&self.compress, &site.compress).unwrap_or_else(|| Some(compress_default())),
        };
        let timeouts = pick(&self.timeouts, &site.timeouts).unwrap_or_default();
        (timeouts, pick(&self.body_limit, &site.body_limit).unwrap_or(DEFAULT_BODY_LIMIT), policy)
    }
}

fn pick<T: Clone>(route: &Option<T>, site: &Option<T>) -> Option<T> {
    route.as_ref().or(site.as_ref()).cloned()
}

fn timeouts(context: &mut Context<'_>, place: Place<'_>, file: &TimeoutFile) -> Timeouts {
    let default = Timeouts::default();
    let StagesFile { connect, send, read } = match file {
        TimeoutFile::Read(text) => {
            return Timeouts { read: context.duration(place, Some(text), default.read, false), ..default };
        }
        TimeoutFile::Stages(stages) => stages,
    };
    Timeouts {
        connect: context.duration(place.key("connect"), connect.as_ref(), default.connect, false),
        send: context.duration(place.key("send"), send.as_ref(), default.send, false),
        read: context.duration(place.key("read"), read.as_ref(), default.read, false),
    }
}
