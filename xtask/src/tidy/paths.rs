//! Which paths the code of a crate names: read from its tokens, tests left out.
//!
//! Tokens show what a tree of items would hide: a path in the body of a macro is there as well.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What items begin with, visibility left out.
const ITEMS: [&str; 14] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "use",
];

/// A path, written from the root of the crate on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// Modules from the root to the module that has the path in it.
    pub(crate) from: Vec<String>,
    /// What is named; a glob ends in `*`.
    pub(crate) to: Vec<String>,
}

/// A name that the root of a crate gives to an item of a module (`pub use message::Message`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReExport {
    pub(crate) name: String,
    /// The module of the root that it comes from.
    pub(crate) room: String,
}

/// What was read of a crate.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The modules of the root.
    pub(crate) rooms: Vec<String>,
    pub(crate) re_exports: Vec<ReExport>,
    pub(crate) paths: Vec<Named>,
}

/// Reads a crate from its root file on.
pub(crate) fn read(root: &Path) -> Result<Reading> {
    let mut reading = Reading::default();
    let folder = root.parent().context("a root file lies in a folder")?.to_owned();
    reading.file(root, &folder, &[])?;
    Ok(reading)
}

/// Where tokens stand.
struct Place<'a> {
    file: &'a Path,
    /// Folder of the files of this module's own modules.
    folder: &'a Path,
    module: &'a [String],
}

impl Reading {
    fn file(&mut self, file: &Path, folder: &Path, module: &[String]) -> Result<()> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let tokens =
            TokenStream::from_str(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        self.tokens(tokens, &Place { file, folder, module })
    }

    fn tokens(&mut self, tokens: TokenStream, place: &Place<'_>) -> Result<()> {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut attributes = Attributes::default();
        while let Some(token) = tokens.get(at) {
            let rest = behind(&tokens, at);
            if let Some(attribute) = attribute(rest) {
                attributes.add(attribute);
                at += 2;
                continue;
            }
            let visibility = visibility_length(rest);
            if visibility > 0 && !attributes.test {
                at += visibility;
                continue;
            }
            at += if attributes.test {
                item_length(rest)
            } else if let Some(name) = module_name(rest) {
                self.module(name, &attributes, rest.get(2), place)?;
                3
            } else if let Some((length, start)) = path_start(rest, place.module) {
                length + self.tree(start, behind(rest, length), place)
            } else if place.module.is_empty() && is(token, "use") {
                1 + self.re_exported(behind(rest, 1))
            } else {
                if let TokenTree::Group(group) = token {
                    self.tokens(group.stream(), place)?;
                }
                1
            };
            attributes = Attributes::default();
        }
        Ok(())
    }

    /// `mod name;` or `mod name { … }`.
    fn module(
        &mut self,
        name: String,
        attributes: &Attributes,
        body: Option<&TokenTree>,
        place: &Place<'_>,
    ) -> Result<()> {
        if place.module.is_empty() && !self.rooms.contains(&name) {
            self.rooms.push(name.clone());
        }
        let folder = place.folder.join(&name);
        let module = [place.module, &[name]].concat();
        if let Some(TokenTree::Group(group)) = body {
            let place = Place { file: place.file, folder: &folder, module: &module };
            return self.tokens(group.stream(), &place);
        }
        let file = match &attributes.path {
            Some(path) => place.file.with_file_name(path),
            None => folder.with_extension("rs"),
        };
        self.file(&file, &folder, &module)
    }

    /// The tree of names behind a path's start; how many tokens it takes. It has no more than that
    /// of a `use`, and an expression's path is one without branches.
    fn tree(&mut self, start: Vec<String>, tokens: &[TokenTree], place: &Place<'_>) -> usize {
        let line = tokens.first().map_or(0, |token| token.span().start().line);
        leaves(start, tokens, &mut |to| {
            let (file, from) = (place.file.to_owned(), place.module.to_vec());
            self.paths.push(Named { file, line, from, to });
        })
    }

    /// A `use` of the root: what it brings in can be named from there.
    fn re_exported(&mut self, tokens: &[TokenTree]) -> usize {
        let own = path_start(tokens, &[]).map_or(0, |(length, _)| length);
        let length = leaves(Vec::new(), behind(tokens, own), &mut |path| {
            // Of `use a::B as C` the leaf is `a::B::as::C`.
            if let ([room, ..], Some(name)) = (&path[..], path.last()) {
                self.re_exports.push(ReExport { name: name.clone(), room: room.clone() });
            }
        });
        own + length
    }
}

/// What is said of the next item that matters here.
#[derive(Default)]
struct Attributes {
    test: bool,
    path: Option<String>,
}

