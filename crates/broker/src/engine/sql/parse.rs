//! From words to an expression. An expression that can be evaluated for no message is refused here.

use super::token::{Token, tokens};
use super::{Constant, Node, Order, Part};

/// How deep expressions may stand in each other.
const MAX_DEPTH: usize = 64;

/// Words that are no names.
const RESERVED: [&str; 12] = [
    "NOT",
    "AND",
    "OR",
    "BETWEEN",
    "IN",
    "TRUE",
    "FALSE",
    "NULL",
    "IS",
    "CONTAINS",
    "STARTSWITH",
    "ENDSWITH",
];

/// Reads an expression, word by word.
pub(super) struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

type Read = Result<Node, String>;

impl Parser {
    /// Reads a whole expression that comes to a boolean.
    pub(super) fn read(text: &str) -> Read {
        let mut parser = Self { tokens: tokens(text)?.into_iter().peekable(), depth: 0 };
        let root = boolean(parser.either()?)?;
        match parser.tokens.next() {
            None => Ok(root),
            Some(token) => Err(format!("{token:?} is not expected behind the expression")),
        }
    }

    /// Whether the next word is this one, which is taken then.
    fn takes(&mut self, word: &str) -> bool {
        let is_meant = |token: &Token| match token {
            Token::Word(known) => known.eq_ignore_ascii_case(word),
            Token::Sign(known) => *known == word,
            _ => false,
        };
        self.tokens.next_if(is_meant).is_some()
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.takes(word) {
            true => Ok(()),
            false => Err(format!("{word} is expected, not {:?}", self.tokens.peek())),
        }
    }

