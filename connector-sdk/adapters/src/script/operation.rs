//! One call of a `script` capability.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use fulcrum_sdk::{Contract, Failure, FailureClass, Sent};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use serde_saphyr::Spanned;
use tokio::process::Command;

use super::arguments::Arguments;
use super::config::{ExitOutcome, ScriptConfig, StdoutFormat};
use super::process::{self, Finished, Limits, ProcessError};
use crate::config::{Place, Problems};
use crate::operation::{Call, Operation, Repeat};
use crate::secret::{SecretName, Vault};

/// `EX_TEMPFAIL` of sysexits.h: "temporary failure, indicating something that is not really an error".
const EX_TEMPFAIL: u8 = 75;

struct ScriptOperation {
    program: PathBuf,
    arguments: Arguments,
    working_directory: PathBuf,
    environment: BTreeMap<String, SecretString>,
    stdout: StdoutFormat,
    output_bytes_max: usize,
    exit_codes: BTreeMap<u8, ExitOutcome>,
    kill_after: std::time::Duration,
    repeat: Repeat,
    /// The program's name, for failures.
    title: String,
}

/// Makes the operation of a `script` entry; what is wrong is noted.
pub(crate) fn build(
    config: &Spanned<ScriptConfig>,
    contract: &Contract,
    directory: &Path,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<Box<dyn Operation>> {
    let script = &config.value;
    let Some((program, arguments)) = script.argv.split_first() else {
        problems.note(config, "argv names no program");
        return None;
    };
    let place: Place = program.into();
    let program = problems.keep(place, program_path(directory, &program.value));
    let arguments = problems.keep(
        place,
        Arguments::parse(arguments.iter().map(|argument| argument.value.as_str())),
    );
    let working_directory = match &script.working_directory {
        Some(path) => directory.join(path),
        None => directory.to_owned(),
    };
    if !working_directory.is_dir() {
        let shown = working_directory.display();
        problems.note(
            config,
            format_args!("working_directory {shown} is not a directory"),
        );
    }
    let environment = environment(script, vault, problems);
    let program = program?;
    Some(Box::new(ScriptOperation {
        title: format!("{} ({})", contract.name, program.display()),
        program,
        arguments: arguments?,
        // A relative program path would be looked up from there.
        working_directory,
        environment,
        stdout: script.stdout,
        output_bytes_max: script.output_bytes_max,
        exit_codes: script.exit_codes.clone(),
        kill_after: script.kill_after.duration(),
        repeat: Repeat::of(contract),
    }))
}

/// The absolute path of the program. A bare name is refused: which file it means would depend on the environment.
fn program_path(directory: &Path, program: &str) -> Result<PathBuf, String> {
    if program.contains("{{") || program.contains("{%") {
        return Err("the program itself cannot be a template".to_owned());
    }
    if !program.contains('/') {
        return Err(format!(
            "write the path of the program, as in `/usr/bin/{program}` or `./{program}`"
        ));
    }
    directory
        .join(program)
        .canonicalize()
        .map_err(|error| format!("no program at `{program}`: {error}"))
        .and_then(|path| match path.is_file() {
            true => Ok(path),
            false => Err(format!("`{program}` is not a file")),
        })
}

fn environment(
    script: &ScriptConfig,
    vault: &mut Vault,
    problems: &mut Problems,
) -> BTreeMap<String, SecretString> {
    let mut environment: BTreeMap<String, SecretString> = script
        .inherit_env
        .iter()
        .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?.into())))
        .collect();
    for (name, value) in &script.env {
        let resolved = match problems.keep(value, SecretName::in_text(&value.value)) {
            Some(Some(secret)) => problems.keep(value, vault.reveal(&secret)),
            Some(None) => Some(value.value.as_str().into()),
            None => None,
        };
        environment.extend(resolved.map(|resolved| (name.clone(), resolved)));
    }
    environment
}

#[async_trait]
impl Operation for ScriptOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let arguments = self.arguments.render(&call.scope()).map_err(|error| {
            Failure::fatal("SCRIPT_ARGUMENT_INVALID", self.says(&error)).sent(Sent::No)
        })?;
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.working_directory)
            .env_clear()
            .env("FULCRUM_EFFECT_KEY", call.context.effect_key())
            .env("FULCRUM_RUN_ID", call.context.run_id())
            .env("FULCRUM_STEP_KEY", call.context.step_key())
            .env("FULCRUM_ATTEMPT", call.context.attempt().to_string())
            .envs(
                self.environment
                    .iter()
                    .map(|(name, value)| (name, value.expose_secret())),
            );
        // The program is ended while there is still time to say so.
        let spare = self.kill_after.min(call.remaining() / 4);
        let limits = Limits {
            deadline: call.deadline - spare,
            kill_after: spare.mul_f32(0.8),
            stdout_bytes_max: self.output_bytes_max,
        };
        let finished = process::run(command, call.input.to_string().into_bytes(), &limits)
            .await
            .map_err(|error| self.did_not_finish(error))?;
        self.finished(&finished)
    }
}

impl ScriptOperation {
    fn says(&self, what: &impl std::fmt::Display) -> String {
        format!("{}: {what}", self.title)
    }

    fn did_not_finish(&self, error: ProcessError) -> Failure {
        let message = self.says(&error);
        match error {
            ProcessError::NotStarted(_) => {
                Failure::fatal("SCRIPT_NOT_STARTED", message).sent(Sent::No)
            }
            ProcessError::Lost(_) => self.repeat.lost("SCRIPT_LOST", message),
            ProcessError::TooMuchOutput(_) => {
                Failure::fatal("SCRIPT_OUTPUT_TOO_LARGE", message).sent(Sent::Maybe)
            }
            ProcessError::Timeout(_) => self.repeat.lost("SCRIPT_TIMEOUT", message),
        }
    }

    fn finished(&self, finished: &Finished) -> Result<Value, Failure> {
        let Some(code) = finished
            .status
            .code()
            .and_then(|code| u8::try_from(code).ok())
        else {
            let signal = finished.status.signal().unwrap_or_default();
            let message = self.says(&format!("ended by signal {signal}: {}", finished.stderr));
            return Err(self.repeat.lost("SCRIPT_SIGNALLED", message));
        };
        let outcome = match (self.exit_codes.get(&code), code) {
            (Some(outcome), _) => *outcome,
            (None, 0) => ExitOutcome::Ok,
            (None, EX_TEMPFAIL) => ExitOutcome::Transient,
            (None, _) => ExitOutcome::Fatal,
        };
        let class = match outcome {
            ExitOutcome::Ok => return self.output(&finished.stdout),
            ExitOutcome::Transient => FailureClass::Transient,
            ExitOutcome::Recoverable => FailureClass::Recoverable,
            ExitOutcome::Fatal => FailureClass::Fatal,
            ExitOutcome::Unknown => FailureClass::Unknown,
        };
        let message = self.says(&format!("exit status {code}: {}", finished.stderr));
        Err(Failure::new(class, format!("SCRIPT_EXIT_{code}"), message).sent(Sent::Yes))
    }

    fn output(&self, stdout: &[u8]) -> Result<Value, Failure> {
        match self.stdout {
            StdoutFormat::Text => Ok(json!({ "text": String::from_utf8_lossy(stdout) })),
            StdoutFormat::Json if stdout.trim_ascii().is_empty() => Ok(Value::Null),
            StdoutFormat::Json => serde_json::from_slice(stdout).map_err(|error| {
                let message = self.says(&format!("standard output is not JSON: {error}"));
                Failure::fatal("SCRIPT_OUTPUT_INVALID", message).sent(Sent::Yes)
            }),
        }
    }
}
