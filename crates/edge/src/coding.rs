//! Which content coding a client gets (RFC 9110 section 12.5.3): for files prepared in several, and for answers compressed on
//! their way.

use http1::{FieldId, RequestHead};
use model::policy::Coding;

/// Weight of what is named without one, in thousandths.
const FULL: u16 = 1000;

/// Its name in `Content-Encoding`.
pub fn token(coding: Coding) -> &'static str {
    match coding {
        Coding::Br => "br",
        Coding::Zstd => "zstd",
        Coding::Gzip => "gzip",
    }
}

/// The coding for the client of this request: of the `offered` ones the one it weighs most, the first of equals. `None`: as it
/// is, because the client takes none of them, or would rather have none.
pub fn choose(buf: &[u8], head: &RequestHead, offered: &[Coding]) -> Option<Coding> {
    Weights::of_head(buf, head).choose(offered)
}

/// What a client said of each coding, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weights {
    br: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// `*`: all that are not named.
    others: Option<u16>,
}

impl Weights {
    /// As the head of its request has it.
    pub fn of_head(buf: &[u8], head: &RequestHead) -> Self {
        let fields = head.fields.iter().filter(|field| field.id == FieldId::AcceptEncoding);
        Self::of_values(fields.map(|field| field.value.of(buf)))
    }

    fn of_values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut weights = Self::default();
        for member in values.flat_map(|value| value.split(|&byte| byte == b',')) {
            weights.take(member);
        }
        weights
    }

    /// See [`choose`].
    pub fn choose(&self, offered: &[Coding]) -> Option<Coding> {
        let plain = self.identity.unwrap_or(0);
        let mut best = None;
        for &coding in offered {
            let weight = self.of(coding);
            if weight > 0 && weight >= plain && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }

    /// Not as it is, if there is a choice.
    pub fn refuses_plain(&self) -> bool {
        self.identity.or(self.others) == Some(0)
    }

    fn take(&mut self, member: &[u8]) {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let is = |token: &str| name.eq_ignore_ascii_case(token.as_bytes());
        let place = match name.len() {
            1 if is("*") => &mut self.others,
            2 if is("br") => &mut self.br,
            4 if is("gzip") => &mut self.gzip,
            4 if is("zstd") => &mut self.zstd,
            6 if is("x-gzip") => &mut self.gzip,
            8 if is("identity") => &mut self.identity,
            _ => return,
        };
        *place = Some(parts.find_map(weight).unwrap_or(FULL));
    }

    fn of(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Br => self.br,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        named.or(self.others).unwrap_or(0)
    }
}

/// `q=` with up to three decimals (RFC 9110 section 12.4.2); what cannot be read weighs nothing. `None`: another parameter.
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, rest) = value.split_first()?;
    let mut weight = match whole {
        b'1' => return Some(FULL),
        b'0' => 0,
        _ => return Some(0),
    };
    let decimals = rest.strip_prefix(b".").unwrap_or_default();
    for (digit, unit) in decimals.iter().zip([100, 10, 1]) {
        weight += u16::from(digit.wrapping_sub(b'0').min(9)) * unit;
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Br, Gzip, Zstd};

    #[test]
    fn the_weightiest_is_chosen_and_of_equals_the_first_offered() {
        let all = [Br, Zstd, Gzip];
        for (accepted, chosen) in [
            ("gzip, deflate, br, zstd", Some(Br)),
            ("gzip", Some(Gzip)),
            ("X-GZIP", Some(Gzip)),
            ("gzip;q=1.0, br;q=0.9", Some(Gzip)),
            ("gzip; q=0.5 , zstd ; q=0.501", Some(Zstd)),
            ("br;q=0, *", Some(Zstd)),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("gzip;q=none", None),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("deflate", None),
            ("", None),
        ] {
            assert_eq!(
                Weights::of_values([accepted.as_bytes()].into_iter()).choose(&all),
                chosen,
                "{accepted}"
            );
        }
        assert_eq!(
            Weights::of_values([&b"gzip;q=0.5"[..], b"br"].into_iter()).choose(&all),
            Some(Br),
            "two lines"
        );
        assert_eq!(Weights::of_values([&b"br, gzip"[..]].into_iter()).choose(&[Gzip, Br]), Some(Gzip));
        assert_eq!(Weights::of_values([&b"br"[..]].into_iter()).choose(&[]), None);
    }
}
