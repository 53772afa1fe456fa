//! Results: tables in Markdown, bars, and the part of the document that they replace.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// The document before its first results.
const HEAD: &str = "# Benchmarks\n\nWritten by `cargo xtask bench`, never by hand.\n";

/// What one run found.
pub(crate) struct Report {
    title: String,
    head: Vec<String>,
    sections: Vec<Section>,
    bars: Vec<Bar>,
}

/// A table and what must be known to read it.
pub(crate) struct Section {
    title: String,
    notes: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// What was promised, beside what was found.
struct Bar {
    what: String,
    limit: String,
    found: String,
    met: bool,
}

// === impl Report ===

impl Report {
    /// A report with lines about machine, programs and method.
    pub(crate) fn new(title: &str, head: Vec<String>) -> Self {
        Self { title: title.to_owned(), head, sections: Vec::new(), bars: Vec::new() }
    }

    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// A figure that must not exceed a limit.
    pub(crate) fn at_most(&mut self, what: &str, limit: f64, found: f64, unit: &str) {
        self.bar(what, &format!("≤ {limit}{unit}"), found, unit, found <= limit);
    }

    /// A figure that must reach a limit.
    pub(crate) fn at_least(&mut self, what: &str, limit: f64, found: f64, unit: &str) {
        self.bar(what, &format!("≥ {limit}{unit}"), found, unit, found >= limit);
    }

    fn bar(&mut self, what: &str, limit: &str, found: f64, unit: &str, met: bool) {
        self.bars.push(Bar {
            what: what.to_owned(),
            limit: limit.to_owned(),
            found: format!("{found:.2}{unit}"),
            met,
        });
    }

    /// The report as Markdown, from its second-level title on.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.title);
        for line in &self.head {
            let _ = writeln!(text, "- {line}");
        }
        if !self.bars.is_empty() {
            let mut bars = Section::new("Bars", &["what", "limit", "found", "met"]);
            for bar in &self.bars {
                let met = if bar.met { "met" } else { "**not met**" };
                bars.row([&*bar.what, &*bar.limit, &*bar.found, met].map(str::to_owned));
            }
            text.push_str(&bars.markdown());
        }
        for section in &self.sections {
            text.push_str(&section.markdown());
        }
        text
    }

    /// Puts the report between its markers in a document, which is created when there is none.
    pub(crate) fn write(&self, marker: &str, path: &Path) -> Result<()> {
        let before = std::fs::read_to_string(path).unwrap_or_else(|_| HEAD.to_owned());
        let after = replace(&before, marker, &self.markdown());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context("create the folder of the document")?;
        }
        std::fs::write(path, after).with_context(|| format!("write {}", path.display()))
    }
}

// === impl Section ===

impl Section {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            notes: Vec::new(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// A sentence above the table.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Title, notes and table; numbers are set right so that they can be compared by eye.
    fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n", self.title);
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                let cells = cells.chain([&self.columns[index]]);
                cells.map(|cell| cell.chars().count()).max().unwrap_or(3).max(3)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::from("|");
            for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let _ = match index {
                    0 => write!(line, " {cell:<width$} |"),
                    _ => write!(line, " {cell:>width$} |"),
                };
            }
            line + "\n"
        };
        text.push_str(&line(&self.columns));
        text.push('|');
        for (index, width) in widths.iter().enumerate() {
            let dashes = "-".repeat(width - usize::from(index > 0));
            let _ = write!(text, " {dashes}{} |", if index > 0 { ":" } else { "" });
        }
        text.push('\n');
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

/// Replaces what stands between the two markers of a name, or adds both at the end.
fn replace(document: &str, marker: &str, text: &str) -> String {
    let begin = format!("<!-- {marker}: begin -->\n");
    let end = format!("<!-- {marker}: end -->\n");
    let part = format!("{begin}{text}{end}");
    match (document.find(&begin), document.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            [&document[..from], &part, &document[to + end.len()..]].concat()
        }
        _ => format!("{}\n\n{part}", document.trim_end()),
    }
}

/// A whole number with commas between its thousands.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in millions, as a figure.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests;
