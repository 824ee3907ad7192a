//! `[acme]`, and `tls` of the sites whose certificates come from there.

use super::{Context, command, env, missing};
use crate::diagnostic::nearest;
use crate::file::{
    AcmeFile, AuthorityFile, ChallengeFile, ChallengesFile, DnsFile, EabFile, KeyKindFile, TlsTable,
};
use crate::place::Place;
use crate::{values, web};
use model::acme::{
    AcmeSpec, AuthoritySpec, ChallengeKind, DnsSpec, EabSpec, GOOGLE, KeyKind, LETSENCRYPT,
    LETSENCRYPT_STAGING, OnDemandSpec, SiteAcme, ZEROSSL,
};
use model::site::{TlsSpec, address};
use std::path::Path;
use std::time::Duration;

/// Authorities by name.
const AUTHORITIES: [(&str, &str); 4] = [
    ("letsencrypt", LETSENCRYPT),
    ("letsencrypt-staging", LETSENCRYPT_STAGING),
    ("zerossl", ZEROSSL),
    ("google", GOOGLE),
];

/// Profile by which Let's Encrypt certifies addresses.
const SHORTLIVED: &str = "shortlived";

/// What a stack has of it, while its sites are looked at.
pub struct Scope {
    spec: AcmeSpec,
    /// `[acme]` is there.
    given: bool,
    /// A site needs it.
    used: bool,
}

impl Scope {
    /// Reads `[acme]`.
    pub fn read(context: &mut Context<'_>, place: Place<'_>, file: &AcmeFile) -> Self {
        let mut authorities = vec![authority(context, place, &file.first)];
        for (index, fallback) in file.fallback.iter().enumerate() {
            let place = place.key("fallback").item(index);
            missing(context, place, "authority", "a fallback", "write `authority = \"zerossl\"`");
            authorities.push(authority(context, place, &fallback.authority));
        }
        let challenges = challenges(file.challenge.as_ref());
        let dns = file.dns.as_ref().and_then(|dns| self::dns(context, place.key("dns"), dns));
        if challenges.contains(&ChallengeKind::Dns01) && !place.key("dns").given() {
            let found = context.report.error("acme::dns", "`dns-01` needs a command that makes records");
            found
                .at(place.key("challenge").span(), "by nobody")
                .help("add `dns = { command = [\"./records.sh\"] }`; it gets `set NAME VALUE` or `unset NAME VALUE`");
        }
        let spec = AcmeSpec {
            authorities,
            challenges,
            dns,
            key: match file.key {
                None | Some(KeyKindFile::P256) => KeyKind::P256,
                Some(KeyKindFile::P384) => KeyKind::P384,
                Some(KeyKindFile::Rsa2048) => KeyKind::Rsa2048,
            },
            check_names: file.check_names.unwrap_or(true),
            wait: context.duration(place.key("wait"), file.wait.as_ref(), Duration::ZERO, true),
            export: file.export.as_deref().and_then(|text| context.path(place.key("export"), text)),
            hook: command::argv(context, place.key("hook"), file.hook.as_ref()),
            on_demand: file.on_demand.as_ref().and_then(|own| {
                let place = place.key("on_demand");
                missing(
                    context,
                    place,
                    "ask",
                    "`on_demand`",
                    "write `ask = \"http://127.0.0.1:5000/allowed\"`",
                );
                let ask = own.ask.clone().filter(|url| is_question(context, place.key("ask"), url))?;
                Some(OnDemandSpec { ask })
            }),
        };
        Self { spec, given: place.given(), used: false }
    }

    /// What the stack keeps of it: nothing, where no site needs it.
    pub fn end(self, context: &mut Context<'_>, place: Place<'_>) -> Option<AcmeSpec> {
        if self.given && !self.used && !context.report.has_errors() {
            let found =
                context.report.warning("acme::unused", "no site gets a certificate from this authority");
            found.at(place.name_span(), "not used");
            found.help(
                "sites with public names do, where `[listen] https` is given and `tls` says nothing else",
            );
        }
        self.used.then_some(self.spec)
    }

    /// Of a site that says nothing, in a stack that listens for HTTPS: whether its certificate comes from the authority.
    pub fn is_default(&self, hosts: &[String]) -> bool {
        self.given && !hosts.is_empty() && hosts.iter().all(|host| self.certifies(host) && !is_address(host))
    }

