//! `#[derive(FromRow)]` for `athena-db`, which documents and re-exports it.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, LitStr, Result, parse_macro_input};

/// Reads a struct from a row; see `athena_db::FromRow`.
#[proc_macro_derive(FromRow, attributes(db))]
pub fn derive_from_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "`FromRow` can be derived for structs only",
        ));
    };
    let fields = match &data.fields {
        Fields::Unit => {
            return Err(Error::new(
                input.ident.span(),
                "a struct without fields reads nothing; use `()`",
            ));
        }
        fields => fields.iter().enumerate(),
    };
    let by_name = initialisers(fields.clone(), Way::Name)?;
    let in_order = column_names(fields.clone())?
        .map(|names| -> Result<Tokens> {
            let by_position = initialisers(fields.clone(), Way::Position)?;
            Ok(quote! {
                if ::athena_db::Source::columns(row).are(const { &[#(#names),*] }) {
                    return ::core::result::Result::Ok(Self { #(#by_position)* });
                }
            })
        })
        .transpose()?;
    let untouched = (!has_own_columns(fields)?).then(|| {
        quote! {
            if let ::core::option::Option::Some(row) = ::athena_db::Source::as_row(row) {
                return <Self as ::athena_db::FromRow>::from_row(row);
            }
        }
    });
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::athena_db::FromRow for #name #arguments #bounds {
            fn from_row(mut row: &::athena_db::Row) -> ::athena_db::Result<Self> {
                <Self as ::athena_db::FromRow>::take_row(&mut row)
            }

            #[inline]
            fn take_row(row: &mut impl ::athena_db::Source) -> ::athena_db::Result<Self> {
                #untouched
                #in_order
                ::core::result::Result::Ok(Self { #(#by_name)* })
            }
        }
    })
}

/// Whether no two fields read the same column, so that what one takes is missed by none.
fn has_own_columns<'a>(fields: impl Iterator<Item = (usize, &'a Field)>) -> Result<bool> {
    let mut seen = std::collections::HashSet::new();
    for (_, field) in fields {
        let options = Options::of(field)?;
        let is_new = column_of(field, &options).is_none_or(|column| seen.insert(column));
        if options.flatten || !is_new {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the columns of all fields in order, where each field has one.
fn column_names<'a>(
    fields: impl Iterator<Item = (usize, &'a Field)>,
) -> Result<Option<Vec<String>>> {
    let mut names = Vec::new();
    for (_, field) in fields {
        let options = Options::of(field)?;
        match column_of(field, &options) {
            _ if options.skip => {}
            Some(column) if !options.flatten => names.push(column),
            _ => return Ok(None),
        }
    }
    Ok(Some(names))
}

/// How a column is found: it is asked for, or known to stand where its field does.
#[derive(Clone, Copy)]
enum Way {
    Name,
    Position,
}

/// What `#[db(…)]` says about a field.
#[derive(Default)]
struct Options {
    rename: Option<LitStr>,
    json: bool,
    default: bool,
    skip: bool,
    flatten: bool,
}

fn initialisers<'a>(
    fields: impl Iterator<Item = (usize, &'a Field)>,
    way: Way,
) -> Result<Vec<Tokens>> {
    let mut position = 0;
    let mut all = Vec::new();
    for (index, field) in fields {
        let options = Options::of(field)?;
        let member = match &field.ident {
            Some(ident) => quote!(#ident),
            None => {
                let index = syn::Index::from(index);
                quote!(#index)
            }
        };
        let value = read(field, &options, position, way)?;
        if !options.skip {
            position += 1;
        }
        all.push(quote!(#member: #value,));
    }
    Ok(all)
}

fn read(field: &Field, options: &Options, position: usize, way: Way) -> Result<Tokens> {
    if options.skip {
        return Ok(quote!(::core::default::Default::default()));
    }
    if options.flatten {
        return Ok(quote!(::athena_db::FromRow::take_row(row)?));
    }
    let Some(column) = column_of(field, options) else {
        if options.json || options.default {
            return Err(Error::new(
                field.span(),
                "a field without a name is read by position; name it with `#[db(rename = \"…\")]`",
            ));
        }
        return Ok(quote!(::athena_db::Source::take_at(row, #position)?));
    };
    let read = if options.json {
        quote!(::athena_db::Source::take_json(row, #column)?)
    } else {
        match way {
            Way::Name => quote!(::athena_db::Source::take_near(row, #position, #column)?),
            Way::Position => quote!(::athena_db::Source::take_at(row, #position)?),
        }
    };
    Ok(if options.default {
        quote! {
            if ::athena_db::Source::columns(row).has(#column) {
                #read
            } else {
                ::core::default::Default::default()
            }
        }
    } else {
        read
    })
}

fn column_of(field: &Field, options: &Options) -> Option<String> {
    match (&options.rename, &field.ident) {
        (Some(name), _) => Some(name.value()),
        (None, Some(ident)) => {
            let ident = ident.to_string();
            Some(ident.strip_prefix("r#").unwrap_or(&ident).to_owned())
        }
        (None, None) => None,
    }
}

impl Options {
    fn of(field: &Field) -> Result<Self> {
        let mut options = Self::default();
        for attribute in &field.attrs {
            if attribute.path().is_ident("db") {
                attribute.parse_nested_meta(|meta| options.add(&meta))?;
            }
        }
        Ok(options)
    }

    fn add(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
        let flag = if meta.path.is_ident("rename") {
            self.rename = Some(meta.value()?.parse()?);
            return Ok(());
        } else if meta.path.is_ident("json") {
            &mut self.json
        } else if meta.path.is_ident("default") {
            &mut self.default
        } else if meta.path.is_ident("skip") {
            &mut self.skip
        } else if meta.path.is_ident("flatten") {
            &mut self.flatten
        } else {
            return Err(meta.error(
                "unknown option; there are `rename = \"…\"`, `json`, `default`, `skip` and `flatten`",
            ));
        };
        *flag = true;
        Ok(())
    }
}
