//! SQL92 expressions over the properties of a message (Java: `SelectorParser`, `ComparisonExpression`
//! and what they build).
//!
//! Properties are texts. To be compared with a number or a boolean, a text is read as one. If it is none,
//! the evaluation ends, and the message is not wanted. A missing property is null. Most expressions
//! about null are null too, and a message with null as its result is not wanted either.

mod parse;
mod token;

use std::cmp::Ordering;

use self::parse::Parser;

/// The longest expression. Each pull that waits has one.
const MAX_LENGTH: usize = 1024;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sql {
    root: Node,
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Constant(Constant),
    Property(Box<str>),
    /// A property where only a boolean makes sense.
    Cast(Box<Node>),
    Negate(Box<Node>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Equal, or with null on both sides.
    Equal(Box<(Node, Node)>),
    Ordered(Order, Box<(Node, Node)>),
    In {
        property: Box<str>,
        list: Vec<Box<str>>,
        not: bool,
    },
    Text {
        part: Part,
        of: Box<Node>,
        search: Box<str>,
        not: bool,
    },
}

/// A value in an expression.
#[derive(Debug, Clone, PartialEq)]
enum Constant {
    Null,
    Flag(bool),
    Whole(i64),
    Float(f64),
    Text(Box<str>),
}

/// Which of two values is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Anywhere,
    Start,
    End,
}

/// What a part of an expression comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Null,
    Flag(bool),
    Whole(i64),
    Float(f64),
    Text(&'a str),
}

/// Two values that cannot be compared: the message is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Incomparable;

impl Sql {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        match text.len() {
            0..=MAX_LENGTH => Ok(Self { root: Parser::read(text)? }),
            length => Err(format!("the expression has {length} bytes; {MAX_LENGTH} is the most")),
        }
    }

    /// Whether a message with these properties is wanted.
    pub(crate) fn wants<'a>(&'a self, property: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.root.value(&property) == Ok(Value::Flag(true))
    }
}

impl Node {
    /// Whether it comes to a boolean for every message.
    fn is_boolean(&self) -> bool {
        match self {
            Self::Constant(constant) => matches!(constant, Constant::Flag(_) | Constant::Null),
            Self::Property(_) | Self::Negate(_) => false,
            _ => true,
        }
    }

    fn value<'a>(
        &'a self,
        property: &impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Value<'a>, Incomparable> {
        let of = |name: &str| property(name).map_or(Value::Null, Value::Text);
        Ok(match self {
            Self::Constant(constant) => constant.value(),
            Self::Property(name) => of(name),
            Self::Cast(node) => match node.value(property)? {
                Value::Null => Value::Null,
                value => Value::Flag(value == Value::Flag(true)),
            },
            Self::Negate(node) => match node.value(property)? {
                Value::Whole(number) => Value::Whole(number.wrapping_neg()),
                Value::Float(number) => Value::Float(-number),
                _ => Value::Null,
            },
            Self::Not(node) => match node.value(property)? {
                Value::Flag(flag) => Value::Flag(!flag),
                Value::Null => Value::Null,
                _ => return Err(Incomparable),
            },
            Self::And(nodes) => joined(nodes, property, false)?,
            Self::Or(nodes) => joined(nodes, property, true)?,
            Self::Equal(sides) => equal(sides.0.value(property)?, sides.1.value(property)?)?,
            Self::Ordered(order, sides) => match sides.0.value(property)? {
                Value::Null => Value::Null,
                left => order.holds(left, sides.1.value(property)?)?,
            },
            Self::In { property: name, list, not } => match of(name) {
                Value::Text(text) => Value::Flag(list.iter().any(|item| **item == *text) != *not),
                _ => Value::Null,
            },
            Self::Text { part, of, search, not } => match of.value(property)? {
                Value::Text(text) if !search.is_empty() => {
                    Value::Flag(part.has(text, search) != *not)
                }
                _ => Value::Flag(false),
            },
        })
    }
}

