//! Filters of `JSONPath`: comparisons, existence, and, or, not. Knows no document.

use serde_json::Value;

use super::jsonpath::{Path, Reader};

/// Something that is true or false of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    /// One of them.
    Any(Vec<Filter>),
    /// All of them.
    All(Vec<Filter>),
    /// The contrary.
    Not(Box<Filter>),
    /// Something is there.
    Exists(Operand),
    /// Two values compared.
    Compare(Operand, &'static str, Operand),
}

/// A value in a filter.
#[derive(Debug, PartialEq)]
pub(super) enum Operand {
    /// Written there.
    Literal(Value),
    /// From the value in question (`@`).
    Here(Path),
    /// From the root (`$`).
    Root(Path),
    /// `length()` of the value of an operand.
    Length(Box<Operand>),
    /// `count()` of what an operand finds.
    Count(Box<Operand>),
}

/// Comparisons, longer ones first.
const COMPARISONS: [&str; 7] = ["==", "!=", "<=", ">=", "<", ">", "in "];

/// Whether a filter is true of a value.
pub(super) fn test(filter: &Filter, root: &Value, value: &Value) -> bool {
    match filter {
        Filter::Any(all) => all.iter().any(|one| test(one, root, value)),
        Filter::All(all) => all.iter().all(|one| test(one, root, value)),
        Filter::Not(one) => !test(one, root, value),
        Filter::Exists(operand) => !operand.found(root, value).is_empty(),
        Filter::Compare(left, comparison, right) => {
            compare(left.value(root, value).as_ref(), comparison, right.value(root, value).as_ref())
        }
    }
}

/// One comparison; two values that are both not there are equal.
fn compare(left: Option<&Value>, comparison: &str, right: Option<&Value>) -> bool {
    let same = |left: Option<&Value>, right: Option<&Value>| match (left, right) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        _ => left == right,
    };
    let less = |left: Option<&Value>, right: Option<&Value>| match (left, right) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() < b.as_f64(),
        (Some(Value::String(a)), Some(Value::String(b))) => a < b,
        _ => false,
    };
    match comparison {
        "==" => same(left, right),
        "!=" => !same(left, right),
        "<" => less(left, right),
        ">" => less(right, left),
        "<=" => less(left, right) || same(left, right),
        ">=" => less(right, left) || same(left, right),
        _ => right.and_then(Value::as_array).is_some_and(|list| list.iter().any(|one| same(left, Some(one)))),
    }
}

impl Operand {
    /// Everything it finds.
    fn found(&self, root: &Value, value: &Value) -> Vec<Value> {
        match self {
            Self::Here(path) => path.find(root, value).into_iter().map(|(_, value)| value.clone()).collect(),
            Self::Root(path) => path.find(root, root).into_iter().map(|(_, value)| value.clone()).collect(),
            other => other.value(root, value).into_iter().collect(),
        }
    }

    /// The one value it stands for.
    fn value(&self, root: &Value, value: &Value) -> Option<Value> {
        match self {
            Self::Literal(literal) => Some(literal.clone()),
            Self::Here(_) | Self::Root(_) => {
                let mut found = self.found(root, value);
                if found.len() == 1 { found.pop() } else { None }
            }
            Self::Count(of) => Some(of.found(root, value).len().into()),
            Self::Length(of) => match of.value(root, value)? {
                Value::String(text) => Some(text.chars().count().into()),
                Value::Array(list) => Some(list.len().into()),
                Value::Object(map) => Some(map.len().into()),
                _ => None,
            },
        }
    }
}

impl Reader<'_> {
    /// A filter: `or` binds least.
    pub(super) fn filter(&mut self) -> Result<Filter, String> {
        let mut any = vec![self.all()?];
        while self.eat("||") {
            any.push(self.all()?);
        }
        Ok(Filter::Any(any))
    }

    /// Parts joined by `&&`.
    fn all(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.part()?];
        while self.eat("&&") {
            all.push(self.part()?);
        }
        Ok(Filter::All(all))
    }

    /// One part: in brackets, turned round, or a comparison.
    fn part(&mut self) -> Result<Filter, String> {
        if self.eat("!") {
            return Ok(Filter::Not(Box::new(self.part()?)));
        }
        if self.eat("(") {
            let inner = self.filter()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        match COMPARISONS.into_iter().find(|comparison| self.eat(comparison)) {
            None => Ok(Filter::Exists(left)),
            Some(comparison) => Ok(Filter::Compare(left, comparison, self.operand()?)),
        }
    }

    /// A value.
    fn operand(&mut self) -> Result<Operand, String> {
        if self.eat("@") {
            return Ok(Operand::Here(self.path()?));
        }
        if self.eat("$") {
            return Ok(Operand::Root(self.path()?));
        }
        if let Some(text) = self.quoted()? {
            return Ok(Operand::Literal(text.into()));
        }
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.eat(word) {
                return Ok(Operand::Literal(value));
            }
        }
        if self.eat("length(") {
            let of = self.operand()?;
            self.expect(")")?;
            return Ok(Operand::Length(Box::new(of)));
        }
        if self.eat("count(") {
            let of = self.operand()?;
            self.expect(")")?;
            return Ok(Operand::Count(Box::new(of)));
        }
        if self.eat("[") {
            return self.list();
        }
        let rest = self.rest.trim_start();
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
        let number = serde_json::from_str::<Value>(rest.get(..length).unwrap_or_default());
        let number = number.map_err(|_| self.unexpected())?;
        self.rest = rest.get(length..).unwrap_or_default();
        Ok(Operand::Literal(number))
    }

    /// A list of literals, for `in`.
    fn list(&mut self) -> Result<Operand, String> {
        let mut list = Vec::new();
        loop {
            match self.operand()? {
                Operand::Literal(value) => list.push(value),
                _ => return Err(self.unexpected()),
            }
            if self.eat("]") {
                return Ok(Operand::Literal(list.into()));
            }
            self.expect(",")?;
        }
    }
}
