//! The labels that shops write beside a product's identifiers and brand, in the languages that shops are in, and
//! the values that stand beside them in tables, lists and running text.

use super::marks::Marks;
use super::page::Page;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Longest text that holds a label with its value, in characters.
const LABELLED_CHARS: usize = 120;
/// Longest label, in characters.
const LABEL_CHARS: usize = 40;
/// How far the value stands from its label: levels below what has both in it.
const VALUE_LEVELS: usize = 5;

/// What a label announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sku,
    Mpn,
    Gtin,
    Brand,
}

/// A value beside a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    pub(super) kind: Kind,
    pub(super) value: String,
    /// Whether anything but its place says that the text is a label: a colon, a heading's cell, bold letters.
    pub(super) is_sure: bool,
    /// The place of the label among the page's texts.
    pub(super) run: usize,
}

/// The values beside labels, in the page's order, but for those of other products.
pub(super) fn labelled(page: &Page<'_>) -> Vec<Labelled> {
    let mut found = Vec::new();
    for (index, run) in page.runs.iter().enumerate() {
        let tag = &page.tags[run.tag];
        if tag.is_aside || matches!(tag.name(), "option" | "button") {
            continue;
        }
        if run.text.chars().nth(LABELLED_CHARS).is_some() {
            continue;
        }
        if let Some(kind) = kind_of(&run.text) {
            found.extend(value_after(page, index, kind));
        } else if let Some((kind, value)) = split(&run.text) {
            found.push(Labelled { kind, value: value.to_owned(), is_sure: true, run: index });
        }
    }
    found
}

/// What a text announces, if it is a label and nothing else.
pub(super) fn kind_of(text: &str) -> Option<Kind> {
    if text.chars().nth(LABEL_CHARS).is_some() {
        return None;
    }
    LABELS.get(normal(text).as_str()).copied()
}

/// A label and its value in one text: `SKU: 123`, `Art. Nr. 123`.
fn split(text: &str) -> Option<(Kind, &str)> {
    if let Some((label, value)) = text.split_once([':', '：'])
        && let Some(kind) = kind_of(label)
        && !value.trim().is_empty()
    {
        return Some((kind, value.trim()));
    }
    // Without a colon: a single number after the label.
    let (label, value) =
        text.rsplit_once(|c: char| c.is_whitespace() || matches!(c, '#' | '№' | '.'))?;
    let is_number = value.chars().any(|c| c.is_ascii_digit())
        && value.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | '_'));
    let kind = kind_of(label)?;
    (is_number && kind != Kind::Brand && normal(label).chars().count() > 2).then_some((kind, value))
}

/// The value in the text that follows a label; a lone colon between is passed over.
fn value_after(page: &Page<'_>, label: usize, kind: Kind) -> Option<Labelled> {
    let run = &page.runs[label];
    let value = page.runs[label + 1..]
        .iter()
        .take(2)
        .find(|next| next.text.contains(|c: char| c.is_alphanumeric()))?;
    if page.distance(run.tag, value.tag) > VALUE_LEVELS {
        return None;
    }
    let (own, others) = (&page.tags[run.tag], &page.tags[value.tag]);
    let is_sure = run.text.ends_with([':', '：', '#', '№'])
        || matches!(own.name(), "th" | "dt" | "b" | "strong" | "label")
        || matches!(others.name(), "td" | "dd")
        || own.marks.has(Marks::LABEL);
    Some(Labelled { kind, value: value.text.clone(), is_sure, run: label })
}

/// Words in lower case without punctuation, one space between.
fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut has_gap = false;
    for c in text.chars() {
        if c.is_alphanumeric() {
            if has_gap && !out.is_empty() {
                out.push(' ');
            }
            has_gap = false;
            out.extend(c.to_lowercase());
        } else {
            has_gap = true;
        }
    }
    out
}

static LABELS: LazyLock<HashMap<&'static str, Kind>> = LazyLock::new(|| {
    let mut labels = HashMap::new();
    // Where lists share a label, the later one has it: `model no` is the manufacturer's.
    for (kind, lists) in
        [(Kind::Sku, SKU), (Kind::Brand, BRAND), (Kind::Mpn, MPN), (Kind::Gtin, GTIN)]
    {
        for label in lists.iter().flat_map(|list| list.split('|')) {
            labels.insert(label, kind);
        }
    }
    labels
});

