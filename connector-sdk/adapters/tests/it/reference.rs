//! Reference pages of worker programs, made of what the programs are made of: the command line as clap knows it, and
//! the configuration's types with their comments. Shared with the executor's tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Checks that the page at `path` (from the repository's root) reads `text`; writes it if `UPDATE_DOCS` is set.
pub(crate) fn holds(path: &str, text: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root
        .ancestors()
        .find(|folder| folder.join("deny.toml").exists());
    let path = root.expect("the repository's root").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{} is out of date; run the test with UPDATE_DOCS=1",
        path.display()
    );
}

/// The flags of a subcommand as a table.
pub(crate) fn flags(command: &clap::Command) -> String {
    let mut table = String::from("| flag | variable | default | meaning |\n|---|---|---|---|\n");
    for flag in command.get_arguments() {
        let Some(long) = flag.get_long().filter(|long| *long != "help") else {
            continue;
        };
        let variable = flag.get_env().map(|name| name.to_string_lossy());
        let variable = variable.map_or(String::new(), |name| format!("`{name}`"));
        let default = flag.get_default_values().first();
        let default = default.map_or(String::new(), |value| {
            format!("`{}`", value.to_string_lossy())
        });
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(table, "| `--{long}` | {variable} | {default} | {help} |").expect("a string");
    }
    table
}

/// The types of a configuration: those of `sources`, each under a heading of its own. `elsewhere` says where other
/// types are explained.
pub(crate) fn types(sources: &[&str], elsewhere: &[(&str, &str)]) -> String {
    let items: Vec<Item> = sources.iter().flat_map(|source| items(source)).collect();
    let mut links: BTreeMap<String, String> = elsewhere
        .iter()
        .map(|(name, place)| ((*name).to_owned(), (*place).to_owned()))
        .collect();
    for item in &items {
        links.insert(
            item.name.clone(),
            format!("#{}", title(&item.name).to_lowercase()),
        );
    }
    let defaults: BTreeMap<&str, &str> = items
        .iter()
        .filter_map(|item| {
            let entry = item.entries.iter().find(|entry| entry.is_default)?;
            Some((item.name.as_str(), entry.name.as_str()))
        })
        .collect();
    let source = sources.concat();
    let mut page = String::new();
    for item in &items {
        write!(page, "### {}\n\n{}\n\n", title(&item.name), item.meaning).expect("a string");
        if item.entries.iter().all(|entry| entry.of.is_none()) {
            page.push_str("| value | meaning |\n|---|---|\n");
            for entry in &item.entries {
                writeln!(page, "| `{}` | {} |", entry.name, entry.meaning).expect("a string");
            }
        } else {
            page.push_str("| key | is | default | meaning |\n|---|---|---|---|\n");
            for entry in &item.entries {
                let of = entry.of.as_deref().unwrap_or_default();
                let is = kind(of, &links);
                let default = entry.default(of, &defaults, &source, item.is_choice);
                let (name, meaning) = (&entry.name, &entry.meaning);
                writeln!(page, "| `{name}` | {is} | {default} | {meaning} |").expect("a string");
            }
        }
        page.push('\n');
    }
    page.trim_end().to_owned() + "\n"
}

/// A struct or an enum that is read from the configuration.
struct Item {
    name: String,
    meaning: String,
    /// Exactly one of its entries is written.
    is_choice: bool,
    entries: Vec<Entry>,
}

/// A field or a variant.
struct Entry {
    name: String,
    meaning: String,
    /// Its type, if it has one.
    of: Option<String>,
    /// What `#[serde(default…)]` says: the name of a function, or nothing.
    serde_default: Option<String>,
    is_default: bool,
}

impl Entry {
    fn default(
        &self,
        of: &str,
        defaults: &BTreeMap<&str, &str>,
        source: &str,
        is_choice: bool,
    ) -> String {
        match &self.serde_default {
            None if of.starts_with("Option<") || is_choice && !self.name.contains('.') => {
                String::new()
            }
            None => "required".to_owned(),
            Some(function) if function.is_empty() => match of {
                "bool" => "`false`".to_owned(),
                "u8" => "`0`".to_owned(),
                _ => defaults
                    .get(of)
                    .map_or(String::new(), |name| format!("`{name}`")),
            },
            Some(function) => format!("`{}`", value_of(function, source)),
        }
    }
}

