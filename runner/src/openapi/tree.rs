//! A document as a tree over its own text: a node is a place in it, and what a node says is read when it is asked.
//! Whatever is made from documents is made from this. No file and no socket here.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::cell::{Cell, Kind, LARGE_MIN, Scanned, Sorted, hash, unescaped};
use super::resolve::Look;
use super::scan::scan;

/// Bytes of an example or a default.
const SAMPLE_BYTES_MAX: usize = 256;

/// All of a text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The text.
    text: String,
    /// Its values and names in their order.
    cells: Vec<Cell>,
    /// Its texts with escapes.
    escaped: Vec<Escaped>,
    /// The names of its large objects.
    large: Vec<Sorted>,
    /// What no reference may lead to.
    closed: Vec<Range<usize>>,
}

/// A text with escapes.
#[derive(Debug)]
struct Escaped {
    /// How long it is with them.
    length: usize,
    /// What it is without.
    read: OnceLock<Box<str>>,
}

impl Tree {
    /// Takes JSON apart. What is none comes back; so does an object with two members of one name, what is beyond JSON
    /// where all would be closed for it, and what refers to other texts.
    pub(super) fn parse(text: String) -> Result<Self, String> {
        match scan(text.as_bytes()) {
            Some(scanned) if !scanned.leads_out => Self::over(text, scanned),
            _ => Err(text),
        }
    }

    /// Of a value in memory; `None` when that is larger than any text may be.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let text = value.to_string();
        let scanned = scan(text.as_bytes())?;
        Self::over(text, Scanned { beyond: Vec::new(), ..scanned }).ok()
    }

    /// Of a text that is known to be JSON.
    pub(crate) fn known(text: &str) -> Self {
        Self::parse(text.to_owned()).unwrap_or_default()
    }

    /// Over a text. What is beyond JSON closes the part it is in, and where it is in none, all.
    fn over(text: String, scanned: Scanned) -> Result<Self, String> {
        let Scanned { cells, escaped, large, beyond, .. } = scanned;
        let escaped = escaped.into_iter().map(|length| Escaped { length, read: OnceLock::new() }).collect();
        let mut tree = Self { text, cells, escaped, large, closed: Vec::new() };
        if !beyond.is_empty() {
            let parts = tree.parts();
            let part_of = |cell: &usize| parts.iter().find(|part| part.contains(cell)).cloned();
            match beyond.iter().map(part_of).collect() {
                Some(closed) => tree.closed = closed,
                None => return Err(tree.text),
            }
        }
        Ok(tree)
    }

    /// Where those parts of a document are of which each is read for itself: paths, components, events, extensions.
    fn parts(&self) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        for (name, value) in self.root().as_object().into_iter().flatten() {
            match name {
                "paths" => parts.extend(value.as_object().into_iter().flatten().map(|(_, path)| path)),
                "components" => {
                    let kinds = value.as_object().into_iter().flatten();
                    let all = kinds.filter_map(|(_, kind)| kind.as_object()).flatten();
                    parts.extend(all.map(|(_, component)| component));
                }
                _ if name == "webhooks" || name.starts_with("x-") && !name.starts_with("x-mcp-") => {
                    parts.push(value);
                }
                _ => {}
            }
        }
        parts.into_iter().map(|part| part.at..self.after(part.at)).collect()
    }

    /// Gives its text back.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The whole.
    pub(crate) fn root(&self) -> Node<'_> {
        Node { tree: self, at: 0 }
    }

    /// One cell.
    fn cell(&self, at: usize) -> Option<Cell> {
        self.cells.get(at).copied()
    }

    /// The cell behind a value and all that it holds.
    fn after(&self, at: usize) -> usize {
        match self.cell(at) {
            Some(cell) if matches!(cell.kind(), Kind::List | Kind::Object) => cell.more(),
            _ => at + 1,
        }
    }

    /// The text of a cell that is one.
    fn text(&self, cell: Cell) -> Option<&str> {
        match cell.kind() {
            Kind::Plain => self.text.get(cell.at()..cell.at() + cell.more()),
            Kind::Escaped => {
                let Escaped { length, read } = self.escaped.get(cell.more())?;
                let undo = || unescaped(self.text.as_bytes(), cell.at(), *length).unwrap_or_default().into();
                Some(read.get_or_init(undo))
            }
            _ => None,
        }
    }
}

/// A value in a document.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    /// The document.
    tree: &'a Tree,
    /// Its cell.
    at: usize,
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl Look for Node<'_> {
    fn find(self, pointer: &str) -> Option<Self> {
        let Some(steps) = pointer.strip_prefix('/') else {
            return pointer.is_empty().then_some(self);
        };
        let found = steps.split('/').try_fold(self, |node, step| {
            if node.is_object() {
                return if step.contains('~') {
                    node.get(&step.replace("~1", "/").replace("~0", "~"))
                } else {
                    node.get(step)
                };
            }
            // As elsewhere: one way to write each.
            let is_plain = step == "0" || !step.starts_with(['+', '0']);
            node.as_array()?.into_iter().nth(step.parse().ok().filter(|_| is_plain)?)
        })?;
        found.is_open().then_some(found)
    }

    fn target(&self) -> Option<&str> {
        self.reference()
    }
}

impl<'a> Node<'a> {
    /// Its cell.
    fn cell(self) -> Option<Cell> {
        self.tree.cell(self.at)
    }

    /// What it is.
    fn kind(self) -> Kind {
        self.cell().map_or(Kind::Null, Cell::kind)
    }

    /// Whether it can be read.
    pub(super) fn is_open(self) -> bool {
        !self.tree.closed.iter().any(|part| part.contains(&self.at))
    }

