//! `mainstay service`: what the keeper and the shims call for a data service, with the file that describes it. Not for people.

use crate::args::{ServiceArgs, ServiceVerb};
use crate::error::{Code, Failure};
use data::DataError;

/// Becomes the service's server, or asks it once.
pub fn run(args: &ServiceArgs) -> Result<(), Failure> {
    match &args.verb {
        ServiceVerb::Run(of) => match data::run(&of.description)? {},
        ServiceVerb::Health(of) => Ok(data::health(&of.description)?),
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let code = match error {
            DataError::Unhealthy { .. } => Code::Unhealthy,
            _ => Code::Configuration,
        };
        let failure = Self::new(code, error.to_string());
        match error.next() {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}
