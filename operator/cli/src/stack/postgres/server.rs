//! The running server. If it dies it is started again; stopping it is PostgreSQL's fast shutdown.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, DATABASE, ROLE};
use super::pid_file::PidFile;
use crate::stack::error::StackError;
use crate::stack::log;

/// How long it may take to come up; recovery after a crash included.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to stop before it is told more firmly.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(25);
/// Wait before it is started again.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// How often it is started again within one start, while the orphans of an earlier server are still going.
const ATTEMPTS_MAX: u32 = 20;

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: CancellationToken,
    keeper: JoinHandle<()>,
    port: u16,
    password: String,
}

impl Server {
    /// Starts the server of a cluster, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not come up; the error carries the end of its log.
    pub async fn start(cluster: Cluster, port: u16, log: PathBuf) -> Result<Self, StackError> {
        let password = cluster.password()?;
        let launch = Launch { cluster, port, log };
        let child = launch.up().await?;
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(launch, child, stop.clone()));
        Ok(Self {
            stop,
            keeper,
            port,
            password,
        })
    }

    /// Where one of its databases is, with the password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{ROLE}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// Where the controller's database is, with the password.
    #[must_use]
    pub fn controller_url(&self) -> String {
        self.url(DATABASE)
    }

    /// Stops it.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.keeper.await {
            tracing::error!(%error, "PostgreSQL's keeper failed");
        }
    }
}

/// Everything needed to start it, and start it again.
struct Launch {
    cluster: Cluster,
    port: u16,
    log: PathBuf,
}

impl Launch {
    /// Starts it and waits until it is ready.
    async fn up(&self) -> Result<Child, StackError> {
        let data = self.cluster.data();
        PidFile::recover(&data).await?;
        for _ in 0..ATTEMPTS_MAX {
            let mut child = self.spawn()?;
            match tokio::time::timeout(START_PATIENCE, self.ready(&mut child)).await {
                Ok(Ok(())) => return Ok(child),
                Ok(Err(status)) => {
                    // Processes of a server that was killed leave within moments; until then nobody may start.
                    if log::tail(&self.log).contains("pre-existing shared memory block") {
                        tokio::time::sleep(RESTART_DELAY).await;
                        continue;
                    }
                    return Err(self.failed(&format!("did not start ({status})")));
                }
                Err(_) => {
                    end(&mut child).await;
                    return Err(self.failed("did not become ready in time"));
                }
            }
        }
        Err(self.failed("cannot start while processes of an earlier server are alive"))
    }

    /// A process group of its own keeps it from a Ctrl-C that is meant for us: it is stopped last.
    fn spawn(&self) -> Result<Child, StackError> {
        let open = || OpenOptions::new().create(true).append(true).open(&self.log);
        let broken = |error| StackError::file("open", &self.log, error);
        let log = open().map_err(broken)?;
        let also = log.try_clone().map_err(broken)?;
        let mut command = self.cluster.command("postgres");
        command
            .arg("-D")
            .arg(self.cluster.data())
            .arg("-p")
            .arg(self.port.to_string());
        command
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(also))
            .process_group(0)
            // However this process ends in good order, no server is left behind; a crash is what its log is for.
            .kill_on_drop(true);
        command.spawn().map_err(|source| StackError::Io {
            what: "cannot run postgres".to_owned(),
            source,
        })
    }

    async fn ready(&self, child: &mut Child) -> Result<(), String> {
        let data = self.cluster.data();
        let ours = child.id().and_then(|pid| i32::try_from(pid).ok());
        loop {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(status.to_string()),
                Err(error) => return Err(error.to_string()),
            }
            if PidFile::read(&data).is_some_and(|file| file.is_ready && Some(file.pid) == ours) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn failed(&self, what: &str) -> StackError {
        StackError::Postgres {
            what: what.to_owned(),
            output: log::tail(&self.log),
            log: self.log.clone(),
        }
    }
}