/// A shop's own number of a product. Lists of one language or more a line.
const SKU: &[&str] = &[
    "sku|sku number|sku no|sku id|item sku|product sku|product code|product id|product no",
    "product number|product nr|product ref|product reference|item no|item number|item id",
    "item code|item nr|item|article no|article number|article nr|article code|article id|article",
    "art no|art nr|artnr|art|art code|artno|stock no|stock number|stock code|catalog no",
    "catalog number|catalogue number|catalogue no|cat no|order no|order code|order number|ref",
    "ref no|ref nr|reference|reference number|reference no|ref number|code|product code sku",
    "sku code|web id|listing id|ad id|post id|id|asin|ebay item number|style no|style number",
    "style|style code",
    "artikelnummer|artikel nummer|artikel nr|artikelnr|artikel|bestellnummer|bestell nr|bestellnr",
    "best nr|produktnummer|produkt nr|produktcode|produkt id|artikelcode|bestelnummer",
    "productnummer|productcode|artikel code|art nummer",
    "référence|réf|référence produit|réf produit|code article|code produit|référence article",
    "réf article|numéro d article|n article|réf fournisseur",
    "codice|codice articolo|codice prodotto|cod|cod articolo|cod prodotto|cod art|art n|rif",
    "riferimento|articolo|numero articolo",
    "referencia|ref producto|código|código de producto|código del producto|código producto",
    "código de artículo|cód|nº de artículo|número de artículo|código de referencia",
    "referência|código do produto|código do item|cód do produto|cód produto|cód item|ref produto",
    "referência do produto",
    "kod|kod produktu|nr ref|numer referencyjny|numer katalogowy|nr katalogowy|indeks|symbol",
    "nr artykułu|numer artykułu|kod towaru|numer produktu|nr produktu",
    "kód|kód produktu|kód zboží|kód tovaru|katalogové číslo|číslo produktu|objednací číslo",
    "obj číslo|číslo zboží|číslo položky|obj kód|kat číslo|cikkszám|termékkód|cikkszáma",
    "termék kód",
    "šifra|šifra artikla|šifra proizvoda|šifra izdelka|koda|koda izdelka|kataloški broj",
    "cod produs|codul produsului|cod produs intern|sifra",
    "код|код товара|код продукта|артикул|арт|номенклатурный номер|код на продукта|каталожен номер",
    "код на артикул|код товару|кат номер|продуктов код|номер товара|id товара",
    "artikkelnummer|varenummer|varenr|vare nr|varunummer|produktnr|tuotenumero|tuotekoodi",
    "tuotenro|tuote nro|prekės kodas|kodas|preces kods|kods|tootekood|artikkel nr",
    "ürün kodu|stok kodu|ürün no|model kodu|κωδικός|κωδικός προϊόντος|κωδ|κωδικός είδους",
    "商品番号|商品コード|品番|商品编号|商品編號|商品货号|货号|貨號|商品貨號|商品id|상품번호|상품코드|제품코드|품번|מקט|מק ט|קוד מוצר|מספר פריט",
    "קוד פריט|mã sản phẩm|mã sp|mã hàng|kode produk|رمز المنتج|كود المنتج|رقم المنتج",
    "کد کالا",
];

/// The manufacturer's number.
const MPN: &[&str] = &[
    "mpn|manufacturer part number|manufacturer part no|manufacturer part|manufacturer number",
    "manufacturer no|manufacturer product number|manufacturer code|manufacturer sku",
    "manufacturer reference|mfr part number|mfr part no|mfr part|mfr no|mfr number",
    "mfg part number|mfg no|mfg part|mfg|part number|part no|part|part nr|model number|model no",
    "model nr|item model number|model name number|model num|model id|model code|oem number|oem",
    "vendor part number|manufacturer s part number|supplier code|manufacturers code",
    "manufacturer model number",
    "herstellernummer|hersteller nr|hersteller artikelnummer|herstellerartikelnummer",
    "hersteller art nr|hersteller teilenummer|hersteller nummer|herstellernr|modellnummer",
    "modell nr|modellnr|teilenummer|herst nr|herst artnr|hersteller produktnummer",
    "hersteller modellnummer",
    "référence fabricant|réf fabricant|référence constructeur|réf constructeur|numéro de modèle",
    "numéro du modèle de l article|numéro de pièce|référence du fabricant",
    "numéro de pièce fabricant|numéro modèle|code fabricant",
    "codice produttore|codice del produttore|cod produttore|numero modello",
    "numero modello articolo|numero di modello|codice modello|numero del modello dell articolo",
    "riferimento produttore|numero di parte",
    "número de modelo|número de modelo del producto|número de pieza|número de parte",
    "referencia del fabricante|código del fabricante|referencia fabricante|ref fabricante",
    "número do modelo|código do fabricante|referência do fabricante|modelo do fabricante",
    "kod producenta|numer producenta|symbol producenta|nr producenta|kod wytwórcy",
    "part number producenta|numer modelu|kód výrobce|kód výrobcu|číslo výrobce|part number p n|pn",
    "p n|číslo modelu|gyártói cikkszám|gyártói kód|típusszám|modellszám",
    "артикул производителя|код производителя|номер модели|партномер|парт номер|парт номер pn",
    "oem номер|код виробника|артикул виробника",
    "modelnummer|typenummer|fabrikantcode|fabrikant artikelnummer|type nummer",
    "tillverkarens artikelnummer|tillverkarens art nr|leverandørens varenummer",
    "produsentens varenummer|mallinumero|valmistajan tuotenumero|valmistajan koodi",
    "producentens varenummer|κωδικός κατασκευαστή|üretici kodu|model numarası|型番|メーカー型番|製造番号|型号",
    "型號|厂商型号|모델번호|모델명|제조사 모델|מספר דגם|מק ט יצרן|דגם יצרן",
];