/// `AND`, which one false decides, or `OR`, which one true decides.
fn joined<'a>(
    nodes: &'a [Node],
    property: &impl Fn(&str) -> Option<&'a str>,
    decides: bool,
) -> Result<Value<'a>, Incomparable> {
    let mut all = Value::Flag(!decides);
    for node in nodes {
        match node.value(property)? {
            Value::Flag(flag) if flag == decides => return Ok(Value::Flag(decides)),
            Value::Flag(_) => {}
            Value::Null => all = Value::Null,
            _ => return Err(Incomparable),
        }
    }
    Ok(all)
}

fn equal<'a>(left: Value<'_>, right: Value<'_>) -> Result<Value<'a>, Incomparable> {
    Ok(match (left, right) {
        (Value::Null, Value::Null) => Value::Flag(true),
        (Value::Null, _) => Value::Null,
        (_, Value::Null) => Value::Flag(false),
        (Value::Text(left), Value::Text(right)) => Value::Flag(left == right),
        (left, right) => Value::Flag(compare(left, right)? == Some(Ordering::Equal)),
    })
}

/// Which of two values is the greater one; `None` of what has no order, as a boolean and a number.
fn compare(left: Value<'_>, right: Value<'_>) -> Result<Option<Ordering>, Incomparable> {
    Ok(match (left, right) {
        (Value::Text(text), other) => match other {
            Value::Text(other) => float(text)?.partial_cmp(&float(other)?),
            Value::Whole(number) => Some(whole(text, number)?.cmp(&number)),
            Value::Float(number) => float(text)?.partial_cmp(&number),
            Value::Flag(flag) => Some(text.eq_ignore_ascii_case("true").cmp(&flag)),
            Value::Null => None,
        },
        (Value::Flag(_), Value::Text(_)) => return Err(Incomparable),
        (other, Value::Text(_)) => compare(right, other)?.map(Ordering::reverse),
        (Value::Whole(left), Value::Whole(right)) => Some(left.cmp(&right)),
        (Value::Whole(left), Value::Float(right)) => (left as f64).partial_cmp(&right),
        (Value::Float(left), Value::Whole(right)) => left.partial_cmp(&(right as f64)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(&right),
        (Value::Flag(left), Value::Flag(right)) => Some(left.cmp(&right)),
        _ => None,
    })
}

/// A text as a whole number, to be compared with `like`. If `like` fits into 32 bits, a text that does
/// not is no number, as in Java.
fn whole(text: &str, like: i64) -> Result<i64, Incomparable> {
    let number: i64 = text.parse().map_err(|_| Incomparable)?;
    let is_small = |number: i64| i32::try_from(number).is_ok();
    match is_small(like) && !is_small(number) {
        true => Err(Incomparable),
        false => Ok(number),
    }
}

fn float(text: &str) -> Result<f64, Incomparable> {
    text.trim().parse().map_err(|_| Incomparable)
}

impl Constant {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Flag(flag) => Value::Flag(*flag),
            Self::Whole(number) => Value::Whole(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Text(text),
        }
    }
}

impl Order {
    fn holds<'a>(self, left: Value<'_>, right: Value<'_>) -> Result<Value<'a>, Incomparable> {
        if right == Value::Null {
            return Ok(Value::Null);
        }
        let Some(ordering) = compare(left, right)? else { return Err(Incomparable) };
        Ok(Value::Flag(match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }))
    }
}

