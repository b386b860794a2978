//! What the tests ask of the machine: a network of their own, packet filters, control groups, false clocks, slow and
//! small disks.
//!
//! All of it needs root, and some a Debian package. [`have`] says loudly what a machine lacks; the full scale insists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use fulcrum_e2e::process::Build;

use crate::scale::Scale;

/// Whether the machine has what a fault needs. Says so when it does not, and fails where everything was asked for.
pub fn have(fault: &str, needs: &[Need], scale: Scale) -> anyhow::Result<bool> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let told = format!("{fault}: NOT RUN, this machine lacks {missing:?}");
    anyhow::ensure!(scale == Scale::Smoke, "{told}");
    eprintln!("{told}");
    Ok(false)
}

/// Something a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be root.
    Root,
    /// Debian's `iptables` and `iproute2`.
    PacketFilter,
    /// Debian's `libfaketime`.
    FalseClock,
    /// A C compiler.
    Compiler,
    /// Control groups of the first version with a cpu controller.
    CpuGroups,
    /// The build before this one, from `scripts/previous-build`.
    PreviousBuild,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::PacketFilter => runs("iptables", "--version") && runs("ip", "-V"),
            Self::FalseClock => false_clock().is_some(),
            Self::Compiler => runs("cc", "--version"),
            Self::CpuGroups => {
                Path::new(CPU_GROUPS).join("cpu.cfs_quota_us").exists()
                    || Path::new(CPU_GROUPS).join("cgroup.procs").exists()
            }
            Self::PreviousBuild => previous_build().is_some(),
        }
    }
}

fn runs(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(program: &str, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {args:?}: {said}");
    Ok(())
}

/// Runs one test of this binary again in a network namespace of its own, where packets can be dropped and nobody else
/// is. True when this process is already the inner one, which does the work.
///
/// # Errors
/// What the inner test failed with.
pub fn in_a_network_of_its_own(test: &str) -> anyhow::Result<bool> {
    const INNER: &str = "FULCRUM_CHAOS_NETWORK";
    if std::env::var_os(INNER).is_some() {
        return Ok(true);
    }
    let binary = std::env::current_exe()?;
    let inner = format!(
        "ip link set lo up && exec '{}' --exact '{test}' --nocapture",
        binary.display()
    );
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", &inner])
        .env(INNER, "1")
        .status()
        .context("unshare comes with util-linux")?;
    anyhow::ensure!(status.success(), "{test} failed in its network namespace");
    Ok(false)
}

/// Drops packets to or from a port, in this network namespace, until the value is dropped.
pub struct Dropped(Vec<Vec<String>>);

impl Dropped {
    /// Drops what is sent to this port.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        Self::rule(&["--dport", &port.to_string()])
    }

    /// Drops what is sent from this port.
    pub fn from(port: u16) -> anyhow::Result<Self> {
        Self::rule(&["--sport", &port.to_string()])
    }

    fn rule(filter: &[&str]) -> anyhow::Result<Self> {
        let rule = ["INPUT", "-i", "lo", "-p", "tcp"];
        let rule = rule.iter().chain(filter).chain(&["-j", "DROP"]);
        let rule: Vec<String> = rule.map(|&word| word.to_owned()).collect();
        let mut args = vec!["-I"];
        args.extend(rule.iter().map(String::as_str));
        run("iptables", &args)?;
        Ok(Self(vec![rule]))
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        for rule in &self.0 {
            let mut args = vec!["-D"];
            args.extend(rule.iter().map(String::as_str));
            if let Err(error) = run("iptables", &args) {
                eprintln!("{error}");
            }
        }
    }
}

/// The build that installations are upgraded from, if there is one. `make test` and `make chaos` say where.
pub fn previous_build() -> Option<Build> {
    let folder = std::env::var_os("FULCRUM_PREVIOUS_BUILD")?;
    Some(Build::In(folder.into())).filter(|build| build.binary("fulcrum-controller").is_ok())
}

/// The library that gives a process another time, if it is installed.
pub fn false_clock() -> Option<PathBuf> {
    let dirs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let paths = dirs.map(|dir| Path::new(dir).join("faketime/libfaketime.so.1"));
    paths.into_iter().find(|path| path.is_file())
}

