//! Bytes that nobody can guess.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt::Write;
use std::io;

/// So many random bytes, as hexadecimal digits: what passwords and keys are made of.
///
/// # Errors
/// When the system gives none.
pub fn hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    let mut filled = 0;
    while let Some(rest) = random.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(random.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // to memory: does not fail
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (hex(300).unwrap(), hex(300).unwrap());
        assert_eq!(one.len(), 600);
        assert!(one != other && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(hex(0).unwrap(), "");
    }
}
