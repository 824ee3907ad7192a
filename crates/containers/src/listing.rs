//! Containers by label.
//!
//! Podman 4 says `stopped` of one that has ended and is not tidied up yet, and for ever of one whose monitor was killed: a state that Docker's
//! interface does not have, and with which its whole answer cannot be read. So it is asked again for a while, since whoever ran the former still has to
//! learn how it ended; the latter are removed then: nobody can start or wait for them.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, PruneContainersOptionsBuilder};
use std::collections::HashMap;
use std::time::Duration;

/// How often it is asked before what cannot be read is removed, and the pause between.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// All that have these labels (`name=value`), whatever their state.
///
/// # Errors
/// When the engine does not answer or says no.
pub(crate) async fn labelled(docker: &Docker, labels: Vec<String>) -> Result<Vec<ContainerSummary>, Error> {
    let filters = HashMap::from([("label", labels)]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for _ in 0..TRIES {
        match docker.list_containers(Some(options.clone())).await {
            Err(Error::JsonDataError { .. }) => tokio::time::sleep(PAUSE).await,
            listed => return listed,
        }
    }
    let ended = PruneContainersOptionsBuilder::default().filters(&filters).build();
    docker.prune_containers(Some(ended)).await?;
    docker.list_containers(Some(options)).await
}
