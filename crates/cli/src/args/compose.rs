//! What is said about compose files, by every verb that reads them.

use clap::Args;
use manifest::Compose;
use std::path::PathBuf;

/// What is asked of compose files beside what they say.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of compose files")]
pub struct ComposeArgs {
    /// Start the services of this profile too; may be given several times, `*` is every profile
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Name of the stack [default: the file's `name:`, else its folder]
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// File of variables instead of the `.env` beside the first file; may be given several times
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Run what is an image of postgres, mariadb, redis, nginx, node or python without a container
    #[arg(long)]
    pub native: bool,
    /// Take a debugger that is switched on in production
    #[arg(long)]
    pub allow_debug: bool,
    /// Build a service with this Dockerfile instead of the file's; may be given several times
    #[arg(long = "dockerfile", value_name = "SERVICE=PATH", value_parser = pair)]
    pub dockerfiles: Vec<(String, String)>,
    /// Have certificates from Let's Encrypt, which writes to this address, for sites with public names, listen on ports 80 and 443 and lead to
    /// HTTPS: as [acme] and [listen] of a manifest would say, where it says nothing of them; kept for later reloads
    #[arg(long, value_name = "EMAIL", help_heading = "Options")]
    pub acme: Option<String>,
    /// Give a service all variables of this file; may be given several times
    #[arg(long = "service-env", value_name = "SERVICE=FILE", value_parser = pair)]
    pub service_env: Vec<(String, String)>,
}

impl ComposeArgs {
    /// As the keeper takes it: paths are absolute; what Compose's own variables say counts where no option does.
    pub fn compose(self, files: Vec<PathBuf>) -> Compose {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let files = files.into_iter().map(absolute).collect();
        let mut own = Compose { files, profiles: self.profiles, ..Compose::default() };
        if own.profiles.is_empty() {
            let said = variable("COMPOSE_PROFILES").unwrap_or_default();
            own.profiles =
                said.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        }
        own.project = self.project_name.or_else(|| variable("COMPOSE_PROJECT_NAME"));
        own.env_file = self.env_files.into_iter().map(absolute).collect();
        own.acme = self.acme;
        own.map.native = self.native;
        own.map.force = self.allow_debug;
        own.map.dockerfiles = self.dockerfiles.into_iter().collect();
        own.map.env_files =
            self.service_env.into_iter().map(|(name, file)| (name, absolute(PathBuf::from(file)))).collect();
        own
    }
}

/// `SERVICE=PATH`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, path) = text.split_once('=').ok_or("not SERVICE=PATH")?;
    Ok((name.to_owned(), path.to_owned()))
}
