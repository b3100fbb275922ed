//! Schemas of a document as JSON Schema 2020-12, references followed. Holds what it reads, changes nothing.
//!
//! References are replaced by what they point at, which every client understands, as long as the result
//! stays small. A cycle cannot be: it becomes `$defs` and `$ref`. When the result would grow too large,
//! every reference becomes a `$defs` entry; and when even those are too many, the furthest ones become
//! plain types, because a tool of a megabyte is of no use to a model.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::dialect::complete;
use super::keyword::{self, Holds};
use super::pattern::is_portable;
use super::{List, Members, Node, Object, Resolver, Schema, Unresolved, within};

/// Largest schema with all references replaced, in bytes, nearly.
const INLINE_BYTES_MAX: usize = 12 << 10;
/// Size from which a schema refers to no further definitions.
const DEFS_BYTES_MAX: usize = 24 << 10;
/// Deepest nest of references that is replaced.
const DEPTH_MAX: usize = 24;
/// Characters of a description or title.
const WORDS_MAX: usize = 600;
/// Passes until all cycles must be known.
const PASSES_MAX: usize = 8;

/// The schemas of one tool.
#[derive(Debug)]
pub(crate) struct Built<'a> {
    /// In the order they were asked for.
    pub(crate) schemas: Vec<Schema<'a>>,
    /// What they refer to, for `$defs`; often empty.
    pub(crate) defs: Object<'a>,
}

/// Makes schemas of one document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builder<'a> {
    /// Follows its references.
    resolver: Resolver<Node<'a>>,
    /// Whether it is a 3.0 document, where what stands beside a `$ref` is ignored.
    ignores_siblings: bool,
}

impl<'a> Builder<'a> {
    /// For a document.
    pub(crate) fn new(resolver: Resolver<Node<'a>>) -> Self {
        let version = resolver.root().get("openapi").and_then(Node::as_str).unwrap_or_default();
        Self { resolver, ignores_siblings: version.starts_with("3.0") }
    }

    /// Makes the schemas of one tool together, so that they share their definitions.
    pub(crate) fn build(&self, roots: &[Node<'a>]) -> Result<Built<'a>, Unresolved> {
        let mut cyclic = BTreeSet::new();
        for _ in 0..PASSES_MAX {
            let known = cyclic.len();
            let mut pass = Pass::new(*self, false, std::mem::take(&mut cyclic));
            let built = pass.run(roots)?;
            if pass.is_too_large() {
                break;
            }
            if pass.cyclic.len() == known {
                return Ok(built);
            }
            cyclic = pass.cyclic;
        }
        Pass::new(*self, true, BTreeSet::new()).run(roots)
    }
}

/// One attempt at the schemas of one tool.
struct Pass<'a> {
    /// The document.
    builder: Builder<'a>,
    /// Whether every reference becomes a definition.
    defines_all: bool,
    /// References that lead back to themselves; grows during the pass.
    cyclic: BTreeSet<&'a str>,
    /// References being replaced, outermost first.
    nest: Vec<&'a str>,
    /// Whether the nest grew too deep.
    is_too_deep: bool,
    /// Names of definitions by reference.
    names: BTreeMap<&'a str, String>,
    /// Definitions named but not made yet.
    queue: VecDeque<&'a str>,
    /// Bytes made so far, nearly.
    spent_bytes: usize,
}

impl<'a> Pass<'a> {
    /// Before the first schema.
    fn new(builder: Builder<'a>, defines_all: bool, cyclic: BTreeSet<&'a str>) -> Self {
        Self {
            builder,
            defines_all,
            cyclic,
            nest: Vec::new(),
            is_too_deep: false,
            names: BTreeMap::new(),
            queue: VecDeque::new(),
            spent_bytes: 0,
        }
    }

    /// Whether this attempt is to be thrown away for its size.
    fn is_too_large(&self) -> bool {
        !self.defines_all && (self.is_too_deep || self.spent_bytes > INLINE_BYTES_MAX)
    }

    /// Whether what is not made yet becomes a plain type.
    fn defines_no_more(&self) -> bool {
        self.defines_all && self.spent_bytes > DEFS_BYTES_MAX
    }