    /// Its certificate comes from the authority: `tls = "acme"`, a table without files, or by default. `None`: it cannot.
    pub fn site(
        &mut self,
        context: &mut Context<'_>,
        place: Place<'_>,
        hosts: &[String],
        table: Option<&TlsTable>,
    ) -> Option<TlsSpec> {
        let (tls, hosts_place) = (place.key("tls"), place.key("hosts"));
        let mut site = SiteAcme {
            profile: table.and_then(|table| table.profile.clone()),
            challenges: challenges(table.and_then(|table| table.challenge.as_ref())),
        };
        if let Some(host) = hosts.iter().find(|host| self.is_public() && values::is_placeholder(host)) {
            let found =
                context.report.warning("acme::placeholder", format!("no certificate is asked for `{host}`"));
            found.at(hosts_place.span(), "a name that documents use in examples");
            found.help("write your own domain; until then the local authority makes its certificate");
            return None;
        }
        let wild = hosts.iter().find(|host| host.starts_with("*."));
        let by_dns = self.spec.dns.is_some();
        let why = if let Some(host) = hosts.iter().find(|host| !self.certifies(host)) {
            let help = match host.as_str() {
                "*" => "name the hosts, or add `on_demand = { ask = \"http://…\" }` to `[acme]`".to_owned(),
                _ => "write `tls = \"local\"`, or give it a site of its own".to_owned(),
            };
            Some((format!("no authority certifies `{host}`"), help))
        } else if let Some(host) = wild.filter(|_| !by_dns) {
            let help = "add `dns = { command = [\"./records.sh\"] }` to `[acme]`".to_owned();
            Some((format!("`{host}` can be proved by records of DNS only"), help))
        } else {
            None
        };
        if let Some((message, help)) = why {
            let at = if tls.given() { tls.span() } else { hosts_place.span() };
            context.report.error("acme::impossible", message).at(at, "not from an authority").help(help);
            return None;
        }
        if site.profile.is_none() && hosts.iter().any(|host| is_address(host)) && self.is_letsencrypt() {
            site.profile = Some(SHORTLIVED.to_owned());
        }
        self.used = true;
        Some(TlsSpec::Acme(site))
    }

    /// Whether the authorities can certify it. Those with a name are bound by the rules for public names, of others nothing is known.
    fn certifies(&self, host: &str) -> bool {
        match host {
            "*" => self.spec.on_demand.is_some(),
            _ if is_address(host) => !self.is_public() || is_public_address(host),
            _ => !self.is_public() || !web::is_local(host),
        }
    }

    fn is_public(&self) -> bool {
        let known = |own: &AuthoritySpec| AUTHORITIES.iter().any(|(_, url)| *url == own.directory);
        self.spec.authorities.iter().all(known)
    }

    fn is_letsencrypt(&self) -> bool {
        let first = self.spec.authorities.first();
        first.is_some_and(|own| {
            own.profile.is_none() && [LETSENCRYPT, LETSENCRYPT_STAGING].contains(&&*own.directory)
        })
    }

    /// Says so where authorities would knock on a door that is not there.
    pub fn doors(&self, context: &mut Context<'_>, place: Place<'_>, ports: &[u16]) {
        let kinds = &self.spec.challenges;
        let needs = |kind, port| kinds.contains(&kind) && !ports.contains(&port);
        let nowhere =
            kinds.is_empty() && !ports.contains(&80) && !ports.contains(&443) && self.spec.dns.is_none();
        if !self.used || !self.is_public() {
            return;
        }
        let port = match () {
            () if nowhere => "80 nor 443",
            () if needs(ChallengeKind::Http01, 80) => "80",
            () if needs(ChallengeKind::TlsAlpn01, 443) => "443",
            () => return,
        };
        let found = context.report.warning("acme::ports", format!("nobody listens on port {port} here"));
        found.at(place.name_span(), "authorities come to ports 80 and 443, and to no others");
        found.help("listen there, have them led here, or prove names by `dns`");
    }
}

