//! Arguments made of templates.

use crate::template::{Escape, Scope, ScopeNames, TemplateError, TextTemplate};

/// The arguments after the program.
pub(super) struct Arguments(Vec<TextTemplate>);

/// Arguments that this input cannot make.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArgumentError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(
        "argument {position} would be `{start}…`, which the program reads as an option; put `--` before it in argv if it never is one"
    )]
    WouldBeOption { position: usize, start: String },
    #[error("argument {0} holds a zero byte")]
    ZeroByte(usize),
}

impl Arguments {
    pub(super) fn parse<'a>(
        sources: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TemplateError> {
        sources
            .into_iter()
            .map(|source| TextTemplate::parse(source, ScopeNames::CALL, Escape::None))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The arguments for `scope`. A value cannot become an option: an argument whose first character comes from a
    /// template must not begin with `-`, unless `--` stands before it.
    pub(super) fn render(&self, scope: &Scope) -> Result<Vec<String>, ArgumentError> {
        let mut options_ended = false;
        let mut arguments = Vec::with_capacity(self.0.len());
        for (index, template) in self.0.iter().enumerate() {
            let position = index + 1;
            let argument = template.render(scope)?;
            let starts_with_template = template.source().trim_start().starts_with('{');
            if starts_with_template && argument.starts_with('-') && !options_ended {
                return Err(ArgumentError::WouldBeOption {
                    position,
                    start: argument.chars().take(8).collect(),
                });
            }
            if argument.contains('\0') {
                return Err(ArgumentError::ZeroByte(position));
            }
            options_ended |= template.source() == "--";
            arguments.push(argument);
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(sources: &[&str], value: &str) -> Result<Vec<String>, ArgumentError> {
        let scope = Scope::new(&json!({ "input": { "v": value } }));
        Arguments::parse(sources.iter().copied())?.render(&scope)
    }

    #[test]
    fn a_value_is_one_argument_whatever_it_holds() {
        let value = "a b; rm -rf / $(id) `id` \n'\"";
        assert_eq!(
            render(&["-x", "{{ input.v }}"], value).expect("rendered"),
            ["-x", value]
        );
    }

    #[test]
    fn a_value_cannot_become_an_option() {
        assert!(matches!(
            render(&["{{ input.v }}"], "--output=/etc/passwd"),
            Err(ArgumentError::WouldBeOption { position: 1, .. })
        ));
        assert!(render(&["--", "{{ input.v }}"], "-v").is_ok());
        assert!(render(&["--name={{ input.v }}"], "-v").is_ok());
    }
}