    /// Makes all roots, then the definitions they came to need.
    fn run(&mut self, roots: &[Node<'a>]) -> Result<Built<'a>, Unresolved> {
        let mut schemas = Vec::with_capacity(roots.len());
        for root in roots.iter().copied() {
            // A root is always replaced: the caller wants to see its properties.
            let target = self.builder.resolver.follow(root)?;
            schemas.push(self.schema(target)?);
        }
        let mut defs = Object::default();
        while let Some(reference) = self.queue.pop_front() {
            let target = self.builder.resolver.follow(self.builder.resolver.lookup(reference)?)?;
            let schema = if self.defines_no_more() { self.stub(target)? } else { self.schema(target)? };
            if let Some(name) = self.names.get(reference) {
                defs.push(name.clone(), schema);
            }
        }
        Ok(Built { schemas, defs })
    }

    /// One schema. What is no schema at all accepts anything.
    fn schema(&mut self, value: Node<'a>) -> Result<Schema<'a>, Unresolved> {
        match value.as_object() {
            Some(map) => match value.reference() {
                Some(target) => self.reference(target, map),
                None => Ok(self.keywords(map)?.into()),
            },
            None if value.as_bool() == Some(false) => Ok(Schema::one("not", Schema::empty())),
            None => Ok(Schema::empty()),
        }
    }

    /// A reference and what stands beside it.
    fn reference(&mut self, target: &'a str, beside: Members<'a>) -> Result<Schema<'a>, Unresolved> {
        let value = self.builder.resolver.lookup(target)?;
        let mut schema = if self.is_too_large() {
            Schema::empty()
        } else if self.defines_all || self.cyclic.contains(target) {
            self.defined(target, value)?
        } else if self.nest.contains(&target) {
            self.cyclic.insert(target);
            Schema::empty()
        } else {
            self.is_too_deep |= self.nest.len() >= DEPTH_MAX;
            self.nest.push(target);
            let schema = self.schema(value);
            self.nest.pop();
            schema?
        };
        if beside.is_several()
            && let Some(schema) = schema.as_object_mut()
        {
            let beside = self.keywords(beside)?;
            let ignores = self.builder.ignores_siblings;
            let kept = beside.into_iter().filter(|(keyword, _)| !ignores || keyword == "description");
            kept.for_each(|(keyword, value)| schema.insert(keyword, value));
        }
        Ok(schema)
    }

    /// A `$ref` to a definition, which is made later; or just a type when there are too many.
    fn defined(&mut self, target: &'a str, value: Node<'a>) -> Result<Schema<'a>, Unresolved> {
        if !self.names.contains_key(target) {
            if self.defines_no_more() {
                return self.stub(value);
            }
            let name = self.name_for(target);
            self.names.insert(target, name);
            self.queue.push_back(target);
        }
        let name = self.names.get(target).map(String::as_str).unwrap_or_default();
        self.spent_bytes += name.len() + 20;
        Ok(Schema::one("$ref", format!("#/$defs/{name}")))
    }

    /// The type of a schema, without anything it refers to.
    fn stub(&mut self, value: Node<'a>) -> Result<Schema<'a>, Unresolved> {
        let value = self.builder.resolver.follow(value)?;
        let mut stub = Object::default();
        if let Some(map) = value.as_object() {
            let kept = map.filter(|(keyword, _)| matches!(*keyword, "type" | "enum" | "format"));
            for (keyword, value) in kept {
                self.keyword(&mut stub, keyword, value)?;
            }
            complete(&mut stub, map);
        }
        Ok(stub.into())
    }

    /// A name for a definition: the end of its pointer, made unique.
    fn name_for(&self, target: &str) -> String {
        let last = target.rsplit('/').next().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let plain: String = last.chars().map(|c| if allowed(c) { c } else { '_' }).take(64).collect();
        let is_taken = |name: &String| self.names.values().any(|other| other == name);
        let numbered = (2..).map(|number: u32| format!("{plain}_{number}"));
        let first = if plain.is_empty() { "schema".to_owned() } else { plain.clone() };
        std::iter::once(first).chain(numbered).find(|name| !is_taken(name)).unwrap_or(plain)
    }

    /// The keywords of one schema object.
    fn keywords(&mut self, map: Members<'a>) -> Result<Object<'a>, Unresolved> {
        let mut schema = Object::default();
        for (keyword, value) in map {
            self.keyword(&mut schema, keyword, value)?;
        }
        complete(&mut schema, map);
        drop_patterns(&mut schema);
        self.drop_read_only(&mut schema, map);
        Ok(schema)
    }

    /// One keyword, put where it belongs in 2020-12, or dropped.
    fn keyword(
        &mut self,
        schema: &mut Object<'a>,
        keyword: &'a str,
        value: Node<'a>,
    ) -> Result<(), Unresolved> {
        let Some(holds) = keyword::holds(keyword) else {
            return Ok(());
        };
        let list = value.as_array().filter(|list| !list.is_empty());
        let (keyword, made) = match holds {
            Holds::Schema if keyword.ends_with("Properties") && value.is_boolean() => {
                (keyword, Schema::Node(value))
            }
            // The tuple of the drafts before 2020-12.
            Holds::Schema => match value.as_array().filter(|_| keyword == "items") {
                Some(list) => ("prefixItems", self.list(list)?),
                None => (keyword, self.schema(value)?),
            },
            Holds::Schemas => match list {
                Some(list) => (keyword, self.list(list)?),
                None => return Ok(()),
            },
            Holds::Named => match value.as_object() {
                Some(named) => (keyword, self.named(keyword, named)?),
                None => return Ok(()),
            },
            Holds::Words => match value.as_str() {
                Some(words) => (keyword, within(words, WORDS_MAX).into()),
                None => return Ok(()),
            },
            Holds::Data if !value.is_small() => return Ok(()),
            Holds::List if keyword == "examples" && value.as_array().is_some() => {
                let samples = value.as_array().into_iter().flatten();
                let samples = samples.filter(|sample| sample.is_small()).take(2).map(Schema::Node);
                (keyword, Schema::List(samples.collect()))
            }
            _ if keyword::fits(holds, value) => (keyword, Schema::Node(value)),
            _ => return Ok(()),
        };
        if !matches!(holds, Holds::Schema | Holds::Schemas | Holds::Named) {
            self.spent_bytes += made.bytes();
        }
        self.spent_bytes += keyword.len() + 4;
        schema.insert(keyword, made);
        Ok(())
    }

    /// A list of schemas.
    fn list(&mut self, list: List<'a>) -> Result<Schema<'a>, Unresolved> {
        list.map(|value| self.schema(value)).collect::<Result<Vec<_>, _>>().map(Schema::from)
    }

    /// Schemas by name; of properties, only those a caller may set.
    fn named(&mut self, keyword: &str, named: Members<'a>) -> Result<Schema<'a>, Unresolved> {
        let mut made = Object::default();
        for (name, value) in named {
            if keyword == "properties" && self.is_read_only(value) {
                continue;
            }
            self.spent_bytes += name.len() + 4;
            made.push(name, self.schema(value)?);
        }
        Ok(made.into())
    }

    /// Whether a property is only ever sent by the server.
    fn is_read_only(&self, value: Node<'a>) -> bool {
        let says = |value: Node<'_>| value.get("readOnly").is_some_and(Node::is_true);
        says(value) || self.builder.resolver.follow(value).is_ok_and(says)
    }

    /// Takes properties out of `required` that no caller may set, also when another part of an `allOf` has
    /// them.
    fn drop_read_only(&self, schema: &mut Object<'a>, map: Members<'a>) {
        let parts = map.get("allOf").and_then(Node::as_array).into_iter().flatten();
        let parts = parts.filter_map(|part| self.builder.resolver.follow(part).ok()?.as_object());
        let properties = parts.chain([map]).filter_map(|part| part.get("properties")?.as_object()).flatten();
        let dropped: BTreeSet<&str> =
            properties.filter(|(_, value)| self.is_read_only(*value)).map(|(name, _)| name).collect();
        if dropped.is_empty() {
            return;
        }
        let keep = |part: &mut Object<'a>| {
            if let Some(required) = part.get_mut("required").and_then(Schema::as_list_mut) {
                required.retain(|name| name.as_str().is_none_or(|name| !dropped.contains(name)));
                if required.is_empty() {
                    part.remove("required");
                }
            }
        };
        keep(schema);
        let parts = schema.get_mut("allOf").and_then(Schema::as_list_mut).into_iter().flatten();
        parts.filter_map(Schema::as_object_mut).for_each(keep);
    }
}

/// Takes out names by pattern where not every client reads all of them, and with them what is said of other names.
fn drop_patterns(schema: &mut Object<'_>) {
    let patterns = schema.get("patternProperties").and_then(Schema::as_object);
    if patterns.is_some_and(|patterns| !patterns.keys().all(is_portable)) {
        schema.retain(|keyword| {
            !matches!(keyword, "patternProperties" | "additionalProperties" | "unevaluatedProperties")
        });
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
