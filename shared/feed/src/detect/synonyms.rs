//! What partners call the fields of the product table's columns, in the languages that feeds come in. Names are in the
//! form in which names are compared; those of a column that are likelier come first.

/// A column, or `category`, and the names that fields for it have, with a space between them.
pub(super) static NAMES: [(&str, &str); 40] = [
    (
        "id",
        "id product_id productid item_id itemid offer_id offerid sku variant_id variantid \
         article_number articlenumber artikelnummer artikel_nr art_nr artnr product_number \
         item_number reference ref referencia codice code codigo product_code @id @sku key \
         상품코드 상품id 商品コード 商品id 商品编号 артикул numer kod",
    ),
    (
        "title",
        "title name product_name productname product_title item_name produktname titel \
         bezeichnung artikelbezeichnung nom titre nombre titulo título nome titolo naam nazwa \
         nazov názov název namn navn nimi ad ürün_adı 상품명 제목 商品名 名称 название наименование tên \
         ชื่อ",
    ),
    (
        "description",
        "description long_description product_description desc body text details summary \
         short_description beschreibung langtext artikelbeschreibung produktbeschreibung \
         descripcion descripción descrizione descricao descrição omschrijving opis popis \
         beskrivning beskrivelse kuvaus açıklama 상품설명 상세설명 商品説明 描述 описание",
    ),
    (
        "link",
        "link url product_url producturl product_link item_url page_url deeplink deep_link \
         href website produkt_url produktlink lien enlace url_producto collegamento pgurl \
         상품url 상품링크 商品url 链接 ссылка",
    ),
    ("mobile_link", "mobile_link mobile_url link_mobile url_mobile"),
    (
        "image_link",
        "image_link image image_url imageurl picture picture_url photo photo_url img img_url \
         thumbnail thumbnail_url main_image image_1 image1 images pictures photos image_src \
         media bild bild_url bildlink bildurl photo_produit imagen url_imagen immagine imagem \
         afbeelding zdjecie obrazek 이미지 이미지url 画像 画像url 图片 картинка фото",
    ),
    (
        "additional_image_links",
        "additional_image_links additional_image_link add_image_link additional_images additional_image_urls \
         other_images more_images image_links image_urls images gallery image_2 image2 \
         weitere_bilder images_supplementaires",
    ),
    (
        "price",
        "price price_pc current_price selling_price unit_price price_gross gross_price price_incl_vat \
         price_with_tax retail_price amount value cost preis verkaufspreis bruttopreis prix \
         prix_ttc precio pvp prezzo preco preço prijs cena pris hinta fiyat 가격 판매가 価格 販売価格 价格 \
         цена",
    ),
    ("mobile_price", "mobile_price price_mobile"),
    (
        "price_currency",
        "currency currency_code price_currency currencyid currency_id cur waehrung währung devise \
         moneda valuta moeda waluta 통화 通貨 货币 валюта",
    ),
    (
        "sale_price",
        "sale_price special_price discount_price offer_price discounted_price promo_price \
         sonderpreis aktionspreis angebotspreis prix_promo prix_solde precio_oferta \
         prezzo_scontato 할인가 セール価格 促销价",
    ),
    (
        "normal_price",
        "normal_price regular_price list_price original_price old_price compare_at_price msrp \
         rrp uvp was_price base_price listenpreis prix_barre prix_normal precio_original \
         prezzo_listino 정가 정상가 定価 原价 старая_цена",
    ),
    (
        "availability",
        "availability in_stock instock stock_status is_available available stock_availability \
         verfuegbarkeit verfügbarkeit lieferbarkeit disponibilite disponibilité \
         disponibilidad disponibilita disponibilità disponibilidade beschikbaarheid \
         dostepnosc dostupnost 재고상태 판매상태 在庫状況 наличие",
    ),
    (
        "stock_quantity",
        "stock_quantity quantity qty stock stock_level inventory quantity_on_stock \
         quantityonstock quantity_in_stock stock_qty available_quantity bestand lagerbestand \
         menge quantite cantidad existencias giacenza voorraad 재고 재고수량 在庫数 库存 количество",
    ),
    (
        "brand",
        "brand brand_name vendor designer label marke marque marca merk marka značka \
         varumärke 브랜드 ブランド 品牌 бренд",
    ),
    (
        "maker",
        "maker manufacturer hersteller fabricant fabricante produttore fabrikant producent \
         výrobce 제조사 メーカー производитель",
    ),
    (
        "gtin",
        "gtin ean ean13 ean_13 ean_code eancode barcode upc isbn gtin13 gtin14 gtin_13 jan \
         jan_code strichcode code_barre code_barres codigo_barras 바코드 штрихкод",
    ),
    (
        "mpn",
        "mpn manufacturer_part_number part_number partnumber manufacturer_number \
         manufacturer_sku herstellernummer hersteller_artikelnummer han reference_fabricant",
    ),
    ("model_number", "model_number model model_name sku modell modele modelo modello 모델명 型番"),
    ("condition", "condition state zustand etat état estado condizione 상태"),
    (
        "category",
        "category categories product_type producttype category_path category_name breadcrumb \
         breadcrumbs product_category department kategorie kategoriepfad warengruppe \
         categorie catégorie categoria categoría kategoria kategori rubrik 분류 카테고리 カテゴリ 分类 类别 \
         категория",
    ),
    // Naver's, which are levels and no path.
    ("category_1", "category_name1"),
    ("category_2", "category_name2"),
    ("category_3", "category_name3"),
    ("category_4", "category_name4"),
    ("google_product_category", "google_product_category google_category"),
    (
        "item_group_id",
        "item_group_id group_id parent_id parent_sku parent base_id baseid master_id \
         product_group_id parent_product_id style_id gruppe",
    ),
    (
        "color",
        "color colour colors farbe couleur colore cor kleur kolor barva färg farve 색상 カラー 颜色 \
         цвет",
    ),
    (
        "size",
        "size sizes groesse größe taille talla taglia tamanho maat rozmiar velikost storlek \
         사이즈 サイズ 尺码 размер",
    ),
    (
        "material",
        "material materials fabric matiere matière materiale materiaal 소재 素材 材质 материал",
    ),
    ("pattern", "pattern muster motif"),
    ("gender", "gender sex geschlecht genre genero género genere 성별 пол"),
    ("age_group", "age_group agegroup altersgruppe tranche_age"),
    (
        "shipping_cost",
        "shipping_cost shipping_price delivery_cost delivery_price shipping versandkosten \
         frais_de_port gastos_envio spese_spedizione verzendkosten 배송비 送料 运费",
    ),
    ("shipping_weight", "shipping_weight weight gewicht poids peso waga"),
    ("review_count", "review_count reviews reviews_count rating_count"),
    ("search_tag", "tags keywords search_tags labels schlagworte 태그 タグ"),
    ("origin", "origin country_of_origin made_in herkunftsland 원산지"),
    ("seller_id", "seller_id merchant_id shop_id vendor_id"),
    ("source_updated_at", "updated_at last_updated modified date_modified last_modified"),
];

/// What stands at the end of a name for the language of the text.
pub(super) static LANGUAGES: [&str; 20] = [
    "en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "fi", "no", "cs", "sk", "ko", "ja",
    "zh", "ru", "tr", "hu",
];