/// The environment of a process whose wall clock is shifted by what stands in `file` (`+1h`, `-1d`, `+0`), looked at
/// every second. Its monotonic clock goes on.
pub fn false_clock_env(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let library = false_clock().context("libfaketime is not installed")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is text");
    let pair = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        pair("LD_PRELOAD", text(&library)?),
        pair("FAKETIME_TIMESTAMP_FILE", text(file)?),
        pair("FAKETIME_CACHE_DURATION", "1".to_owned()),
        pair("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        pair("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}

/// Lets the database's user read a file, or enter a folder.
pub fn readable_by_all(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

const CPU_GROUPS: &str = "/sys/fs/cgroup/cpu";

/// A share of the processor for one process. Gone with the value; the process is free again.
pub struct CpuShare(PathBuf);

impl CpuShare {
    /// Leaves a process so many percent of one core.
    pub fn of(pid: u32, percent: u32) -> anyhow::Result<Self> {
        let group = Path::new(CPU_GROUPS).join(format!("fulcrum-chaos-{pid}"));
        fs::create_dir_all(&group)?;
        fs::write(group.join("cpu.cfs_period_us"), "100000")?;
        fs::write(group.join("cpu.cfs_quota_us"), (percent * 1000).to_string())?;
        fs::write(group.join("cgroup.procs"), pid.to_string())?;
        Ok(Self(group))
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        let members = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            // One that has ended meanwhile needs no freedom.
            let _freed = fs::write(Path::new(CPU_GROUPS).join("cgroup.procs"), pid);
        }
        let _removed = fs::remove_dir(&self.0);
    }
}

/// A library that makes `fsync` and `fdatasync` take as many milliseconds longer as stand in a file.
pub struct SlowDisk {
    library: PathBuf,
    delay: PathBuf,
}

impl SlowDisk {
    /// Compiles it into this directory, which the server must be able to read.
    pub fn build(dir: &Path) -> anyhow::Result<Self> {
        let (source, library, delay) = (
            dir.join("slow.c"),
            dir.join("slow.so"),
            dir.join("delay_ms"),
        );
        let code = SLOW_DISK.replace("DELAY_FILE", delay.to_str().context("a path is text")?);
        fs::write(&source, code)?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is text");
        run(
            "cc",
            &[
                "-shared",
                "-fPIC",
                "-o",
                &text(&library)?,
                &text(&source)?,
                "-ldl",
            ],
        )?;
        let disk = Self { library, delay };
        disk.set(0)?;
        Ok(disk)
    }

    /// How much longer each takes from now on.
    pub fn set(&self, milliseconds: u32) -> anyhow::Result<()> {
        Ok(fs::write(&self.delay, milliseconds.to_string())?)
    }

    /// The environment of a process on this disk.
    pub fn env(&self) -> Vec<(String, String)> {
        vec![("LD_PRELOAD".to_owned(), self.library.display().to_string())]
    }
}

const SLOW_DISK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
static void pause_as_told(void) {
  FILE *file = fopen("DELAY_FILE", "r");
  int ms = 0;
  if (file) { if (fscanf(file, "%d", &ms) != 1) ms = 0; fclose(file); }
  if (ms > 0) usleep((useconds_t)ms * 1000);
}
int fsync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
  pause_as_told();
  return real(fd);
}
int fdatasync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
  pause_as_told();
  return real(fd);
}
"#;

/// A small disk in memory. Unmounted with the value; whoever lives on it must be gone by then.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of so many megabytes that everybody may write.
    pub fn of(megabytes: u32) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("fulcrum-disk-").tempdir()?;
        let path = dir.path().to_str().context("a path is text")?;
        let options = format!("size={megabytes}m,mode=1777");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", path])?;
        Ok(Self { dir })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills what is left.
    pub fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write as _;
        let mut ballast = fs::File::create(self.path().join("ballast"))?;
        let block = [0; 64 << 10];
        while ballast.write_all(&block).is_ok() {}
        while ballast.write_all(&block[..512]).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.path().join("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(path) = self.path().to_str()
            && let Err(error) = run("umount", &["--lazy", path])
        {
            eprintln!("{error}");
        }
    }
}
