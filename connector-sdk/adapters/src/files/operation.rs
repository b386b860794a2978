//! One call of a `files` capability.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use fulcrum_sdk::{Contract, EffectClass, Failure, Sent};
use serde_json::{Value, json};
use serde_saphyr::Spanned;
use sha2::{Digest as _, Sha256};

use super::config::{Existing, FilesConfig, ReadFormat};
use super::folder::{Folder, FolderError, WriteMode, Written};
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation};
use crate::template::{Escape, Scope, ScopeNames, TemplateError, TextTemplate, TreeTemplate};

struct FilesOperation {
    folder: Arc<Folder>,
    path: TextTemplate,
    action: Action,
    title: String,
}

enum Action {
    Read(ReadFormat),
    Write {
        content: TreeTemplate,
        mode: WriteMode,
    },
    List,
}

/// The action with everything in it known.
enum Work {
    Read(ReadFormat),
    Write { content: Vec<u8>, mode: WriteMode },
    List,
}

/// Makes the operation of a `files` entry; what is wrong is noted.
pub(crate) fn build(
    config: &Spanned<FilesConfig>,
    contract: &Contract,
    parts: &Parts,
    problems: &mut Problems,
) -> Option<Box<dyn Operation>> {
    let (folder, path, action) = match &config.value {
        FilesConfig::Read {
            folder,
            path,
            format,
        } => (folder, Some(path), Action::Read(*format)),
        FilesConfig::Write {
            folder,
            path,
            content,
            existing,
        } => {
            let parsed = TreeTemplate::parse(&content.value, ScopeNames::CALL);
            let content = problems.keep(content, parsed)?;
            let mode = match existing {
                Existing::Replace => WriteMode::Replace,
                Existing::Keep => WriteMode::CreateNew,
            };
            (folder, Some(path), Action::Write { content, mode })
        }
        FilesConfig::List { folder, path } => (folder, path.as_ref(), Action::List),
    };
    match (&action, contract.effect) {
        (Action::Write { .. }, EffectClass::Read) => {
            problems.note(
                config,
                "a write changes something; its effect is not `read`",
            );
        }
        (
            Action::Read(_) | Action::List,
            EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward,
        ) => problems.note(config, "this changes nothing; its effect is `read`"),
        (Action::Write { .. }, _) | (Action::Read(_) | Action::List, EffectClass::Read) => {}
    }
    let source = path.map_or("", |path| path.value.as_str());
    let template = TextTemplate::parse(source, ScopeNames::CALL, Escape::None);
    let template = problems.keep(config, template);
    Some(Box::new(FilesOperation {
        title: format!("{} in {}", contract.name, folder.value),
        folder: parts.folders.find(folder, problems)?,
        path: template?,
        action,
    }))
}

#[async_trait]
impl Operation for FilesOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let scope = call.scope();
        let (path, work) = self.prepare(&scope).map_err(|error| {
            Failure::fatal("FILES_TEMPLATE", format!("{}: {error}", self.title)).sent(Sent::No)
        })?;
        let folder = Arc::clone(&self.folder);
        let done = tokio::task::spawn_blocking(move || perform(&folder, &path, work)).await;
        match done {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(error.into_failure(&self.title)),
            Err(broken) => {
                let message = format!("{}: the work broke off: {broken}", self.title);
                Err(Failure::transient("FILES_BROKEN", message))
            }
        }
    }
}

impl FilesOperation {
    fn prepare(&self, scope: &Scope) -> Result<(String, Work), TemplateError> {
        let work = match &self.action {
            Action::Read(format) => Work::Read(*format),
            Action::List => Work::List,
            Action::Write { content, mode } => Work::Write {
                content: match content.render(scope)? {
                    Value::String(text) => text.into_bytes(),
                    json => json.to_string().into_bytes(),
                },
                mode: *mode,
            },
        };
        Ok((self.path.render(scope)?, work))
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("`{0}` is not UTF-8 text; read it as base64")]
    NotText(String),
    #[error("`{path}` is not JSON: {source}")]
    NotJson {
        path: String,
        source: serde_json::Error,
    },
    #[error("`{0}` is there with other content")]
    Exists(String),
}

impl Fault {
    fn into_failure(self, title: &str) -> Failure {
        let message = format!("{title}: {self}");
        match self {
            Self::Folder(FolderError::NotFound(_)) => Failure::fatal("FILES_NOT_FOUND", message),
            Self::Folder(FolderError::BadPath(_) | FolderError::Escapes(_)) => {
                Failure::fatal("FILES_PATH_REFUSED", message)
            }
            Self::Folder(FolderError::TooLarge { .. } | FolderError::TooManyEntries { .. }) => {
                Failure::fatal("FILES_TOO_LARGE", message)
            }
            Self::Folder(FolderError::Io { .. }) => Failure::transient("FILES_IO", message),
            Self::NotText(_) | Self::NotJson { .. } => {
                Failure::fatal("FILES_CONTENT_INVALID", message)
            }
            Self::Exists(_) => Failure::fatal("FILES_EXISTS", message),
        }
        .sent(Sent::No)
    }
}

fn perform(folder: &Folder, path: &str, work: Work) -> Result<Value, Fault> {
    match work {
        Work::List => Ok(json!({ "path": path, "entries": folder.list(path)? })),
        Work::Read(format) => {
            let bytes = folder.read(path)?;
            let mut output =
                json!({ "path": path, "bytes": bytes.len(), "sha256": digest(&bytes) });
            let (member, content) = match format {
                ReadFormat::Base64 => (
                    "base64",
                    base64::engine::general_purpose::STANDARD
                        .encode(&bytes)
                        .into(),
                ),
                ReadFormat::Text => {
                    let text =
                        String::from_utf8(bytes).map_err(|_| Fault::NotText(path.to_owned()))?;
                    ("text", Value::from(text))
                }
                ReadFormat::Json => {
                    let json = serde_json::from_slice(&bytes).map_err(|source| Fault::NotJson {
                        path: path.to_owned(),
                        source,
                    })?;
                    ("json", json)
                }
            };
            output[member] = content;
            Ok(output)
        }
        Work::Write { content, mode } => {
            // A call that is repeated finds its own content, which is as good as having written it.
            let written = folder.write(path, &content, mode)?;
            if written == Written::Existed && folder.read(path)? != content {
                return Err(Fault::Exists(path.to_owned()));
            }
            Ok(json!({ "path": path, "bytes": content.len(), "sha256": digest(&content) }))
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
