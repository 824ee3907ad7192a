//! What runners that were killed left behind: containers of this home that belong to no living instance, and networks of stacks that are
//! gone. Both are known by their labels; nothing else is ever touched, and no volume.

use crate::{engine, listing, run};
use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::ListNetworksOptionsBuilder;
use std::collections::HashMap;
use wire::container::{LABEL_HOME, LABEL_INSTANCE, LABEL_STACK};

/// Who is alive. Asked after the engine has said what there is: whoever was started meanwhile is alive then.
pub trait Living {
    /// Whether this instance (`model::InstanceId` as text) is.
    fn instance(&self, id: &str) -> bool;
    /// Whether this stack is.
    fn stack(&self, name: &str) -> bool;
}

/// Removes what is of `home` and of nobody who lives. Gives what was removed, for the log.
///
/// # Errors
/// When the engine does not answer or says no, of a container too; the others are removed all the same. A network that is in use stays until
/// the next time.
pub async fn sweep(engine: &str, home: &str, living: &(dyn Living + Sync)) -> Result<Vec<String>, String> {
    let docker = engine::connect(engine).await.map_err(|error| engine::words(&error))?;
    whole(&docker, home, living).await.map_err(|error| engine::words(&error))?
}

async fn whole(
    docker: &Docker,
    home: &str,
    living: &(dyn Living + Sync),
) -> Result<Result<Vec<String>, String>, Error> {
    let label = format!("{LABEL_HOME}={home}");
    let (mut removed, mut stays) = (Vec::new(), Ok(()));
    for container in listing::labelled(docker, vec![label.clone()]).await? {
        let instance = container.labels.as_ref().and_then(|labels| labels.get(LABEL_INSTANCE));
        let (Some(id), Some(instance)) = (container.id, instance) else { continue };
        if !living.instance(instance) {
            match run::try_remove(docker, &id).await {
                Ok(()) => removed.push(format!("container of {instance}")),
                Err(error) => stays = Err(format!("container of {instance}: {}", engine::words(&error))),
            }
        }
    }
    let ours = HashMap::from([("label", vec![label])]);
    let options = ListNetworksOptionsBuilder::default().filters(&ours).build();
    for network in docker.list_networks(Some(options)).await? {
        let stack = network.labels.as_ref().and_then(|labels| labels.get(LABEL_STACK));
        let (Some(name), Some(stack)) = (network.name, stack) else { continue };
        // One in use stays: its containers go first.
        if !living.stack(stack) && docker.remove_network(&name).await.is_ok() {
            removed.push(format!("network {name}"));
        }
    }
    Ok(stays.map(|()| removed))
}
