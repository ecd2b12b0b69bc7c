//! JSON that is changed in its text: what is not touched stays byte for byte as it was.
//!
//! A settings file belongs to its user. Reading it into values and writing those would reorder
//! keys and indent anew; so the text is scanned for where things stand, and edited there. What is
//! put in looks like what is around it: its indentation, its line breaks, or none.

use serde_json::Value;
use std::ops::Range;

/// A byte order mark, which some editors put in front of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A JSON text with the places of everything in it.
#[derive(Debug)]
pub(super) struct JsonText<'t> {
    text: &'t str,
    root: Node,
    layout: Layout<'t>,
}

/// One step on the way from the root to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'s> {
    /// To the member of an object with that name.
    Name(&'s str),
    /// To an element of an array.
    Index(usize),
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    range: Range<usize>,
    kind: Kind,
}

/// What a value is.
#[derive(Debug)]
enum Kind {
    Object(Vec<Member>),
    Array(Vec<Node>),
    Text(String),
    Other,
}

/// A member of an object.
#[derive(Debug)]
struct Member {
    name: String,
    name_range: Range<usize>,
    value: Node,
}

/// What is put in. Members keep their order.
#[derive(Debug, Clone)]
pub(super) enum Json {
    /// An object.
    Object(Vec<(String, Json)>),
    /// An array.
    Array(Vec<Json>),
    /// A string.
    Text(String),
    /// A number.
    Number(u32),
}

/// Why a text cannot be changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// How a text is laid out.
#[derive(Debug)]
struct Layout<'t> {
    line_break: &'static str,
    /// What one level is indented by; `None` if everything is on one line.
    unit: Option<&'t str>,
    /// What is between a name and its value.
    colon: &'t str,
}

impl<'t> JsonText<'t> {
    /// Finds out where everything stands.
    ///
    /// # Errors
    ///
    /// For a text that is no JSON object.
    pub(super) fn parse(text: &'t str) -> Result<Self, Problem> {
        let json = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        // The parser judges, down to a depth that the scanner can follow; the scanner only looks.
        if let Err(error) = serde_json::from_str::<Value>(json) {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            return Err(Problem {
                line: error.line().max(1),
                message: format!("is no JSON: {message}"),
            });
        }
        let mut scanner = Scanner {
            text,
            at: text.len() - json.len(),
        };
        let root = scanner.value();
        if !matches!(root.kind, Kind::Object(_)) {
            return Err(Problem {
                line: line_of(text, root.range.start),
                message: format!("must hold an object, holds {}", root.kind_name()),
            });
        }
        let layout = Layout::of(text, &root);
        Ok(Self { text, root, layout })
    }

