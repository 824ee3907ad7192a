//! Containers by label.
//!
//! Podman 4 gives one whose monitor was killed a state of its own, `stopped`, which Docker's interface does not have, and with which its whole answer
//! cannot be read. Those are removed, as what they are: nobody can start or wait for them. Then it is asked again.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, PruneContainersOptionsBuilder};
use std::collections::HashMap;

/// All that have these labels (`name=value`), whatever their state.
///
/// # Errors
/// When the engine does not answer or says no.
pub(crate) async fn labelled(docker: &Docker, labels: Vec<String>) -> Result<Vec<ContainerSummary>, Error> {
    let filters = HashMap::from([("label", labels)]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    match docker.list_containers(Some(options.clone())).await {
        Err(Error::JsonDataError { message, .. }) => {
            tracing::debug!(
                message,
                "what the engine lists cannot be read: what nobody can wait for is removed"
            );
            let ended = PruneContainersOptionsBuilder::default().filters(&filters).build();
            docker.prune_containers(Some(ended)).await?;
            docker.list_containers(Some(options)).await
        }
        listed => listed,
    }
}
