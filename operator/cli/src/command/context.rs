//! `fulcrum context`

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fulcrum_sdk::IdentityDir;
use serde::Serialize;

use crate::client::connection::{Connection, address};
use crate::client::enrolment;
use crate::context::store::{Context as Entry, Selection, check_name};
use crate::context::target::{DEFAULT_NAMESPACE, Target, home_namespace};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::printer::{Page, Row};
use crate::output::style::Tone;
use crate::output::table::Cell;
use crate::session::Session;

/// Choose which controller you talk to, as whom, in which namespace
#[derive(Debug, Subcommand)]
pub enum Context {
    List(List),
    Show(Show),
    Use(Use),
    Add(Add),
}

/// List contexts; the current one is marked
#[derive(Debug, Args)]
pub struct List {}

/// Show a context
#[derive(Debug, Args)]
pub struct Show {
    /// Its name; the current one if not given
    name: Option<String>,
}

/// Use a context from now on
#[derive(Debug, Args)]
pub struct Use {
    /// Its name
    name: String,
}

/// Add a context: enrol with a token, or take an identity that is there already
///
/// The private key is made on this machine and stays here. The token says by itself which controller to trust.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum context add prod --enrol-at fulcrum.example:7401 --token v1.…
  fulcrum context add prod --enrol-at fulcrum.example:7401 --token - < token.txt
  fulcrum context add laptop --identity ~/fulcrum-identity --address fulcrum.example:7400")]
pub struct Add {
    /// Name of the context
    name: String,

    /// Join token from an operator, or - for stdin
    #[arg(
        long,
        value_name = "TOKEN",
        requires = "enrol_at",
        required_unless_present = "identity"
    )]
    token: Option<String>,

    /// The controller's enrolment listener
    #[arg(long, value_name = "HOST:PORT", requires = "token")]
    enrol_at: Option<String>,

    /// Use it from now on
    #[arg(long = "use")]
    select: bool,
}

#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    current: bool,
    address: String,
    namespace: String,
    identity: PathBuf,
}

impl Row for ContextView {
    const HEADER: &'static [&'static str] = &["", "CONTEXT", "ADDRESS", "NAMESPACE", "IDENTITY"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::toned(Tone::Good, if self.current { "*" } else { " " }),
            Cell::from(&self.name),
            Cell::from(&self.address),
            Cell::from(&self.namespace),
            self.identity.display().to_string().into(),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}

impl Page for ContextView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("context", self.name.clone()),
            (
                "current",
                if self.current { "yes" } else { "no" }.to_owned(),
            ),
            ("address", self.address.clone()),
            ("namespace", self.namespace.clone()),
            ("identity", self.identity.display().to_string()),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}

impl Context {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Context::List(_) => list(session),
            Context::Show(show) => show.run(session),
            Context::Use(chosen) => chosen.run(session),
            Context::Add(add) => add.run(session).await,
        }
    }
}

fn views(session: &Session) -> Result<Vec<ContextView>, CliError> {
    let contexts = session.store()?.load()?;
    let current = contexts.current;
    let view = |(name, entry): (String, Entry)| ContextView {
        current: current.as_deref() == Some(name.as_str()),
        name,
        address: entry.address,
        namespace: entry.namespace,
        identity: entry.identity,
    };
    Ok(contexts.contexts.into_iter().map(view).collect())
}

fn unknown(name: &str) -> CliError {
    CliError::NotFound {
        message: format!("there is no context `{name}`"),
        fix: "`fulcrum context list` shows what there is; `fulcrum context add` makes one"
            .to_owned(),
    }
}

fn list(session: &Session) -> Result<Exit, CliError> {
    let views = views(session)?;
    if views.is_empty() {
        session
            .notice()
            .say("no contexts; `fulcrum dev` makes one, `fulcrum context add` another");
    }
    session.printer().list(&views)?;
    Ok(Exit::Ok)
}

impl Show {
    fn run(self, session: &Session) -> Result<Exit, CliError> {
        let wanted = |view: &ContextView| {
            self.name
                .as_ref()
                .map_or(view.current, |name| *name == view.name)
        };
        let view = views(session)?.into_iter().find(wanted);
        let view = view.ok_or_else(|| unknown(self.name.as_deref().unwrap_or("(current)")))?;
        session.printer().page(&view)?;
        Ok(Exit::Ok)
    }
}

impl Use {
    fn run(self, session: &Session) -> Result<Exit, CliError> {
        let store = session.store()?;
        let mut contexts = store.load()?;
        if !contexts.contexts.contains_key(&self.name) {
            return Err(unknown(&self.name));
        }
        contexts.current = Some(self.name.clone());
        store.save(&contexts)?;
        session
            .notice()
            .say(&format!("using context {}", self.name));
        Ok(Exit::Ok)
    }
}

impl Add {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        check_name(&self.name)?;
        let store = session.store()?;
        let entry = match (&self.token, &self.enrol_at) {
            (Some(token), Some(enrol_at)) => {
                let dir = session
                    .asked_identity()
                    .unwrap_or_else(|| store.identity_dir(&self.name));
                let about =
                    enrolment::enrol(enrol_at, &read_token(token)?, &IdentityDir::at(&dir)).await?;
                session
                    .notice()
                    .say(&format!("enrolled as {} ({})", about.name, about.id));
                let namespace = home_namespace(about.namespace);
                Entry {
                    address: address(&about.endpoint),
                    identity: absolute(dir)?,
                    namespace,
                }
            }
            (_, _) => {
                let dir = session.asked_identity().ok_or_else(|| {
                    CliError::usage(
                        "nothing says as whom to connect",
                        "give --token and --enrol-at, or --identity",
                    )
                })?;
                let identity = IdentityDir::at(&dir)
                    .load()
                    .map_err(crate::client::connection::identity_error)?;
                let about = identity.about;
                let known = about.as_ref().map(|about| address(&about.endpoint));
                let address = session
                    .asked_address()
                    .map(str::to_owned)
                    .or(known)
                    .ok_or_else(|| {
                        CliError::usage(
                            "nothing says where the controller is",
                            "give --address HOST:PORT",
                        )
                    })?;
                let namespace = about.map_or_else(
                    || DEFAULT_NAMESPACE.to_owned(),
                    |about| home_namespace(about.namespace),
                );
                Entry {
                    address,
                    identity: absolute(dir)?,
                    namespace,
                }
            }
        };
        let entry = Entry {
            address: session.asked_address().map_or(entry.address, str::to_owned),
            namespace: session
                .asked_namespace()
                .map_or(entry.namespace, str::to_owned),
            ..entry
        };
        let target = Target {
            context: self.name.clone(),
            address: entry.address.clone(),
            identity: entry.identity.clone(),
            namespace: entry.namespace.clone(),
        };
        let selection = if self.select {
            Selection::Use
        } else {
            Selection::Keep
        };
        store.put(&self.name, entry, selection)?;
        if self.token.is_some() {
            enrolment::settle(&Connection::open(target).await?).await?;
        }
        session.notice().next("fulcrum whoami");
        Ok(Exit::Ok)
    }
}

fn read_token(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|source| CliError::Io {
            what: "cannot read the token from stdin".to_owned(),
            source,
        })?;
    Ok(text.trim().to_owned())
}

/// A context is used from any directory.
fn absolute(dir: PathBuf) -> Result<PathBuf, CliError> {
    std::path::absolute(&dir).map_err(|source| CliError::file("find", dir, source))
}
