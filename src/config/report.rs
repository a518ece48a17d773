//! Problems as people read them: file, line and column, the offending text underlined, what would be right.

use super::{COMMAND_LINE, Problem, Source, Span};
use crate::error::Error;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// Makes one error out of all problems.
pub fn report(problems: &[Problem], sources: &[Source], colour: bool) -> Error {
    let sheets: Vec<SourceFile<'_>> = sources.iter().map(SourceFile::new).collect();
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for problem in problems {
        let title = title(problem, &sheets);
        let _ = write!(text, "{}\n\n", renderer.render(&[group(problem, &title, &sheets)]));
    }
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    let _ = write!(text, "nsnat: configuration: {count}; nothing was changed");
    Error::usage(text, "").problems(problems.iter().map(|problem| data(problem, &sheets)).collect())
}

/// For programs: what is wrong, where, and what would be right.
fn data(problem: &Problem, sheets: &[SourceFile<'_>]) -> Value {
    let sheet = problem.place.as_ref().and_then(|place| Some((place, sheets.get(place.file)?)));
    let file = sheet.filter(|(_, sheet)| !sheet.is_command_line());
    let start = |place: &Span, sheet: &SourceFile<'_>| char_boundary_before(sheet.text, place.span.start);
    let column = |(place, sheet): (&Span, &SourceFile<'_>)| {
        let at = start(place, sheet);
        let before = sheet.text.get(line_of(sheet.text, at).start..at).unwrap_or_default();
        before.chars().count() + 1
    };
    json!({
        "file": file.map(|(_, sheet)| sheet.path),
        "line": file.map(|(place, sheet)| sheet.line(place.span.start)),
        "column": file.map(column),
        "message": title(problem, sheets),
        "help": problem.help,
    })
}

/// The line around a byte, without its end.
pub(super) fn line_of(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| at + newline);
    start..end
}

/// A file, and where its lines begin: a report of thousands of problems must not count them again for each.
struct SourceFile<'s> {
    path: &'s Path,
    text: &'s str,
    lines: Vec<usize>,
}

impl<'s> SourceFile<'s> {
    fn new(source: &'s Source) -> Self {
        let after = source.text.match_indices('\n').map(|(at, _)| at + 1);
        Self { path: &source.path, text: &source.text, lines: std::iter::once(0).chain(after).collect() }
    }

    /// Whether it was made of options.
    fn is_command_line(&self) -> bool {
        self.path == Path::new(COMMAND_LINE)
    }

    /// Whether two places are better shown in one snippet than in two.
    fn close(&self, one: &Span, two: &Span) -> bool {
        const LINES: usize = 20;
        one.file == two.file && self.line(one.span.start).abs_diff(self.line(two.span.start)) <= LINES
    }

    /// The number of a byte's line, from 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    /// A snippet of the lines that these marks touch.
    fn snippet(&self, marks: &[Mark<'s>]) -> Snippet<'s, Annotation<'s>> {
        let spans = || marks.iter().map(|mark| visible_span(self.text, &mark.span));
        let first = spans().map(|span| span.start).min().unwrap_or(0);
        let last = spans().map(|span| span.end).max().unwrap_or(0);
        let shown = line_of(self.text, first).start..line_of(self.text, last).end;
        let annotations = marks.iter().map(|mark| {
            let span = visible_span(self.text, &mark.span);
            let annotation = mark.kind.span(span.start - shown.start..span.end - shown.start);
            if mark.label.is_empty() { annotation } else { annotation.label(mark.label) }
        });
        Snippet::source(self.text.get(shown.clone()).unwrap_or_default())
            .line_start(self.line(shown.start))
            .path(self.path.to_string_lossy())
            .annotations(annotations)
    }
}

/// A stretch of a file to underline.
struct Mark<'p> {
    kind: AnnotationKind,
    span: Range<usize>,
    label: &'p str,
}

/// What is wrong; where the command line says it, with the option.
fn title<'p>(problem: &'p Problem, sheets: &[SourceFile<'p>]) -> Cow<'p, str> {
    let place = problem.place.as_ref();
    let at = place
        .and_then(|place| Some((place, sheets.get(place.file).filter(|sheet| sheet.is_command_line())?)));
    let option = at.and_then(|(place, sheet)| {
        let line = sheet.text.get(line_of(sheet.text, place.span.start))?;
        line.split_once(" = ").map(|(key, _)| key)
    });
    option.map_or(Cow::Borrowed(&problem.message), |key| Cow::Owned(format!("--{key}: {}", problem.message)))
}

fn group<'p>(problem: &'p Problem, title: &'p str, sheets: &[SourceFile<'p>]) -> Group<'p> {
    // The name of the program stands where other tools say "error", as on every other line that we print.
    let mut group = Group::with_title(Level::ERROR.with_name("nsnat").primary_title(title));
    // Nobody has seen the text that the command line was made into.
    let shown = |place: &Span| sheets.get(place.file).filter(|sheet| !sheet.is_command_line());
    let at = |place: &'p Span| shown(place).map(|sheet| (place, sheet));
    let there = problem.other.as_ref().and_then(|(place, label)| Some((at(place)?, label)));
    if let Some((place, sheet)) = problem.place.as_ref().and_then(at) {
        let mut marks = vec![mark(AnnotationKind::Primary, place, &problem.label)];
        let close = there.filter(|((other, _), _)| sheet.close(place, other));
        marks.extend(close.map(|((other, _), label)| mark(AnnotationKind::Context, other, label)));
        group = group.element(sheet.snippet(&marks));
        let apart = there.filter(|_| close.is_none());
        group = group
            .elements(apart.map(|((other, sheet), label)| {
                sheet.snippet(&[mark(AnnotationKind::Context, other, label)])
            }));
    }
    group.elements(problem.help.as_deref().map(|help| Level::HELP.with_name("hint").message(help)))
}

fn mark<'p>(kind: AnnotationKind, place: &Span, label: &'p str) -> Mark<'p> {
    Mark { kind, span: place.span.clone(), label }
}

/// The span inside of the text, on whole characters, ending on the line on which it starts.
fn visible_span(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = char_boundary_before(text, span.start);
    let end = char_boundary_before(text, span.end).min(line_of(text, start).end);
    start..end.max(start)
}

/// The nearest boundary of characters at or before `at`.
fn char_boundary_before(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
