//! A schema as it is made for a tool: what the document says stays where it is, and only what is said otherwise is
//! held here. Knows no keyword.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use super::Node;

/// A schema, or a part of one.
#[derive(Debug, Clone)]
pub(crate) enum Schema<'a> {
    /// As the document has it.
    Node(Node<'a>),
    /// `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Schema<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// An object in their order; each name once. They are few, or nobody looks for one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Schema<'a>)>);

impl<'a> Schema<'a> {
    /// An object with nothing in it.
    pub(crate) fn empty() -> Self {
        Self::Object(Object::default())
    }

    /// An object of one member.
    pub(crate) fn one(name: &'a str, value: impl Into<Self>) -> Self {
        Self::Object(Object(vec![(name.into(), value.into())]))
    }

    /// A text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Node(node) => node.as_str(),
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// Whether it is this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        match self {
            Self::Node(node) => node.is_null(),
            other => matches!(other, Self::Null),
        }
    }

    /// Whether it is `false`.
    pub(crate) fn is_false(&self) -> bool {
        match self {
            Self::Node(node) => node.as_bool() == Some(false),
            other => matches!(other, Self::Bool(false)),
        }
    }

    /// The elements of a list; none of one that is as the document has it.
    pub(crate) fn as_list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    /// A list that is to be changed.
    pub(super) fn as_list_mut(&mut self) -> Option<&mut Vec<Self>> {
        if let Self::Node(node) = self
            && let Some(list) = node.as_array()
        {
            *self = Self::List(list.map(Self::Node).collect());
        }
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// An object that was made.
    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// Likewise, to change it.
    pub(crate) fn as_object_mut(&mut self) -> Option<&mut Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// A member.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Likewise, to change it.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.as_object_mut()?.get_mut(name)
    }

    /// Takes it away from where it is.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Null)
    }

    /// The size of it as text, nearly.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Node(node) => node.bytes(),
            Self::Null | Self::Bool(_) => 6,
            Self::Text(text) => text.len() + 3,
            Self::List(list) => list.iter().map(Self::bytes).sum::<usize>() + 2,
            Self::Object(object) => object.bytes(),
        }
    }
}

impl<'a> Object<'a> {
    /// A member.
    pub(crate) fn get(&self, name: &str) -> Option<&Schema<'a>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Likewise, to change it.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Schema<'a>> {
        self.0.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Whether there is a member.
    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is none at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a member: in its place where it has one, else at the end.
    pub(crate) fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Schema<'a>>) {
        let (name, value) = (name.into(), value.into());
        match self.get_mut(&name) {
            Some(there) => *there = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a member whose name is new.
    pub(crate) fn push(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Schema<'a>>) {
        self.0.push((name.into(), value.into()));
    }

    /// Takes a member out; the last one takes its place.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Schema<'a>> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Keeps the members that fit.
    pub(super) fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| fits(name));
    }

    /// The names.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Schema<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Likewise, to change the values.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Schema<'a>)> {
        self.0.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// The size of it as text, nearly.
    fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + 4 + value.bytes()).sum::<usize>() + 2
    }
}

impl<'a> IntoIterator for Object<'a> {
    type Item = (Cow<'a, str>, Schema<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> From<&'a str> for Schema<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Schema<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Schema<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Schema<'_> {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

impl From<Vec<Self>> for Schema<'_> {
    fn from(list: Vec<Self>) -> Self {
        Self::List(list)
    }
}

impl<'a> From<Object<'a>> for Schema<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Node(node) => node.serialize(to),
            Self::Null => to.serialize_unit(),
            Self::Bool(is) => to.serialize_bool(*is),
            Self::Text(text) => to.serialize_str(text),
            Self::List(list) => to.collect_seq(list),
            Self::Object(object) => to.collect_map(object.iter()),
        }
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = self.as_str() {
            to.serialize_str(text)
        } else if let Some(list) = self.as_array() {
            to.collect_seq(list)
        } else if let Some(members) = self.as_object() {
            to.collect_map(members)
        } else {
            self.value().serialize(to)
        }
    }
}
