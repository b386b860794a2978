//! Rows of a CSV file as inputs of runs.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::CliError;

/// Most rows taken from one file.
pub const ROWS_MAX: usize = 100_000;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRow {
    /// An object with a field for each column.
    pub input: Value,
    /// The owner's key; empty if there is none.
    pub key: String,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellType {
    Text,
    Int,
    Number,
    Bool,
    Json,
}

#[derive(Debug)]
struct Column {
    name: String,
    cell: CellType,
}

/// Reads a file.
///
/// # Errors
/// When the file cannot be read, a cell is not what its column says, or there is no such key column.
pub fn read(path: &Path, key_column: Option<&str>) -> Result<Vec<InputRow>, CliError> {
    let file = std::fs::File::open(path).map_err(|source| CliError::file("read", path, source))?;
    parse(file, &path.display().to_string(), key_column)
}

fn parse(
    source: impl Read,
    name: &str,
    key_column: Option<&str>,
) -> Result<Vec<InputRow>, CliError> {
    let bad = |message: String| {
        CliError::usage(
            message,
            "the first line names the columns: email,name,seats:int",
        )
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(source);
    let header = reader
        .headers()
        .map_err(|error| bad(format!("{name}: {error}")))?
        .clone();
    let columns = header
        .iter()
        .map(column)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(format!("{name}: {error}")))?;
    let key_index = match key_column {
        None => None,
        Some(key) => {
            let index = columns.iter().position(|column| column.name == key);
            Some(index.ok_or_else(|| bad(format!("{name} has no column `{key}`")))?)
        }
    };
    let mut rows = Vec::new();
    for (number, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|error| bad(format!("{name}: {error}")))?;
        if rows.len() == ROWS_MAX {
            return Err(CliError::usage(
                format!("{name} has over {ROWS_MAX} rows"),
                "split the file",
            ));
        }
        let line = record.position().map_or(number, csv::Position::line);
        let mut fields = Map::new();
        for (column, cell) in columns.iter().zip(&record) {
            let value = column
                .value(cell)
                .map_err(|error| bad(format!("{name}:{line}: {error}")))?;
            fields.insert(column.name.clone(), value);
        }
        let key = key_index
            .and_then(|index| record.get(index))
            .unwrap_or_default()
            .to_owned();
        rows.push(InputRow {
            input: Value::Object(fields),
            key,
        });
    }
    if rows.is_empty() {
        return Err(bad(format!("{name} has no rows")));
    }
    Ok(rows)
}

fn column(title: &str) -> Result<Column, String> {
    let (name, cell) = match title.split_once(':') {
        None => (title, CellType::Text),
        Some((name, "text")) => (name, CellType::Text),
        Some((name, "int")) => (name, CellType::Int),
        Some((name, "number")) => (name, CellType::Number),
        Some((name, "bool")) => (name, CellType::Bool),
        Some((name, "json")) => (name, CellType::Json),
        Some((_, other)) => {
            return Err(format!(
                "`{other}` is not a type: use text, int, number, bool or json"
            ));
        }
    };
    if name.is_empty() {
        return Err("a column has no name".to_owned());
    }
    Ok(Column {
        name: name.to_owned(),
        cell,
    })
}

impl Column {
    fn value(&self, text: &str) -> Result<Value, String> {
        let wrong = |what: &str| format!("`{text}` in column `{}` is not {what}", self.name);
        if text.is_empty() && self.cell != CellType::Text {
            return Ok(Value::Null);
        }
        match self.cell {
            CellType::Text => Ok(Value::String(text.to_owned())),
            CellType::Int => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| wrong("a whole number")),
            CellType::Number => text
                .parse::<f64>()
                .map(Value::from)
                .map_err(|_| wrong("a number")),
            CellType::Bool => text
                .parse::<bool>()
                .map(Value::from)
                .map_err(|_| wrong("true or false")),
            CellType::Json => serde_json::from_str(text).map_err(|_| wrong("JSON")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_become_fields_of_their_type() {
        let text = "email,seats:int,vip:bool,tags:json,note\nada@x.org, 3,true,\"[1,\"\"a\"\"]\",\nbob@x.org,,false,,\"a,b\"\n";
        let rows = parse(text.as_bytes(), "c.csv", Some("email")).expect("parses");
        assert_eq!(
            rows[0].input,
            json!({ "email": "ada@x.org", "seats": 3, "vip": true, "tags": [1, "a"], "note": "" })
        );
        assert_eq!(
            rows[1].input,
            json!({ "email": "bob@x.org", "seats": null, "vip": false, "tags": null, "note": "a,b" })
        );
        assert_eq!(rows[1].key, "bob@x.org");
    }

    #[test]
    fn a_wrong_cell_is_told_with_its_line_and_column() {
        let error = parse("a,b:int\nx,1\ny,two\n".as_bytes(), "c.csv", None).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "c.csv:3: `two` in column `b` is not a whole number"
        );
    }

    #[test]
    fn a_key_column_must_exist_and_a_file_must_have_rows() {
        let error = parse("a\nx\n".as_bytes(), "c.csv", Some("email")).expect_err("refused");
        assert_eq!(error.to_string(), "c.csv has no column `email`");
        assert!(parse("a\n".as_bytes(), "c.csv", None).is_err());
        assert!(parse("a:money\n1\n".as_bytes(), "c.csv", None).is_err());
    }

    #[test]
    fn a_row_with_too_few_cells_is_refused() {
        assert!(parse("a,b\n1\n".as_bytes(), "c.csv", None).is_err());
    }
}