    /// Returns the value at a path.
    pub(super) fn at(&self, path: &[Step<'_>]) -> Option<&Node> {
        path.iter()
            .try_fold(&self.root, |node, step| match (step, &node.kind) {
                (Step::Name(name), Kind::Object(members)) => members
                    .iter()
                    .find(|member| member.name == *name)
                    .map(|member| &member.value),
                (Step::Index(index), Kind::Array(elements)) => elements.get(*index),
                _ => None,
            })
    }

    /// Returns the object at a path of names, if it is there.
    ///
    /// # Errors
    ///
    /// If something on the way is no object, or a name on the way stands there twice.
    pub(super) fn object(&self, path: &[&str]) -> Result<Option<&Node>, Problem> {
        let mut node = &self.root;
        for (depth, name) in path.iter().enumerate() {
            match self.member(node, &path[..depth], name)? {
                None => return Ok(None),
                Some(value) => node = value,
            }
        }
        match node.kind {
            Kind::Object(_) => Ok(Some(node)),
            _ => Err(self.wrong_kind(node, path, "an object")),
        }
    }

    /// Returns the member of an object that stands at `path`.
    ///
    /// # Errors
    ///
    /// If `node` is no object, or if the name stands there twice: readers disagree which one counts.
    pub(super) fn member<'n>(
        &self,
        node: &'n Node,
        path: &[&str],
        name: &str,
    ) -> Result<Option<&'n Node>, Problem> {
        let Kind::Object(members) = &node.kind else {
            return Err(self.wrong_kind(node, path, "an object"));
        };
        let mut named = members.iter().filter(|member| member.name == name);
        let first = named.next();
        if let Some(second) = named.next() {
            return Err(Problem {
                line: line_of(self.text, second.name_range.start),
                message: format!("holds `{name}` twice; remove one"),
            });
        }
        Ok(first.map(|member| &member.value))
    }

    /// Says that a value is of the wrong kind.
    pub(super) fn wrong_kind(&self, node: &Node, path: &[&str], wanted: &str) -> Problem {
        Problem {
            line: line_of(self.text, node.range.start),
            message: format!(
                "`{}` must be {wanted}, is {}",
                path.join("."),
                node.kind_name()
            ),
        }
    }

    /// Returns the text with a member or, without a name, an element at the end of a container.
    pub(super) fn with(&self, container: &Node, name: Option<&str>, value: &Json) -> String {
        let places = container.places();
        let Some(last) = places.last() else {
            return self.with_first(container, name, value);
        };
        let gap = self.gap_before(last.start);
        let entry = if let Some(indent) = indentation(gap) {
            let body = self.layout.written(name, value, Some(indent));
            format!(",{}{indent}{body}", self.layout.line_break)
        } else {
            let gap = match places.len() {
                1 if self.layout.colon.ends_with(' ') => " ",
                1 => "",
                _ => gap,
            };
            format!(",{gap}{}", self.layout.written(name, value, None))
        };
        self.replaced(last.end..last.end, &entry)
    }

    /// Returns the text with something in a container that is empty.
    fn with_first(&self, container: &Node, name: Option<&str>, value: &Json) -> String {
        let interior = match self.layout.unit {
            None => self.layout.written(name, value, None),
            Some(unit) => {
                let outer = self.line_indent(container.range.start);
                let inner = format!("{outer}{unit}");
                let line_break = self.layout.line_break;
                let body = self.layout.written(name, value, Some(&inner));
                format!("{line_break}{inner}{body}{line_break}{outer}")
            }
        };
        self.replaced(container.interior(), &interior)
    }

    /// Returns the text without one of several things in a container.
    pub(super) fn without(&self, container: &Node, index: usize) -> String {
        let places = container.places();
        let cut = match (index.checked_sub(1), places.get(index)) {
            (_, None) => return self.text.to_owned(),
            (Some(previous), Some(place)) if index + 1 == places.len() => {
                places[previous].end..place.end
            }
            (_, Some(place)) => place.start..places.get(index + 1).map_or(place.end, |it| it.start),
        };
        self.replaced(cut, "")
    }

    /// Returns the text with a container that holds nothing but the given space.
    pub(super) fn emptied(&self, container: &Node, space: &str) -> String {
        self.replaced(container.interior(), space)
    }

    /// Returns the text with another value in place of one.
    pub(super) fn with_text(&self, node: &Node, value: &str) -> String {
        self.replaced(node.range.clone(), &quoted(value))
    }

    /// Returns the text with a value made here in place of one.
    pub(super) fn with_value(&self, node: &Node, value: &Json) -> String {
        let indent = self.layout.unit.map(|_| self.line_indent(node.range.start));
        let written = self.layout.written(None, value, indent);
        self.replaced(node.range.clone(), &written)
    }

    /// Returns what stands between the brackets of a container.
    pub(super) fn space_in(&self, container: &Node) -> &'t str {
        &self.text[container.interior()]
    }

    fn replaced(&self, range: Range<usize>, by: &str) -> String {
        let mut text = String::with_capacity(self.text.len() + by.len());
        text.push_str(&self.text[..range.start]);
        text.push_str(by);
        text.push_str(&self.text[range.end..]);
        text
    }

    /// Returns the white space in front of a place.
    fn gap_before(&self, place: usize) -> &'t str {
        let before = &self.text[..place];
        &before[before.trim_end_matches(is_space).len()..]
    }

    /// Returns what the line of a place is indented by.
    fn line_indent(&self, place: usize) -> &'t str {
        let line = self.text[..place]
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .trim_start_matches(BYTE_ORDER_MARK);
        &line[..line.len() - line.trim_start_matches(is_space).len()]
    }
}

impl Node {
    /// Returns the text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the elements, if it is an array.
    pub(super) fn elements(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the value of a name, if it is an object that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(members) => members
                .iter()
                .find(|member| member.name == name)
                .map(|member| &member.value),
            _ => None,
        }
    }

    /// Returns the names of the members, if it is an object.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let members = match &self.kind {
            Kind::Object(members) => members.as_slice(),
            _ => &[],
        };
        members.iter().map(|member| member.name.as_str())
    }

    /// Returns how many things it contains.
    pub(super) fn len(&self) -> usize {
        match &self.kind {
            Kind::Object(members) => members.len(),
            Kind::Array(elements) => elements.len(),
            Kind::Text(_) | Kind::Other => 0,
        }
    }

    /// Returns the place of what a step leads to among its neighbours.
    pub(super) fn index_of(&self, step: Step<'_>) -> Option<usize> {
        match (step, &self.kind) {
            (Step::Name(name), Kind::Object(members)) => {
                members.iter().position(|member| member.name == name)
            }
            (Step::Index(index), Kind::Array(elements)) => {
                (index < elements.len()).then_some(index)
            }
            _ => None,
        }
    }

    fn places(&self) -> Vec<Range<usize>> {
        match &self.kind {
            Kind::Object(members) => members
                .iter()
                .map(|member| member.name_range.start..member.value.range.end)
                .collect(),
            Kind::Array(elements) => elements.iter().map(|it| it.range.clone()).collect(),
            Kind::Text(_) | Kind::Other => Vec::new(),
        }
    }

    fn interior(&self) -> Range<usize> {
        self.range.start + 1..self.range.end - 1
    }

    fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Object(_) => "an object",
            Kind::Array(_) => "an array",
            Kind::Text(_) => "a string",
            Kind::Other => "neither an object nor an array",
        }
    }
}

