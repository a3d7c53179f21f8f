//! How rows stand in a file: tables of columns, or one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Form of the rows of a file, the key `format`. Names that end in `.gz` or `.zst` are unpacked.
///
/// ```
/// use lexmax_dataset::Format;
///
/// let csv: Format = toml::from_str("kind = 'table'\ndelimiter = ','\nheader = true\nlabel = 'intent'\ntext = 'query'")?;
/// let json: Format = toml::from_str("kind = 'json'\nlabel = 'intent'\ntext = 'query'")?;
/// assert_ne!(csv, json);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Format {
    /// Columns between delimiters, a row a line; the default, with its own defaults.
    Table(Table),
    /// One JSON object a line (JSON Lines).
    Json(Json),
}

/// Columns between delimiters, as in TSV and CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Character between two columns, of ASCII; by default a tab.
    pub delimiter: char,
    /// Whether a field that begins with `"` ends with the next single one and may hold delimiters,
    /// line breaks and doubled quotes (RFC 4180). By default so unless the delimiter is a tab:
    /// texts in TSV files begin with quotation marks of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotes: Option<bool>,
    /// Whether the first row names the columns.
    pub header: bool,
    /// Column of the label.
    pub label: Column,
    /// Column of the text.
    pub text: Column,
}

/// A column by its place or by its name in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a column: a number counted from 0, or a name in the header")]
pub enum Column {
    /// Place, counted from 0.
    Index(u64),
    /// Name in the header.
    Name(String),
}

/// Names of the keys in objects of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Json {
    /// Key of the label, a string or a whole number.
    pub label: String,
    /// Key of the text, a string.
    pub text: String,
}

impl Default for Format {
    fn default() -> Format {
        Format::Table(Table::default())
    }
}

impl Default for Table {
    fn default() -> Table {
        let (label, text) = (Column::Index(0), Column::Index(1));
        Table { delimiter: '\t', quotes: None, header: false, label, text }
    }
}

impl Default for Json {
    fn default() -> Json {
        Json { label: "label".to_owned(), text: "text".to_owned() }
    }
}

impl Table {
    /// Whether fields may be quoted.
    pub fn has_quotes(&self) -> bool {
        self.quotes.unwrap_or(self.delimiter != '\t')
    }
}

impl Format {
    pub(crate) fn validate(&self) -> Result<(), DatasetError> {
        match self {
            Format::Table(table) => {
                let delimiter = table.delimiter;
                if !delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r' | '\0') {
                    let given = format!("{delimiter:?}");
                    let expected = "one ASCII character other than a quote, a line end or NUL";
                    return Err(DatasetError::option("format.delimiter", given, expected));
                }
                for (option, column) in [("format.label", &table.label), ("format.text", &table.text)] {
                    if let (Column::Name(name), false) = (column, table.header) {
                        let expected = "a number counted from 0, or `header = true` for a name";
                        return Err(DatasetError::option(option, format!("{name:?}"), expected));
                    }
                }
                if table.label == table.text {
                    let given = format!("{:?}, the column of the label", table.text);
                    return Err(DatasetError::option("format.text", given, "another column"));
                }
            }
            Format::Json(json) if json.label == json.text => {
                let given = format!("{:?}, the key of the label", json.text);
                return Err(DatasetError::option("format.text", given, "another key"));
            }
            Format::Json(_) => {}
        }
        Ok(())
    }
}
