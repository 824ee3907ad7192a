//! What is known of a certificate beside the pair itself: `meta.json`, which people may read. It holds no secret.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// `meta.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Names of the stored pair; before there is one, those that are ordered.
    pub names: Vec<String>,
    /// Directory of the authority that made the stored pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// With which profile; none: the authority's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When the stored pair is renewed.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    pub renew: Option<SystemTime>,
    /// The authority's own word on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<Ari>,
    /// The stored pair was revoked by its owner: another one is due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// [`super::Wish`] of the last failed try, as a hash: another one need not wait.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wanted: String,
    /// Failed tries in a row.
    #[serde(default)]
    pub failures: u32,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Not tried again before; none after a failure that needs somebody.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    pub next_try: Option<SystemTime>,
    /// Since when names are waited for that do not lead here yet.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<SystemTime>,
    /// An order that was begun and not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<UnderWay>,
}

/// What an authority says of renewal (RFC 9773 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ari {
    /// The window it suggests; none: it could not be asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Why the window is as it is, where the authority says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Asked again then.
    #[serde(with = "moment::always")]
    pub ask: SystemTime,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    #[serde(with = "moment::always")]
    pub start: SystemTime,
    /// Its end.
    #[serde(with = "moment::always")]
    pub end: SystemTime,
}

/// An order at an authority (RFC 8555 section 7.1.3). Its private key, once there is one, is `order.key` beside this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Directory of the authority.
    pub directory: String,
    /// E-mail of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// URL of the order.
    pub url: String,
    /// What was ordered.
    pub names: Vec<String>,
    /// With which profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// Times as people write them (RFC 3339).
mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
    use std::time::SystemTime;

    #[allow(clippy::ref_option)] // serde's own signature
    pub(super) fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        let time = time.map(Timestamp::try_from).transpose().map_err(ser::Error::custom)?;
        time.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Timestamp>::deserialize(from)?.map(SystemTime::from))
    }

    /// The same where there always is one.
    pub(super) mod always {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
        use std::time::SystemTime;

        pub(in super::super) fn serialize<S: Serializer>(
            time: &SystemTime,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            Timestamp::try_from(*time).map_err(ser::Error::custom)?.serialize(to)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<SystemTime, D::Error> {
            Timestamp::deserialize(from).map(SystemTime::from)
        }
    }
}
