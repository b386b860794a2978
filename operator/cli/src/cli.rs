//! The tree of commands, and the options that all of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::session::Session;

const ABOUT: &str = "The operator's hand on Fulcrum: apply workflows, start and follow runs, decide reviews, let workers in";

const LONG_ABOUT: &str = "\
The operator's hand on Fulcrum: apply workflows, start and follow runs, decide reviews, let workers in.

New here? `fulcrum dev` starts everything on this machine and says what to type next; `fulcrum demo onboarding` \
shows a whole example at work.

Data goes to stdout, everything else to stderr. Ids are printed in full and are what other commands take; `--quiet` \
prints ids alone.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "fulcrum",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_long_help = Exit::table(),
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// How to print data
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "FULCRUM_OUTPUT"
    )]
    pub output: Format,

    /// Print ids only, and nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// No colours, as if NO_COLOR were set
    #[arg(long, global = true)]
    pub no_color: bool,

    /// Context to use instead of the current one
    #[arg(long, global = true, value_name = "NAME", env = "FULCRUM_CONTEXT")]
    pub context: Option<String>,

    /// Namespace to act in
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        env = "FULCRUM_NAMESPACE"
    )]
    pub namespace: Option<String>,

    /// Where the controller is
    #[arg(long, global = true, value_name = "HOST:PORT", env = "FULCRUM_ADDRESS")]
    pub address: Option<String>,

    /// Directory of the identity to connect with
    #[arg(long, global = true, value_name = "DIR", env = "FULCRUM_IDENTITY")]
    pub identity: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[cfg(feature = "dev")]
    Dev(command::dev::Dev),
    #[cfg(feature = "dev")]
    Demo(command::demo::Demo),
    Init(command::init::Init),
    Validate(command::validate::Validate),
    Apply(command::apply::Apply),
    #[command(subcommand)]
    Workflow(command::workflow::Workflow),
    #[command(subcommand)]
    Run(command::run::Run),
    #[command(subcommand)]
    Review(command::review::Review),
    #[command(subcommand)]
    Worker(command::worker::Worker),
    #[command(subcommand)]
    Capability(command::capability::Capability),
    #[command(subcommand)]
    Namespace(command::namespace::Namespace),
    #[command(subcommand)]
    Context(command::context::Context),
    Doctor(command::doctor::Doctor),
    #[command(subcommand)]
    Audit(command::audit::Audit),
    #[command(subcommand)]
    Upgrade(command::upgrade::Upgrade),
    Whoami(command::whoami::Whoami),
    Completions(command::completions::Completions),
}

impl Command {
    /// Whether it runs servers in this process.
    #[must_use]
    pub fn runs_servers(&self) -> bool {
        #[cfg(feature = "dev")]
        let servers = matches!(self, Command::Dev(_) | Command::Demo(_));
        #[cfg(not(feature = "dev"))]
        let servers = false;
        servers
    }

    /// Does it.
    ///
    /// # Errors
    /// Everything in [`CliError`].
    pub async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            #[cfg(feature = "dev")]
            Command::Dev(dev) => Box::pin(dev.run(session)).await,
            #[cfg(feature = "dev")]
            Command::Demo(demo) => Box::pin(demo.run(session)).await,
            Command::Init(init) => init.run(session),
            Command::Validate(validate) => Box::pin(validate.run(session)).await,
            Command::Apply(apply) => Box::pin(apply.run(session)).await,
            Command::Workflow(workflow) => Box::pin(workflow.run(session)).await,
            Command::Run(run) => Box::pin(run.run(session)).await,
            Command::Review(review) => Box::pin(review.run(session)).await,
            Command::Worker(worker) => Box::pin(worker.run(session)).await,
            Command::Capability(capability) => Box::pin(capability.run(session)).await,
            Command::Namespace(namespace) => Box::pin(namespace.run(session)).await,
            Command::Context(context) => Box::pin(context.run(session)).await,
            Command::Audit(audit) => Box::pin(audit.run(session)).await,
            Command::Doctor(doctor) => Box::pin(doctor.run(session)).await,
            Command::Upgrade(upgrade) => Box::pin(upgrade.run(session)).await,
            Command::Whoami(whoami) => Box::pin(whoami.run(session)).await,
            Command::Completions(completions) => completions.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_work_after_the_command_too() {
        let cli = Cli::try_parse_from(["fulcrum", "run", "list", "-o", "json", "-n", "acme"])
            .expect("parses");
        assert_eq!(cli.global.output, Format::Json);
        assert_eq!(cli.global.namespace.as_deref(), Some("acme"));
    }
}