fn authority(context: &mut Context<'_>, place: Place<'_>, file: &AuthorityFile) -> AuthoritySpec {
    let name = file.authority.as_deref().unwrap_or("letsencrypt");
    let known = AUTHORITIES.iter().find(|(known, _)| *known == name).map(|(_, url)| (*url).to_owned());
    if known.is_none() && !is_url(name, &["https://"]) {
        let message = format!("{name:?} is no authority");
        let found = context.report.error("acme::authority", message);
        found.at(place.key("authority").span(), "neither a name nor an https:// URL");
        let near = nearest(name, AUTHORITIES.iter().map(|(known, _)| *known));
        found.help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "write `letsencrypt`, `letsencrypt-staging`, `zerossl`, `google`, or the URL of its directory"
                    .into()
            }
        });
    }
    let directory = known.unwrap_or_else(|| name.to_owned());
    let email = file.email.clone().filter(|email| !email.is_empty());
    if let Some(email) = email.as_ref().filter(|email| !is_email(email)) {
        let found = context.report.error("acme::email", format!("{email:?} is no e-mail address"));
        found
            .at(place.key("email").span(), "without `mailto:`, one address")
            .help("write `admin@shop.de`, or leave it out");
    }
    let eab = file.eab.as_ref().and_then(|eab| self::eab(context, place.key("eab"), eab));
    if eab.is_none() && !place.key("eab").given() && [ZEROSSL, GOOGLE].contains(&&*directory) {
        let found =
            context.report.error("acme::eab", format!("`{name}` gives accounts to those it knows only"));
        found.at(place.key("authority").span(), "needs `eab`");
        found.help("add `eab = { key_id = \"…\", hmac_key = { secret = \"${EAB_HMAC_KEY}\" } }`, as its web page shows them");
    }
    AuthoritySpec {
        directory,
        email,
        root: file
            .root
            .as_deref()
            .and_then(|text| super::tls::pem(context, place, "root", text, "CERTIFICATE")),
        eab,
        profile: file.profile.clone(),
    }
}

fn eab(context: &mut Context<'_>, place: Place<'_>, file: &EabFile) -> Option<EabSpec> {
    for name in ["key_id", "hmac_key"] {
        let help = "write `eab = { key_id = \"…\", hmac_key = { secret = \"${EAB_HMAC_KEY}\" } }`";
        missing(context, place, name, "`eab`", help);
    }
    let hmac_key = env::secret(context, place.key("hmac_key"), file.hmac_key.as_ref()?)?;
    Some(EabSpec { key_id: file.key_id.clone()?, hmac_key })
}

fn dns(context: &mut Context<'_>, place: Place<'_>, file: &DnsFile) -> Option<DnsSpec> {
    missing(context, place, "command", "`dns`", "write `command = [\"./records.sh\"]`");
    let mut command = command::argv(context, place.key("command"), file.command.as_ref());
    let program = command.first_mut()?;
    // A path is relative to the manifest, a name is looked for on the PATH.
    if program.contains('/') {
        *program = context.path(place.key("command"), program)?.to_string_lossy().into_owned();
        if context.disk.is_real() && !Path::new(program).is_file() {
            let found = context.report.error("command::missing", format!("there is no {program}"));
            found.at(place.key("command").span(), "not there");
        }
    }
    let own = place.key("env");
    let variable =
        |(name, value)| Some((String::clone(name), env::value(context, own.key(name), name, value)?));
    let env = file.env.iter().filter_map(variable).collect();
    let seconds = Duration::from_secs;
    Some(DnsSpec {
        command,
        env,
        propagation: context.duration(place.key("propagation"), file.propagation.as_ref(), seconds(30), true),
        timeout: context.duration(place.key("timeout"), file.timeout.as_ref(), seconds(60), false),
    })
}

fn challenges(file: Option<&ChallengesFile>) -> Vec<ChallengeKind> {
    let kinds = match file {
        None => &[],
        Some(ChallengesFile::One(kind)) => std::slice::from_ref(kind),
        Some(ChallengesFile::Many(kinds)) => &kinds[..],
    };
    let kind = |kind: &ChallengeFile| match kind {
        ChallengeFile::Http01 => ChallengeKind::Http01,
        ChallengeFile::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        ChallengeFile::Dns01 => ChallengeKind::Dns01,
    };
    kinds.iter().map(kind).collect()
}

fn is_question(context: &mut Context<'_>, place: Place<'_>, url: &str) -> bool {
    let fits = is_url(url, &["http://"]) && !url.contains(['?', '#']);
    if !fits {
        let found = context.report.error("acme::ask", format!("{url:?} cannot be asked"));
        found.at(place.span(), "an http:// URL without a query is asked, with `?domain=NAME` behind it");
        found.help("write `ask = \"http://127.0.0.1:5000/allowed\"`: the way there is inside this host or its network");
    }
    fits
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}@".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']) && rest.chars().all(plain))
}

fn is_email(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>,;:\"()[]\\".contains(c);
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && text.chars().all(plain)
    })
}

fn is_address(host: &str) -> bool {
    address(host).is_some()
}

fn is_public_address(host: &str) -> bool {
    match address(host) {
        Some(std::net::IpAddr::V4(own)) => {
            !(own.is_private() || own.is_loopback() || own.is_link_local() || own.is_unspecified())
        }
        Some(std::net::IpAddr::V6(own)) => {
            !(own.is_loopback()
                || own.is_unspecified()
                || own.is_unique_local()
                || own.is_unicast_link_local())
        }
        None => false,
    }
}