/// The number of the barcode.
const GTIN: &[&str] = &[
    "gtin|gtin13|gtin 13|gtin14|gtin12|gtin 12|gtin8|ean|ean13|ean 13|ean code|ean nummer|ean kod",
    "ean kód|kod ean|kód ean|ean nr|ean upc|ean gtin|gtin ean|ean jan|upc|upc code|upc ean",
    "barcode|bar code|barcode ean|upc a|jan|jan code|jan コード|janコード|isbn|isbn13|isbn 13|isbn10",
    "isbn 10|isbn ean|ean isbn|codice ean|código ean|code ean|code barre|code barres",
    "code à barres|codice a barre|codice isbn|código de barras|cod barras|cód barras",
    "código de barra|strichcode|barcode nr|kod kreskowy|čárový kód|čiarový kód|vonalkód|штрихкод",
    "штрих код|ean код|баркод|barkod|bar kod|streckkod|strekkode|stregkode|viivakoodi",
    "viivakoodi ean|γραμμωτός κώδικας|条码|條碼|国际条码|바코드|ברקוד|artikelnummer ean|ean artikelnummer",
    "gtin upc|numéro ean|código universal de producto|global trade identification number",
    "gtin upc ean",
];

/// The brand or the manufacturer.
const BRAND: &[&str] = &[
    "brand|brand name|brands|product brand|manufacturer|manufactured by|make|maker",
    "make manufacturer|vendor|label|publisher|marke|hersteller|markenname|marke hersteller",
    "hersteller marke|marque|fabricant|marque du produit|nom de la marque|marca",
    "marca del producto|nome del marchio|marchio|produttore|fabricante|nombre de la marca",
    "nome da marca|marca do produto|merk|fabrikant|merknaam|märke|varumärke|tillverkare|merke",
    "merkevare|produsent|mærke|producent|varemærke|fabrikat|merkki|tuotemerkki|valmistaja|brändi",
    "marka|marka adı|üretici|producenci|značka|výrobce|výrobca|značka výrobce|márka|gyártó",
    "producător|brand producator|brend|proizvođač|proizvajalec|proizvodjac|blagovna znamka",
    "robna marka|znamka|бренд|производитель|торговая марка|марка|марка производител|производител",
    "виробник|бренд товара|μάρκα|κατασκευαστής|gamintojas|prekės ženklas|ražotājs|zīmols|tootja",
    "bränd|ブランド|ブランド名|メーカー|品牌|商标|廠牌|브랜드|제조사|브랜드명|מותג|יצרן|thương hiệu|nhãn hiệu",
    "hãng sản xuất|merek|jenama|العلامة التجارية|الماركة|ماركة|برند",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use url::Url;

    fn read(body: &str) -> Vec<(Kind, String, bool)> {
        let document = Document::parse(body, &Url::parse("https://shop.example/").unwrap());
        labelled(&Page::of(&document))
            .into_iter()
            .map(|found| (found.kind, found.value, found.is_sure))
            .collect()
    }

    #[test]
    fn values_are_found_in_every_arrangement() {
        for (body, kind, value) in [
            ("<table><tr><th>SKU</th><td>A-1</td></tr></table>", Kind::Sku, "A-1"),
            ("<dl><dt>Hersteller<dd>Acme</dl>", Kind::Brand, "Acme"),
            ("<li><strong>Šifra:</strong> 0638</li>", Kind::Sku, "0638"),
            ("<p>Код: 73556</p>", Kind::Sku, "73556"),
            ("<p>Art.-Nr. 4711</p>", Kind::Sku, "4711"),
            ("<span>model name/number: <b>XW61</b></span>", Kind::Mpn, "XW61"),
            (
                "<div class=row><div>EAN<span>:</span></div><div><i>96385074</i></div></div>",
                Kind::Gtin,
                "96385074",
            ),
            ("<p>商品編號：M14</p>", Kind::Sku, "M14"),
        ] {
            let found = read(body);
            assert_eq!(found.len(), 1, "{body}: {found:?}");
            assert_eq!((found[0].0, found[0].1.as_str()), (kind, value), "{body}");
        }
    }

    #[test]
    fn a_label_that_only_its_place_makes_one_is_not_sure() {
        assert_eq!(
            read("<p><span>Art.</span><span>104</span></p>"),
            [(Kind::Sku, "104".to_owned(), false)]
        );
        assert!(read("<p>Our brand new pan</p>").is_empty());
    }

    #[test]
    fn labels_are_written_as_they_are_looked_up() {
        for label in [SKU, MPN, GTIN, BRAND].into_iter().flatten().flat_map(|list| list.split('|'))
        {
            assert_eq!(normal(label), label);
            assert!(label.chars().count() <= LABEL_CHARS, "{label}");
        }
    }
}
