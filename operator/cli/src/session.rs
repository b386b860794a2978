//! What every command is given: how to print, what time it is, and the way to the controller.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::GlobalArgs;
use crate::client::connection::Connection;
use crate::context::store::{Places, Store};
use crate::context::target::{Overrides, Target};
use crate::error::CliError;
use crate::output::notice::Volume;
use crate::output::printer::Detail;
use crate::output::style::Palette;
use crate::output::{Notice, Printer};

/// One invocation of the program.
#[derive(Debug)]
pub struct Session {
    printer: Printer,
    notice: Notice,
    now: Timestamp,
    overrides: Overrides,
}

impl Session {
    /// The session that these options ask for.
    #[must_use]
    pub fn new(args: &GlobalArgs) -> Self {
        let plain =
            args.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let palette = |is_terminal| {
            if is_terminal && !plain {
                Palette::Colour
            } else {
                Palette::Plain
            }
        };
        let (detail, volume) = if args.quiet {
            (Detail::IdsOnly, Volume::Quiet)
        } else {
            (Detail::Full, Volume::Normal)
        };
        Self {
            printer: Printer {
                format: args.output,
                detail,
                palette: palette(std::io::stdout().is_terminal()),
            },
            notice: Notice {
                volume,
                palette: palette(std::io::stderr().is_terminal()),
            },
            now: Timestamp::now(),
            overrides: Overrides {
                context: args.context.clone(),
                address: args.address.clone(),
                identity: args.identity.clone(),
                namespace: args.namespace.clone(),
            },
        }
    }

    /// Prints data.
    #[must_use]
    pub fn printer(&self) -> &Printer {
        &self.printer
    }

    /// Speaks to the person.
    #[must_use]
    pub fn notice(&self) -> &Notice {
        &self.notice
    }

    /// When the program was started.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether a question can be asked and answered: both ends are a terminal.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// The contexts of this operator.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn store(&self) -> Result<Store, CliError> {
        Store::find(Places::from_env())
    }

    /// Whether anything at all says which controller to use.
    ///
    /// # Errors
    /// When the contexts cannot be read.
    pub fn knows_a_controller(&self) -> Result<bool, CliError> {
        let asked = &self.overrides;
        if asked.context.is_some() || asked.address.is_some() || asked.identity.is_some() {
            return Ok(true);
        }
        Ok(self.store()?.load()?.current.is_some())
    }

    /// Where to connect, as whom.
    ///
    /// # Errors
    /// See [`Target::resolve`].
    pub fn target(&self) -> Result<Target, CliError> {
        let complete = self.overrides.address.is_some() && self.overrides.identity.is_some();
        // With both given, a machine without a home directory is as good as any.
        let contexts = match self.store() {
            Ok(store) => store.load()?,
            Err(_) if complete => crate::context::store::Contexts::default(),
            Err(error) => return Err(error),
        };
        Target::resolve(self.overrides.clone(), contexts)
    }

    /// The namespace that was asked for by option or environment.
    #[must_use]
    pub fn asked_namespace(&self) -> Option<&str> {
        self.overrides.namespace.as_deref()
    }

    /// Where the controller is, if asked for by option or environment.
    #[must_use]
    pub fn asked_address(&self) -> Option<&str> {
        self.overrides.address.as_deref()
    }

    /// Directory of the identity, if asked for by option or environment.
    #[must_use]
    pub fn asked_identity(&self) -> Option<PathBuf> {
        self.overrides.identity.clone()
    }

    /// Connects to the controller.
    ///
    /// # Errors
    /// When there is no target, no identity, or nobody answers.
    pub async fn connect(&self) -> Result<Connection, CliError> {
        Connection::open(self.target()?).await
    }
}
