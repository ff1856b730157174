//! What a source file refers to.
//!
//! The syntax tree gives paths and `unsafe`; inside macro calls, which have no tree, the tokens do. `unsafe` counts
//! where something is done: in blocks, implementations and bodies. The declaration of an unsafe trait or of a
//! trait's method only states a contract, and `#[unsafe(no_mangle)]` only names a symbol.

use std::path::{Component, Path, PathBuf};

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A source file, read.
pub(super) struct Source {
    /// Its path from the workspace root on.
    pub(super) file: PathBuf,
    /// The module it holds; empty for the root of a crate.
    pub(super) module: Vec<String>,
    /// What it refers to.
    pub(super) found: Vec<Found>,
    /// Modules it declares for tests only.
    pub(super) test_modules: Vec<Vec<String>>,
}

/// A reference and where it stands.
pub(super) struct Found {
    /// The module around it, inline ones included.
    pub(super) module: Vec<String>,
    /// The line in the file.
    pub(super) line: usize,
    /// To what.
    pub(super) reference: Reference,
}

/// What is referred to.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Reference {
    /// A path, `self` and `super` resolved: its first part is `crate` or the name of something outside.
    Path(Vec<String>),
    /// `unsafe`
    Unsafe,
}

impl Source {
    /// Reads `text`, the contents of `file`.
    pub(super) fn parse(file: &Path, text: &str) -> syn::Result<Self> {
        let module = module_of(file);
        let mut scanner = Scanner { module: module.clone(), found: Vec::new(), test_modules: Vec::new() };
        scanner.visit_file(&syn::parse_file(text)?);
        Ok(Self { file: file.to_owned(), module, found: scanner.found, test_modules: scanner.test_modules })
    }
}

/// The module that a file holds, by its place below `src`; elsewhere each file is the root of a program.
fn module_of(file: &Path) -> Vec<String> {
    let parts: Vec<&str> = file
        .components()
        .filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None })
        .collect();
    let start = parts.iter().rposition(|&part| part == "src").map_or(parts.len() - 1, |src| src + 1);
    let mut module: Vec<String> = parts[start..].iter().map(|part| part.trim_end_matches(".rs").to_owned()).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

struct Scanner {
    module: Vec<String>,
    found: Vec<Found>,
    test_modules: Vec<Vec<String>>,
}

impl Scanner {
    fn add(&mut self, line: usize, reference: Reference) {
        self.found.push(Found { module: self.module.clone(), line, reference });
    }

    fn add_unsafe(&mut self, token: syn::token::Unsafe) {
        self.add(token.span.start().line, Reference::Unsafe);
    }

    /// Adds a path of at least two parts; one alone is local.
    fn add_path(&mut self, parts: &[&Ident]) {
        let [first, _, ..] = parts else { return };
        let mut names: Vec<String> = parts.iter().map(ToString::to_string).collect();
        if names[0] == "self" || names[0] == "super" {
            let ups = names.iter().take_while(|name| *name == "super").count();
            let skipped = names.iter().take_while(|name| *name == "super" || *name == "self").count();
            let base = self.module.len().saturating_sub(ups);
            let mut absolute = vec!["crate".to_owned()];
            absolute.extend_from_slice(&self.module[..base]);
            absolute.extend(names.drain(skipped..));
            names = absolute;
        }
        self.add(first.span().start().line, Reference::Path(names));
    }

    fn use_tree<'ast>(&mut self, prefix: &mut Vec<&'ast Ident>, tree: &'ast syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(&path.ident);
                self.use_tree(prefix, &path.tree);
                prefix.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(prefix, tree)),
            syn::UseTree::Name(syn::UseName { ident }) | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                prefix.push(ident);
                self.add_path(prefix);
                prefix.pop();
            }
            syn::UseTree::Glob(_) => self.add_path(prefix),
        }
    }

    /// The paths and the `unsafe` in the arguments of a macro.
    fn tokens(&mut self, stream: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in stream {
            match token {
                TokenTree::Ident(ident) => {
                    if ident == "unsafe" {
                        self.add(ident.span().start().line, Reference::Unsafe);
                    }
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(ident);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.end_path(&mut path),
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<Ident>) {
        self.add_path(&path.iter().collect::<Vec<_>>());
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Scanner {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(item_attributes(item)) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item {
            let mut path = self.module.clone();
            path.push(module.ident.to_string());
            self.test_modules.push(path);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(&path.segments.iter().map(|segment| &segment.ident).collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // Not the path of the macro itself: exported ones live at the root of their crate wherever they are written.
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.add_unsafe(block.unsafe_token);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        item.unsafety.into_iter().for_each(|token| self.add_unsafe(token));
        visit::visit_item_impl(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add_signature(&item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.add_signature(&item.sig);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if item.default.is_some() {
            self.add_signature(&item.sig);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        item.unsafety.into_iter().for_each(|token| self.add_unsafe(token));
        visit::visit_item_foreign_mod(self, item);
    }
}

impl Scanner {
    fn add_signature(&mut self, signature: &syn::Signature) {
        if let syn::Safety::Unsafe(token) = signature.safety {
            self.add_unsafe(token);
        }
    }
}

/// Whether an item is there for `test` or `loom` only.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => demands_tests(list.tokens.clone()),
        _ => false,
    })
}

/// Whether a `cfg` predicate holds only where `test` or `loom` does. `not(...)` and `any(...)` never demand it.
fn demands_tests(predicate: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = predicate.into_iter().collect();
    tokens.iter().enumerate().any(|(index, token)| match token {
        TokenTree::Ident(ident) if ident == "test" || ident == "loom" => true,
        TokenTree::Ident(ident) if ident == "all" => match tokens.get(index + 1) {
            Some(TokenTree::Group(group)) => demands_tests(group.stream()),
            _ => false,
        },
        _ => false,
    })
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
