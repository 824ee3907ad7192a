//! Recognising field names.

use crate::FieldId;

/// The id of a name, in any case.
pub(crate) fn recognise(name: &[u8]) -> FieldId {
    let _ = name;
    FieldId::Other
}