/// The items of a source file that derive `Deserialize`.
fn items(source: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let (mut meaning, mut attributes) = (String::new(), String::new());
    let mut inside = false;
    let mut upper_case = false;
    let mut variant = None;
    for line in source.lines() {
        let text = line.trim();
        if let Some(words) = text.strip_prefix("///") {
            meaning.push_str(words);
            continue;
        }
        if text.starts_with("#[") {
            attributes.push_str(text);
            continue;
        }
        let opens = ["pub struct ", "pub enum "].map(|opening| text.strip_prefix(opening));
        if let (false, [Some(name), _] | [_, Some(name)]) = (inside, opens)
            && let (true, Some(name)) = (
                attributes.contains("Deserialize") && !attributes.contains("try_from"),
                name.strip_suffix(" {"),
            )
        {
            upper_case = attributes.contains("UPPERCASE");
            inside = true;
            items.push(Item {
                name: name.to_owned(),
                meaning: meaning.trim().to_owned(),
                is_choice: text.starts_with("pub enum"),
                entries: Vec::new(),
            });
        } else if inside && line == "}" {
            inside = false;
        } else if inside && text == "}," {
            variant = None;
        } else if let (true, Some(name)) = (inside, text.strip_suffix(" {")) {
            variant = Some(spelled(name, upper_case));
        } else if let (true, Some(item)) = (inside, items.last_mut())
            && !attributes.contains("serde(skip)")
            && text.ends_with(',')
        {
            let text = text.trim_end_matches(',').trim_start_matches("pub ");
            let (name, of) = match (text.split_once(": "), text.split_once('(')) {
                (Some((name, of)), _) => (name.to_owned(), Some(of.to_owned())),
                (None, Some((name, of))) => {
                    let of = of.trim_end_matches(')').to_owned();
                    (spelled(name, upper_case), Some(of))
                }
                (None, None) => (spelled(text, upper_case), None),
            };
            let default = attributes.split("serde(default").nth(1);
            item.entries.push(Entry {
                name: match &variant {
                    Some(variant) => format!("{variant}.{name}"),
                    None => name,
                },
                meaning: meaning.trim().to_owned(),
                of,
                serde_default: default.map(|rest| {
                    let function = rest.strip_prefix(" = \"").unwrap_or_default();
                    function.split('"').next().unwrap_or_default().to_owned()
                }),
                is_default: attributes.contains("#[default]"),
            });
        }
        meaning.clear();
        attributes.clear();
    }
    items
}

/// A variant as it is written in the configuration.
fn spelled(variant: &str, upper_case: bool) -> String {
    if upper_case {
        return variant.to_uppercase();
    }
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// What the function of that name gives, a constant of the same source or a literal.
fn value_of(function: &str, source: &str) -> String {
    let body = source
        .split(&format!("fn {function}() "))
        .nth(1)
        .and_then(|rest| rest.lines().nth(1))
        .expect("the function stands in one of the sources")
        .trim();
    let constant = source
        .split(&format!("const {body}: "))
        .nth(1)
        .and_then(|rest| rest.split([';', '=']).nth(1));
    let value = constant.unwrap_or(body).trim();
    for (unit, letter) in [("seconds", 's'), ("days", 'd')] {
        let number = value.strip_prefix(&format!("Period::{unit}("));
        if let Some(number) = number.and_then(|rest| rest.strip_suffix(')')) {
            return format!("{number}{letter}");
        }
    }
    let product = value
        .split(" * ")
        .map(|factor| factor.replace('_', "").parse::<u64>());
    match product.collect::<Result<Vec<_>, _>>() {
        Ok(factors) => factors.iter().product::<u64>().to_string(),
        Err(_) => value.to_owned(),
    }
}

/// A type in words, with a link to where it is explained.
fn kind(of: &str, links: &BTreeMap<String, String>) -> String {
    for wrapper in ["Option<", "Spanned<", "Box<"] {
        if let Some(inner) = of.strip_prefix(wrapper) {
            return kind(inner.strip_suffix('>').expect("closed"), links);
        }
    }
    if let Some(inner) = of.strip_prefix("Vec<") {
        return format!(
            "list of {}",
            kind(inner.strip_suffix('>').expect("closed"), links)
        );
    }
    if let Some(inner) = of.strip_prefix("BTreeMap<") {
        let (_, inner) = inner.split_once(", ").expect("a key and a value");
        return format!(
            "map to {}",
            kind(inner.strip_suffix('>').expect("closed"), links)
        );
    }
    match of {
        "String" => "text".to_owned(),
        "PathBuf" => "path".to_owned(),
        "bool" => "`true` or `false`".to_owned(),
        "u8" | "u16" | "u32" | "usize" => "number".to_owned(),
        "Period" => "time, as in `30s`".to_owned(),
        "Value" => "anything".to_owned(),
        "" => String::new(),
        of => match links.get(of) {
            Some(place) => format!("[{}]({place})", title(of).to_lowercase()),
            None => panic!("{of} is explained nowhere: add its source"),
        },
    }
}

/// A type's name as a heading: `SmtpTlsConfig` is `Smtp-Tls`, `Config` is `File`.
fn title(name: &str) -> String {
    if name == "Config" {
        return "File".to_owned();
    }
    let name = name.trim_end_matches("Config").trim_end_matches("Name");
    let mut title = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !title.is_empty() {
            title.push('-');
        }
        title.push(letter);
    }
    title
}