    /// A member.
    pub(crate) fn get(self, name: &str) -> Option<Self> {
        self.as_object()?.get(name)
    }

    /// A text.
    pub(crate) fn as_str(self) -> Option<&'a str> {
        self.tree.text(self.cell()?)
    }

    /// True or false.
    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// What a number is written like.
    fn number(self) -> Option<&'a str> {
        let cell = self.cell().filter(|cell| cell.kind() == Kind::Number)?;
        self.tree.text.get(cell.at()..cell.at() + cell.more())
    }

    /// A whole number.
    pub(crate) fn as_u64(self) -> Option<u64> {
        self.number()?;
        self.value().as_u64()
    }

    /// A list.
    pub(crate) fn as_array(self) -> Option<List<'a>> {
        let cell = self.cell().filter(|cell| cell.kind() == Kind::List)?;
        Some(List { tree: self.tree, at: self.at + 1, end: cell.more() })
    }

    /// An object.
    pub(crate) fn as_object(self) -> Option<Members<'a>> {
        let cell = self.cell().filter(|cell| cell.kind() == Kind::Object)?;
        Some(Members { tree: self.tree, at: self.at + 1, end: cell.more(), size: cell.at() })
    }

    /// The text of `$ref`.
    pub(crate) fn reference(self) -> Option<&'a str> {
        self.get("$ref")?.as_str()
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(self) -> bool {
        self.kind() == Kind::True
    }

    /// Whether it is true or false.
    pub(crate) fn is_boolean(self) -> bool {
        matches!(self.kind(), Kind::True | Kind::False)
    }

    /// Whether it is a text.
    pub(crate) fn is_string(self) -> bool {
        matches!(self.kind(), Kind::Plain | Kind::Escaped)
    }

    /// Whether it is a number.
    pub(crate) fn is_number(self) -> bool {
        self.kind() == Kind::Number
    }

    /// Whether it is an object.
    pub(crate) fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// A copy of it, with all that it holds.
    pub(crate) fn value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::False => Value::Bool(false),
            Kind::True => Value::Bool(true),
            Kind::Number => {
                self.number().and_then(|number| serde_json::from_str(number).ok()).unwrap_or_default()
            }
            Kind::Plain | Kind::Escaped => Value::String(self.as_str().unwrap_or_default().to_owned()),
            Kind::List => self.as_array().into_iter().flatten().map(Node::value).collect(),
            Kind::Object => {
                let members = self.as_object().into_iter().flatten();
                Value::Object(
                    members.map(|(name, value)| (name.to_owned(), value.value())).collect::<Map<_, _>>(),
                )
            }
        }
    }

    /// Whether it is a sample that is worth its place in a tool.
    pub(super) fn is_small(self) -> bool {
        self.bytes() <= SAMPLE_BYTES_MAX
    }

    /// The size of a value as text, nearly.
    pub(super) fn bytes(self) -> usize {
        match self.kind() {
            Kind::Null | Kind::False | Kind::True | Kind::Number => 6,
            Kind::Plain | Kind::Escaped => self.as_str().map_or(0, str::len) + 3,
            Kind::List => self.as_array().into_iter().flatten().map(Node::bytes).sum::<usize>() + 2,
            Kind::Object => {
                let members = self.as_object().into_iter().flatten();
                members.map(|(name, value)| name.len() + 4 + value.bytes()).sum::<usize>() + 2
            }
        }
    }
}

/// What a list holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<'a> {
    /// The document.
    tree: &'a Tree,
    /// The next cell.
    at: usize,
    /// Behind the last.
    end: usize,
}

impl List<'_> {
    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.end
    }
}

#[expect(clippy::copy_iterator, reason = "it is a place: a copy goes on from there")]
impl<'a> Iterator for List<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let node = (!self.is_empty()).then_some(Node { tree: self.tree, at: self.at })?;
        self.at = self.tree.after(self.at);
        Some(node)
    }
}

/// What an object holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a> {
    /// The document.
    tree: &'a Tree,
    /// The next cell.
    at: usize,
    /// Behind the last.
    end: usize,
    /// How many members there are; of a large object, which one it is.
    size: usize,
}

impl<'a> Members<'a> {
    /// A member.
    pub(crate) fn get(self, name: &str) -> Option<Node<'a>> {
        if let Some(large) = self.size.checked_sub(LARGE_MIN) {
            let (names, wanted) = (self.tree.large.get(large)?, hash(name.as_bytes()));
            let place = names.partition_point(|(hash, _)| *hash < wanted);
            let (_, at) = names.get(place).filter(|(hash, _)| *hash == wanted)?;
            let found = self.tree.text(self.tree.cell(*at)?)? == name;
            return found.then_some(Node { tree: self.tree, at: at + 1 });
        }
        let mut at = self.at;
        while at < self.end {
            let cell = self.tree.cell(at)?;
            // Most are of another length.
            let may_be = cell.kind() != Kind::Plain || cell.more() == name.len();
            if may_be && self.tree.text(cell)? == name {
                return Some(Node { tree: self.tree, at: at + 1 });
            }
            at = self.tree.after(at + 1);
        }
        None
    }

    /// Whether there is more than one member.
    pub(crate) fn is_several(self) -> bool {
        self.size > 1
    }
}

#[expect(clippy::copy_iterator, reason = "it is a place: a copy goes on from there")]
impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let name = self.tree.text(self.tree.cell(self.at)?)?;
        let value = Node { tree: self.tree, at: self.at + 1 };
        self.at = self.tree.after(self.at + 1);
        Some((name, value))
    }
}
