use super::*;

fn items(body: &str) -> Vec<Item> {
    let base = Url::parse("https://shop.example/a/b#c").unwrap();
    rdfa(&Html::parse_document(body), &base)
}

#[test]
fn a_product_is_read() {
    let items = items(
        "<div vocab='https://schema.org/' typeof=Product resource='#p'>
         <a href='/p/1' rel=nofollow><h1 property=name>A <b>pan</b></h1></a>
         <img property=image src=i.jpg><meta property=sku content=12>
         <p property=offers typeof=Offer><span property=price content=24.90>24,90 €</span>
         <link property=availability href='https://schema.org/InStock'></p>
         <time property=releaseDate datetime=2026-01-02>soon</time></div>",
    );
    assert_eq!(items.len(), 1);
    let product = &items[0];
    assert_eq!(product.types, ["Product"]);
    assert_eq!(product.id.as_deref(), Some("https://shop.example/a/b#p"));
    assert_eq!(product.text("name"), Some("A pan"));
    assert_eq!(product.text("image"), Some("https://shop.example/a/i.jpg"));
    assert_eq!(product.text("sku"), Some("12"));
    assert_eq!(product.text("releaseDate"), Some("2026-01-02"));
    let offer = product.items("offers").next().unwrap();
    assert_eq!(offer.text("price"), Some("24.90"));
    assert_eq!(offer.text("availability"), Some("https://schema.org/InStock"));
}

#[test]
fn the_pages_own_properties_are_an_item_without_a_type() {
    let items = items(
        "<html prefix='og: http://ogp.me/ns#' xmlns:fb='http://fb.example/#'><head>
         <meta property='og:title' content=Pan><meta property='fb:id' content=1>
         <meta property=unknown content=2></head><body></body></html>",
    );
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].id.as_deref(), Some("https://shop.example/a/b"));
    assert!(items[0].types.is_empty());
    assert_eq!(items[0].text("http://ogp.me/ns#title"), Some("Pan"));
    assert_eq!(items[0].text("http://fb.example/#id"), Some("1"));
    assert_eq!(items[0].properties.len(), 2);
}

/// Promise 15: a text is not copied for each of many properties that it is in, without end.
#[test]
fn texts_in_many_properties_are_bounded() {
    let open = "<div property='s:name'>".repeat(200);
    let text = "x".repeat(MAX_BYTES / 50);
    let items = items(&format!("<div prefix='s: https://schema.org/' typeof='s:T'>{open}{text}"));
    let texts = items[0].values("name").filter_map(crate::item::Value::text);
    let bytes: usize = texts.map(str::len).sum();
    assert!(bytes > MAX_BYTES / 2 && bytes < 2 * MAX_BYTES, "{bytes}");
}

#[test]
fn relations_reach_what_is_inside() {
    let items = items(
        "<div prefix='s: https://schema.org/' about='#p' typeof='s:Product'>
         <div rel='s:offers'><p typeof='s:Offer'><b property='s:price'>1</b></p>
         <p typeof='s:Offer'><b property='s:price'>2</b></p></div>
         <p rev='s:itemOffered' typeof='s:Offer' resource='[s:none]'>
         <b property='s:price'>3</b></p></div>",
    );
    // The third offer has the product as its own.
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].text("price"), Some("3"));
    let product = items[0].items("itemOffered").next().unwrap();
    let prices: Vec<&str> =
        product.items("offers").filter_map(|offer| offer.text("price")).collect();
    assert_eq!(prices, ["1", "2"]);
}

#[test]
fn subjects_with_one_name_are_one() {
    let items = items(
        "<body vocab='http://schema.org/'><div resource='_:x' typeof=Product><i property=name>Pan</i>
         </div><div resource='_:x'><i property=sku>1</i></div></body>",
    );
    assert_eq!(items.len(), 1);
    assert_eq!((items[0].text("name"), items[0].text("sku")), (Some("Pan"), Some("1")));
    assert_eq!(items[0].id, None);
}