impl Part {
    fn has(self, text: &str, search: &str) -> bool {
        match self {
            Self::Anywhere => text.contains(search),
            Self::Start => text.starts_with(search),
            Self::End => text.ends_with(search),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Properties of the message that is looked at.
    const MESSAGE: &[(&str, &str)] = &[
        ("a", "5"),
        ("b", "abc"),
        ("c", "2.5"),
        ("t", "true"),
        ("TAGS", "red"),
        ("large", "3000000000"),
        ("_x$1", "it's"),
        ("empty", ""),
    ];

    fn wants(expression: &str) -> bool {
        let sql = Sql::read(expression).unwrap_or_else(|error| panic!("{error}: {expression}"));
        let of = |name: &str| MESSAGE.iter().find(|(known, _)| *known == name).map(|(_, v)| *v);
        sql.wants(of)
    }

    #[test]
    fn wanted_messages() {
        for expression in [
            "a = 5",
            "a <> 6",
            "a > 4 AND a >= 5 and a < 6 aNd a <= 5",
            "a > 4.5",
            "4 < a OR none = 5",
            "large > 2999999999",
            "large = 3000000000L",
            "a BETWEEN 5 AND 7",
            "a not between 6 and 7",
            "b = 'abc'",
            "'abc' = b",
            "b IN ('x', 'abc')",
            "b NOT IN ('x')",
            "none IS NULL",
            "a IS NOT NULL",
            "c = 2.5",
            "c > 2.4e0 AND c < .251E1",
            "a > c",
            "t = TRUE",
            "NOT (t = FALSE)",
            "TRUE",
            "FALSE OR TRUE",
            "(a = 1 OR a = 5) AND TAGS = 'red'",
            "a = 1 OR a = 5 AND TAGS = 'red'",
            "NOT (a = 1) AND NOT (a = 2)",
            "_x$1 = 'it''s'",
            "a > -1",
            "-1 < a",
            "+5 = a",
            "- - 5 = a",
            "b CONTAINS 'bc'",
            "b STARTSWITH 'ab'",
            "b ENDSWITH 'bc'",
            "b NOT CONTAINS 'x'",
            "b NOT STARTSWITH 'b'",
            "b NOT ENDSWITH 'b'",
            "none IS NULL AND (b IS NOT NULL)",
            "a = 5 -- a comment\n AND b = 'abc'",
            "a /* five */ = 5",
            "none = 1 OR a = 5",
            "a=5 AND(b<>'x')",
        ] {
            assert!(wants(expression), "{expression}");
        }
    }

    #[test]
    fn messages_that_are_not_wanted() {
        for expression in [
            "a = 6",
            "a <> 5",
            "a > 5",
            "a BETWEEN 6 AND 7",
            "b = 'abd'",
            "b IN ('x')",
            "none IN ('x')",
            "none NOT IN ('x')",
            "none = 1",
            "none <> 1",
            "NOT none = 1",
            "none > 1",
            "none IS NOT NULL",
            "a IS NULL",
            "none CONTAINS 'x'",
            "none NOT CONTAINS 'x'",
            "b CONTAINS ''",
            "b NOT CONTAINS ''",
            "FALSE",
            "t",
            "b",
            "none",
            // What cannot be compared.
            "b > 1",
            "NOT (b > 1)",
            "b > 1 OR a = 5",
            // NOT goes with the name alone, as in Java.
            "NOT a = 1",
            "b > a",
            "c = 2",
            // Beside a small number one of more than 32 bits is none.
            "large > 5",
            "5 < large OR a = 5",
            "none = 1 AND a = 5",
            "-b = 1",
        ] {
            assert!(!wants(expression), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for expression in [
            "",
            " ",
            "a =",
            "= 5",
            "a = 5 b",
            "a = 5 AND",
            "a == 5",
            "a != 5",
            "a LIKE 'x'",
            "(a = 5",
            "a = 5)",
            "a IN ()",
            "a IN (1)",
            "a IN ('x',)",
            "'x' IN ('x')",
            "a IS 5",
            "a IS NOT",
            "a = 'x",
            "a > 'x'",
            "a > TRUE",
            "(a = 5) > 3",
            "a = NULL",
            "NULL <> a",
            "'x'",
            "5",
            "a AND 5",
            "NOT 5",
            "NOT b > 1",
            "a BETWEEN 7 AND 5",
            "a BETWEEN NULL AND 5",
            "a BETWEEN 'x' AND 'y'",
            "a CONTAINS 5",
            "007 = a",
            "99999999999999999999 = a",
            "0.0 < a",
            "a ? 5",
            "ä = 5",
            "a = 5;",
            "a /* = 5",
        ] {
            assert!(Sql::read(expression).is_err(), "{expression}");
        }
    }

    /// The broker's thread has a stack with an end.
    #[test]
    fn what_is_nested_too_deeply_or_too_long_is_refused() {
        let nested = |depth: usize| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Sql::read(&nested(30)).is_ok());
        for bad in [
            nested(400),
            "NOT ".repeat(200) + "a = 1",
            "-".repeat(900) + "1 = a",
            format!("a = '{}'", "x".repeat(MAX_LENGTH)),
        ] {
            assert!(Sql::read(&bad).is_err(), "{bad}");
        }
        let long = "a=1 OR ".repeat(140) + "a=5";
        assert!(wants(&long));
    }
}
