#!/usr/bin/env python3
"""Crawls a site with Scrapy, by its sitemaps, and writes the products of its pages' JSON-LD as JSON Lines.

    site_spider.py ADDRESS AT_ONCE LINKS OUT

ADDRESS such as http://127.0.0.1:40001; AT_ONCE: requests at a time; LINKS: `follow` to follow the pages' links to products,
too, or `ignore`. robots.txt is obeyed.
"""

import json
import sys

from scrapy import Request
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor
from scrapy.spiders import SitemapSpider


def products(value):
    """The products in a JSON-LD value: itself, one of a list, or one of a graph."""
    if isinstance(value, list):
        for item in value:
            yield from products(item)
    elif isinstance(value, dict):
        if value.get("@type") == "Product":
            yield value
        yield from products(value.get("@graph", []))


class Products(SitemapSpider):
    name = "products"
    sitemap_rules = [("/p/", "parse_product")]
    extractor = LinkExtractor(allow=r"^[a-z]+://[^/?]*/p/[^/?]*(\?.*)?$")

    def parse_product(self, response):
        if self.follows_links:
            for link in self.extractor.extract_links(response):
                yield Request(link.url, self.parse_product)
        for text in response.css('script[type="application/ld+json"]::text').getall():
            for product in products(json.loads(text)):
                offer = product.get("offers") or {}
                brand = product.get("brand") or {}
                yield {
                    "id": product.get("sku"),
                    "title": product.get("name"),
                    "description": product.get("description"),
                    "link": response.urljoin(product.get("url", "")),
                    "image_link": next(iter(product.get("image") or []), None),
                    "brand": brand.get("name"),
                    "gtin": product.get("gtin13"),
                    "mpn": product.get("mpn"),
                    "price": offer.get("price"),
                    "currency": offer.get("priceCurrency"),
                    "availability": offer.get("availability"),
                    "condition": offer.get("itemCondition"),
                }


def main():
    address, at_once, links, out = sys.argv[1:]
    process = CrawlerProcess({
        "AUTOTHROTTLE_ENABLED": False,
        "CONCURRENT_REQUESTS": int(at_once),
        "CONCURRENT_REQUESTS_PER_DOMAIN": int(at_once),
        "COOKIES_ENABLED": False,
        "DOWNLOAD_DELAY": 0,
        "FEEDS": {out: {"format": "jsonlines", "overwrite": True}},
        "LOG_LEVEL": "WARNING",
        "ROBOTSTXT_OBEY": True,
        "TELNETCONSOLE_ENABLED": False,
        "USER_AGENT": "bench",
    })
    process.crawl(Products, sitemap_urls=[f"{address}/sitemap.xml"], follows_links=links == "follow")
    process.start()


if __name__ == "__main__":
    main()