impl<'t> Layout<'t> {
    fn of(text: &'t str, root: &Node) -> Self {
        let line_break = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let first = match &root.kind {
            Kind::Object(members) => members.first(),
            _ => None,
        };
        let Some(first) = first else {
            return Self {
                line_break,
                unit: Some("  "),
                colon: ": ",
            };
        };
        let gap = &text[root.range.start + 1..first.name_range.start];
        Self {
            line_break,
            unit: indentation(gap),
            colon: &text[first.name_range.end..first.value.range.start],
        }
    }

    /// Writes a member or an element; on lines of their own below `indent`, or on one line.
    fn written(&self, name: Option<&str>, value: &Json, indent: Option<&str>) -> String {
        let mut text = String::new();
        if let Some(name) = name {
            text.push_str(&quoted(name));
            text.push_str(self.colon_or_plain());
        }
        self.write(&mut text, value, indent);
        text
    }

    /// Returns the colon, unless it is one that breaks the line.
    fn colon_or_plain(&self) -> &'t str {
        if self.colon.contains(['\n', '\r']) {
            ": "
        } else {
            self.colon
        }
    }

    fn write(&self, text: &mut String, value: &Json, indent: Option<&str>) {
        match value {
            Json::Text(value) => text.push_str(&quoted(value)),
            Json::Number(value) => text.push_str(&value.to_string()),
            Json::Array(elements) => {
                let elements = elements.iter().map(|element| (None, element));
                self.write_all(text, ('[', ']'), elements, indent);
            }
            Json::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (Some(name.as_str()), value));
                self.write_all(text, ('{', '}'), members, indent);
            }
        }
    }

    fn write_all<'j>(
        &self,
        text: &mut String,
        (open, close): (char, char),
        entries: impl Iterator<Item = (Option<&'j str>, &'j Json)>,
        indent: Option<&str>,
    ) {
        let inner = indent.map(|indent| format!("{indent}{}", self.unit.unwrap_or("  ")));
        let between = match &inner {
            Some(inner) => format!("{}{inner}", self.line_break),
            None if self.colon.ends_with(' ') => " ".to_owned(),
            None => String::new(),
        };
        text.push(open);
        for (index, (name, value)) in entries.enumerate() {
            if index > 0 {
                text.push(',');
            }
            if index > 0 || inner.is_some() {
                text.push_str(&between);
            }
            text.push_str(&self.written(name, value, inner.as_deref()));
        }
        if let Some(indent) = indent {
            text.push_str(self.line_break);
            text.push_str(indent);
        }
        text.push(close);
    }
}

/// Looks where things stand in a text that is known to be JSON. It never fails: a text that is none
/// after all would only give odd places.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn value(&mut self) -> Node {
        self.skip_space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Kind::Text(self.string().0),
            _ => {
                let rest = &self.text[start..];
                let end = rest.find(|c| is_space(c) || matches!(c, ',' | ']' | '}'));
                self.at = end.map_or(self.text.len(), |end| start + end);
                Kind::Other
            }
        };
        Node {
            range: start..self.at,
            kind,
        }
    }

    fn object(&mut self) -> Kind {
        let mut members = Vec::new();
        self.at += 1;
        while self.goes_on(b'}') {
            let (name, name_range) = self.string();
            self.skip_space();
            // The colon.
            self.at += 1;
            let value = self.value();
            members.push(Member {
                name,
                name_range,
                value,
            });
        }
        Kind::Object(members)
    }

    fn array(&mut self) -> Kind {
        let mut elements = Vec::new();
        self.at += 1;
        while self.goes_on(b']') {
            elements.push(self.value());
        }
        Kind::Array(elements)
    }

    /// Steps over what separates entries; whether one follows.
    fn goes_on(&mut self, close: u8) -> bool {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
        }
        match self.peek() {
            None => false,
            Some(byte) if byte == close => {
                self.at += 1;
                false
            }
            Some(_) => true,
        }
    }

    fn string(&mut self) -> (String, Range<usize>) {
        let start = self.at;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => break,
                _ => {}
            }
        }
        let range = start..self.at;
        let text = serde_json::from_str(&self.text[range.clone()]).unwrap_or_default();
        (text, range)
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(is_space).len();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Whether JSON takes a character for white space.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Returns what a line is indented by whose start is in a piece of white space.
fn indentation(gap: &str) -> Option<&str> {
    gap.rsplit_once('\n').map(|(_, indent)| indent)
}

fn line_of(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