    fn text(&mut self) -> Result<Box<str>, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(format!("a text is expected, not {other:?}")),
        }
    }

    fn either(&mut self) -> Read {
        let first = self.both()?;
        let mut all = Vec::new();
        while self.takes("OR") {
            all.push(boolean(self.both()?)?);
        }
        joined(first, all, Node::Or)
    }

    fn both(&mut self) -> Read {
        let first = self.equality()?;
        let mut all = Vec::new();
        while self.takes("AND") {
            all.push(boolean(self.equality()?)?);
        }
        joined(first, all, Node::And)
    }

    fn equality(&mut self) -> Read {
        let mut left = self.comparison()?;
        loop {
            left = if self.takes("=") {
                equal(left, self.comparison()?)?
            } else if self.takes("<>") {
                Node::Not(equal(left, self.comparison()?)?.into())
            } else if self.takes("IS") {
                let not = self.takes("NOT");
                self.expect("NULL")?;
                let is_null = Node::Equal((left, Node::Constant(Constant::Null)).into());
                if not { Node::Not(is_null.into()) } else { is_null }
            } else {
                return Ok(left);
            };
        }
    }

    fn comparison(&mut self) -> Read {
        let mut left = self.unary()?;
        loop {
            left = if let Some(order) = self.order() {
                ordered(order, left, self.unary()?)?
            } else {
                let not = self.takes("NOT");
                match self.kind() {
                    Some(kind) => self.said_of(left, kind, not)?,
                    None if not => return Err("NOT is not expected here".to_owned()),
                    None => return Ok(left),
                }
            };
        }
    }

    fn order(&mut self) -> Option<Order> {
        let signs = [
            ("<", Order::Less),
            ("<=", Order::LessOrEqual),
            (">", Order::Greater),
            (">=", Order::GreaterOrEqual),
        ];
        signs.into_iter().find(|(sign, _)| self.takes(sign)).map(|(_, order)| order)
    }

    fn kind(&mut self) -> Option<&'static str> {
        let kinds = ["BETWEEN", "IN", "CONTAINS", "STARTSWITH", "ENDSWITH"];
        kinds.into_iter().find(|kind| self.takes(kind))
    }

    /// What is said of a value by more than a sign.
    fn said_of(&mut self, left: Node, kind: &str, not: bool) -> Read {
        let part = match kind {
            "BETWEEN" => return self.between(left, not),
            "IN" => return self.one_of(left, not),
            "STARTSWITH" => Part::Start,
            "ENDSWITH" => Part::End,
            _ => Part::Anywhere,
        };
        Ok(Node::Text { part, of: left.into(), search: self.text()?, not })
    }

    fn between(&mut self, value: Node, not: bool) -> Read {
        let low = self.unary()?;
        self.expect("AND")?;
        let high = self.unary()?;
        if not {
            let below = ordered(Order::Less, value.clone(), low)?;
            return Ok(Node::Or(vec![below, ordered(Order::Greater, value, high)?]));
        }
        if let (Node::Constant(low), Node::Constant(high)) = (&low, &high)
            && super::compare(high.value(), low.value()).ok().flatten().is_none_or(|o| o.is_lt())
        {
            return Err("BETWEEN wants the smaller number first".to_owned());
        }
        let above = ordered(Order::GreaterOrEqual, value.clone(), low)?;
        Ok(Node::And(vec![above, ordered(Order::LessOrEqual, value, high)?]))
    }

    fn one_of(&mut self, value: Node, not: bool) -> Read {
        let Node::Property(property) = value else {
            return Err("IN wants the name of a property before it".to_owned());
        };
        self.expect("(")?;
        let mut list = vec![self.text()?];
        while self.takes(",") {
            list.push(self.text()?);
        }
        self.expect(")")?;
        Ok(Node::In { property, list, not })
    }

    fn unary(&mut self) -> Read {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let node = if self.takes("+") {
            self.unary()?
        } else if self.takes("-") {
            match self.unary()? {
                Node::Constant(Constant::Whole(number)) => {
                    Node::Constant(Constant::Whole(number.wrapping_neg()))
                }
                node => Node::Negate(node.into()),
            }
        } else if self.takes("NOT") {
            Node::Not(boolean(self.unary()?)?.into())
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Read {
        if self.takes("(") {
            let inner = self.either()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let constant = match self.tokens.next() {
            Some(Token::Text(text)) => Constant::Text(text),
            Some(Token::Whole(number)) => Constant::Whole(number),
            Some(Token::Float(number)) => Constant::Float(number),
            Some(Token::Word(word)) => match word.to_ascii_uppercase().as_str() {
                "TRUE" => Constant::Flag(true),
                "FALSE" => Constant::Flag(false),
                "NULL" => Constant::Null,
                upper if RESERVED.contains(&upper) => {
                    return Err(format!("{word} is not expected here"));
                }
                _ => return Ok(Node::Property(word)),
            },
            Some(Token::Sign(sign)) => return Err(format!("{sign} is not expected here")),
            None => return Err("the expression ends too early".to_owned()),
        };
        Ok(Node::Constant(constant))
    }
}

fn joined(first: Node, rest: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Read {
    if rest.is_empty() {
        return Ok(first);
    }
    let mut all = vec![boolean(first)?];
    all.extend(rest);
    Ok(join(all))
}

/// A part that must come to a boolean.
fn boolean(node: Node) -> Read {
    match node {
        Node::Property(_) => Ok(Node::Cast(node.into())),
        node if node.is_boolean() => Ok(node),
        _ => Err("a number or a text stands where something true or false is expected".to_owned()),
    }
}

fn equal(left: Node, right: Node) -> Read {
    let is_null = |node: &Node| *node == Node::Constant(Constant::Null);
    match is_null(&left) || is_null(&right) {
        true => Err("NULL is compared by IS NULL and IS NOT NULL".to_owned()),
        false => Ok(Node::Equal((left, right).into())),
    }
}

fn ordered(order: Order, left: Node, right: Node) -> Read {
    for side in [&left, &right] {
        let is_text = matches!(side, Node::Constant(Constant::Text(_)));
        if is_text || side.is_boolean() {
            return Err("only numbers and properties are compared by <, <=, > and >=".to_owned());
        }
    }
    Ok(Node::Ordered(order, (left, right).into()))
}
