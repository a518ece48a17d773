//! A page of `docs/` as the body of a man page: as much Markdown as these pages use, in the language of man(7).

use std::iter::Peekable;
use std::str::Lines;

/// The sections of a page; what stands before the first one is the section DESCRIPTION.
pub(super) fn to_man(text: &str) -> String {
    let mut page = Page { out: ".SH DESCRIPTION\n".into(), between: false };
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        page.block(line, &mut lines);
    }
    page.out
}

/// The section of that title, with everything below it.
pub(super) fn section<'t>(text: &'t str, title: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("\n## {title}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

/// A section alone, without its title.
pub(super) fn section_to_man(text: &str) -> String {
    to_man(text).replacen(".SH DESCRIPTION\n", "", 1)
}

/// What was written so far.
struct Page {
    out: String,
    /// Whether something stands before the next paragraph that it has to be parted from.
    between: bool,
}

impl Page {
    /// A block that begins with this line, and takes what belongs to it from the next ones.
    fn block(&mut self, line: &str, lines: &mut Peekable<Lines<'_>>) {
        if line.is_empty() || line.starts_with("# ") || line.starts_with("<!--") {
            return;
        }
        if let Some(title) = line.strip_prefix("### ") {
            return self.heading("SS", &inline(title));
        }
        if let Some(title) = line.strip_prefix("## ") {
            // What is code keeps its letters.
            let shown = if title.contains('`') { title.replace('`', "") } else { title.to_uppercase() };
            return self.heading("SH", &escaped(&shown));
        }
        if line.starts_with("```") {
            return self.code(lines);
        }
        if line.starts_with('|') {
            return self.table(line, lines);
        }
        if let Some((mark, text)) = item(line) {
            self.line(&format!(".IP {mark}"));
            self.line(&paragraph(text, lines));
        } else {
            self.part();
            self.line(&paragraph(line, lines));
        }
        self.between = true;
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn heading(&mut self, kind: &str, title: &str) {
        self.line(&format!(".{kind} {title}"));
        self.between = false;
    }

    fn part(&mut self) {
        if self.between {
            self.line(".PP");
        }
    }

    fn code(&mut self, lines: &mut Peekable<Lines<'_>>) {
        self.part();
        self.line(".RS 4\n.EX");
        for line in lines.take_while(|line| !line.starts_with("```")) {
            self.line(&at_start(&escaped(line)));
        }
        self.line(".EE\n.RE");
        self.between = true;
    }

    /// A row is a term and what it means; what stands in further columns is said with the column's title.
    fn table(&mut self, header: &str, lines: &mut Peekable<Lines<'_>>) {
        let titles = cells(header);
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            let cells = cells(row);
            let Some((term, meanings)) = cells.split_first().filter(|(term, _)| !term.starts_with("---"))
            else {
                continue;
            };
            self.line(".TP");
            self.line(&inline(term));
            for (title, cell) in titles.iter().skip(1).zip(meanings).filter(|(_, cell)| !cell.is_empty()) {
                let further = *title != titles.get(1).copied().unwrap_or_default();
                let said = if further { format!("{title}: {cell}") } else { (*cell).to_owned() };
                self.line(&inline(&sentence(&said)));
            }
        }
        self.between = true;
    }
}

/// The cells of a row.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// It begins with a capital letter where it begins with a letter, and ends with a mark.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let mark = if text.ends_with(['.', ':', '!', '?']) { "" } else { "." };
    format!("{first}{}{mark}", letters.as_str())
}

/// An item of a list: how it is marked, and how it begins.
fn item(line: &str) -> Option<(String, &str)> {
    if let Some(text) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
        return Some(("\\(bu 2".into(), text));
    }
    let (number, text) = line.split_once(". ")?;
    number.parse::<u8>().ok().map(|number| (format!("{number}. 4"), text))
}

/// This line and those that go on with it.
fn paragraph(line: &str, lines: &mut Peekable<Lines<'_>>) -> String {
    let mut text = line.to_owned();
    let goes_on = |line: &&str| {
        !line.is_empty()
            && !line.starts_with(['#', '|', '`'])
            && (item(line).is_none() || line.starts_with(' '))
    };
    // A code span at the start of a line goes on, too; a fence does not.
    let is_span = |line: &&str| line.starts_with('`') && !line.starts_with("```");
    while let Some(next) = lines.next_if(|line| goes_on(line) || is_span(line)) {
        text.push(' ');
        text.push_str(next.trim_start());
    }
    inline(&text)
}

/// Code is bold, emphasis is underlined, and of a link there is its text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let marked = [("`", "B"), ("**", "B"), ("*", "I")].iter().find_map(|(mark, font)| {
            let (inner, after) = rest.strip_prefix(mark)?.split_once(mark)?;
            let inner = if *mark == "`" { escaped(inner) } else { inline(inner) };
            Some((format!("\\f{font}{inner}\\fR"), after))
        });
        if let Some((shown, after)) = marked.or_else(|| link(rest)) {
            out.push_str(&shown);
            rest = after;
        } else {
            out.push_str(&escaped(&first.to_string()));
            rest = rest.split_at(first.len_utf8()).1;
        }
    }
    at_start(&out)
}

/// `[TEXT](WHERE)` at the start: the text, and what comes after it.
fn link(text: &str) -> Option<(String, &str)> {
    let (shown, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (_, after) = rest.split_once(')')?;
    (!shown.contains('[')).then(|| (inline(shown), after))
}

/// Hyphens and backslashes stay what they are.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// No line begins with what troff takes for a request.
pub(super) fn at_start(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_a_man_page() {
        let page = "# Title\n\nA *word* of `co-de`\nthat [goes on](x.md#y).\n\n## `[a.B]`\n\n| key | value | default |\n|---|---|---|\n| `k` | a \"v\" | none |\n| `l` | w | |\n\n### Sub\n\n1. one\n   more\n2. two\n\n```toml\n.a = 1\n```\nend\n";
        let man = ".SH DESCRIPTION\nA \\fIword\\fR of \\fBco\\-de\\fR that goes on.\n.SH [a.B]\n.TP\n\\fBk\\fR\nA \"v\".\nDefault: none.\n.TP\n\\fBl\\fR\nW.\n.SS Sub\n.IP 1. 4\none more\n.IP 2. 4\ntwo\n.PP\n.RS 4\n.EX\n\\&.a = 1\n.EE\n.RE\n.PP\nend\n";
        assert_eq!(to_man(page), man);
    }
}
