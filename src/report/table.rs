//! Tables for people: columns that stand below each other on a terminal.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: &str = "  ";

/// The rows of a table as lines. `paint` makes more of a padded cell, by its row and column.
pub(super) fn lines<const N: usize>(
    rows: &[[String; N]],
    paint: impl Fn(usize, usize, String) -> String,
) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |(number, row): (usize, &[String; N])| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| paint(number, column, pad_cell(cell, *width)));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    rows.iter().enumerate().map(line).collect()
}

/// A cell as wide as its column. Letters of other scripts take none, one or two places of a terminal.
pub fn pad_cell(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["DEVICE", "STATE"], ["häus0", "up"], ["网络0", "down"], ["e\u{301}th", ""]];
        let lines = lines(&rows.map(|row| row.map(String::from)), |_, _, cell| cell);
        assert_eq!(lines, ["DEVICE  STATE", "häus0   up", "网络0   down", "e\u{301}th"]);
    }
}
