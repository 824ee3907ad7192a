//! Columns as wide as their widest cell. Colour is put on after widths are known, so that it never moves a column.

use super::{Style, plain};

/// Where text stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// A table under construction.
#[derive(Debug)]
pub struct Table {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(String, Option<String>)>>,
}

impl Table {
    /// Heads of the columns; a leading `>` puts a column to the right (numbers).
    pub fn new(heads: &[&'static str]) -> Self {
        let head = |text: &&'static str| match text.strip_prefix('>') {
            Some(text) => (text, Align::Right),
            None => (*text, Align::Left),
        };
        Self { heads: heads.iter().map(head).collect(), rows: Vec::new() }
    }

    /// Adds a row of cells: the text, and the state whose colour it gets. A process may call itself what it likes: nothing in a cell is
    /// left to move the cursor or to colour anything.
    pub fn row(&mut self, cells: Vec<(String, Option<String>)>) {
        self.rows.push(cells.into_iter().map(|(text, state)| (plain(&text), state)).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves columns out until a line fits into so many characters: the first of these heads first.
    pub fn fit(&mut self, width: usize, indent: &str, dispensable: &[&str]) {
        for head in dispensable {
            let widths = self.widths();
            let gaps = widths.len().saturating_sub(1) * 2;
            if indent.chars().count() + widths.iter().sum::<usize>() + gaps <= width {
                return;
            }
            let Some(column) = self.heads.iter().position(|(known, _)| known == head) else { continue };
            self.heads.remove(column);
            for row in self.rows.iter_mut().filter(|row| row.len() > column) {
                row.remove(column);
            }
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize, head: &str| {
            let cells =
                self.rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.chars().count());
            cells.chain([head.chars().count()]).max().unwrap_or(0)
        };
        self.heads.iter().enumerate().map(|(index, (head, _))| width(index, head)).collect()
    }

    /// Lines, without trailing spaces, each below `indent`.
    pub fn render(&self, style: Style, indent: &str) -> String {
        let widths = self.widths();
        let heads: Vec<_> = self.heads.iter().map(|(text, _)| ((*text).to_owned(), None)).collect();
        let mut out = style.dim(&self.line(&heads, &widths, Style::new(false), indent)) + "\n";
        for row in &self.rows {
            out += &(self.line(row, &widths, style, indent) + "\n");
        }
        out
    }

    fn line(
        &self,
        cells: &[(String, Option<String>)],
        widths: &[usize],
        style: Style,
        indent: &str,
    ) -> String {
        let mut out = indent.to_owned();
        let columns = cells.iter().zip(widths).zip(&self.heads);
        for (index, (((text, state), width), (_, align))) in columns.enumerate() {
            let pad = " ".repeat(width.saturating_sub(text.chars().count()));
            let shown = state.as_ref().map_or_else(|| text.clone(), |state| style.state(state, text));
            let gap = if index == 0 { "" } else { "  " };
            out += gap;
            out += &if *align == Align::Right { pad + &shown } else { shown + &pad };
        }
        out.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colour() {
        let mut table = Table::new(&["NAME", ">PID", "STATE"]);
        table.row(vec![("käthe.1".into(), None), ("7".into(), None), ("ready".into(), Some("ready".into()))]);
        table.row(vec![("b".into(), None), ("12345".into(), None), ("failed".into(), Some("failed".into()))]);
        let plain = table.render(Style::new(false), "  ");
        assert_eq!(plain, "  NAME       PID  STATE\n  käthe.1      7  ready\n  b        12345  failed\n");
        let coloured = table.render(Style::new(true), "  ");
        assert!(coloured.contains("\x1b[32mready\x1b[0m"), "{coloured}");
    }

    #[test]
    fn a_process_that_calls_itself_an_escape_sequence_does_nothing_to_the_terminal() {
        let mut table = Table::new(&["PROGRAM", "OWNER"]);
        table.row(vec![("\x1b]0;x\x07\x1b[2J".into(), None), ("a\nb\tc".into(), None)]);
        let text = table.render(Style::new(false), "");
        assert_eq!(text, "PROGRAM                   OWNER\n\\u{1b}]0;x\\u{7}\\u{1b}[2J  a\\nb\\tc\n");
    }

    #[test]
    fn columns_give_way_in_the_order_that_was_said() {
        let plain = |width: usize| {
            let mut table = Table::new(&["NAME", ">PID", "STATE"]);
            table.row(vec![("web.1".into(), None), ("12345".into(), None), ("ready".into(), None)]);
            table.row(vec![("b".into(), None)]);
            table.fit(width, "  ", &["PID", "STATE", "NO SUCH"]);
            table.render(Style::new(false), "  ")
        };
        assert_eq!(plain(21), "  NAME     PID  STATE\n  web.1  12345  ready\n  b\n");
        assert_eq!(plain(20), "  NAME   STATE\n  web.1  ready\n  b\n");
        assert_eq!(plain(3), "  NAME\n  web.1\n  b\n", "what is not dispensable stays");
    }
}
