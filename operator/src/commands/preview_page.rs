//! `feedfleet pipes preview` of a pipe whose source is a site: pages, and where on them each field stands.

use super::preview::{complaints, row_json};
use crate::context::Context;
use crate::view;
use anyhow::{Result, bail};
use feedfleet_config::Pipe;
use feedfleet_model::text;
use feedfleet_worker::preview::{PagePreview, preview_page};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// A value is cut here on a terminal.
const WIDTH: usize = 80;

/// Looks at the page `url`, or for the first that shows a product, and shows what would be read.
pub async fn preview(
    context: &Context,
    pipe: &Pipe,
    url: Option<&str>,
    json: bool,
) -> Result<ExitCode> {
    let user_agent = &context.config.fleet.http.user_agent;
    let pages = match preview_page(&context.http()?, user_agent, pipe, url).await {
        Ok(pages) => pages,
        Err(reason) => bail!("{}: {}", pipe.name, text::printable(&reason.to_string())),
    };
    if json {
        let pages: Vec<Value> = pages.iter().map(as_json).collect();
        view::print_json(&json!({ "pages": pages }))?;
    } else {
        pages.iter().for_each(show);
        view::print(format!("{} pages looked at; nothing was written", pages.len()));
    }
    let has_product = pages.iter().any(|page| !page.rows.is_empty());
    Ok(if has_product { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(page: &PagePreview) {
    view::print(format!("── {}", text::printable(&page.url)));
    if let Some(why) = &page.not_read {
        view::print(format!("  not read: {}", text::printable(why)));
        return;
    }
    if page.noindex {
        view::print("  it asks not to be indexed: its products are left out");
    }
    for (place, product) in page.products.iter().enumerate() {
        view::print(format!("  product {} of {}", place + 1, page.products.len()));
        for (field, value) in &product.fields {
            let name = field.name();
            let origin = value.origin.to_string();
            let shown = value.text.replace('\n', "⏎");
            let shown = text::shorten(&shown, WIDTH);
            view::print(format!("    {name:24} {origin:10} {}", text::printable(&shown)));
        }
    }
    complaints("  refused", &page.refused);
    view::print(format!("  {} products, {} links to follow", page.products.len(), page.links));
}

fn as_json(page: &PagePreview) -> Value {
    let products: Vec<Value> = page
        .products
        .iter()
        .map(|product| {
            let fields = product.fields.iter().map(|(field, value)| {
                let told = json!({ "value": value.text, "origin": value.origin.to_string() });
                (field.name().to_owned(), told)
            });
            Value::Object(fields.collect::<Map<String, Value>>())
        })
        .collect();
    let rows: Vec<Value> = page.rows.iter().map(|(row, change)| row_json(row, *change)).collect();
    let refused: Vec<&str> = page.refused.iter().map(|refusal| &*refusal.message).collect();
    json!({
        "url": page.url,
        "not_read": page.not_read,
        "noindex": page.noindex,
        "links": page.links,
        "products": products,
        "rows": rows,
        "refused": refused,
    })
}