/// Keeps it running until told to stop.
async fn keep(launch: Launch, mut child: Child, stop: CancellationToken) {
    loop {
        let status: std::io::Result<ExitStatus> = tokio::select! {
            () = stop.cancelled() => {
                end(&mut child).await;
                return;
            }
            status = child.wait() => status,
        };
        tracing::warn!(?status, "PostgreSQL ended; starting it again");
        child = loop {
            match launch.up().await {
                Ok(child) => break child,
                Err(error) => {
                    tracing::error!(%error, cause = error.cause(), "PostgreSQL does not come up")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RESTART_DELAY) => {}
            }
        };
    }
}

/// Fast shutdown; immediate, if that takes too long.
async fn end(child: &mut Child) {
    for signal in [Signal::INT, Signal::QUIT] {
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else { return };
        if let Err(error) = kill_process(pid, signal) {
            tracing::warn!(%error, "cannot signal PostgreSQL");
        }
        if tokio::time::timeout(STOP_PATIENCE, child.wait())
            .await
            .is_ok()
        {
            return;
        }
    }
    tracing::error!("PostgreSQL does not end; it is left running");
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::stack::home::Home;
    use crate::stack::ports::Ports;
    use crate::stack::postgres::account::Account;
    use crate::stack::postgres::binaries::Binaries;

    struct Fixture {
        _dir: tempfile::TempDir,
        home: Home,
        cluster: Cluster,
        port: u16,
    }

    impl Fixture {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            // Others must be able to pass through it, as through any data directory.
            std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).expect("opened");
            let home = Home::open(dir.path()).expect("opens");
            let account = Account::for_servers().expect("an account");
            let cluster = Cluster {
                binaries: Binaries::find().expect("PostgreSQL is installed"),
                account,
                dir: home.cluster(account.as_ref()).expect("made"),
            };
            cluster
                .ensure(&["crm".to_owned()])
                .await
                .expect("a cluster");
            let port = Ports::anywhere().expect("free ports").postgres();
            Self {
                _dir: dir,
                home,
                cluster,
                port,
            }
        }

        fn log(&self) -> PathBuf {
            self.home.logs().join("postgres.log")
        }

        async fn start(&self) -> Server {
            Server::start(self.cluster.clone(), self.port, self.log())
                .await
                .expect("starts")
        }
    }

    async fn other_than(data: &Path, old: i32) -> i32 {
        loop {
            match PidFile::read(data) {
                Some(file) if file.is_ready && file.pid != old => return file.pid,
                Some(_) | None => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn pid(data: &Path) -> i32 {
        PidFile::read(data).expect("it runs").pid
    }

    fn kill(pid: i32) {
        let pid = Pid::from_raw(pid).expect("a process");
        kill_process(pid, Signal::KILL).expect("killed");
    }

    #[tokio::test]
    async fn a_server_that_is_killed_is_started_again_and_stops_for_good_when_told() {
        let fixture = Fixture::new().await;
        let server = fixture.start().await;
        let data = fixture.cluster.data();
        let first = pid(&data);
        kill(first);
        tokio::time::timeout(START_PATIENCE, other_than(&data, first))
            .await
            .expect("it comes back");
        server.stop().await;
        assert_eq!(PidFile::read(&data), None);
    }

    #[tokio::test]
    async fn an_orphan_of_an_earlier_stack_is_stopped_and_replaced() {
        let fixture = Fixture::new().await;
        let data = fixture.cluster.data();
        let launch = Launch {
            cluster: fixture.cluster.clone(),
            port: fixture.port,
            log: fixture.log(),
        };
        // As when its stack is killed: nobody looks after the server any more, the system buries it.
        let mut orphan = launch.up().await.expect("starts");
        let first = pid(&data);
        let buried = tokio::spawn(async move { orphan.wait().await });
        let server = fixture.start().await;
        assert_ne!(pid(&data), first);
        let status = buried.await.expect("waited").expect("buried");
        assert!(status.success(), "it was stopped in good order: {status}");
        server.stop().await;
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_recovered_from() {
        let fixture = Fixture::new().await;
        let data = fixture.cluster.data();
        let killed = fixture.start().await;
        let first = pid(&data);
        // The keeper takes its server with it.
        killed.keeper.abort();
        let server = fixture.start().await;
        assert_ne!(pid(&data), first);
        server.stop().await;
        assert_eq!(PidFile::read(&data), None);
    }
}
