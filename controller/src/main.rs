//! `fulcrum-controller`: the brain of Fulcrum as a process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use fulcrum_controller::app;
use fulcrum_controller::config::{self, Config, Sources};
use fulcrum_controller::foundation::{self, Foundation};
use fulcrum_controller::identity::invite::Invitation;
use fulcrum_controller::identity::{Registry, Role, Scope};
use fulcrum_controller::{keys, shutdown, telemetry};
use fulcrum_core::time::Millis;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

/// Threads of the lanes and of the services free what others allocated, all the time; the system's allocator takes a lock
/// for each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Persists workflow state and audit timelines, and hands out work over mTLS gRPC.
#[derive(Parser)]
#[command(name = "fulcrum-controller", version)]
struct Cli {
    /// A TOML file with settings; see docs/config.md.
    #[arg(long, global = true, env = "FULCRUM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, stronger than file and environment; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Print the settings in effect, secrets masked, and exit.
    #[arg(long)]
    print_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Run,
    /// Bring the database's schema up to date and exit.
    Migrate,
    /// Print a single-use join token, for the first operator; later ones are made with `fulcrum worker add`.
    Invite {
        /// The name of the new identity.
        name: String,
        /// executor, connector or operator.
        #[arg(long, default_value = "operator")]
        kind: Role,
        /// The namespace it may act in, made if there is none; `_` for every namespace.
        #[arg(long, default_value = "default")]
        namespace: Scope,
    },
    /// Make a key-encryption key, or look at how keys rest.
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Subcommand)]
enum Keys {
    /// Make a key-encryption key in a new file that only its owner may use; see `keys.sources` in docs/config.md.
    Generate {
        /// The file; one that is there is left alone.
        file: PathBuf,
    },
    /// Print under which key-encryption key each private key in the database rests.
    Status,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fulcrum-controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(Command::Keys(Keys::Generate { file })) = &cli.command {
        return generate(file);
    }
    let sources = Sources {
        file: cli.config,
        environment: std::env::vars().collect(),
        flags: cli.set,
    };
    if cli.print_config {
        print!("{}", config::print::print(&sources)?);
        return Ok(ExitCode::SUCCESS);
    }
    let config = config::load(&sources)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a crypto provider was installed before"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        let _telemetry = telemetry::init("fulcrum-controller", &config.telemetry)?;
        match cli.command.unwrap_or(Command::Run) {
            Command::Run => serve(config).await,
            Command::Migrate => migrate(&config).await,
            Command::Invite {
                name,
                kind,
                namespace,
            } => invite(&config, &name, kind, namespace).await,
            // Made before there are settings.
            Command::Keys(Keys::Generate { file }) => generate(&file),
            Command::Keys(Keys::Status) => status(&config).await,
        }
    })
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let mut running = Box::pin(app::run(config, stop));
    tokio::select! {
        ended = &mut running => ended?,
        signals = shutdown::asked_to_end() => {
            signals.context("signal handlers")?;
            asked.cancel();
            running.await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(config: &Config) -> anyhow::Result<ExitCode> {
    let store = foundation::open(config).await?;
    store.migrate().await?;
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn invite(config: &Config, name: &str, role: Role, scope: Scope) -> anyhow::Result<ExitCode> {
    let foundation = Box::pin(Foundation::lay(config)).await?;
    if let Scope::Namespace(namespace) = &scope {
        foundation.ensure_namespace(namespace).await?;
    }
    let capabilities = if role.is_worker() {
        vec!["*".parse()?]
    } else {
        Vec::new()
    };
    let life = Millis::from_secs(config.identity.join_token_life_s);
    let token = foundation
        .invite(Invitation {
            scope,
            role,
            name: name.parse()?,
            capabilities,
            life,
        })
        .await?;
    println!("{}", token.expose_secret());
    foundation.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn generate(file: &Path) -> anyhow::Result<ExitCode> {
    keys::file::generate(file).with_context(|| format!("{}", file.display()))?;
    eprintln!(
        "{} holds a new key-encryption key. Keep a copy apart from the backups of the database: without it the certificate authority is lost.",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

async fn status(config: &Config) -> anyhow::Result<ExitCode> {
    let kek = keys::gather(&config.keys.sources()).await?;
    let store = foundation::open(config).await?;
    let resting = Registry::new(store.clone(), kek.clone()).resting().await?;
    store.close().await;
    let ids: Vec<_> = kek.ids().collect();
    for (at, id) in ids.iter().enumerate() {
        let does = if at == 0 { "seals and opens" } else { "opens" };
        println!("{id}  configured, {does}");
    }
    for key in resting {
        match key.sealed_under {
            None => println!("{:16}  {}: clear", "", key.place),
            Some(id) if ids.contains(&id) => println!("{id}  {}", key.place),
            Some(id) => println!("{id}  {}: this key is not configured", key.place),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not of the form key=value"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