impl Attributes {
    fn add(&mut self, attribute: TokenStream) {
        let tokens: Vec<TokenTree> = attribute.into_iter().collect();
        match &tokens[..] {
            [name, TokenTree::Group(condition)] if is(name, "cfg") => {
                self.test |= needs_test(condition.stream());
            }
            [name] => self.test |= is(name, "test"),
            [name, _, TokenTree::Literal(path)] if is(name, "path") => {
                self.path = Some(path.to_string().trim_matches('"').to_owned());
            }
            _ => {}
        }
    }
}

/// Whether a condition of `cfg` holds in tests only: `test`, or `all(test, …)`.
fn needs_test(condition: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = condition.into_iter().collect();
    match &tokens[..] {
        [all, TokenTree::Group(conditions)] if is(all, "all") => {
            conditions.stream().into_iter().any(|token| is(&token, "test"))
        }
        [only] => is(only, "test"),
        _ => false,
    }
}

fn is(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

/// `#[…]`, two tokens. An inner one (`#![…]`) says nothing of the next item.
fn attribute(tokens: &[TokenTree]) -> Option<TokenStream> {
    match tokens {
        [_, TokenTree::Group(group), ..]
            if is_sign(tokens.first(), '#') && group.delimiter() == Delimiter::Bracket =>
        {
            Some(group.stream())
        }
        _ => None,
    }
}

fn behind(tokens: &[TokenTree], length: usize) -> &[TokenTree] {
    tokens.get(length..).unwrap_or_default()
}

/// The tokens of `pub`, `pub(crate)` and the like; none where there is no such thing.
fn visibility_length(tokens: &[TokenTree]) -> usize {
    match tokens {
        [first, TokenTree::Group(group), ..] if is(first, "pub") => {
            let inside = group.stream().into_iter().next();
            let within = |name| inside.as_ref().is_some_and(|token| is(token, name));
            1 + usize::from(["crate", "super", "self", "in"].into_iter().any(within))
        }
        [first, ..] if is(first, "pub") => 1,
        _ => 0,
    }
}

/// The tokens of an item, up to its body or its semicolon; or of a field, an arm or a variant, up to
/// its comma.
fn item_length(tokens: &[TokenTree]) -> usize {
    let own = visibility_length(tokens);
    let keyword = ident(tokens.get(own)).unwrap_or_default();
    let is_item = ITEMS.contains(&keyword.as_str());
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(sign) => sign.as_char() == ';' || (sign.as_char() == ',' && !is_item),
        _ => false,
    };
    tokens.iter().position(ends).map_or(tokens.len(), |last| last + 1)
}

/// `mod name`, and then its body or a semicolon.
fn module_name(tokens: &[TokenTree]) -> Option<String> {
    let is_module = tokens.first().is_some_and(|token| is(token, "mod"));
    let has_end = matches!(tokens.get(2), Some(TokenTree::Group(_))) || is_sign(tokens.get(2), ';');
    ident(tokens.get(1)).filter(|_| is_module && has_end)
}

/// How many tokens say where a path starts, from `crate`, `$crate`, `self` or `super` to the `::`
/// behind it; and which module that is.
fn path_start(tokens: &[TokenTree], module: &[String]) -> Option<(usize, Vec<String>)> {
    let mut at = usize::from(is_sign(tokens.first(), '$'));
    let mut start = module.to_vec();
    let mut first = true;
    loop {
        match ident(tokens.get(at))?.as_str() {
            "crate" if first => start.clear(),
            "self" if first && at == 0 => {}
            "super" if at == 0 || !first => {
                start.pop();
            }
            _ => return None,
        }
        if !is_path_sign(behind(tokens, at + 1)) {
            return None;
        }
        first = false;
        at += 3;
        if !tokens.get(at).is_some_and(|token| is(token, "super")) {
            return Some((at, start));
        }
    }
}

fn is_path_sign(tokens: &[TokenTree]) -> bool {
    is_sign(tokens.first(), ':') && is_sign(tokens.get(1), ':')
}

/// Hands over every path of a tree of names (`a::{B, c::D as E, *}`); how many tokens the tree takes.
fn leaves(start: Vec<String>, tokens: &[TokenTree], found: &mut impl FnMut(Vec<String>)) -> usize {
    let mut path = start;
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(name)) => path.push(name.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for branch in inner.split(|token| is_sign(Some(token), ',')) {
                    if !branch.is_empty() {
                        leaves(path.clone(), branch, found);
                    }
                }
                return at + 1;
            }
            Some(TokenTree::Punct(sign)) if sign.as_char() == '*' => path.push("*".to_owned()),
            _ => break,
        }
        at += 1;
        if !is_path_sign(behind(tokens, at)) {
            break;
        }
        at += 2;
    }
    if let [r#as, TokenTree::Ident(name), ..] = behind(tokens, at)
        && is(r#as, "as")
    {
        path.extend(["as".to_owned(), name.to_string()]);
        at += 2;
    }
    found(path);
    at
}
