//! `fulcrum dev`

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use clap::Args;
use fulcrum_sdk::shutdown;

use crate::context::store::{Context, Selection};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::stack::home::Home;
use crate::stack::postgres::account::Account;
use crate::stack::start::{Data, Options, Stack};

/// Name of the context that points to the stack.
const CONTEXT: &str = "dev";

/// Run everything on this machine: PostgreSQL, controller, executor and connector, in one process
///
/// The servers are the ones you run in production, and they speak mTLS here too; they listen on loopback only. The
/// context `dev` is made for you, so that every other command works in another terminal. What you do is kept in the data
/// directory and is there again the next time. Ctrl-C drains and stops everything.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The controller's own settings can be set in the environment: FULCRUM_LEASE__TTL_MS=5000. FULCRUM_LOG filters the log.

Examples:
  fulcrum dev
  fulcrum dev --connector-config connector.yaml
  fulcrum dev --ephemeral --port 9400")]
pub struct Dev {
    /// Where everything is kept [default: ~/.local/share/fulcrum/dev; for root /var/lib/fulcrum/dev]
    #[arg(long, value_name = "DIR", env = "FULCRUM_DEV_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// Keep nothing: a data directory of its own, deleted at the end
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,

    /// What the connector offers; without it there is no connector
    #[arg(long, value_name = "FILE")]
    connector_config: Option<PathBuf>,

    /// Where relative paths in that file start, instead of at the file itself
    #[arg(long, value_name = "DIR", requires = "connector_config")]
    connector_data_dir: Option<PathBuf>,

    /// First of four neighbouring ports: API, enrolment, health, PostgreSQL
    #[arg(long, value_name = "PORT", default_value_t = 7400, value_parser = clap::value_parser!(u16).range(1024..65_000))]
    port: u16,

    /// Tasks that each worker does at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
}

impl Dev {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let stop = shutdown::on_signal();
        let (dir, data) = self.directory()?;
        let options = Options {
            dir: dir.clone(),
            data,
            port: Some(self.port),
            databases: Vec::new(),
            slots: self.slots,
        };
        let notice = session.notice();
        let progress = Progress::spinner(notice, "starting");
        let mut stack = Box::pin(Stack::start(options, |step| progress.set(0, step)))
            .await
            .inspect_err(|_| {
                let logs = dir.join("logs");
                if logs.is_dir() {
                    notice.say(&format!("logs: {}", logs.display()));
                }
            })?;
        let ready = async {
            progress.set(0, "starting the workers");
            stack.add_executor().await?;
            if let Some(config) = &self.connector_config {
                stack
                    .add_connector(config, self.connector_data_dir.as_deref())
                    .await?;
            }
            Ok::<_, CliError>(())
        };
        let ready = match ready.await {
            Ok(()) => self.introduce(session, &stack, &progress),
            Err(error) => Err(error),
        };
        drop(progress);
        let ended = match ready {
            Ok(()) => tokio::select! {
                () = stop.cancelled() => Ok(Exit::Ok),
                error = stack.failed() => Err(CliError::from(error)),
            },
            Err(error) => Err(error),
        };
        let progress = Progress::spinner(notice, "stopping");
        stack.stop(|step| progress.set(0, step)).await;
        drop(progress);
        if self.ephemeral {
            Home::open(&dir)?.clear()?;
            std::fs::remove_dir_all(&dir).map_err(|error| CliError::file("delete", &dir, error))?;
        }
        notice.say("stopped");
        ended
    }

    fn directory(&self) -> Result<(PathBuf, Data), CliError> {
        if self.ephemeral {
            return Ok((ephemeral_dir()?, Data::Fresh));
        }
        let account = Account::for_servers()?;
        let get = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let dir = self.data_dir.clone();
        Ok((
            dir.unwrap_or_else(|| {
                Home::default_dir(account.as_ref(), get("XDG_DATA_HOME"), get("HOME"))
            }),
            Data::Keep,
        ))
    }

    /// Makes the context, and says where everything is and what to type next.
    fn introduce(
        &self,
        session: &Session,
        stack: &Stack,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let store = session.store()?;
        let target = stack.operator().target();
        let entry = Context {
            address: target.address.clone(),
            identity: target.identity.clone(),
            namespace: target.namespace.clone(),
        };
        store.put(CONTEXT, entry, Selection::Keep)?;
        let current = store.load()?.current;
        let ports = stack.ports();
        let logs = stack.home().logs();
        let rows = [
            ("controller", format!("{} (gRPC over mTLS)", ports.api())),
            ("enrolment", ports.enrolment().to_string()),
            ("health", format!("http://{}/readyz", ports.http())),
            ("postgres", format!("127.0.0.1:{}", ports.postgres())),
            ("identity", target.identity.display().to_string()),
            ("data", stack.home().dir().display().to_string()),
            ("logs", logs.display().to_string()),
        ];
        let mut text = String::from("Fulcrum is up. Ctrl-C stops it; what you did is kept.\n\n");
        for (label, value) in rows {
            text.push_str(&format!("  {label:<12}{value}\n"));
        }
        text.push_str(&match &self.connector_config {
            Some(config) => format!("  {:<12}{}\n", "connector", config.display()),
            None => format!(
                "  {:<12}none; --connector-config FILE starts one\n",
                "connector"
            ),
        });
        let context = if current.as_deref() == Some(CONTEXT) {
            String::new()
        } else {
            format!(" --context {CONTEXT}")
        };
        text.push_str(&format!(
            "\nIn another terminal:\n  fulcrum init && fulcrum{context} apply hello.yaml"
        ));
        progress.say(session.notice(), &text);
        Ok(())
    }
}

/// A new directory with a name that nobody can have guessed.
fn ephemeral_dir() -> Result<PathBuf, CliError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| CliError::Io {
        what: "cannot draw a name".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    let dir = std::env::temp_dir().join(format!("fulcrum-dev-{}", hex::encode(bytes)));
    // Others may pass through it, as PostgreSQL's user must when we are root, but not look around.
    let made = std::fs::DirBuilder::new().mode(0o711).create(&dir);
    made.map_err(|error| CliError::file("create", &dir, error))?;
    Ok(dir)
}
